/* SPDX-License-Identifier: MIT */
/* zset.h -- what the commands on sorted sets share. */
#ifndef KV_ZSET_H
#define KV_ZSET_H

#include "worker/kv/keys/gather.h"
#include "worker/kv/keys/keys.h"

/* rf_sorted_put; but redis has no negative zero where its form is compact. */
static inline void zset_put(
	struct rf_sorted *sorted, struct rf_bytes member, double score)
{
	if (score == 0 && rf_sorted_is_compact(sorted))
		score = 0;
	rf_sorted_put(sorted, member.at, member.bytes, score);
}

/* ---- replies (zset_reply.c) ---- */

/* How members stand in a reply. */
enum zset_shape {
	ZSET_MEMBERS, /* member, member, ... */
	ZSET_FLAT,    /* member, score, member, score, ... */
	ZSET_PAIRS,   /* [member, score], ... */
};

/* With scores: flat in RESP2, pairs in RESP3. */
enum zset_shape zset_shape(const struct kv_call *call, bool scores);
/* The header of so many members; zset_reply_one() for each follows. */
void zset_reply_head(
	struct kv_call *call, enum zset_shape shape, uint64_t count);
void zset_reply_one(struct kv_call *call, enum zset_shape shape,
	struct rf_bytes member, double score);

/* ---- ranges (zset_range_parse.c) ---- */

enum zset_by { ZSET_BY_RANK, ZSET_BY_SCORE, ZSET_BY_LEX };

/* One end of a range; what counts depends on what it is by. */
struct zset_bound {
	int64_t rank; /* negative: from the end */
	double score;
	struct rf_bytes member;
	int infinite;	/* -1, 1: before, behind all members */
	bool exclusive; /* "(" */
};

struct zset_range {
	enum zset_by by;
	struct zset_bound min, max;
};

/* Arguments into a range; the error of a bad one is replied. */
bool zset_range_parse(struct kv_call *call, enum zset_by by, uint32_t min,
	uint32_t max, struct zset_range *range);

/* ---- spans (zset_span.c) ---- */

/* Members that stand next to one another. */
struct zset_span {
	uint64_t rank, count;
};
/* Those in the range; ranks count from the last member when `reverse`.
 * Cost: O(log n). */
struct zset_span zset_range_span(const struct rf_sorted *sorted,
	const struct zset_range *range, bool reverse);
/* Take them (at least one) out, the key with the last of them, and tell. */
void zset_span_remove(struct kv_call *call, struct rf_bytes key,
	struct rf_sorted *sorted, struct zset_span span, const char *event);

/* ---- gathering (zset_gather.c) ---- */

struct zset_row {
	struct kv_text member;
	double score;
	uint32_t turn; /* the source it came from */
};

/* In a gather of zset_row. No memory: the transaction carries -ENOMEM. */
void zset_gather_add(struct kv_gather *gather, struct rf_bytes member,
	double score, uint32_t turn);
/* Make one row of those with the same member; scores meet in the order of the
 * turns. */
void zset_gather_merge(
	struct kv_gather *gather, double (*meet)(double one, double other));
/* Into the order of a sorted set. */
void zset_gather_sort(struct kv_gather *gather);

#endif
