/* SPDX-License-Identifier: MIT */
/* test_segment_names.c -- segments that can be found again: by whom, and by
 * how many at once. Each case runs for each kind that has a name.
 */
#include "call_deaths.h"
#include "segment_stage.h"
#include <sched.h>

/* ---- found ---- */

static void a_standing_name_is_refused(void **state)
{
	struct rf_segment second = fresh(the_kind(state), "");

	assert_int_equal(rf_segment_create(&second), -EEXIST);
	assert_int_equal(second.fd, -1);
	assert_int_equal(rf_segment_unlink(&seg), 0);
	assert_int_equal(rf_segment_create(&second), 0);
	assert_int_equal(rf_segment_unlink(&second), 0);
	rf_segment_close(&second);
}

static void a_missing_name_is_not_found(void **state)
{
	struct rf_segment none = fresh(the_kind(state), "");

	assert_int_equal(rf_segment_unlink(&seg), 0);
	assert_int_equal(rf_segment_open(&none, 0), -ENOENT);
	assert_int_equal(rf_segment_unlink(&none), -ENOENT);
	none.backend = RF_BACKEND_MEMFD;
	assert_int_equal(rf_segment_open(&none, 0), -ENOENT);
}

static void what_was_written_stands_for_the_next_opener(void **state)
{
	struct rf_segment again = fresh(the_kind(state), "");

	assert_int_equal(rf_segment_back(&seg, 2 * MIB, MIB), 0);
	strcpy((char *)seg.base + 2 * MIB, "still here");
	rf_segment_close(&seg);
	again.max_bytes = 0;
	assert_int_equal(rf_segment_open(&again, 0), 0);
	assert_int_equal(again.max_bytes, STAGE_BYTES);
	assert_int_equal(rf_segment_map(&again, RF_ARENA_BASE), 0);
	assert_string_equal((char *)again.base + 2 * MIB, "still here");
	rf_segment_close(&again);
}

/* ---- locked ---- */

static const struct kind *opened_kind;

/* As a process that has inherited nothing. Its exit status is the errno. */
static int try_to_open(void *wait_ms)
{
	struct rf_segment mine = fresh(opened_kind, "");

	rf_segment_close(&seg);
	mine.max_bytes = 0;
	return -rf_segment_open(&mine, *(int *)wait_ms);
}

static int opened_within(void **state, int wait_ms)
{
	opened_kind = the_kind(state);
	return exit_of(run_child(try_to_open, &wait_ms));
}

static void a_used_segment_cannot_be_opened_by_another_process(void **state)
{
	assert_int_equal(opened_within(state, 0), EWOULDBLOCK);
	rf_segment_close(&seg);
	assert_int_equal(opened_within(state, 0), 0);
}

static int hold_the_mapping(void *unused)
{
	(void)unused;
	close(seg.fd); /* the mapping alone must keep the lock */
	pause();
	return 0;
}

static void the_last_mapping_keeps_the_lock_until_its_process_ends(void **state)
{
	pid_t child;

	the_kind(state);
	child = fork_child(hold_the_mapping, NULL);
	rf_segment_close(&seg);
	assert_int_equal(opened_within(state, 0), EWOULDBLOCK);
	kill_child(child);
	assert_int_equal(opened_within(state, 0), 0);
}

static void opening_waits_for_the_end_of_a_dying_process(void **state)
{
	int wait_ms = 5000;
	pid_t child, opener;

	opened_kind = the_kind(state);
	child = fork_child(hold_the_mapping, NULL);
	rf_segment_close(&seg);
	opener = fork_child(try_to_open, &wait_ms);
	nap_us(20000);
	assert_int_equal(waitpid(opener, NULL, WNOHANG), 0);
	kill_child(child);
	assert_int_equal(exit_of(wait_child(opener)), 0);
}

static void a_segment_removed_while_waiting_is_not_found(void **state)
{
	int wait_ms = 5000;
	pid_t opener;

	opened_kind = the_kind(state);
	opener = fork_child(try_to_open, &wait_ms);
	nap_us(20000);
	assert_int_equal(waitpid(opener, NULL, WNOHANG), 0);
	assert_int_equal(rf_segment_unlink(&seg), 0);
	rf_segment_close(&seg);
	assert_int_equal(exit_of(wait_child(opener)), ENOENT);
}

static int hold_a_view(void *ready)
{
	struct rf_segment_place place;
	struct rf_segment view;

	rf_segment_place(&seg, &place);
	rf_segment_close(&seg);
	if (rf_segment_view(&view, &place, 0) != 0)
		return 1;
	*(volatile int *)ready = 1;
	pause();
	return 0;
}

static void a_reader_hinders_nobody(void **state)
{
	volatile int *ready = shared_memory(4096);
	pid_t reader;

	the_kind(state);
	reader = fork_child(hold_a_view, (void *)(uintptr_t)ready);
	while (!*ready)
		nap_us(1000);
	rf_segment_close(&seg);
	assert_int_equal(opened_within(state, 0), 0);
	kill_child(reader);
	munmap((void *)(uintptr_t)ready, 4096);
}

/* ---- many at once ---- */

enum { RACERS = 20, RACES = 10 };

static struct race {
	int ready, tried, won;
} * race;

static int run_a_race(void *unused)
{
	struct rf_segment mine = fresh(opened_kind, "-race");
	int error;

	(void)unused;
	__atomic_add_fetch(&race->ready, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&race->ready, __ATOMIC_SEQ_CST) < RACERS)
		sched_yield();
	error = rf_segment_create(&mine);
	if (error == -EEXIST)
		error = rf_segment_open(&mine, 0);
	if (error == 0)
		__atomic_add_fetch(&race->won, 1, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&race->tried, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&race->tried, __ATOMIC_SEQ_CST) < RACERS)
		nap_us(1000); /* the winner has it to the end */
	return error == 0 || error == -EWOULDBLOCK ? 0 : -error;
}

static void of_twenty_that_make_one_name_exactly_one_wins(void **state)
{
	opened_kind = the_kind(state);
	race = shared_memory(sizeof *race);
	for (int round = 0; round < RACES; round++) {
		struct rf_segment left = fresh(opened_kind, "-race");
		pid_t racers[RACERS];

		memset(race, 0, sizeof *race);
		for (int i = 0; i < RACERS; i++)
			racers[i] = fork_child(run_a_race, NULL);
		for (int i = 0; i < RACERS; i++)
			assert_int_equal(wait_child(racers[i]), 0);
		assert_int_equal(race->won, 1);
		assert_int_equal(rf_segment_unlink(&left), 0);
	}
	munmap(race, sizeof *race);
}

/* ---- a maker that dies ---- */

static int make_and_remove(void *unused)
{
	struct rf_segment mine = fresh(opened_kind, "-step");

	(void)unused;
	being_stepped();
	if (rf_segment_create(&mine) != 0 || rf_segment_map(&mine, 0) != 0 ||
		rf_segment_back(&mine, 0, 1) != 0)
		return 1;
	rf_segment_unlink(&mine);
	rf_segment_close(&mine);
	return 0;
}

static void a_maker_that_dies_at_any_step_hinders_nobody(void **state)
{
	int stop = 0;

	opened_kind = the_kind(state);
	while (die_at_call(make_and_remove, ++stop)) {
		struct rf_segment next = fresh(opened_kind, "-step");
		struct rf_segment_owner owner;
		int error = rf_segment_create(&next);

		if (error == -EEXIST)
			error = rf_segment_open(&next, 1000);
		assert_int_equal(error, 0);
		assert_true(
			next.max_bytes == 0 || next.max_bytes == STAGE_BYTES);
		assert_int_equal(rf_segment_unlink(&next), 0);
		rf_segment_close(&next);
		assert_int_equal(rf_segment_owner(&next, &owner), -ENOENT);
	}
	assert_true(stop > 10);
}

/* ---- not to be trusted ---- */

static int give_to(uid_t uid, mode_t mode)
{
	struct shmid_ds ds;

	if (seg.backend != RF_BACKEND_SYSV)
		return fchown(seg.fd, uid, (gid_t)-1) != 0 ||
		       fchmod(seg.fd, mode) != 0;
	if (shmctl(seg.shmid, IPC_STAT, &ds) != 0)
		return -1;
	ds.shm_perm.uid = uid;
	ds.shm_perm.mode = (unsigned short)mode;
	return shmctl(seg.shmid, IPC_SET, &ds);
}

static void what_others_own_or_may_write_is_refused(void **state)
{
	struct rf_segment_owner owner;

	the_kind(state);
	assert_int_equal(give_to(geteuid(), 0622), 0);
	assert_int_equal(rf_segment_owner(&seg, &owner), 0);
	assert_int_equal(owner.mode, 0622);
	rf_segment_close(&seg);
	assert_int_equal(opened_within(state, 0), EPERM);
	if (geteuid() != 0)
		return;
	seg = fresh(the_kind(state), "-not");
	assert_int_equal(rf_segment_create(&seg), 0);
	assert_int_equal(give_to(12345, 0600), 0);
	assert_int_equal(rf_segment_owner(&seg, &owner), 0);
	assert_int_equal(owner.uid, 12345);
	assert_int_equal(rf_segment_unlink(&seg), 0);
	seg = fresh(the_kind(state), ""); /* for the end */
}

static void what_is_no_regular_file_is_refused(void **state)
{
	struct rf_segment other = fresh(the_kind(state), "-odd");

	assert_int_equal(symlink("/dev/null", other.path), 0);
	assert_int_equal(rf_segment_open(&other, 0), -ELOOP);
	unlink(other.path);
	assert_int_equal(mkfifo(other.path, 0600), 0);
	assert_int_equal(rf_segment_open(&other, 0), -EMEDIUMTYPE);
	unlink(other.path);
	assert_int_equal(mkdir(other.path, 0700), 0);
	assert_int_equal(rf_segment_open(&other, 0), -EMEDIUMTYPE);
	rmdir(other.path);
}

/* ---- sysv ---- */

static void a_file_that_is_no_lock_is_left_alone(void **state)
{
	struct rf_segment other = fresh(the_kind(state), "-text");
	int fd = open(other.path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char text[8] = "";

	assert_int_equal(write(fd, "letter", 6), 6);
	assert_int_equal(rf_segment_create(&other), -EMEDIUMTYPE);
	assert_int_equal(rf_segment_open(&other, 0), -EMEDIUMTYPE);
	assert_int_equal(pread(fd, text, 7, 0), 6);
	assert_string_equal(text, "letter");
	assert_int_equal(access(other.path, F_OK), 0);
	close(fd);
	unlink(other.path);
}

static void another_size_or_page_size_under_the_key_is_refused(void **state)
{
	struct rf_segment other = fresh(the_kind(state), "");

	rf_segment_close(&seg);
	other.max_bytes = 2 * STAGE_BYTES;
	assert_int_equal(rf_segment_open(&other, 0), -EMSGSIZE);
	assert_int_equal(other.fd, -1);
	other.max_bytes = STAGE_BYTES;
	other.huge_require = !other.huge_require;
	assert_int_equal(rf_segment_open(&other, 0), -EMSGSIZE);
}

static void without_its_lock_file_it_is_in_use_while_mapped(void **state)
{
	struct rf_segment mine = fresh(the_kind(state), "-key"), other;

	mine.key = 0x5ef00000u | (uint32_t)(getpid() & 0xffff);
	assert_int_equal(rf_segment_create(&mine), 0);
	assert_int_equal(rf_segment_map(&mine, 0), 0);
	other = mine;
	assert_int_equal(unlink(mine.path), 0);
	assert_int_equal(rf_segment_create(&other), -EEXIST);
	assert_int_equal(rf_segment_open(&other, 0), -EWOULDBLOCK);
	rf_segment_close(&mine);
	assert_int_equal(rf_segment_open(&other, 0), 0);
	assert_int_equal(rf_segment_unlink(&other), 0);
	rf_segment_close(&other);
}

/* In an IPC namespace of its own the first id is 0. */
static int use_id_zero(void *unused)
{
	struct rf_segment mine = fresh(opened_kind, "-zero");
	struct rf_segment_place place;

	(void)unused;
	rf_segment_close(&seg);
	if (unshare(CLONE_NEWIPC) != 0)
		return CHILD_CANNOT;
	if (rf_segment_create(&mine) != 0 || mine.shmid != 0)
		return 1;
	rf_segment_close(&mine);
	if (rf_segment_open(&mine, 0) != 0 || mine.shmid != 0)
		return 2;
	if (rf_segment_map(&mine, 0) != 0 || rf_segment_back(&mine, 0, 1) != 0)
		return 3;
	rf_segment_place(&mine, &place);
	if (place.shmid != 0 || rf_segment_view(&seg, &place, 0) != 0)
		return 4;
	rf_segment_close(&seg);
	if (rf_segment_unlink(&mine) != 0)
		return 5;
	rf_segment_close(&mine);
	return rf_segment_open(&mine, 0) == -ENOENT ? 0 : 6;
}

static void id_zero_is_one_like_any_other(void **state)
{
	int status;

	opened_kind = the_kind(state);
	status = run_child(use_id_zero, NULL);
	if (exit_of(status) == CHILD_CANNOT)
		skip(); /* no IPC namespace: not permitted */
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EVERY_NAMED(a_standing_name_is_refused),
		EVERY_NAMED(a_missing_name_is_not_found),
		EVERY_NAMED(what_was_written_stands_for_the_next_opener),
		EVERY_NAMED(a_used_segment_cannot_be_opened_by_another_process),
		EVERY_NAMED(
			the_last_mapping_keeps_the_lock_until_its_process_ends),
		EVERY_NAMED(opening_waits_for_the_end_of_a_dying_process),
		EVERY_NAMED(a_segment_removed_while_waiting_is_not_found),
		EVERY_NAMED(a_reader_hinders_nobody),
		EVERY_NAMED(of_twenty_that_make_one_name_exactly_one_wins),
		EVERY_NAMED(a_maker_that_dies_at_any_step_hinders_nobody),
		EVERY_NAMED(what_others_own_or_may_write_is_refused),
		EACH(what_is_no_regular_file_is_refused, file),
		EACH(what_is_no_regular_file_is_refused, sysv),
		EACH(a_file_that_is_no_lock_is_left_alone, sysv),
		EACH(another_size_or_page_size_under_the_key_is_refused, sysv),
		EACH(another_size_or_page_size_under_the_key_is_refused,
			sysv_huge),
		EACH(without_its_lock_file_it_is_in_use_while_mapped, sysv),
		EACH(id_zero_is_one_like_any_other, sysv),
	};

	return cmocka_run_group_tests(tests, stage_open, stage_close);
}
