/* SPDX-License-Identifier: MIT */
/* zset_reply.c -- members and scores in a reply. */
#include "worker/kv/zset/zset.h"

enum zset_shape zset_shape(const struct kv_call *call, bool scores)
{
	if (!scores)
		return ZSET_MEMBERS;
	return call->proto >= 3 ? ZSET_PAIRS : ZSET_FLAT;
}

void zset_reply_head(
	struct kv_call *call, enum zset_shape shape, uint64_t count)
{
	rf_resp_array(call->reply, shape == ZSET_FLAT ? count * 2 : count);
}

void zset_reply_one(struct kv_call *call, enum zset_shape shape,
	struct rf_bytes member, double score)
{
	if (shape == ZSET_PAIRS)
		rf_resp_array(call->reply, 2);
	rf_resp_bulk(call->reply, member.at, member.bytes);
	if (shape != ZSET_MEMBERS)
		rf_resp_double(call->reply, call->proto, score);
}
