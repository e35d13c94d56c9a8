/* SPDX-License-Identifier: MIT */
/* scripting.c -- SCRIPT and FUNCTION, of a server that runs no scripts: there
 * is none, and what there is can be flushed. */
#include "worker/kv/kv.h"

static void flush(struct kv_call *call, const char *error)
{
	if (call->argc == 2 ||
		(call->argc == 3 && (kv_is(call->argv[2], "SYNC") ||
					    kv_is(call->argv[2], "ASYNC"))))
		kv_reply_ok(call);
	else
		rf_resp_error(call->reply, "%s", error);
}

void kv_cmd_script_flush(struct kv_call *call)
{
	flush(call, "ERR SCRIPT FLUSH only support SYNC|ASYNC option");
}

void kv_cmd_script_exists(struct kv_call *call)
{
	rf_resp_array(call->reply, call->argc - 2);
	for (uint32_t i = 2; i < call->argc; i++)
		rf_resp_int(call->reply, 0);
}

void kv_cmd_script_help(struct kv_call *call)
{
	kv_help(call);
}

void kv_cmd_function_flush(struct kv_call *call)
{
	if (call->argc > 3)
		kv_bad_subcommand(call);
	else
		flush(call,
			"ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
}

static bool list_arguments_fit(struct kv_call *call)
{
	bool with_code = false, with_name = false;

	for (uint32_t i = 2; i < call->argc; i++) {
		if (!with_code && kv_is(call->argv[i], "WITHCODE")) {
			with_code = true;
		} else if (!with_name && kv_is(call->argv[i], "LIBRARYNAME")) {
			if (++i == call->argc) {
				rf_resp_error(call->reply,
					"ERR library name argument was not "
					"given");
				return false;
			}
			with_name = true;
		} else {
			rf_resp_error(call->reply, "ERR Unknown argument %.*s",
				(int)call->argv[i].bytes, call->argv[i].at);
			return false;
		}
	}
	return true;
}

void kv_cmd_function_list(struct kv_call *call)
{
	if (list_arguments_fit(call))
		rf_resp_array(call->reply, 0);
}

/* No script runs, and there is no engine to run one. */
void kv_cmd_function_stats(struct kv_call *call)
{
	rf_resp_map(call->reply, call->proto, 2);
	rf_resp_bulk_text(call->reply, "running_script");
	rf_resp_null(call->reply, call->proto);
	rf_resp_bulk_text(call->reply, "engines");
	rf_resp_map(call->reply, call->proto, 0);
}

void kv_cmd_function_help(struct kv_call *call)
{
	kv_help(call);
}
