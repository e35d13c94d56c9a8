/* SPDX-License-Identifier: MIT */
/* json.h -- flat JSON, and lists of flat objects, written. */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* {"schema": 1 ... }, one object a line. */
void json_begin(FILE *out);
void json_text(FILE *out, const char *key, const char *text);
void json_number(FILE *out, const char *key, uint64_t number);
void json_signed(FILE *out, const char *key, int64_t number);
void json_null(FILE *out, const char *key);
/* Bytes that may be none of UTF-8: the printable ASCII as it is, the rest as
 * \u00XX. */
void json_bytes(FILE *out, const char *key, const void *bytes, size_t count);
/* A member that is a list of flat objects. The first member of each is a
 * number, and opens it. */
void json_list_begin(FILE *out, const char *key);
void json_list_item(FILE *out, bool first, const char *key, uint64_t number);
void json_list_item_end(FILE *out);
void json_list_end(FILE *out);
void json_end(FILE *out);

#endif
