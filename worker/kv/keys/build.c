/* SPDX-License-Identifier: MIT */
/* build.c -- the root and its databases. */
#include "worker/kv/keys/root.h"
#include <refork/log.h>
#include <stdlib.h>

#define DATABASES_STANDARD 16u
#define DATABASES_MAX	   16384u

static uint64_t setting_databases(void)
{
	const char *text = kv_env->setting("kv.databases");
	uint64_t count = text != NULL ? strtoull(text, NULL, 10) : 0;

	if (count == 0 || count > DATABASES_MAX)
		return DATABASES_STANDARD;
	return count;
}

static void add_database(struct kv_keys **to, uint64_t db)
{
	struct kv_keys *keys = rf_alloc(sizeof *keys);
	struct kv_keys *spare = rf_alloc(sizeof *spare);

	if (keys == NULL || spare == NULL)
		return;
	keys->db = db;
	*to = keys;
	spare->next = kv_root->spare;
	RF_SET(kv_root->spare, spare);
	RF_SET(kv_root->spare_count, kv_root->spare_count + 1);
}

static void grow_to(uint64_t count)
{
	struct kv_keys **old = kv_root->databases;
	struct kv_keys **fresh = rf_alloc(count * sizeof *fresh);

	if (fresh == NULL)
		return;
	if (old != NULL)
		memcpy(fresh, old, kv_root->database_count * sizeof *fresh);
	for (uint64_t db = kv_root->database_count; db < count; db++)
		add_database(&fresh[db], db);
	rf_free(old);
	RF_SET(kv_root->databases, fresh);
	RF_SET(kv_root->database_count, count);
}

void kv_keys_build(bool created)
{
	uint64_t count = setting_databases();

	if (created) {
		uint64_t seed;

		memcpy(&seed, rf_arena_seed(), sizeof seed);
		RF_SET(kv_root->random, seed);
	}
	if (count > kv_root->database_count)
		grow_to(count);
	else if (count < kv_root->database_count)
		rf_log(RF_LOG_NOTICE,
			"kv: kv.databases is %llu, the state has %llu; it "
			"keeps them",
			(unsigned long long)count,
			(unsigned long long)kv_root->database_count);
}

/* splitmix64. Its state is part of the transaction: a request that is run
 * again after a death chooses the same again. */
uint64_t kv_random(void)
{
	uint64_t word = kv_root->random + UINT64_C(0x9e3779b97f4a7c15);

	RF_SET(kv_root->random, word);
	word = (word ^ word >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	word = (word ^ word >> 27) * UINT64_C(0x94d049bb133111eb);
	return word ^ word >> 31;
}
