/* SPDX-License-Identifier: MIT */
/* test_daemon_listen.c -- listening sockets, and whose files are removed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/fault.c"
#include "daemon/listen.c"
#include "daemon/listen_given.c"
#include "daemon/manager/fdstore.c"
#include "daemon/manager/post.c"

#include <fcntl.h>
#include <stdlib.h>

static char dir[] = "/tmp/refork-test-XXXXXX";
static char path[64], where[80];

static int enter_dir(void **unused)
{
	(void)unused;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/s", dir);
	snprintf(where, sizeof(where), "unix:%s", path);
	return 0;
}

static int leave_dir(void **unused)
{
	(void)unused;
	unlink(path);
	return rmdir(dir);
}

static void open_ok(struct listener *l, const char *address)
{
	struct fault fault;

	if (listener_open(l, address, 4, &fault))
		fail_msg("%s", fault.text);
}

static void check_refused(const char *address, int code, const char *word)
{
	struct listener l;
	struct fault fault;

	assert_int_equal(listener_open(&l, address, 4, &fault), code);
	assert_int_equal(l.fd, -1);
	assert_non_null(strstr(fault.text, word));
}

static void a_taken_port_is_named(void **unused)
{
	struct listener l;

	(void)unused;
	open_ok(&l, "127.0.0.1:0");
	assert_string_not_equal(l.name, "127.0.0.1:0");
	check_refused(l.name, EX_OSERR, l.name);
	listener_close(&l);
	assert_int_equal(l.fd, -1);
}

static void an_ipv6_address_stands_in_brackets(void **unused)
{
	struct listener l;
	struct fault fault;

	(void)unused;
	if (listener_open(&l, "[::1]:0", 4, &fault))
		skip(); /* a machine without IPv6 */
	assert_memory_equal(l.name, "[::1]:", 6);
	listener_close(&l);
}

static void what_is_no_address_is_refused(void **unused)
{
	(void)unused;
	check_refused("nonsense", EX_CONFIG, "nonsense");
	check_refused("1.2.3.4.5:1", EX_CONFIG, "1.2.3.4.5");
	check_refused("unix:", EX_CONFIG, "path");
}

static void the_socket_file_goes_with_its_listener(void **unused)
{
	struct listener l;

	(void)unused;
	open_ok(&l, where);
	assert_int_equal(listener_unix_alive(path), 1);
	listener_close(&l);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(listener_unix_alive(path), 0);
}

static void a_live_socket_is_not_touched(void **unused)
{
	struct listener l;

	(void)unused;
	open_ok(&l, where);
	check_refused(where, EX_OSERR, path);
	assert_int_equal(listener_unix_alive(path), 1);
	listener_close(&l);
}

static void a_leftover_socket_is_replaced(void **unused)
{
	struct listener l, next;

	(void)unused;
	open_ok(&l, where);
	close(l.fd); /* as a killed process does */
	assert_int_equal(listener_unix_alive(path), 0);
	open_ok(&next, where);
	listener_close(&next);
}

static mode_t mode_under(mode_t mask)
{
	mode_t before = umask(mask);
	struct listener l;
	struct stat st;

	open_ok(&l, where);
	assert_int_equal(umask(before), mask);
	assert_int_equal(stat(path, &st), 0);
	listener_close(&l);
	return st.st_mode & 07777;
}

static void the_umask_decides_who_may_connect(void **unused)
{
	(void)unused;
	assert_int_equal(mode_under(0077), 0700);
	assert_int_equal(mode_under(0007), 0770);
	assert_int_equal(mode_under(0), 0777);
}

static void a_socket_is_never_wider_than_asked_for(void **unused)
{
	mode_t before = umask(0);
	struct fault fault;
	struct listener l;
	struct stat st;

	(void)unused;
	assert_int_equal(listener_open_unix(
				 &l, "control socket ", path, 0600, 4, &fault),
		0);
	umask(before);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(listener_open_unix(&l, "control socket ", "/nowhere/s",
				 0600, 4, &fault),
		EX_OSERR);
	assert_string_equal(fault.text,
		"control socket /nowhere/s: No such file or directory");
	unlink(path);
}

static void another_file_is_not_touched(void **unused)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	(void)unused;
	assert_true(fd >= 0);
	close(fd);
	check_refused(where, EX_CONFIG, "no socket");
	assert_int_equal(access(path, F_OK), 0);
	unlink(path);
}

static void a_successors_file_is_not_removed(void **unused)
{
	struct listener l, next;

	(void)unused;
	open_ok(&l, where);
	unlink(path);
	open_ok(&next, where);
	listener_close(&l);
	assert_int_equal(listener_unix_alive(path), 1);
	listener_close(&next);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_taken_port_is_named),
		cmocka_unit_test(an_ipv6_address_stands_in_brackets),
		cmocka_unit_test(what_is_no_address_is_refused),
		cmocka_unit_test(the_socket_file_goes_with_its_listener),
		cmocka_unit_test(a_live_socket_is_not_touched),
		cmocka_unit_test(a_leftover_socket_is_replaced),
		cmocka_unit_test(the_umask_decides_who_may_connect),
		cmocka_unit_test(a_socket_is_never_wider_than_asked_for),
		cmocka_unit_test(another_file_is_not_touched),
		cmocka_unit_test(a_successors_file_is_not_removed),
	};

	return cmocka_run_group_tests(tests, enter_dir, leave_dir);
}
