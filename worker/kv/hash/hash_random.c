/* SPDX-License-Identifier: MIT */
/* hash_random.c -- HRANDFIELD. */
#include "worker/kv/keys/collection.h"

struct sample {
	struct kv_call *call;
	const struct rf_map *map;
	bool values;
	struct kv_choice choice;
};

/* In RESP 3 a field and its value are an array of two. */
static void reply_header(const struct sample *sample, uint64_t count)
{
	bool flat = sample->values && sample->call->proto == 2;

	rf_resp_array(sample->call->reply, flat ? count * 2 : count);
}

static void reply_field(const struct sample *sample,
	const struct rf_item *field, const struct rf_item *value)
{
	if (sample->values && sample->call->proto > 2)
		rf_resp_array(sample->call->reply, 2);
	kv_reply_item(sample->call, field);
	if (sample->values)
		kv_reply_item(sample->call, value);
}

/* Any fields, maybe the same ones again. */
static void reply_any(const struct sample *sample, uint64_t count)
{
	struct kv_dice dice = kv_dice();
	struct rf_item field, value;

	reply_header(sample, count);
	for (uint64_t i = 0; i < count && rf_tx_error() == 0; i++)
		if (rf_map_random(sample->map, kv_roll(&dice), &field, &value))
			reply_field(sample, &field, &value);
}

static void choose(
	const struct rf_item *field, const struct rf_item *value, void *context)
{
	struct sample *sample = context;

	if (kv_choose(&sample->choice))
		reply_field(sample, field, value);
}

static void draw(const struct sample *sample, uint64_t count)
{
	struct kv_dice dice = kv_dice();
	struct rf_item field, value;
	struct kv_drawn drawn;

	if (!kv_drawn_init(&drawn, count))
		return;
	while (count > 0 &&
		rf_map_random(sample->map, kv_roll(&dice), &field, &value)) {
		if (!kv_drawn_add(&drawn, field.text.at))
			continue;
		reply_field(sample, &field, &value);
		count--;
	}
	kv_drawn_fini(&drawn);
}

/* Each at most once. */
static void reply_distinct(struct sample *sample, uint64_t count)
{
	uint64_t size = rf_map_count(sample->map), cursor = 0;

	if (count > size)
		count = size;
	reply_header(sample, count);
	if (!rf_map_is_compact(sample->map) && kv_draws(count, size)) {
		draw(sample, count);
		return;
	}
	sample->choice = (struct kv_choice){count, size, kv_dice()};
	do
		cursor = rf_map_scan(sample->map, cursor, choose, sample);
	while (cursor != 0 && sample->choice.need > 0);
}

static bool parse(struct kv_call *call, int64_t *count, bool *values)
{
	if (!kv_arg_signed(call, 2, count))
		return false;
	*values = call->argc == 4 && kv_is(call->argv[3], "WITHVALUES");
	if (call->argc > 3 && !*values) {
		kv_reply_syntax(call);
		return false;
	}
	if (*values && (*count < -INT64_MAX / 2 || *count > INT64_MAX / 2)) {
		rf_resp_error(call->reply, "ERR value is out of range");
		return false;
	}
	return true;
}

void kv_cmd_hrandfield(struct kv_call *call)
{
	struct sample sample = {.call = call};
	struct kv_value *value;
	struct rf_item field;
	int64_t count = 0;

	if ((call->argc > 2 && !parse(call, &count, &sample.values)) ||
		!kv_look_kind(call, call->argv[1], KV_HASH, &value))
		return;
	if (call->argc == 2) {
		if (value != NULL && rf_map_random(kv_map_of(value),
					     kv_random(), &field, NULL))
			kv_reply_item(call, &field);
		else
			rf_resp_null(call->reply, call->proto);
		return;
	}
	if (value == NULL) {
		rf_resp_array(call->reply, 0);
		return;
	}
	sample.map = kv_map_of(value);
	if (count < 0)
		reply_any(&sample, (uint64_t)-count);
	else
		reply_distinct(&sample, (uint64_t)count);
}
