/* SPDX-License-Identifier: MIT */
/* file_mark.h -- whether an arena that was found in a file is whole. */
#ifndef RF_FILE_MARK_H
#define RF_FILE_MARK_H

#include "segment.h"

/* Segments of other backends end with the machine's run: for them all of this
 * does nothing and returns 0. No function needs access to the mapping. */

/* 0, or -EBADMSG with a sentence in `reason`. Changes nothing. */
int rf_mark_judge(
	const struct rf_segment *seg, char *reason, size_t reason_bytes);

/* From now on bytes may change. On the disk when it returns 0; -errno: nothing
 * may be changed. */
int rf_mark_open(const struct rf_segment *seg);

/* All of it is on the disk, and the mark says so. The caller is the last that
 * has it. -errno: it is not closed. Cost: what has changed since the last sync
 * is written. */
int rf_mark_close(const struct rf_segment *seg);

/* The superblocks of both, of whatever backend, are the same but for the mark:
 * one is a copy of the other, and neither has changed since. */
bool rf_mark_is_same(
	const struct rf_segment *one, const struct rf_segment *two);

#endif
