/* SPDX-License-Identifier: MIT */
/* bank.c -- a worker whose state is wrong in the middle of each request.
 *
 *	MOVE n      take from one account, dawdle, give to another; answers :sum
 *	            of the moves
 *	LEAK        take a block and forget it
 *	DAMAGE      make the dict's count wrong
 *	SLEEP us    a long request
 *	ABORT       die in the middle of a move
 *	TICKS       die so in every tick from now on
 */
#include "bank.h"
#include <refork/heap.h>
#include <refork/slot.h>
#include <refork/tx.h>
#include <refork/walk.h>
#include <refork/worker.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static struct bank *bank;

static uint64_t number(const struct rf_request *req, uint32_t index)
{
	char text[24] = "";

	if (index < req->argc && req->argv[index].bytes < sizeof(text))
		memcpy(text, req->argv[index].at, req->argv[index].bytes);
	return strtoull(text, NULL, 10);
}

static struct rf_dict_entry *account(uint64_t n)
{
	char key[24];
	int bytes =
		snprintf(key, sizeof(key), "%u", (unsigned)(n % BANK_ACCOUNTS));

	return rf_dict_put(&bank->accounts, key, (size_t)bytes, NULL);
}

static int bank_build(const struct rf_env *env)
{
	bool created;
	int error = rf_slot_open(BANK_SLOT, BANK_TYPE, BANK_VERSION,
		sizeof(*bank), (void **)&bank, &created);

	(void)env;
	for (uint64_t n = 0; !error && created && n < BANK_ACCOUNTS; n++) {
		struct rf_dict_entry *entry = account(n);

		if (!entry)
			return -1;
		RF_SET(entry->word, BANK_EACH);
	}
	return error;
}

static void nap_us(uint64_t us)
{
	const struct timespec span = {
		(time_t)(us / 1000000), (long)(us % 1000000) * 1000};

	nanosleep(&span, NULL);
}

static void dawdle(void)
{
	for (volatile int i = 0; i < 2000; i++)
		;
}

static void move(uint64_t n, bool dies)
{
	struct rf_dict_entry *from = account(n);
	struct rf_dict_entry *to = account(n * 7 + 1);

	RF_SET(from->word, from->word - 1);
	dawdle(); /* here the sum is wrong */
	if (dies)
		abort();
	RF_SET(to->word, to->word + 1);
	RF_SET(bank->moves, bank->moves + 1);
}

static uint32_t bank_tick(int64_t now_ms)
{
	(void)now_ms;
	if (bank->dies)
		move(1, true);
	return 20;
}

static void bank_request(const struct rf_request *req, struct rf_reply *reply)
{
	char text[32];

	switch (req->argv[0].at[0]) {
	case 'L':
		rf_alloc(100);
		break;
	case 'D':
		RF_SET(bank->accounts.count, bank->accounts.count + 1);
		break;
	case 'S':
		nap_us(number(req, 1));
		break;
	case 'T':
		RF_SET(bank->dies, 1);
		break;
	default:
		move(number(req, 1), req->argv[0].at[0] == 'A');
	}
	rf_reply_bytes(reply, text,
		(size_t)snprintf(text, sizeof(text), ":%llu\r\n",
			(unsigned long long)bank->moves));
}

static void bank_walk(struct rf_walk *walk)
{
	const struct bank *root = rf_walk_slot(
		walk, BANK_SLOT, BANK_TYPE, BANK_VERSION, sizeof(*root));

	if (!root)
		return;
	rf_walk_thing(walk, &root->accounts, "dict", root->accounts.count);
	rf_walk_dict(walk, &root->accounts, NULL, NULL);
}

RF_API const struct rf_worker refork_worker = {
	.magic = RF_WORKER_MAGIC,
	.struct_size = sizeof(struct rf_worker),
	.abi = RF_WORKER_ABI,
	.name = "bank",
	.version = "1",
	.state_version = 1,
	.build = bank_build,
	.request = bank_request,
	.tick = bank_tick,
	.walk = bank_walk,
};
