/* SPDX-License-Identifier: MIT */
/* string.c -- a length, a word of the owner's, the text, room to grow.
 *
 * A text that fits its block well is written over the old one, whose bytes go
 * to the undo log; no block is taken and the heap is not touched. A long text
 * is not worth logging: it gets a new block and the old one is freed.
 *
 * Bytes between the end of the text and that of the block mean nothing and
 * need no log. So what leaves the text is logged: a later call of the same
 * transaction writes there without looking.
 */
#include "common/verify/walk_form.h"
#include <errno.h>
#include <refork/heap.h>
#include <refork/string.h>
#include <refork/tx.h>
#include <string.h>

#define LOGGED_MAX	 ((size_t)16 << 10) /* more is cheaper in a new block */
#define LOGGED_AT_ALL	 ((size_t)1 << 20)  /* unless that is far longer */
#define SNUG_BYTES	 64u		    /* a block so small is no waste */
#define DOUBLE_BYTES_MAX ((size_t)1 << 20)  /* above, grow by a quarter */

static inline size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

size_t rf_string_room(const struct rf_string *string)
{
	return smaller(rf_usable(string) - sizeof *string, RF_STRING_BYTES_MAX);
}

/* What stands behind the text means nothing: it may be written over. */
static inline void behind_is_free(const struct rf_string *string)
{
	if (rf_unlikely(rf_tx_is_compared))
		rf_tx_unlogged(string->text + string->bytes,
			rf_usable(string) - sizeof *string - string->bytes);
}

static inline bool is_too_long(size_t bytes)
{
	if (rf_likely(bytes <= RF_STRING_BYTES_MAX))
		return false;
	rf_tx_fail(-EMSGSIZE);
	return true;
}

/* One with room for so much in place of another one (or NULL). */
static struct rf_string *make(struct rf_string *old, size_t room)
{
	struct rf_string *string = rf_alloc_uninit(sizeof *string + room);

	if (string == NULL)
		return NULL;
	string->user = old != NULL ? old->user : 0;
	rf_free(old);
	return string;
}

/* Would a new block for `bytes` be much smaller? */
static inline bool fits_well(const struct rf_string *string, size_t bytes)
{
	size_t room = rf_string_room(string);

	return bytes <= room && (room < SNUG_BYTES || room / 2 <= bytes);
}

struct rf_string *rf_string_set(
	struct rf_string *string, const void *from, size_t bytes)
{
	if (is_too_long(bytes))
		return NULL;
	if (string != NULL && string->bytes <= LOGGED_MAX &&
		fits_well(string, bytes)) {
		/* All of the old text, also where the new one is shorter. */
		if (rf_tx_log(string, sizeof *string + string->bytes) != 0)
			return NULL;
		behind_is_free(string);
	} else {
		string = make(string, bytes);
		if (string == NULL)
			return NULL;
	}
	string->bytes = (uint32_t)bytes;
	if (bytes > 0)
		memcpy(string->text, from, bytes);
	return string;
}

/* Is this much log worth not copying the string? */
static bool is_worth(size_t log, size_t bytes)
{
	return log <= LOGGED_MAX || (log <= LOGGED_AT_ALL && log < bytes / 4);
}

/* Room for growing again and again: each byte is copied O(1) times. */
static size_t roomy(size_t bytes)
{
	return smaller(RF_STRING_BYTES_MAX,
		bytes < DOUBLE_BYTES_MAX ? bytes * 2 : bytes + bytes / 4);
}

/* The first `keep` bytes in a new block. */
static struct rf_string *remake(struct rf_string *old, size_t keep, size_t room)
{
	struct rf_string *string = make(old, room);

	if (string != NULL && old != NULL)
		memcpy(string->text, old->text, keep);
	return string;
}

struct rf_string *rf_string_write(
	struct rf_string *string, size_t off, const void *from, size_t bytes)
{
	size_t had = string != NULL ? string->bytes : 0;
	size_t lost = off < had ? smaller(had - off, bytes) : 0;
	size_t need;

	if (is_too_long(bytes) || is_too_long(off) || is_too_long(off + bytes))
		return NULL;
	need = off + bytes > had ? off + bytes : had;
	if (string == NULL || need > rf_string_room(string) ||
		!is_worth(lost, had)) {
		string = remake(string, had,
			had > 0 && need > had ? roomy(need) : need);
		if (string == NULL)
			return NULL;
	} else if (rf_tx_log(string, sizeof *string) != 0 ||
		   rf_tx_log(string->text + off, lost) != 0) {
		return NULL;
	} else {
		behind_is_free(string);
	}
	if (off > had)
		memset(string->text + had, 0, off - had);
	if (bytes > 0)
		memcpy(string->text + off, from, bytes);
	string->bytes = (uint32_t)need;
	return string;
}

struct rf_string *rf_string_cut(struct rf_string *string, size_t bytes)
{
	size_t lost;

	if (bytes >= string->bytes)
		return string;
	lost = string->bytes - bytes;
	if (!fits_well(string, bytes) || !is_worth(lost, bytes)) {
		string = remake(string, bytes, bytes);
		if (string == NULL)
			return NULL;
	} else if (rf_tx_log(string, sizeof *string) != 0 ||
		   rf_tx_log(string->text + bytes, lost) != 0) {
		return NULL;
	}
	string->bytes = (uint32_t)bytes;
	return string;
}

bool rf_walk_string(struct rf_walk *walk, const struct rf_string *string)
{
	if (!rf_walk_block(walk, string, sizeof *string, "string"))
		return false;
	if (string->bytes <= rf_walk_usable(walk, string) - sizeof *string)
		return true;
	rf_walk_problem(walk, string, "a string of %u bytes in a shorter block",
		string->bytes);
	return false;
}

int rf_string_check(const struct rf_string *string, const char *name)
{
	struct rf_walk_alone alone;

	return rf_walk_string(rf_walk_alone(&alone, name), string) ? 0
								   : -EBADMSG;
}
