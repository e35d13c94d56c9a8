/* SPDX-License-Identifier: MIT */
/* debug_protocol.c -- DEBUG PROTOCOL: a reply of each type, for the tests of
 * clients. */
#include "worker/kv/server/debug.h"

#define TEXT(text)                                                             \
	{                                                                      \
		text, sizeof(text) - 1                                         \
	}
#define BOTH(text) TEXT(text), TEXT(text)

static const struct {
	const char *name;
	struct rf_bytes two, three; /* in RESP 2 and 3 */
} replies[] = {
	{"string", BOTH("$11\r\nHello World\r\n")},
	{"integer", BOTH(":12345\r\n")},
	{"double", TEXT("$5\r\n3.141\r\n"), TEXT(",3.141\r\n")},
	{"bignum", TEXT("$37\r\n1234567999999999999999999999999999999\r\n"),
		TEXT("(1234567999999999999999999999999999999\r\n")},
	{"null", TEXT("$-1\r\n"), TEXT("_\r\n")},
	{"array", BOTH("*3\r\n:0\r\n:1\r\n:2\r\n")},
	{"set", TEXT("*3\r\n:0\r\n:1\r\n:2\r\n"),
		TEXT("~3\r\n:0\r\n:1\r\n:2\r\n")},
	{"map", TEXT("*6\r\n:0\r\n:0\r\n:1\r\n:1\r\n:2\r\n:0\r\n"),
		TEXT("%3\r\n:0\r\n#f\r\n:1\r\n#t\r\n:2\r\n#f\r\n")},
	{"attrib", TEXT("$39\r\nSome real reply following the attribute\r\n"),
		TEXT("|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n"
		     ":90\r\n"
		     "$39\r\nSome real reply following the attribute\r\n")},
	{"push", TEXT("-ERR RESP2 is not supported by this command\r\n"),
		TEXT(">2\r\n$16\r\nserver-cpu-usage\r\n:42\r\n"
		     "$40\r\nSome real reply following the push reply\r\n")},
	{"verbatim", TEXT("$25\r\nThis is a verbatim\nstring\r\n"),
		TEXT("=29\r\ntxt:This is a verbatim\nstring\r\n")},
	{"true", TEXT(":1\r\n"), TEXT("#t\r\n")},
	{"false", TEXT(":0\r\n"), TEXT("#f\r\n")},
};

void kv_debug_protocol(struct kv_call *call)
{
	for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
		struct rf_bytes text = replies[i].two;

		if (!kv_is(call->argv[2], replies[i].name))
			continue;
		if (call->proto == 3)
			text = replies[i].three;
		rf_reply_bytes(call->reply, text.at, text.bytes);
		return;
	}
	rf_resp_error(call->reply,
		"ERR Wrong protocol type name. Please use one of the "
		"following: string|integer|double|bignum|null|array|set|map|"
		"attrib|push|verbatim|true|false");
}
