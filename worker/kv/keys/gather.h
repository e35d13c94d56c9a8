/* SPDX-License-Identifier: MIT */
/* gather.h -- elements on their way to a result, in memory of the process.
 *
 * A command that only reads changes nothing in the arena; and texts that have
 * been copied stay when looking up a key removes one that has expired. What
 * has been gathered is freed by the end of the command, or dies with the
 * process.
 */
#ifndef KV_GATHER_H
#define KV_GATHER_H

#include "worker/kv/kv.h"

struct kv_gather {
	size_t row_bytes; /* the owner's, to begin with; the rest is zero */
	void *rows;
	size_t count, room;
	char *text;
	size_t text_bytes, text_room;
};

/* A text that was gathered. */
struct kv_text {
	size_t at, bytes;
};

/* One more row, zeroed; pointers to others are void now. NULL: no memory; the
 * transaction carries -ENOMEM. */
void *kv_gather_row(struct kv_gather *gather);
/* Keep a copy. false: no memory, as above. */
bool kv_gather_text(
	struct kv_gather *gather, struct rf_bytes from, struct kv_text *text);
static inline struct rf_bytes kv_text_of(
	const struct kv_gather *gather, struct kv_text text)
{
	return (struct rf_bytes){gather->text + text.at, text.bytes};
}
void kv_gather_fini(struct kv_gather *gather);

/* As memcmp; the longer one is greater when it begins with the other. */
int kv_compare(struct rf_bytes one, struct rf_bytes other);

#endif
