/* SPDX-License-Identifier: MIT */
/* set_algebra.c -- SINTER, SUNION, SDIFF and what stores or counts them.
 *
 * One of the sets is gone through after the other, and each member looked up
 * in some others: what is asked for is replied, stored or counted as it is
 * found, and nothing is collected before; but the union of many sets is, for
 * looking each member up in all of them would take longer.
 */
#include "worker/kv/keys/collection.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct algebra {
	struct kv_call *call;
	const struct rf_set **sets; /* NULL: no such key */
	size_t count;

	/* The members of the set that is gone through are looked up in these:
	 * wanted when they are in all (none) of them. */
	const struct rf_set **others;
	size_t other_count;
	bool in_others;

	void (*take)(struct algebra *a, const struct rf_item *member);
	struct rf_set *into;
	uint64_t taken, limit;
};

/* ---- going through ---- */

static void visit(const struct rf_item *member, void *context)
{
	struct algebra *a = context;

	for (size_t i = 0; i < a->other_count; i++)
		if (rf_set_has(a->others[i], member->text.at,
			    member->text.bytes) != a->in_others)
			return;
	if (a->taken == a->limit)
		return;
	a->taken++;
	if (a->take != NULL)
		a->take(a, member);
}

static void go_through(struct algebra *a, const struct rf_set *set)
{
	uint64_t cursor = 0;

	do
		cursor = rf_set_scan(set, cursor, visit, a);
	while (cursor != 0 && a->taken < a->limit && rf_tx_error() == 0);
}

static int by_count(const void *a, const void *b)
{
	uint64_t one = rf_set_count(*(const struct rf_set *const *)a);
	uint64_t other = rf_set_count(*(const struct rf_set *const *)b);

	return one < other ? -1 : one > other;
}

static void intersect(struct algebra *a)
{
	for (size_t i = 0; i < a->count; i++)
		if (a->sets[i] == NULL)
			return;
	qsort(a->sets, a->count, sizeof *a->sets, by_count);
	a->others = a->sets + 1;
	a->other_count = a->count - 1;
	a->in_others = true;
	go_through(a, a->sets[0]);
}

/* Keep those that are there, from the one at `from` on. */
static void close_up(struct algebra *a, size_t from)
{
	size_t kept = from;

	for (size_t i = from; i < a->count; i++)
		if (a->sets[i] != NULL)
			a->sets[kept++] = a->sets[i];
	a->count = kept;
}

static void subtract(struct algebra *a)
{
	if (a->sets[0] == NULL)
		return;
	close_up(a, 1);
	a->others = a->sets + 1;
	a->other_count = a->count - 1;
	go_through(a, a->sets[0]);
}

/* A member counts where it comes first. */
static void unite(struct algebra *a)
{
	close_up(a, 0);
	a->others = a->sets;
	for (size_t i = 0; i < a->count; i++) {
		a->other_count = a->into != NULL ? 0 : i;
		go_through(a, a->sets[i]);
	}
}

/* ---- commands ---- */

/* The sets of these arguments. false: an error has been replied. */
static bool open_sets(struct algebra *a, uint32_t first, size_t count)
{
	struct kv_value *value;

	a->count = count;
	a->sets = malloc(count * sizeof *a->sets);
	if (a->sets == NULL) {
		rf_tx_fail(-ENOMEM);
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		if (!kv_look_kind(a->call, a->call->argv[first + i], KV_SET,
			    &value)) {
			free(a->sets);
			return false;
		}
		a->sets[i] = value != NULL ? kv_set_of(value) : NULL;
	}
	return true;
}

static void take_reply(struct algebra *a, const struct rf_item *member)
{
	kv_reply_item(a->call, member);
}

static void take_store(struct algebra *a, const struct rf_item *member)
{
	rf_set_add(a->into, member->text.at, member->text.bytes);
}

static void reply(struct kv_call *call, void (*compute)(struct algebra *a))
{
	struct algebra a = {
		.call = call, .take = take_reply, .limit = UINT64_MAX};
	size_t mark = rf_reply_size(call->reply);
	char head[32];

	if (!open_sets(&a, 1, call->argc - 1))
		return;
	compute(&a);
	free(a.sets);
	rf_reply_insert(call->reply, mark, head,
		(size_t)snprintf(head, sizeof head, "%c%llu\r\n",
			call->proto > 2 ? '~' : '*',
			(unsigned long long)a.taken));
}

static void store(struct kv_call *call, void (*compute)(struct algebra *a),
	const char *event)
{
	struct algebra a = {
		.call = call, .take = take_store, .limit = UINT64_MAX};
	struct kv_value *value;

	if (!open_sets(&a, 2, call->argc - 2))
		return;
	value = kv_value_create(KV_SET);
	if (value != NULL) {
		a.into = kv_set_of(value);
		compute(&a);
		kv_store(call, call->argv[1], value, KV_CLASS_SET, event);
	}
	free(a.sets);
}

void kv_cmd_sinter(struct kv_call *call)
{
	reply(call, intersect);
}

#define MANY 8

/* By way of a set that no key has. */
static void unite_many(struct algebra *a)
{
	struct kv_value *value = kv_value_create(KV_SET);

	if (value == NULL)
		return;
	a->into = kv_set_of(value);
	a->take = take_store;
	unite(a);
	a->taken = 0;
	a->take = take_reply;
	a->other_count = 0;
	go_through(a, a->into);
	kv_value_drop(value);
}

void kv_cmd_sunion(struct kv_call *call)
{
	reply(call, call->argc - 1 > MANY ? unite_many : unite);
}

void kv_cmd_sdiff(struct kv_call *call)
{
	reply(call, subtract);
}

void kv_cmd_sinterstore(struct kv_call *call)
{
	store(call, intersect, "sinterstore");
}

void kv_cmd_sunionstore(struct kv_call *call)
{
	store(call, unite, "sunionstore");
}

void kv_cmd_sdiffstore(struct kv_call *call)
{
	store(call, subtract, "sdiffstore");
}

static bool parse_limit(struct kv_call *call, uint32_t at, uint64_t *limit)
{
	int64_t value;

	for (; at < call->argc; at += 2) {
		if (at + 1 == call->argc || !kv_is(call->argv[at], "LIMIT")) {
			kv_reply_syntax(call);
			return false;
		}
		if (!kv_arg_range(call, at + 1, 0, INT64_MAX, &value,
			    "ERR LIMIT can't be negative"))
			return false;
		*limit = value > 0 ? (uint64_t)value : UINT64_MAX;
	}
	return true;
}

void kv_cmd_sintercard(struct kv_call *call)
{
	struct algebra a = {.call = call, .limit = UINT64_MAX};
	int64_t count;

	if (!kv_arg_range(call, 1, 1, INT64_MAX, &count,
		    "ERR numkeys should be greater than 0"))
		return;
	if (count > call->argc - 2) {
		rf_resp_error(call->reply, "ERR Number of keys can't be "
					   "greater than number of args");
		return;
	}
	if (!parse_limit(call, 2 + (uint32_t)count, &a.limit) ||
		!open_sets(&a, 2, (size_t)count))
		return;
	intersect(&a);
	free(a.sets);
	rf_resp_int(call->reply, (int64_t)a.taken);
}
