/* SPDX-License-Identifier: MIT */
/* test_file_power.c -- a power loss at any moment: what is taken is whole.
 *
 * The oracle. fdatasync() and pwrite() of this program keep a model of the
 * disk. Whatever was synced is there; of what changed since, each sector is
 * there or not, by chance. A file made of such sectors, found in another run of
 * the machine, may be taken only if it is byte for byte what was closed last.
 */
#include "file_mark_stage.h"
#include <sys/syscall.h>

#define SECTOR	  512
#define IMAGE_MAX ((size_t)1 << 20)

/* ---- the disk ---- */

struct image {
	size_t count, off[IMAGE_MAX / SECTOR];
	uint8_t bytes[IMAGE_MAX / SECTOR][SECTOR];
};

static struct image disk;	    /* as of the last sync */
static struct rf_segment *modelled; /* NULL: no hooks */
static void (*power_may_fail)(void);
static int fail_sync; /* errno of the next fdatasync */
static unsigned syncs;

/* What a process sees in the file. */
static void look(const struct rf_segment *of, struct image *out)
{
	struct rf_range range = {0, 0};

	out->count = 0;
	while (rf_segment_next_backed(
		of, range.off + range.bytes, of->max_bytes, &range))
		for (size_t at = range.off; at < range.off + range.bytes;
			at += SECTOR) {
			RF_CHECK(out->count < IMAGE_MAX / SECTOR);
			out->off[out->count] = at;
			rf_segment_read(
				of, at, out->bytes[out->count++], SECTOR);
		}
}

static void clear_mark(struct image *image)
{
	memset(image->bytes[0] + MARK_OFF, 0, sizeof(struct rf_mark));
}

static void moment(void)
{
	if (modelled != NULL && power_may_fail != NULL)
		power_may_fail();
}

int fdatasync(int fd)
{
	if (modelled == NULL || fd != modelled->fd)
		return (int)syscall(SYS_fdatasync, fd);
	moment();
	if (fail_sync != 0) {
		errno = fail_sync;
		fail_sync = 0;
		return -1;
	}
	look(modelled, &disk);
	syncs++;
	moment();
	return 0;
}

ssize_t pwrite(int fd, const void *from, size_t bytes, off_t off)
{
	ssize_t n;

	if (modelled != NULL && fd == modelled->fd)
		moment();
	n = syscall(SYS_pwrite64, fd, from, bytes, off);
	if (modelled != NULL && fd == modelled->fd)
		moment();
	return n;
}

/* ---- a disk that fails ---- */

static void what_the_disk_did_not_take_is_never_closed(void **state)
{
	(void)state;
	assert_int_equal(find(), 0);
	assert_int_equal(adopt(), 0);
	modelled = &seg;
	fail_sync = EIO;
	assert_int_equal(rf_segment_sync(&seg, 0, 4096, true), -EIO);
	/* The kernel tells that only once. */
	assert_int_equal(rf_arena_close_whole(&seg), -EIO);
	modelled = NULL;
	leave();
	in_another_run();
	assert_int_equal(find(), 0);
	assert_int_equal(adopt(), -EBADMSG);
}

static int die_in_a_transaction(void *unused)
{
	(void)unused;
	if (find() != 0 || adopt() != 0)
		return 1;
	rf_tx_begin();
	rf_slot_open("root", "text", 1, 8192, &root, NULL);
	rf_tx_write(root, "half made", 10);
	raise(SIGKILL);
	return 2;
}

/* There is something to roll back: that waits, too. */
static void nothing_is_changed_before_the_disk_has_the_open_mark(void **state)
{
	static struct image before, after;

	(void)state;
	assert_int_equal(
		signal_of(run_child(die_in_a_transaction, NULL)), SIGKILL);
	assert_int_equal(find(), 0);
	assert_true(RF_SUPER->log_tail != 0);
	assert_int_equal(rf_arena_close_whole(&seg), 0);
	look(&seg, &before);
	modelled = &seg;
	fail_sync = EIO;
	assert_int_equal(adopt(), -EIO);
	assert_non_null(strstr(reason, "marked as in use"));
	look(&seg, &after);
	clear_mark(&before);
	clear_mark(&after);
	assert_int_equal(before.count, after.count);
	assert_memory_equal(before.bytes, after.bytes, before.count * SECTOR);
}

/* ---- power losses ---- */

static struct image closed, now;
static unsigned losses, taken;

/* One of the files that may be found. True: it is whole. */
static bool lose_power(struct rf_segment *found)
{
	size_t keep = random_below(101), at = 0;
	bool whole = true;

	for (size_t i = 0; i < now.count; i++) {
		uint8_t sector[SECTOR] = {0};

		while (at < disk.count && disk.off[at] < now.off[i])
			at++;
		if (random_below(100) < keep)
			memcpy(sector, now.bytes[i], SECTOR);
		else if (at < disk.count && disk.off[at] == now.off[i])
			memcpy(sector, disk.bytes[at], SECTOR);
		RF_CHECK(syscall(SYS_pwrite64, found->fd, sector, SECTOR,
				 now.off[i]) == SECTOR);
		if (i == 0)
			memset(sector + MARK_OFF, 0, sizeof(struct rf_mark));
		whole = whole && i < closed.count &&
			closed.off[i] == now.off[i] &&
			memcmp(sector, closed.bytes[i], SECTOR) == 0;
	}
	return whole;
}

static void try_power_losses(void)
{
	const uint8_t other[16] = "another boot id";
	struct rf_segment found = named("found");
	struct rf_segment *real = modelled;

	modelled = NULL;
	RF_CHECK(rf_segment_create(&found) == 0);
	look(real, &now);
	for (int i = 0; i < 20; i++) {
		bool whole = lose_power(&found);

		RF_CHECK(pwrite(found.fd, other, 16,
				 MARK_OFF + offsetof(struct rf_mark, boot)) ==
			 16);
		losses++;
		if (rf_mark_judge(&found, reason, sizeof reason) != 0)
			continue;
		taken++;
		assert_true(whole);
	}
	rf_segment_unlink(&found);
	rf_segment_close(&found);
	modelled = real;
}

static void use(int round)
{
	char text[8192];

	for (int i = 0; i < 5; i++) {
		memset(text, 'a' + (round + i) % 26, sizeof text);
		text[random_below(sizeof text)] = 0;
		assert_int_equal(write_root(text), 0);
		try_power_losses();
	}
}

static void what_is_taken_after_a_power_loss_is_what_was_closed(void **state)
{
	(void)state;
	assert_int_equal(find(), 0);
	look(&seg, &disk);
	closed = disk;
	clear_mark(&closed);
	power_may_fail = try_power_losses;
	losses = taken = 0;
	for (int round = 0; round < 12; round++) {
		modelled = &seg;
		if (round % 4 == 3) { /* died when it had marked it */
			assert_int_equal(rf_mark_open(&seg), 0);
			look(&seg, &disk); /* or the disk is late: below */
		}
		assert_int_equal(adopt(), 0);
		use(round);
		rf_lease_give();
		look(&seg, &closed); /* nobody changes it from here on */
		clear_mark(&closed);
		assert_int_equal(rf_arena_close_whole(&seg), 0);
		try_power_losses();
	}
	assert_true(taken > 100 && taken < losses / 2);
	power_may_fail = NULL;
}

/* The mark stands in the cache as it should; the disk has the closed one. */
static void an_open_mark_that_the_disk_never_had_is_written_again(void **state)
{
	static struct image before;

	(void)state;
	assert_int_equal(find(), 0);
	look(&seg, &before);
	closed = before;
	clear_mark(&closed);
	modelled = &seg;
	fail_sync = EIO; /* its predecessor died here */
	assert_int_equal(rf_mark_open(&seg), -EIO);
	modelled = NULL;
	leave();
	disk = before;
	assert_int_equal(find(), 0);
	modelled = &seg;
	power_may_fail = try_power_losses;
	taken = 0;
	assert_int_equal(adopt(), 0);
	assert_true(taken > 0); /* as long as it was closed on the disk */
	taken = 0;
	use(1);
	assert_int_equal(taken, 0);
}

static uint64_t marker_on_disk(void)
{
	uint64_t marker;

	memcpy(&marker, disk.bytes[0] + offsetof(struct rf_super, marker),
		sizeof marker);
	return marker;
}

static void a_published_arena_is_on_the_disk(void **state)
{
	struct rf_segment first = seg;
	unsigned before;

	(void)state;
	first = named("arena");
	rf_segment_unlink(&first);
	seg = named("arena");
	assert_int_equal(rf_segment_create(&seg), 0);
	assert_int_equal(rf_segment_map(&seg, RF_ARENA_BASE), 0);
	modelled = &seg;
	before = syncs;
	assert_int_equal(rf_arena_format(&seg, &conf), 0);
	assert_true(syncs > before);
	assert_true(marker_on_disk() == 0);
	rf_arena_publish();
	assert_true(marker_on_disk() == RF_ARENA_MAGIC);
}

/* The hooks, too. */
static int tear_all_down(void **state)
{
	modelled = NULL;
	power_may_fail = NULL;
	fail_sync = 0;
	return tear_down(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_all_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_the_disk_did_not_take_is_never_closed),
		TEST(nothing_is_changed_before_the_disk_has_the_open_mark),
		TEST(what_is_taken_after_a_power_loss_is_what_was_closed),
		TEST(an_open_mark_that_the_disk_never_had_is_written_again),
		TEST(a_published_arena_is_on_the_disk),
	};

	return cmocka_run_group_tests(tests, open_dir, close_dir);
}
