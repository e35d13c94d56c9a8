/* SPDX-License-Identifier: MIT */
/* string.h -- a recoverable byte string that grows in place where it can.
 *
 * One block of the arena: a length, a word of the owner's, the bytes. A call
 * that changes it returns where it stands now; the caller keeps that pointer
 * (RF_SET) when it is another one. Every change is part of the open
 * transaction: undone by its abort, and by the death of the process.
 */
#ifndef REFORK_STRING_H
#define REFORK_STRING_H

#include <refork/check.h>
#include <stddef.h>
#include <stdint.h>

#define RF_STRING_BYTES_MAX ((size_t)UINT32_MAX - 64)

struct rf_string {
	uint32_t bytes;
	uint32_t user; /* the owner's; kept by every call here */
	char text[];
};
_Static_assert(sizeof(struct rf_string) == 8, "format");

/* Become this text.
 *
 * string   NULL: a new one with user 0
 * from     not within `string`
 * Returns  where it stands now: in its block when it fits well, else in a new
 *          one, the old freed. NULL when there is no memory: the transaction
 *          carries -ENOMEM (-EMSGSIZE: too long)
 * Cost     one copy; the old text goes to the undo log when it is short */
RF_API struct rf_string *rf_string_set(
	struct rf_string *string, const void *from, size_t bytes);

/* Write at `off`, growing (a gap is zeroed) as needed; with spare room, so
 * that growing again and again copies each byte O(1) times. Else as above. */
RF_API struct rf_string *rf_string_write(
	struct rf_string *string, size_t off, const void *from, size_t bytes);

/* Cut off what is behind the first `bytes`. */
RF_API struct rf_string *rf_string_cut(struct rf_string *string, size_t bytes);

/* Bytes that would fit without a new block. */
RF_API size_t rf_string_room(const struct rf_string *string);

/* 0, or -EBADMSG after reporting through rf_log, which calls it `name`. */
RF_API int rf_string_check(const struct rf_string *string, const char *name);

#endif
