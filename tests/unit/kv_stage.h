/* SPDX-License-Identifier: MIT */
/* kv_stage.h -- the kv worker in an arena of a test's own, without clients.
 *
 * Its calls that are no commands are used as a tick uses them: stage_call has
 * the first database and the time of day, which the test moves.
 */
#ifndef KV_STAGE_H
#define KV_STAGE_H

#include "scratch_arena.h"
#include "suite.h"
#include "worker/kv/client/client.h"
#include "worker/kv/keys/root.h"
#include "worker/kv/walk.h"

#define START_MS INT64_C(1800000000000)

extern const struct rf_worker refork_worker;

static struct kv_call stage_call;

static inline const char *stage_setting(const char *section_key)
{
	(void)section_key;
	return NULL;
}

static inline void commit(void)
{
	assert_int_equal(rf_tx_commit(), 0);
}

static inline int kv_stage_set_up(size_t max_bytes)
{
	static const struct rf_env env = {
		.struct_size = sizeof env,
		.service = "test",
		.worker_args = "",
		.setting = stage_setting,
	};
	int error = scratch_arena_create(max_bytes);

	if (error != 0)
		return error;
	rf_tx_begin();
	error = refork_worker.build(&env);
	if (error == 0)
		error = rf_tx_commit();
	if (error == 0)
		error = refork_worker.start(&env);
	stage_call = (struct kv_call){
		.now_ms = START_MS,
		.keys = error == 0 ? kv_database(0) : NULL,
	};
	return error;
}

/* A flush gives the database other keys. */
static inline void stage_flush(void)
{
	kv_flush(stage_call.keys);
	stage_call.keys = kv_database(0);
}

static inline uint64_t stage_count(void)
{
	return rf_dict_count(&stage_call.keys->dict);
}

static inline struct rf_bytes key_of(unsigned number)
{
	static char key[16];

	return (struct rf_bytes){
		key, (size_t)snprintf(key, sizeof key, "key:%u", number)};
}

/* Tick until there is nothing to do. */
static inline void settle(void)
{
	bool more = true;

	for (int i = 0; more; i++) {
		struct kv_call call = stage_call;

		assert_in_range(i, 0, 1000000);
		rf_tx_begin();
		more = kv_bury_step(1000);
		more |= kv_expire_step(&call, 1000);
		commit();
	}
}

#endif
