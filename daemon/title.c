/* SPDX-License-Identifier: MIT */
/* title.c -- what ps(1) shows.
 *
 * The kernel reports the bytes between the start of argv[0] and the end of the
 * last argument as the command line, and reads on into the environment that
 * follows when the last byte is not zero. Once both have been copied away,
 * that whole area is ours to write a title into.
 */
#include "title.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *area;
static size_t area_bytes;

/* The end of `strings` as far as they stand one behind the other from `end`. */
static char *contiguous_end(char **strings, char *end)
{
	for (; *strings; strings++)
		if (*strings == end)
			end += strlen(*strings) + 1;
	return end;
}

/* In one block: whoever takes a string out of the environment frees nothing. */
static char **copy_strings(char **from)
{
	size_t count = 0, bytes = 0;
	char **to, *at;

	for (; from[count]; count++)
		bytes += strlen(from[count]) + 1;
	to = calloc(1, (count + 1) * sizeof(*to) + bytes);
	if (!to)
		return NULL;
	at = (char *)(to + count + 1);
	for (size_t i = 0; i < count; i++) {
		to[i] = at;
		at = stpcpy(at, from[i]) + 1;
	}
	return to;
}

int title_init(int argc, char ***argv)
{
	static char **args, **env; /* for as long as this process lives */
	char *end;

	if (argc < 1)
		return 0;
	args = copy_strings(*argv);
	env = copy_strings(environ);
	if (!args || !env)
		return -ENOMEM; /* at most a few strings of a process that
				   is about to end */
	end = contiguous_end(environ, contiguous_end(*argv, **argv));
	area = **argv;
	area_bytes = (size_t)(end - area);
	program_invocation_name = args[0];
	program_invocation_short_name = basename(args[0]);
	environ = env;
	*argv = args;
	return 0;
}

void title_set(const char *service, const char *role)
{
	int n;

	if (area_bytes < 2)
		return;
	n = snprintf(area, area_bytes, "refork: %s %s", service, role);
	if (n >= 0 && (size_t)n < area_bytes)
		memset(area + n, 0, area_bytes - (size_t)n);
}
