/* SPDX-License-Identifier: MIT */
/* table.c -- the command table: finding a command, and COMMAND.
 *
 * A name is looked up as two words of lower-case letters, in a small table of
 * the process's own with open addressing. Setting bit 5 makes a letter lower
 * case and no other byte a letter, so nothing else needs comparing.
 */
#include "kv.h"
#include <stdio.h>
#include <strings.h>

/* Those below GROUPS are what COMMAND calls flags, the rest its categories;
 * each in redis's order. */
enum flag {
	WRITE = 1 << 0,
	READONLY = 1 << 1,
	DENYOOM = 1 << 2,
	ADMIN = 1 << 3,
	NOSCRIPT = 1 << 4,
	LOADING = 1 << 5,
	STALE = 1 << 6,
	FAST = 1 << 7,
	NO_AUTH = 1 << 8,
	ALLOW_BUSY = 1 << 9,
	KEYSPACE = 1 << 10,
	STRING = 1 << 11,
	DANGEROUS = 1 << 12,
	CONNECTION = 1 << 13,
	PARENT = 1 << 14, /* has subcommands; not shown */
};

static const struct {
	const char *name;
	uint32_t flag;
} flag_names[] = {
	{"write", WRITE},
	{"readonly", READONLY},
	{"denyoom", DENYOOM},
	{"admin", ADMIN},
	{"noscript", NOSCRIPT},
	{"loading", LOADING},
	{"stale", STALE},
	{"fast", FAST},
	{"no_auth", NO_AUTH},
	{"allow_busy", ALLOW_BUSY},
};

/* A category holds what has one of `any` and, if any is 0, none of `none`. */
static const struct {
	const char *name;
	uint32_t any, none;
} categories[] = {
	{"@keyspace", KEYSPACE, 0},
	{"@read", READONLY, 0},
	{"@write", WRITE, 0},
	{"@string", STRING, 0},
	{"@admin", ADMIN, 0},
	{"@fast", FAST, 0},
	{"@slow", 0, FAST},
	{"@dangerous", DANGEROUS | ADMIN, 0},
	{"@connection", CONNECTION, 0},
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct kv_command commands[] = {
#define COMMAND(name, arity, flags, first, last, step)                         \
	{#name, kv_cmd_##name, arity, flags, first, last, step},
#define CONTAINER(name, arity, flags) {#name, NULL, arity, flags, 0, 0, 0},
#define SUBCOMMAND(...)
#include "commands.def"
#undef COMMAND
#undef CONTAINER
#undef SUBCOMMAND
};

static const struct kv_command subcommands[] = {
#define COMMAND(...)
#define CONTAINER(...)
#define SUBCOMMAND(parent, name, arity, flags)                                 \
	{#parent "|" #name, kv_cmd_##parent##_##name, arity, flags, 0, 0, 0},
#include "commands.def"
#undef COMMAND
#undef CONTAINER
#undef SUBCOMMAND
};

/* ---- finding ---- */

#define NAME_BYTES_MAX 16
#define SLOT_BITS      8

struct name_key {
	uint64_t low, high;
};

static struct {
	struct name_key key;
	const struct kv_command *command; /* NULL: free */
} slots[1 << SLOT_BITS];
_Static_assert(COUNT(commands) * 2 < COUNT(slots), "room to miss quickly");

static inline uint64_t lower_word(const char *from, size_t bytes)
{
	uint64_t word = 0;

	for (size_t i = 0; i < bytes; i++)
		word = word << 8 | (uint8_t)(from[i] | 0x20);
	return word;
}

/* bytes <= NAME_BYTES_MAX */
static inline struct name_key key_of(const char *name, size_t bytes)
{
	struct name_key key = {0};

	key.low = lower_word(name, bytes < 8 ? bytes : 8);
	if (bytes > 8)
		key.high = lower_word(name + 8, bytes - 8);
	return key;
}

static inline size_t slot_of(struct name_key key)
{
	uint64_t mixed =
		(key.low ^ key.high * 31) * UINT64_C(0x9e3779b97f4a7c15);

	return (size_t)(mixed >> (64 - SLOT_BITS));
}

/* The slot that holds the key, or the free one where it would be. */
static inline size_t probe(struct name_key key)
{
	size_t slot = slot_of(key);

	while (slots[slot].command != NULL &&
		(slots[slot].key.low != key.low ||
			slots[slot].key.high != key.high))
		slot = (slot + 1) % COUNT(slots);
	return slot;
}

void kv_table_init(void)
{
	memset(slots, 0, sizeof slots);
	for (size_t i = 0; i < COUNT(commands); i++) {
		const char *name = commands[i].name;
		struct name_key key = key_of(name, strlen(name));
		size_t slot = probe(key);

		slots[slot].key = key;
		slots[slot].command = &commands[i];
	}
}

static const struct kv_command *find(struct rf_bytes name)
{
	if (rf_unlikely(name.bytes > NAME_BYTES_MAX))
		return NULL;
	return slots[probe(key_of(name.at, name.bytes))].command;
}

static bool is_child(
	const struct kv_command *child, const struct kv_command *parent)
{
	size_t bytes = strlen(parent->name);

	return strncmp(child->name, parent->name, bytes) == 0 &&
	       child->name[bytes] == '|';
}

static const struct kv_command *find_child(
	const struct kv_command *parent, struct rf_bytes name)
{
	for (size_t i = 0; i < COUNT(subcommands); i++)
		if (is_child(&subcommands[i], parent) &&
			kv_is(name, strchr(subcommands[i].name, '|') + 1))
			return &subcommands[i];
	return NULL;
}

/* Quoting at most 128 bytes of the name and as many of the arguments. */
static void unknown_command(struct kv_call *call)
{
	char args[128 + 4] = "";
	size_t used = 0;

	for (uint32_t i = 1; i < call->argc && used < 128; i++) {
		int room = (int)(128 - used);
		int bytes = call->argv[i].bytes < (size_t)room
				    ? (int)call->argv[i].bytes
				    : room;

		used += (size_t)snprintf(args + used, sizeof args - used,
			"'%.*s' ", bytes, call->argv[i].at);
	}
	rf_resp_error(call->reply,
		"ERR unknown command '%.*s', with args beginning with: %s",
		call->argv[0].bytes < 128 ? (int)call->argv[0].bytes : 128,
		call->argv[0].at, args);
}

static void upper_case(char to[NAME_BYTES_MAX + 1], const char *name)
{
	size_t i = 0;

	for (; i < NAME_BYTES_MAX && name[i] != '\0'; i++)
		to[i] = (char)(name[i] & ~0x20);
	to[i] = '\0';
}

static void unknown_child(struct kv_call *call, const struct kv_command *parent)
{
	char upper[NAME_BYTES_MAX + 1];

	upper_case(upper, parent->name);
	rf_resp_error(call->reply,
		"ERR unknown subcommand '%.*s'. Try %s HELP.",
		call->argv[1].bytes < 128 ? (int)call->argv[1].bytes : 128,
		call->argv[1].at, upper);
}

void kv_wrong_arity(struct kv_call *call)
{
	rf_resp_error(call->reply,
		"ERR wrong number of arguments for '%s' command",
		call->command->name);
}

const struct kv_command *kv_table_find(struct kv_call *call)
{
	const struct kv_command *command = find(call->argv[0]);

	if (rf_unlikely(command == NULL)) {
		unknown_command(call);
		return NULL;
	}
	if (rf_unlikely(command->flags & PARENT) && call->argc > 1) {
		const struct kv_command *parent = command;

		command = find_child(parent, call->argv[1]);
		if (command == NULL) {
			unknown_child(call, parent);
			return NULL;
		}
	}
	call->command = command;
	if (rf_unlikely(command->arity >= 0
				? (int)call->argc != command->arity
				: (int)call->argc < -command->arity)) {
		kv_wrong_arity(call);
		return NULL;
	}
	return command;
}

/* ---- COMMAND ---- */

static void reply_flags(struct kv_call *call, uint32_t flags)
{
	size_t count = 0;

	for (size_t i = 0; i < COUNT(flag_names); i++)
		count += (flags & flag_names[i].flag) != 0;
	rf_resp_set(call->reply, call->proto, count);
	for (size_t i = 0; i < COUNT(flag_names); i++)
		if (flags & flag_names[i].flag)
			rf_resp_simple(call->reply, flag_names[i].name);
}

static bool in_category(uint32_t flags, size_t i)
{
	return categories[i].any != 0 ? (flags & categories[i].any) != 0
				      : (flags & categories[i].none) == 0;
}

static void reply_categories(struct kv_call *call, uint32_t flags)
{
	size_t count = 0;

	for (size_t i = 0; i < COUNT(categories); i++)
		count += in_category(flags, i);
	rf_resp_set(call->reply, call->proto, count);
	for (size_t i = 0; i < COUNT(categories); i++)
		if (in_category(flags, i))
			rf_resp_simple(call->reply, categories[i].name);
}

static void reply_command(
	struct kv_call *call, const struct kv_command *command);

static void reply_children(
	struct kv_call *call, const struct kv_command *parent)
{
	size_t count = 0;

	for (size_t i = 0; i < COUNT(subcommands); i++)
		count += is_child(&subcommands[i], parent);
	rf_resp_array(call->reply, count);
	for (size_t i = 0; i < COUNT(subcommands); i++)
		if (is_child(&subcommands[i], parent))
			reply_command(call, &subcommands[i]);
}

/* The ten facts that redis tells; tips and key specifications are none. */
static void reply_command(
	struct kv_call *call, const struct kv_command *command)
{
	struct rf_reply *reply = call->reply;

	rf_resp_array(reply, 10);
	rf_resp_bulk_text(reply, command->name);
	rf_resp_int(reply, command->arity);
	reply_flags(call, command->flags);
	rf_resp_int(reply, command->first_key);
	rf_resp_int(reply, command->last_key);
	rf_resp_int(reply, command->key_step);
	reply_categories(call, command->flags);
	rf_resp_array(reply, 0);
	rf_resp_array(reply, 0);
	reply_children(call, command);
}

void kv_cmd_command(struct kv_call *call)
{
	rf_resp_array(call->reply, COUNT(commands));
	for (size_t i = 0; i < COUNT(commands); i++)
		reply_command(call, &commands[i]);
}

void kv_cmd_command_count(struct kv_call *call)
{
	rf_resp_int(call->reply, COUNT(commands));
}

void kv_help(struct kv_call *call)
{
	const struct kv_command *parent = find(call->argv[0]);
	char text[128], upper[NAME_BYTES_MAX + 1];
	size_t mark = rf_reply_size(call->reply);
	size_t count = 1;

	upper_case(upper, parent->name);
	snprintf(text, sizeof text,
		"%s <subcommand> [<arg> ...]. Subcommands are:", upper);
	rf_resp_simple(call->reply, text);
	for (size_t i = 0; i < COUNT(subcommands); i++) {
		if (!is_child(&subcommands[i], parent))
			continue;
		upper_case(upper, strchr(subcommands[i].name, '|') + 1);
		rf_resp_simple(call->reply, upper);
		count++;
	}
	rf_resp_array_at(call->reply, mark, count);
}

void kv_cmd_command_help(struct kv_call *call)
{
	kv_help(call);
}

/* There are none: redis-cli then goes without its hints. */
void kv_cmd_command_docs(struct kv_call *call)
{
	rf_resp_map(call->reply, call->proto, 0);
}

void kv_cmd_command_info(struct kv_call *call)
{
	if (call->argc == 2) {
		kv_cmd_command(call);
		return;
	}
	rf_resp_array(call->reply, call->argc - 2);
	for (uint32_t i = 2; i < call->argc; i++) {
		const struct kv_command *command = find(call->argv[i]);

		if (command != NULL)
			reply_command(call, command);
		else
			rf_resp_null(call->reply, call->proto);
	}
}

void kv_cmd_command_list(struct kv_call *call)
{
	if (call->argc != 2) {
		rf_resp_error(call->reply, KV_ERR_SYNTAX);
		return;
	}
	rf_resp_array(call->reply, COUNT(commands));
	for (size_t i = 0; i < COUNT(commands); i++)
		rf_resp_bulk_text(call->reply, commands[i].name);
}
