/* SPDX-License-Identifier: MIT */
/* test_segment_store.c -- memory without a name, kept by a descriptor that
 * somebody holds for us.
 */
#include "segment_stage.h"
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>

/* What the keeper has. */
static int kept = -1;

static int begin(void **state)
{
	if (make(state) != 0)
		return -1;
	return seg.fd < 0 || rf_segment_share(&seg, &kept) == 0 ? 0 : -1;
}

static int end(void **state)
{
	if (kept >= 0)
		close(kept);
	kept = -1;
	return unmake(state);
}

static struct rf_segment like(const struct kind *kind)
{
	struct rf_segment again = fresh(kind, "");

	again.max_bytes = 0;
	return again;
}

/* ---- handed over ---- */

static void what_was_written_stands_for_the_next_owner(void **state)
{
	struct rf_segment again = like(the_kind(state));

	assert_int_equal(rf_segment_back(&seg, 2 * MIB, MIB), 0);
	strcpy((char *)seg.base + 2 * MIB, "still here");
	rf_segment_close(&seg);
	assert_int_equal(rf_segment_adopt(&again, kept, 0), 0);
	assert_int_equal(again.max_bytes, STAGE_BYTES);
	assert_int_equal(again.page_bytes, again.huge_require ? 2 * MIB : 4096);
	assert_int_equal(rf_segment_map(&again, RF_ARENA_BASE), 0);
	assert_string_equal((char *)again.base + 2 * MIB, "still here");
	assert_int_equal(rf_segment_back(&again, 4 * MIB, MIB), 0);
	again.base[4 * MIB] = 1;
	rf_segment_close(&again);
}

static void it_can_be_handed_over_again_and_again(void **state)
{
	the_kind(state);
	for (int i = 0; i < 5; i++) {
		struct rf_segment again = like(*state);
		int next;

		rf_segment_close(&seg);
		assert_int_equal(rf_segment_adopt(&again, kept, 0), 0);
		assert_int_equal(rf_segment_share(&again, &next), 0);
		close(kept);
		kept = next;
		seg = again;
	}
}

static void a_kept_descriptor_goes_to_no_program_that_is_run(void **state)
{
	the_kind(state);
	assert_int_equal(fcntl(kept, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

/* ---- locked ---- */

static void nobody_gets_what_is_still_mapped(void **state)
{
	struct rf_segment again = like(the_kind(state));

	assert_int_equal(rf_segment_adopt(&again, kept, 0), -EWOULDBLOCK);
	assert_int_equal(again.fd, -1);
	close(seg.fd); /* the mapping alone holds it */
	seg.fd = -1;
	assert_int_equal(rf_segment_adopt(&again, kept, 20), -EWOULDBLOCK);
	rf_segment_close(&seg);
	assert_int_equal(rf_segment_adopt(&again, kept, 0), 0);
	rf_segment_close(&again);
}

static int hold(void *unused)
{
	(void)unused;
	close(seg.fd);
	close(kept);
	pause();
	return 0;
}

static void a_child_that_still_dies_is_waited_for(void **state)
{
	struct rf_segment again = like(the_kind(state));
	pid_t pid = fork_child(hold, NULL);

	rf_segment_close(&seg);
	assert_int_equal(rf_segment_adopt(&again, kept, 0), -EWOULDBLOCK);
	kill(pid, SIGKILL); /* and is not reaped: it may take its time */
	assert_int_equal(rf_segment_adopt(&again, kept, 3000), 0);
	rf_segment_close(&again);
	wait_child(pid);
}

static void of_two_that_were_handed_it_one_has_it(void **state)
{
	struct rf_segment first = like(the_kind(state)), second = first;

	rf_segment_close(&seg);
	assert_int_equal(rf_segment_adopt(&first, kept, 0), 0);
	assert_int_equal(rf_segment_adopt(&second, kept, 0), -EWOULDBLOCK);
	rf_segment_close(&first);
	assert_int_equal(rf_segment_adopt(&second, kept, 0), 0);
	rf_segment_close(&second);
}

/* ---- something else ---- */

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static int memory(mode_t mode, int seals)
{
	int fd = memfd_create("refork-unit", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, MIB), 0);
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static int ours(void)
{
	return memory(0600, SEALS);
}

static int a_pipe(void)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	close(ends[1]);
	return ends[0];
}

static int a_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int a_device(void)
{
	return open("/dev/zero", O_RDWR | O_CLOEXEC);
}

static int a_directory(void)
{
	return open("/", O_RDONLY | O_CLOEXEC);
}

static int a_file(void)
{
	return open(stage_dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

static int nothing(void)
{
	return -1;
}

static int not_sealed(void)
{
	return memory(0600, 0);
}

static int sealed_by_half(void)
{
	return memory(0600, F_SEAL_SHRINK | F_SEAL_SEAL);
}

static int sealed_against_writing(void)
{
	return memory(0600, SEALS | F_SEAL_WRITE);
}

static int open_to_others(void)
{
	return memory(0660, SEALS);
}

#define CANNOT -2

/* CANNOT: without the right to make one, or in a namespace of few users. */
static int another_users(void)
{
	int fd = ours();

	if (fchown(fd, 12345, 12345) == 0)
		return fd;
	close(fd);
	return CANNOT;
}

static int for_reading(void)
{
	char path[32];
	int fd = ours(), again;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY | O_CLOEXEC);
	close(fd);
	return again;
}

static void what_is_not_ours_is_refused_with_its_reason(void **state)
{
	static const struct {
		int (*open)(void);
		int error;
	} cases[] = {
		{ours, 0},
		{a_pipe, -EMEDIUMTYPE},
		{a_socket, -EMEDIUMTYPE},
		{a_device, -EMEDIUMTYPE},
		{a_directory, -EMEDIUMTYPE},
		{a_file, -EMEDIUMTYPE},
		{nothing, -EMEDIUMTYPE},
		{not_sealed, -EBADMSG},
		{sealed_by_half, -EBADMSG},
		{sealed_against_writing, -EBADMSG},
		{open_to_others, -EPERM},
		{another_users, -EPERM},
		{for_reading, -EPERM},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct rf_segment again = {.fd = -1};
		int fd;

		fd = cases[i].open();
		if (fd == CANNOT)
			continue;
		assert_int_equal(
			rf_segment_adopt(&again, fd, 0), cases[i].error);
		assert_int_equal(again.fd >= 0, cases[i].error == 0);
		rf_segment_close(&again);
		if (fd >= 0)
			assert_int_equal(close(fd), 0); /* is still ours */
	}
}

static void memory_of_other_pages_is_refused(void **state)
{
	struct rf_segment again = like(the_kind(state));

	again.huge_require = !again.huge_require;
	rf_segment_close(&seg);
	assert_int_equal(rf_segment_adopt(&again, kept, 0), -EMSGSIZE);
}

static void only_memory_without_a_name_is_shared(void **state)
{
	struct rf_segment named = like(the_kind(state));
	int fd = -7;

	assert_int_equal(rf_segment_share(&named, &fd), -EINVAL);
	assert_int_equal(rf_segment_share(&seg, &fd), -EINVAL);
	assert_int_equal(fd, -7);
}

static int share_without_proc(void *unused)
{
	struct rf_segment again = like(&memfd);
	int fd;

	(void)unused;
	if (unshare(CLONE_NEWNS) ||
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		mount("tmpfs", "/proc", "tmpfs", 0, NULL))
		return CHILD_CANNOT;
	return rf_segment_share(&seg, &fd) == -ENOENT &&
			       rf_segment_adopt(&again, kept, 0) == -ENOENT
		       ? 0
		       : 1;
}

static void without_proc_it_is_an_error(void **state)
{
	int code = exit_of(run_child(share_without_proc, NULL));

	(void)state;
	if (code == CHILD_CANNOT)
		skip();
	assert_int_equal(code, 0);
}

#define ONE(test, kind)                                                        \
	{                                                                      \
#kind "_" #test, test, begin, end, &kind                       \
	}
#define BOTH(test) ONE(test, memfd), ONE(test, memfd_huge)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(what_was_written_stands_for_the_next_owner),
		BOTH(it_can_be_handed_over_again_and_again),
		BOTH(a_kept_descriptor_goes_to_no_program_that_is_run),
		BOTH(nobody_gets_what_is_still_mapped),
		BOTH(a_child_that_still_dies_is_waited_for),
		BOTH(of_two_that_were_handed_it_one_has_it),
		BOTH(memory_of_other_pages_is_refused),
		ONE(without_proc_it_is_an_error, memfd),
		cmocka_unit_test(what_is_not_ours_is_refused_with_its_reason),
		EACH(only_memory_without_a_name_is_shared, posix),
		EACH(only_memory_without_a_name_is_shared, file),
	};

	return cmocka_run_group_tests(tests, stage_open, stage_close);
}
