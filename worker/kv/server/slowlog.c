/* SPDX-License-Identifier: MIT */
/* slowlog.c -- SLOWLOG: the commands that took longest lately.
 *
 * An entry is one run of bytes in a ring of the arena: a head, then texts,
 * each behind its length: who sent it, that client's name, the arguments.
 */
#include "worker/kv/client/clients.h"
#include "worker/kv/server/records.h"
#include <stdio.h>

#define ARGS_MAX      32
#define ARG_BYTES_MAX 128
#define MORE_BYTES    48 /* "... (123 more bytes)" */
#define TEXTS	      (2 + ARGS_MAX)
#define ENTRY_BYTES_MAX                                                        \
	(sizeof(struct head) +                                                 \
		TEXTS * (sizeof(uint32_t) + ARG_BYTES_MAX + MORE_BYTES))

struct head {
	uint64_t id;
	int64_t at_s;
	uint64_t us;
	uint64_t argc;
};

/* ---- writing ---- */

static char *put(char *to, const void *from, size_t bytes)
{
	memcpy(to, from, bytes);
	return to + bytes;
}

/* Cut, and said so. */
static char *put_text(char *to, struct rf_bytes text)
{
	char more[MORE_BYTES] = "";
	size_t bytes = text.bytes;
	uint32_t all;

	if (bytes > ARG_BYTES_MAX) {
		bytes = ARG_BYTES_MAX;
		snprintf(more, sizeof more, "... (%zu more bytes)",
			text.bytes - bytes);
	}
	all = (uint32_t)(bytes + strlen(more));
	to = put(to, &all, sizeof all);
	to = put(to, text.at, bytes);
	return put(to, more, strlen(more));
}

static struct rf_bytes text_of(const char *text)
{
	return (struct rf_bytes){text, strlen(text)};
}

/* Passwords are not for the log. */
static bool is_secret(const struct kv_call *call, uint32_t at)
{
	if (at == 0)
		return false;
	if (call->command->run == kv_cmd_auth)
		return true;
	if (call->command->run == kv_cmd_config_set)
		return at >= 3 && at % 2 == 1 &&
		       (kv_is(call->argv[at - 1], "requirepass") ||
			       kv_is(call->argv[at - 1], "masterauth") ||
			       kv_is(call->argv[at - 1], "masteruser"));
	if (call->command->run == kv_cmd_hello)
		return kv_is(call->argv[at - 1], "AUTH") ||
		       (at > 1 && kv_is(call->argv[at - 2], "AUTH"));
	return false;
}

static char *put_args(char *to, const struct kv_call *call, uint32_t count)
{
	char more[MORE_BYTES];

	for (uint32_t i = 0; i < count; i++) {
		struct rf_bytes arg = call->argv[i];

		if (i == ARGS_MAX - 1 && call->argc > ARGS_MAX) {
			snprintf(more, sizeof more, "... (%u more arguments)",
				call->argc - ARGS_MAX + 1);
			arg = text_of(more);
		} else if (is_secret(call, i)) {
			arg = text_of("(redacted)");
		}
		to = put_text(to, arg);
	}
	return to;
}

void kv_slowlog_add(const struct kv_call *call, uint64_t us)
{
	static char entry[ENTRY_BYTES_MAX];
	struct rf_history *slowlog = &kv_records()->slowlog;
	const struct kv_client *client = kv_client_of(call->conn);
	const char *name = client != NULL ? client->texts[CLIENT_NAME] : NULL;
	uint32_t count = call->argc < ARGS_MAX ? call->argc : ARGS_MAX;
	struct head head = {slowlog->added, call->now_ms / 1000, us, count};
	char *to = put(entry, &head, sizeof head);

	to = put_text(to, text_of(call->conn->peer));
	to = put_text(to, text_of(name != NULL ? name : ""));
	to = put_args(to, call, count);
	rf_history_add(slowlog, entry, (size_t)(to - entry));
}

/* ---- reading ---- */

static const char *reply_text(struct kv_call *call, const char *at)
{
	uint32_t bytes;

	memcpy(&bytes, at, sizeof bytes);
	rf_resp_bulk(call->reply, at + sizeof bytes, bytes);
	return at + sizeof bytes + bytes;
}

static const char *skip_text(const char *at)
{
	uint32_t bytes;

	memcpy(&bytes, at, sizeof bytes);
	return at + sizeof bytes + bytes;
}

static void reply_entry(struct kv_call *call, struct rf_bytes entry)
{
	const char *who = entry.at + sizeof(struct head), *at;
	struct head head;

	memcpy(&head, entry.at, sizeof head);
	rf_resp_array(call->reply, 6);
	rf_resp_int(call->reply, (int64_t)head.id);
	rf_resp_int(call->reply, head.at_s);
	rf_resp_int(call->reply, (int64_t)head.us);
	rf_resp_array(call->reply, head.argc);
	at = skip_text(skip_text(who));
	for (uint64_t i = 0; i < head.argc; i++)
		at = reply_text(call, at);
	reply_text(call, reply_text(call, who));
}

void kv_cmd_slowlog_get(struct kv_call *call)
{
	const struct rf_history *slowlog = &kv_records()->slowlog;
	uint32_t count = rf_history_count(slowlog);
	struct rf_bytes entry;
	int64_t asked = 10;

	if (call->argc > 3) {
		kv_bad_subcommand(call);
		return;
	}
	if (call->argc == 3 &&
		!kv_arg_range(call, 2, -1, INT64_MAX, &asked,
			"ERR count should be greater than or equal to -1"))
		return;
	if (asked >= 0 && asked < count)
		count = (uint32_t)asked;
	rf_resp_array(call->reply, count);
	for (uint32_t i = 0; i < count; i++)
		if (rf_history_get(slowlog, i, &entry))
			reply_entry(call, entry);
}

void kv_cmd_slowlog_len(struct kv_call *call)
{
	rf_resp_int(call->reply, rf_history_count(&kv_records()->slowlog));
}

void kv_cmd_slowlog_reset(struct kv_call *call)
{
	rf_history_clear(&kv_records()->slowlog);
	kv_reply_ok(call);
}

void kv_cmd_slowlog_help(struct kv_call *call)
{
	kv_help(call);
}
