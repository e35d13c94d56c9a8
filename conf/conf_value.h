/* SPDX-License-Identifier: MIT */
/* conf_value.h -- one value between its text and its field. */
#ifndef CONF_VALUE_H
#define CONF_VALUE_H

#include "conf/conf_keys.h"

/* Check a value and store it; a list gets it as its next entry.
 *
 * Returns  true; false with what is wrong in `why`, *conf untouched */
bool conf_value_set(const struct conf_key *key, struct conf *conf,
	const char *text, char *why, size_t why_bytes);

/* Empty a list; nothing for other types. */
void conf_value_clear(const struct conf_key *key, struct conf *conf);

/* How many values the key has: of a list its length, else 1. */
int conf_value_count(const struct conf_key *key, const struct conf *conf);

/* Value `index` as a text that conf_value_set() takes. */
void conf_value_text(const struct conf_key *key, const struct conf *conf,
	int index, char text[CONF_TEXT_MAX + 1]);

/* Of a size, time or number. */
uint64_t conf_value_number(const struct conf_key *key, const struct conf *conf);

#endif
