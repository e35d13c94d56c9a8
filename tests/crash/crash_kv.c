/* SPDX-License-Identifier: MIT */
/* crash_kv.c -- death in the commands on strings and on keys of any kind. */
#include "front_kv.h"

#define S20 "abcdefghijklmnopqrst"
#define S60 S20 S20 S20
#define SIX                                                                    \
	"1 MSET a 1 b 2 c 3 d 4 e 5 f 6", "1 PEXPIRE b 900",                   \
		"1 PEXPIRE c 900", "1 PEXPIRE d 90000"
#define LIST "1 RPUSH l 1 b " S60
/* More than is freed at once. */
#define LARGE                                                                  \
	"1 SADD s a b c d e f g h i j", "1 SADD s k l m n o p q r s t",        \
		"1 SADD s A B C D E F G H I J",                                \
		"1 SADD s K L M N O P Q R S T",                                \
		"1 SADD s a1 b1 c1 d1 e1 f1 g1", "1 SADD s a2 b2 c2 d2 e2 f2", \
		"1 SADD s a3 b3 c3 d3 e3 f3 g3", "1 SADD s a4 b4 c4 d4 e4 f4"

static const struct scenario scenarios[] = {
	KV("set_of_the_first_key", "+OK", "SET a b"),
	KV("set_of_a_new_key", "+OK", "SET g 7", SIX),
	KV("set_of_the_same_length", "+OK", "SET a xyz", "1 SET a abc"),
	KV("set_of_a_longer_value_in_its_block", "+OK", "SET a " S20 S20,
		"1 SET a " S20, "1 APPEND a b"),
	KV("set_of_a_shorter_value", "+OK", "SET a x", "1 SET a " S20),
	KV("set_of_a_value_that_needs_a_new_block", "+OK", "SET a " S60 S60,
		"1 SET a " S20),
	KV("set_that_ends_an_expiry", "+OK", "SET b x", SIX),
	KV("set_with_an_expiry", "+OK", "SET a x PX 5000", SIX),
	KV("set_with_keepttl", "+OK", "SET b " S60 " KEEPTTL", SIX),
	KV("set_that_gets", "$1|2", "SET b x GET", SIX),
	KV("set_of_an_expired_key", "+OK", "SET b x", SIX, "wait 5000"),
	KV("setnx", ":1", "SETNX g 7", SIX),
	KV("setex", "+OK", "SETEX g 10 7", SIX),
	KV("getset", "$1|1", "GETSET a 7", SIX),
	KV("getdel", "$1|2", "GETDEL b", SIX),
	KV("get", "$1|2", "GET b", SIX),
	KV("get_of_an_expired_key", "$-1", "GET b", SIX, "wait 5000"),
	KV("append_to_nothing", ":3", "APPEND g abc", SIX),
	KV("append_in_place", ":26", "APPEND a abcd", "1 SET a " S20,
		"1 APPEND a xy"),
	KV("append_that_needs_a_new_block", ":60", "APPEND a " S20 S20,
		"1 SET a " S20),
	KV("append_to_a_key_that_expires", ":61", "APPEND b " S60, SIX),
	KV("setrange_inside", ":20", "SETRANGE a 5 xyz", "1 SET a " S20),
	KV("setrange_beyond_the_end", ":33", "SETRANGE a 30 xyz",
		"1 SET a " S20),
	KV("incr_of_nothing", ":1", "INCR g", SIX),
	KV("incr", ":10", "INCR a", "1 SET a 9"),
	KV("decrby", ":-12", "DECRBY a 21", "1 SET a 9"),
	KV("incrbyfloat", "$3|9.5", "INCRBYFLOAT a 0.5", "1 SET a 9"),
	KV("mset", "+OK", "MSET a x b " S60 " g 7 a y", SIX),
	KV("msetnx", ":1", "MSETNX g 7 h 8", SIX),
	KV("del", ":1", "DEL a", SIX),
	KV("del_of_a_key_that_expires", ":1", "DEL b", SIX),
	KV("del_of_a_key_that_expires_with_another", ":1", "DEL c", SIX),
	KV("del_of_many", ":4", "DEL a b d f x", SIX),
	KV("del_of_the_last_key", ":1", "DEL a", "1 SET a 1"),
	KV("rename", "+OK", "RENAME a g", SIX),
	KV("rename_over_another", "+OK", "RENAME b d", SIX),
	KV("rename_to_itself", "+OK", "RENAME b b", SIX),
	KV("renamenx", ":1", "RENAMENX b g", SIX),
	KV("expire", ":1", "EXPIRE a 10", SIX),
	KV("expire_anew", ":1", "EXPIRE b 10", SIX),
	KV("expire_in_the_past", ":1", "EXPIRE b -1", SIX),
	KV("persist", ":1", "PERSIST b", SIX),
	KV("expire_with_a_condition", ":1", "PEXPIRE b 950 GT", SIX),
	KV("expire_of_an_expired_key", ":0", "EXPIRE b 10", SIX, "wait 5000"),
	KV("pexpireat", ":1", "PEXPIREAT a 99999999999999", SIX),
	KV("ttl", ":-1", "TTL a", SIX),
	KV("unlink", ":2", "UNLINK a b", SIX),
	KV("exists", ":2", "EXISTS a b x", SIX),
	KV("touch", ":2", "TOUCH a b x", SIX),
	KV("type", "+list", "TYPE l", LIST),
	KV("del_of_a_list", ":1", "DEL l", LIST),
	KV("del_of_a_large_set", ":1", "DEL s", LARGE),
	KV("del_of_two_large_sets", ":2", "DEL s t", LARGE, "1 COPY s t"),
	KV("set_over_a_large_set", "+OK", "SET s x", LARGE),
	KV("copy_of_a_text", ":1", "COPY b g", SIX),
	KV("copy_over_another", ":1", "COPY b c REPLACE", SIX),
	KV("copy_over_a_large_set", ":1", "COPY b s REPLACE", SIX, LARGE),
	KV("copy_of_a_list", ":1", "COPY l m", LIST),
	KV("copy_of_a_hash", ":1", "COPY h i DB 3", "1 HSET h a 1 b " S60),
	KV("copy_of_a_set", ":1", "COPY s t", "1 SADD s a b c 1 2"),
	KV("copy_of_a_sorted_set", ":1", "COPY z y", "1 ZADD z 1 a 2 b 3 c"),
	KV("move", ":1", "MOVE b 5", SIX),
	KV("move_of_a_list", ":1", "MOVE l 5", LIST),
	KV("move_to_where_it_is", ":0", "MOVE a 5", SIX, "1 COPY a a DB 5"),
	KV("swapdb", "+OK", "SWAPDB 0 5", SIX, "1 COPY a a DB 5"),
	KV("dbsize", ":6", "DBSIZE", SIX),
	KV("randomkey", "$1|a", "RANDOMKEY", "1 SET a b"),
	KV("randomkey_of_an_expired_one", "$-1", "RANDOMKEY", "1 SET a b PX 10",
		"wait 5000"),
	KV("keys", "*1|$1|a", "KEYS a", SIX),
	KV("scan", "*2|$1|0|*1|$1|a", "SCAN 0 MATCH a COUNT 100", SIX),
	KV("object_encoding", "$9|quicklist", "OBJECT ENCODING l", LIST),
	KV("object_refcount", ":1", "OBJECT REFCOUNT l", LIST),
	KV("object_idletime", ":0", "OBJECT IDLETIME l", LIST),
	KV("object_freq", ":5", "OBJECT FREQ l",
		"1 CONFIG SET maxmemory-policy allkeys-lfu", LIST),
	/* What there is beside g takes much less than that. */
	KV("set_that_evicts", "+OK", "SET a b", "1 SETRANGE g 400000 x",
		"1 CONFIG SET maxmemory 350000 maxmemory-policy allkeys-lru"),
	KV("set_that_has_nothing_to_evict",
		"-OOM command not allowed when used memory > 'maxmemory'.",
		"SET a b", "1 SET g x",
		"1 CONFIG SET maxmemory 1 maxmemory-policy volatile-ttl"),
	KV("flushdb", "+OK", "FLUSHDB", SIX, "1 COPY a a DB 5"),
	KV("flushall_of_two", "+OK", "FLUSHALL", SIX, "1 COPY a a DB 5"),
	KV("flushall", "+OK", "FLUSHALL", SIX),
	KV("client_setname", "+OK", "CLIENT SETNAME x", "1 CLIENT SETNAME y"),
	KV("an_error", "-ERR value is not an integer or out of range", "INCR a",
		"1 SET a x"),
	FRONT("a_client_with_a_name_leaves_at_once_or_not", 1, "",
		.worker = &refork_worker, .forget = front_kv_forget,
		.said = SAID("open 1", "1 CLIENT SETNAME x",
			"1 CLIENT SETINFO LIB-NAME y"),
		.says = SAYS("close 1")),
	KV_TICKS("flushall_and_its_burial", 2, "reply 1 +OK|\n",
		SAYS("1 FLUSHALL"), SIX),
	KV_TICKS("a_second_flushall_and_its_burial", 3,
		"reply 1 +OK|\nreply 1 +OK|\n", SAYS("1 SET a b", "1 FLUSHALL"),
		SIX, "1 FLUSHALL"),
	KV_TICKS("deletion_of_a_large_set_and_its_burial", 2, "reply 1 :1|\n",
		SAYS("1 DEL s"), LARGE),
	KV_TICKS("burial_of_a_flushed_large_set", 1, "", NOTHING, LARGE,
		"1 FLUSHALL"),
	KV_TICKS("expiry", 1, "", NOTHING, SIX, "tick", "wait 5000"),
	KV_TICKS("expiry_of_nothing_yet", 1, "", NOTHING, SIX, "tick",
		"wait 700"),
};

int main(int argc, char **argv)
{
	(void)argc;
	return sweep_main(
		argv, scenarios, sizeof scenarios / sizeof *scenarios);
}
