/* SPDX-License-Identifier: MIT */
/* scan.c -- going through the keys: KEYS, SCAN, RANDOMKEY, DBSIZE.
 *
 * A scan must not change the dict, so expired keys are left out here and left
 * to the wheel.
 */
#include "kv.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#define SCAN_COUNT	10 /* when not asked otherwise */
#define SCAN_BUCKETS	10 /* at most, for each key wanted */
#define RANDOM_ATTEMPTS 100

struct pick {
	struct kv_call *call;
	struct rf_bytes pattern; /* at NULL: all */
	bool none;		 /* of another type */
	uint64_t seen;
	size_t picked;
};

static void pick(struct rf_dict_entry *entry, void *context)
{
	struct pick *p = context;

	p->seen++;
	if (p->none || kv_expired(entry, p->call->now_ms))
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
		cursor = rf_dict_scan(&kv_db->keys->dict, cursor, pick, &p);
	while (cursor != 0 && rf_tx_error() == 0);
	rf_resp_array_at(call->reply, mark, p.picked);
}

static bool parse_cursor(struct kv_call *call, uint64_t *cursor)
{
	struct rf_bytes arg = call->argv[1];
	uint64_t value = 0;
	bool good = true; /* nothing is 0 */

	for (size_t i = 0; i < arg.bytes; i++) {
		unsigned digit = (uint8_t)arg.at[i] - (unsigned)'0';

		good &= digit <= 9 &&
			!__builtin_mul_overflow(value, 10u, &value) &&
			!__builtin_add_overflow(value, digit, &value);
	}
	if (!good)
		rf_resp_error(call->reply, "ERR invalid cursor");
	*cursor = value;
	return good;
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
			p->none = !kv_is(value, "string");
		} else {
			goto err_syntax;
		}
	}
	return true;

err_syntax:
	rf_resp_error(call->reply, KV_ERR_SYNTAX);
	return false;
}

void kv_cmd_scan(struct kv_call *call)
{
	struct pick p = {.call = call};
	int64_t count = SCAN_COUNT;
	uint64_t cursor, wanted, buckets = 0;
	char head[64], text[24];
	size_t mark;

	if (!parse_cursor(call, &cursor) || !parse_scan(call, &p, &count))
		return;
	wanted = (uint64_t)count;
	mark = rf_reply_size(call->reply);
	do
		cursor = rf_dict_scan(&kv_db->keys->dict, cursor, pick, &p);
	while (cursor != 0 && p.seen < wanted &&
		++buckets / SCAN_BUCKETS < wanted && rf_tx_error() == 0);
	rf_reply_insert(call->reply, mark, head,
		(size_t)snprintf(head, sizeof head,
			"*2\r\n$%d\r\n%s\r\n*%zu\r\n",
			snprintf(text, sizeof text, "%llu",
				(unsigned long long)cursor),
			text, p.picked));
}

static uint64_t random_word(void)
{
	static uint64_t state; /* splitmix64 */
	uint64_t word;

	if (state == 0 && getrandom(&state, sizeof state, 0) < 0)
		state = 1;
	word = state += UINT64_C(0x9e3779b97f4a7c15);
	word = (word ^ word >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	word = (word ^ word >> 27) * UINT64_C(0x94d049bb133111eb);
	return word ^ word >> 31;
}

void kv_cmd_randomkey(struct kv_call *call)
{
	struct rf_dict_entry *entry = NULL;

	for (int i = 0; i < RANDOM_ATTEMPTS; i++) {
		entry = rf_dict_random(&kv_db->keys->dict, random_word());
		if (entry == NULL || !kv_expired(entry, call->now_ms))
			break;
		kv_delete(entry);
		entry = NULL;
	}
	if (entry != NULL)
		rf_resp_bulk(call->reply, entry->key, entry->key_bytes);
	else
		rf_resp_null(call->reply, call->proto);
}

void kv_cmd_dbsize(struct kv_call *call)
{
	rf_resp_int(call->reply, (int64_t)rf_dict_count(&kv_db->keys->dict));
}
