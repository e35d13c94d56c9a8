/* SPDX-License-Identifier: MIT */
/* wire.h -- a request between reforkctl and the daemon, as one line:
 *
 *	VERB FORMAT [ARGUMENT]...\n
 *
 * The words are percent-encoded, so that an argument may hold anything. The
 * answer is "ok\n" and the body up to the end of the stream, or
 * "error: WHY\n".
 */
#ifndef WIRE_H
#define WIRE_H

#include <stddef.h>

#define WIRE_WORDS_MAX	    6
#define WIRE_LINE_BYTES_MAX 16384 /* a path, every byte of it encoded */

/* Write `words` as a line.
 *
 * Returns  its bytes, newline included; -EMSGSIZE */
int wire_pack(char line[WIRE_LINE_BYTES_MAX], char *const *words, int count);

/* Take a line (terminated by 0, without its newline) apart, in place.
 *
 * Returns  the number of words; -EBADMSG: not such a line; -E2BIG: too many */
int wire_unpack(char *line, char *words[WIRE_WORDS_MAX]);

#endif
