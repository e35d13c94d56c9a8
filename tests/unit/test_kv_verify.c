/* SPDX-License-Identifier: MIT */
/* test_kv_verify.c -- damage planted in the kv worker's state is found, and
 * never followed.
 *
 * Each fault is put in and taken out again; the walker must refuse the one
 * state and pass the other. A walker that follows a wild pointer ends this
 * process, one that goes round in circles is ended by the alarm.
 */
#include "kv_stage.h"
#include <errno.h>

#define SECONDS 30

static const char text[1000];

static void set(unsigned number)
{
	kv_set(&stage_call, key_of(number), text, 100, false);
}

static struct rf_dict_entry *find(unsigned number)
{
	return kv_find(&stage_call, key_of(number));
}

static void set_expiring(unsigned count)
{
	rf_tx_begin();
	for (unsigned i = 0; i < count; i++) {
		set(i);
		kv_expire_at(&stage_call, find(i), START_MS + 1000);
	}
	commit();
	assert_int_equal(kv_verify(), 0);
}

static struct kv_value *set_of(unsigned number, unsigned count)
{
	struct kv_value *value;

	rf_tx_begin();
	value = kv_create(&stage_call, key_of(number), KV_SET);
	for (unsigned i = 0; i < count; i++)
		rf_set_add(kv_set_of(value), key_of(i).at, key_of(i).bytes);
	commit();
	return value;
}

static int set_up(void **state)
{
	(void)state;
	alarm(SECONDS);
	return kv_stage_set_up(64 << 20);
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
	entry = find(5);
	timer = kv_timer_of(entry);
	value = kv_value_of(entry);
	PLANT(value->bytes, 1000);
	PLANT(value->head, value->head + (1u << 28));
	PLANT(value->head, 0);
	PLANT(value->head, UINT32_MAX);
	PLANT(timer->value, NULL);
	PLANT(timer->entry, find(6));
	PLANT(timer->keys, kv_database(1));
	PLANT(timer->timer.at_ms, timer->timer.at_ms + 3600000);
	PLANT(timer->timer.link, NULL);
	PLANT(*timer->timer.link, timer->timer.next);
	PLANT(entry->value, value);
	PLANT(stage_call.keys->timers.count, 9);
	PLANT(stage_call.keys->timers.count, 11);
	PLANT(stage_call.keys->timers.count, UINT64_MAX);
	PLANT(stage_call.keys->db, 1);
	PLANT(timer->timer.next, &timer->timer);
	PLANT(kv_root->databases, NULL);
	PLANT(kv_root->databases[3], NULL);
	PLANT(kv_root->databases[3], kv_database(4));
	PLANT(kv_root->database_count, 0);
	PLANT(kv_root->database_count, 17);
	PLANT(kv_root->database_count, UINT64_MAX);
	PLANT(kv_root->spare, stage_call.keys);
	PLANT(kv_root->spare, NULL);
	PLANT(kv_root->spare->next, kv_root->spare);
	PLANT(kv_root->spare_count, 15);
	PLANT(kv_root->spare_count, UINT64_MAX);
}

static void a_damaged_collection_is_told(void **state)
{
	struct kv_value *value = set_of(1, 100);

	(void)state;
	assert_int_equal(kv_verify(), 0);
	PLANT(value->head, value->head + (1u << 28)); /* a sorted set */
	PLANT(value->body[0], 0x1231);
	rf_tx_begin();
	kv_delete(&stage_call, find(1));
	commit();
	assert_ptr_equal(kv_root->dead_values, value);
	assert_int_equal(kv_verify(), 0);
	PLANT(value->body[0], 0x1231);
	PLANT(value->head, 0);
	PLANT(kv_root->dead_value_count, 0);
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
	commit();
	rf_tx_begin();
	rf_free(freed);
	commit();
	entry = find(5);
	timer = kv_timer_of(entry);
	void *const wild[] = {(void *)16, (void *)UINT64_C(0x7ffffffff000),
		(void *)(UINT64_MAX - 15), (char *)timer + 16,
		(void *)RF_ARENA_BASE, freed};
	for (size_t i = 0; i < sizeof wild / sizeof *wild; i++) {
		PLANT(kv_root->databases, wild[i]);
		PLANT(kv_root->databases[7], wild[i]);
		PLANT(kv_root->dead_keys, wild[i]);
		PLANT(kv_root->dead_values, wild[i]);
		PLANT(kv_root->spare, wild[i]);
		PLANT(entry->word, (uint64_t)wild[i]);
		PLANT(entry->word, (uint64_t)wild[i] | KV_TIMED);
		PLANT(timer->timer.next, wild[i]);
		PLANT(timer->timer.link, wild[i]);
		PLANT(timer->entry, wild[i]);
		PLANT(timer->value, wild[i]);
	}
}

static void a_ring_of_the_flushed_is_told(void **state)
{
	struct kv_keys *oldest;

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		rf_tx_begin();
		set(i);
		stage_flush();
		commit();
	}
	assert_int_equal(kv_verify(), 0);
	for (oldest = kv_root->dead_keys; oldest->next != NULL;)
		oldest = oldest->next;
	for (struct kv_keys *at = kv_root->dead_keys; at != NULL;
		at = at != oldest ? at->next : NULL)
		PLANT(oldest->next, at);
	PLANT(kv_root->dead_keys->dict.count, 2);
}

static void a_ring_of_dead_values_is_told(void **state)
{
	struct kv_value *values[5];

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		values[i] = set_of(i, 100);
	rf_tx_begin();
	for (unsigned i = 0; i < 5; i++)
		kv_delete(&stage_call, find(i));
	commit();
	assert_int_equal(kv_verify(), 0);
	for (unsigned i = 0; i < 5; i++)
		PLANT(*(uint64_t *)(void *)values[0],
			(uint64_t)values[i] | (uint64_t)KV_SET << 60);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_walker_reports_each_planted_fault),
		TEST(no_planted_pointer_is_followed),
		TEST(a_damaged_collection_is_told),
		TEST(a_ring_of_the_flushed_is_told),
		TEST(a_ring_of_dead_values_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
