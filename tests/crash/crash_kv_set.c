/* SPDX-License-Identifier: MIT */
/* crash_kv_set.c -- death in the commands on sets.
 *
 * Each on one of numbers and on one that is a dict, for one of its members is
 * a word.
 */
#include "front_kv.h"

#define S20   "abcdefghijklmnopqrst"
#define SMALL "1 SADD s 1 2 3 4"
#define DICT  SMALL, "1 SADD s " S20
#define OTHER "1 SADD t 3 4 5"

/* Enough of them to draw lots for each. */
#define MANY "1 SADD m a b c d e f g h i j", "1 SADD m k l m n o p q r"

/* A command whose reply does not depend on the form. */
#define BOTH(name, told, command, ...)                                         \
	KV(name, told, command, SMALL, ##__VA_ARGS__),                         \
		KV(name "_of_a_dict", told, command, DICT, ##__VA_ARGS__)

/* A command with random choices. They stand under the log, so all who do it do
 * the same; but nobody knows what beforehand, so it is not told. */
#define CHANCE(name, command, ...)                                             \
	FRONT(name "_is_all_or_nothing", 1, "reply 1 \n",                      \
		.worker = &refork_worker, .forget = front_kv_forget,           \
		.said = SAID("open 1", "1 CLIENT REPLY OFF", ##__VA_ARGS__),   \
		.says = SAYS("1 " command))

static const struct scenario scenarios[] = {
	KV("sadd_of_the_first_number", ":1", "SADD s 1"),
	KV("sadd_of_the_first_word", ":1", "SADD s a"),
	BOTH("sadd_of_a_number", ":1", "SADD s 0"),
	BOTH("sadd_of_a_wider_number", ":1", "SADD s 70000"),
	BOTH("sadd_of_the_widest_number", ":1", "SADD s -5000000000"),
	BOTH("sadd_of_many", ":5", "SADD s 5 6 5 7 x y 1"),
	KV("sadd_that_makes_it_a_dict", ":1", "SADD s x", SMALL),
	BOTH("sadd_of_what_is_there", ":0", "SADD s 1 2"),
	BOTH("srem", ":1", "SREM s 2"),
	BOTH("srem_of_many", ":3", "SREM s 4 x 1 2"),
	BOTH("srem_of_all", ":4", "SREM s 1 2 3 4"),
	BOTH("smove", ":1", "SMOVE s t 1", OTHER),
	BOTH("smove_to_a_new_set", ":1", "SMOVE s t 1"),
	BOTH("smove_of_what_is_there", ":1", "SMOVE s t 3", OTHER),
	KV("smove_of_the_last_member", ":1", "SMOVE x t a", OTHER,
		"1 SADD x a"),
	BOTH("scard", ":3", "SCARD t", OTHER),
	BOTH("sismember", ":1", "SISMEMBER s 4"),
	BOTH("smismember", "*3|:1|:0|:1", "SMISMEMBER s 4 x 1"),
	KV("smembers", "*4|$1|1|$1|2|$1|3|$1|4", "SMEMBERS s", SMALL),
	KV("sscan", "*2|$1|0|*1|$1|3", "SSCAN s 0 MATCH 3", SMALL),
	KV("srandmember", "*3|$1|1|$1|1|$1|1", "SRANDMEMBER x -3",
		"1 SADD x 1"),
	KV("srandmember_of_distinct_members", "*1|$1|a", "SRANDMEMBER x 3",
		"1 SADD x a"),
	KV("spop_of_the_last_member", "$1|a", "SPOP x", "1 SADD x a"),
	KV("spop_of_all", "*4|$1|1|$1|2|$1|3|$1|4", "SPOP s 4", SMALL),
	CHANCE("spop_of_a_number", "SPOP s", SMALL),
	CHANCE("spop_of_a_word", "SPOP m", MANY),
	CHANCE("spop_of_a_few", "SPOP m 2", MANY),
	CHANCE("spop_of_many_numbers", "SPOP s 3", SMALL),
	CHANCE("spop_of_nearly_all_words", "SPOP m 15", MANY),
	CHANCE("spop_of_nearly_all_of_a_set_that_expires", "SPOP m 15", MANY,
		"1 PEXPIRE m 90000"),
	CHANCE("srandmember_of_a_few", "SRANDMEMBER m 2", MANY),
	BOTH("sinter", "*2|$1|3|$1|4", "SINTER s t", OTHER),
	BOTH("sintercard", ":1", "SINTERCARD 2 s t LIMIT 1", OTHER),
	BOTH("sunion", "*3|$1|3|$1|4|$1|5", "SUNION t t", OTHER),
	KV("sunion_of_many", "*3|$1|3|$1|4|$1|5", "SUNION t t t t t t t t t",
		OTHER),
	BOTH("sdiff", "*1|$1|5", "SDIFF t s", OTHER),
	BOTH("sinterstore", ":2", "SINTERSTORE r s t", OTHER),
	BOTH("sinterstore_over_its_source", ":2", "SINTERSTORE s s t", OTHER),
	BOTH("sinterstore_of_nothing", ":0", "SINTERSTORE t s none", OTHER),
	KV("sunionstore", ":5", "SUNIONSTORE r s t", SMALL, OTHER),
	KV("sunionstore_of_a_dict", ":6", "SUNIONSTORE t s t", DICT, OTHER),
	BOTH("sdiffstore", ":1", "SDIFFSTORE r t s", OTHER),
	KV("sdiffstore_over_a_string", ":2", "SDIFFSTORE x s t", SMALL, OTHER,
		"1 SET x " S20),
	KV("del", ":1", "DEL s", DICT),
	KV("an_error", "-ERR LIMIT can't be negative",
		"SINTERCARD 1 s LIMIT -1", SMALL),
	KV("a_wrong_type",
		"-WRONGTYPE Operation against a key holding the wrong kind of "
		"value",
		"SUNIONSTORE s x s", SMALL, "1 SET x x"),
};

int main(int argc, char **argv)
{
	(void)argc;
	return sweep_main(
		argv, scenarios, sizeof scenarios / sizeof *scenarios);
}
