/* SPDX-License-Identifier: MIT */
/* crash_kv_client.c -- death in commands on connections: transactions,
 * blocking, subscriptions, pauses.
 */
#include "forget.h"
#include "front_kv.h"
#include "worker/kv/client/clients.h"

static struct image *forgetful;

/* Keys of dicts, queued commands and names, to the ends of their blocks. */
static void forget_client(const struct kv_client *client)
{
	for (int i = 0; i < KV_CHANNEL_KIND_COUNT; i++)
		forget_dict(forgetful, &client->subs[i]);
	for (int i = 0; i < TEXT_COUNT; i++)
		if (client->texts[i] != NULL)
			forget_tail(forgetful, client->texts[i],
				strlen(client->texts[i]) + 1);
	for (const struct kv_queued *at = client->queue; at != NULL;
		at = at->next) {
		const struct rf_bytes *last = &at->argv[at->argc - 1];

		forget_tail(forgetful, at,
			(size_t)(last->at + last->bytes - (const char *)at));
	}
}

static void forget(struct image *image)
{
	front_kv_forget(image);
	forgetful = image;
	forget_dict(image, &kv_clients->spots);
	for (int i = 0; i < KV_CHANNEL_KIND_COUNT; i++)
		forget_dict(image, &kv_clients->channels[i]);
	if (kv_clients->password != NULL)
		forget_tail(image, kv_clients->password,
			kv_clients->password_bytes);
	for (struct rf_conn *conn = rf_conn_next(NULL); conn != NULL;
		conn = rf_conn_next(conn))
		if (kv_client_of(conn) != NULL)
			forget_client(kv_client_of(conn));
}

#define CLIENTS(name, changes, told, says_, ...)                               \
	FRONT(name "_is_all_or_nothing", changes, told,                        \
		.worker = &refork_worker, .forget = forget,                    \
		.said = SAID("open 1", "open 2", "open 3", ##__VA_ARGS__),     \
		.says = says_)
#define ONE(name, told, says_, ...)                                            \
	CLIENTS(name, 1, "reply 1 " told "|\n", SAYS("1 " says_), ##__VA_ARGS__)
#define TICKS(name, changes, told, says_, ...)                                 \
	FRONT(name "_is_all_or_nothing", changes, told,                        \
		.worker = &refork_worker, .forget = forget, .tick = true,      \
		.said = SAID("open 1", "open 2", "open 3", ##__VA_ARGS__),     \
		.says = says_)

/* It has killed, and is skipped. */
#define SKIPS(name, changes, told, says_, ...)                                 \
	FRONT(name "_is_skipped_all_or_nothing", changes, told,                \
		.worker = &refork_worker, .forget = forget, .attempts = 2,     \
		.said = SAID("open 1", "open 2", "open 3", ##__VA_ARGS__),     \
		.says = says_)
#define CRASHED                                                                \
	"CRASHED this request ended the business process twice and was "       \
	"skipped; nothing of it took effect"

static const struct scenario scenarios[] = {
	/* connections */
	ONE("setname", "+OK", "CLIENT SETNAME x", "1 CLIENT SETNAME y"),
	ONE("setinfo", "+OK", "CLIENT SETINFO LIB-NAME y"),
	ONE("select", "+OK", "SELECT 3"),
	ONE("hello",
		"%7|$6|server|$5|redis|$7|version|$6|7.0.15|$5|proto|:3|$2|id|:"
		"1|$4|mode|$10|standalone|$4|role|$6|master|$7|modules|*0",
		"HELLO 3 SETNAME me"),
	ONE("reset", "+RESET", "RESET", "1 CLIENT SETNAME x", "1 WATCH k",
		"1 MULTI", "1 SET k v", "1 SUBSCRIBE a"),
	ONE("client_reply_on", "+OK", "CLIENT REPLY ON", "1 CLIENT REPLY OFF"),
	CLIENTS("client_reply_skip", 1, "reply 1 \n",
		SAYS("1 CLIENT REPLY SKIP")),
	ONE("no_evict", "+OK", "CLIENT NO-EVICT ON"),
	CLIENTS("kill", 1,
		"reply 1 :1|\n"
		"push 2! \n",
		SAYS("1 CLIENT KILL TYPE pubsub"), "2 SUBSCRIBE a",
		"2 PSUBSCRIBE b*"),
	CLIENTS("kill_of_a_blocked_client", 2,
		"reply 1 :1|\n"
		"push 2! \n",
		SAYS("1 CLIENT KILL ID 2"), "2 BLPOP l m 0", "2 SET k v"),
	CLIENTS("the_end_of_a_client_with_everything", 1, "", SAYS("close 1"),
		"1 CLIENT SETNAME x", "1 SUBSCRIBE a", "1 WATCH k", "1 MULTI",
		"1 SET k v"),
	CLIENTS("the_end_of_a_blocked_client", 2, "", SAYS("close 1"),
		"1 BLPOP a b 0", "1 SET k v", "2 BLPOP a 0"),

	/* transactions */
	ONE("multi", "+OK", "MULTI"),
	ONE("queueing", "+QUEUED", "SET k v", "1 MULTI"),
	ONE("queueing_of_another", "+QUEUED", "SET k v", "1 MULTI", "1 GET k"),
	ONE("a_refusal_in_multi",
		"-ERR unknown command 'X', with args beginning with: ", "X",
		"1 MULTI"),
	ONE("exec", "*3|+OK|$1|v|:1", "EXEC", "1 MULTI", "1 SET k v", "1 GET k",
		"1 RPUSH l a"),
	ONE("exec_with_an_error_inside",
		"*3|+OK|-ERR value is not an integer or out of range|+OK",
		"EXEC", "1 MULTI", "1 SET k v", "1 INCR k", "1 SET m v"),
	ONE("exec_of_a_watched_key", "*-1", "EXEC", "1 WATCH k", "2 SET k 1",
		"1 MULTI", "1 SET k v"),
	ONE("exec_after_a_refusal",
		"-EXECABORT Transaction discarded because of previous errors.",
		"EXEC", "1 MULTI", "1 SET k v", "1 X"),
	ONE("discard", "+OK", "DISCARD", "1 WATCH k", "1 MULTI", "1 SET k v",
		"1 GET k"),
	ONE("watch", "+OK", "WATCH k m k", "2 WATCH m"),
	ONE("unwatch", "+OK", "UNWATCH", "2 WATCH k", "1 WATCH k m",
		"3 WATCH k"),
	ONE("a_change_of_a_watched_key", "+OK", "SET k v", "2 WATCH k",
		"3 WATCH k"),
	ONE("a_flush_of_watched_keys", "+OK", "FLUSHALL", "1 SET k v",
		"2 WATCH k m", "3 WATCH k"),

	/* blocking */
	CLIENTS("blocking", 1, "reply 1+ \n", SAYS("1 BLPOP l m l 0")),
	CLIENTS("blocking_for_a_time", 1, "reply 1+ \n", SAYS("1 BLPOP l 10"),
		"2 BLPOP l 20"),
	CLIENTS("waiting_behind", 1, "reply 1 \n", SAYS("1 SET k v"),
		"1 BLPOP l 0"),
	CLIENTS("a_push_and_the_pop_of_a_waiter", 2,
		"reply 1 :1|\n"
		"push 2- *2|$1|l|$1|a|\n",
		SAYS("1 RPUSH l a"), "2 BLPOP l m 0"),
	CLIENTS("a_push_for_two_waiters", 3,
		"reply 1 :2|\n"
		"push 2- *2|$1|l|$1|a|\n"
		"push 3- *2|$1|l|$1|b|\n",
		SAYS("1 RPUSH l a b"), "2 BLPOP l 5", "3 BLPOP l 0"),
	CLIENTS("a_push_for_one_of_two_waiters", 2,
		"reply 1 :1|\n"
		"push 2- *2|$1|l|$1|a|\n",
		SAYS("1 RPUSH l a"), "2 BLPOP l 5", "3 BLPOP l 0"),
	CLIENTS("a_push_that_moves_on", 3,
		"reply 1 :1|\n"
		"push 2- $1|a|\n"
		"push 3- *2|$1|m|$1|a|\n",
		SAYS("1 RPUSH l a"), "2 BLMOVE l m LEFT LEFT 0", "3 BLPOP m 0"),
	CLIENTS("an_exec_that_serves", 2,
		"reply 1 *2|:1|:2|\n"
		"push 2- *2|$1|l|$1|b|\n",
		SAYS("1 EXEC"), "2 BLPOP l 0", "1 MULTI", "1 RPUSH l a",
		"1 LPUSH l b"),
	CLIENTS("an_exec_that_leaves_nothing", 1, "reply 1 *2|:1|:1|\n",
		SAYS("1 EXEC"), "2 BLPOP l 0", "1 MULTI", "1 RPUSH l a",
		"1 DEL l"),
	CLIENTS("a_zadd_for_a_waiter", 2,
		"reply 1 :2|\n"
		"push 2- *3|$1|z|$1|a|$1|1|\n",
		SAYS("1 ZADD z 1 a 2 b"), "2 BZPOPMIN z 0"),
	CLIENTS("an_unblocking", 2,
		"reply 1 :1|\n"
		"push 2- -UNBLOCKED client unblocked via CLIENT UNBLOCK|\n",
		SAYS("1 CLIENT UNBLOCK 2 ERROR"), "2 BLPOP l 0"),
	TICKS("the_end_of_a_time_to_wait", 2, "push 1- *-1|\n", NOTHING,
		"1 BLPOP l m 1", "2 BLPOP l 0", "tick", "wait 2000"),

	/* pauses */
	ONE("pause", "+OK", "CLIENT PAUSE 1000 WRITE"),
	CLIENTS("a_pause_that_holds", 1, "reply 1+ \n", SAYS("1 SET k v"),
		"2 CLIENT PAUSE 1000"),
	CLIENTS("unpause", 3,
		"reply 2 +OK|\n"
		"push 1- +OK|\n"
		"push 3- +OK|\n",
		SAYS("2 CLIENT UNPAUSE"), "2 CLIENT PAUSE 1000 WRITE",
		"1 SET k v", "3 SET m v"),
	TICKS("the_end_of_a_pause", 2, "push 1- +OK|\n", NOTHING,
		"2 CLIENT PAUSE 1000 WRITE", "1 SET k v", "tick", "wait 2000"),

	/* subscriptions */
	CLIENTS("subscribe", 1,
		"reply 1+ "
		"*3|$9|subscribe|$1|a|:1|*3|$9|subscribe|$1|b|:2|*3|$9|"
		"subscribe|$1|a|:2|\n",
		SAYS("1 SUBSCRIBE a b a"), "2 SUBSCRIBE a"),
	CLIENTS("psubscribe", 1,
		"reply 1+ "
		"*3|$10|psubscribe|$2|a*|:1|*3|$10|psubscribe|$2|b*|:2|\n",
		SAYS("1 PSUBSCRIBE a* b*"), "2 PSUBSCRIBE a*"),
	CLIENTS("ssubscribe", 1, "reply 1+ *3|$10|ssubscribe|$1|a|:1|\n",
		SAYS("1 SSUBSCRIBE a")),
	ONE("unsubscribe", "*3|$11|unsubscribe|$1|b|:1", "UNSUBSCRIBE b",
		"1 SUBSCRIBE a b", "2 SUBSCRIBE b"),
	ONE("unsubscribe_from_all", "*3|$11|unsubscribe|$1|a|:1", "UNSUBSCRIBE",
		"1 SUBSCRIBE a", "1 PSUBSCRIBE p"),
	CLIENTS("publish", 1,
		"reply 1 :3|\n"
		"push 2 *3|$7|message|$2|ab|$2|hi|\n"
		"push 3 >4|$8|pmessage|$2|a*|$2|ab|$2|hi|\n"
		"push 2 *4|$8|pmessage|$1|*|$2|ab|$2|hi|\n",
		SAYS("1 PUBLISH ab hi"), "2 SUBSCRIBE ab", "3 HELLO 3",
		"3 PSUBSCRIBE a*", "2 PSUBSCRIBE *"),
	CLIENTS("spublish", 1,
		"reply 1 :1|\n"
		"push 2 *3|$8|smessage|$2|ab|$2|hi|\n",
		SAYS("1 SPUBLISH ab hi"), "2 SSUBSCRIBE ab"),
	CLIENTS("a_notification", 1,
		"reply 1 +OK|\n"
		"push 2 *4|$8|pmessage|$1|*|$16|__keyspace@0__:k|$3|set|\n"
		"push 2 *4|$8|pmessage|$1|*|$18|__keyevent@0__:set|$1|k|\n",
		SAYS("1 SET k v"), "1 CONFIG SET notify-keyspace-events KEA",
		"2 PSUBSCRIBE *"),
	ONE("a_message_to_oneself", ">3|$7|message|$1|a|$2|hi|:1",
		"PUBLISH a hi", "1 HELLO 3", "1 SUBSCRIBE a"),
	ONE("requirepass", "+OK", "CONFIG SET requirepass x"),

	/* requests that have killed */
	SKIPS("exec", 3, "error 1 " CRASHED "\nreply 1 $-1|\nreply 2 +OK|\n",
		SAYS("1 EXEC", "1 GET k", "2 SET w v"), "1 WATCH w", "1 MULTI",
		"1 SET k v", "1 GET k"),
	SKIPS("a_request_in_multi", 2,
		"error 1 " CRASHED "\n"
		"reply 1 -EXECABORT Transaction discarded because of previous "
		"errors.|\n",
		SAYS("1 SET m v", "1 EXEC"), "1 MULTI", "1 SET k v"),
	SKIPS("a_request_out_of_multi", 2,
		"error 1 " CRASHED "\nreply 1 $-1|\n",
		SAYS("1 SET k v", "1 GET k"), "1 CLIENT REPLY SKIP"),
	SKIPS("one_that_was_blocked", 1, "unasked error 1- " CRASHED "\n",
		SAYS("tick"), "1 BLPOP l m 1", "2 BLPOP l 0", "tick",
		"wait 2000"),
	SKIPS("one_that_was_paused", 1, "unasked error 1- " CRASHED "\n",
		SAYS("tick"), "2 CLIENT PAUSE 1000 WRITE", "1 SET k v", "tick",
		"wait 2000"),
};

int main(int argc, char **argv)
{
	(void)argc;
	return sweep_main(
		argv, scenarios, sizeof scenarios / sizeof *scenarios);
}
