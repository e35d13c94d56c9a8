/* SPDX-License-Identifier: MIT */
/* move.c -- RENAME, MOVE and COPY: a value at another key. */
#include "worker/kv/keys/keys.h"

static bool expiry_of(const struct rf_dict_entry *entry, int64_t *at_ms)
{
	const struct kv_timer *timer = kv_timer_of(entry);

	if (timer != NULL)
		*at_ms = timer->timer.at_ms;
	return timer != NULL;
}

/* A value gets a key; `at_ms` is its expiry if there is one. */
static void place(struct kv_call *to, struct rf_bytes key,
	struct kv_value *value, bool expires, int64_t at_ms)
{
	struct rf_dict_entry *entry = kv_put(to, key, value);

	if (entry != NULL && expires)
		kv_expire_at(to, entry, at_ms);
}

/* Value and expiry of an entry of `from` go to a key of `to`. */
static void move(struct kv_call *from, struct rf_dict_entry *entry,
	struct kv_call *to, struct rf_bytes key)
{
	int64_t at_ms = 0;
	bool expires = expiry_of(entry, &at_ms);

	kv_persist(from, entry);
	place(to, key, entry->value, expires, at_ms);
	rf_dict_remove(&from->keys->dict, entry);
}

/* ---- RENAME ---- */

static struct rf_dict_entry *source(struct kv_call *call)
{
	struct rf_dict_entry *from = kv_find(call, call->argv[1]);

	if (from == NULL)
		rf_resp_error(call->reply, KV_ERR_NO_KEY);
	return from;
}

static void rename_to(struct kv_call *call, struct rf_dict_entry *from)
{
	move(call, from, call, call->argv[2]);
	kv_changed(call, call->argv[1], KV_CLASS_GENERIC, "rename_from");
	kv_changed(call, call->argv[2], KV_CLASS_GENERIC, "rename_to");
}

void kv_cmd_rename(struct kv_call *call)
{
	struct rf_dict_entry *from = source(call);

	if (from == NULL)
		return;
	if (!kv_same(call->argv[1], call->argv[2]))
		rename_to(call, from);
	kv_reply_ok(call);
}

void kv_cmd_renamenx(struct kv_call *call)
{
	struct rf_dict_entry *from = source(call);
	bool is_free;

	if (from == NULL)
		return;
	is_free = kv_find(call, call->argv[2]) == NULL;
	if (is_free)
		rename_to(call, from);
	rf_resp_int(call->reply, is_free);
}

/* ---- MOVE ---- */

static bool arg_db_number(struct kv_call *call, uint32_t index,
	const char *error, int64_t *number)
{
	struct rf_bytes arg = call->argv[index];

	if (!kv_parse_int(arg.at, arg.bytes, number))
		rf_resp_error(
			call->reply, "%s", error != NULL ? error : KV_ERR_INT);
	else if (*number != (int32_t)*number)
		rf_resp_error(call->reply, "%s",
			error != NULL ? error
				      : "ERR value is out of range, value must "
					"between -2147483648 and 2147483647");
	else
		return true;
	return false;
}

static bool is_db(struct kv_call *call, int64_t number, uint32_t *db)
{
	if (number < 0 || number >= kv_database_count()) {
		rf_resp_error(call->reply, "ERR DB index is out of range");
		return false;
	}
	*db = (uint32_t)number;
	return true;
}

/* The number of a database among the arguments. `error`: what to say when it is
 * no number; NULL: KV_ERR_INT. */
static bool arg_db(
	struct kv_call *call, uint32_t index, const char *error, uint32_t *db)
{
	int64_t number;

	return arg_db_number(call, index, error, &number) &&
	       is_db(call, number, db);
}

bool kv_args_two_dbs(struct kv_call *call, uint32_t *first, uint32_t *second)
{
	int64_t a, b;

	return arg_db_number(call, 1, "ERR invalid first DB index", &a) &&
	       arg_db_number(call, 2, "ERR invalid second DB index", &b) &&
	       is_db(call, a, first) && is_db(call, b, second);
}

/* The same call, in another database. */
static struct kv_call call_in(const struct kv_call *call, uint32_t db)
{
	struct kv_call there = *call;

	there.db = db;
	there.keys = kv_database(db);
	return there;
}

static void same_object(struct kv_call *call)
{
	rf_resp_error(
		call->reply, "ERR source and destination objects are the same");
}

void kv_cmd_move(struct kv_call *call)
{
	struct rf_bytes key = call->argv[1];
	struct rf_dict_entry *entry;
	struct kv_call there;
	uint32_t db;

	if (!arg_db(call, 2, NULL, &db))
		return;
	if (db == call->db) {
		same_object(call);
		return;
	}
	there = call_in(call, db);
	entry = kv_find(call, key);
	if (entry == NULL || kv_find(&there, key) != NULL) {
		rf_resp_int(call->reply, 0);
		return;
	}
	move(call, entry, &there, key);
	kv_changed(call, key, KV_CLASS_GENERIC, "move_from");
	kv_changed(&there, key, KV_CLASS_GENERIC, "move_to");
	rf_resp_int(call->reply, 1);
}

/* ---- COPY ---- */

static bool parse_copy(struct kv_call *call, uint32_t *db, bool *replace)
{
	for (uint32_t i = 3; i < call->argc; i++) {
		if (kv_is(call->argv[i], "REPLACE")) {
			*replace = true;
		} else if (kv_is(call->argv[i], "DB") && i + 1 < call->argc) {
			if (!arg_db(call, ++i, NULL, db))
				return false;
		} else {
			kv_reply_syntax(call);
			return false;
		}
	}
	return true;
}

void kv_cmd_copy(struct kv_call *call)
{
	struct rf_dict_entry *entry;
	struct kv_call there;
	int64_t at_ms = 0;
	uint32_t db = call->db;
	bool replace = false, expires;

	if (!parse_copy(call, &db, &replace))
		return;
	if (db == call->db && kv_same(call->argv[1], call->argv[2])) {
		same_object(call);
		return;
	}
	there = call_in(call, db);
	entry = kv_look(call, call->argv[1]);
	if (entry == NULL ||
		(kv_find(&there, call->argv[2]) != NULL && !replace)) {
		rf_resp_int(call->reply, 0);
		return;
	}
	expires = expiry_of(entry, &at_ms);
	place(&there, call->argv[2],
		kv_value_copy(kv_value_of(entry), call->now_ms), expires,
		at_ms);
	kv_changed(&there, call->argv[2], KV_CLASS_GENERIC, "copy_to");
	rf_resp_int(call->reply, 1);
}
