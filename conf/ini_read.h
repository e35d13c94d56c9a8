/* SPDX-License-Identifier: MIT */
/* ini_read.h -- the lines of an ini file, each with its number. */
#ifndef INI_READ_H
#define INI_READ_H

#include <stdbool.h>
#include <stdio.h>

#define INI_LINE_BYTES_MAX 510
#define INI_FILE_BYTES_MAX (1 << 20)

/* Who is told what the file says. Strings last for the call. */
struct ini_sink {
	void *user;
	/* "[section]". false: its keys are not passed on. */
	bool (*on_section)(void *user, int line, const char *section);
	/* "key = value", blanks and comment cut off; section "" before the
	 * first one. */
	void (*on_key)(void *user, int line, const char *section,
		const char *key, const char *value);
	/* A line that cannot be read; it is left out. */
	void (*on_problem)(void *user, int line, const char *what);
};

/* Read to the end, however many problems there are.
 *
 * Returns  0; -errno when `in` cannot be read */
int ini_read(FILE *in, const struct ini_sink *sink);

#endif
