/* SPDX-License-Identifier: MIT */
/* crash_kv_zset.c -- death in the commands on sorted sets.
 *
 * Each on a small one in its compact form and on one that is a tree, for one
 * of its members is long.
 */
#include "front_kv.h"

#define S20   "abcdefghijklmnopqrst"
#define LONG  S20 S20 S20 "uvwxyz"
#define SMALL "1 ZADD z 1 a 2 b 3 c 4 d 5 e 6 f"
#define TREE  SMALL, "1 ZADD z 7 " LONG
#define OTHER "1 ZADD y 10 b 20 d 30 x", "1 SADD s a b y"

/* A command whose reply does not depend on the form. */
#define BOTH(name, told, command, ...)                                         \
	KV(name, told, command, SMALL, ##__VA_ARGS__),                         \
		KV(name "_of_a_tree", told, command, TREE, ##__VA_ARGS__)

static const struct scenario scenarios[] = {
	KV("zadd_of_the_first_member", ":1", "ZADD z 1 a"),
	KV("zadd_of_the_first_member_as_a_tree", ":1", "ZADD z 1 " LONG),
	KV("zadd_that_makes_it_a_tree", ":1", "ZADD z 2.5 " LONG, SMALL),
	BOTH("zadd_of_a_new_member", ":1", "ZADD z 3.5 new"),
	BOTH("zadd_of_another_score", ":0", "ZADD z 4.5 b"),
	BOTH("zadd_of_many", ":2", "ZADD z 9 a 0 f 2.5 g 2.5 h"),
	BOTH("zadd_nx", ":1", "ZADD z NX 9 a 9 g"),
	BOTH("zadd_xx_ch", ":1", "ZADD z XX CH 9 a 9 g"),
	BOTH("zadd_gt", ":1", "ZADD z GT CH 0 f 3.5 a"),
	BOTH("zadd_incr", "$1|5", "ZADD z INCR 4 a"),
	BOTH("zincrby", "$4|-1.5", "ZINCRBY z -5.5 d"),
	KV("zincrby_of_nothing", "$1|4", "ZINCRBY z 4 a"),
	BOTH("zrem", ":2", "ZREM z c a x"),
	KV("zrem_of_the_last_member", ":1", "ZREM z a", "1 ZADD z 1 a"),
	KV("zrem_of_the_last_member_of_a_tree", ":2", "ZREM z a " LONG,
		"1 ZADD z 1 a 2 " LONG),
	BOTH("zremrangebyrank", ":3", "ZREMRANGEBYRANK z 1 3"),
	BOTH("zremrangebyscore", ":2", "ZREMRANGEBYSCORE z (2 4"),
	BOTH("zremrangebylex", ":2", "ZREMRANGEBYLEX z [b (d"),
	KV("zremrange_of_all", ":6", "ZREMRANGEBYRANK z 0 -1", SMALL),
	KV("zremrange_of_a_whole_tree", ":7", "ZREMRANGEBYRANK z 0 -1", TREE),
	BOTH("zpopmin", "*2|$1|a|$1|1", "ZPOPMIN z"),
	KV("zpopmax", "*4|$1|f|$1|6|$1|e|$1|5", "ZPOPMAX z 2", SMALL),
	KV("zpopmax_of_a_tree", "*2|$66|" LONG "|$1|7", "ZPOPMAX z", TREE),
	KV("zpopmin_of_the_last", "*2|$1|a|$1|1", "ZPOPMIN z 5",
		"1 ZADD z 1 a"),
	BOTH("zmpop", "*2|$1|z|*2|*2|$1|a|$1|1|*2|$1|b|$1|2",
		"ZMPOP 2 none z MIN COUNT 2"),
	BOTH("bzpopmin", "*3|$1|z|$1|a|$1|1", "BZPOPMIN none z 0"),
	KV("bzpopmax", "*3|$1|z|$1|f|$1|6", "BZPOPMAX none z 0", SMALL),
	BOTH("bzmpop", "*2|$1|z|*1|*2|$1|a|$1|1", "BZMPOP 0 2 none z MIN"),
	FRONT("zadd_that_ends_a_wait_is_done_step_by_step", 2,
		"reply 1 :2|\npush 2- *3|$1|z|$1|a|$1|1|\n",
		.worker = &refork_worker, .forget = front_kv_forget,
		.said = SAID("open 1", "open 2", "2 BZPOPMIN y z 0"),
		.says = SAYS("1 ZADD z 1 a 2 b")),
	BOTH("zrangestore", ":3", "ZRANGESTORE r z 1 3"),
	KV("zrangestore_of_a_tree_into_a_tree", ":2", "ZRANGESTORE r z 5 6",
		TREE),
	KV("zrangestore_over_a_tree", ":2", "ZRANGESTORE z y 0 1", TREE, OTHER),
	KV("zrangestore_of_nothing", ":0", "ZRANGESTORE z y 7 8", TREE, OTHER),
	BOTH("zrangestore_over_its_source", ":2", "ZRANGESTORE z z 1 2"),
	KV("zunionstore", ":8", "ZUNIONSTORE r 3 z y s WEIGHTS 1 2 3", SMALL,
		OTHER),
	KV("zunionstore_over_its_source", ":9", "ZUNIONSTORE z 3 z y s", TREE,
		OTHER),
	BOTH("zinterstore", ":1", "ZINTERSTORE y 3 z y s AGGREGATE MAX", OTHER),
	BOTH("zdiffstore", ":2", "ZDIFFSTORE r 2 y s", OTHER),
	KV("zdiffstore_of_nothing", ":0", "ZDIFFSTORE y 2 z z", TREE, OTHER),

	BOTH("zcard", ":3", "ZCARD y", OTHER),
	BOTH("zcount", ":3", "ZCOUNT z (1 4"),
	BOTH("zlexcount", ":2", "ZLEXCOUNT z [b [c"),
	BOTH("zscore", "$1|4", "ZSCORE z d"),
	BOTH("zmscore", "*2|$1|4|$-1", "ZMSCORE z d x"),
	BOTH("zrank", ":3", "ZRANK z d"),
	KV("zrevrank", ":2", "ZREVRANK z d", SMALL),
	KV("zrevrank_of_a_tree", ":3", "ZREVRANK z d", TREE),
	BOTH("zrange", "*4|$1|b|$1|2|$1|c|$1|3", "ZRANGE z 1 2 WITHSCORES"),
	BOTH("zrangebyscore", "*1|$1|d", "ZRANGEBYSCORE z 3 9 LIMIT 1 1"),
	BOTH("zrangebylex", "*2|$1|b|$1|c", "ZRANGEBYLEX z [b [c"),
	KV("zrevrange", "*2|$1|e|$1|d", "ZREVRANGE z 1 2", SMALL),
	BOTH("zrevrangebyscore", "*2|$1|c|$1|b", "ZREVRANGEBYSCORE z (4 2"),
	BOTH("zrevrangebylex", "*2|$1|c|$1|b", "ZREVRANGEBYLEX z [c [b"),
	BOTH("zunion", "*2|$1|a|$1|b", "ZUNION 2 s none AGGREGATE MIN",
		"1 SADD s a b"),
	BOTH("zinter", "*2|$1|b|$2|13", "ZINTER 3 z y s WITHSCORES", OTHER),
	BOTH("zdiff", "*1|$1|x", "ZDIFF 3 y z s", OTHER),
	BOTH("zintercard", ":2", "ZINTERCARD 2 z y LIMIT 5", OTHER),
	KV("zrandmember", "*3|$1|a|$1|a|$1|a", "ZRANDMEMBER z -3",
		"1 ZADD z 1 a"),
	KV("zscan", "*2|$1|0|*2|$1|a|$1|1", "ZSCAN z 0", "1 ZADD z 1 a"),
	KV("an_error", "-ERR resulting score is not a number (NaN)",
		"ZINCRBY z -inf a", "1 ZADD z inf a"),
	KV("a_wrong_type",
		"-WRONGTYPE Operation against a key holding the wrong kind of "
		"value",
		"ZADD z 1 a", "1 SET z x"),
};

int main(int argc, char **argv)
{
	(void)argc;
	return sweep_main(
		argv, scenarios, sizeof scenarios / sizeof *scenarios);
}
