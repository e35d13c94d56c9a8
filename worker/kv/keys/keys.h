/* SPDX-License-Identifier: MIT */
/* keys.h -- databases, keys and values.
 *
 *   kv_root.databases[n] -> kv_keys -> dict: key -> entry.word -> value
 *                                             or -> kv_timer -> value
 *                                   -> timers, by time
 *
 * A value is one block that begins with struct kv_value: a string's text
 * follows, or the root of a container.
 */
#ifndef KV_KEYS_H
#define KV_KEYS_H

#include "worker/kv/kv.h"
#include <refork/list.h>
#include <refork/map.h>
#include <refork/set.h>
#include <refork/sorted.h>
#include <refork/string.h>
#include <refork/timers.h>

/* ---- values ---- */

enum kv_kind {
	KV_STRING = 1,
	KV_LIST,
	KV_HASH,
	KV_SET,
	KV_ZSET,
	KV_KIND_COUNT
};

/* The first 8 bytes of every value; of a string it is an rf_string, whose user
 * word `head` is. */
struct kv_value {
	uint32_t bytes;	 /* of a string; else 0 */
	uint32_t head;	 /* kind << 28 | flags << 24 | access, 24 bits */
	uint64_t body[]; /* text, or the root of a container */
};
_Static_assert(sizeof(struct kv_value) == sizeof(struct rf_string), "format");

/* Strings: was changed in part, so OBJECT ENCODING calls it raw. */
#define KV_VALUE_RAW (UINT32_C(1) << 24)
#define KV_ACCESS    UINT32_C(0xffffff) /* evict.c; written without the log */

static inline enum kv_kind kv_kind_of(const struct kv_value *value)
{
	return (enum kv_kind)(value->head >> 28);
}
static inline struct rf_string *kv_string_of(const struct kv_value *value)
{
	return (struct rf_string *)value;
}
static inline struct rf_list *kv_list_of(const struct kv_value *value)
{
	return (struct rf_list *)value->body;
}
static inline struct rf_map *kv_map_of(const struct kv_value *value)
{
	return (struct rf_map *)value->body;
}
static inline struct rf_set *kv_set_of(const struct kv_value *value)
{
	return (struct rf_set *)value->body;
}
static inline struct rf_sorted *kv_sorted_of(const struct kv_value *value)
{
	return (struct rf_sorted *)value->body;
}

/* "string", "list", ... */
extern const char *const kv_kind_names[KV_KIND_COUNT];
/* "embstr", "quicklist", ...: what redis would call it. */
const char *kv_encoding_of(const struct kv_value *value);
/* Bytes of the arena that a value takes. O(1). */
size_t kv_value_memory(const struct kv_value *value);
/* What a collection holds; of a string its bytes. */
uint64_t kv_value_count(const struct kv_value *value);

/* The longest string: 512 MiB, or max_request if that is less. */
extern size_t kv_string_bytes_max;
size_t kv_setting_bytes_max(void);

/* ---- databases ---- */

struct kv_timer { /* of a key that expires */
	struct rf_timer timer;
	struct kv_keys *keys;
	struct rf_dict_entry *entry;
	struct kv_value *value;
};
_Static_assert(sizeof(struct kv_timer) == 48, "format");

#define KV_TIMED UINT64_C(1) /* in entry.word: it points to a kv_timer */

struct kv_keys {
	struct rf_dict dict;
	struct rf_timers timers;
	struct kv_keys *next; /* in the list of the flushed */
	uint64_t db;	      /* its number at present */
};

extern struct kv_root *kv_root;
struct kv_keys *kv_database(uint32_t db);
uint32_t kv_database_count(void);
/* The two of SWAPDB. false: the error has been replied. */
bool kv_args_two_dbs(struct kv_call *call, uint32_t *first, uint32_t *second);

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

/* ---- finding, making, removing; in call->keys ---- */

/* The live entry of a key, or NULL; an expired one is removed. kv_find is for
 * changing it; kv_look for reading: it counts a hit or a miss. */
struct rf_dict_entry *kv_find(struct kv_call *call, struct rf_bytes key);
struct rf_dict_entry *kv_look(struct kv_call *call, struct rf_bytes key);

/* Without counting it as an access of the value: kv_peek counts a hit or a
 * miss, kv_live nothing. For what asks about a key. */
struct rf_dict_entry *kv_peek(struct kv_call *call, struct rf_bytes key);
struct rf_dict_entry *kv_live(struct kv_call *call, struct rf_bytes key);

/* The same for a key that must be of that kind if it is there at all.
 * value    the value or NULL
 * Returns  false after replying WRONGTYPE */
bool kv_find_kind(struct kv_call *call, struct rf_bytes key, enum kv_kind kind,
	struct kv_value **value);
bool kv_look_kind(struct kv_call *call, struct rf_bytes key, enum kv_kind kind,
	struct kv_value **value);

/* A new key with an empty collection. It must not exist. NULL: no memory. */
struct kv_value *kv_create(
	struct kv_call *call, struct rf_bytes key, enum kv_kind kind);
/* Set a key to a text; `keep_expiry` or not. NULL: no memory. Anything that
 * stood there is gone. */
struct rf_dict_entry *kv_set(struct kv_call *call, struct rf_bytes key,
	const void *from, size_t bytes, bool keep_expiry);
/* Another text for a key that holds one; its expiry stays. The entry, or NULL:
 * no memory. */
struct rf_dict_entry *kv_overwrite(struct kv_call *call,
	struct rf_dict_entry *entry, const void *from, size_t bytes);
/* Give a key a value (that no key has), replacing what stood there; its expiry
 * goes. For STORE commands: make the value aside first. NULL: no memory. */
struct rf_dict_entry *kv_put(
	struct kv_call *call, struct rf_bytes key, struct kv_value *value);
/* A collection that no key has: for kv_put. Drop it by kv_value_drop. */
struct kv_value *kv_value_create(enum kv_kind kind);
/* The same for a text, of any length. */
struct kv_value *kv_text_create(const void *from, size_t bytes, int64_t now_ms);
/* A deep copy, which no key has. Cost: O(its size). NULL: no memory. */
struct kv_value *kv_value_copy(const struct kv_value *value, int64_t now_ms);
/* Free a value of any size: at once when it is small, else in later ticks. */
void kv_value_drop(struct kv_value *value);
/* After a text of an entry has changed its place. */
void kv_entry_set(struct rf_dict_entry *entry, struct kv_value *value);

void kv_delete(struct kv_call *call, struct rf_dict_entry *entry);
/* If the collection of this key is empty now: delete it and tell ("del").
 * Returns whether it did. */
bool kv_delete_if_empty(struct kv_call *call, struct rf_bytes key);

/* ---- telling of a change ---- */

/* The classes of keyspace notifications, as in notify-keyspace-events. */
enum kv_class {
	KV_CLASS_GENERIC = 'g',
	KV_CLASS_STRING = '$',
	KV_CLASS_LIST = 'l',
	KV_CLASS_SET = 's',
	KV_CLASS_HASH = 'h',
	KV_CLASS_ZSET = 'z',
	KV_CLASS_EXPIRED = 'x',
	KV_CLASS_EVICTED = 'e',
	KV_CLASS_MISS = 'm',
	KV_CLASS_NEW = 'n',
};

/* A key of call->keys has changed: fails the transactions that WATCH it, wakes
 * who is blocked on it, notifies subscribers. Call it once per change and key,
 * after the change, also when the key is gone.
 * event    "set", "lpush", ...: redis's name
 * Cost     O(1) when nobody watches, waits or listens: a few ns */
void kv_changed(struct kv_call *call, struct rf_bytes key, enum kv_class class,
	const char *event);

/* ---- expiry ---- */

bool kv_expired(const struct rf_dict_entry *entry, int64_t now_ms);
void kv_expire_at(
	struct kv_call *call, struct rf_dict_entry *entry, int64_t at_ms);
/* false: it had no expiry. */
bool kv_persist(struct kv_call *call, struct rf_dict_entry *entry);
/* The instant an expiry of `count` units (1000: seconds) from `base_ms` stands
 * for. false: it does not fit. */
bool kv_instant(int64_t count, int64_t unit, int64_t base_ms, int64_t *at_ms);

/* ---- a database as a whole ---- */

/* Make the root of new state, or check what is there against the ini. */
void kv_keys_build(bool created);
/* Puts all keys aside: others stand in their place, and kv_database() says
 * where. O(1). */
void kv_flush(struct kv_keys *keys);
/* Some work on what was flushed or dropped. True: there is more. */
bool kv_bury_step(size_t budget);
/* Keys and values that wait for that. */
uint64_t kv_dead_count(void);
/* Delete what has expired; `budget` keys at most. True: there is more. */
bool kv_expire_step(struct kv_call *call, size_t budget);
/* No key expires before this; a lower bound. */
int64_t kv_expire_next_ms(void);

/* ---- memory (evict.c) ---- */

/* Make room below maxmemory for a command that may need some. false: it is
 * to be refused with -OOM. O(1) when there is room. */
bool kv_make_room(struct kv_call *call);

#endif
