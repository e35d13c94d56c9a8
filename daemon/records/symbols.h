/* SPDX-License-Identifier: MIT */
/* symbols.h -- the stack of a dead process, with names. */
#ifndef SYMBOLS_H
#define SYMBOLS_H

#include "common/crash.h"

/* Write the frames of a scene, innermost first, one a line:
 * "#0  0x00007f.. kv_set+0x1c4 (worker/kv/string.c:88) in kv.so"; what stood
 * in the way as a last line in brackets.
 *
 * scene  in memory of this process's own
 * text   zero-terminated; cut after a whole line
 * Needs  the caller to be a fork of the process that forked the dead one: what
 *        is mapped here is mapped there. It allocates, reads files, and takes
 *        up to seconds */
void symbols_write(
	const struct rf_crash_scene *scene, char *text, size_t bytes);

#endif
