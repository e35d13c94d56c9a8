/* SPDX-License-Identifier: MIT */
/* zset_scan.c -- ZSCAN. Scores are bulk strings here, in both protocols. */
#include "worker/kv/keys/collection.h"
#include "worker/kv/zset/zset.h"
#include <math.h>

/* A score that redis keeps as a whole number in its compact form. */
#define WHOLE_MAX ((double)(INT64_MAX / 2))

static bool is_whole(double score)
{
	return fabs(score) <= WHOLE_MAX && score == (double)(int64_t)score;
}

static void visit(const struct rf_item *member, double score, void *context)
{
	struct kv_scan *scan = context;
	struct rf_reply *reply = scan->call->reply;

	if (!kv_scan_wants(scan, member))
		return;
	kv_scan_reply(scan, member);
	scan->replied++;
	if (rf_sorted_is_compact(kv_sorted_of(scan->value)) && is_whole(score))
		rf_resp_bulk_int(reply, (int64_t)score);
	else
		rf_resp_double(reply, 2, score);
}

void kv_cmd_zscan(struct kv_call *call)
{
	struct kv_scan scan;

	if (!kv_scan_begin(call, KV_ZSET, &scan))
		return;
	do
		scan.cursor = rf_sorted_scan(
			kv_sorted_of(scan.value), scan.cursor, visit, &scan);
	while (kv_scan_goes_on(&scan));
	kv_scan_end(&scan);
}
