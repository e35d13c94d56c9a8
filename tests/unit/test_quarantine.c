/* SPDX-License-Identifier: MIT */
/* test_quarantine.c -- the files of quarantined requests: whole or not there,
 * and read without belief. */
#include "suite.h"
#include <quarantine.h>
#include <sys/stat.h>

static char state_dir[64], path[RF_QUARANTINE_PATH_BYTES];
static int dir;

static const char payload[] = "\1\0\0\0\3\0\0\0GET";
#define PAYLOAD_BYTES (sizeof payload - 1)

static const struct rf_quarantined sample = {
	.id = 7,
	.at_ms = 1800000000123,
	.service = "kv",
	.worker = "kv 1.2.0",
	.generation = 12,
	.attempts = 2,
	.peer = "127.0.0.1:51234",
	.conn_id = UINT64_MAX,
	.channel_epoch = 1,
	.position = 0,
	.bytes = PAYLOAD_BYTES,
	.context = 77,
};

static int set_up(void **state)
{
	(void)state;
	strcpy(state_dir, "/tmp/refork-unit-XXXXXX");
	if (mkdtemp(state_dir) == NULL)
		return -1;
	dir = rf_quarantine_dir(state_dir, "kv", true, path);
	return dir < 0 ? dir : 0;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	close(dir);
	snprintf(command, sizeof command, "rm -rf %s", state_dir);
	return system(command);
}

static int open_sample(struct rf_quarantined *out)
{
	return rf_quarantine_open(dir, sample.id, false, out);
}

static mode_t mode_of(const char *name)
{
	struct stat st;

	assert_int_equal(fstatat(dir, name, &st, 0), 0);
	return st.st_mode & 07777;
}

static void what_is_written_is_read(void **state)
{
	struct rf_quarantined found;
	char bytes[PAYLOAD_BYTES];
	int fd;

	(void)state;
	assert_int_equal(rf_quarantine_write(dir, &sample, payload), 0);
	fd = open_sample(&found);
	assert_true(fd >= 0);
	assert_memory_equal(&found, &sample, sizeof sample);
	assert_int_equal(rf_quarantine_read(fd, bytes, sizeof bytes), 0);
	assert_memory_equal(bytes, payload, sizeof bytes);
	assert_int_equal(rf_quarantine_read(fd, bytes, 1), -EBADMSG);
	close(fd);
	assert_int_equal(rf_quarantine_open(dir, 8, false, &found), -ENOENT);
	assert_int_equal(rf_quarantine_open(dir, 7, true, &found), -ENOENT);
}

static void nobody_else_may_look_at_it(void **state)
{
	(void)state;
	umask(0);
	assert_int_equal(rf_quarantine_write(dir, &sample, payload), 0);
	assert_int_equal(mode_of("7"), 0600);
	assert_int_equal(mode_of("."), 0700);
	assert_int_equal(mode_of(".."), 0700);
}

static void a_peer_of_any_bytes_stays_one_line(void **state)
{
	struct rf_quarantined odd = sample, found;

	(void)state;
	memset(odd.peer, '\n', sizeof odd.peer - 1);
	memset(odd.service, 'x', sizeof odd.service - 1);
	memset(odd.worker, 0xff, sizeof odd.worker - 1);
	assert_int_equal(rf_quarantine_write(dir, &odd, payload), 0);
	close(open_sample(&found));
	assert_int_equal(strspn(found.peer, "?"), sizeof odd.peer - 1);
	assert_int_equal(strlen(found.service), sizeof odd.service - 1);
	assert_int_equal(found.bytes, PAYLOAD_BYTES);
}

static void the_list_is_in_order_and_knows_only_ids(void **state)
{
	static const char *const names[] = {"10", "9.running", "2", "new", "03",
		"0", "99999999999999999999", "7x", "-1", "18446744073709551615",
		"5.runnings"};
	static const uint64_t ids[] = {2, 9, 10, UINT64_MAX};
	struct rf_quarantine_entry *entries;

	(void)state;
	assert_int_equal(rf_quarantine_list(dir, &entries), 0);
	free(entries);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		close(openat(dir, names[i], O_CREAT | O_WRONLY, 0600));
	assert_int_equal(rf_quarantine_list(dir, &entries), 4);
	for (int i = 0; i < 4; i++) {
		assert_true(entries[i].id == ids[i]);
		assert_int_equal(entries[i].running, ids[i] == 9);
	}
	free(entries);
}

static void the_oldest_go_first(void **state)
{
	struct rf_quarantine_entry *entries;
	struct rf_quarantined one = sample;

	(void)state;
	for (one.id = 1; one.id <= 12; one.id++)
		assert_int_equal(rf_quarantine_write(dir, &one, payload), 0);
	rf_quarantine_trim(dir, 12);
	assert_int_equal(rf_quarantine_list(dir, &entries), 12);
	free(entries);
	rf_quarantine_trim(dir, 3);
	assert_int_equal(rf_quarantine_list(dir, &entries), 3);
	assert_int_equal(entries[0].id, 10);
	free(entries);
	rf_quarantine_trim(dir, 0);
	assert_int_equal(rf_quarantine_list(dir, &entries), 0);
	free(entries);
}

/* ---- what is not as it should be ---- */

static size_t read_whole(char *text, size_t room)
{
	int fd = openat(dir, "7", O_RDONLY);
	ssize_t bytes = read(fd, text, room);

	close(fd);
	assert_true(bytes > 0);
	return (size_t)bytes;
}

static int open_with(const char *text, size_t bytes)
{
	struct rf_quarantined found;
	int fd = openat(dir, "7", O_WRONLY | O_TRUNC);

	assert_int_equal(write(fd, text, bytes), bytes);
	close(fd);
	fd = open_sample(&found);
	if (fd >= 0)
		close(fd);
	return fd;
}

static void no_part_of_a_file_is_one(void **state)
{
	char text[2048];
	size_t bytes;

	(void)state;
	assert_int_equal(rf_quarantine_write(dir, &sample, payload), 0);
	bytes = read_whole(text, sizeof text);
	assert_true(open_with(text, bytes) >= 0);
	for (size_t cut = 0; cut < bytes; cut++)
		assert_int_equal(open_with(text, cut), -EBADMSG);
	assert_int_equal(open_with(text, bytes + 1), -EBADMSG);
}

static void a_changed_header_is_refused(void **state)
{
	static const struct {
		const char *from, *to;
	} changes[] = {
		{"refork-quarantine 1", "refork-quarantine 2"},
		{"id: 7", "id: 8"},
		{"id: 7", "id:  7"},
		{"id: 7", "id: 07"},
		{"id: 7", "id: -7"},
		{"id: 7", "id: 7 "},
		{"id: 7", "id: "},
		{"id: 7", "ID: 7"},
		{"bytes: 11", "bytes: 10"},
		{"bytes: 11", "bytes: 12"},
		{"bytes: 11", "bytes: 18446744073709551616"},
		{"bytes: 11", "bytes: 18446744073709551615"},
		{"generation: 12\n", ""},
		{"generation: 12\n", "generation: 12\ngeneration: 12\n"},
		{"peer: 127", "peer: \x01 127"},
		{"peer: 127", "peer: 0123456789012345678901234567890123456789"
			      "0123456789127"},
		{"context: 77", "context: 077"},
		{"context: 77\n", "context: 77\ncontext: 77\n"},
		{"\n\n", "\nmore: 1\n\n"},
	};
	char sound[2048], text[4096];
	size_t bytes;

	(void)state;
	assert_int_equal(rf_quarantine_write(dir, &sample, payload), 0);
	bytes = read_whole(sound, sizeof sound);
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		const char *at = memmem(
			sound, bytes, changes[i].from, strlen(changes[i].from));
		size_t from = strlen(changes[i].from);
		size_t to = strlen(changes[i].to), before;

		assert_non_null(at);
		before = (size_t)(at - sound);
		memcpy(text, sound, before);
		memcpy(text + before, changes[i].to, to);
		memcpy(text + before + to, at + from, bytes - before - from);
		if (open_with(text, bytes - from + to) != -EBADMSG)
			fail_msg("'%s' was taken", changes[i].to);
	}
}

static void one_of_an_older_version_has_no_context(void **state)
{
	static const char line[] = "context: 77\n";
	struct rf_quarantined found;
	char text[2048], *at;
	size_t bytes, rest;
	int fd;

	(void)state;
	assert_int_equal(rf_quarantine_write(dir, &sample, payload), 0);
	bytes = read_whole(text, sizeof text);
	at = memmem(text, bytes, line, sizeof line - 1);
	assert_non_null(at);
	rest = bytes - (size_t)(at - text) - (sizeof line - 1);
	memmove(at, at + sizeof line - 1, rest);
	assert_true(open_with(text, bytes - (sizeof line - 1)) >= 0);
	fd = open_sample(&found);
	assert_int_equal(found.context, 0);
	assert_int_equal(found.bytes, PAYLOAD_BYTES);
	close(fd);
}

static void random_bytes_are_refused(void **state)
{
	char sound[2048], text[2048];
	size_t bytes;

	(void)state;
	assert_int_equal(rf_quarantine_write(dir, &sample, payload), 0);
	bytes = read_whole(sound, sizeof sound);
	for (unsigned i = 0; i < 2000; i++) {
		struct rf_quarantined found;
		int fd;

		memcpy(text, sound, bytes);
		random_fill(text + random_below(bytes - 8), 1);
		fd = open_with(text, bytes);
		assert_true(fd >= 0 || fd == -EBADMSG);
		fd = open_sample(&found);
		if (fd >= 0) {
			assert_int_equal(found.bytes, PAYLOAD_BYTES);
			close(fd);
		}
	}
}

static void what_is_no_file_is_refused(void **state)
{
	struct rf_quarantined found;

	(void)state;
	assert_int_equal(symlinkat("/etc/passwd", dir, "7"), 0);
	assert_int_equal(open_sample(&found), -EBADMSG);
	unlinkat(dir, "7", 0);
	assert_int_equal(mkfifoat(dir, "7", 0600), 0);
	assert_int_equal(open_sample(&found), -EBADMSG);
	unlinkat(dir, "7", 0);
	assert_int_equal(mkdirat(dir, "7", 0700), 0);
	assert_int_equal(open_sample(&found), -EBADMSG);
}

static void a_link_in_the_way_is_not_written_through(void **state)
{
	struct stat st;

	(void)state;
	close(openat(dir, "victim", O_CREAT | O_WRONLY, 0600));
	assert_int_equal(symlinkat("victim", dir, "new"), 0);
	assert_int_equal(rf_quarantine_write(dir, &sample, payload), 0);
	assert_int_equal(fstatat(dir, "victim", &st, 0), 0);
	assert_int_equal(st.st_size, 0);
}

/* ---- disks ---- */

static int write_beyond_the_limit(void *arg)
{
	const struct rlimit limit = {PAYLOAD_BYTES, PAYLOAD_BYTES};

	(void)arg;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	return rf_quarantine_write(dir, &sample, payload) == -EFBIG ? 0 : 1;
}

static void a_full_disk_leaves_nothing_behind(void **state)
{
	(void)state;
	assert_int_equal(run_child(write_beyond_the_limit, NULL), 0);
	assert_int_equal(faccessat(dir, "new", F_OK, 0), -1);
	assert_int_equal(faccessat(dir, "7", F_OK, 0), -1);
}

static void a_directory_that_cannot_be_is_an_error(void **state)
{
	char long_name[300];

	(void)state;
	assert_int_equal(
		rf_quarantine_dir("/nonexistent/a/b", "kv", true, NULL),
		-ENOENT);
	assert_int_equal(
		rf_quarantine_dir(state_dir, "other", false, NULL), -ENOENT);
	memset(long_name, 'n', sizeof long_name - 1);
	long_name[sizeof long_name - 1] = '\0';
	assert_true(rf_quarantine_dir(state_dir, long_name, true, NULL) < 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_written_is_read),
		TEST(nobody_else_may_look_at_it),
		TEST(a_peer_of_any_bytes_stays_one_line),
		TEST(the_list_is_in_order_and_knows_only_ids),
		TEST(the_oldest_go_first),
		TEST(no_part_of_a_file_is_one),
		TEST(a_changed_header_is_refused),
		TEST(one_of_an_older_version_has_no_context),
		TEST(random_bytes_are_refused),
		TEST(what_is_no_file_is_refused),
		TEST(a_link_in_the_way_is_not_written_through),
		TEST(a_full_disk_leaves_nothing_behind),
		TEST(a_directory_that_cannot_be_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
