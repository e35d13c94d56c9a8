/* SPDX-License-Identifier: MIT */
/* crash_desk.c -- death between a request and its reply.
 *
 * The worker is a small one of the test's own: a dict of blocks, and a word or
 * two that each hook changes, so that nothing can be done twice unseen.
 */
#include "front.h"
#include <errno.h>
#include <refork/dict.h>
#include <refork/heap.h>
#include <refork/slot.h>
#include <refork/tx.h>
#include <stdlib.h>
#include <string.h>

static struct ledger {
	struct rf_dict dict; /* key -> block */
	uint64_t requests, ticks, closed;
} * ledger;

static int build(const struct rf_env *env)
{
	void *root;

	(void)env;
	if (rf_slot_open("ledger", "ledger", 1, sizeof *ledger, &root, NULL) !=
		0)
		return -ENOMEM;
	ledger = root;
	return 0;
}

static int verify(void)
{
	return rf_dict_check(&ledger->dict, "ledger");
}

static void closed(struct rf_conn *conn)
{
	RF_SET(ledger->closed, ledger->closed + conn->user[0] + 1);
}

/* What it had been told to keep goes. */
static void skipped(const struct rf_request *req)
{
	struct rf_dict_entry *entry =
		rf_dict_find(&ledger->dict, "prepared", 8);

	RF_SET(req->conn->user[0], 0);
	if (entry == NULL)
		return;
	rf_free(entry->value);
	rf_dict_remove(&ledger->dict, entry);
	rf_push(req->conn->id, "undone", 6);
}

static void resume_all(void)
{
	struct rf_conn *conn = NULL;

	while ((conn = rf_conn_next(conn)) != NULL)
		rf_conn_resume(conn);
}

static uint32_t tick(int64_t now_ms)
{
	struct rf_dict_entry *entry = rf_dict_find(&ledger->dict, "old", 3);

	(void)now_ms;
	if (rf_dict_find(&ledger->dict, "wake", 4) != NULL)
		resume_all();
	if (entry != NULL) {
		RF_SET(ledger->ticks, ledger->ticks + 1);
		rf_free(entry->value);
		rf_dict_remove(&ledger->dict, entry);
		rf_push(UINT64_C(1) << RF_CONN_SLOT_BITS | 1, "old is gone",
			11);
	}
	return 100;
}

/* ---- its commands ---- */

struct call {
	const struct rf_request *req;
	const struct rf_bytes *argv;
	struct rf_reply *reply;
};

static void say(struct call *call, const char *text)
{
	rf_reply_bytes(call->reply, text, strlen(text));
}

/* put KEY VALUE */
static void cmd_put(struct call *call)
{
	struct rf_bytes key = call->argv[1], value = call->argv[2];
	struct rf_dict_entry *entry =
		rf_dict_put(&ledger->dict, key.at, key.bytes, NULL);
	size_t bytes = value.bytes < 200 ? value.bytes : 200;
	char *block = rf_alloc(bytes);

	if (entry == NULL || block == NULL)
		return;
	memcpy(block, value.at, bytes);
	rf_free(entry->value);
	RF_SET(entry->value, block);
	say(call, "done");
}

static void cmd_del(struct call *call)
{
	struct rf_bytes key = call->argv[1];
	struct rf_dict_entry *entry =
		rf_dict_find(&ledger->dict, key.at, key.bytes);

	if (entry != NULL) {
		rf_free(entry->value);
		rf_dict_remove(&ledger->dict, entry);
	}
	say(call, entry != NULL ? "gone" : "there is none");
}

/* A reply for the large area, after one that had begun in the ring. */
static void cmd_large(struct call *call)
{
	char *to;

	say(call, "begins in the ring, ");
	to = rf_reply_room(call->reply, STAGE_LARGE_BYTES - 20);
	if (to == NULL)
		return;
	memcpy(to, "goes on in the area", 19);
	memcpy(to + STAGE_LARGE_BYTES - 24, "end", 3);
	rf_reply_took(call->reply, STAGE_LARGE_BYTES - 20);
}

/* More than the ring takes, to all. */
static void cmd_shout(struct call *call)
{
	static char text[STAGE_LARGE_BYTES];
	struct rf_conn *conn = NULL;

	memset(text, 'a', 16);
	while ((conn = rf_conn_next(conn)) != NULL)
		rf_push(conn->id, text, sizeof text);
	say(call, "shouted");
}

/* push N TEXT */
static void cmd_push(struct call *call)
{
	uint64_t number = strtoul(call->argv[1].at, NULL, 10);

	say(call, "pushed");
	rf_push(number << RF_CONN_SLOT_BITS | number, call->argv[2].at,
		call->argv[2].bytes);
}

/* A change that is too much in the end. */
static void cmd_exhaust(struct call *call)
{
	cmd_put(call);
	rf_alloc(300 * 4096);
	say(call, "never seen");
}

static void cmd_name(struct call *call)
{
	RF_SET(call->req->conn->user[0], call->argv[1].bytes);
	say(call, "named");
}

static void cmd_bye(struct call *call)
{
	say(call, "bye");
	rf_reply_close(call->reply);
}

/* park TEXT [more]: said once somebody goes; with more: once twice. */
static void cmd_park(struct call *call)
{
	struct rf_conn *conn = call->req->conn;
	uint64_t wanted = call->req->argc > 2 ? 2 : 1;

	if (conn->user[1] < wanted) {
		RF_SET(conn->user[1], conn->user[1] + 1);
		rf_request_park(call->req);
		return;
	}
	RF_SET(conn->user[1], 0);
	rf_reply_bytes(call->reply, call->argv[1].at, call->argv[1].bytes);
}

static void cmd_go(struct call *call)
{
	resume_all();
	say(call, "gone");
}

/* kick N */
static void cmd_kick(struct call *call)
{
	uint64_t number = strtoul(call->argv[1].at, NULL, 10);
	struct rf_conn *conn =
		rf_conn_find(number << RF_CONN_SLOT_BITS | number);

	say(call, "kicked");
	rf_push(conn->id, "out", 3);
	rf_conn_close(conn);
}

static void cmd_patient(struct call *call)
{
	struct rf_conn *conn = NULL;

	while ((conn = rf_conn_next(conn)) != NULL)
		rf_conn_set_patient(conn, call->argv[1].at[0] == 'y');
	say(call, "said");
}

static const struct {
	const char *name;
	void (*run)(struct call *call);
} commands[] = {
	{"put", cmd_put},
	{"del", cmd_del},
	{"large", cmd_large},
	{"push", cmd_push},
	{"exhaust", cmd_exhaust},
	{"name", cmd_name},
	{"bye", cmd_bye},
	{"park", cmd_park},
	{"go", cmd_go},
	{"kick", cmd_kick},
	{"patient", cmd_patient},
	{"shout", cmd_shout},
};

static void request(const struct rf_request *req, struct rf_reply *reply)
{
	struct call call = {req, req->argv, reply};

	RF_SET(ledger->requests, ledger->requests + 1);
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (strncmp(commands[i].name, req->argv[0].at,
			    req->argv[0].bytes) == 0)
			commands[i].run(&call);
}

static const struct rf_worker worker = {
	.magic = RF_WORKER_MAGIC,
	.struct_size = sizeof worker,
	.abi = RF_WORKER_ABI,
	.name = "crash",
	.version = "1",
	.build = build,
	.request = request,
	.tick = tick,
	.verify = verify,
	.closed = closed,
	.skipped = skipped,
};

#define OOM                                                                    \
	"OOM out of memory: the arena is at arena.max, or the system has "     \
	"none left"
#define CRASHED                                                                \
	"CRASHED this request ended the business process twice and was "       \
	"skipped; nothing of it took effect"

static const struct scenario scenarios[] = {
	FRONT("a_request_is_done_and_answered_once", 1, "reply 1 done\n",
		.worker = &worker, .said = SAID("open 1", "1 put a b"),
		.says = SAYS("1 put a longer_than_before")),
	FRONT("requests_in_a_row_are_each_done_and_answered_once", 4,
		"reply 1 done\nreply 2 done\nreply 1 gone\n"
		"reply 2 there is none\n",
		.worker = &worker, .said = SAID("open 1", "open 2"),
		.says = SAYS("1 put a b", "2 put c d", "1 del a", "2 del a")),
	FRONT("a_request_that_spans_the_end_of_its_ring_is_done_once", 2,
		"reply 1 done\nreply 1 done\n", .worker = &worker,
		.said = SAID("open 1"),
		.says = SAYS("1 put a bcdefghijklmnopq", "1 put c d"),
		.start = 5 * RF_RING_BYTES - 48),
	FRONT("a_reply_that_closes_is_sent_once", 1, "reply 1! bye\n",
		.worker = &worker, .said = SAID("open 1"),
		.says = SAYS("1 bye")),
	FRONT("a_connection_opens_once", 1, "", .worker = &worker,
		.said = SAID("open 1"), .says = SAYS("open 2")),
	FRONT("a_connection_closes_once", 1, "", .worker = &worker,
		.said = SAID("open 1", "open 2", "2 name xyz"),
		.says = SAYS("close 2")),
	FRONT("a_request_of_no_connection_is_refused_once", 1,
		"error 7! ERR no memory for this connection's record\n",
		.worker = &worker, .said = SAID("open 1"),
		.says = SAYS("7 put a b")),
	FRONT("a_reset_ends_each_connection_once", 4, "", .worker = &worker,
		.said = SAID("open 1", "1 name xyz", "open 2", "open 3"),
		.says = SAYS("reset")),
	FRONT("a_network_child_that_waits_for_room_is_woken", 1,
		"reply 1 done\n", .worker = &worker, .said = SAID("open 1"),
		.says = SAYS("1 put a b"), .waits = true),
	FRONT_LARGE("a_large_request_is_done_once", 2,
		"reply 1 done\nreply 1 done\n", .worker = &worker,
		.said = SAID("open 1"),
		.says = SAYS("1 put a @LARGE", "1 put c d")),
	FRONT_LARGE("a_large_reply_is_sent_once", 2,
		"reply 1 begins in the ring, goes on in the area...300000..."
		"end\nreply 1 done\n",
		.worker = &worker, .said = SAID("open 1"),
		.says = SAYS("1 large", "1 put c d")),
	FRONT("a_push_is_sent_once", 1, "reply 1 pushed\npush 2 hello\n",
		.worker = &worker, .said = SAID("open 1", "open 2"),
		.says = SAYS("1 push 2 hello")),
	FRONT("a_push_to_nobody_is_none", 1, "reply 1 pushed\n",
		.worker = &worker, .said = SAID("open 1"),
		.says = SAYS("1 push 9 hello")),
	FRONT("a_request_that_finds_no_memory_is_refused_once", 1,
		"error 1 " OOM "\n", .worker = &worker,
		.said = SAID("open 1", "1 put a b"),
		.says = SAYS("1 exhaust a c")),
	FRONT("a_quarantined_request_is_answered_once", 2,
		"error 1 " CRASHED "\nreply 1 done\n", .worker = &worker,
		.said = SAID("open 1"), .says = SAYS("1 put a b", "1 put c d"),
		.attempts = 2),
	FRONT_FRESH("a_new_channel_is_taken_over_once", 6, "reply 4 done\n",
		.worker = &worker,
		.said = SAID("open 1", "1 put a b", "1 name xyz", "open 2"),
		.says = SAYS("open 4", "4 put c d")),
	FRONT("a_request_parks_once", 2, "reply 1+ \nreply 1 \n",
		.worker = &worker, .said = SAID("open 1"),
		.says = SAYS("1 park a", "1 put a b")),
	FRONT("a_parked_request_goes_on_once", 3,
		"reply 2 gone\npush 1 a\npush 1- done\n", .worker = &worker,
		.said = SAID("open 1", "open 2", "1 park a", "1 put b c"),
		.says = SAYS("2 go")),
	FRONT("one_that_parks_again_waits_once_more", 5,
		"reply 1+ \nreply 2 gone\nreply 2 gone\npush 1- a\n",
		.worker = &worker, .said = SAID("open 1", "open 2"),
		.says = SAYS("1 park a more", "2 go", "2 go")),
	FRONT("several_go_on_and_one_behind_them_parks_in_its_turn", 7,
		"reply 3 gone\npush 1- a\npush 2 b\nreply 3 there is none\n"
		"reply 3 gone\npush 2- c\n",
		.worker = &worker,
		.said = SAID("open 1", "open 2", "open 3", "1 park a",
			"2 park b", "2 park c"),
		.says = SAYS("3 go", "3 del x", "3 go")),
	FRONT("a_parked_one_that_killed_is_given_up_once", 2,
		"unasked error 1 " CRASHED "\npush 1- done\n",
		.worker = &worker,
		.said = SAID("open 1", "1 park a", "1 put b c", "open 2",
			"2 put wake x"),
		.says = SAYS("tick"), .attempts = 2),
	FRONT("what_was_prepared_for_one_that_killed_goes_with_it", 1,
		"error 1 " CRASHED "\npush 1 undone\n", .worker = &worker,
		.said = SAID("open 1", "1 name xyz", "1 put prepared x"),
		.says = SAYS("1 put a b"), .attempts = 2),
	FRONT("what_was_prepared_for_a_parked_one_that_killed_goes_with_it", 1,
		"unasked error 1- " CRASHED "\npush 1 undone\n",
		.worker = &worker,
		.said = SAID("open 1", "1 park a", "open 2", "2 put prepared x",
			"2 put wake x"),
		.says = SAYS("tick"), .attempts = 2),
	FRONT("what_was_prepared_for_one_that_may_not_commit_goes_with_it", 1,
		"error 1 " OOM "\npush 1 undone\n", .worker = &worker,
		.said = SAID("open 1", "1 name xyz", "1 put prepared x"),
		.says = SAYS("1 exhaust b c")),
	FRONT("a_parked_one_that_may_not_commit_is_refused_once", 3,
		"reply 2 gone\npush 1 a\nunasked error 1- " OOM "\n",
		.worker = &worker,
		.said = SAID("open 1", "open 2", "1 park a", "1 exhaust b c"),
		.says = SAYS("2 go")),
	FRONT("who_closes_takes_what_waits_along", 2, "", .worker = &worker,
		.said = SAID("open 1", "1 park a", "1 put b c", "1 put d e"),
		.says = SAYS("close 1")),
	FRONT("who_is_kicked_takes_what_waits_along", 4,
		"reply 2 kicked\npush 1 out\npush 1! \n"
		"error 1! ERR no memory for this connection's record\n"
		"reply 2 gone\n",
		.worker = &worker,
		.said = SAID("open 1", "1 name xyz", "open 2", "1 park a",
			"1 put b c"),
		.says = SAYS("2 kick 1", "1 put d e", "2 go")),
	FRONT("a_reset_ends_those_that_wait", 4, "", .worker = &worker,
		.said = SAID("open 1", "1 park a", "1 put b c", "open 2",
			"2 park d"),
		.says = SAYS("reset")),
	FRONT_FRESH("a_new_channel_ends_those_that_wait", 6, "reply 4 done\n",
		.worker = &worker,
		.said = SAID("open 1", "1 park a", "1 put b c"),
		.says = SAYS("open 4", "4 put c d")),
	FRONT("patience_is_told_once", 2,
		"reply 1+ said\npush 2+ \nreply 1- said\npush 2- \n",
		.worker = &worker, .said = SAID("open 1", "open 2"),
		.says = SAYS("1 patient yes", "1 patient no")),
	FRONT_LARGE("many_pushes_are_sent_once", 2,
		"reply 1 shouted\n"
		"large push 1 aaaaaaaaaaaaaaaa...300000...\n"
		"large push 2 aaaaaaaaaaaaaaaa...300000...\n"
		"reply 1 done\n",
		.worker = &worker, .said = SAID("open 1", "open 2"),
		.says = SAYS("1 shout", "1 put c d")),
	FRONT("a_tick_does_its_work_once", 1, "push 1 old is gone\n",
		.worker = &worker, .said = SAID("open 1", "1 put old x"),
		.says = NOTHING, .tick = true),
};

int main(int argc, char **argv)
{
	(void)argc;
	return sweep_main(
		argv, scenarios, sizeof scenarios / sizeof *scenarios);
}
