/* SPDX-License-Identifier: MIT */
/* test_kv_db.c -- keys, values and expiry of the kv worker, against a model.
 *
 * The model is an array of keys with text and expiry, and a clock that the
 * test moves: on, far on, and sometimes back. Transactions end in a commit or
 * an abort; afterwards model and database agree and the walker is content.
 */
#include "scratch_arena.h"
#include "suite.h"
#include "worker/kv/db.c"
#include "worker/kv/value.c"
#include "worker/kv/wheel.c"

#define KEYS	     400
#define TEXT_MAX     40000
#define SLICE_MS     (1 << SLICE_SHIFT)
#define ROUND_MS     ((int64_t)SLICE_MS * KV_WHEEL_SLOTS)
#define START_MS     INT64_C(1800000000000)
#define NEVER	     INT64_MAX
#define SINGLE_STEPS 1000000

struct model {
	int64_t at_ms; /* NEVER: no expiry */
	uint32_t bytes;
	char fill; /* 0: no such key */
};

static struct model model[KEYS], model_before[KEYS];
static int64_t now_ms;
static char text[TEXT_MAX];

static struct rf_bytes key_of(unsigned number)
{
	static char key[16];

	return (struct rf_bytes){
		key, (size_t)snprintf(key, sizeof key, "key:%u", number)};
}

static bool is_there(unsigned number)
{
	return model[number].fill != 0 && now_ms <= model[number].at_ms;
}

static void text_is(const struct rf_dict_entry *entry, const struct model *want)
{
	const struct kv_value *value = kv_value_of(entry);
	const struct kv_timer *timer = kv_timer_of(entry);

	assert_int_equal(value->bytes, want->bytes);
	for (uint32_t i = 0; i < want->bytes; i++)
		if (value->text[i] != want->fill)
			fail_msg("byte %u of %u is wrong", i, want->bytes);
	assert_true((timer != NULL ? timer->at_ms : NEVER) == want->at_ms);
}

/* Looks without the removal that kv_find does. */
static void agree(void)
{
	assert_int_equal(kv_verify(), 0);
	for (unsigned i = 0; i < KEYS; i++) {
		struct rf_bytes key = key_of(i);
		struct rf_dict_entry *entry =
			rf_dict_find(&kv_db->keys->dict, key.at, key.bytes);

		if (is_there(i))
			assert_non_null(entry);
		if (entry != NULL && is_there(i))
			text_is(entry, &model[i]);
		else if (entry != NULL)
			assert_true(kv_expired(entry, now_ms));
	}
}

static int set_up(void **state)
{
	(void)state;
	if (scratch_arena_create(256 << 20) != 0)
		return -1;
	rf_tx_begin();
	kv_db = rf_alloc(sizeof *kv_db);
	kv_db_create();
	memset(model, 0, sizeof model);
	now_ms = START_MS;
	return rf_tx_commit();
}

static int tear_down(void **state)
{
	(void)state;
	scratch_arena_destroy();
	return 0;
}

static void commit(void)
{
	assert_int_equal(rf_tx_commit(), 0);
}

/* ---- random changes ---- */

static uint32_t random_bytes(void)
{
	static const uint32_t most[] = {1, 8, 60, 500, 5000, TEXT_MAX};

	return (uint32_t)random_below(most[random_below(6)]);
}

static void set_key(unsigned number)
{
	struct model *m = &model[number];

	*m = (struct model){
		NEVER, random_bytes(), (char)('a' + random_below(26))};
	memset(text, m->fill, m->bytes);
	assert_non_null(kv_set(key_of(number), text, m->bytes));
}

static void expire_key(unsigned number)
{
	static const int64_t spans[] = {
		50, SLICE_MS * 3, ROUND_MS, ROUND_MS * 3, ROUND_MS * 100};
	struct rf_dict_entry *entry = kv_find(now_ms, key_of(number));

	assert_int_equal(entry != NULL, is_there(number));
	if (entry == NULL)
		return;
	model[number].at_ms =
		now_ms - 20 +
		(int64_t)random_below((size_t)spans[random_below(5)]);
	kv_expire_at(entry, model[number].at_ms);
}

static void persist_key(unsigned number)
{
	struct rf_dict_entry *entry = kv_find(now_ms, key_of(number));

	if (entry == NULL)
		return;
	assert_int_equal(kv_persist(entry), model[number].at_ms != NEVER);
	model[number].at_ms = NEVER;
}

/* The upper part first, longer than before, then the lower one: all of the
 * text is new, and nothing of it was written by kv_set. */
static void write_key(unsigned number)
{
	struct rf_dict_entry *entry = kv_find(now_ms, key_of(number));
	struct model *m = &model[number];
	size_t middle, bytes;

	if (entry == NULL || m->bytes > TEXT_MAX / 2)
		return;
	middle = random_below(m->bytes + 1);
	bytes = m->bytes + random_below(300);
	m->bytes = (uint32_t)bytes;
	m->fill = (char)('a' + random_below(26));
	memset(text, m->fill, bytes);
	assert_int_equal(
		kv_value_write(entry, middle, text, bytes - middle), 0);
	assert_int_equal(kv_value_write(entry, 0, text, middle), 0);
}

static void delete_key(unsigned number)
{
	struct rf_dict_entry *entry = kv_find(now_ms, key_of(number));

	assert_int_equal(entry != NULL, is_there(number));
	if (entry != NULL)
		kv_delete(entry);
	model[number].fill = 0;
}

static void flush_all(unsigned number)
{
	if (number != 0 || random_below(10) > 0)
		return;
	kv_flush();
	memset(model, 0, sizeof model);
}

static void run_tick(unsigned number)
{
	kv_bury_step(number % 50);
	kv_wheel_step(now_ms, number % 50);
}

static void (*const changes[])(unsigned number) = {set_key, set_key, set_key,
	expire_key, expire_key, persist_key, write_key, delete_key, flush_all,
	run_tick, run_tick};

static void random_transaction(void)
{
	size_t steps = random_below(20) + 1;
	size_t keys = random_below(2) == 0 ? KEYS : 5; /* the same again */

	memcpy(model_before, model, sizeof model);
	rf_tx_begin();
	while (steps-- > 0)
		changes[random_below(sizeof changes / sizeof *changes)](
			(unsigned)random_below(keys));
	if (random_below(3) == 0) {
		rf_tx_abort();
		memcpy(model, model_before, sizeof model);
	} else {
		commit();
	}
}

/* Going back would raise what has ended but is still in memory. */
static void bury_the_dead(void)
{
	rf_tx_begin();
	for (unsigned i = 0; i < KEYS; i++)
		if (kv_find(now_ms, key_of(i)) == NULL)
			model[i].fill = 0;
	commit();
}

static void move_clock(void)
{
	switch (random_below(40)) {
	case 0:
		now_ms += (int64_t)random_below((size_t)ROUND_MS * 2);
		break;
	case 1:
		bury_the_dead();
		now_ms -= (int64_t)random_below(5000);
		break;
	default:
		now_ms += (int64_t)random_below(100);
	}
}

/* Tick until there is nothing to do. */
static void settle(void)
{
	bool more = true;

	for (int i = 0; more; i++) {
		assert_in_range(i, 0, SINGLE_STEPS);
		rf_tx_begin();
		more = kv_bury_step(1000);
		more |= kv_wheel_step(now_ms, 1000);
		commit();
	}
}

static void the_database_agrees_with_a_model_through_aborts(void **state)
{
	(void)state;
	for (int i = 0; i < 20000; i++) {
		random_transaction();
		if (i % 20 == 0)
			agree();
		move_clock();
		if (i % 100 == 0)
			settle();
	}
	agree();
	assert_int_equal(rf_heap_check(), 0);
}

static void nothing_is_left_of_a_flushed_database(void **state)
{
	size_t used = rf_heap_used();

	(void)state;
	for (int round = 0; round < 3; round++) {
		rf_tx_begin();
		for (unsigned i = 0; i < KEYS; i++) {
			set_key(i);
			if (i % 2 == 0)
				expire_key(i);
		}
		kv_flush();
		commit();
		assert_int_equal(kv_verify(), 0);
	}
	settle();
	assert_int_equal(kv_verify(), 0);
	assert_int_equal(rf_heap_used(), used);
}

/* ---- expiry ---- */

static unsigned set_expiring(unsigned count, int64_t first_ms, int64_t step_ms)
{
	for (unsigned i = 0; i < count; i++) {
		rf_tx_begin();
		kv_expire_at(kv_set(key_of(i), "", 0),
			first_ms + (int64_t)i * step_ms);
		commit();
	}
	return count;
}

static void each_key_goes_in_the_slice_after_its_end(void **state)
{
	/* From the past to four rounds ahead. */
	const int64_t first = START_MS - ROUND_MS, step = ROUND_MS / 70;
	unsigned left = set_expiring(350, first, step);

	(void)state;
	while (left > 0) {
		unsigned ended = 0;

		settle();
		assert_int_equal(kv_wheel_check(), 0);
		for (unsigned i = 0; i < 350; i++)
			ended += first + (int64_t)i * step <
				 now_ms / SLICE_MS * SLICE_MS;
		left = (unsigned)rf_dict_count(&kv_db->keys->dict);
		assert_int_equal(left, 350 - ended);
		now_ms += step / 3;
	}
	assert_int_equal(kv_db->expired, 350);
	assert_int_equal(kv_db->wheel.count, 0);
}

static void what_has_ended_already_goes_with_the_next_slice(void **state)
{
	(void)state;
	rf_tx_begin();
	kv_expire_at(kv_set(key_of(KEYS), "", 0), START_MS + 9 * ROUND_MS);
	commit();
	now_ms += ROUND_MS;
	settle();
	set_expiring(KEYS, now_ms - ROUND_MS / 3, ROUND_MS / 3 / KEYS);
	now_ms += SLICE_MS;
	settle();
	assert_int_equal(rf_dict_count(&kv_db->keys->dict), 1);
}

static void a_tick_does_no_more_than_its_budget(void **state)
{
	(void)state;
	set_expiring(KEYS, START_MS, 0);
	now_ms += 10 * SLICE_MS;
	for (unsigned left = KEYS; left > 0;) {
		unsigned before = left;

		rf_tx_begin();
		kv_wheel_step(now_ms, 7);
		commit();
		left = (unsigned)rf_dict_count(&kv_db->keys->dict);
		assert_in_range(before - left, 0, 7);
	}
}

/* ---- values ---- */

static void overwriting_takes_no_block_when_the_text_fits(void **state)
{
	struct rf_dict_entry *entry;
	struct kv_value *value;

	(void)state;
	rf_tx_begin();
	memset(text, 'x', 100);
	entry = kv_set(key_of(1), text, 100);
	commit();
	value = kv_value_of(entry);
	rf_tx_begin();
	kv_set(key_of(1), text, 60);
	assert_ptr_equal(kv_value_of(entry), value);
	kv_set(key_of(1), text, 104);
	assert_ptr_equal(kv_value_of(entry), value);
	kv_set(key_of(1), text, 5); /* would waste most of the block */
	assert_ptr_not_equal(kv_value_of(entry), value);
	rf_tx_abort();
	assert_ptr_equal(kv_value_of(entry), value);
	assert_int_equal(value->bytes, 100);
}

static void a_string_cannot_outgrow_its_limit(void **state)
{
	struct rf_dict_entry *entry;

	(void)state;
	kv_string_bytes_max = 1000;
	rf_tx_begin();
	entry = kv_set(key_of(1), text, 1000);
	assert_int_equal(kv_value_write(entry, 1000, "x", 1), -EMSGSIZE);
	assert_int_equal(kv_value_write(entry, SIZE_MAX, "x", 1), -EMSGSIZE);
	assert_int_equal(kv_value_write(entry, 999, "x", 1), 0);
	assert_int_equal(rf_tx_error(), 0);
	kv_set(key_of(1), text, 1001);
	assert_int_equal(rf_tx_commit(), -EMSGSIZE);
	kv_string_bytes_max = (size_t)512 << 20;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_database_agrees_with_a_model_through_aborts),
		TEST(nothing_is_left_of_a_flushed_database),
		TEST(each_key_goes_in_the_slice_after_its_end),
		TEST(what_has_ended_already_goes_with_the_next_slice),
		TEST(a_tick_does_no_more_than_its_budget),
		TEST(overwriting_takes_no_block_when_the_text_fits),
		TEST(a_string_cannot_outgrow_its_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
