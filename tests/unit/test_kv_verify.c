/* SPDX-License-Identifier: MIT */
/* test_kv_verify.c -- damage planted in the kv worker's state is found, and
 * never followed.
 *
 * Each fault is put in and taken out again; the walker must refuse the one
 * state and pass the other. A walker that follows a wild pointer ends this
 * process, one that goes round in circles is ended by the alarm.
 */
#include "scratch_arena.h"
#include "suite.h"
#include "worker/kv/db.c"
#include "worker/kv/value.c"
#include "worker/kv/wheel.c"

#define START_MS INT64_C(1800000000000)
#define SLICE_MS (1 << SLICE_SHIFT)
#define SECONDS	 30

static const char text[1000];

static struct rf_bytes key_of(unsigned number)
{
	static char key[16];

	return (struct rf_bytes){
		key, (size_t)snprintf(key, sizeof key, "key:%u", number)};
}

static void set_expiring(unsigned count)
{
	rf_tx_begin();
	for (unsigned i = 0; i < count; i++)
		kv_expire_at(kv_set(key_of(i), text, 100), START_MS + 1000);
	assert_int_equal(rf_tx_commit(), 0);
	assert_int_equal(kv_verify(), 0);
}

static int set_up(void **state)
{
	(void)state;
	alarm(SECONDS);
	if (scratch_arena_create(64 << 20) != 0)
		return -1;
	rf_tx_begin();
	kv_db = rf_alloc(sizeof *kv_db);
	kv_db_create();
	return rf_tx_commit();
}

static int tear_down(void **state)
{
	(void)state;
	scratch_arena_destroy();
	alarm(0);
	return 0;
}

#define PLANT(lvalue, fault)                                                   \
	do {                                                                   \
		__typeof__(lvalue) sound = lvalue;                             \
		lvalue = fault;                                                \
		assert_int_equal(kv_verify(), -EBADMSG);                       \
		lvalue = sound;                                                \
		assert_int_equal(kv_verify(), 0);                              \
	} while (0)

static void the_walker_reports_each_planted_fault(void **state)
{
	struct rf_dict_entry *entry;
	struct kv_timer *timer;
	struct kv_value *value;

	(void)state;
	set_expiring(10);
	entry = kv_find(START_MS, key_of(5));
	timer = kv_timer_of(entry);
	value = kv_value_of(entry);
	PLANT(value->bytes, 1000);
	PLANT(value->shape, value->shape + 1);
	PLANT(value->shape, value->shape + 4096);
	PLANT(timer->value, NULL);
	PLANT(timer->entry, kv_find(START_MS, key_of(6)));
	PLANT(timer->at_ms, timer->at_ms + SLICE_MS);
	PLANT(*timer->link, timer->next);
	PLANT(entry->value, value);
	PLANT(kv_db->wheel.count, 9);
	PLANT(kv_db->wheel.count, 11);
	PLANT(kv_db->wheel.count, UINT64_MAX);
	PLANT(timer->next, timer);
	PLANT(timer->link, &kv_db->wheel.taken);
	PLANT(kv_db->keys, NULL);
	PLANT(kv_db->spare, kv_db->keys);
	PLANT(value->shape, KV_STRING);
}

static void no_planted_pointer_is_followed(void **state)
{
	struct rf_dict_entry *entry;
	struct kv_timer *timer;
	void *freed;

	(void)state;
	set_expiring(10);
	rf_tx_begin();
	freed = rf_alloc(sizeof *timer);
	assert_int_equal(rf_tx_commit(), 0);
	rf_tx_begin();
	rf_free(freed);
	assert_int_equal(rf_tx_commit(), 0);
	entry = kv_find(START_MS, key_of(5));
	timer = kv_timer_of(entry);
	void *const wild[] = {(void *)16, (void *)UINT64_C(0x7ffffffff000),
		(void *)(UINT64_MAX - 15), (char *)timer + 16,
		(void *)RF_ARENA_BASE, freed};
	for (size_t i = 0; i < sizeof wild / sizeof *wild; i++) {
		PLANT(kv_db->keys, wild[i]);
		PLANT(kv_db->dead, wild[i]);
		PLANT(kv_db->spare, wild[i]);
		PLANT(kv_db->wheel.taken, wild[i]);
		PLANT(entry->word, (uint64_t)wild[i]);
		PLANT(entry->word, (uint64_t)wild[i] | KV_TIMED);
		PLANT(timer->next, wild[i]);
		PLANT(timer->link, wild[i]);
		PLANT(timer->entry, wild[i]);
		PLANT(timer->value, wild[i]);
	}
}

static void a_ring_of_flushed_dicts_is_told(void **state)
{
	struct kv_keys *oldest;

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		rf_tx_begin();
		kv_set(key_of(i), text, 10);
		kv_flush();
		assert_int_equal(rf_tx_commit(), 0);
	}
	assert_int_equal(kv_verify(), 0);
	for (oldest = kv_db->dead; oldest->next != NULL;)
		oldest = oldest->next;
	for (struct kv_keys *at = kv_db->dead; at != NULL;
		at = at != oldest ? at->next : NULL)
		PLANT(oldest->next, at);
	PLANT(kv_db->dead->dict.count, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_walker_reports_each_planted_fault),
		TEST(no_planted_pointer_is_followed),
		TEST(a_ring_of_flushed_dicts_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
