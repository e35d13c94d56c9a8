/* SPDX-License-Identifier: MIT */
/* list_move.c -- from the first of several lists to the client, from one list
 * to another: at once, or as soon as there is something.
 *
 * A command that has waited is run again, whole, and is answered as if it came
 * only now.
 */
#include "worker/kv/client/client.h"
#include "worker/kv/list/list.h"
#include <errno.h>
#include <stdlib.h>

/* The first key that has a list; *value NULL: none has. */
static bool find_first(struct kv_call *call, const struct rf_bytes *keys,
	uint32_t count, struct rf_bytes *key, struct kv_value **value)
{
	*value = NULL;
	for (uint32_t i = 0; i < count && *value == NULL; i++) {
		*key = keys[i];
		if (!kv_find_kind(call, keys[i], KV_LIST, value))
			return false;
	}
	return true;
}

/* ---- BLPOP, BRPOP ---- */

static void pop_or_wait(struct kv_call *call, enum rf_end end)
{
	uint32_t last = call->argc - 1;
	struct kv_value *value;
	struct rf_bytes key;
	int64_t until_ms;

	if (!kv_arg_timeout(call, last, &until_ms) ||
		!find_first(call, call->argv + 1, last - 1, &key, &value))
		return;
	if (value == NULL) {
		kv_block(call, call->argv + 1, last - 1, KV_LIST, last);
		return;
	}
	rf_resp_array(call->reply, 2);
	rf_resp_bulk(call->reply, key.at, key.bytes);
	kv_list_pop(call, key, kv_list_of(value), end, 1);
}

void kv_cmd_blpop(struct kv_call *call)
{
	pop_or_wait(call, RF_HEAD);
}

void kv_cmd_brpop(struct kv_call *call)
{
	pop_or_wait(call, RF_TAIL);
}

/* ---- LMPOP, BLMPOP ---- */

struct many {
	const struct rf_bytes *keys;
	uint32_t key_count;
	enum rf_end end;
	uint64_t count;
};

/* Arguments from the number of keys on. */
static bool parse_many(struct kv_call *call, uint32_t at, struct many *many)
{
	int64_t keys, count = 1;
	uint32_t where;

	if (!kv_arg_range(call, at, 1, INT64_MAX, &keys,
		    "ERR numkeys should be greater than 0"))
		return false;
	if (keys >= call->argc - 1 - at)
		goto err_syntax;
	where = at + 1 + (uint32_t)keys;
	if (!kv_arg_end(call, where, &many->end))
		return false;
	if (where + 1 < call->argc) {
		if (where + 2 == call->argc ||
			!kv_is(call->argv[where + 1], "COUNT"))
			goto err_syntax;
		if (!kv_arg_range(call, where + 2, 1, INT64_MAX, &count,
			    "ERR count should be greater than 0"))
			return false;
		if (where + 3 < call->argc)
			goto err_syntax;
	}
	many->keys = call->argv + at + 1;
	many->key_count = (uint32_t)keys;
	many->count = (uint64_t)count;
	return true;

err_syntax:
	kv_reply_syntax(call);
	return false;
}

/* Whether it has been replied to. */
static bool pop_many(struct kv_call *call, const struct many *many)
{
	struct kv_value *value;
	struct rf_bytes key;
	uint64_t count;

	if (!find_first(call, many->keys, many->key_count, &key, &value))
		return true;
	if (value == NULL)
		return false;
	count = rf_list_count(kv_list_of(value));
	if (count > many->count)
		count = many->count;
	rf_resp_array(call->reply, 2);
	rf_resp_bulk(call->reply, key.at, key.bytes);
	rf_resp_array(call->reply, count);
	kv_list_pop(call, key, kv_list_of(value), many->end, count);
	return true;
}

void kv_cmd_lmpop(struct kv_call *call)
{
	struct many many;

	if (parse_many(call, 1, &many) && !pop_many(call, &many))
		rf_resp_null_array(call->reply, call->proto);
}

void kv_cmd_blmpop(struct kv_call *call)
{
	struct many many;
	int64_t until_ms;

	if (parse_many(call, 2, &many) && kv_arg_timeout(call, 1, &until_ms) &&
		!pop_many(call, &many))
		kv_block(call, many.keys, many.key_count, KV_LIST, 1);
}

/* ---- LMOVE, RPOPLPUSH, BLMOVE, BRPOPLPUSH ---- */

struct move {
	enum rf_end from, to;
};
static const struct move tail_to_head = {RF_TAIL, RF_HEAD};

/* Within one list; the element's bytes would move below the copying. */
static void rotate(
	struct rf_list *list, struct move move, const struct rf_item *item)
{
	size_t bytes = item->text.bytes;
	char *text = malloc(bytes + 1);

	if (text == NULL) {
		rf_tx_fail(-ENOMEM);
		return;
	}
	memcpy(text, item->text.at, bytes);
	rf_list_remove(list, kv_list_edge(list, move.from), 1);
	rf_list_push(list, move.to, text, bytes);
	free(text);
}

/* From the list `value` of the key argv[1] to the key argv[2]. */
static void move(struct kv_call *call, struct kv_value *value, struct move move)
{
	struct rf_list *from = kv_list_of(value), *to;
	struct kv_value *other = kv_open(call, call->argv[2], KV_LIST);
	struct rf_item item;

	if (other == NULL)
		return;
	to = kv_list_of(other);
	rf_list_get(from, kv_list_edge(from, move.from), &item);
	if (from == to) {
		kv_reply_item(call, &item);
		rotate(from, move, &item);
		kv_changed(call, call->argv[2], KV_CLASS_LIST,
			kv_list_pushed[move.to]);
		kv_changed(call, call->argv[1], KV_CLASS_LIST,
			kv_list_popped[move.from]);
		return;
	}
	rf_list_push(to, move.to, item.text.at, item.text.bytes);
	kv_changed(call, call->argv[2], KV_CLASS_LIST, kv_list_pushed[move.to]);
	kv_list_pop(call, call->argv[1], from, move.from, 1);
}

static void move_now(struct kv_call *call, struct move how)
{
	struct kv_value *value;

	if (!kv_find_kind(call, call->argv[1], KV_LIST, &value))
		return;
	if (value != NULL)
		move(call, value, how);
	else
		rf_resp_null(call->reply, call->proto);
}

static void move_or_wait(
	struct kv_call *call, struct move how, uint32_t timeout_index)
{
	struct kv_value *value;
	int64_t until_ms;

	if (!kv_arg_timeout(call, timeout_index, &until_ms) ||
		!kv_find_kind(call, call->argv[1], KV_LIST, &value))
		return;
	if (value != NULL)
		move(call, value, how);
	else
		kv_block(call, call->argv + 1, 1, KV_LIST, timeout_index);
}

static bool parse_move(struct kv_call *call, struct move *how)
{
	return kv_arg_end(call, 3, &how->from) && kv_arg_end(call, 4, &how->to);
}

void kv_cmd_lmove(struct kv_call *call)
{
	struct move how;

	if (parse_move(call, &how))
		move_now(call, how);
}

void kv_cmd_rpoplpush(struct kv_call *call)
{
	move_now(call, tail_to_head);
}

void kv_cmd_blmove(struct kv_call *call)
{
	struct move how;

	if (parse_move(call, &how))
		move_or_wait(call, how, 5);
}

void kv_cmd_brpoplpush(struct kv_call *call)
{
	move_or_wait(call, tail_to_head, 3);
}
