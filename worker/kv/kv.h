/* SPDX-License-Identifier: MIT */
/* kv.h -- what the files of the kv worker share.
 *
 * State: one kv_db in the slot "kv", all of it in the arena. Everything that
 * is static in these files is private to the process and made anew by `start`.
 */
#ifndef KV_H
#define KV_H

#include <refork/dict.h>
#include <refork/heap.h>
#include <refork/resp.h>
#include <refork/tx.h>
#include <refork/worker.h>
#include <string.h>

/* The redis whose behaviour is kept to; clients ask for it. */
#define KV_REDIS_VERSION "7.0.15"
#define KV_VERSION	 "0.1.0"
#define KV_STATE_VERSION 1

#define KV_ERR_SYNTAX "ERR syntax error"
#define KV_ERR_INT    "ERR value is not an integer or out of range"
#define KV_ERR_FLOAT  "ERR value is not a valid float"
#define KV_ERR_NO_KEY "ERR no such key"
#define KV_ERR_LONG                                                            \
	"ERR string exceeds maximum allowed size (proto-max-bulk-len)"

/* ---- one call of one command ---- */

struct kv_call {
	const struct rf_request *req;
	const struct kv_command *command;
	const struct rf_bytes *argv;
	struct rf_reply *reply;
	int64_t now_ms;
	uint32_t argc;
	int proto; /* RESP 2 or 3 */
};

/* rf_conn.user[] of a connection. Strings are blocks ending in a zero byte. */
enum kv_conn_field {
	KV_CONN_PROTO, /* 0: 2 */
	KV_CONN_NAME,
	KV_CONN_LIB_NAME,
	KV_CONN_LIB_VER,
	KV_CONN_FIELD_COUNT
};

/* Case is ignored. */
bool kv_is(struct rf_bytes arg, const char *word);
/* false: the error has been replied. */
bool kv_arg_int(struct kv_call *call, uint32_t index, int64_t *out);
/* Decimal as redis takes it: no plus, no spaces, no leading zeros. */
bool kv_parse_int(const char *from, size_t bytes, int64_t *out);
bool kv_parse_float(const char *from, size_t bytes, long double *out);
#define KV_FLOAT_MAX 5120 /* bytes of the longest number */
size_t kv_format_float(char to[KV_FLOAT_MAX], long double value);
/* Shell-like: * ? [a-z] [^a] \x. */
bool kv_glob(struct rf_bytes pattern, const char *text, size_t bytes,
	bool ignore_case);

/* ---- the command table (table.c, from commands.def) ---- */

struct kv_command {
	const char *name; /* "get", "client|setname" */
	void (*run)(struct kv_call *call);
	int arity;	/* with the name; negative: at least */
	uint32_t flags; /* of table.c */
	int first_key, last_key, key_step;
};

void kv_table_init(void);
/* NULL after replying the error: unknown, or wrong number of arguments. */
const struct kv_command *kv_table_find(struct kv_call *call);
void kv_wrong_arity(struct kv_call *call);
/* The subcommands of argv[0]. */
void kv_help(struct kv_call *call);

#define COMMAND(name, ...) void kv_cmd_##name(struct kv_call *call);
#define CONTAINER(name, ...)
#define SUBCOMMAND(parent, name, ...)                                          \
	void kv_cmd_##parent##_##name(struct kv_call *call);
#include "commands.def"
#undef COMMAND
#undef CONTAINER
#undef SUBCOMMAND

/* ---- values (value.c) ---- */

enum kv_kind { KV_STRING = 1 };

struct kv_value {
	uint32_t bytes;
	uint32_t shape; /* usable bytes of the block | enum kv_kind */
	char text[];
};
_Static_assert(sizeof(struct kv_value) == 8, "format");

#define KV_SHAPE_KIND UINT32_C(15)

extern size_t kv_string_bytes_max;
/* What it shall be: 512 MiB, or max_request if that is less. */
size_t kv_setting_bytes_max(void);

/* Room for text in the block of a value. */
static inline size_t kv_value_room(const struct kv_value *value)
{
	return (value->shape & ~KV_SHAPE_KIND) - sizeof *value;
}

/* Become this text; the block stays when it fits well. Expiry is unchanged. */
void kv_value_set(struct rf_dict_entry *entry, const void *from, size_t bytes);
/* Write at `off`, growing (zeroed) as needed. -EMSGSIZE above the maximum. */
int kv_value_write(struct rf_dict_entry *entry, size_t off, const void *from,
	size_t bytes);

/* ---- keys (db.c) ---- */

/* A key with an expiry has one of these between entry and value; the entry's
 * word then has KV_TIMED set. */
struct kv_timer {
	struct kv_timer *next;
	struct kv_timer **link; /* what points here */
	int64_t at_ms;
	struct rf_dict_entry *entry;
	struct kv_value *value;
};
_Static_assert(sizeof(struct kv_timer) == 40, "format");

#define KV_TIMED UINT64_C(1)

/* Timers by the slice of time they end in; see wheel.c. */
#define KV_WHEEL_SLOTS 4096
struct kv_wheel {
	uint64_t count;
	int64_t next; /* first slice not looked at yet */
	struct kv_timer *taken;
	struct kv_timer *slots[KV_WHEEL_SLOTS];
};

struct kv_keys {
	struct rf_dict dict;
	struct kv_keys *next; /* in the list of the dead */
};
_Static_assert(sizeof(struct kv_keys) == 56, "format");

struct kv_db { /* the root */
	struct kv_keys *keys;
	struct kv_keys *dead;  /* flushed, being freed by tick */
	struct kv_keys *spare; /* for the next flush; may be NULL */
	uint64_t expired;      /* keys, ever */
	uint64_t crash_tests;
	struct kv_wheel wheel;
};

extern struct kv_db *kv_db;
extern const struct rf_env *kv_env;

static inline struct kv_timer *kv_timer_of(const struct rf_dict_entry *entry)
{
	return entry->word & KV_TIMED
		       ? (struct kv_timer *)(entry->word & ~KV_TIMED)
		       : NULL;
}

static inline struct kv_value *kv_value_of(const struct rf_dict_entry *entry)
{
	if (rf_unlikely(entry->word & KV_TIMED))
		return kv_timer_of(entry)->value;
	return entry->value;
}

/* Make the root's parts that a new database needs. */
void kv_db_create(void);
/* The live entry of a key, or NULL; an expired one is removed. */
struct rf_dict_entry *kv_find(int64_t now_ms, struct rf_bytes key);
/* Set the entry's value pointer, whether it has a timer or not. */
void kv_entry_set(struct rf_dict_entry *entry, struct kv_value *value);
/* Set a key to a text and remove its expiry. NULL: no memory. */
struct rf_dict_entry *kv_set(
	struct rf_bytes key, const void *from, size_t bytes);
void kv_delete(struct rf_dict_entry *entry);
bool kv_expired(const struct rf_dict_entry *entry, int64_t now_ms);
void kv_flush(void);
/* Some work on what was flushed. True: there is more. */
bool kv_bury_step(size_t budget);
int kv_verify(void);

/* ---- expiry (wheel.c) ---- */

void kv_expire_at(struct rf_dict_entry *entry, int64_t at_ms);
/* false: it had no expiry. */
bool kv_persist(struct rf_dict_entry *entry);
/* An entry with a timer has moved. */
void kv_timer_moved(struct rf_dict_entry *entry);
/* Delete what has expired, `budget` timers at most. True: there is more. */
bool kv_wheel_step(int64_t now_ms, size_t budget);
void kv_wheel_reset(void);
/* -EBADMSG after rf_log. */
int kv_wheel_check(void);
/* Something that may do so points to this timer. */
bool kv_timer_hangs(const struct kv_timer *timer);
/* The instant an expiry of `count` units (1000: seconds) from `base_ms` stands
 * for. false: it does not fit. */
bool kv_instant(int64_t count, int64_t unit, int64_t base_ms, int64_t *at_ms);

#endif
