/* SPDX-License-Identifier: MIT */
/* glob.c -- shell-like patterns, with redis's reading of odd ones.
 *
 * After a mismatch only the last star needs another try: what earlier stars
 * took can be no better. So the cost is at most pattern times text.
 */
#include "worker/kv/kv.h"
#include <ctype.h>

static inline int fold(char c, bool ignore_case)
{
	return ignore_case ? tolower((uint8_t)c) : (uint8_t)c;
}

/* Does c match the class at *at, just behind its '['? Moves *at behind ']';
 * a class that does not end ends with the pattern. */
static bool match_class(
	const char **at, const char *end, char c, bool ignore_case)
{
	const char *p = *at;
	bool invert = p < end && *p == '^';
	bool match = false;
	int wanted = fold(c, ignore_case);

	for (p += invert; p < end && *p != ']'; p++) {
		if (*p == '\\' && end - p >= 2) {
			match |= *++p == c;
		} else if (end - p >= 3 && p[1] == '-') {
			int low = fold(p[0], ignore_case);
			int high = fold(p[2], ignore_case);

			match |= low <= high ? low <= wanted && wanted <= high
					     : high <= wanted && wanted <= low;
			p += 2;
		} else {
			match |= fold(*p, ignore_case) == wanted;
		}
	}
	*at = p < end ? p + 1 : end;
	return match != invert;
}

/* One element of the pattern other than a star against one byte. */
static bool match_one(
	const char **at, const char *end, char c, bool ignore_case)
{
	char p = *(*at)++;

	if (p == '?')
		return true;
	if (p == '[')
		return match_class(at, end, c, ignore_case);
	if (p == '\\' && *at < end)
		p = *(*at)++;
	return fold(p, ignore_case) == fold(c, ignore_case);
}

bool kv_glob(struct rf_bytes pattern, const char *text, size_t bytes,
	bool ignore_case)
{
	const char *p = pattern.at, *p_end = p + pattern.bytes;
	const char *end = text + bytes;
	const char *star = NULL, *star_text = NULL;

	while (text < end) {
		if (p < p_end && *p == '*') {
			star = ++p;
			star_text = text;
		} else if (p < p_end &&
			   match_one(&p, p_end, *text, ignore_case)) {
			text++;
		} else if (star != NULL) {
			p = star;
			text = ++star_text;
		} else {
			return false;
		}
	}
	while (p < p_end && *p == '*')
		p++;
	return p == p_end;
}
