/* SPDX-License-Identifier: MIT */
/* crash_kv.c -- death in the commands of the kv worker.
 *
 * A line for each: what it is called, what it answers, the command, and the
 * commands before it.
 */
#include "front.h"
#include "worker/kv/kv.h"

extern const struct rf_worker refork_worker;

static struct image *forgetful;

static void forget_value(struct rf_dict_entry *entry, void *context)
{
	const struct kv_value *value = kv_value_of(entry);
	const char *end = value->text + value->bytes;

	(void)context;
	image_forget(forgetful, end,
		rf_usable(value) - sizeof *value - value->bytes);
}

static void forget_keys(const struct kv_keys *keys)
{
	uint64_t cursor = 0;

	do
		cursor = rf_dict_scan(&keys->dict, cursor, forget_value, NULL);
	while (cursor != 0);
}

/* Between the text of a value and the end of its block; see value.c. */
static void forget(struct image *image)
{
	forgetful = image;
	forget_keys(kv_db->keys);
	for (const struct kv_keys *at = kv_db->dead; at != NULL; at = at->next)
		forget_keys(at);
}

#define KV(name, told, command, ...)                                           \
	FRONT(name "_is_all_or_nothing", 1, "reply 1 " told "|\n",             \
		.worker = &refork_worker, .forget = forget,                    \
		.said = SAID("open 1", ##__VA_ARGS__),                         \
		.says = SAYS("1 " command))

/* The command, then ticks: `changes` transactions in all. */
#define KV_TICKS(name, changes, told, says_, ...)                              \
	FRONT(name "_is_done_step_by_step", changes, told,                     \
		.worker = &refork_worker, .forget = forget, .tick = true,      \
		.said = SAID("open 1", ##__VA_ARGS__), .says = says_)

#define S20 "abcdefghijklmnopqrst"
#define S60 S20 S20 S20
#define SIX                                                                    \
	"1 MSET a 1 b 2 c 3 d 4 e 5 f 6", "1 PEXPIRE b 900",                   \
		"1 PEXPIRE c 900", "1 PEXPIRE d 90000"

static const struct scenario scenarios[] = {
	KV("set_of_the_first_key", "+OK", "SET a b"),
	KV("set_of_a_new_key", "+OK", "SET g 7", SIX),
	KV("set_of_the_same_length", "+OK", "SET a xyz", "1 SET a abc"),
	KV("set_of_a_longer_value_in_its_block", "+OK", "SET a " S20 S20,
		"1 SET a " S20, "1 APPEND a b"),
	KV("set_of_a_shorter_value", "+OK", "SET a x", "1 SET a " S20),
	KV("set_of_a_value_that_needs_a_new_block", "+OK", "SET a " S60 S60,
		"1 SET a " S20),
	KV("set_that_ends_an_expiry", "+OK", "SET b x", SIX),
	KV("set_with_an_expiry", "+OK", "SET a x PX 5000", SIX),
	KV("set_with_keepttl", "+OK", "SET b " S60 " KEEPTTL", SIX),
	KV("set_that_gets", "$1|2", "SET b x GET", SIX),
	KV("set_of_an_expired_key", "+OK", "SET b x", SIX, "wait 5000"),
	KV("setnx", ":1", "SETNX g 7", SIX),
	KV("setex", "+OK", "SETEX g 10 7", SIX),
	KV("getset", "$1|1", "GETSET a 7", SIX),
	KV("getdel", "$1|2", "GETDEL b", SIX),
	KV("get", "$1|2", "GET b", SIX),
	KV("get_of_an_expired_key", "$-1", "GET b", SIX, "wait 5000"),
	KV("append_to_nothing", ":3", "APPEND g abc", SIX),
	KV("append_in_place", ":26", "APPEND a abcd", "1 SET a " S20,
		"1 APPEND a xy"),
	KV("append_that_needs_a_new_block", ":60", "APPEND a " S20 S20,
		"1 SET a " S20),
	KV("append_to_a_key_that_expires", ":61", "APPEND b " S60, SIX),
	KV("setrange_inside", ":20", "SETRANGE a 5 xyz", "1 SET a " S20),
	KV("setrange_beyond_the_end", ":33", "SETRANGE a 30 xyz",
		"1 SET a " S20),
	KV("incr_of_nothing", ":1", "INCR g", SIX),
	KV("incr", ":10", "INCR a", "1 SET a 9"),
	KV("decrby", ":-12", "DECRBY a 21", "1 SET a 9"),
	KV("incrbyfloat", "$3|9.5", "INCRBYFLOAT a 0.5", "1 SET a 9"),
	KV("mset", "+OK", "MSET a x b " S60 " g 7 a y", SIX),
	KV("msetnx", ":1", "MSETNX g 7 h 8", SIX),
	KV("del", ":1", "DEL a", SIX),
	KV("del_of_a_key_that_expires", ":1", "DEL b", SIX),
	KV("del_of_a_key_that_expires_with_another", ":1", "DEL c", SIX),
	KV("del_of_many", ":4", "DEL a b d f x", SIX),
	KV("del_of_the_last_key", ":1", "DEL a", "1 SET a 1"),
	KV("rename", "+OK", "RENAME a g", SIX),
	KV("rename_over_another", "+OK", "RENAME b d", SIX),
	KV("rename_to_itself", "+OK", "RENAME b b", SIX),
	KV("renamenx", ":1", "RENAMENX b g", SIX),
	KV("expire", ":1", "EXPIRE a 10", SIX),
	KV("expire_anew", ":1", "EXPIRE b 10", SIX),
	KV("expire_in_the_past", ":1", "EXPIRE b -1", SIX),
	KV("persist", ":1", "PERSIST b", SIX),
	KV("flushall", "+OK", "FLUSHALL", SIX),
	KV("client_setname", "+OK", "CLIENT SETNAME x", "1 CLIENT SETNAME y"),
	KV("an_error", "-ERR value is not an integer or out of range", "INCR a",
		"1 SET a x"),
	FRONT("a_client_with_a_name_leaves_at_once_or_not", 1, "",
		.worker = &refork_worker, .forget = forget,
		.said = SAID("open 1", "1 CLIENT SETNAME x",
			"1 CLIENT SETINFO LIB-NAME y"),
		.says = SAYS("close 1")),
	KV_TICKS("flushall_and_its_burial", 2, "reply 1 +OK|\n",
		SAYS("1 FLUSHALL"), SIX),
	KV_TICKS("a_second_flushall_and_its_burial", 4,
		"reply 1 +OK|\nreply 1 +OK|\n", SAYS("1 SET a b", "1 FLUSHALL"),
		SIX, "1 FLUSHALL"),
	KV_TICKS("expiry", 1, "", NOTHING, SIX, "tick", "wait 5000"),
	KV_TICKS("expiry_of_nothing_yet", 1, "", NOTHING, SIX, "tick",
		"wait 700"),
};

int main(int argc, char **argv)
{
	(void)argc;
	return sweep_main(
		argv, scenarios, sizeof scenarios / sizeof *scenarios);
}
