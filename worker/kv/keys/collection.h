/* SPDX-License-Identifier: MIT */
/* collection.h -- what commands on lists, hashes, sets and sorted sets have in
 * common: arguments, ranges, scans, random choice, and how a collection comes
 * and goes.
 */
#ifndef KV_COLLECTION_H
#define KV_COLLECTION_H

#include "worker/kv/keys/keys.h"

/* ---- coming and going ---- */

/* The collection of a key, a new one if there is none. NULL after replying
 * WRONGTYPE, or without memory: the transaction then carries -ENOMEM. */
struct kv_value *kv_open(
	struct kv_call *call, struct rf_bytes key, enum kv_kind kind);
/* All elements of a key that exists go at once, whatever their number: tells
 * `event`, then "del". */
void kv_take_all(struct kv_call *call, struct rf_bytes key, enum kv_class class,
	const char *event);
/* What a STORE command ends with: the key has this value from now on, or is
 * deleted when that is empty. Replies how many elements it has. */
void kv_store(struct kv_call *call, struct rf_bytes key, struct kv_value *value,
	enum kv_class class, const char *event);

/* ---- arguments ---- */

/* Any number but INT64_MIN, whose opposite is none. */
bool kv_arg_signed(struct kv_call *call, uint32_t index, int64_t *out);
/* How many to pop: 0 and up. */
bool kv_arg_count(struct kv_call *call, uint32_t index, int64_t *out);

/* What `start` and `stop` (included; from the end when negative) mean in a
 * sequence of `length`: count elements from `first` on. */
struct kv_part {
	uint64_t first, count;
};
struct kv_part kv_part_of(int64_t start, int64_t stop, uint64_t length);

/* ---- HSCAN, SSCAN, ZSCAN ----
 *
 *	if (!kv_scan_begin(call, KV_SET, &scan))
 *		return;
 *	do
 *		scan.cursor = rf_set_scan(set, scan.cursor, visit, &scan);
 *	while (kv_scan_goes_on(&scan));
 *	kv_scan_end(&scan);
 */

struct kv_scan {
	struct kv_call *call;
	struct kv_value *value; /* the collection */
	uint64_t cursor;
	uint64_t wanted, seen, steps;
	struct rf_bytes pattern; /* at NULL: all */
	size_t mark, replied;
};

/* Key, cursor and options of this call. false: all has been replied. */
bool kv_scan_begin(
	struct kv_call *call, enum kv_kind kind, struct kv_scan *scan);
/* In `visit`: is this element to be replied (kv_scan_reply)? */
bool kv_scan_wants(struct kv_scan *scan, const struct rf_item *item);
static inline void kv_scan_reply(
	struct kv_scan *scan, const struct rf_item *item)
{
	scan->replied++;
	kv_reply_item(scan->call, item);
}
bool kv_scan_goes_on(struct kv_scan *scan);
void kv_scan_end(struct kv_scan *scan);

/* ---- random choice ---- */

/* Random numbers by the million: each kv_random() is a change under the log,
 * so one of them is where a command begins. */
struct kv_dice {
	uint64_t state;
};
static inline struct kv_dice kv_dice(void)
{
	return (struct kv_dice){kv_random() | 1};
}
uint64_t kv_roll(struct kv_dice *dice);

/* `need` of `left` elements, seen one after the other: kv_choose says of each
 * whether it is one of them. Each choice is equally likely. need >= left: all
 * of them are. */
struct kv_choice {
	uint64_t need, left;
	struct kv_dice dice;
};
bool kv_choose(struct kv_choice *choice);

/* Whether drawing so few elements one by one, again when one has been drawn
 * already, costs less than going through all of them. */
static inline bool kv_draws(uint64_t need, uint64_t left)
{
	return need < left / 8;
}

/* The addresses that have been drawn; in the process's own memory. */
struct kv_drawn {
	const void **slots;
	size_t mask;
};
/* false: no memory; the transaction carries -ENOMEM. */
bool kv_drawn_init(struct kv_drawn *drawn, size_t count);
/* Whether it is the first time. */
bool kv_drawn_add(struct kv_drawn *drawn, const void *address);
void kv_drawn_fini(struct kv_drawn *drawn);

#endif
