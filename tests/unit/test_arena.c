/* SPDX-License-Identifier: MIT */
/* test_arena.c -- arenas made, found again, and refused with a reason. */
#include "suite.h"
#include <arena.h>
#include <refork/heap.h>
#include <refork/tx.h>
#include <sched.h>
#include <stdio.h>
#include <super.h>
#include <sys/mount.h>

#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)

static struct rf_segment seg;
static struct rf_arena_conf conf;
static char name[40];
static char reason[256];
static uint32_t version;

static struct rf_segment fresh(enum rf_backend backend)
{
	struct rf_segment made = {.backend = backend,
		.fd = -1,
		.max_bytes = rf_arena_segment_bytes(&conf)};

	snprintf(made.name, sizeof made.name, "%s", name);
	return made;
}

/* A new arena of `max_bytes`, not published; the lease is held. */
static int make(enum rf_backend backend, size_t max_bytes)
{
	int error;

	conf = (struct rf_arena_conf){
		.size_bytes = max_bytes < 4 * MIB ? max_bytes : 4 * MIB,
		.max_bytes = max_bytes,
		.worker_name = "test",
		.state_version = 3,
	};
	seg = fresh(backend);
	error = rf_segment_create(&seg);
	if (error == 0)
		error = rf_segment_map(&seg, RF_ARENA_BASE);
	return error == 0 ? rf_arena_format(&seg, &conf) : error;
}

/* A published one whose daemon has ended. */
static void make_standing(void)
{
	void *root;

	assert_int_equal(make(RF_BACKEND_POSIX, 64 * MIB), 0);
	rf_tx_begin();
	assert_int_equal(rf_slot_open("root", "text", 1, 4096, &root, NULL), 0);
	strcpy(root, "still here");
	assert_int_equal(rf_tx_commit(), 0);
	rf_tx_begin();
	rf_arena_set_state_version(conf.state_version);
	assert_int_equal(rf_tx_commit(), 0);
	rf_arena_publish();
	rf_lease_give();
	rf_segment_close(&seg);
}

static void find(void)
{
	seg = fresh(RF_BACKEND_POSIX);
	assert_int_equal(rf_segment_open(&seg, 0), 0);
	assert_int_equal(rf_segment_map(&seg, RF_ARENA_BASE), 0);
	strcpy(reason, "none");
	version = 0;
}

static int adopt(void)
{
	return rf_arena_adopt(&seg, &conf, reason, sizeof reason, &version);
}

static void assert_still_here(void)
{
	void *root;

	rf_tx_begin();
	assert_int_equal(rf_slot_open("root", "text", 1, 4096, &root, NULL), 0);
	assert_int_equal(rf_tx_commit(), 0);
	assert_string_equal(root, "still here");
}

static int tear_down(void **state)
{
	(void)state;
	if (seg.backend == RF_BACKEND_POSIX)
		rf_segment_unlink(&seg);
	rf_segment_close(&seg);
	return 0;
}

/* ---- */

static void arenas_of_all_sizes_can_be_made_and_used(void **state)
{
	static const size_t sizes[] = {65536, MIB, 4 * MIB, 5 * MIB + 8192,
		64 * MIB, 4 * GIB, 128 * GIB};

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct rf_heap_stats stats;
		uint8_t *block;

		assert_int_equal(make(RF_BACKEND_MEMFD, sizes[i]), 0);
		assert_true(RF_SUPER->marker == 0);
		rf_arena_publish();
		assert_int_equal(rf_arena_check(), 0);
		rf_heap_stats(&stats);
		assert_int_equal(stats.max_bytes, sizes[i]);
		assert_int_equal(stats.used_bytes, 0);
		rf_tx_begin();
		block = rf_alloc(stats.size_bytes);
		assert_non_null(block);
		memset(block, 1, stats.size_bytes);
		assert_int_equal(rf_tx_commit(), 0);
		assert_int_equal(rf_arena_check(), 0);
		rf_lease_give();
		rf_segment_close(&seg);
	}
}

/* Each part ends before the next one begins. */
static void the_parts_do_not_overlap(void **state)
{
	const struct rf_super *super = RF_SUPER;
	uint64_t pages;

	(void)state;
	assert_int_equal(make(RF_BACKEND_MEMFD, 4 * GIB), 0);
	pages = super->max_bytes / RF_PAGE_BYTES;
	assert_true(sizeof *super <= super->log_off);
	assert_true(super->log_fixed_bytes <= super->log_max_bytes);
	assert_true(super->log_off + super->log_max_bytes <= super->map_off);
	assert_true(super->map_off + pages * 4 <= super->runs_off);
	assert_true(super->runs_off + pages * sizeof(struct rf_run) <=
		    super->heap_off);
	assert_int_equal(super->heap_off % (2 * MIB), 0);
	assert_true(super->heap_off + super->max_bytes <= super->segment_bytes);
	assert_int_equal(super->segment_bytes, seg.max_bytes);
	assert_int_equal(super->log_max_bytes, 4 * GIB / 16);
}

static void seeds_differ(void **state)
{
	uint8_t seed[16];

	(void)state;
	assert_int_equal(make(RF_BACKEND_MEMFD, MIB), 0);
	memcpy(seed, rf_arena_seed(), sizeof seed);
	rf_segment_close(&seg);
	assert_int_equal(make(RF_BACKEND_MEMFD, MIB), 0);
	assert_memory_not_equal(seed, rf_arena_seed(), sizeof seed);
}

/* ---- found again ---- */

static void the_next_daemon_finds_the_state_of_the_last(void **state)
{
	(void)state;
	make_standing();
	for (int run = 0; run < 3; run++) {
		find();
		assert_int_equal(adopt(), 0);
		assert_int_equal(version, 3);
		assert_still_here();
		assert_int_equal(rf_arena_check(), 0);
		rf_lease_give();
		rf_segment_close(&seg);
	}
}

static int die_in_a_transaction(void *unused)
{
	void *root;

	(void)unused;
	if (rf_segment_open(&seg, 0) != 0 ||
		rf_segment_map(&seg, RF_ARENA_BASE) != 0 || adopt() != 0)
		return 1;
	rf_tx_begin();
	rf_slot_open("root", "text", 1, 4096, &root, NULL);
	rf_tx_write(root, "half made", 10);
	rf_free(root);
	rf_alloc(10000);
	kill(getpid(), SIGKILL);
	return 2;
}

static void a_daemon_killed_in_a_transaction_leaves_the_last_commit(
	void **state)
{
	(void)state;
	make_standing();
	for (int run = 0; run < 5; run++) {
		seg = fresh(RF_BACKEND_POSIX);
		assert_int_equal(
			signal_of(run_child(die_in_a_transaction, NULL)),
			SIGKILL);
		find();
		assert_true(RF_SUPER->log_tail != 0);
		assert_int_equal(adopt(), 0);
		assert_still_here();
		rf_lease_give();
		rf_segment_close(&seg);
	}
}

static void the_lease_of_a_process_long_dead_is_no_hindrance(void **state)
{
	const int owners[] = {1, getpid(), 0x40000000, 0x7fffffff};

	(void)state;
	make_standing();
	for (size_t i = 0; i < sizeof owners / sizeof *owners; i++) {
		find();
		*(int *)&RF_SUPER->lease = owners[i];
		assert_int_equal(adopt(), 0);
		assert_still_here();
		rf_lease_give();
		rf_segment_close(&seg);
	}
}

static bool is_dumped(uint64_t off)
{
	return !has_vm_flag((const uint8_t *)RF_ARENA_BASE + off, " dd");
}

static int inherit(void *unused)
{
	const struct rf_super *super = RF_SUPER;
	uint64_t end;

	(void)unused;
	find(); /* a mapping that has backed nothing itself */
	rf_arena_use(&seg);
	seg.core_include = true;
	if (is_dumped(0) || rf_arena_inherit() != 0)
		return 1;
	if (!is_dumped(0) || !is_dumped(super->log_off) ||
		!is_dumped(super->map_off) || !is_dumped(super->runs_off))
		return 2;
	end = super->heap_off +
	      ((uint64_t)super->heap.page_count << RF_PAGE_SHIFT);
	if (!is_dumped(end - 1))
		return 3;
	return is_dumped(end) ? 4 : 0;
}

static void a_core_dump_of_a_child_holds_all_that_is_backed(void **state)
{
	(void)state;
	make_standing();
	assert_int_equal(exit_of(run_child(inherit, NULL)), 0);
}

/* ---- refused ---- */

static void an_arena_that_was_never_finished_is_refused(void **state)
{
	(void)state;
	assert_int_equal(make(RF_BACKEND_POSIX, 64 * MIB), 0);
	rf_segment_close(&seg); /* died while it built */
	find();
	assert_int_equal(adopt(), -EBADMSG);
	assert_non_null(strstr(reason, "no finished arena"));
}

static void an_empty_segment_is_refused(void **state)
{
	(void)state;
	make_standing();
	rf_segment_unlink(&seg);
	seg = fresh(RF_BACKEND_POSIX);
	assert_int_equal(rf_segment_create(&seg), 0);
	rf_segment_close(&seg);
	find();
	assert_int_equal(adopt(), -EBADMSG);
	assert_non_null(strstr(reason, "no finished arena"));
}

static void an_arena_of_another_layout_is_refused_with_the_difference(
	void **state)
{
	struct rf_super *super = RF_SUPER;
	const struct {
		uint64_t *at;
		const char *what;
	} facts[] = {
		{&super->base, "base address"},
		{&super->max_bytes, "arena.max"},
		{&super->log_fixed_bytes, "undo log size"},
		{&super->log_max_bytes, "undo log limit"},
		{&super->log_off, "undo log offset"},
		{&super->map_off, "page map offset"},
		{&super->runs_off, "run entry offset"},
		{&super->heap_off, "heap offset"},
		{&super->segment_bytes, "segment size"},
	};

	(void)state;
	make_standing();
	find();
	for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
		*facts[i].at += 4096;
		assert_int_equal(adopt(), -ESTALE);
		assert_non_null(strstr(reason, facts[i].what));
		*facts[i].at -= 4096;
	}
	super->format++;
	assert_int_equal(adopt(), -ESTALE);
	assert_non_null(strstr(reason, "format"));
	super->format--;
	conf.worker_name = "other";
	assert_int_equal(adopt(), -ESTALE);
	assert_non_null(strstr(reason, "'test', not 'other'"));
	conf.worker_name = "test";
	conf.max_bytes *= 2;
	assert_int_equal(adopt(), -ESTALE);
	assert_non_null(strstr(reason, "arena.max"));
	conf.max_bytes /= 2;
	/* None of that has changed it. */
	assert_int_equal(adopt(), 0);
	assert_still_here();
	rf_lease_give();
}

static void a_damaged_heap_is_refused_and_the_lease_given_back(void **state)
{
	(void)state;
	make_standing();
	find();
	RF_SUPER->heap.used_bytes += 16;
	assert_int_equal(adopt(), -EBADMSG);
	assert_non_null(strstr(reason, "damaged"));
	RF_SUPER->heap.used_bytes -= 16;
	assert_int_equal(adopt(), 0);
	assert_still_here();
	rf_lease_give();
}

static int adopt_in_time(void *unused)
{
	(void)unused;
	alarm(10); /* a check that goes round in circles */
	return adopt() == 0 ? 0 : 1;
}

/* Metadata: where it stands, and how much of that is damaged and restored. */
static struct part {
	size_t off, damaged_bytes, bytes;
	uint8_t sound[65536];
} parts[] = {
	{0, 2048 + RF_PAGE_BYTES, RF_SUPER_BYTES, {0}},
	{0, 4096, 4096, {0}},  /* page map */
	{0, 4096, 65536, {0}}, /* run entries */
};

static uint8_t *part_at(const struct part *part)
{
	return (uint8_t *)RF_ARENA_BASE + part->off;
}

static void damage(void)
{
	for (size_t i = random_below(3) + 1; i > 0; i--) {
		const struct part *part = &parts[random_below(3)];
		size_t bytes = (size_t)1 << random_below(4);
		uint8_t *at = part_at(part) +
			      random_below(part->damaged_bytes) / bytes * bytes;

		if (random_below(2) == 0)
			random_fill(at, bytes);
		else
			at[random_below(bytes)] ^=
				(uint8_t)(1u << random_below(8));
	}
}

static void damage_is_refused_or_passed_but_never_followed(void **state)
{
	enum { ROUNDS = 3000 };
	unsigned refused = 0;

	(void)state;
	make_standing();
	find();
	parts[1].off = RF_SUPER->map_off;
	parts[2].off = RF_SUPER->runs_off;
	for (size_t i = 0; i < 3; i++)
		memcpy(parts[i].sound, part_at(&parts[i]), parts[i].bytes);
	for (int round = 0; round < ROUNDS; round++) {
		int status;

		damage();
		status = run_child(adopt_in_time, NULL);
		if (!WIFEXITED(status))
			fail_msg("round %d: signal %d", round,
				signal_of(status));
		refused += exit_of(status) != 0;
		for (size_t i = 0; i < 3; i++)
			memcpy(part_at(&parts[i]), parts[i].sound,
				parts[i].bytes);
	}
	assert_true(refused > ROUNDS / 10);
	assert_int_equal(adopt(), 0);
	assert_still_here();
	rf_lease_give();
}

/* ---- a full tmpfs ---- */

/* In a mount namespace of its own, with 3 MiB of /dev/shm. */
static int serve_in_a_small_tmpfs(void *unused)
{
	size_t taken = 0;

	(void)unused;
	if (unshare(CLONE_NEWNS) != 0 ||
		mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
		mount("none", "/dev/shm", "tmpfs", 0, "size=3m") != 0)
		return CHILD_CANNOT;
	if (make(RF_BACKEND_POSIX, 64 * MIB) == 0)
		return 1; /* 4 MiB cannot fit */
	rf_segment_unlink(&seg);
	rf_segment_close(&seg);
	if (mount("none", "/dev/shm", "tmpfs", MS_REMOUNT, "size=12m") != 0)
		return 2;
	if (make(RF_BACKEND_POSIX, 64 * MIB) != 0)
		return 3;
	rf_arena_publish();
	for (;; taken++) {
		uint8_t *block;

		rf_tx_begin();
		block = rf_alloc(65536);
		if (block == NULL)
			break;
		memset(block, 1, 65536);
		if (rf_tx_commit() != 0)
			return 4;
	}
	if (rf_tx_commit() != -ENOMEM || rf_arena_check() != 0)
		return 5;
	if (taken * 65536 < 9 * MIB || taken * 65536 > 12 * MIB)
		return 6;
	/* More memory for the system is more memory for the arena. */
	if (mount("none", "/dev/shm", "tmpfs", MS_REMOUNT, "size=20m") != 0)
		return 7;
	rf_tx_begin();
	memset(rf_alloc(4 * MIB), 1, 4 * MIB);
	return rf_tx_commit() == 0 && rf_arena_check() == 0 ? 0 : 8;
}

static void a_full_tmpfs_is_no_memory_and_never_a_signal(void **state)
{
	int status = run_child(serve_in_a_small_tmpfs, NULL);

	(void)state;
	if (exit_of(status) == CHILD_CANNOT) {
		print_message("no mount namespace: not permitted\n");
		skip();
	}
	assert_int_equal(status, 0);
}

#define TEST(test) cmocka_unit_test_teardown(test, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(arenas_of_all_sizes_can_be_made_and_used),
		TEST(the_parts_do_not_overlap),
		TEST(seeds_differ),
		TEST(the_next_daemon_finds_the_state_of_the_last),
		TEST(a_daemon_killed_in_a_transaction_leaves_the_last_commit),
		TEST(the_lease_of_a_process_long_dead_is_no_hindrance),
		TEST(a_core_dump_of_a_child_holds_all_that_is_backed),
		TEST(an_arena_that_was_never_finished_is_refused),
		TEST(an_empty_segment_is_refused),
		TEST(an_arena_of_another_layout_is_refused_with_the_difference),
		TEST(a_damaged_heap_is_refused_and_the_lease_given_back),
		TEST(damage_is_refused_or_passed_but_never_followed),
		cmocka_unit_test(a_full_tmpfs_is_no_memory_and_never_a_signal),
	};

	snprintf(name, sizeof name, "/refork-unit-arena-%d", (int)getpid());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
