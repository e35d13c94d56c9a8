/* SPDX-License-Identifier: MIT */
/* test_attach.c -- an arena read by a process that has nothing to do with it.
 *
 * Here: what a service has kept, made by a child that is gone. Beside a service
 * that runs: tests/system/test_arena.py.
 */
#include "suite.h"

#include "common/arena.h"
#include "common/super.h"
#include <refork/attach.h>
#include <refork/dict.h>
#include <refork/tx.h>
#include <sys/file.h>
#include <sys/stat.h>

#define MAX_BYTES ((uint64_t)4 << 20)
#define KEYS	  1000

struct root {
	struct rf_dict dict;
	uint64_t number;
};

static char name[64], path[80];
static struct rf_segment segment;
static struct rf_attach *attach;
static char why[512];

/* ---- a service that has been ---- */

static int make(struct root **root)
{
	struct rf_arena_conf conf = {
		.size_bytes = 1 << 20,
		.max_bytes = MAX_BYTES,
		.worker_name = "test",
		.state_version = 3,
	};
	bool created;

	segment = (struct rf_segment){.backend = RF_BACKEND_POSIX,
		.fd = -1,
		.max_bytes = rf_arena_segment_bytes(&conf)};
	snprintf(segment.name, sizeof segment.name, "%s", name);
	if (rf_segment_create(&segment) != 0 ||
		rf_segment_map(&segment, RF_ARENA_BASE) != 0 ||
		rf_arena_format(&segment, &conf) != 0)
		return -1;
	rf_tx_begin();
	if (rf_slot_open("store", "root", 7, sizeof **root, (void **)root,
		    &created) != 0)
		return -1;
	for (uint64_t i = 0; i < KEYS; i++) {
		struct rf_dict_entry *entry;
		char key[32];
		int bytes = snprintf(key, sizeof key, "key:%u", (unsigned)i);

		entry = rf_dict_put(&(*root)->dict, key, (size_t)bytes, NULL);
		if (entry == NULL)
			return -1;
		RF_SET(entry->word, i * i);
	}
	RF_SET((*root)->number, 1);
	if (rf_tx_commit() != 0)
		return -1;
	rf_arena_publish();
	return 0;
}

static int make_whole(void *unused)
{
	struct root *root;

	(void)unused;
	return make(&root);
}

/* Dies in the middle of a change. */
static int make_torn(void *unused)
{
	struct root *root;

	(void)unused;
	if (make(&root) != 0)
		return -1;
	rf_tx_begin();
	RF_SET(root->number, 2);
	return 0;
}

static void patch(size_t off, uint64_t word)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(
		pwrite(fd, &word, sizeof word, (off_t)off), sizeof word);
	close(fd);
}

static int begin(void **unused)
{
	(void)unused;
	snprintf(name, sizeof name, "/refork-attach-%d", getpid());
	snprintf(path, sizeof path, "/dev/shm%s", name);
	why[0] = '\0';
	return exit_of(run_child(make_whole, NULL));
}

static int end(void **unused)
{
	(void)unused;
	rf_detach(attach);
	attach = NULL;
	shm_unlink(name);
	return 0;
}

static int attach_it(void)
{
	int error = rf_attach(path, 0, &attach, why, sizeof why);

	if (error != 0)
		attach = NULL;
	return error;
}

static const struct root *root_of(void)
{
	const void *root = NULL;

	assert_int_equal(
		rf_slot_find("store", "root", 7, sizeof(struct root), &root),
		0);
	return root;
}

/* ---- tests ---- */

static void what_was_kept_is_read_by_its_own_pointers(void **unused)
{
	const struct root *root;

	(void)unused;
	assert_int_equal(attach_it(), 0);
	assert_false(rf_attach_facts(attach)->online);
	assert_string_equal(rf_attach_facts(attach)->worker, "test");
	assert_int_equal(rf_attach_facts(attach)->undone, 0);
	root = root_of();
	assert_int_equal(root->number, 1);
	for (uint64_t i = 0; i < KEYS; i++) {
		const struct rf_dict_entry *entry;
		char key[32];
		int bytes = snprintf(key, sizeof key, "key:%u", (unsigned)i);

		entry = rf_dict_find(&root->dict, key, (size_t)bytes);
		assert_non_null(entry);
		assert_int_equal(entry->word, i * i);
	}
}

static void a_half_made_change_is_undone_in_our_view_alone(void **unused)
{
	char before[RF_SUPER_BYTES], after[RF_SUPER_BYTES];
	int fd;

	(void)unused;
	shm_unlink(name);
	assert_int_equal(exit_of(run_child(make_torn, NULL)), 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, before, sizeof before, 0), sizeof before);
	assert_int_equal(attach_it(), 0);
	assert_int_equal(rf_attach_facts(attach)->undone, 1);
	assert_int_equal(root_of()->number, 1);
	assert_int_equal(pread(fd, after, sizeof after, 0), sizeof after);
	close(fd);
	assert_memory_equal(before, after, sizeof before);
}

static int write_to_it(void *unused)
{
	(void)unused;
	((struct root *)root_of())->number = 9;
	return 0;
}

static void it_cannot_be_written_to(void **unused)
{
	(void)unused;
	assert_int_equal(attach_it(), 0);
	assert_int_equal(signal_of(run_child(write_to_it, NULL)), SIGSEGV);
}

static void a_slot_is_found_by_name_type_version_and_size(void **unused)
{
	const void *root = NULL;
	size_t bytes = sizeof(struct root);

	(void)unused;
	assert_int_equal(attach_it(), 0);
	assert_int_equal(rf_slot_find("store", "root", 7, bytes, &root), 0);
	assert_int_equal(
		rf_slot_find("stores", "root", 7, bytes, &root), -ENOENT);
	assert_int_equal(rf_slot_find("", "root", 7, bytes, &root), -ENOENT);
	assert_int_equal(
		rf_slot_find("store", "dict", 7, bytes, &root), -EPROTOTYPE);
	assert_int_equal(
		rf_slot_find("store", "root", 8, bytes, &root), -ESTALE);
	assert_int_equal(rf_slot_find("store", "root", 7, bytes + 1, &root),
		-EPROTOTYPE);
}

static void nothing_to_hold_is_held_at_once(void **unused)
{
	int64_t held_us = 9;

	(void)unused;
	assert_int_equal(attach_it(), 0);
	assert_int_equal(rf_attach_hold(attach, 100, why, sizeof why), 0);
	assert_int_equal(rf_attach_let_go(attach, &held_us), 0);
	assert_int_equal(held_us, 0);
}

static void daemons_are_kept_out_while_it_is_read(void **unused)
{
	struct rf_segment other = {.backend = RF_BACKEND_POSIX, .fd = -1};

	(void)unused;
	snprintf(other.name, sizeof other.name, "%s", name);
	assert_int_equal(attach_it(), 0);
	assert_int_equal(rf_segment_open(&other, 0), -EWOULDBLOCK);
	rf_detach(attach);
	attach = NULL;
	assert_int_equal(rf_segment_open(&other, 0), 0);
	rf_segment_close(&other);
}

static void one_that_a_daemon_has_is_refused(void **unused)
{
	struct rf_segment other = {.backend = RF_BACKEND_POSIX, .fd = -1};

	(void)unused;
	snprintf(other.name, sizeof other.name, "%s", name);
	assert_int_equal(rf_segment_open(&other, 0), 0);
	assert_int_equal(attach_it(), -EWOULDBLOCK);
	assert_non_null(strstr(why, "a daemon has it"));
	rf_segment_close(&other);
	assert_int_equal(attach_it(), 0);
}

static void an_address_that_is_taken_is_named(void **unused)
{
	void *at = mmap((void *)RF_ARENA_BASE, 4096, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	(void)unused;
	assert_ptr_equal(at, (void *)RF_ARENA_BASE);
	assert_int_equal(attach_it(), -EEXIST);
	assert_non_null(strstr(why, "566000000000-566000001000"));
	munmap(at, 4096);
	assert_int_equal(attach_it(), 0);
}

static void a_second_arena_is_refused(void **unused)
{
	struct rf_attach *second;

	(void)unused;
	assert_int_equal(attach_it(), 0);
	assert_int_equal(rf_attach(path, 0, &second, why, sizeof why), -EEXIST);
	assert_non_null(strstr(why, "one at a time"));
}

static void what_does_not_fit_is_refused_with_the_reason(void **unused)
{
	static const struct {
		size_t off;
		uint64_t word;
		int error;
		const char *why;
	} flaws[] = {
		{offsetof(struct rf_super, marker), 0, -EBADMSG,
			"no finished arena"},
		{offsetof(struct rf_super, format), 2, -EPROTO,
			"its format is 2"},
		{offsetof(struct rf_super, base), 4096, -EPROTO,
			"its address is 0x1000"},
		{offsetof(struct rf_super, segment_bytes), 4096, -EBADMSG,
			"damaged, or cut"},
		{offsetof(struct rf_super, log_off), UINT64_MAX, -EBADMSG,
			"damaged, or cut"},
		{offsetof(struct rf_super, log_max_bytes), UINT64_MAX, -EBADMSG,
			"damaged, or cut"},
		{offsetof(struct rf_super, log_tail), 4095, -EBADMSG,
			"undo log is damaged"},
	};

	(void)unused;
	for (size_t i = 0; i < sizeof flaws / sizeof *flaws; i++) {
		assert_int_equal(end(NULL), 0);
		assert_int_equal(begin(NULL), 0);
		patch(flaws[i].off, flaws[i].word);
		assert_int_equal(attach_it(), flaws[i].error);
		assert_non_null(strstr(why, flaws[i].why));
		assert_null(rf_arena_segment);
	}
}

static void a_file_that_was_cut_is_refused(void **unused)
{
	(void)unused;
	assert_int_equal(truncate(path, RF_SUPER_BYTES + 4096), 0);
	assert_int_equal(attach_it(), -EBADMSG);
	assert_int_equal(truncate(path, 100), 0);
	assert_int_equal(attach_it(), -EBADMSG);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(attach_it(), -EBADMSG);
}

static void what_is_not_there_is_said_to_be_so(void **unused)
{
	(void)unused;
	assert_int_equal(
		rf_attach("/nowhere/at.all", 0, &attach, why, sizeof why),
		-ENOENT);
	assert_non_null(strstr(why, "/nowhere/at.all"));
	assert_int_equal(rf_attach("refork-nobody-is-called-so", 0, &attach,
				 why, sizeof why),
		-ENOENT);
	assert_non_null(strstr(why, "no daemon called"));
	assert_int_equal(
		rf_attach("/dev/null", 0, &attach, why, sizeof why), -EBADMSG);
	attach = NULL;
}

static int attach_as_nobody(void *unused)
{
	(void)unused;
	if (setgid(65534) != 0 || setuid(65534) != 0)
		return CHILD_CANNOT;
	return attach_it() == -EACCES ? 0 : 1;
}

static void another_user_is_refused(void **unused)
{
	(void)unused;
	if (getuid() != 0)
		skip(); /* needs root, to be somebody else */
	assert_int_equal(exit_of(run_child(attach_as_nobody, NULL)), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(what_was_kept_is_read_by_its_own_pointers),
		TEST(a_half_made_change_is_undone_in_our_view_alone),
		TEST(it_cannot_be_written_to),
		TEST(a_slot_is_found_by_name_type_version_and_size),
		TEST(nothing_to_hold_is_held_at_once),
		TEST(daemons_are_kept_out_while_it_is_read),
		TEST(one_that_a_daemon_has_is_refused),
		TEST(an_address_that_is_taken_is_named),
		TEST(a_second_arena_is_refused),
		TEST(what_does_not_fit_is_refused_with_the_reason),
		TEST(a_file_that_was_cut_is_refused),
		TEST(what_is_not_there_is_said_to_be_so),
		TEST(another_user_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
