/* SPDX-License-Identifier: MIT */
/* bank_total.c -- sums up a bank's accounts while money moves between them.
 *
 * A program that is no worker and was not started by a daemon: the public
 * headers and librefork.a are all it has.
 *
 *	bank_total WHAT ROUNDS HOLD_MS READ_US
 *
 * HOLD_MS 0: without any hold. READ_US: so long does each look take at least.
 * One line at the end: how many looks were of one instant, how many were not,
 * and how many of the first kind had a wrong sum.
 */
#include "../workers/bank.h"
#include <errno.h>
#include <refork/attach.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct sum {
	uint64_t money, accounts;
};

static void add(struct rf_dict_entry *entry, void *context)
{
	struct sum *sum = context;

	sum->money += entry->word;
	sum->accounts++;
}

static struct sum look(long read_us)
{
	const struct timespec span = {
		read_us / 1000000, read_us % 1000000 * 1000};
	struct sum sum = {0, 0};
	const void *root;
	uint64_t cursor = 0;

	if (rf_slot_find(BANK_SLOT, BANK_TYPE, BANK_VERSION,
		    sizeof(struct bank), &root) != 0)
		return sum;
	do
		cursor = rf_dict_scan(&((const struct bank *)root)->accounts,
			cursor, add, &sum);
	while (cursor != 0);
	nanosleep(&span, NULL);
	return sum;
}

int main(int argc, char **argv)
{
	unsigned good = 0, stale = 0, wrong = 0, refused = 0;
	struct rf_attach *attach;
	int64_t held_us = 0, held_us_max = 0;
	unsigned hold_ms;
	char why[512];

	if (argc != 5)
		return 2;
	hold_ms = (unsigned)atoi(argv[3]);
	if (rf_attach(argv[1], 0, &attach, why, sizeof why) != 0) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	for (int i = 0; i < atoi(argv[2]); i++) {
		struct sum sum;

		if (hold_ms != 0 &&
			rf_attach_hold(attach, hold_ms, why, sizeof why) != 0) {
			refused++;
			continue;
		}
		sum = look(atol(argv[4]));
		if (hold_ms != 0 && rf_attach_let_go(attach, &held_us) != 0) {
			stale++;
			continue;
		}
		good++;
		if (sum.money != BANK_TOTAL || sum.accounts != BANK_ACCOUNTS)
			wrong++;
		if (held_us > held_us_max)
			held_us_max = held_us;
	}
	printf("{\"good\": %u, \"stale\": %u, \"wrong\": %u, \"refused\": %u, "
	       "\"held_us_max\": %lld}\n",
		good, stale, wrong, refused, (long long)held_us_max);
	rf_detach(attach);
	return 0;
}
