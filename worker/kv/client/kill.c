/* SPDX-License-Identifier: MIT */
/* kill.c -- what one client does to others: CLIENT KILL, CLIENT UNBLOCK. */
#include "worker/kv/client/line.h"

/* What a connection must be to be ended; what is not set matches all. */
struct filter {
	int64_t id;			/* 0: any */
	int type;			/* -1: any */
	struct rf_bytes address, local; /* at NULL: any */
	bool skip_me;
};

static bool take_id(
	struct kv_call *call, struct rf_bytes value, struct filter *filter)
{
	if (kv_parse_int(value.at, value.bytes, &filter->id) && filter->id > 0)
		return true;
	rf_resp_error(call->reply, "ERR client-id should be greater than 0");
	return false;
}

static bool take_type(
	struct kv_call *call, struct rf_bytes value, struct filter *filter)
{
	enum kv_client_type type;

	if (!kv_type_parse(call, value, &type))
		return false;
	filter->type = (int)type;
	return true;
}

static bool take_address(
	struct kv_call *call, struct rf_bytes value, struct filter *filter)
{
	(void)call;
	filter->address = value;
	return true;
}

static bool take_local(
	struct kv_call *call, struct rf_bytes value, struct filter *filter)
{
	(void)call;
	filter->local = value;
	return true;
}

static bool take_user(
	struct kv_call *call, struct rf_bytes value, struct filter *filter)
{
	(void)filter;
	if (kv_same(value, (struct rf_bytes){"default", 7}))
		return true;
	rf_resp_error(call->reply, "ERR No such user '%.*s'", (int)value.bytes,
		value.at);
	return false;
}

static bool take_skip_me(
	struct kv_call *call, struct rf_bytes value, struct filter *filter)
{
	filter->skip_me = kv_is(value, "YES");
	if (filter->skip_me || kv_is(value, "NO"))
		return true;
	kv_reply_syntax(call);
	return false;
}

static const struct {
	const char *word;
	bool (*take)(struct kv_call *call, struct rf_bytes value,
		struct filter *filter);
} options[] = {
	{"ID", take_id},
	{"TYPE", take_type},
	{"ADDR", take_address},
	{"LADDR", take_local},
	{"USER", take_user},
	{"SKIPME", take_skip_me},
};
#define OPTION_COUNT (sizeof options / sizeof *options)

/* false: the error has been replied. */
static bool take_options(struct kv_call *call, struct filter *filter)
{
	for (uint32_t i = 2; i < call->argc; i += 2) {
		size_t at = 0;

		while (at < OPTION_COUNT &&
			!kv_is(call->argv[i], options[at].word))
			at++;
		if (at == OPTION_COUNT || i + 1 == call->argc) {
			kv_reply_syntax(call);
			return false;
		}
		if (!options[at].take(call, call->argv[i + 1], filter))
			return false;
	}
	return true;
}

static bool matches(const struct kv_call *call, const struct filter *filter,
	const struct rf_conn *conn)
{
	struct rf_bytes peer = {conn->peer, strlen(conn->peer)};

	if (filter->id != 0 && filter->id != (int64_t)rf_conn_serial(conn->id))
		return false;
	if (filter->type >= 0 && filter->type != (int)kv_type_of(conn))
		return false;
	if (filter->address.at != NULL && !kv_same(filter->address, peer))
		return false;
	if (filter->local.at != NULL &&
		!kv_same(filter->local, kv_local_address(conn)))
		return false;
	return conn != call->conn || !filter->skip_me;
}

/* What this very request pushes is for those who wait behind it. */
static void end(struct rf_conn *conn)
{
	if (kv_client_of(conn) != NULL)
		kv_block_end(kv_client_of(conn));
	rf_conn_close(conn);
}

/* Whoever ends itself still gets its answer. */
static int64_t kill_matching(struct kv_call *call, const struct filter *filter)
{
	struct rf_conn *conn = rf_conn_next(NULL), *next;
	int64_t count = 0;

	for (; conn != NULL; conn = next) {
		next = rf_conn_next(conn);
		if (!matches(call, filter, conn))
			continue;
		if (conn == call->conn)
			rf_reply_close(call->reply);
		else
			end(conn);
		count++;
	}
	return count;
}

void kv_cmd_client_kill(struct kv_call *call)
{
	struct filter filter = {.type = -1, .skip_me = true};

	if (call->argc == 3) {
		filter.address = call->argv[2];
		filter.skip_me = false;
		if (kill_matching(call, &filter) > 0)
			kv_reply_ok(call);
		else
			rf_resp_error(call->reply, "ERR No such client");
	} else if (take_options(call, &filter)) {
		rf_resp_int(call->reply, kill_matching(call, &filter));
	}
}

void kv_cmd_client_unblock(struct kv_call *call)
{
	enum kv_wait_end how = WAIT_TIMED_OUT;
	struct rf_conn *conn;
	struct kv_client *client;
	int64_t id;

	if (call->argc > 4) {
		kv_bad_subcommand(call);
		return;
	}
	if (call->argc == 4 && kv_is(call->argv[3], "ERROR")) {
		how = WAIT_UNBLOCKED;
	} else if (call->argc == 4 && !kv_is(call->argv[3], "TIMEOUT")) {
		rf_resp_error(call->reply,
			"ERR CLIENT UNBLOCK reason should be TIMEOUT or "
			"ERROR");
		return;
	}
	if (!kv_arg_int(call, 2, &id))
		return;
	conn = kv_conn_by_serial(id);
	client = conn != NULL ? kv_client_of(conn) : NULL;
	rf_resp_int(
		call->reply, client != NULL && kv_block_unblock(client, how));
}
