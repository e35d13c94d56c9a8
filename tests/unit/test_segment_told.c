/* SPDX-License-Identifier: MIT */
/* test_segment_told.c -- what a segment tells of itself: which pages have
 * memory, whose it is, where others find it, and what they see there.
 */
#include "segment_stage.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

/* ---- told page for page ---- */

enum { MODEL_PAGES = 2048 };

static void check_model(const bool model[MODEL_PAGES])
{
	size_t page = 0;
	struct rf_range range;

	while (rf_segment_next_backed(
		&seg, page * 4096, (size_t)MODEL_PAGES * 4096, &range)) {
		for (; page < range.off / 4096; page++)
			assert_false(model[page]);
		for (; page < (range.off + range.bytes) / 4096; page++)
			assert_true(model[page]);
	}
	for (; page < MODEL_PAGES; page++)
		assert_false(model[page]);
}

static void what_is_backed_is_told_page_for_page(void **state)
{
	bool model[MODEL_PAGES] = {false};
	size_t count = 0;

	the_kind(state);
	model[0] = taken_bytes(&seg) > 0;
	for (int round = 0; round < 300; round++) {
		size_t from = random_below(MODEL_PAGES), n;
		bool back = random_below(3) > 0;

		n = random_below(round % 8 == 0 ? 512 : 12) + 1;
		if (n > MODEL_PAGES - from)
			n = MODEL_PAGES - from;
		assert_int_equal((back ? rf_segment_back : rf_segment_unback)(
					 &seg, from * 4096, n * 4096),
			0);
		for (size_t i = 0; i < n; i++)
			model[from + i] = back;
		if (back && random_below(2) == 0)
			seg.base[from * 4096] = 1;
		check_model(model);
	}
	for (size_t i = 0; i < MODEL_PAGES; i++)
		count += model[i];
	/* None was filled; ext4 counts its tree of extents, too. */
	assert_in_range(taken_bytes(&seg), count * 4096,
		count * 4096 + (seg.backend == RF_BACKEND_FILE ? 65536 : 0));
}

static void a_range_is_told_from_where_it_is_asked_for(void **state)
{
	struct rf_range range;

	the_kind(state);
	assert_int_equal(rf_segment_back(&seg, 2 * MIB, 4 * MIB), 0);
	assert_true(
		rf_segment_next_backed(&seg, 3 * MIB + 5, 5 * MIB + 1, &range));
	assert_int_equal(range.off, 3 * MIB + 5);
	assert_int_equal(range.bytes, 2 * MIB - 4);
	assert_false(rf_segment_next_backed(&seg, 3 * MIB, 3 * MIB, &range));
	assert_false(
		rf_segment_next_backed(&seg, seg.max_bytes, SIZE_MAX, &range));
}

/* ---- an older kernel ---- */

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

/* From now on this process has no cachestat(). */
static bool forget_cachestat(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_cachestat, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof code / sizeof *code, code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static int tell_on_an_older_kernel(void *unused)
{
	struct rf_range range;

	(void)unused;
	if (!forget_cachestat())
		return CHILD_CANNOT;
	seg.core_include = true;
	if (rf_segment_back(&seg, 8 * MIB, 2 * MIB) != 0)
		return 1;
	seg.core_include = false;
	if (rf_segment_back(&seg, 16 * MIB, 2 * MIB) != 0)
		return 2;
	seg.base[17 * MIB] = 1;
	/* All of it, untouched as it is: it will be asked for. */
	if (!rf_segment_next_backed(&seg, 4096, STAGE_BYTES, &range) ||
		range.off != 8 * MIB || range.bytes != 2 * MIB)
		return 3;
	/* What was written, at least. */
	if (!rf_segment_next_backed(&seg, 10 * MIB, STAGE_BYTES, &range) ||
		range.off > 17 * MIB || range.off + range.bytes <= 17 * MIB)
		return 4;
	return rf_segment_next_backed(&seg, 18 * MIB, STAGE_BYTES, &range);
}

static void an_older_kernel_tells_what_was_written(void **state)
{
	int status;

	the_kind(state);
	status = run_child(tell_on_an_older_kernel, NULL);
	if (exit_of(status) == CHILD_CANNOT)
		skip(); /* no seccomp */
	assert_int_equal(status, 0);
}

/* ---- readers ---- */

static struct rf_segment_place place;

/* As a program that has inherited nothing. */
static int read_it(void *unused)
{
	struct rf_segment mine;
	struct rf_range range;

	(void)unused;
	if (seg.backend != RF_BACKEND_MEMFD)
		rf_segment_close(&seg);
	else
		munmap(seg.base, seg.max_bytes); /* of the parent, by /proc */
	if (rf_segment_view(&mine, &place, RF_ARENA_BASE) != 0)
		return 1;
	if ((uint64_t)mine.base != RF_ARENA_BASE ||
		mine.max_bytes != STAGE_BYTES || mine.page_bytes == 0)
		return 2;
	if (strcmp((char *)mine.base + 6 * MIB, "seen") != 0)
		return 3;
	if (!rf_segment_next_backed(&mine, 2 * MIB, STAGE_BYTES, &range) ||
		range.off > 6 * MIB || range.off + range.bytes < 6 * MIB + 5)
		return 4;
	rf_segment_close(&mine);
	return 0;
}

static int write_to_it(void *unused)
{
	struct rf_segment mine;

	(void)unused;
	if (rf_segment_view(&mine, &place, 0) != 0)
		return 1;
	*(volatile uint8_t *)(mine.base + 6 * MIB) = 1;
	return 2;
}

static void a_reader_sees_what_is_there_and_cannot_write(void **state)
{
	size_t before;

	the_kind(state);
	assert_int_equal(rf_segment_back(&seg, 6 * MIB, 2 * MIB), 0);
	strcpy((char *)seg.base + 6 * MIB, "seen");
	rf_segment_place(&seg, &place);
	before = taken_bytes(&seg);
	assert_int_equal(run_child(read_it, NULL), 0);
	assert_int_equal(signal_of(run_child(write_to_it, NULL)), SIGSEGV);
	assert_int_equal(taken_bytes(&seg), before); /* it has filled nothing */
}

static void a_reader_is_told_why_it_cannot_read(void **state)
{
	struct rf_segment view;
	struct rf_segment_place other;

	the_kind(state);
	rf_segment_place(&seg, &place);
	other = place;
	assert_int_equal(
		rf_segment_view(&view, &place, (uint64_t)seg.base), -EEXIST);
	assert_null(view.base);
	assert_int_equal(view.fd, -1);
	other.max_bytes *= 2;
	assert_int_equal(rf_segment_view(&view, &other, 0), -EMSGSIZE);
	other = place;
	other.shmid = 0x7ffffff0;
	snprintf(other.path, sizeof other.path, "%s/none", stage_dir);
	assert_true(rf_segment_view(&view, &other, 0) < 0);
	snprintf(other.path, sizeof other.path, "%s", stage_dir);
	if (seg.backend != RF_BACKEND_SYSV)
		assert_int_equal(
			rf_segment_view(&view, &other, 0), -EMEDIUMTYPE);
}

/* ---- whose ---- */

static void its_owner_is_told(void **state)
{
	struct rf_segment asked = seg;
	struct rf_segment_owner owner;

	the_kind(state);
	assert_int_equal(rf_segment_owner(&asked, &owner), 0);
	assert_int_equal(owner.uid, geteuid());
	assert_int_equal(owner.bytes, seg.max_bytes);
	if (seg.backend == RF_BACKEND_MEMFD)
		return;
	assert_int_equal(owner.mode, 0600);
	if (seg.backend == RF_BACKEND_SYSV) {
		assert_int_equal(owner.shmid, seg.shmid);
		assert_int_equal(owner.creator_pid, getpid());
		assert_int_equal(owner.attached, 1);
		assert_int_not_equal(owner.key, 0);
	}
	assert_int_equal(rf_segment_unlink(&seg), 0);
	assert_int_equal(rf_segment_owner(&asked, &owner), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EVERY_SMALL(what_is_backed_is_told_page_for_page),
		EVERY(a_range_is_told_from_where_it_is_asked_for),
		EVERY_SMALL(an_older_kernel_tells_what_was_written),
		EVERY(a_reader_sees_what_is_there_and_cannot_write),
		EVERY(a_reader_is_told_why_it_cannot_read),
		EVERY(its_owner_is_told),
	};

	return cmocka_run_group_tests(tests, stage_open, stage_close);
}
