/* SPDX-License-Identifier: MIT */
/* scan.c -- going through the keys: KEYS, SCAN, RANDOMKEY.
 *
 * A scan must not change the dict, so expired keys are left out here and left
 * to their timers.
 */
#include "worker/kv/keys/keys.h"
#include <stdio.h>

#define SCAN_COUNT	10 /* when not asked otherwise */
#define SCAN_BUCKETS	10 /* at most, for each key wanted */
#define RANDOM_ATTEMPTS 100

struct pick {
	struct kv_call *call;
	struct rf_bytes pattern; /* at NULL: all */
	bool typed;
	enum kv_kind kind; /* then; KV_KIND_COUNT: one that does not exist */
	uint64_t seen;
	size_t picked;
};

static bool is_wanted_kind(
	const struct pick *p, const struct rf_dict_entry *entry)
{
	const struct kv_value *value;

	if (!p->typed)
		return true;
	value = kv_value_of(entry);
	return value != NULL && kv_kind_of(value) == p->kind;
}

static void pick(struct rf_dict_entry *entry, void *context)
{
	struct pick *p = context;

	p->seen++;
	if (kv_expired(entry, p->call->now_ms) || !is_wanted_kind(p, entry))
		return;
	if (p->pattern.at != NULL &&
		!kv_glob(p->pattern, entry->key, entry->key_bytes, false))
		return;
	rf_resp_bulk(p->call->reply, entry->key, entry->key_bytes);
	p->picked++;
}

void kv_cmd_keys(struct kv_call *call)
{
	struct pick p = {.call = call, .pattern = call->argv[1]};
	size_t mark = rf_reply_size(call->reply);
	uint64_t cursor = 0;

	if (p.pattern.bytes == 1 && p.pattern.at[0] == '*')
		p.pattern.at = NULL;
	do
		cursor = rf_dict_scan(&call->keys->dict, cursor, pick, &p);
	while (cursor != 0 && rf_tx_error() == 0);
	rf_resp_array_at(call->reply, mark, p.picked);
}

static enum kv_kind kind_named(struct rf_bytes name)
{
	enum kv_kind kind = KV_STRING;

	while (kind < KV_KIND_COUNT && !kv_is(name, kv_kind_names[kind]))
		kind++;
	return kind;
}

static bool parse_scan(struct kv_call *call, struct pick *p, int64_t *count)
{
	for (uint32_t i = 2; i < call->argc; i += 2) {
		struct rf_bytes value;

		if (i + 1 == call->argc)
			goto err_syntax;
		value = call->argv[i + 1];
		if (kv_is(call->argv[i], "COUNT")) {
			if (!kv_arg_int(call, i + 1, count))
				return false;
			if (*count < 1)
				goto err_syntax;
		} else if (kv_is(call->argv[i], "MATCH")) {
			p->pattern = value;
		} else if (kv_is(call->argv[i], "TYPE")) {
			p->typed = true;
			p->kind = kind_named(value);
		} else {
			goto err_syntax;
		}
	}
	return true;

err_syntax:
	kv_reply_syntax(call);
	return false;
}

void kv_cmd_scan(struct kv_call *call)
{
	struct pick p = {.call = call};
	int64_t count = SCAN_COUNT;
	uint64_t cursor, wanted, buckets = 0;
	char head[64], text[24];
	size_t mark;

	if (!kv_arg_cursor(call, 1, &cursor) || !parse_scan(call, &p, &count))
		return;
	wanted = (uint64_t)count;
	mark = rf_reply_size(call->reply);
	do
		cursor = rf_dict_scan(&call->keys->dict, cursor, pick, &p);
	while (cursor != 0 && p.seen < wanted &&
		++buckets / SCAN_BUCKETS < wanted && rf_tx_error() == 0);
	rf_reply_insert(call->reply, mark, head,
		(size_t)snprintf(head, sizeof head,
			"*2\r\n$%d\r\n%s\r\n*%zu\r\n",
			snprintf(text, sizeof text, "%llu",
				(unsigned long long)cursor),
			text, p.picked));
}

void kv_cmd_randomkey(struct kv_call *call)
{
	struct rf_dict_entry *entry = NULL;

	for (int i = 0; i < RANDOM_ATTEMPTS && entry == NULL; i++) {
		entry = rf_dict_random(&call->keys->dict, kv_random());
		if (entry == NULL)
			break;
		entry = kv_live(
			call, (struct rf_bytes){entry->key, entry->key_bytes});
	}
	if (entry != NULL)
		rf_resp_bulk(call->reply, entry->key, entry->key_bytes);
	else
		rf_resp_null(call->reply, call->proto);
}
