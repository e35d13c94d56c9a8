/* SPDX-License-Identifier: MIT */
/* command.c -- COMMAND: the command table, told to clients. */
#include "worker/kv/server/command.h"
#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- names ---- */

struct name {
	uint32_t flag;
	const char *name;
};

static const struct name flag_names[] = {
	{WRITE, "write"},
	{READONLY, "readonly"},
	{DENYOOM, "denyoom"},
	{ADMIN, "admin"},
	{PUBSUB, "pubsub"},
	{NOSCRIPT, "noscript"},
	{BLOCKING, "blocking"},
	{LOADING, "loading"},
	{STALE, "stale"},
	{SKIP_MONITOR, "skip_monitor"},
	{SKIP_SLOWLOG, "skip_slowlog"},
	{FAST, "fast"},
	{NO_AUTH, "no_auth"},
	{NO_MANDATORY_KEYS, "no_mandatory_keys"},
	{NO_ASYNC_LOADING, "no_async_loading"},
	{NO_MULTI, "no_multi"},
	{MOVABLE, "movablekeys"},
	{ALLOW_BUSY, "allow_busy"},
};

static const struct name spec_flag_names[] = {
	{RO, "RO"},
	{RW, "RW"},
	{OW, "OW"},
	{RM, "RM"},
	{ACCESS, "access"},
	{UPDATE, "update"},
	{INSERT, "insert"},
	{DELETE, "delete"},
	{NOT_KEY, "not_key"},
	{VARIABLE_FLAGS, "variable_flags"},
};

/* A command is in a category with one of `any` (0: never mind) and none of
 * `none`; in none where both are 0. */
static const struct category {
	const char *name;
	uint32_t any, none;
} categories[] = {
	{"@keyspace", KEYSPACE, 0},
	{"@read", READONLY, SCRIPTING},
	{"@write", WRITE, 0},
	{"@set", SET, 0},
	{"@sortedset", SORTED_SET, 0},
	{"@list", LIST, 0},
	{"@hash", HASH, 0},
	{"@string", STRING, 0},
	{"@bitmap", BITMAP, 0},
	{"@hyperloglog", 0, 0},
	{"@geo", 0, 0},
	{"@stream", 0, 0},
	{"@pubsub", PUBSUB, 0},
	{"@admin", ADMIN | ADMIN_CATEGORY, 0},
	{"@fast", FAST, 0},
	{"@slow", 0, FAST},
	{"@blocking", BLOCKING, 0},
	{"@dangerous", DANGEROUS | ADMIN, 0},
	{"@connection", CONNECTION, 0},
	{"@transaction", TRANSACTION, 0},
	{"@scripting", SCRIPTING, 0},
};

/* How a proxy before many servers would send a command, and add up what they
 * reply. Few have such tips, so they are not in the table. */
static const struct policy {
	const char *name, *request, *response;
} policies[] = {
	{"config|set", "all_nodes", "all_succeeded"},
	{"dbsize", "all_shards", "agg_sum"},
	{"del", "multi_shard", "agg_sum"},
	{"exists", "multi_shard", "agg_sum"},
	{"flushall", "all_shards", "all_succeeded"},
	{"flushdb", "all_shards", "all_succeeded"},
	{"function|flush", "all_shards", "all_succeeded"},
	{"function|stats", "all_shards", "special"},
	{"info", "all_shards", "special"},
	{"keys", "all_shards", NULL},
	{"latency|history", "all_nodes", "special"},
	{"latency|latest", "all_nodes", "special"},
	{"latency|reset", "all_nodes", "all_succeeded"},
	{"memory|doctor", "all_shards", "special"},
	{"memory|purge", "all_shards", "all_succeeded"},
	{"memory|stats", "all_shards", "special"},
	{"mget", "multi_shard", NULL},
	{"mset", "multi_shard", "all_succeeded"},
	{"msetnx", "multi_shard", "agg_min"},
	{"ping", "all_shards", "all_succeeded"},
	{"randomkey", "all_shards", NULL},
	{"scan", "special", NULL},
	{"script|exists", "all_shards", "agg_logical_and"},
	{"script|flush", "all_nodes", "all_succeeded"},
	{"slowlog|get", "all_nodes", NULL},
	{"slowlog|len", "all_nodes", "agg_sum"},
	{"slowlog|reset", "all_nodes", "all_succeeded"},
	{"touch", "multi_shard", "agg_sum"},
	{"unlink", "multi_shard", "agg_sum"},
};

/* ---- the facts of a command ---- */

static void reply_names(struct kv_call *call, uint32_t flags,
	const struct name *names, size_t names_count)
{
	size_t count = 0;

	for (size_t i = 0; i < names_count; i++)
		count += (flags & names[i].flag) != 0;
	rf_resp_set(call->reply, call->proto, count);
	for (size_t i = 0; i < names_count; i++)
		if (flags & names[i].flag)
			rf_resp_simple(call->reply, names[i].name);
}

void kv_reply_spec_flags(struct kv_call *call, uint32_t flags)
{
	reply_names(call, flags, spec_flag_names, COUNT(spec_flag_names));
}

static bool in_category(
	const struct kv_command *command, const struct category *category)
{
	if (category->any == 0 && category->none == 0)
		return false;
	return (category->any == 0 || command->flags & category->any) &&
	       !(command->flags & category->none);
}

static void reply_categories(
	struct kv_call *call, const struct kv_command *command)
{
	size_t count = 0;

	for (size_t i = 0; i < COUNT(categories); i++)
		count += in_category(command, &categories[i]);
	rf_resp_set(call->reply, call->proto, count);
	for (size_t i = 0; i < COUNT(categories); i++)
		if (in_category(command, &categories[i]))
			rf_resp_simple(call->reply, categories[i].name);
}

static void tip(struct kv_call *call, const char *what, const char *value)
{
	char text[64];

	snprintf(text, sizeof text, "%s%s", what, value);
	rf_resp_bulk_text(call->reply, text);
}

static void reply_tips(struct kv_call *call, const struct kv_command *command)
{
	static const struct policy none;
	const struct policy *policy = &none;
	uint32_t flags = command->flags & (TIP_RANDOM | TIP_RANDOM_ORDER);

	for (size_t i = 0; i < COUNT(policies); i++)
		if (strcmp(policies[i].name, command->name) == 0)
			policy = &policies[i];
	rf_resp_set(call->reply, call->proto,
		(size_t)(flags != 0) + (policy->request != NULL) +
			(policy->response != NULL));
	if (flags != 0)
		tip(call, "nondeterministic_output",
			flags & TIP_RANDOM ? "" : "_order");
	if (policy->request != NULL)
		tip(call, "request_policy:", policy->request);
	if (policy->response != NULL)
		tip(call, "response_policy:", policy->response);
}

/* ---- its keys ---- */

/* {type, <type>, spec, {<facts>}} */
static void reply_how(
	struct kv_call *call, const char *what, const char *type, size_t facts)
{
	rf_resp_bulk_text(call->reply, what);
	rf_resp_map(call->reply, call->proto, 2);
	rf_resp_bulk_text(call->reply, "type");
	rf_resp_bulk_text(call->reply, type);
	rf_resp_bulk_text(call->reply, "spec");
	rf_resp_map(call->reply, call->proto, facts);
}

static void reply_fact(struct kv_call *call, const char *name, int64_t value)
{
	rf_resp_bulk_text(call->reply, name);
	rf_resp_int(call->reply, value);
}

static void reply_spec(struct kv_call *call, const struct kv_spec *spec)
{
	static const struct {
		const char *type, *facts[3];
		size_t count;
	} finds[] = {
		[UNKNOWN] = {"unknown", {NULL}, 0},
		[RANGE] = {"range", {"lastkey", "keystep", "limit"}, 3},
		[KEYNUM] = {"keynum", {"keynumidx", "firstkey", "keystep"}, 3},
	};
	bool by_index = spec->begin == INDEX;

	rf_resp_map(call->reply, call->proto, 3);
	rf_resp_bulk_text(call->reply, "flags");
	kv_reply_spec_flags(call, spec->flags);
	reply_how(call, "begin_search", by_index ? "index" : "unknown",
		by_index ? 1 : 0);
	if (by_index)
		reply_fact(call, "index", spec->at);
	reply_how(call, "find_keys", finds[spec->find].type,
		finds[spec->find].count);
	for (size_t i = 0; i < finds[spec->find].count; i++)
		reply_fact(call, finds[spec->find].facts[i], spec->how[i]);
}

static void reply_specs(struct kv_call *call, const struct kv_command *command)
{
	size_t count = 0;

	while (count < KV_SPECS_MAX && command->specs[count].is_set)
		count++;
	rf_resp_set(call->reply, call->proto, count);
	for (size_t i = 0; i < count; i++)
		reply_spec(call, &command->specs[i]);
}

/* The first key, the last and the step between them, as far as one run of keys
 * is all there is: what was told before there were specifications. */
static void reply_range(struct kv_call *call, const struct kv_command *command)
{
	int first = 0, last = 0, step = 0;

	for (size_t i = 0; i < KV_SPECS_MAX; i++) {
		const struct kv_spec *spec = &command->specs[i];
		bool behind = i > 0 && first > 0;

		if (!spec->is_set || spec->find != RANGE)
			continue;
		if (behind && (spec->how[1] != 1 || spec->at != last + 1))
			break;
		if (!behind)
			first = spec->at;
		last = spec->how[0] < 0 ? spec->how[0]
					: spec->at + spec->how[0];
		step = spec->how[1];
	}
	rf_resp_int(call->reply, first);
	rf_resp_int(call->reply, last);
	rf_resp_int(call->reply, step);
}

/* ---- COMMAND, COMMAND INFO ---- */

size_t kv_count_children(const struct kv_command *parent)
{
	size_t count = 0;

	for (size_t i = 0; i < kv_subcommand_count; i++)
		count += kv_table_is_child(&kv_subcommands[i], parent);
	return count;
}

static void reply_command(
	struct kv_call *call, const struct kv_command *command);

static void reply_children(
	struct kv_call *call, const struct kv_command *parent)
{
	size_t count = kv_count_children(parent);

	if (count == 0) {
		rf_resp_set(call->reply, call->proto, 0);
		return;
	}
	rf_resp_array(call->reply, count);
	for (size_t i = 0; i < kv_subcommand_count; i++)
		if (kv_table_is_child(&kv_subcommands[i], parent))
			reply_command(call, &kv_subcommands[i]);
}

static void reply_command(
	struct kv_call *call, const struct kv_command *command)
{
	rf_resp_array(call->reply, 10);
	rf_resp_bulk_text(call->reply, command->name);
	rf_resp_int(call->reply, command->arity);
	reply_names(call, command->flags, flag_names, COUNT(flag_names));
	reply_range(call, command);
	reply_categories(call, command);
	reply_tips(call, command);
	reply_specs(call, command);
	reply_children(call, command);
}

void kv_cmd_command(struct kv_call *call)
{
	rf_resp_array(call->reply, kv_command_count);
	for (size_t i = 0; i < kv_command_count; i++)
		reply_command(call, &kv_commands[i]);
}

void kv_cmd_command_count(struct kv_call *call)
{
	rf_resp_int(call->reply, (int64_t)kv_command_count);
}

void kv_cmd_command_info(struct kv_call *call)
{
	if (call->argc == 2) {
		kv_cmd_command(call);
		return;
	}
	rf_resp_array(call->reply, call->argc - 2);
	for (uint32_t i = 2; i < call->argc; i++) {
		const struct kv_command *command =
			kv_table_by_name(call->argv[i].at, call->argv[i].bytes);

		if (command != NULL)
			reply_command(call, command);
		else
			rf_resp_null(call->reply, call->proto);
	}
}

/* ---- COMMAND LIST ---- */

/* Each takes the commands that the argument names. */
static bool by_module(const struct kv_command *command, struct rf_bytes module)
{
	(void)command;
	(void)module; /* there are none */
	return false;
}

static bool by_category(const struct kv_command *command, struct rf_bytes name)
{
	for (size_t i = 0; i < COUNT(categories); i++)
		if (kv_is(name, categories[i].name + 1))
			return in_category(command, &categories[i]);
	return false;
}

static bool by_pattern(const struct kv_command *command, struct rf_bytes glob)
{
	return kv_glob(glob, command->name, strlen(command->name), true);
}

static size_t list(struct kv_call *call, const struct kv_command *commands,
	size_t count, bool (*takes)(const struct kv_command *, struct rf_bytes))
{
	size_t listed = 0;

	for (size_t i = 0; i < count; i++) {
		if (takes != NULL && !takes(&commands[i], call->argv[4]))
			continue;
		rf_resp_bulk_text(call->reply, commands[i].name);
		listed++;
	}
	return listed;
}

void kv_cmd_command_list(struct kv_call *call)
{
	static const struct {
		const char *name;
		bool (*takes)(const struct kv_command *command,
			struct rf_bytes argument);
	} filters[] = {
		{"MODULE", by_module},
		{"ACLCAT", by_category},
		{"PATTERN", by_pattern},
	};
	bool (*takes)(const struct kv_command *, struct rf_bytes) = NULL;
	size_t mark = rf_reply_size(call->reply), count;

	if (call->argc == 5 && kv_is(call->argv[2], "FILTERBY"))
		for (size_t i = 0; i < COUNT(filters); i++)
			if (kv_is(call->argv[3], filters[i].name))
				takes = filters[i].takes;
	if (call->argc > 2 && takes == NULL) {
		kv_reply_syntax(call);
		return;
	}
	count = list(call, kv_commands, kv_command_count, takes);
	count += list(call, kv_subcommands, kv_subcommand_count, takes);
	rf_resp_array_at(call->reply, mark, count);
}
