/* SPDX-License-Identifier: MIT */
/* command_keys.c -- where the keys of a command stand among its arguments, and
 * COMMAND GETKEYS, GETKEYSANDFLAGS, which tell it.
 */
#include "worker/kv/server/command.h"

struct keys {
	struct kv_key_at *at;
	uint32_t count;
};

static void add(struct keys *keys, uint32_t index, uint32_t flags)
{
	keys->at[keys->count++] = (struct kv_key_at){index, flags};
}

/* ---- by the specifications ---- */

struct run { /* of keys, `step` apart */
	int64_t first, last, step;
};

static struct run range_of(const struct kv_spec *spec, int64_t argc)
{
	struct run run = {.first = spec->at, .step = spec->how[1]};
	int64_t last = spec->how[0], limit = spec->how[2];

	if (last >= 0)
		run.last = run.first + last;
	else if (limit <= 1)
		run.last = argc + last;
	else
		run.last = run.first + (argc - run.first) / limit + last;
	return run;
}

/* false: the number is none, or there are not so many. */
static bool numbered(const struct kv_spec *spec, const struct rf_bytes *argv,
	uint32_t argc, struct run *run)
{
	uint32_t at = (uint32_t)(spec->at + spec->how[0]);
	int64_t count;

	if (at >= argc || !kv_parse_int(argv[at].at, argv[at].bytes, &count) ||
		count < 1)
		return false;
	*run = (struct run){
		.first = spec->at + spec->how[1], .step = spec->how[2]};
	if (count > argc)
		return false;
	run->last = run->first + (count - 1) * run->step;
	return run->last < argc;
}

static bool add_spec(struct keys *keys, const struct kv_spec *spec,
	const struct rf_bytes *argv, uint32_t argc)
{
	struct run run;

	if (spec->find == RANGE)
		run = range_of(spec, argc);
	else if (!numbered(spec, argv, argc, &run))
		return false;
	for (int64_t i = run.first; i <= run.last && i < argc; i += run.step)
		add(keys, (uint32_t)i, spec->flags);
	return true;
}

/* ---- by hand ---- */

/* The last STORE counts. */
static void add_stored(
	struct keys *keys, const struct rf_bytes *argv, uint32_t argc)
{
	static const struct {
		const char *word;
		uint32_t skip;
	} options[] = {{"LIMIT", 2}, {"GET", 1}, {"BY", 1}};
	uint32_t stored = 0;

	for (uint32_t i = 2; i < argc; i++) {
		for (size_t o = 0; o < sizeof options / sizeof *options; o++)
			if (kv_is(argv[i], options[o].word)) {
				i += options[o].skip;
				goto next;
			}
		if (kv_is(argv[i], "STORE") && i + 1 < argc)
			stored = ++i;
	next:;
	}
	if (stored > 0)
		add(keys, stored, OW | UPDATE);
}

/* SET reads with GET only; BITFIELD changes with SET and INCRBY only. */
static uint32_t vary(uint32_t flags, const struct rf_bytes *argv, uint32_t argc)
{
	bool sets = false, gets = false;

	for (uint32_t i = 2; i < argc; i++) {
		sets |= kv_is(argv[i], "SET") || kv_is(argv[i], "INCRBY");
		gets |= kv_is(argv[i], "GET") && i > 2;
	}
	flags &= ~(uint32_t)VARIABLE_FLAGS;
	if (kv_is(argv[0], "SET"))
		return gets ? flags : (uint32_t)(OW | UPDATE);
	return sets ? flags : (uint32_t)(RO | ACCESS);
}

int kv_table_keys(const struct kv_command *command, const struct rf_bytes *argv,
	uint32_t argc, struct kv_key_at *at)
{
	struct keys keys = {.at = at};

	for (size_t i = 0; i < KV_SPECS_MAX; i++) {
		const struct kv_spec *spec = &command->specs[i];

		if (!spec->is_set || spec->flags & NOT_KEY)
			continue;
		if (spec->begin == UNKNOWN) {
			if (spec->flags & OW)
				add_stored(&keys, argv, argc);
			continue;
		}
		if (!add_spec(&keys, spec, argv, argc))
			return -1;
		if (spec->flags & VARIABLE_FLAGS && keys.count > 0)
			at[0].flags = vary(spec->flags, argv, argc);
	}
	return (int)keys.count;
}

/* ---- telling ---- */

static bool has_keys(const struct kv_command *command)
{
	for (size_t i = 0; i < KV_SPECS_MAX; i++)
		if (command->specs[i].is_set &&
			!(command->specs[i].flags & NOT_KEY))
			return true;
	return false;
}

static const char *why_not(const struct kv_command *command, uint32_t argc)
{
	if (command == NULL)
		return "ERR Invalid command specified";
	if (!has_keys(command))
		return "ERR The command has no key arguments";
	if (!kv_table_arity_fits(command, argc))
		return "ERR Invalid number of arguments specified for command";
	return NULL;
}

static void reply_keys(struct kv_call *call, bool with_flags)
{
	const struct rf_bytes *argv = call->argv + 2;
	uint32_t argc = call->argc - 2;
	const struct kv_command *command = kv_table_lookup(argv, argc);
	const char *error = why_not(command, argc);
	struct kv_key_at *at;
	int count;

	if (error != NULL) {
		rf_resp_error(call->reply, "%s", error);
		return;
	}
	at = rf_alloc_uninit(sizeof *at * argc * KV_SPECS_MAX);
	if (at == NULL)
		return;
	count = kv_table_keys(command, argv, argc, at);
	if (count <= 0 && !(command->flags & NO_MANDATORY_KEYS)) {
		rf_resp_error(call->reply,
			"ERR Invalid arguments specified for command");
		count = -1;
	} else {
		rf_resp_array(call->reply, count > 0 ? (size_t)count : 0);
	}
	for (int i = 0; i < count; i++) {
		struct rf_bytes key = argv[at[i].index];

		if (with_flags)
			rf_resp_array(call->reply, 2);
		rf_resp_bulk(call->reply, key.at, key.bytes);
		if (with_flags)
			kv_reply_spec_flags(call, at[i].flags);
	}
	rf_free(at);
}

void kv_cmd_command_getkeys(struct kv_call *call)
{
	reply_keys(call, false);
}

void kv_cmd_command_getkeysandflags(struct kv_call *call)
{
	reply_keys(call, true);
}
