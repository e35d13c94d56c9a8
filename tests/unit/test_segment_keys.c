/* SPDX-License-Identifier: MIT */
/* test_segment_keys.c -- one key, several lock files: one proves anything. */
#include "segment_stage.h"

enum { CLAIMANTS = 12 };

static struct rf_segment keyed(const char *tail)
{
	struct rf_segment made = fresh(&sysv, tail);

	made.key = 0x5ee00000u | (uint32_t)(stage_pid & 0xffff);
	return made;
}

/* Whatever a test that failed has left. */
static int remove_keyed(void **state)
{
	static const char *const tails[] = {"", "-1", "-2"};
	struct rf_segment left = keyed("");
	struct rf_segment_owner owner;
	char tail[8];

	(void)state;
	if (rf_segment_owner(&left, &owner) == 0)
		shmctl(owner.shmid, IPC_RMID, NULL);
	for (size_t i = 0; i < sizeof tails / sizeof *tails; i++)
		unlink(keyed(tails[i]).path);
	for (int i = 0; i < CLAIMANTS; i++) {
		snprintf(tail, sizeof tail, "-c%d", i);
		unlink(keyed(tail).path);
	}
	return 0;
}

static int forget_note(void)
{
	rf_segment_close(&seg);
	return truncate(seg.path, 0);
}

static void what_another_file_made_under_the_same_key_is_refused(void **state)
{
	struct rf_segment other = fresh(&sysv, "");
	struct rf_segment_owner owner;

	(void)state;
	assert_int_equal(rf_segment_back(&seg, 0, 1), 0);
	assert_int_equal(forget_note(), 0);
	assert_int_equal(rf_segment_unlink(&other), -EEXIST);
	assert_int_equal(rf_segment_create(&other), -EEXIST);
	assert_int_equal(rf_segment_owner(&other, &owner), 0);
	assert_int_equal(rf_segment_open(&other, 0), -EEXIST);
	assert_int_equal(other.fd, -1);
	assert_int_equal(access(other.path, F_OK), -1); /* the empty lock */
	assert_int_equal(owner.shmid, seg.shmid);
	assert_int_equal(shmctl(owner.shmid, IPC_RMID, NULL), 0);
}

static void one_whose_maker_died_before_its_note_is_had(void **state)
{
	struct rf_segment other = fresh(&sysv, "");

	(void)state;
	assert_int_equal(forget_note(), 0);
	assert_int_equal(rf_segment_create(&other), -EEXIST);
	assert_int_equal(rf_segment_open(&other, 0), 0);
	assert_int_equal(rf_segment_map(&other, 0), 0);
	rf_segment_close(&other);
}

static void a_claim_makes_every_other_lock_prove_nothing(void **state)
{
	struct rf_segment first = keyed("-1"), second = keyed("-2");

	(void)state;
	assert_int_equal(rf_segment_create(&first), 0);
	assert_int_equal(rf_segment_back(&first, 0, 1), 0);
	rf_segment_close(&first);
	assert_int_equal(rf_segment_create(&second), -EEXIST);
	assert_int_equal(rf_segment_open(&second, 0), 0);
	assert_int_equal(rf_segment_map(&second, 0), 0);
	assert_int_equal(rf_segment_open(&first, 0), -EWOULDBLOCK);
	rf_segment_close(&second);
	assert_int_equal(rf_segment_open(&first, 0), 0);
	assert_int_equal(rf_segment_map(&first, 0), 0);
	assert_int_equal(rf_segment_open(&second, 0), -EWOULDBLOCK);
	assert_int_equal(rf_segment_unlink(&first), 0);
	rf_segment_close(&first);
	unlink(second.path);
}

static void a_claim_in_between_is_seen_when_it_is_mapped(void **state)
{
	struct rf_segment first = keyed("-1"), second = keyed("-2");

	(void)state;
	assert_int_equal(rf_segment_create(&first), 0);
	assert_int_equal(rf_segment_create(&second), -EEXIST);
	assert_int_equal(rf_segment_open(&second, 0), 0);
	assert_int_equal(rf_segment_map(&first, 0), -EWOULDBLOCK);
	assert_int_equal(rf_segment_map(&second, 0), 0);
	rf_segment_close(&first);
	assert_int_equal(rf_segment_unlink(&second), 0);
	rf_segment_close(&second);
	unlink(first.path);
}

static void a_reader_of_a_given_key_hinders_nobody(void **state)
{
	struct rf_segment first = keyed("-1"), reader;
	struct rf_segment_place place;

	(void)state;
	assert_int_equal(rf_segment_create(&first), 0);
	rf_segment_place(&first, &place);
	assert_int_equal(rf_segment_view(&reader, &place, 0), 0);
	rf_segment_close(&first);
	assert_int_equal(rf_segment_open(&first, 0), 0);
	assert_int_equal(rf_segment_unlink(&first), 0);
	rf_segment_close(&first);
	rf_segment_close(&reader);
}

/* ---- many at once ---- */

static struct race {
	int ready, tried, won;
} * race;

static int claim(void *number)
{
	struct rf_segment mine;
	bool lied;
	char tail[8];
	int error;

	snprintf(tail, sizeof tail, "-c%d", *(int *)number);
	mine = keyed(tail);
	__atomic_add_fetch(&race->ready, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&race->ready, __ATOMIC_SEQ_CST) < CLAIMANTS)
		nap_us(100);
	error = rf_segment_create(&mine);
	if (error == -EEXIST)
		error = rf_segment_open(&mine, 0);
	if (error == 0)
		error = rf_segment_map(&mine, 0);
	if (error == 0)
		__atomic_add_fetch(&race->won, 1, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&race->tried, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&race->tried, __ATOMIC_SEQ_CST) < CLAIMANTS)
		nap_us(1000); /* the winner has it to the end */
	/* A loser's note is not true: nobody has it now but a winner. */
	lied = error != 0 && race->won == 1 &&
	       rf_segment_open(&mine, 0) != -EWOULDBLOCK;
	unlink(mine.path);
	__atomic_add_fetch(&race->ready, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&race->ready, __ATOMIC_SEQ_CST) < 2 * CLAIMANTS)
		nap_us(1000);
	return lied;
}

static void of_twelve_that_claim_one_key_at_most_one_has_it(void **state)
{
	struct rf_segment first = keyed("-1");
	pid_t claimants[CLAIMANTS];
	struct rf_segment_owner owner;

	(void)state;
	race = shared_memory(sizeof *race);
	assert_int_equal(rf_segment_create(&first), 0);
	assert_int_equal(rf_segment_back(&first, 0, 1), 0);
	rf_segment_close(&first);
	for (int i = 0; i < CLAIMANTS; i++)
		claimants[i] = fork_child(claim, &i);
	for (int i = 0; i < CLAIMANTS; i++)
		assert_int_equal(exit_of(wait_child(claimants[i])), 0);
	assert_true(race->won <= 1);
	assert_int_equal(rf_segment_owner(&first, &owner), 0);
	assert_int_equal(shmctl(owner.shmid, IPC_RMID, NULL), 0);
	unlink(first.path);
	munmap(race, sizeof *race);
}

#define TEST(name) cmocka_unit_test_teardown(name, remove_keyed)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(what_another_file_made_under_the_same_key_is_refused,
			sysv),
		EACH(one_whose_maker_died_before_its_note_is_had, sysv),
		TEST(a_claim_makes_every_other_lock_prove_nothing),
		TEST(a_claim_in_between_is_seen_when_it_is_mapped),
		TEST(a_reader_of_a_given_key_hinders_nobody),
		TEST(of_twelve_that_claim_one_key_at_most_one_has_it),
	};

	return cmocka_run_group_tests(tests, stage_open, stage_close);
}
