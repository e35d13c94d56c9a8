/* SPDX-License-Identifier: MIT */
/* unknown.c -- a command that there is not, and what may be meant.
 *
 * The first word of a command of two asks for the second. Else the nearest
 * name is the one that takes the fewest letters to add, drop or change.
 */
#include "ctl.h"

#include <string.h>

#define WORD_BYTES_MAX 96
/* More than that is another word. */
#define DISTANCE_MAX 3

static size_t least(size_t a, size_t b, size_t c)
{
	if (b < a)
		a = b;
	return c < a ? c : a;
}

/* Row by row of the table of distances between the beginnings of both. */
size_t ctl_distance(const char *a, const char *b)
{
	size_t row[WORD_BYTES_MAX + 1], bytes = strlen(b), corner, above;

	if (strlen(a) > WORD_BYTES_MAX || bytes > WORD_BYTES_MAX)
		return WORD_BYTES_MAX;
	for (size_t i = 0; i <= bytes; i++)
		row[i] = i;
	for (; *a; a++) {
		corner = row[0]++;
		for (size_t i = 1; i <= bytes; i++) {
			above = row[i];
			row[i] = least(above + 1, row[i - 1] + 1,
				corner + (*a != b[i - 1]));
			corner = above;
		}
	}
	return row[bytes];
}

static const char *nearest(const char *word)
{
	size_t best = DISTANCE_MAX + 1, limit = strlen(word) / 2 + 1;
	const char *found = NULL;

	for (int i = 0; i < command_count; i++) {
		size_t d = ctl_distance(word, commands[i].name);

		if (d < best && d < limit) {
			best = d;
			found = commands[i].name;
		}
	}
	return found;
}

/* "show ID" of "crash show ID"; NULL: its first word is another one. */
static const char *rest_of(const struct command *command, const char *word)
{
	size_t bytes = strlen(word);

	return !strncmp(command->name, word, bytes) &&
			       command->name[bytes] == ' '
		       ? command->name + bytes + 1
		       : NULL;
}

enum ctl_exit ctl_unknown(const char *word)
{
	const char *meant = nearest(word), *rest;
	int count = 0;

	for (int i = 0; i < command_count; i++) {
		rest = rest_of(&commands[i], word);
		if (!rest)
			continue;
		if (count++ == 0)
			fprintf(stderr, "reforkctl: %s what? ", word);
		else
			fputs(", ", stderr);
		fprintf(stderr, "%s%s%s", rest,
			*commands[i].arguments ? " " : "",
			commands[i].arguments);
	}
	if (count)
		fputs("; see reforkctl --help\n", stderr);
	else if (meant)
		fprintf(stderr,
			"reforkctl: unknown command %s; do you mean %s? see "
			"reforkctl --help\n",
			word, meant);
	else
		ctl_usage("unknown command ", word);
	return CTL_USAGE;
}
