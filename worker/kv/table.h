/* SPDX-License-Identifier: MIT */
/* table.h -- the command table: what commands.def says of each command. */
#ifndef KV_TABLE_H
#define KV_TABLE_H

#include <refork/bytes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kv_call;

/* What COMMAND calls flags, then the categories that follow from no flag, then
 * tips; each in redis's order. */
enum kv_flag {
	WRITE = 1 << 0,
	READONLY = 1 << 1,
	DENYOOM = 1 << 2,
	ADMIN = 1 << 3,
	PUBSUB = 1 << 4,
	NOSCRIPT = 1 << 5,
	BLOCKING = 1 << 6,
	LOADING = 1 << 7,
	STALE = 1 << 8,
	SKIP_MONITOR = 1 << 9,
	SKIP_SLOWLOG = 1 << 10,
	FAST = 1 << 11,
	NO_AUTH = 1 << 12,
	NO_MANDATORY_KEYS = 1 << 13,
	NO_ASYNC_LOADING = 1 << 14,
	NO_MULTI = 1 << 15,
	MOVABLE = 1 << 16,
	ALLOW_BUSY = 1 << 17,
	KEYSPACE = 1 << 18,
	STRING = 1 << 19,
	LIST = 1 << 20,
	HASH = 1 << 21,
	SET = 1 << 22,
	SORTED_SET = 1 << 23,
	BITMAP = 1 << 24,
	CONNECTION = 1 << 25,
	TRANSACTION = 1 << 26,
	SCRIPTING = 1 << 27,
	DANGEROUS = 1 << 28,
	TIP_RANDOM = 1 << 29,
	TIP_RANDOM_ORDER = 1 << 30,
	ADMIN_CATEGORY = 1u << 31, /* without the flag: LASTSAVE */
};

enum kv_spec_flag {
	RO = 1 << 0,
	RW = 1 << 1,
	OW = 1 << 2,
	RM = 1 << 3,
	ACCESS = 1 << 4,
	UPDATE = 1 << 5,
	INSERT = 1 << 6,
	DELETE = 1 << 7,
	NOT_KEY = 1 << 8,
	VARIABLE_FLAGS = 1 << 9,
};

enum kv_spec_how { UNKNOWN, INDEX, RANGE, KEYNUM };

struct kv_spec {
	bool is_set;   /* false: no specification */
	uint8_t begin; /* UNKNOWN or INDEX */
	uint8_t find;  /* UNKNOWN, RANGE or KEYNUM */
	int8_t at;     /* the argument to begin with */
	/* RANGE: last, step, limit; KEYNUM: argument with the number, first
	 * key, step; both counted from `at`. */
	int8_t how[3];
	uint16_t flags; /* enum kv_spec_flag */
};

#define KV_SPECS_MAX 3
#define KV_ROWS_MAX  256

struct kv_command {
	const char *name;		   /* "get", "client|setname" */
	void (*run)(struct kv_call *call); /* NULL: has subcommands only */
	int arity;	/* with the name; negative: at least */
	uint32_t flags; /* enum kv_flag */
	const char *group, *since, *complexity, *syntax, *summary;
	struct kv_spec specs[KV_SPECS_MAX];
};

/* Commands in the order of commands.def, and their subcommands. */
extern const struct kv_command kv_commands[];
extern const size_t kv_command_count;
extern const struct kv_command kv_subcommands[];
extern const size_t kv_subcommand_count;

void kv_table_init(void);
/* The command of argv[0] (and argv[1]), arity checked. NULL after replying the
 * error. Sets call->command also when only the arity is wrong. */
const struct kv_command *kv_table_find(struct kv_call *call);
/* NULL: no such command. `name` may be "client|setname". */
const struct kv_command *kv_table_by_name(const char *name, size_t bytes);
/* The command that these arguments would run; NULL: none. */
const struct kv_command *kv_table_lookup(
	const struct rf_bytes *argv, uint32_t argc);
bool kv_table_arity_fits(const struct kv_command *command, uint32_t argc);
bool kv_table_is_child(
	const struct kv_command *child, const struct kv_command *parent);
/* A number below KV_ROWS_MAX, for counters: the place in kv_commands, then in
 * kv_subcommands. */
size_t kv_table_index(const struct kv_command *command);

/* Where the keys of these arguments stand, by the specifications and, for
 * what they do not tell (SORT), by hand.
 * keys   room for argc * KV_SPECS_MAX of them
 * Returns how many; -1 when the arguments make no sense */
struct kv_key_at {
	uint32_t index; /* of argv */
	uint32_t flags; /* enum kv_spec_flag */
};
int kv_table_keys(const struct kv_command *command, const struct rf_bytes *argv,
	uint32_t argc, struct kv_key_at *keys);

#endif
