/* SPDX-License-Identifier: MIT */
/* flat.h -- read a value out of the daemon's flat JSON. */
#ifndef RF_FLAT_H
#define RF_FLAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 0 when there is no such number. */
uint64_t rf_flat_number(const char *json, const char *key);

/* Undoes \" and \\; false, and an empty text, when there is none. */
bool rf_flat_text(const char *json, const char *key, char *text, size_t bytes);

#endif
