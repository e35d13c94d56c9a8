/* SPDX-License-Identifier: MIT */
/* set_random.c -- members by chance: SRANDMEMBER, SPOP. */
#include "worker/kv/keys/collection.h"

/* ---- SRANDMEMBER ---- */

struct sample {
	struct kv_call *call;
	struct kv_choice choice;
	struct rf_set *rest; /* where the others go; may be NULL */
};

/* Any members, maybe the same ones again. */
static void reply_any(
	struct kv_call *call, const struct rf_set *set, uint64_t count)
{
	struct kv_dice dice = kv_dice();
	struct rf_item member;

	rf_resp_array(call->reply, count);
	for (uint64_t i = 0; i < count && rf_tx_error() == 0; i++)
		if (rf_set_random(set, kv_roll(&dice), &member))
			kv_reply_item(call, &member);
}

static void choose(const struct rf_item *member, void *context)
{
	struct sample *sample = context;

	if (kv_choose(&sample->choice))
		kv_reply_item(sample->call, member);
	else if (sample->rest != NULL)
		rf_set_add(sample->rest, member->text.at, member->text.bytes);
}

static void draw(struct kv_call *call, const struct rf_set *set, uint64_t count)
{
	struct kv_dice dice = kv_dice();
	struct rf_item member;
	struct kv_drawn drawn;

	if (!kv_drawn_init(&drawn, count))
		return;
	while (count > 0 && rf_set_random(set, kv_roll(&dice), &member)) {
		if (!kv_drawn_add(&drawn, member.text.at))
			continue;
		kv_reply_item(call, &member);
		count--;
	}
	kv_drawn_fini(&drawn);
}

static bool draws(const struct rf_set *set, uint64_t count)
{
	return !rf_set_is_compact(set) && kv_draws(count, rf_set_count(set));
}

/* Each at most once. */
static void reply_distinct(
	struct kv_call *call, const struct rf_set *set, uint64_t count)
{
	struct sample sample = {
		call, {count, rf_set_count(set), kv_dice()}, NULL};
	uint64_t cursor = 0;

	rf_resp_array(call->reply, count);
	if (draws(set, count)) {
		draw(call, set, count);
		return;
	}
	do
		cursor = rf_set_scan(set, cursor, choose, &sample);
	while (cursor != 0 && sample.choice.need > 0);
}

static void reply_one(struct kv_call *call)
{
	struct kv_value *value;
	struct rf_item member;

	if (!kv_look_kind(call, call->argv[1], KV_SET, &value))
		return;
	if (value != NULL &&
		rf_set_random(kv_set_of(value), kv_random(), &member))
		kv_reply_item(call, &member);
	else
		rf_resp_null(call->reply, call->proto);
}

/* SRANDMEMBER and SPOP: [count] is all there may be. */
static bool has_many(struct kv_call *call, bool *many)
{
	*many = call->argc > 2;
	if (call->argc <= 3)
		return true;
	kv_reply_syntax(call);
	return false;
}

void kv_cmd_srandmember(struct kv_call *call)
{
	struct kv_value *value;
	uint64_t size;
	int64_t count;
	bool many;

	if (!has_many(call, &many))
		return;
	if (!many) {
		reply_one(call);
		return;
	}
	if (!kv_arg_signed(call, 2, &count) ||
		!kv_look_kind(call, call->argv[1], KV_SET, &value))
		return;
	size = value != NULL ? rf_set_count(kv_set_of(value)) : 0;
	if (size == 0)
		rf_resp_array(call->reply, 0);
	else if (count < 0)
		reply_any(call, kv_set_of(value), (uint64_t)-count);
	else
		reply_distinct(call, kv_set_of(value),
			(uint64_t)count < size ? (uint64_t)count : size);
}

/* ---- SPOP ---- */

static bool pop_one(struct kv_call *call, struct rf_set *set)
{
	struct rf_item member;

	if (!rf_set_random(set, kv_random(), &member))
		return false;
	kv_reply_item(call, &member);
	rf_set_remove(set, member.text.at, member.text.bytes);
	return true;
}

/* Nearly all go: the few that stay make a new set. */
static void keep_rest(
	struct kv_call *call, struct kv_value *value, uint64_t count)
{
	struct rf_set *set = kv_set_of(value);
	struct sample sample = {
		call, {count, rf_set_count(set), kv_dice()}, NULL};
	struct kv_value *rest = kv_value_create(KV_SET);
	uint64_t cursor = 0;

	if (rest == NULL)
		return;
	sample.rest = kv_set_of(rest);
	do
		cursor = rf_set_scan(set, cursor, choose, &sample);
	while (cursor != 0 && rf_tx_error() == 0);
	kv_entry_set(kv_find(call, call->argv[1]), rest);
	kv_value_drop(value);
}

static void pop_all(struct kv_call *call, const struct rf_set *set)
{
	uint64_t size = rf_set_count(set), cursor = 0;
	struct sample sample = {call, {size, size, kv_dice()}, NULL};

	do
		cursor = rf_set_scan(set, cursor, choose, &sample);
	while (cursor != 0 && rf_tx_error() == 0);
	kv_take_all(call, call->argv[1], KV_CLASS_SET, "spop");
}

static void pop_many(struct kv_call *call)
{
	struct kv_value *value;
	struct rf_set *set;
	uint64_t size = 0;
	int64_t count;

	if (!kv_arg_count(call, 2, &count) ||
		!kv_find_kind(call, call->argv[1], KV_SET, &value))
		return;
	if (value != NULL)
		size = rf_set_count(kv_set_of(value));
	if (size > (uint64_t)count)
		size = (uint64_t)count;
	rf_resp_set(call->reply, call->proto, size);
	if (size == 0)
		return;
	set = kv_set_of(value);
	if (size == rf_set_count(set)) {
		pop_all(call, set);
		return;
	}
	if (draws(set, size))
		for (uint64_t i = 0; i < size; i++)
			pop_one(call, set);
	else
		keep_rest(call, value, size);
	kv_changed(call, call->argv[1], KV_CLASS_SET, "spop");
}

void kv_cmd_spop(struct kv_call *call)
{
	struct kv_value *value;
	bool many;

	if (!has_many(call, &many))
		return;
	if (many) {
		pop_many(call);
		return;
	}
	if (!kv_find_kind(call, call->argv[1], KV_SET, &value))
		return;
	if (value == NULL || !pop_one(call, kv_set_of(value))) {
		rf_resp_null(call->reply, call->proto);
		return;
	}
	kv_changed(call, call->argv[1], KV_CLASS_SET, "spop");
	kv_delete_if_empty(call, call->argv[1]);
}
