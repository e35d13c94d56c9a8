/* SPDX-License-Identifier: MIT */
/* crash_kv_sort.c -- death in SORT. */
#include "front_kv.h"

#define LIST "1 RPUSH l 3 1 2", "1 MSET w1 9 w2 7 w3 8 n1 one"
#define FLAT "*3|$1|1|$1|2|$1|3"

static const struct scenario scenarios[] = {
	KV("sort_of_a_list", FLAT, "SORT l", LIST),
	KV("sort_of_a_set", FLAT, "SORT s", "1 SADD s 3 1 2"),
	KV("sort_of_a_sorted_set", FLAT, "SORT z", "1 ZADD z 1 3 2 2 3 1"),
	KV("sort_by_and_get", "*4|$1|3|$-1|$1|1|$3|one",
		"SORT l BY w* GET # GET n* LIMIT 1 2", LIST),
	KV("sort_that_removes_an_expired_key", FLAT, "SORT l GET # BY w*",
		"1 RPUSH l 1 2 3", "1 SET w1 5 PX 10", "1 SET w2 6",
		"1 SET w3 7", "wait 500"),
	KV("sort_and_store", ":3", "SORT l STORE d", LIST),
	KV("sort_and_store_over_its_source", ":3", "SORT l ALPHA STORE l",
		LIST),
	KV("sort_and_store_nothing", ":0", "SORT none STORE l", LIST),
	KV("sort_ro", FLAT, "SORT_RO l", LIST),
	KV("an_error", "-ERR One or more scores can't be converted into double",
		"SORT l BY n* STORE d", LIST),
};

int main(int argc, char **argv)
{
	(void)argc;
	return sweep_main(
		argv, scenarios, sizeof scenarios / sizeof *scenarios);
}
