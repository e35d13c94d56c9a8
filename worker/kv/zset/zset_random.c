/* SPDX-License-Identifier: MIT */
/* zset_random.c -- ZRANDMEMBER.
 *
 * A member at random is a rank at random. Several different ones: when they
 * are few, ranks are drawn until there are enough different ones; when they
 * are many, one walk over all members takes each with the right probability.
 */
#include "worker/kv/keys/collection.h"
#include "worker/kv/zset/zset.h"

static uint64_t below(struct kv_dice *dice, uint64_t limit)
{
	return kv_roll(dice) % limit;
}

static void reply_rank(struct kv_call *call, const struct rf_sorted *sorted,
	enum zset_shape shape, uint64_t rank)
{
	struct rf_sorted_at at;
	struct rf_item member;
	double score;

	rf_sorted_seek_rank(sorted, rank, &at);
	rf_sorted_next(&at, &member, &score);
	zset_reply_one(call, shape, member.text, score);
}

static void reply_any(struct kv_call *call, const struct rf_sorted *sorted,
	enum zset_shape shape, uint64_t wanted)
{
	struct kv_dice dice = kv_dice();

	zset_reply_head(call, shape, wanted);
	for (uint64_t i = 0; i < wanted && rf_tx_error() == 0; i++)
		reply_rank(call, sorted, shape,
			below(&dice, rf_sorted_count(sorted)));
}

static void reply_by_walking(struct kv_call *call,
	const struct rf_sorted *sorted, enum zset_shape shape, uint64_t wanted)
{
	struct kv_choice choice = {wanted, rf_sorted_count(sorted), kv_dice()};
	struct rf_sorted_at at;
	struct rf_item member;
	double score;

	rf_sorted_seek_rank(sorted, 0, &at);
	while (choice.need > 0 && rf_sorted_next(&at, &member, &score))
		if (kv_choose(&choice))
			zset_reply_one(call, shape, member.text, score);
}

static void reply_by_drawing(struct kv_call *call,
	const struct rf_sorted *sorted, enum zset_shape shape, uint64_t wanted)
{
	struct kv_dice dice = kv_dice();
	struct kv_drawn drawn;

	if (!kv_drawn_init(&drawn, wanted))
		return;
	while (wanted > 0) {
		uint64_t rank = below(&dice, rf_sorted_count(sorted));

		/* One more, for no address is 0. */
		if (!kv_drawn_add(&drawn, (const void *)(rank + 1)))
			continue;
		reply_rank(call, sorted, shape, rank);
		wanted--;
	}
	kv_drawn_fini(&drawn);
}

static void reply_different(struct kv_call *call,
	const struct rf_sorted *sorted, enum zset_shape shape, uint64_t wanted)
{
	uint64_t count = rf_sorted_count(sorted);

	if (wanted > count)
		wanted = count;
	zset_reply_head(call, shape, wanted);
	if (kv_draws(wanted, count))
		reply_by_drawing(call, sorted, shape, wanted);
	else
		reply_by_walking(call, sorted, shape, wanted);
}

static void random_one(struct kv_call *call)
{
	struct kv_value *value;

	if (!kv_look_kind(call, call->argv[1], KV_ZSET, &value))
		return;
	if (value == NULL)
		rf_resp_null(call->reply, call->proto);
	else
		reply_rank(call, kv_sorted_of(value), ZSET_MEMBERS,
			kv_random() % rf_sorted_count(kv_sorted_of(value)));
}

static bool parse(struct kv_call *call, int64_t *wanted, bool *scores)
{
	if (!kv_arg_signed(call, 2, wanted))
		return false;
	*scores = call->argc == 4 && kv_is(call->argv[3], "WITHSCORES");
	if (call->argc > 3 && !*scores) {
		kv_reply_syntax(call);
		return false;
	}
	if (*scores && (*wanted < -INT64_MAX / 2 || *wanted > INT64_MAX / 2)) {
		rf_resp_error(call->reply, "ERR value is out of range");
		return false;
	}
	return true;
}

void kv_cmd_zrandmember(struct kv_call *call)
{
	enum zset_shape shape;
	struct kv_value *value;
	int64_t wanted;
	bool scores;

	if (call->argc == 2) {
		random_one(call);
		return;
	}
	if (!parse(call, &wanted, &scores) ||
		!kv_look_kind(call, call->argv[1], KV_ZSET, &value))
		return;
	shape = zset_shape(call, scores);
	if (value == NULL || wanted == 0)
		rf_resp_array(call->reply, 0);
	else if (wanted < 0)
		reply_any(call, kv_sorted_of(value), shape, (uint64_t)-wanted);
	else
		reply_different(
			call, kv_sorted_of(value), shape, (uint64_t)wanted);
}
