/* SPDX-License-Identifier: MIT */
/* test_kv_evict.c -- what goes when memory is above maxmemory: by each policy.
 *
 * Keys 0 .. KEYS - 1 stand; those with odd numbers expire. How old, how often
 * used or how near its end a key is goes by its number, so that a policy is
 * judged by which numbers are left.
 */
#include "kv_stage.h"
#include "worker/kv/keys/access.h"

#define KEYS	2000u
#define MINUTE	INT64_C(60000)
#define PERCENT (KEYS / 100)
#define DAY	(24 * 60 * MINUTE)
#define VICTIMS (KEYS / 4)

static char text[100];

static struct kv_value *value_of(unsigned number)
{
	struct rf_bytes key = key_of(number);
	struct rf_dict_entry *entry =
		rf_dict_find(&stage_call.keys->dict, key.at, key.bytes);

	return entry != NULL ? kv_value_of(entry) : NULL;
}

static int set_up(void **state)
{
	int error = kv_stage_set_up(64 << 20);

	(void)state;
	rf_tx_begin();
	for (unsigned i = 0; i < KEYS && error == 0; i++) {
		struct rf_dict_entry *entry = kv_set(
			&stage_call, key_of(i), text, sizeof text, false);

		if (i % 2 == 1)
			kv_expire_at(&stage_call, entry, START_MS + DAY + i);
	}
	return error != 0 ? error : rf_tx_commit();
}

static int tear_down(void **state)
{
	(void)state;
	scratch_arena_destroy();
	return 0;
}

static void use(enum kv_policy policy)
{
	rf_tx_begin();
	RF_SET(kv_settings->maxmemory_policy, policy);
	RF_SET(kv_settings->maxmemory_samples, 5);
	commit();
}

/* Make room until so many have gone. */
static void evict(uint64_t count)
{
	uint64_t left = stage_count() - count;

	while (stage_count() > left) {
		rf_tx_begin();
		/* Less than a key. */
		RF_SET(kv_settings->maxmemory_bytes, rf_heap_used() - 64);
		assert_true(kv_make_room(&stage_call));
		commit();
	}
	assert_int_equal(kv_counter(KV_COUNT_EVICTED), count);
	assert_int_equal(kv_verify(), 0);
}

/* Of keys from, from + step, ... below KEYS: how many are left. */
static unsigned left_of(unsigned from, unsigned step)
{
	unsigned left = 0;

	for (unsigned i = from; i < KEYS; i += step)
		left += value_of(i) != NULL;
	return left;
}

/* The lower the number, the more it should have gone: of the first quarter
 * nearly all, of the last half none or nearly none. */
static void the_lowest_have_gone(unsigned from, unsigned step)
{
	unsigned low = 0, high = 0;

	for (unsigned i = from; i < KEYS; i += step) {
		low += i < KEYS / 4 && value_of(i) == NULL;
		high += i >= KEYS / 2 && value_of(i) == NULL;
	}
	assert_true(low > high * 8);
}

static void the_least_recently_used_go_first(void **state)
{
	(void)state;
	use(KV_ALLKEYS_LRU);
	for (unsigned i = 0; i < KEYS; i++)
		kv_set_idle(value_of(i), stage_call.now_ms, KEYS - i);
	evict(VICTIMS);
	the_lowest_have_gone(0, 1);
}

static void the_least_frequently_used_go_first(void **state)
{
	(void)state;
	use(KV_ALLKEYS_LFU);
	for (unsigned i = 0; i < KEYS; i++)
		kv_set_frequency(value_of(i), stage_call.now_ms,
			(uint32_t)(i * 255 / KEYS));
	evict(VICTIMS);
	the_lowest_have_gone(0, 1);
}

static void any_go_at_random(void **state)
{
	unsigned low = 0;

	(void)state;
	use(KV_ALLKEYS_RANDOM);
	evict(KEYS / 2);
	for (unsigned i = 0; i < KEYS / 2; i++)
		low += value_of(i) == NULL;
	assert_in_range(low, KEYS / 4 - 5 * PERCENT, KEYS / 4 + 5 * PERCENT);
}

static void volatile_policies_leave_what_does_not_expire(void **state)
{
	static const enum kv_policy policies[] = {KV_VOLATILE_LRU,
		KV_VOLATILE_LFU, KV_VOLATILE_RANDOM, KV_VOLATILE_TTL};

	(void)state;
	for (size_t i = 0; i < sizeof policies / sizeof *policies; i++) {
		use(policies[i]);
		rf_tx_begin();
		memset(kv_root->counters, 0, sizeof kv_root->counters);
		commit();
		evict(KEYS / 2 / 4);
		assert_int_equal(left_of(0, 2), KEYS / 2);
	}
	assert_int_equal(left_of(1, 2), 0);
	kv_settings->maxmemory_bytes = 1;
	assert_false(kv_make_room(&stage_call));
}

static void the_next_to_expire_go_first(void **state)
{
	(void)state;
	use(KV_VOLATILE_TTL);
	evict(VICTIMS / 2);
	the_lowest_have_gone(1, 2);
}

static void nothing_goes_without_a_policy(void **state)
{
	(void)state;
	use(KV_NOEVICTION);
	kv_settings->maxmemory_bytes = 1;
	rf_tx_begin();
	assert_false(kv_make_room(&stage_call));
	commit();
	assert_int_equal(stage_count(), KEYS);
	kv_settings->maxmemory_bytes = 0;
	assert_true(kv_make_room(&stage_call));
}

/* One command must not pay for all that is too much. */
static void a_command_waits_for_few_evictions(void **state)
{
	(void)state;
	use(KV_ALLKEYS_RANDOM);
	kv_settings->maxmemory_bytes = 1;
	rf_tx_begin();
	assert_true(kv_make_room(&stage_call));
	commit();
	assert_in_range(stage_count(), KEYS - 100, KEYS - 10);
}

static void the_dead_go_before_the_living(void **state)
{
	struct kv_value *value;
	size_t used = rf_heap_used();

	(void)state;
	use(KV_ALLKEYS_RANDOM);
	rf_tx_begin();
	value = kv_value_create(KV_LIST);
	for (unsigned i = 0; i < 250; i++)
		rf_list_push(kv_list_of(value), RF_TAIL, text, sizeof text);
	kv_value_drop(value);
	commit();
	kv_settings->maxmemory_bytes = used + 4096;
	while (rf_heap_used() > kv_settings->maxmemory_bytes) {
		rf_tx_begin();
		assert_true(kv_make_room(&stage_call));
		commit();
	}
	assert_int_equal(stage_count(), KEYS);
}

static void a_few_that_expire_are_found_among_many(void **state)
{
	(void)state;
	use(KV_VOLATILE_LRU);
	rf_tx_begin();
	for (unsigned i = 3; i < KEYS; i += 2)
		kv_persist(&stage_call, kv_find(&stage_call, key_of(i)));
	commit();
	evict(1);
	assert_null(value_of(1));
}

static void use_is_counted_by_the_logarithm(void **state)
{
	uint32_t before = 0;

	(void)state;
	use(KV_ALLKEYS_LFU);
	kv_settings->lfu_log_factor = 10;
	kv_settings->lfu_decay_minutes = 1;
	rf_tx_begin();
	kv_set_frequency(value_of(0), stage_call.now_ms, 0);
	for (unsigned uses = 1; uses <= 100000; uses++) {
		kv_look(&stage_call, key_of(0));
		if (uses == 1000)
			before = kv_frequency(value_of(0), stage_call.now_ms);
	}
	commit();
	assert_in_range(before, 10, 40);
	assert_in_range(kv_frequency(value_of(0), stage_call.now_ms), 100, 200);
	assert_int_equal(
		kv_frequency(value_of(0), stage_call.now_ms + 500 * MINUTE), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_least_recently_used_go_first),
		TEST(the_least_frequently_used_go_first),
		TEST(any_go_at_random),
		TEST(volatile_policies_leave_what_does_not_expire),
		TEST(the_next_to_expire_go_first),
		TEST(nothing_goes_without_a_policy),
		TEST(a_command_waits_for_few_evictions),
		TEST(the_dead_go_before_the_living),
		TEST(a_few_that_expire_are_found_among_many),
		TEST(use_is_counted_by_the_logarithm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
