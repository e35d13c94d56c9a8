/* SPDX-License-Identifier: MIT */
/* list.c -- lists: their ends, elements by index, ranges. */
#include "worker/kv/list/list.h"

const char *const kv_list_pushed[2] = {"lpush", "rpush"};
const char *const kv_list_popped[2] = {"lpop", "rpop"};

bool kv_arg_end(struct kv_call *call, uint32_t index, enum rf_end *end)
{
	if (kv_is(call->argv[index], "LEFT")) {
		*end = RF_HEAD;
		return true;
	}
	if (kv_is(call->argv[index], "RIGHT")) {
		*end = RF_TAIL;
		return true;
	}
	kv_reply_syntax(call);
	return false;
}

/* ---- pushing ---- */

static void push(struct kv_call *call, struct kv_value *value, enum rf_end end)
{
	struct rf_list *list = kv_list_of(value);

	for (uint32_t i = 2; i < call->argc; i++)
		rf_list_push(list, end, call->argv[i].at, call->argv[i].bytes);
	rf_resp_int(call->reply, (int64_t)rf_list_count(list));
	kv_changed(call, call->argv[1], KV_CLASS_LIST, kv_list_pushed[end]);
}

static void push_or_create(struct kv_call *call, enum rf_end end)
{
	struct kv_value *value = kv_open(call, call->argv[1], KV_LIST);

	if (value != NULL)
		push(call, value, end);
}

static void push_if_there(struct kv_call *call, enum rf_end end)
{
	struct kv_value *value;

	if (!kv_find_kind(call, call->argv[1], KV_LIST, &value))
		return;
	if (value != NULL)
		push(call, value, end);
	else
		rf_resp_int(call->reply, 0);
}

void kv_cmd_lpush(struct kv_call *call)
{
	push_or_create(call, RF_HEAD);
}

void kv_cmd_rpush(struct kv_call *call)
{
	push_or_create(call, RF_TAIL);
}

void kv_cmd_lpushx(struct kv_call *call)
{
	push_if_there(call, RF_HEAD);
}

void kv_cmd_rpushx(struct kv_call *call)
{
	push_if_there(call, RF_TAIL);
}

/* ---- popping ---- */

void kv_list_pop(struct kv_call *call, struct rf_bytes key,
	struct rf_list *list, enum rf_end end, uint64_t count)
{
	uint64_t length = rf_list_count(list);
	struct rf_list_at at;
	struct rf_item item;

	rf_list_seek(list, kv_list_edge(list, end), &at);
	for (uint64_t i = 0; i < count; i++)
		if (end == RF_HEAD ? rf_list_next(&at, &item)
				   : rf_list_prev(&at, &item))
			kv_reply_item(call, &item);
	if (count == length) {
		kv_take_all(call, key, KV_CLASS_LIST, kv_list_popped[end]);
		return;
	}
	rf_list_remove(list, end == RF_HEAD ? 0 : length - count, count);
	kv_changed(call, key, KV_CLASS_LIST, kv_list_popped[end]);
}

static void pop(struct kv_call *call, enum rf_end end)
{
	bool many = call->argc == 3;
	int64_t wanted = 1;
	struct kv_value *value;
	uint64_t count;

	if (call->argc > 3) {
		kv_wrong_arity(call);
		return;
	}
	if ((many && !kv_arg_count(call, 2, &wanted)) ||
		!kv_find_kind(call, call->argv[1], KV_LIST, &value))
		return;
	if (value == NULL) {
		if (many)
			rf_resp_null_array(call->reply, call->proto);
		else
			rf_resp_null(call->reply, call->proto);
		return;
	}
	count = rf_list_count(kv_list_of(value));
	if (count > (uint64_t)wanted)
		count = (uint64_t)wanted;
	if (many)
		rf_resp_array(call->reply, count);
	if (count > 0)
		kv_list_pop(call, call->argv[1], kv_list_of(value), end, count);
}

void kv_cmd_lpop(struct kv_call *call)
{
	pop(call, RF_HEAD);
}

void kv_cmd_rpop(struct kv_call *call)
{
	pop(call, RF_TAIL);
}

/* ---- by index ---- */

void kv_cmd_llen(struct kv_call *call)
{
	struct kv_value *value;

	if (kv_look_kind(call, call->argv[1], KV_LIST, &value))
		rf_resp_int(call->reply,
			value != NULL
				? (int64_t)rf_list_count(kv_list_of(value))
				: 0);
}

/* Negative ones count from the end. What is outside stays outside. */
static uint64_t index_of(const struct rf_list *list, int64_t index)
{
	return index < 0 ? rf_list_count(list) + (uint64_t)index
			 : (uint64_t)index;
}

void kv_cmd_lindex(struct kv_call *call)
{
	struct kv_value *value;
	struct rf_list *list;
	struct rf_item item;
	int64_t index;

	if (!kv_look_kind(call, call->argv[1], KV_LIST, &value))
		return;
	if (value == NULL) {
		rf_resp_null(call->reply, call->proto);
		return;
	}
	if (!kv_arg_int(call, 2, &index))
		return;
	list = kv_list_of(value);
	if (rf_list_get(list, index_of(list, index), &item))
		kv_reply_item(call, &item);
	else
		rf_resp_null(call->reply, call->proto);
}

void kv_cmd_lset(struct kv_call *call)
{
	struct kv_value *value;
	struct rf_list *list;
	int64_t index;

	if (!kv_find_kind(call, call->argv[1], KV_LIST, &value))
		return;
	if (value == NULL) {
		rf_resp_error(call->reply, KV_ERR_NO_KEY);
		return;
	}
	if (!kv_arg_int(call, 2, &index))
		return;
	list = kv_list_of(value);
	if (index_of(list, index) >= rf_list_count(list)) {
		rf_resp_error(call->reply, "ERR index out of range");
		return;
	}
	rf_list_set(list, index_of(list, index), call->argv[3].at,
		call->argv[3].bytes);
	kv_changed(call, call->argv[1], KV_CLASS_LIST, "lset");
	kv_reply_ok(call);
}

/* ---- ranges ---- */

void kv_cmd_lrange(struct kv_call *call)
{
	struct kv_part part = {0, 0};
	struct kv_value *value;
	struct rf_list_at at;
	struct rf_item item;
	int64_t start, stop;

	if (!kv_arg_int(call, 2, &start) || !kv_arg_int(call, 3, &stop) ||
		!kv_look_kind(call, call->argv[1], KV_LIST, &value))
		return;
	if (value != NULL)
		part = kv_part_of(
			start, stop, rf_list_count(kv_list_of(value)));
	rf_resp_array(call->reply, part.count);
	if (part.count == 0)
		return;
	rf_list_seek(kv_list_of(value), part.first, &at);
	for (uint64_t i = 0; i < part.count && rf_list_next(&at, &item); i++)
		kv_reply_item(call, &item);
}

static void trim(
	struct kv_call *call, struct rf_list *list, struct kv_part keep)
{
	uint64_t behind = keep.first + keep.count;

	if (keep.count == 0) {
		kv_take_all(call, call->argv[1], KV_CLASS_LIST, "ltrim");
		return;
	}
	if (behind < rf_list_count(list))
		rf_list_remove(list, behind, rf_list_count(list) - behind);
	if (keep.first > 0)
		rf_list_remove(list, 0, keep.first);
	kv_changed(call, call->argv[1], KV_CLASS_LIST, "ltrim");
}

void kv_cmd_ltrim(struct kv_call *call)
{
	struct kv_value *value;
	int64_t start, stop;

	if (!kv_arg_int(call, 2, &start) || !kv_arg_int(call, 3, &stop) ||
		!kv_find_kind(call, call->argv[1], KV_LIST, &value))
		return;
	if (value != NULL)
		trim(call, kv_list_of(value),
			kv_part_of(
				start, stop, rf_list_count(kv_list_of(value))));
	kv_reply_ok(call);
}
