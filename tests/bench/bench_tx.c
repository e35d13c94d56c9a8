/* SPDX-License-Identifier: MIT */
/* bench_tx.c -- what a transaction costs, beside the plain store it guards.
 *
 * Each step changes one place: always within 4 KiB, or anywhere in a block
 * that is far larger than the caches. The places follow from the step's number,
 * not from what was read: the processor may overlap them, as in real code.
 */
#include "measure.h"
#include <guard.h>
#include <refork/heap.h>
#include <refork/tx.h>

#define HOT_BYTES ((size_t)4096)

static uint8_t *block;
static size_t block_bytes;
static size_t steps;

static uint8_t *place(uint64_t step, size_t window)
{
	uint64_t mixed = step * UINT64_C(0x9e3779b97f4a7c15);

	return block + ((mixed >> 20) & (window - 1) & ~(uint64_t)63);
}

static void plain_8(size_t window)
{
	for (uint64_t i = 0; i < steps; i++) {
		memcpy(place(i, window), &i, 8);
		__asm__ volatile("" ::: "memory");
	}
}

static void plain_64(size_t window)
{
	for (uint64_t i = 0; i < steps; i++) {
		memset(place(i, window), (int)i & 255, 64);
		__asm__ volatile("" ::: "memory");
	}
}

static void guarded_8(size_t window)
{
	for (uint64_t i = 0; i < steps; i++) {
		rf_tx_begin();
		rf_tx_write(place(i, window), &i, 8);
		rf_tx_commit();
	}
}

static void guarded_64(size_t window)
{
	for (uint64_t i = 0; i < steps; i++) {
		uint8_t bytes[64];

		memset(bytes, (int)i & 255, sizeof bytes);
		rf_tx_begin();
		rf_tx_write(place(i, window), bytes, sizeof bytes);
		rf_tx_commit();
	}
}

static const struct {
	const char *name;
	void (*run)(size_t window);
	bool key;   /* with arena.guard = pkey */
	bool batch; /* one of many requests that came together */
} variants[] = {
	{"plain store, 8 bytes", plain_8, false, false},
	{"plain store, 64 bytes", plain_64, false, false},
	{"transaction, 8 bytes", guarded_8, false, false},
	{"transaction, 64 bytes", guarded_64, false, false},
	{"transaction, 8 bytes, protection key", guarded_8, true, false},
	{"transaction, 64 bytes, protection key", guarded_64, true, false},
	{"transaction, 8 bytes, protection key, of many", guarded_8, true,
		true},
};

#define VARIANTS (sizeof variants / sizeof *variants)

static unsigned by_key; /* 0: this machine has none */

/* All variants in one process: the key is there, and is heeded or not. */
static double run_ns(size_t v, size_t window)
{
	double from;

	rf_guard_by = variants[v].key ? by_key : 0;
	rf_guard_batch(variants[v].batch);
	from = now_ns();
	variants[v].run(window);
	from = now_ns() - from;
	rf_guard_batch(false);
	rf_guard_open();
	return from / (double)steps;
}

int main(void)
{
	static double ns[VARIANTS][2][ROUNDS];

	block_bytes = (size_t)1 << (is_quick() ? 26 : 30);
	steps = is_quick() ? 200000 : 5000000;
	make_arena(block_bytes + (64 << 20));
	rf_tx_begin();
	block = rf_alloc(block_bytes);
	if (rf_tx_commit() != 0)
		give_up("take a block", rf_tx_error());
	if (rf_guard_arm(rf_arena_segment) == 0)
		by_key = rf_guard_by;
	for (int round = 0; round < ROUNDS; round++)
		for (size_t v = 0; v < VARIANTS; v++)
			for (int hot = 0; hot < 2; hot++)
				ns[v][hot][round] = run_ns(
					v, hot ? HOT_BYTES : block_bytes);
	printf("| ns | hot in L1 | random in %zu MiB |\n|---|---|---|\n",
		block_bytes >> 20);
	for (size_t v = 0; v < VARIANTS; v++)
		if (!variants[v].key || by_key != 0)
			printf("| %s | %.1f | %.1f |\n", variants[v].name,
				median(ns[v][1], ROUNDS),
				median(ns[v][0], ROUNDS));
	return 0;
}
