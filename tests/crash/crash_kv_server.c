/* SPDX-License-Identifier: MIT */
/* crash_kv_server.c -- death in the commands on the server as a whole.
 *
 * Replies that tell times, sizes and process numbers are not looked at: the
 * connection has asked for none.
 */
#include "front_kv.h"

#define QUIET(name, command, ...)                                              \
	FRONT(name "_is_all_or_nothing", 1, "reply 1 \n",                      \
		.worker = &refork_worker, .forget = front_kv_forget,           \
		.said = SAID("open 1", ##__VA_ARGS__, "1 CLIENT REPLY OFF"),   \
		.says = SAYS("1 " command))

#define SOME "1 MSET a 1 b 2 c 3", "1 PEXPIRE b 900", "1 RPUSH l 1 2 3"
#define LISTENING                                                              \
	"open 2", "2 SUBSCRIBE a", "open 3", "3 SSUBSCRIBE b", "open 4",       \
		"4 PSUBSCRIBE c*"
/* Every command is slow enough. */
#define SLOW "1 CONFIG SET slowlog-log-slower-than 0"

static const struct scenario scenarios[] = {
	/* databases */
	KV("flushall", "+OK", "FLUSHALL", SOME),
	KV("flushall_of_two", "+OK", "FLUSHALL ASYNC", SOME, "1 SELECT 3",
		SOME),
	KV("flushdb", "+OK", "FLUSHDB", SOME, "1 SELECT 3", SOME),
	KV("flushdb_of_nothing", "+OK", "FLUSHDB SYNC"),
	KV("swapdb", "+OK", "SWAPDB 0 3", SOME, "1 SELECT 3", "1 SET d 4"),
	KV("swapdb_of_a_watched_key", "+OK", "SWAPDB 0 3", SOME, "1 WATCH a"),
	KV("swapdb_with_itself", "+OK", "SWAPDB 3 3", SOME),
	KV("dbsize", ":4", "DBSIZE", SOME),
	QUIET("time", "TIME"),
	QUIET("save", "SAVE", SOME),
	QUIET("bgsave", "BGSAVE", SOME),
	QUIET("bgrewriteaof", "BGREWRITEAOF", SOME),
	QUIET("lastsave", "LASTSAVE", SOME),

	/* CONFIG */
	KV("config_set_of_a_number", "+OK", "CONFIG SET maxmemory 100mb"),
	KV("config_set_of_several", "+OK",
		"CONFIG SET maxmemory-policy allkeys-lru maxmemory-samples 7"),
	KV("config_set_of_a_limit", "+OK",
		"CONFIG SET set-max-intset-entries "
		"2",
		"1 SADD s 1 2 3"),
	KV("config_set_of_what_is_kept", "+OK", "CONFIG SET save x"),
	KV("config_set_of_what_is_kept_again", "+OK", "CONFIG SET hz 20 save y",
		"1 CONFIG SET save x"),
	KV("config_set_of_a_password", "+OK", "CONFIG SET requirepass x"),
	KV("config_set_of_the_events", "+OK",
		"CONFIG SET notify-keyspace-events KEA"),
	KV("config_set_that_makes_the_slowlog_shorter", "+OK",
		"CONFIG SET slowlog-max-len 1", SLOW, SOME),
	KV("config_set_that_fails",
		"-ERR CONFIG SET failed (possibly related "
		"to argument 'hz') - argument couldn't be "
		"parsed into an integer",
		"CONFIG SET maxmemory 1 hz x"),
	KV("config_get", "*2|$2|hz|$2|10", "CONFIG GET hz"),
	KV("config_resetstat", "+OK", "CONFIG RESETSTAT", SOME),
	QUIET("config_rewrite", "CONFIG REWRITE"),
	QUIET("config_help", "CONFIG HELP"),

	/* records */
	QUIET("info", "INFO server clients memory stats keyspace", SOME),
	KV("the_first_slow_command", "+OK", "SET a b", SLOW),
	KV("another_slow_command", "+OK", "SET a b", SLOW, SOME),
	KV("a_slow_command_that_drops_an_older_one", "+OK", "SET a b",
		"1 CONFIG SET slowlog-max-len 2", SLOW, SOME),
	QUIET("slowlog_get", "SLOWLOG GET", SLOW, SOME),
	KV("slowlog_len", ":1", "SLOWLOG LEN", SLOW),
	KV("slowlog_reset", "+OK", "SLOWLOG RESET", SLOW, SOME),
	QUIET("slowlog_help", "SLOWLOG HELP"),
	KV("latency_latest", "*0", "LATENCY LATEST", SOME),
	KV("latency_history", "*0", "LATENCY HISTORY command", SOME),
	KV("latency_reset", ":0", "LATENCY RESET", SOME),
	QUIET("latency_help", "LATENCY HELP"),
	QUIET("memory_usage", "MEMORY USAGE l SAMPLES 0", SOME),
	KV("memory_usage_of_an_expired_key", "$-1", "MEMORY USAGE b", SOME,
		"wait 5000"),
	QUIET("memory_stats", "MEMORY STATS", SOME),
	QUIET("memory_doctor", "MEMORY DOCTOR", SOME),
	KV("memory_purge", "+OK", "MEMORY PURGE", SOME),
	QUIET("memory_help", "MEMORY HELP"),

	/* COMMAND */
	QUIET("command_count", "COMMAND COUNT"),
	QUIET("command_docs", "COMMAND DOCS set"),
	QUIET("command_info", "COMMAND INFO set"),
	QUIET("command_list", "COMMAND LIST FILTERBY PATTERN h*"),
	KV("command_getkeys", "*1|$1|a", "COMMAND GETKEYS GET a"),
	KV("command_getkeysandflags", "*1|*2|$1|a|*2|+RO|+access",
		"COMMAND GETKEYSANDFLAGS GET a"),
	QUIET("command_help", "COMMAND HELP"),

	/* DEBUG */
	QUIET("debug_object", "DEBUG OBJECT a", SOME),
	QUIET("debug_digest", "DEBUG DIGEST", SOME),
	KV("debug_set_active_expire", "+OK", "DEBUG SET-ACTIVE-EXPIRE 0"),

	/* of other families: short ones, and what only asks */
	KV("auth", "+OK", "AUTH x", "1 CONFIG SET requirepass x"),
	FRONT("quit_is_all_or_nothing", 1, "reply 1! +OK|\n",
		.worker = &refork_worker, .forget = front_kv_forget,
		.said = SAID("open 1", SOME), .says = SAYS("1 QUIT")),
	KV("expireat", ":1", "EXPIREAT a 33177117420", SOME),
	KV("punsubscribe", "*3|$12|punsubscribe|$1|c|:1", "PUNSUBSCRIBE c",
		"1 PSUBSCRIBE c d"),
	KV("sunsubscribe", "*3|$12|sunsubscribe|$1|c|:1", "SUNSUBSCRIBE c",
		"1 SSUBSCRIBE c d"),
	QUIET("ping", "PING x"),
	QUIET("echo", "ECHO x"),
	QUIET("client_id", "CLIENT ID"),
	QUIET("client_info", "CLIENT INFO"),
	QUIET("client_list", "CLIENT LIST"),
	QUIET("client_getname", "CLIENT GETNAME", "1 CLIENT SETNAME x"),
	QUIET("client_help", "CLIENT HELP"),
	QUIET("object_help", "OBJECT HELP"),
	QUIET("pubsub_help", "PUBSUB HELP"),
	KV("pubsub_channels", "*1|$1|a", "PUBSUB CHANNELS a*", LISTENING),
	KV("pubsub_numpat", ":1", "PUBSUB NUMPAT", LISTENING),
	KV("pubsub_numsub", "*2|$1|a|:1", "PUBSUB NUMSUB a", LISTENING),
	KV("pubsub_shardchannels", "*1|$1|b", "PUBSUB SHARDCHANNELS",
		LISTENING),
	KV("pubsub_shardnumsub", "*2|$1|b|:1", "PUBSUB SHARDNUMSUB b",
		LISTENING),
	KV("expiretime", ":-1", "EXPIRETIME a", SOME),
	KV("pexpiretime", ":-2", "PEXPIRETIME x", SOME),
	KV("pttl", ":900", "PTTL b", SOME),

	/* scripts */
	KV("script_exists", "*1|:0", "SCRIPT EXISTS a"),
	KV("script_flush", "+OK", "SCRIPT FLUSH"),
	QUIET("script_help", "SCRIPT HELP"),
	KV("function_flush", "+OK", "FUNCTION FLUSH"),
	KV("function_list", "*0", "FUNCTION LIST"),
	QUIET("function_stats", "FUNCTION STATS"),
	QUIET("function_help", "FUNCTION HELP"),
};

int main(int argc, char **argv)
{
	(void)argc;
	return sweep_main(
		argv, scenarios, sizeof scenarios / sizeof *scenarios);
}
