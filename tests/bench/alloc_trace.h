/* SPDX-License-Identifier: MIT */
/* alloc_trace.h -- published streams of sizes and lifetimes. C and C++.
 *
 *	struct alloc_trace *t = alloc_trace_open(&alloc_loads[i], live_bytes);
 *	while (alloc_trace_next(t, &op))
 *		op.bytes > 0: take so many bytes for op.slot; 0: give it back
 *
 * A load fills memory with one distribution of sizes, deletes a part of it at
 * random, and goes on with another distribution: whenever the live bytes are
 * too many, objects chosen at random are deleted first. The same seed gives
 * the same stream everywhere.
 *
 * The loads are made after these sources. What differs from them, or could not
 * be compared with the paper itself, is said.
 *
 *   W2 .. W8  Rumble, Kejriwal, Ousterhout, "Log-structured Memory for
 *             DRAM-based Storage", FAST 2014. Sizes and deletions agree with
 *             PMDK's obj_fragmentation test, which was made from that paper;
 *             how much is taken afterwards is our choice.
 *   ETC       Atikoglu et al., "Workload Analysis of a Large-Scale Key-Value
 *             Store", SIGMETRICS 2012: keys by its generalized extreme value,
 *             values by its generalized Pareto distribution. The constants
 *             agree with generators that others have published. The paper's
 *             table for values below 15 bytes is left out; a key and its value
 *             are one object; the lifetimes are ours.
 *   USR       after the same paper, from memory: keys of 16 or 21 bytes, values
 *             of 2.
 *   Larson    after Larson, Krishnan, "Memory Allocation for Long-Running
 *             Server Applications", ISMM 1998, from memory: 10 to 500 bytes.
 *   Robson    after the idea of Robson's bad program, 1977, not the program:
 *             every second object goes, the next ones are twice as long.
 */
#ifndef ALLOC_TRACE_H
#define ALLOC_TRACE_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

enum alloc_sizes { ALLOC_UNIFORM, ALLOC_ETC, ALLOC_USR, ALLOC_DOUBLING };

struct alloc_dist {
	enum alloc_sizes sizes;
	uint32_t least, most; /* of ALLOC_UNIFORM */
};

struct alloc_load {
	const char *name;
	struct alloc_dist before;
	uint32_t deleted; /* percent of the objects, at random */
	struct alloc_dist after;
	uint32_t turns; /* bytes taken afterwards, in live bytes */
};

static const struct alloc_load alloc_loads[] = {
	{"W2", {ALLOC_UNIFORM, 100, 100}, 0, {ALLOC_UNIFORM, 130, 130}, 10},
	{"W3", {ALLOC_UNIFORM, 100, 100}, 90, {ALLOC_UNIFORM, 130, 130}, 10},
	{"W4", {ALLOC_UNIFORM, 100, 150}, 0, {ALLOC_UNIFORM, 200, 250}, 10},
	{"W5", {ALLOC_UNIFORM, 100, 150}, 90, {ALLOC_UNIFORM, 200, 250}, 10},
	{"W6", {ALLOC_UNIFORM, 100, 200}, 50, {ALLOC_UNIFORM, 1000, 2000}, 10},
	{"W7", {ALLOC_UNIFORM, 1000, 2000}, 90, {ALLOC_UNIFORM, 1500, 2500},
		10},
	{"W8", {ALLOC_UNIFORM, 50, 150}, 90, {ALLOC_UNIFORM, 5000, 15000}, 10},
	{"ETC", {ALLOC_ETC, 0, 0}, 0, {ALLOC_ETC, 0, 0}, 2},
	{"USR", {ALLOC_USR, 0, 0}, 0, {ALLOC_USR, 0, 0}, 1},
	{"Larson", {ALLOC_UNIFORM, 10, 500}, 0, {ALLOC_UNIFORM, 10, 500}, 4},
	{"Robson", {ALLOC_UNIFORM, 16, 16}, 0, {ALLOC_DOUBLING, 0, 0}, 4},
};
#define ALLOC_LOADS (sizeof alloc_loads / sizeof *alloc_loads)

struct alloc_op {
	uint32_t slot, bytes;
};

struct alloc_trace {
	const struct alloc_load *load;
	uint64_t limit, live_bytes, taken_bytes, chance;
	uint32_t *bytes;  /* of each slot */
	uint32_t *live;	  /* slots in use, in no order */
	uint32_t *unused; /* slots that are not */
	uint32_t live_count, unused_count;
	uint32_t to_delete, doubled, wanted;
	bool filled;
};

static inline double alloc_chance(struct alloc_trace *t)
{
	t->chance ^= t->chance << 13;
	t->chance ^= t->chance >> 7;
	t->chance ^= t->chance << 17;
	return ((double)(t->chance >> 11) + 1) / 9007199254740994.0;
}

static inline uint32_t alloc_below(struct alloc_trace *t, uint32_t limit)
{
	return (uint32_t)(alloc_chance(t) * limit) % limit;
}

/* A key and its value. */
static inline uint32_t alloc_etc(struct alloc_trace *t)
{
	double key = 30.7984 +
		     8.20449 * (pow(-log(alloc_chance(t)), -0.078688) - 1) /
			     0.078688;
	double value =
		214.476 * (pow(alloc_chance(t), -0.348238) - 1) / 0.348238;

	key = key < 1 ? 1 : key > 250 ? 250 : key;
	value = value > 1000000 ? 1000000 : value;
	return (uint32_t)key + (uint32_t)value + 1;
}

static inline uint32_t alloc_size(
	struct alloc_trace *t, const struct alloc_dist *dist)
{
	switch (dist->sizes) {
	case ALLOC_ETC:
		return alloc_etc(t);
	case ALLOC_USR:
		return alloc_chance(t) < 0.5 ? 18 : 23;
	case ALLOC_DOUBLING:
		return t->doubled;
	default:
		return dist->least +
		       alloc_below(t, dist->most - dist->least + 1);
	}
}

static inline struct alloc_trace *alloc_trace_open(
	const struct alloc_load *load, uint64_t live_bytes)
{
	struct alloc_trace *t = (struct alloc_trace *)calloc(1, sizeof *t);
	uint32_t slots = (uint32_t)(live_bytes / 16) + 1;

	t->load = load;
	t->limit = live_bytes;
	t->chance = UINT64_C(88172645463325252);
	t->doubled = 32;
	t->bytes = (uint32_t *)calloc(slots, sizeof *t->bytes);
	t->live = (uint32_t *)calloc(slots, sizeof *t->live);
	t->unused = (uint32_t *)calloc(slots, sizeof *t->unused);
	for (uint32_t i = 0; i < slots; i++)
		t->unused[t->unused_count++] = slots - 1 - i;
	return t;
}

static inline void alloc_trace_close(struct alloc_trace *t)
{
	free(t->bytes);
	free(t->live);
	free(t->unused);
	free(t);
}

static inline void alloc_give(
	struct alloc_trace *t, uint32_t at, struct alloc_op *op)
{
	op->slot = t->live[at];
	op->bytes = 0;
	t->live_bytes -= t->bytes[op->slot];
	t->live[at] = t->live[--t->live_count];
	t->unused[t->unused_count++] = op->slot;
}

static inline void alloc_take(
	struct alloc_trace *t, uint32_t bytes, struct alloc_op *op)
{
	op->slot = t->unused[--t->unused_count];
	op->bytes = bytes;
	t->bytes[op->slot] = bytes;
	t->live_bytes += bytes;
	t->live[t->live_count++] = op->slot;
}

/* Every second object goes, the rest is filled with some twice as long. */
static inline bool alloc_double(struct alloc_trace *t)
{
	if (t->to_delete > 0 || t->live_bytes + t->doubled <= t->limit)
		return true;
	if (t->doubled >= 16384)
		return false;
	t->doubled *= 2;
	t->to_delete = t->live_count / 2;
	return true;
}

/* False: it is over. */
static inline bool alloc_trace_next(struct alloc_trace *t, struct alloc_op *op)
{
	const struct alloc_load *load = t->load;

	if (!t->filled) {
		uint32_t bytes = alloc_size(t, &load->before);

		if (t->live_bytes + bytes <= t->limit) {
			alloc_take(t, bytes, op);
			return true;
		}
		t->filled = true;
		t->to_delete = load->after.sizes == ALLOC_DOUBLING
				       ? t->live_count / 2
				       : (uint32_t)((uint64_t)t->live_count *
						    load->deleted / 100);
	}
	if (load->after.sizes == ALLOC_DOUBLING && !alloc_double(t))
		return false;
	if (t->to_delete > 0) {
		t->to_delete--;
		alloc_give(t, alloc_below(t, t->live_count), op);
		return true;
	}
	if (t->wanted == 0)
		t->wanted = alloc_size(t, &load->after);
	if (t->live_bytes + t->wanted > t->limit || t->unused_count == 0) {
		alloc_give(t, alloc_below(t, t->live_count), op);
		return true;
	}
	t->taken_bytes += t->wanted;
	alloc_take(t, t->wanted, op);
	t->wanted = 0;
	return t->taken_bytes <= t->limit * load->turns ||
	       load->after.sizes == ALLOC_DOUBLING;
}

#endif
