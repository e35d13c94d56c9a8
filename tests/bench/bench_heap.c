/* SPDX-License-Identifier: MIT */
/* bench_heap.c -- taking and giving blocks, beside glibc's malloc.
 *
 * A number of blocks of 16 to 1024 bytes is live. Each step gives a random one
 * back and takes another of a random size, in one transaction where there is
 * one, and writes its first word. Both sides see the same sequence.
 */
#include "measure.h"
#include <refork/heap.h>
#include <refork/tx.h>

#define LIVE_MAX 1000000

static void *live[2][LIVE_MAX];

static void *take_refork(size_t bytes)
{
	void *block;

	rf_tx_begin();
	block = rf_alloc_uninit(bytes);
	if (rf_tx_commit() != 0)
		give_up("take a block", rf_tx_error());
	return block;
}

static void *swap_refork(void *old, size_t bytes)
{
	void *block;

	rf_tx_begin();
	rf_free(old);
	block = rf_alloc_uninit(bytes);
	if (rf_tx_commit() != 0)
		give_up("swap a block", rf_tx_error());
	return block;
}

static void *swap_glibc(void *old, size_t bytes)
{
	free(old);
	return malloc(bytes);
}

static const struct side {
	const char *name;
	void *(*take)(size_t bytes);
	void *(*swap)(void *old, size_t bytes);
} sides[2] = {
	{"refork, each pair a transaction", take_refork, swap_refork},
	{"glibc malloc + free", malloc, swap_glibc},
};

static size_t bytes_of(uint64_t chance)
{
	return 16 + (chance >> 40) % (1024 - 16 + 1);
}

static double pair_ns(size_t side, size_t count, size_t pairs)
{
	void **blocks = live[side];
	uint64_t chance = 88172645463325252u;
	double from = now_ns();

	for (size_t i = 0; i < pairs; i++) {
		void **slot;

		chance = chance * UINT64_C(6364136223846793005) + 1;
		slot = &blocks[(chance >> 20) % count];
		*slot = sides[side].swap(*slot, bytes_of(chance));
		*(uint64_t *)*slot = i;
	}
	return (now_ns() - from) / (double)pairs;
}

int main(void)
{
	static const size_t counts[] = {1000, 100000, LIVE_MAX};
	static double result[2][3];
	double ns[2][ROUNDS];
	size_t pairs = is_quick() ? 100000 : 3000000;
	size_t filled = 0, columns = is_quick() ? 2 : 3;

	make_arena((uint64_t)2 << 30);
	for (size_t c = 0; c < columns; c++) {
		for (; filled < counts[c]; filled++) {
			size_t bytes = bytes_of(random_word());

			for (size_t side = 0; side < 2; side++)
				live[side][filled] = sides[side].take(bytes);
		}
		for (int round = 0; round < ROUNDS; round++)
			for (size_t side = 0; side < 2; side++)
				ns[side][round] =
					pair_ns(side, counts[c], pairs);
		for (size_t side = 0; side < 2; side++)
			result[side][c] = median(ns[side], ROUNDS);
	}
	printf("| ns per free+alloc pair |");
	for (size_t c = 0; c < columns; c++)
		printf(" %zu live |", counts[c]);
	printf("\n|---|%.*s\n", (int)columns * 4, "---|---|---|");
	for (size_t side = 0; side < 2; side++) {
		printf("| %s |", sides[side].name);
		for (size_t c = 0; c < columns; c++)
			printf(" %.0f |", result[side][c]);
		printf("\n");
	}
	printf("| glibc / refork |");
	for (size_t c = 0; c < columns; c++)
		printf(" %.2f |", result[1][c] / result[0][c]);
	printf("\n");
	return 0;
}
