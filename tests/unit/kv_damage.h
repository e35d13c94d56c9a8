/* SPDX-License-Identifier: MIT */
/* kv_damage.h -- a kv worker with something of everything, and what can be read
 * of it.
 */
#ifndef KV_DAMAGE_H
#define KV_DAMAGE_H

#include "by_hand.h"
#include "worker/kv/client/clients.h"
#include "worker/kv/keys/root.h"
#include "worker/kv/server/records.h"
#include "worker/kv/walk.h"
#include <refork/pack.h>
#include <verify/verify.h>

extern const struct rf_worker refork_worker;

/* ---- making it ---- */

static inline const char *no_setting(const char *section_key)
{
	(void)section_key;
	return NULL;
}

static inline void say(unsigned client, const char *words)
{
	struct answer got;

	ask(CONN(client, client - 1), words);
	run_desk();
	while (take_answer(&got))
		;
	done_with_answers();
}

__attribute__((format(printf, 2, 3))) static inline void sayf(
	unsigned client, const char *format, ...)
{
	char words[4000];
	va_list args;

	va_start(args, format);
	vsnprintf(words, sizeof words, format, args);
	va_end(args);
	say(client, words);
}

static inline void make_keys(void)
{
	char text[1500];

	memset(text, 't', sizeof text);
	for (unsigned i = 0; i < 60; i++)
		sayf(1, "SET key:%u value:%u:%.*s", i, i, (int)i, text);
	sayf(1, "SET long %.*s", 1400, text);
	for (unsigned i = 0; i < 20; i++)
		sayf(1, "PEXPIREAT key:%u %llu", i,
			1999999999999ull + i * i * i * 977);
	say(1, "APPEND key:1 more");
	for (unsigned i = 0; i < 300; i++) {
		sayf(1, "RPUSH list element:%u:%.*s", i, 40, text);
		sayf(1, "SADD words word:%u", i);
		sayf(1, "ZADD scores %u.5 member:%u", i * 7 % 300, i);
		sayf(1, "HSET hash field:%u %u", i, i);
	}
	sayf(1, "HSET hash long:1 %.*s long:2 %.*s long:3 %s", 300, text, 90,
		text, "123456789012");
	say(1, "RPUSH few a 1 bb 22222 ccc");
	say(1, "SADD numbers 1 2 3 100 200 70000");
	say(1, "ZADD ranks 1 a 2 b 3.25 c 4 d");
	say(1, "HSET small f1 v1 f2 22 f3 vvv");
	say(1, "SELECT 3");
	say(1, "SET other db");
	say(1, "SELECT 0");
}

static inline void make_dead(void)
{
	say(1, "SELECT 5");
	for (unsigned i = 0; i < 100; i++)
		sayf(1, "SADD doomed word:%u", i);
	say(1, "UNLINK doomed");
	for (unsigned i = 0; i < 9; i++)
		sayf(1, "SET doomed:%u x EX 1000", i);
	say(1, "FLUSHDB");
	say(1, "SELECT 0");
}

static inline void make_clients(void)
{
	say(1, "CLIENT SETNAME ann");
	say(2, "WATCH key:1 key:2 nothing");
	say(2, "MULTI");
	say(2, "SET key:1 later");
	say(2, "INCR counter");
	say(3, "SUBSCRIBE news sports");
	say(3, "PSUBSCRIBE n*");
	say(4, "SUBSCRIBE news");
	say(5, "BLPOP queue:1 queue:2 1000");
	say(5, "PING"); /* behind it */
	say(6, "BLPOP queue:2 0");
	say(1, "CONFIG SET slowlog-log-slower-than 0");
	say(1, "CONFIG SET maxclients 777");
	for (unsigned i = 0; i < 5; i++)
		say(1, "PING");
	say(1, "CONFIG SET slowlog-log-slower-than -1");
	say(1, "CONFIG SET requirepass secret");
}

static inline int make_everything(void **state)
{
	static const struct rf_env env = {
		.struct_size = sizeof env,
		.service = "test",
		.worker_args = "",
		.setting = no_setting,
	};

	if (set_up(state) != 0)
		return -1;
	rf_tx_begin();
	rf_free(trial);
	rf_arena_set_state_version(refork_worker.state_version);
	if (refork_worker.build(&env) != 0 || rf_tx_commit() != 0)
		return -1;
	refork_worker.start(&env);
	desk.worker = &refork_worker;
	for (unsigned i = 1; i <= 6; i++)
		open_conn(CONN(i, i - 1));
	run_desk();
	make_keys();
	make_dead();
	make_clients();
	return 0;
}

/* ---- reading it, by the public calls ---- */

static uint64_t digest;

static inline void mix(const void *from, size_t bytes)
{
	const uint8_t *at = from;

	for (size_t i = 0; i < bytes; i++)
		digest = (digest ^ at[i]) * UINT64_C(0x100000001b3);
	digest = (digest ^ bytes) * UINT64_C(0x100000001b3);
}

static inline void mix_word(uint64_t word)
{
	mix(&word, sizeof word);
}

static inline void mix_item(const struct rf_item *item)
{
	mix(item->text.at, item->text.bytes);
}

/* In no order that means anything. */
static inline void add_up(void (*one)(const void *what), const void *what)
{
	uint64_t before = digest;

	digest = UINT64_C(0xcbf29ce484222325);
	one(what);
	digest += before;
}

struct pair {
	const struct rf_item *field, *value;
};

static inline void read_pair(const void *what)
{
	const struct pair *pair = what;

	mix_item(pair->field);
	if (pair->value != NULL)
		mix_item(pair->value);
}

static inline void on_pair(
	const struct rf_item *field, const struct rf_item *value, void *context)
{
	struct pair pair = {field, value};

	(void)context;
	add_up(read_pair, &pair);
}

static inline void on_member(const struct rf_item *member, void *context)
{
	on_pair(member, NULL, context);
}

static inline void read_list(const struct rf_list *list)
{
	struct rf_list_at at;
	struct rf_item item;

	rf_list_seek(list, 0, &at);
	while (rf_list_next(&at, &item))
		mix_item(&item);
}

static inline void read_sorted(const struct rf_sorted *sorted)
{
	struct rf_sorted_at at;
	struct rf_item member;
	double score, again;

	rf_sorted_seek_rank(sorted, 0, &at);
	while (rf_sorted_next(&at, &member, &score)) {
		mix_item(&member);
		mix(&score, sizeof score);
		again = -1;
		rf_sorted_score(
			sorted, member.text.at, member.text.bytes, &again);
		mix(&again, sizeof again);
	}
}

static inline void read_value(const struct kv_value *value)
{
	uint64_t cursor = 0;

	mix_word(kv_kind_of(value));
	mix_word(kv_value_count(value));
	switch (kv_kind_of(value)) {
	case KV_STRING:
		mix(value->body, value->bytes);
		break;
	case KV_LIST:
		read_list(kv_list_of(value));
		break;
	case KV_HASH:
		do
			cursor = rf_map_scan(
				kv_map_of(value), cursor, on_pair, NULL);
		while (cursor != 0);
		break;
	case KV_SET:
		do
			cursor = rf_set_scan(
				kv_set_of(value), cursor, on_member, NULL);
		while (cursor != 0);
		break;
	default:
		read_sorted(kv_sorted_of(value));
	}
}

static inline void read_key(const void *what)
{
	const struct rf_dict_entry *entry = what;
	const struct kv_timer *timer = kv_timer_of(entry);

	mix(entry->key, entry->key_bytes);
	mix_word(timer != NULL ? (uint64_t)timer->timer.at_ms : 0);
	read_value(kv_value_of(entry));
}

static inline void on_key(struct rf_dict_entry *entry, void *context)
{
	const struct rf_dict *dict = context;

	add_up(read_key, entry);
	if (rf_dict_find(dict, entry->key, entry->key_bytes) != entry)
		mix_word(0); /* nobody finds it */
}

static inline void read_dict(struct rf_dict *dict,
	void (*on_entry)(struct rf_dict_entry *entry, void *context))
{
	uint64_t cursor = 0;

	mix_word(rf_dict_count(dict));
	do
		cursor = rf_dict_scan(dict, cursor, on_entry, dict);
	while (cursor != 0);
}

static inline void read_name(const void *what)
{
	const struct rf_dict_entry *entry = what;

	mix(entry->key, entry->key_bytes);
}

static inline void on_name(struct rf_dict_entry *entry, void *context)
{
	(void)context;
	add_up(read_name, entry);
}

static inline void read_client(struct kv_client *client)
{
	for (int i = 0; i < TEXT_COUNT; i++)
		if (client->texts[i] != NULL)
			mix(client->texts[i], strlen(client->texts[i]));
	for (const struct kv_queued *at = client->queue; at != NULL;
		at = at->next)
		for (uint64_t i = 0; i < at->argc; i++)
			mix(at->argv[i].at, at->argv[i].bytes);
	for (int i = 0; i < KV_CHANNEL_KIND_COUNT; i++)
		read_dict(&client->subs[i], on_name);
	for (const struct kv_watch *at = client->watches; at != NULL;
		at = at->more)
		mix(kv_spot_key(at->spot).at, kv_spot_key(at->spot).bytes);
	for (const struct kv_wait *at = client->waits; at != NULL;
		at = at->more)
		mix(kv_spot_key(at->spot).at, kv_spot_key(at->spot).bytes);
}

static inline void read_clients(void)
{
	struct rf_conn *conn = NULL;

	while ((conn = rf_conn_next(conn)) != NULL) {
		const struct rf_parked *at =
			(const struct rf_parked *)conn->own[RF_OWN_FIRST];

		mix_word(conn->id);
		mix_word(kv_state(conn));
		if (kv_client_of(conn) != NULL)
			read_client(kv_client_of(conn));
		for (; at != NULL; at = at->next)
			mix(at->payload, at->bytes);
	}
	for (int i = 0; i < KV_CHANNEL_KIND_COUNT; i++)
		read_dict(&kv_clients->channels[i], on_name);
	mix_word(kv_clients->pause);
	mix(kv_clients->password, kv_clients->password_bytes);
}

static inline void read_records(void)
{
	const struct rf_history *slowlog = &kv_records()->slowlog;
	struct rf_bytes entry;
	uint64_t cursor = 0;

	for (uint32_t i = 0; rf_history_get(slowlog, i, &entry); i++)
		mix(entry.at, entry.bytes);
	do
		cursor =
			rf_map_scan(&kv_records()->kept, cursor, on_pair, NULL);
	while (cursor != 0);
	mix(kv_settings, sizeof *kv_settings);
}

/* All that a client could ask for. */
static inline uint64_t read_everything(void)
{
	digest = 1;
	for (uint32_t db = 0; db < kv_database_count(); db++)
		read_dict(&kv_database(db)->dict, on_key);
	mix_word(kv_dead_count());
	read_clients();
	read_records();
	return digest;
}

#endif
