/* SPDX-License-Identifier: MIT */
/* debug.c -- DEBUG: ways to die, for those who want to see it survived.
 *
 * Only with [business] allow_crash_test.
 */
#include "kv.h"
#include <stdlib.h>

/* Not the null page's first bytes: sanitizers take those for a plain bug and
 * report instead of faulting. */
static void write_nowhere(void)
{
	uint64_t *volatile nowhere = (uint64_t *)(uintptr_t)64;

	*nowhere = 1;
}

static void crash_segfault(struct kv_call *call)
{
	(void)call;
	write_nowhere();
}

static void crash_abort(struct kv_call *call)
{
	(void)call;
	abort();
}

static void crash_spin(struct kv_call *call)
{
	(void)call;
	for (;;)
		__asm__ volatile("");
}

/* Half-way through "insert a key and count it": the key is in the dict and has
 * no value yet, the counter is up, and here the process ends. */
static void crash_oops_in_tx(struct kv_call *call)
{
	static const char key[] = "oops";

	(void)call;
	RF_SET(kv_db->crash_tests, kv_db->crash_tests + 1);
	rf_dict_put(&kv_db->keys->dict, key, sizeof key - 1, NULL);
	write_nowhere();
}

static const struct {
	const char *name;
	void (*run)(struct kv_call *call);
} crashes[] = {
	{"SEGFAULT", crash_segfault},
	{"ABORT", crash_abort},
	{"SPIN", crash_spin},
	{"OOPS-IN-TX", crash_oops_in_tx},
};

#define CRASH_COUNT (sizeof crashes / sizeof crashes[0])

static void help(struct kv_call *call)
{
	rf_resp_array(call->reply, CRASH_COUNT + 1);
	rf_resp_simple(call->reply, "DEBUG <subcommand>. Subcommands are:");
	for (size_t i = 0; i < CRASH_COUNT; i++)
		rf_resp_simple(call->reply, crashes[i].name);
}

void kv_cmd_debug(struct kv_call *call)
{
	bool alone = call->argc == 2;

	if (!kv_env->allow_crash_test) {
		rf_resp_error(call->reply,
			"ERR DEBUG command not allowed. Set allow_crash_test = "
			"yes in the section [business] of the ini file and "
			"start again.");
		return;
	}
	if (alone && kv_is(call->argv[1], "HELP")) {
		help(call);
		return;
	}
	for (size_t i = 0; i < CRASH_COUNT; i++)
		if (alone && kv_is(call->argv[1], crashes[i].name))
			crashes[i].run(call);
	rf_resp_error(call->reply,
		"ERR unknown subcommand or wrong number of arguments for "
		"'%.*s'. Try DEBUG HELP.",
		call->argv[1].bytes < 128 ? (int)call->argv[1].bytes : 128,
		call->argv[1].at);
}
