/* SPDX-License-Identifier: MIT */
/* crash_kv_string.c -- death in the commands on parts and bits of strings, and
 * in DUMP and RESTORE.
 */
#include "front_kv.h"

#define S20 "abcdefghijklmnopqrst"
#define S60 S20 S20 S20
#define A   "1 SET a foobar"
#define AB  A, "1 SET b " S20, "1 PEXPIRE b 90000"

/* Dumps: a string x0; a list a b0 7; a hash f v0 g foo; a set 1 2 m0; and a
 * set with a member twice. */
#define DUMP_STRING "\001\002x0r1ud\033L\005\224\222\201"
#define DUMP_LIST   "\002\003\001a\002b0\0017r1\351\273\225,\347\375\033\331"
#define DUMP_HASH                                                              \
	"\003\002\001f\002v0\001g\003foo"                                      \
	"r1+(\314\361\257\242\251\026"
#define DUMP_SET   "\004\003\0011\0012\002m0r1Y\266w\230\234\320\337`"
#define DUMP_TWICE "\004\003\0011\0011\002m0r1\023\036A\016}\257R\302"

static const struct scenario scenarios[] = {
	KV("getrange", "$3|oba", "GETRANGE a 2 4", A),
	KV("substr", "$3|oba", "SUBSTR a 2 4", A),
	KV("strlen", ":6", "STRLEN a", A),
	KV("mget", "*3|$6|foobar|$-1|$20|" S20, "MGET a x b", AB),
	KV("incrby", ":21", "INCRBY n 20", "1 SET n 1"),
	KV("decr", ":-1", "DECR n", A),
	KV("psetex", "+OK", "PSETEX a 5000 x", A),
	KV("getex_that_expires", "$6|foobar", "GETEX a PX 5000", A),
	KV("getex_that_persists", "$20|" S20, "GETEX b PERSIST", AB),
	KV("getex_in_the_past", "$20|" S20, "GETEX b PXAT 1", AB),
	KV("lcs", "$3|foo", "LCS a b", A, "1 SET b xfyoo"),
	KV("getbit", ":1", "GETBIT a 1", A),
	KV("setbit_of_nothing", ":0", "SETBIT g 100 1", A),
	KV("setbit_in_place", ":0", "SETBIT a 4 1", A),
	KV("setbit_that_grows", ":0", "SETBIT b 900 1", AB),
	KV("bitcount", ":26", "BITCOUNT a", A),
	KV("bitpos", ":1", "BITPOS a 1", A),
	KV("bitop", ":20", "BITOP OR a a b", AB),
	KV("bitop_to_a_new_key", ":20", "BITOP NOT g b", AB),
	KV("bitop_of_nothing", ":0", "BITOP AND b x y", AB),
	KV("bitfield_of_nothing", "*2|:0|:0", "BITFIELD g SET u8 #2 7 GET u4 0",
		A),
	KV("bitfield", "*3|:102|:112|:112",
		"BITFIELD a SET u8 0 1 INCRBY u8 #1 1 GET u8 #1", A),
	KV("bitfield_that_fails", "*1|$-1",
		"BITFIELD a OVERFLOW FAIL INCRBY u8 0 200", A),
	KV("bitfield_ro", "*1|:102", "BITFIELD_RO a GET u8 0", A),
	KV("dump", "$14|" DUMP_STRING, "DUMP s", "1 SET s x0"),
	KV("restore_of_a_string", "+OK", "RESTORE g 0 " DUMP_STRING, A),
	KV("restore_with_an_expiry", "+OK", "RESTORE g 5000 " DUMP_LIST, A),
	KV("restore_over_another", "+OK", "RESTORE b 0 " DUMP_HASH " REPLACE",
		AB),
	KV("restore_of_a_set", "+OK", "RESTORE g 0 " DUMP_SET " IDLETIME 9", A),
	KV("restore_that_is_over_already", "+OK",
		"RESTORE b 1 " DUMP_SET " ABSTTL REPLACE", AB),
	KV("restore_of_damage", "-ERR Bad data format",
		"RESTORE g 0 " DUMP_TWICE, A),
};

int main(int argc, char **argv)
{
	(void)argc;
	return sweep_main(
		argv, scenarios, sizeof scenarios / sizeof *scenarios);
}
