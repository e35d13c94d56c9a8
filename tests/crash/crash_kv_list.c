/* SPDX-License-Identifier: MIT */
/* crash_kv_list.c -- death in the commands on lists.
 *
 * Each on a small one in its compact form and on one that is a tree, for its
 * packs hold two elements at most.
 */
#include "front_kv.h"

#define S20   "abcdefghijklmnopqrst"
#define LONG  S20 S20 S20 "uvwxyz"
#define SMALL "1 RPUSH l a b c 4 b f"
#define TREE  "1 CONFIG SET list-max-listpack-size 2", SMALL
#define OTHER "1 RPUSH m x y"
#define SIX   "1 RPUSH l a 1 a 2 a 3 a 4 a 5 a 6"

/* A command whose reply does not depend on the form. */
#define BOTH(name, told, command, ...)                                         \
	KV(name, told, command, SMALL, ##__VA_ARGS__),                         \
		KV(name "_of_a_tree", told, command, TREE, ##__VA_ARGS__)

static const struct scenario scenarios[] = {
	KV("lpush_of_the_first_element", ":1", "LPUSH l a"),
	BOTH("lpush", ":7", "LPUSH l z"),
	BOTH("rpush_of_many", ":9", "RPUSH l 77 " LONG " z"),
	BOTH("lpushx", ":8", "LPUSHX l y " S20),
	BOTH("rpushx", ":7", "RPUSHX l -300"),
	KV("rpushx_of_nothing", ":0", "RPUSHX l a", OTHER),
	KV("rpush_that_makes_it_a_tree", ":3", "RPUSH l c",
		"1 CONFIG SET list-max-listpack-size 2", "1 RPUSH l a b"),
	BOTH("lpop", "$1|a", "LPOP l"),
	BOTH("rpop", "$1|f", "RPOP l"),
	BOTH("lpop_of_many", "*3|$1|a|$1|b|$1|c", "LPOP l 3"),
	BOTH("rpop_of_many", "*4|$1|f|$1|b|$1|4|$1|c", "RPOP l 4"),
	BOTH("rpop_of_all", "*6|$1|f|$1|b|$1|4|$1|c|$1|b|$1|a", "RPOP l 100"),
	KV("lpop_of_the_last_element", "$1|a", "LPOP l", "1 RPUSH l a"),
	BOTH("llen", ":6", "LLEN l"),
	BOTH("lindex", "$1|4", "LINDEX l -3"),
	BOTH("lset", "+OK", "LSET l 3 x"),
	BOTH("lset_of_a_longer_one", "+OK", "LSET l -1 " LONG),
	BOTH("linsert", ":7", "LINSERT l BEFORE 4 x"),
	BOTH("linsert_of_a_long_one", ":7", "LINSERT l AFTER f " LONG),
	BOTH("linsert_of_none", ":-1", "LINSERT l AFTER x y"),
	BOTH("lrange", "*3|$1|b|$1|c|$1|4", "LRANGE l 1 3"),
	BOTH("ltrim", "+OK", "LTRIM l 1 3"),
	BOTH("ltrim_to_one", "+OK", "LTRIM l 4 4"),
	BOTH("ltrim_to_nothing", "+OK", "LTRIM l 6 7"),
	BOTH("lrem", ":2", "LREM l 0 b"),
	BOTH("lrem_from_the_tail", ":1", "LREM l -1 b"),
	KV("lrem_of_all", ":4", "LREM l 0 a", "1 RPUSH l a a a a"),
	KV("lrem_of_many", ":36", "LREM l 0 a", SIX, SIX, SIX, SIX, SIX, SIX),
	KV("lrem_of_many_from_the_tail", ":34", "LREM l -34 a", SIX, SIX, SIX,
		SIX, SIX, SIX),
	BOTH("lpos", "*2|:1|:4", "LPOS l b COUNT 0"),
	BOTH("lmove_to_a_new_list", "$1|a", "LMOVE l m LEFT RIGHT"),
	BOTH("lmove", "$1|f", "LMOVE l m RIGHT LEFT", OTHER),
	BOTH("lmove_within_a_list", "$1|a", "LMOVE l l LEFT RIGHT"),
	KV("lmove_of_the_last_element", "$1|1", "LMOVE x m LEFT RIGHT", OTHER,
		"1 RPUSH x 1"),
	BOTH("rpoplpush", "$1|f", "RPOPLPUSH l m", OTHER),
	KV("rpoplpush_of_a_long_one", "$66|" LONG, "RPOPLPUSH l l", SMALL,
		"1 RPUSH l " LONG),
	BOTH("lmpop", "*2|$1|l|*2|$1|f|$1|b", "LMPOP 2 none l RIGHT COUNT 2"),
	KV("lmpop_of_nothing", "*-1", "LMPOP 1 none LEFT", OTHER),
	BOTH("blpop", "*2|$1|l|$1|a", "BLPOP none l 0"),
	BOTH("brpop", "*2|$1|l|$1|f", "BRPOP none l 1"),
	BOTH("blmove", "$1|a", "BLMOVE l m LEFT LEFT 0", OTHER),
	BOTH("brpoplpush", "$1|f", "BRPOPLPUSH l m 0", OTHER),
	BOTH("blmpop", "*2|$1|l|*1|$1|a", "BLMPOP 0 2 none l LEFT"),
	KV("del", ":1", "DEL l", TREE),
	KV("an_error", "-ERR index out of range", "LSET l 10 x", SMALL),
	KV("a_wrong_type",
		"-WRONGTYPE Operation against a key holding the wrong kind of "
		"value",
		"LMOVE l s LEFT LEFT", SMALL, "1 SET s x"),
};

int main(int argc, char **argv)
{
	(void)argc;
	return sweep_main(
		argv, scenarios, sizeof scenarios / sizeof *scenarios);
}
