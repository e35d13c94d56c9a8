/* SPDX-License-Identifier: MIT */
/* config.c -- CONFIG GET, SET, RESETSTAT, REWRITE; the options: options.c. */
#include "worker/kv/server/config.h"

static bool wanted(const struct kv_call *call, const struct kv_option *option)
{
	const char *name = option->name;

	for (uint32_t i = 2; i < call->argc; i++)
		if (option->place == KV_HIDDEN ? kv_is(call->argv[i], name)
					       : kv_glob(call->argv[i], name,
							 strlen(name), true))
			return true;
	return false;
}

void kv_cmd_config_get(struct kv_call *call)
{
	char text[KV_OPTION_TEXT_MAX];
	size_t count = 0;

	for (size_t i = 0; i < kv_option_count; i++)
		count += wanted(call, &kv_options[i]);
	rf_resp_map(call->reply, call->proto, count);
	for (size_t i = 0; i < kv_option_count; i++) {
		if (!wanted(call, &kv_options[i]))
			continue;
		kv_option_show(&kv_options[i], text);
		rf_resp_bulk_text(call->reply, kv_options[i].name);
		rf_resp_bulk_text(call->reply, text);
	}
}

/* ---- CONFIG SET: all of it, or nothing ---- */

static bool is_repeated(
	const struct kv_call *call, uint32_t at, const struct kv_option *option)
{
	for (uint32_t i = 2; i < at; i += 2)
		if (kv_option_find(call->argv[i]) == option)
			return true;
	return false;
}

static bool is_fine(struct kv_call *call, uint32_t at)
{
	const struct kv_option *option = kv_option_find(call->argv[at]);
	const char *flaw;

	if (option == NULL) {
		rf_resp_error(call->reply,
			"ERR Unknown option or number of arguments for CONFIG "
			"SET - '%.*s'",
			(int)call->argv[at].bytes, call->argv[at].at);
		return false;
	}
	if (is_repeated(call, at, option))
		flaw = "duplicate parameter";
	else
		flaw = kv_option_flaw(option, call->argv[at + 1]);
	if (flaw != NULL)
		rf_resp_error(call->reply,
			"ERR CONFIG SET failed (possibly related to argument "
			"'%s') - %s",
			option->name, flaw);
	return flaw == NULL;
}

void kv_cmd_config_set(struct kv_call *call)
{
	if (call->argc % 2 != 0) {
		kv_reply_syntax(call);
		return;
	}
	for (uint32_t i = 2; i < call->argc; i += 2)
		if (!is_fine(call, i))
			return;
	for (uint32_t i = 2; i < call->argc; i += 2)
		kv_option_set(kv_option_find(call->argv[i]), call->argv[i + 1]);
	rf_history_resize(
		&kv_records()->slowlog, (uint32_t)kv_settings->slowlog_max_len);
	kv_settings_apply();
	kv_reply_ok(call);
}

/* ---- the rest ---- */

void kv_cmd_config_resetstat(struct kv_call *call)
{
	kv_stats_reset();
	kv_reply_ok(call);
}

/* The ini is the operator's. */
void kv_cmd_config_rewrite(struct kv_call *call)
{
	rf_resp_error(
		call->reply, "ERR The server is running without a config file");
}

void kv_cmd_config_help(struct kv_call *call)
{
	kv_help(call);
}
