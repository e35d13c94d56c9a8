/* SPDX-License-Identifier: MIT */
/* conf_nearest.c -- "did you mean": the name with the fewest edits. */
#include "conf/conf_nearest.h"

#include <string.h>

#define NAME_BYTES_MAX 31 /* nothing longer is a mistyped key */

static size_t least(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Bytes to insert, delete or replace (Levenshtein), row by row. */
static size_t edits(const char *from, const char *to)
{
	size_t row[NAME_BYTES_MAX + 1], to_length = strlen(to);

	for (size_t j = 0; j <= to_length; j++)
		row[j] = j;
	for (size_t i = 0; from[i]; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 1; j <= to_length; j++) {
			size_t above = row[j];

			row[j] = least(above + 1, row[j - 1] + 1,
				diagonal + (from[i] != to[j - 1]));
			diagonal = above;
		}
	}
	return row[to_length];
}

/* From here on it is another word: one edit is a slip, and one more for
 * every four bytes. */
static size_t too_far(const char *name)
{
	return 2 + strlen(name) / 4;
}

const struct conf_key *conf_nearest_key(const char *section, const char *name)
{
	const struct conf_key *nearest = NULL;
	size_t least_edits = too_far(name);

	if (strlen(name) > NAME_BYTES_MAX)
		return NULL;
	for (int i = 0; i < conf_key_count; i++) {
		const struct conf_key *key = &conf_keys[i];
		bool here = !strcmp(key->section, section);
		size_t distance = edits(name, key->name);

		/* The right name in the wrong section beats all. */
		if (distance == 0)
			return key;
		if (!here || distance >= least_edits)
			continue;
		nearest = key;
		least_edits = distance;
	}
	return nearest;
}

const char *conf_nearest_section(const char *section)
{
	const char *nearest = NULL;
	size_t least_edits = too_far(section);

	if (strlen(section) > NAME_BYTES_MAX)
		return NULL;
	for (int i = 0; i < conf_key_count; i++) {
		size_t distance = edits(section, conf_keys[i].section);

		if (distance >= least_edits)
			continue;
		nearest = conf_keys[i].section;
		least_edits = distance;
	}
	return nearest;
}
