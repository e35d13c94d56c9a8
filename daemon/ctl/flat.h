/* SPDX-License-Identifier: MIT */
/* flat.h -- read a value out of the daemon's flat JSON. */
#ifndef FLAT_H
#define FLAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 0 when there is no such number. */
uint64_t flat_number(const char *json, const char *key);

/* Undoes \" and \\; false, and an empty text, when there is none. */
bool flat_text(const char *json, const char *key, char *text, size_t bytes);

#endif
