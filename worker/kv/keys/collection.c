/* SPDX-License-Identifier: MIT */
/* collection.c -- what commands on lists, hashes, sets and sorted sets have in
 * common.
 */
#include "worker/kv/keys/collection.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- coming and going ---- */

struct kv_value *kv_open(
	struct kv_call *call, struct rf_bytes key, enum kv_kind kind)
{
	struct kv_value *value;

	if (!kv_find_kind(call, key, kind, &value))
		return NULL;
	return value != NULL ? value : kv_create(call, key, kind);
}

void kv_take_all(struct kv_call *call, struct rf_bytes key, enum kv_class class,
	const char *event)
{
	kv_delete(call, kv_find(call, key));
	kv_changed(call, key, class, event);
	kv_changed(call, key, KV_CLASS_GENERIC, "del");
}

void kv_store(struct kv_call *call, struct rf_bytes key, struct kv_value *value,
	enum kv_class class, const char *event)
{
	uint64_t count = kv_value_count(value);
	struct rf_dict_entry *entry;

	if (count > 0) {
		kv_put(call, key, value);
		kv_changed(call, key, class, event);
	} else {
		kv_value_drop(value);
		entry = kv_find(call, key);
		if (entry != NULL) {
			kv_delete(call, entry);
			kv_changed(call, key, KV_CLASS_GENERIC, "del");
		}
	}
	rf_resp_int(call->reply, (int64_t)count);
}

/* ---- arguments ---- */

bool kv_arg_signed(struct kv_call *call, uint32_t index, int64_t *out)
{
	if (!kv_arg_int(call, index, out))
		return false;
	if (*out >= -INT64_MAX)
		return true;
	rf_resp_error(call->reply,
		"ERR value is out of range, value must between "
		"-9223372036854775807 and 9223372036854775807");
	return false;
}

bool kv_arg_count(struct kv_call *call, uint32_t index, int64_t *out)
{
	return kv_arg_range(call, index, 0, INT64_MAX, out,
		"ERR value is out of range, must be positive");
}

struct kv_part kv_part_of(int64_t start, int64_t stop, uint64_t length)
{
	int64_t end = (int64_t)length;

	if (start < 0)
		start = start + end < 0 ? 0 : start + end;
	if (stop < 0)
		stop += end;
	if (stop >= end)
		stop = end - 1;
	if (start > stop)
		return (struct kv_part){0, 0};
	return (struct kv_part){(uint64_t)start, (uint64_t)(stop - start) + 1};
}

/* ---- scans ---- */

#define SCAN_COUNT 10 /* when not asked otherwise */
#define SCAN_STEPS 10 /* at most, for each element wanted */

static bool parse_options(struct kv_call *call, struct kv_scan *scan)
{
	int64_t count;

	for (uint32_t i = 3; i < call->argc; i += 2) {
		bool has_value = i + 1 < call->argc;

		if (has_value && kv_is(call->argv[i], "COUNT")) {
			if (!kv_arg_int(call, i + 1, &count))
				return false;
			if (count < 1)
				goto err_syntax;
			scan->wanted = (uint64_t)count;
		} else if (has_value && kv_is(call->argv[i], "MATCH")) {
			scan->pattern = call->argv[i + 1];
		} else {
			goto err_syntax;
		}
	}
	return true;

err_syntax:
	kv_reply_syntax(call);
	return false;
}

bool kv_scan_begin(
	struct kv_call *call, enum kv_kind kind, struct kv_scan *scan)
{
	*scan = (struct kv_scan){.call = call, .wanted = SCAN_COUNT};
	if (!kv_arg_cursor(call, 2, &scan->cursor) ||
		!kv_look_kind(call, call->argv[1], kind, &scan->value))
		return false;
	scan->mark = rf_reply_size(call->reply);
	if (scan->value == NULL) { /* whatever the options */
		scan->cursor = 0;
		kv_scan_end(scan);
		return false;
	}
	return parse_options(call, scan);
}

bool kv_scan_wants(struct kv_scan *scan, const struct rf_item *item)
{
	scan->seen++;
	return scan->pattern.at == NULL ||
	       kv_glob(scan->pattern, item->text.at, item->text.bytes, false);
}

bool kv_scan_goes_on(struct kv_scan *scan)
{
	return scan->cursor != 0 && scan->seen < scan->wanted &&
	       ++scan->steps / SCAN_STEPS < scan->wanted && rf_tx_error() == 0;
}

void kv_scan_end(struct kv_scan *scan)
{
	char head[64], digits[RF_DECIMAL_MAX + 1];
	int bytes = snprintf(digits, sizeof digits, "%llu",
		(unsigned long long)scan->cursor);

	bytes = snprintf(head, sizeof head, "*2\r\n$%d\r\n%s\r\n*%zu\r\n",
		bytes, digits, scan->replied);
	rf_reply_insert(scan->call->reply, scan->mark, head, (size_t)bytes);
}

/* ---- random choice ---- */

/* xorshift64*: never 0. */
uint64_t kv_roll(struct kv_dice *dice)
{
	uint64_t state = dice->state;

	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	dice->state = state;
	return state * UINT64_C(0x2545f4914f6cdd1d);
}

bool kv_choose(struct kv_choice *choice)
{
	bool chosen = choice->need >= choice->left ||
		      kv_roll(&choice->dice) % choice->left < choice->need;

	choice->left--;
	choice->need -= chosen;
	return chosen;
}

bool kv_drawn_init(struct kv_drawn *drawn, size_t count)
{
	size_t slots = 8;

	while (slots < count * 2)
		slots *= 2;
	drawn->mask = slots - 1;
	drawn->slots = calloc(slots, sizeof *drawn->slots);
	if (drawn->slots == NULL)
		rf_tx_fail(-ENOMEM);
	return drawn->slots != NULL;
}

bool kv_drawn_add(struct kv_drawn *drawn, const void *address)
{
	uint64_t hash = (uintptr_t)address * UINT64_C(0x9e3779b97f4a7c15);
	size_t slot = (size_t)(hash >> 32) & drawn->mask;

	while (drawn->slots[slot] != NULL) {
		if (drawn->slots[slot] == address)
			return false;
		slot = (slot + 1) & drawn->mask;
	}
	drawn->slots[slot] = address;
	return true;
}

void kv_drawn_fini(struct kv_drawn *drawn)
{
	free(drawn->slots);
}
