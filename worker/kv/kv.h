/* SPDX-License-Identifier: MIT */
/* kv.h -- one call of one command, and what every command needs.
 *
 * State stands in the arena, below one root in the slot "kv" (keys/keys.h) and
 * beside each connection (client/client.h). Everything that is static in these
 * files is private to the process and made anew by `start`.
 */
#ifndef KV_H
#define KV_H

#include "worker/kv/table.h"
#include <refork/dict.h>
#include <refork/heap.h>
#include <refork/item.h>
#include <refork/resp.h>
#include <refork/tx.h>
#include <refork/worker.h>
#include <string.h>

/* The redis whose behaviour is kept to; clients ask for it. */
#define KV_REDIS_VERSION "7.0.15"
#define KV_VERSION	 "0.2.0"
#define KV_STATE_VERSION 2

#define KV_ERR_SYNTAX "ERR syntax error"
#define KV_ERR_INT    "ERR value is not an integer or out of range"
#define KV_ERR_FLOAT  "ERR value is not a valid float"
#define KV_ERR_NO_KEY "ERR no such key"
#define KV_ERR_LONG                                                            \
	"ERR string exceeds maximum allowed size (proto-max-bulk-len)"
#define KV_ERR_TYPE                                                            \
	"WRONGTYPE Operation against a key holding the wrong kind of value"

struct kv_call {
	const struct rf_request *req; /* NULL in a tick */
	struct rf_conn *conn;	      /* NULL in a tick */
	const struct kv_command *command;
	const struct rf_bytes *argv;
	struct rf_reply *reply;
	struct kv_keys *keys; /* the selected database */
	int64_t now_ms;	      /* one instant for the whole of an EXEC */
	uint32_t argc;
	uint32_t db;  /* its number */
	int proto;    /* RESP 2 or 3 */
	bool in_exec; /* one of several: must not block */
};

extern const struct rf_env *kv_env;

/* Run call->command, which the table has found: counted, timed. */
void kv_run(struct kv_call *call);

/* ---- arguments ---- */

/* Case is ignored. */
bool kv_is(struct rf_bytes arg, const char *word);
static inline bool kv_same(struct rf_bytes a, struct rf_bytes b)
{
	return a.bytes == b.bytes && memcmp(a.at, b.at, a.bytes) == 0;
}
/* false: the error has been replied. */
bool kv_arg_int(struct kv_call *call, uint32_t index, int64_t *out);
bool kv_arg_double(struct kv_call *call, uint32_t index, double *out);
/* Within min .. max, else this error (NULL: KV_ERR_INT). */
bool kv_arg_range(struct kv_call *call, uint32_t index, int64_t min,
	int64_t max, int64_t *out, const char *error);
/* A cursor as redis takes it: nothing is 0, below 0 counts from 2^64 down. */
bool kv_arg_cursor(struct kv_call *call, uint32_t index, uint64_t *cursor);
/* Decimal as redis takes it: no plus, no spaces, no leading zeros. */
bool kv_parse_int(const char *from, size_t bytes, int64_t *out);
bool kv_parse_float(const char *from, size_t bytes, long double *out);
/* Also inf, -inf, +inf; not nan. */
bool kv_parse_double(const char *from, size_t bytes, double *out);
#define KV_FLOAT_MAX 5120 /* bytes of the longest number */
size_t kv_format_float(char to[KV_FLOAT_MAX], long double value);
/* Shell-like: * ? [a-z] [^a] \x. */
bool kv_glob(struct rf_bytes pattern, const char *text, size_t bytes,
	bool ignore_case);
/* 64 random bits. Not for secrets. */
uint64_t kv_random(void);

/* ---- replies ---- */

static inline void kv_reply_ok(struct kv_call *call)
{
	rf_reply_bytes(call->reply, "+OK\r\n", 5);
}
static inline void kv_reply_item(
	struct kv_call *call, const struct rf_item *item)
{
	rf_resp_bulk(call->reply, item->text.at, item->text.bytes);
}
static inline void kv_reply_syntax(struct kv_call *call)
{
	rf_resp_error(call->reply, KV_ERR_SYNTAX);
}
void kv_wrong_arity(struct kv_call *call);
/* "unknown subcommand or wrong number of arguments for": of argv[1]. */
void kv_bad_subcommand(struct kv_call *call);
/* The subcommands of argv[0]: "CLIENT <subcommand> ..." and a line of syntax
 * and summary each, from the table. */
void kv_help(struct kv_call *call);

/* Every command has a handler. */
#define KV_HANDLER(name) void kv_cmd_##name(struct kv_call *call);
#define COMMAND(id, ...) KV_HANDLER(id)
#define CONTAINER(id, ...)
#define SUBCOMMAND(parent, id, ...) KV_HANDLER(parent##_##id)
#include "worker/kv/commands.def"
#undef COMMAND
#undef CONTAINER
#undef SUBCOMMAND
#undef KV_HANDLER

#endif
