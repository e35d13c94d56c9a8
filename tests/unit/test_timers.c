/* SPDX-License-Identifier: MIT */
/* test_timers.c -- the timing wheel against a list that is searched.
 *
 * A few timers, each in a block of its own; the clock goes on by anything from
 * nothing to decades. After each run that came to its end nothing is armed
 * that is due, and nothing was handed out before.
 */
#include "tight_log.h"
#include <refork/timers.h>

#define TIMERS	400u
#define YEAR_MS ((int64_t)365 * 86400 * 1000)

struct item {
	struct rf_timer timer;
	uint64_t number;
};

static struct model {
	bool armed[TIMERS];
	int64_t at_ms[TIMERS];
	uint64_t count, fired;
} model, before;

static struct root {
	struct rf_timers timers;
	struct item *items[TIMERS];
} * root;

static int64_t now_ms;
static bool tricks; /* who is due changes others, too */

static int set_up(void **state)
{
	(void)state;
	if (scratch_arena_create((uint64_t)256 << 20) != 0)
		return -1;
	memset(&model, 0, sizeof model);
	tricks = false;
	now_ms = (int64_t)random_below((size_t)(60 * YEAR_MS));
	rf_tx_begin();
	root = rf_alloc(sizeof *root);
	for (unsigned i = 0; i < TIMERS; i++) {
		root->items[i] = rf_alloc(sizeof **root->items);
		root->items[i]->number = i;
	}
	return rf_tx_commit();
}

static int tear_down(void **state)
{
	(void)state;
	scratch_arena_destroy();
	return 0;
}

/* ---- changes ---- */

static int64_t some_span(void)
{
	static const int64_t spans[] = {1, 3, 200, 256, 257, 600, 20000,
		3000000, 86400000, YEAR_MS, 20 * YEAR_MS};

	return (int64_t)random_below(
		(size_t)spans[random_below(sizeof spans / sizeof *spans)] + 1);
}

static void arm(unsigned i, int64_t at_ms)
{
	rf_timers_arm(&root->timers, &root->items[i]->timer, at_ms, now_ms);
	model.count += !model.armed[i];
	model.armed[i] = true;
	model.at_ms[i] = at_ms;
}

static void arm_some(unsigned i)
{
	static const int64_t odd[] = {
		0, -1, INT64_MIN, INT64_MAX, INT64_MAX - 1, (int64_t)1 << 38};

	if (random_below(50) == 0)
		arm(i, odd[random_below(6)]);
	else if (random_below(10) == 0)
		arm(i, now_ms - some_span());
	else
		arm(i, now_ms + some_span());
}

static void disarm(unsigned i)
{
	rf_timers_disarm(&root->timers, &root->items[i]->timer);
	model.count -= model.armed[i];
	model.armed[i] = false;
}

static void move(unsigned i)
{
	struct item *item = rf_alloc(sizeof *item);

	*item = *root->items[i];
	rf_free(root->items[i]);
	RF_SET(root->items[i], item);
	rf_timers_moved(&item->timer);
}

static void on_due(struct rf_timer *timer, void *context)
{
	struct item *item = (struct item *)timer;
	unsigned i = (unsigned)item->number;

	assert_ptr_equal(context, &now_ms);
	assert_ptr_equal(root->items[i], item);
	assert_null(timer->link);
	assert_true(model.armed[i]);
	assert_true(timer->at_ms == model.at_ms[i]);
	assert_true(timer->at_ms <= now_ms);
	model.armed[i] = false;
	model.count--;
	model.fired++;
	if (!tricks)
		return;
	switch (random_below(4)) {
	case 0:
		arm(i, now_ms + 1 + some_span());
		break;
	case 1:
		disarm((unsigned)random_below(TIMERS));
		break;
	case 2:
		move(i);
		break;
	}
}

static bool run(size_t budget)
{
	return rf_timers_run(&root->timers, now_ms, budget, on_due, &now_ms);
}

static void change(void)
{
	unsigned i = (unsigned)random_below(TIMERS);

	switch (random_below(8)) {
	case 0:
	case 1:
	case 2:
	case 3:
		arm_some(i);
		break;
	case 4:
		disarm(i);
		break;
	case 5:
		move(i);
		break;
	default:
		run(random_below(20));
	}
}

/* ---- what must be true ---- */

static bool is_item(const struct rf_timer *timer)
{
	return rf_is_block(timer, sizeof(struct item));
}

static int64_t first_of_model(void)
{
	int64_t first = INT64_MAX;

	for (unsigned i = 0; i < TIMERS; i++)
		if (model.armed[i] && model.at_ms[i] < first)
			first = model.at_ms[i];
	return first;
}

static void check_all(void)
{
	assert_int_equal(rf_timers_check(&root->timers, is_item, "test"), 0);
	assert_int_equal(root->timers.count, model.count);
	for (unsigned i = 0; i < TIMERS; i++) {
		const struct rf_timer *timer = &root->items[i]->timer;

		assert_int_equal(timer->link != NULL, model.armed[i]);
		if (model.armed[i])
			assert_true(timer->at_ms == model.at_ms[i]);
	}
}

/* At any time, also in the middle of a run. */
static void check_bound(void)
{
	int64_t first = first_of_model();

	assert_true(rf_timers_next_ms(&root->timers) <=
		    (first > now_ms ? first : now_ms));
}

/* After a run that came to its end. */
static void check_next(void)
{
	int64_t first = first_of_model();
	int64_t next = rf_timers_next_ms(&root->timers);

	assert_true(first > now_ms);
	assert_true(next <= first);
	assert_true(first - now_ms > 256 || next == first);
	assert_true(model.count > 0 || next == INT64_MAX);
}

static void run_to_the_end(void)
{
	uint64_t count = model.count, fired = model.fired;
	unsigned rounds = 0;

	rf_tx_begin();
	while (run(1000))
		assert_true(++rounds < 20);
	assert_int_equal(rf_tx_commit(), 0);
	assert_true(tricks || model.count == count + fired - model.fired);
	check_next();
}

static void play(int rounds)
{
	for (int round = 0; round < rounds; round++) {
		bool aborts = random_below(4) == 0;

		if (random_below(2))
			now_ms += some_span() >> random_below(20);
		if (aborts)
			before = model;
		rf_tx_begin();
		for (size_t n = random_below(8); n > 0; n--)
			change();
		if (aborts) {
			rf_tx_abort();
			model = before;
		} else {
			assert_int_equal(rf_tx_commit(), 0);
		}
		check_bound();
		if (random_below(2))
			run_to_the_end();
		if (round % 16 == 0)
			check_all();
	}
	check_all();
	assert_int_equal(rf_heap_check(), 0);
	assert_true(model.fired > (uint64_t)rounds / 4);
}

static void what_is_due_is_handed_out_and_nothing_else(void **unused)
{
	(void)unused;
	play(20000);
}

static void who_is_due_may_change_any_timer(void **unused)
{
	(void)unused;
	tricks = true;
	play(20000);
}

/* Wake up at next_ms and at no other time: each fires in its millisecond, and
 * there are few wake-ups for nothing. */
static void sleeping_until_next_ms_is_on_time(void **unused)
{
	unsigned wakes = 0;

	(void)unused;
	for (unsigned i = 0; i < TIMERS; i++)
		model.at_ms[i] = now_ms + some_span();
	rf_tx_begin();
	for (unsigned i = 0; i < TIMERS; i++)
		arm(i, model.at_ms[i]);
	assert_int_equal(rf_tx_commit(), 0);
	while (model.count > 0) {
		int64_t first = first_of_model();
		int64_t next = rf_timers_next_ms(&root->timers);

		assert_true(next <= first);
		assert_true(next > now_ms || first <= now_ms || wakes == 0);
		now_ms = next > now_ms ? next : now_ms;
		run_to_the_end();
		wakes++;
	}
	assert_true(wakes < TIMERS * 7);
}

/* So many in one millisecond, and a budget for a part of them. */
static void a_run_ends_with_its_budget_and_goes_on_later(void **unused)
{
	unsigned runs = 0;

	(void)unused;
	rf_tx_begin();
	for (unsigned i = 0; i < TIMERS; i++)
		arm(i, now_ms + 100000);
	assert_int_equal(rf_tx_commit(), 0);
	now_ms += 100000;
	for (bool more = true; more; runs++) {
		rf_tx_begin();
		more = run(10);
		assert_int_equal(rf_tx_commit(), 0);
		check_all();
	}
	assert_int_equal(model.fired, TIMERS);
	assert_in_range(runs, TIMERS / 10, TIMERS / 2);
}

/* A clock that jumps over years finds what hangs nowhere near. */
static void a_jump_over_nothing_costs_nothing(void **unused)
{
	(void)unused;
	rf_tx_begin();
	arm(0, now_ms + 1000 * YEAR_MS);
	arm(1, now_ms + 1);
	assert_int_equal(rf_tx_commit(), 0);
	for (int n = 0; n < 2000; n++) {
		now_ms += YEAR_MS / 2 + (int64_t)random_below(1000000);
		rf_tx_begin();
		run(50);
		assert_int_equal(rf_tx_commit(), 0);
	}
	run_to_the_end();
	assert_int_equal(model.fired, 2);
}

/* A far timer is hung anew at each level at most once. */
static void a_far_timer_is_looked_at_a_few_times(void **unused)
{
	size_t looks = 0;

	(void)unused;
	rf_tx_begin();
	arm(0, now_ms + YEAR_MS);
	assert_int_equal(rf_tx_commit(), 0);
	while (model.count > 0) {
		int64_t next = rf_timers_next_ms(&root->timers);

		now_ms = next > now_ms ? next : now_ms;
		rf_tx_begin();
		while (run(1))
			looks++;
		assert_int_equal(rf_tx_commit(), 0);
	}
	assert_in_range(looks, 1, 25);
}

static void the_average_is_that_of_all(void **unused)
{
	(void)unused;
	assert_int_equal(rf_timers_average_ms(&root->timers, now_ms), 0);
	rf_tx_begin();
	arm(0, now_ms + 100);
	arm(1, now_ms + 400);
	arm(2, now_ms + YEAR_MS);
	arm(1, now_ms + 300);
	disarm(2);
	assert_int_equal(rf_tx_commit(), 0);
	assert_int_equal(rf_timers_average_ms(&root->timers, now_ms), 200);
	assert_int_equal(rf_timers_average_ms(&root->timers, now_ms + 900), 0);
	check_all();
}

static void reset_forgets_all_and_frees_the_wheel(void **unused)
{
	size_t used = rf_heap_used();

	(void)unused;
	play(1000);
	rf_tx_begin();
	rf_timers_reset(&root->timers);
	assert_int_equal(rf_tx_commit(), 0);
	assert_int_equal(rf_heap_used(), used);
	assert_int_equal(rf_timers_next_ms(&root->timers), INT64_MAX);
	rf_tx_begin();
	assert_false(run(100));
	assert_int_equal(rf_tx_commit(), 0);
	assert_int_equal(rf_timers_check(&root->timers, is_item, "test"), 0);
}

/* ---- faults ---- */

static void on_due_count(struct rf_timer *timer, void *context)
{
	(void)timer;
	++*(unsigned *)context;
}

static void change_much(void)
{
	unsigned fired = 0;

	for (unsigned i = 0; i < 60; i++) {
		struct rf_timer *timer = &root->items[i * 2]->timer;

		if (i % 3 < 2)
			rf_timers_arm(&root->timers, timer,
				now_ms + 7 * i * i * i, now_ms);
		else
			rf_timers_disarm(&root->timers, timer);
		rf_timers_run(&root->timers, now_ms + i * 200, 5, on_due_count,
			&fired);
	}
}

static void a_log_that_fills_anywhere_undoes_everything(void **unused)
{
	(void)unused;
	assert_true(under_every_log_limit(change_much, check_all) > 200);
	rf_tx_begin();
	rf_timers_reset(&root->timers);
	for (unsigned i = 0; i < TIMERS; i++)
		root->items[i]->timer.link = NULL;
	assert_int_equal(rf_tx_commit(), 0);
	play(500);
	assert_true(under_every_log_limit(change_much, check_all) > 200);
}

static void the_check_sees_damage_and_survives_it(void **unused)
{
	uint64_t *words;
	unsigned found = 0, tried = 0;

	(void)unused;
	play(500);
	for (unsigned i = 0; i < TIMERS; i++) {
		words = (uint64_t *)root->items[i];
		for (unsigned bit = 0; bit < 3 * 64 && model.armed[i]; bit++) {
			words[bit / 64] ^= UINT64_C(1) << bit % 64;
			tried++;
			found += rf_timers_check(&root->timers, is_item,
					 "damaged") != 0;
			words[bit / 64] ^= UINT64_C(1) << bit % 64;
		}
	}
	assert_int_equal(found, tried);
	words = (uint64_t *)root->timers.wheel;
	for (unsigned bit = 0; bit < 16 * 64; bit++) {
		words[bit / 64] ^= UINT64_C(1) << bit % 64;
		tried = rf_timers_check(&root->timers, is_item, "damaged") != 0;
		assert_true(tried || bit < 2 * 64); /* the clock */
		words[bit / 64] ^= UINT64_C(1) << bit % 64;
	}
	for (unsigned bit = 0; bit < 3 * 64; bit++) {
		words = (uint64_t *)&root->timers;
		words[bit / 64] ^= UINT64_C(1) << bit % 64;
		assert_int_equal(
			rf_timers_check(&root->timers, is_item, "damaged"),
			-EBADMSG);
		words[bit / 64] ^= UINT64_C(1) << bit % 64;
	}
	check_all();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_due_is_handed_out_and_nothing_else),
		TEST(who_is_due_may_change_any_timer),
		TEST(sleeping_until_next_ms_is_on_time),
		TEST(a_run_ends_with_its_budget_and_goes_on_later),
		TEST(a_jump_over_nothing_costs_nothing),
		TEST(a_far_timer_is_looked_at_a_few_times),
		TEST(the_average_is_that_of_all),
		TEST(reset_forgets_all_and_frees_the_wheel),
		TEST(a_log_that_fills_anywhere_undoes_everything),
		TEST(the_check_sees_damage_and_survives_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
