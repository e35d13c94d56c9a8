/* SPDX-License-Identifier: MIT */
/* debug.c -- DEBUG: what test suites of clients ask for.
 *
 * Always allowed is what harms nobody. What kills the process, or keeps it
 * busy, needs [business] allow_crash_test. What only makes sense inside redis
 * is taken and does nothing.
 */
#include "worker/kv/server/debug.h"
#include "worker/kv/keys/access.h"
#include "worker/kv/server/records.h"
#include <refork/log.h>
#include <stdio.h>
#include <time.h>

static void accept(struct kv_call *call)
{
	kv_reply_ok(call);
}

/* The state survives the end of any process anyway: a new one goes on. */
static void reload(struct kv_call *call)
{
	rf_leave();
	kv_reply_ok(call);
}

static void nap(struct kv_call *call)
{
	double seconds;
	struct timespec time;

	if (!kv_arg_double(call, 2, &seconds))
		return;
	if (seconds < 0)
		seconds = 0;
	time.tv_sec = (time_t)seconds;
	time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
	nanosleep(&time, NULL);
	kv_reply_ok(call);
}

static void set_active_expire(struct kv_call *call)
{
	RF_SET(kv_root->expiry_off, kv_is(call->argv[2], "0"));
	kv_reply_ok(call);
}

static void stringmatch_len(struct kv_call *call)
{
	struct rf_bytes text = call->argv[3];

	rf_resp_int(call->reply,
		kv_glob(call->argv[2], text.at, text.bytes, false));
}

/* One line of it: what a client says is not to look like another line. */
static void to_log(struct kv_call *call)
{
	char text[256];
	size_t i = 0;

	for (; i < call->argv[2].bytes && i < sizeof text - 1; i++) {
		char c = call->argv[2].at[i];

		text[i] = c >= ' ' && c < 0x7f ? c : '?';
	}
	text[i] = '\0';
	rf_log(RF_LOG_WARNING, "DEBUG LOG: %s", text);
	kv_reply_ok(call);
}

static void error(struct kv_call *call)
{
	rf_resp_error(call->reply, "%.*s", (int)call->argv[2].bytes,
		call->argv[2].at);
}

/* ---- keys ---- */

static void object(struct kv_call *call)
{
	struct rf_dict_entry *entry = kv_live(call, call->argv[2]);
	const struct kv_value *value;
	char text[256];

	if (entry == NULL) {
		rf_resp_error(call->reply, KV_ERR_NO_KEY);
		return;
	}
	value = kv_value_of(entry);
	snprintf(text, sizeof text,
		"Value at:%p refcount:1 encoding:%s serializedlength:%zu "
		"lru:%u lru_seconds_idle:%llu",
		(const void *)value, kv_encoding_of(value),
		kv_value_memory(value), value->head & KV_ACCESS,
		(unsigned long long)kv_idle_seconds(value, call->now_ms));
	rf_resp_simple(call->reply, text);
}

static void reply_digest(struct kv_call *call, const struct kv_digest *digest)
{
	char text[41];

	kv_digest_print(digest, text);
	rf_resp_simple(call->reply, text);
}

static void digest_all(struct kv_call *call)
{
	struct kv_digest digest;

	kv_digest_all(&digest);
	reply_digest(call, &digest);
}

/* Zeros for a key that is not there. */
static void digest_value(struct kv_call *call)
{
	rf_resp_array(call->reply, call->argc - 2);
	for (uint32_t i = 2; i < call->argc; i++) {
		struct kv_digest digest = {{0}};
		struct rf_dict_entry *entry = kv_live(call, call->argv[i]);

		if (entry != NULL)
			kv_digest_value(&digest, kv_value_of(entry));
		reply_digest(call, &digest);
	}
}

static void htstats(struct kv_call *call)
{
	char text[256];
	const struct kv_keys *keys;
	int64_t db;

	if (!kv_arg_range(call, 2, 0, (int64_t)kv_database_count() - 1, &db,
		    "ERR Out of range database"))
		return;
	keys = kv_database((uint32_t)db);
	snprintf(text, sizeof text,
		"[Dictionary HT]\nHash table 0 stats (main hash table):\n"
		" table size: %llu\n number of elements: %llu\n"
		"[Expires HT]\nHash table 0 stats (main hash table):\n"
		" number of elements: %llu\n",
		(unsigned long long)keys->dict.bucket_count,
		(unsigned long long)rf_dict_count(&keys->dict),
		(unsigned long long)keys->timers.count);
	rf_resp_verbatim(call->reply, call->proto, text, strlen(text));
}

/* PREFIX:0 = value:0 and so on, those that are not there yet. */
static void populate(struct kv_call *call)
{
	struct rf_bytes prefix = {"key", 3};
	int64_t count, size = 0;

	if (!kv_arg_range(call, 2, 0, INT32_MAX, &count, NULL))
		return;
	if (call->argc > 3)
		prefix = call->argv[3];
	if (prefix.bytes > 256) {
		kv_reply_syntax(call);
		return;
	}
	if (call->argc > 4 && !kv_arg_range(call, 4, 0, 4096, &size, NULL))
		return;
	for (int64_t i = 0; i < count && rf_tx_error() == 0; i++) {
		char key[300], value[4200] = "";
		struct rf_bytes name = {key, 0};
		int bytes = snprintf(
			value, sizeof value, "value:%lld", (long long)i);

		name.bytes = (size_t)snprintf(key, sizeof key, "%.*s:%lld",
			(int)prefix.bytes, prefix.at, (long long)i);
		if (kv_live(call, name) == NULL)
			kv_set(call, name, value,
				size > 0 ? (size_t)size : (size_t)bytes, false);
	}
	kv_reply_ok(call);
}

/* ---- the table ---- */

enum { ANY = -1 };

static const struct debug {
	const char *name;
	int argc; /* with DEBUG and the name; ANY */
	void (*run)(struct kv_call *call);
	bool only_in_tests; /* with allow_crash_test */
	const char *syntax, *summary;
} debugs[] = {
	{"CHANGE-REPL-ID", 2, accept, false, "", "Nothing."},
	{"CONFIG-REWRITE-FORCE-ALL", 2, accept, false, "", "Nothing."},
	{"DICT-RESIZING", 3, accept, false, "<0|1>", "Nothing."},
	{"DIGEST", 2, digest_all, false, "", "One number for all data."},
	{"DIGEST-VALUE", ANY, digest_value, false, "<key> [<key> ...]",
		"One number for each value."},
	{"ERROR", 3, error, false, "<string>", "Answer with this error."},
	{"HTSTATS", 3, htstats, false, "<dbid>", "Keys and buckets."},
	{"JMAP", 2, accept, false, "", "Nothing."},
	{"LISTPACK", 3, accept, false, "<key>", "Nothing."},
	{"LOADAOF", 2, reload, false, "", "As RELOAD."},
	{"LOG", 3, to_log, false, "<message>", "Write a line to the log."},
	{"OBJECT", 3, object, false, "<key>", "What a value is."},
	{"PAUSE-CRON", 3, accept, false, "<0|1>", "Nothing."},
	{"POPULATE", ANY, populate, true, "<count> [<prefix>] [<size>]",
		"Make keys."},
	{"PROTOCOL", 3, kv_debug_protocol, false, "<type>",
		"A reply of this type."},
	{"QUICKLIST-PACKED-THRESHOLD", 3, accept, false, "<size>", "Nothing."},
	{"RELOAD", ANY, reload, false, "[option ...]",
		"Go on in another process."},
	{"REPLYBUFFER", ANY, accept, false, "...", "Nothing."},
	{"SET-ACTIVE-EXPIRE", 3, set_active_expire, false, "<0|1>",
		"Whether keys expire when nobody asks for them."},
	{"SET-DISABLE-DENY-SCRIPTS", 3, accept, false, "<0|1>", "Nothing."},
	{"SLEEP", 3, nap, false, "<seconds>", "Do nothing, for so long."},
	{"STRINGMATCH-TEST", 2, accept, false, "", "Nothing."},
	{"STRINGMATCH-LEN", 4, stringmatch_len, false, "<pattern> <text>",
		"Whether it matches."},
};

#define DEBUG_COUNT (sizeof debugs / sizeof debugs[0])

static void help_line(struct kv_call *call, const char *name, const char *rest)
{
	char text[128];

	snprintf(text, sizeof text, "%s%s", name, rest);
	rf_resp_simple(call->reply, text);
}

static void help(struct kv_call *call)
{
	static const char *const deaths[] = {
		"SEGFAULT", "ABORT", "PANIC", "SPIN", "OOPS-IN-TX"};

	rf_resp_array(call->reply,
		2 * DEBUG_COUNT + 2 * (sizeof deaths / sizeof *deaths) + 3);
	rf_resp_simple(call->reply,
		"DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands "
		"are:");
	for (size_t i = 0; i < DEBUG_COUNT; i++) {
		char name[64];

		snprintf(name, sizeof name, "%s%s", debugs[i].name,
			debugs[i].syntax[0] != '\0' ? " " : "");
		help_line(call, name, debugs[i].syntax);
		help_line(call, "    ", debugs[i].summary);
	}
	for (size_t i = 0; i < sizeof deaths / sizeof *deaths; i++) {
		rf_resp_simple(call->reply, deaths[i]);
		rf_resp_simple(call->reply,
			"    End the process, with allow_crash_test.");
	}
	rf_resp_simple(call->reply, "HELP");
	rf_resp_simple(call->reply, "    These lines.");
}

static bool may_crash(struct kv_call *call)
{
	if (!kv_env->allow_crash_test)
		rf_resp_error(call->reply,
			"ERR DEBUG %.*s not allowed. Set allow_crash_test = "
			"yes in the section [business] of the ini file and "
			"start again.",
			(int)call->argv[1].bytes, call->argv[1].at);
	return kv_env->allow_crash_test;
}

void kv_cmd_debug(struct kv_call *call)
{
	void (*die)(struct kv_call *) = kv_debug_death(call->argv[1]);

	if (call->argc == 2 && die != NULL) {
		if (may_crash(call))
			die(call);
		return;
	}
	if (call->argc == 2 && kv_is(call->argv[1], "HELP")) {
		help(call);
		return;
	}
	for (size_t i = 0; i < DEBUG_COUNT; i++) {
		if (!kv_is(call->argv[1], debugs[i].name) ||
			(debugs[i].argc != ANY &&
				(int)call->argc != debugs[i].argc))
			continue;
		if (!debugs[i].only_in_tests || may_crash(call))
			debugs[i].run(call);
		return;
	}
	kv_bad_subcommand(call);
}
