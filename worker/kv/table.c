/* SPDX-License-Identifier: MIT */
/* table.c -- the command table, and finding a command in it.
 *
 * A name is looked up as two words of lower-case letters, in a small table of
 * the process's own with open addressing. Setting bit 5 makes a letter lower
 * case and no other byte a letter, so nothing else needs comparing.
 *
 * A row without a handler, its own or that of a subcommand, does not exist:
 * the table that is searched holds what does.
 */
#include "worker/kv/table.h"
#include "worker/kv/kv.h"
#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

#define SPEC(flags, begin, at, find, a, b, c)                                  \
	{                                                                      \
		true, begin, find, at, {a, b, c}, flags                        \
	}
#define ROW(run, name, arity, flags, since, complexity, syntax, summary, ...)  \
	{name, run, arity, flags, GROUP, since, complexity, syntax, summary,   \
		{__VA_ARGS__}},

const struct kv_command kv_commands[] = {
#define COMMAND(id, ...)   ROW(kv_cmd_##id, __VA_ARGS__)
#define CONTAINER(id, ...) ROW(NULL, __VA_ARGS__)
#define SUBCOMMAND(...)
#include "worker/kv/commands.def"
#undef COMMAND
#undef CONTAINER
#undef SUBCOMMAND
};
const size_t kv_command_count = COUNT(kv_commands);

const struct kv_command kv_subcommands[] = {
#define COMMAND(...)
#define CONTAINER(...)
#define SUBCOMMAND(parent, id, ...) ROW(kv_cmd_##parent##_##id, __VA_ARGS__)
#include "worker/kv/commands.def"
#undef COMMAND
#undef CONTAINER
#undef SUBCOMMAND
};
const size_t kv_subcommand_count = COUNT(kv_subcommands);

_Static_assert(COUNT(kv_commands) + COUNT(kv_subcommands) <= KV_ROWS_MAX,
	"room for a counter each");

size_t kv_table_index(const struct kv_command *command)
{
	if (command >= kv_commands &&
		command < kv_commands + COUNT(kv_commands))
		return (size_t)(command - kv_commands);
	return COUNT(kv_commands) + (size_t)(command - kv_subcommands);
}

bool kv_table_is_child(
	const struct kv_command *child, const struct kv_command *parent)
{
	size_t bytes = strlen(parent->name);

	return strncmp(child->name, parent->name, bytes) == 0 &&
	       child->name[bytes] == '|';
}

/* ---- finding ---- */

#define NAME_BYTES_MAX 16
#define SLOT_BITS      9

struct name_key {
	uint64_t low, high;
};

static struct {
	struct name_key key;
	const struct kv_command *command; /* NULL: free */
	bool is_parent;
} slots[1 << SLOT_BITS];
_Static_assert(COUNT(kv_commands) * 2 < COUNT(slots), "room to miss quickly");

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

static bool has_children(const struct kv_command *parent)
{
	for (size_t i = 0; i < COUNT(kv_subcommands); i++)
		if (kv_table_is_child(&kv_subcommands[i], parent))
			return true;
	return false;
}

void kv_table_init(void)
{
	memset(slots, 0, sizeof slots);
	for (size_t i = 0; i < COUNT(kv_commands); i++) {
		const struct kv_command *command = &kv_commands[i];
		struct name_key key =
			key_of(command->name, strlen(command->name));
		size_t slot = probe(key);

		slots[slot].key = key;
		slots[slot].command = command;
		slots[slot].is_parent = has_children(command);
	}
}

/* The slot of a command; NULL in it when there is none. */
static inline size_t find(struct rf_bytes name)
{
	static const struct name_key nothing = {0};

	return probe(rf_likely(name.bytes <= NAME_BYTES_MAX)
			     ? key_of(name.at, name.bytes)
			     : nothing);
}

static const struct kv_command *find_child(
	const struct kv_command *parent, struct rf_bytes name)
{
	size_t skip = strlen(parent->name) + 1;

	for (size_t i = 0; i < COUNT(kv_subcommands); i++)
		if (kv_table_is_child(&kv_subcommands[i], parent) &&
			kv_is(name, kv_subcommands[i].name + skip))
			return &kv_subcommands[i];
	return NULL;
}

const struct kv_command *kv_table_by_name(const char *name, size_t bytes)
{
	const char *bar = memchr(name, '|', bytes);
	struct rf_bytes first = {name, bytes};
	const struct kv_command *command;

	if (bar != NULL)
		first.bytes = (size_t)(bar - name);
	command = slots[find(first)].command;
	if (command != NULL && bar != NULL)
		command = find_child(command,
			(struct rf_bytes){bar + 1, bytes - first.bytes - 1});
	return command;
}

const struct kv_command *kv_table_lookup(
	const struct rf_bytes *argv, uint32_t argc)
{
	size_t slot = find(argv[0]);

	if (slots[slot].is_parent && argc > 1)
		return find_child(slots[slot].command, argv[1]);
	return slots[slot].command;
}

bool kv_table_arity_fits(const struct kv_command *command, uint32_t argc)
{
	return command->arity >= 0 ? (int)argc == command->arity
				   : (int)argc >= -command->arity;
}

/* ---- finding that of a request ---- */

#define QUOTED_BYTES_MAX 128

static int quoted_bytes(struct rf_bytes text)
{
	return text.bytes < QUOTED_BYTES_MAX ? (int)text.bytes
					     : QUOTED_BYTES_MAX;
}

/* Quoting at most 128 bytes of the name and as many of the arguments. */
static void unknown_command(struct kv_call *call)
{
	char args[QUOTED_BYTES_MAX + 4] = "";
	size_t used = 0;

	for (uint32_t i = 1; i < call->argc && used < QUOTED_BYTES_MAX; i++) {
		int room = (int)(QUOTED_BYTES_MAX - used);
		int bytes = quoted_bytes(call->argv[i]);

		used += (size_t)snprintf(args + used, sizeof args - used,
			"'%.*s' ", bytes < room ? bytes : room,
			call->argv[i].at);
	}
	rf_resp_error(call->reply,
		"ERR unknown command '%.*s', with args beginning with: %s",
		quoted_bytes(call->argv[0]), call->argv[0].at, args);
}

/* "ERR <what> '<argv[1]>'. Try <ARGV[0]> HELP." */
static void try_help(struct kv_call *call, const char *what)
{
	char upper[NAME_BYTES_MAX + 1];
	size_t i = 0;

	for (; i < NAME_BYTES_MAX && i < call->argv[0].bytes; i++) {
		char c = call->argv[0].at[i];

		upper[i] = c >= 'a' && c <= 'z' ? (char)(c - 0x20) : c;
	}
	upper[i] = '\0';
	rf_resp_error(call->reply, "ERR %s '%.*s'. Try %s HELP.", what,
		quoted_bytes(call->argv[1]), call->argv[1].at, upper);
}

static void unknown_subcommand(struct kv_call *call)
{
	try_help(call, "unknown subcommand");
}

void kv_bad_subcommand(struct kv_call *call)
{
	try_help(call, "unknown subcommand or wrong number of arguments for");
}

void kv_wrong_arity(struct kv_call *call)
{
	rf_resp_error(call->reply,
		"ERR wrong number of arguments for '%s' command",
		call->command->name);
}

const struct kv_command *kv_table_find(struct kv_call *call)
{
	size_t slot = find(call->argv[0]);
	const struct kv_command *command = slots[slot].command;

	if (rf_unlikely(command == NULL)) {
		unknown_command(call);
		return NULL;
	}
	if (rf_unlikely(slots[slot].is_parent) && call->argc > 1) {
		command = find_child(command, call->argv[1]);
		if (command == NULL) {
			unknown_subcommand(call);
			return NULL;
		}
	}
	call->command = command;
	if (rf_unlikely(!kv_table_arity_fits(command, call->argc))) {
		kv_wrong_arity(call);
		return NULL;
	}
	return command;
}
