/* SPDX-License-Identifier: MIT */
/* crash_kv_hash.c -- death in the commands on hashes.
 *
 * Each on a small one in its compact form and on one that is a dict, for one
 * of its values is long.
 */
#include "front_kv.h"

#define S20   "abcdefghijklmnopqrst"
#define LONG  S20 S20 S20 "uvwxyz"
#define SMALL "1 HSET h a 1 b 2.5 c x 4 d"
#define DICT  SMALL, "1 HSET h long " LONG

/* A command whose reply does not depend on the form. */
#define BOTH(name, told, command, ...)                                         \
	KV(name, told, command, SMALL, ##__VA_ARGS__),                         \
		KV(name "_of_a_dict", told, command, DICT, ##__VA_ARGS__)

static const struct scenario scenarios[] = {
	KV("hset_of_the_first_field", ":1", "HSET h a 1"),
	KV("hset_of_the_first_field_as_a_dict", ":1", "HSET h a " LONG),
	BOTH("hset_of_a_new_field", ":1", "HSET h x 300"),
	BOTH("hset_of_the_same_length", ":0", "HSET h c y"),
	BOTH("hset_of_a_longer_value", ":0", "HSET h a " S20 S20),
	BOTH("hset_of_many", ":2", "HSET h a y new -7 b z " S20 " 1"),
	KV("hset_that_makes_it_a_dict", ":1", "HSET h x " LONG, SMALL),
	KV("hset_of_a_value_that_makes_it_a_dict", ":0", "HSET h a " LONG,
		SMALL),
	KV("hset_of_a_shorter_value", ":0", "HSET h long x", DICT),
	BOTH("hmset", "+OK", "HMSET h a 7 z 8"),
	BOTH("hsetnx", ":1", "HSETNX h new 1"),
	BOTH("hsetnx_of_what_is_there", ":0", "HSETNX h a 2"),
	BOTH("hget", "$3|2.5", "HGET h b"),
	BOTH("hmget", "*3|$1|d|$-1|$1|1", "HMGET h 4 x a"),
	KV("hgetall", "*4|$1|a|$1|1|$1|b|$1|2", "HGETALL h",
		"1 HSET h a 1 b 2"),
	KV("hkeys", "*1|$1|a", "HKEYS h", "1 HSET h a " LONG),
	KV("hvals", "*1|$66|" LONG, "HVALS h", "1 HSET h a " LONG),
	BOTH("hexists", ":1", "HEXISTS h a"),
	BOTH("hstrlen", ":3", "HSTRLEN h b"),
	KV("hlen", ":5", "HLEN h", DICT),
	BOTH("hdel", ":1", "HDEL h b"),
	BOTH("hdel_of_many", ":3", "HDEL h 4 a x c"),
	KV("hdel_of_all", ":2", "HDEL h a b", "1 HSET h a 1 b 2"),
	KV("hdel_of_all_of_a_dict", ":2", "HDEL h a b",
		"1 HSET h a " LONG " b 2"),
	BOTH("hincrby", ":300", "HINCRBY h a 299"),
	BOTH("hincrby_of_nothing", ":-5", "HINCRBY h x -5"),
	BOTH("hincrbyfloat", "$1|4", "HINCRBYFLOAT h b 1.5"),
	KV("hrandfield", "*4|$1|a|$1|1|$1|a|$1|1", "HRANDFIELD h -2 WITHVALUES",
		"1 HSET h a 1"),
	KV("hrandfield_of_distinct_fields", "*1|$1|a", "HRANDFIELD h 5",
		"1 HSET h a " LONG),
	KV("hscan", "*2|$1|0|*2|$1|a|$1|1", "HSCAN h 0 MATCH a", SMALL),
	KV("del", ":1", "DEL h", DICT),
	KV("an_error", "-ERR hash value is not an integer", "HINCRBY h c 1",
		SMALL),
	KV("a_wrong_type",
		"-WRONGTYPE Operation against a key holding the wrong kind of "
		"value",
		"HSET s a 1", "1 SET s x"),
};

int main(int argc, char **argv)
{
	(void)argc;
	return sweep_main(
		argv, scenarios, sizeof scenarios / sizeof *scenarios);
}
