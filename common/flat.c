/* SPDX-License-Identifier: MIT */
/* flat.c -- read a value out of the daemon's flat JSON.
 *
 * "key": with its quotes and its colon cannot stand inside a text: there, a
 * quote has a backslash before it.
 */
#include "flat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *find(const char *json, const char *key)
{
	char wanted[64];
	const char *at;

	snprintf(wanted, sizeof(wanted), "\"%s\": ", key);
	at = strstr(json, wanted);
	return at ? at + strlen(wanted) : NULL;
}

uint64_t rf_flat_number(const char *json, const char *key)
{
	const char *at = find(json, key);

	return at ? strtoull(at, NULL, 10) : 0;
}

bool rf_flat_text(const char *json, const char *key, char *text, size_t bytes)
{
	const char *at = find(json, key);
	size_t used = 0;

	*text = 0;
	if (!at || *at++ != '"')
		return false;
	for (; *at && *at != '"' && used + 1 < bytes; at++) {
		if (*at == '\\' && at[1])
			at++;
		text[used++] = *at;
	}
	text[used] = 0;
	return true;
}
