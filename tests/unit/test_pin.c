/* SPDX-License-Identifier: MIT */
/* test_pin.c -- a copy of a file that nobody can change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/pin.c"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char dir[] = "/tmp/refork-pin-XXXXXX";
static char path[64];

static int make_dir(void **unused)
{
	(void)unused;
	return mkdtemp(dir) && snprintf(path, sizeof(path), "%s/file", dir) > 0
		       ? 0
		       : -1;
}

static int remove_dir(void **unused)
{
	(void)unused;
	unlink(path);
	return rmdir(dir);
}

static void write_file(const char *text, size_t bytes)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, bytes, file), bytes);
	fclose(file);
}

static void the_copy_outlives_what_happens_to_the_file(void **unused)
{
	char seen[8] = "";
	struct pin pin;

	(void)unused;
	write_file("first", 5);
	assert_int_equal(pin_file(path, "test", &pin), 0);
	assert_int_equal(pin.bytes, 5);
	assert_true(pin.changed_at_ms > 0);
	write_file("2", 1);
	unlink(path);
	assert_int_equal(pread(pin.fd, seen, sizeof(seen), 0), 5);
	assert_string_equal(seen, "first");
	close(pin.fd);
}

static void nobody_can_change_the_copy(void **unused)
{
	struct pin pin;

	(void)unused;
	write_file("first", 5);
	assert_int_equal(pin_file(path, "test", &pin), 0);
	assert_int_equal(pwrite(pin.fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(pin.fd, 1), -1);
	assert_int_equal(ftruncate(pin.fd, 9), -1);
	assert_int_equal(fcntl(pin.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_ptr_equal(
		mmap(NULL, 5, PROT_READ | PROT_WRITE, MAP_SHARED, pin.fd, 0),
		MAP_FAILED);
	close(pin.fd);
}

static void a_large_file_is_copied_to_its_last_byte(void **unused)
{
	size_t bytes = (9 << 20) + 17;
	char *text = calloc(1, bytes), last;
	struct pin pin;

	(void)unused;
	text[bytes - 1] = 'z';
	write_file(text, bytes);
	assert_int_equal(pin_file(path, "test", &pin), 0);
	assert_int_equal(pin.bytes, bytes);
	assert_int_equal(pread(pin.fd, &last, 1, (off_t)bytes - 1), 1);
	assert_int_equal(last, 'z');
	close(pin.fd);
	free(text);
}

static void what_is_no_file_is_refused_without_waiting(void **unused)
{
	struct pin pin;

	(void)unused;
	unlink(path);
	assert_int_equal(pin_file(path, "test", &pin), -ENOENT);
	assert_int_equal(pin_file(dir, "test", &pin), -EINVAL);
	assert_int_equal(pin_file("/dev/zero", "test", &pin), -EINVAL);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(pin_file(path, "test", &pin), -EINVAL);
	unlink(path);
}

static void no_descriptor_is_left_by_a_refusal(void **unused)
{
	struct pin pin;
	int before = dup(0), after;

	(void)unused;
	close(before);
	pin_file(dir, "test", &pin);
	pin_file("/nonexistent", "test", &pin);
	after = dup(0);
	assert_int_equal(after, before);
	close(after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_copy_outlives_what_happens_to_the_file),
		cmocka_unit_test(nobody_can_change_the_copy),
		cmocka_unit_test(a_large_file_is_copied_to_its_last_byte),
		cmocka_unit_test(what_is_no_file_is_refused_without_waiting),
		cmocka_unit_test(no_descriptor_is_left_by_a_refusal),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
