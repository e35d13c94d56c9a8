/* SPDX-License-Identifier: MIT */
/* test_daemon_post.c -- a service manager that is there, full, gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/manager/post.c"

#include <stdbool.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>

#define QUEUE_MAX 100000

static int manager = -1;

/* In the abstract namespace: nothing is left of it. */
static int open_manager(void **unused)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	char name[64];

	(void)unused;
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	snprintf(name, sizeof(name), "@refork-post-%d", getpid());
	memcpy(at.sun_path + 1, name + 1, strlen(name + 1));
	setenv("NOTIFY_SOCKET", name, 1);
	return bind(manager, (struct sockaddr *)&at,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) +
			    strlen(name)));
}

static int close_manager(void **unused)
{
	(void)unused;
	if (manager >= 0)
		close(manager);
	manager = -1;
	unsetenv("NOTIFY_SOCKET");
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int fill(void)
{
	int rc = 0;

	for (int i = 0; !rc && i < QUEUE_MAX; i++)
		rc = post("STATUS=again", NULL, 0, 0);
	return rc;
}

static void what_is_sent_arrives_under_an_abstract_name(void **unused)
{
	char text[64] = "";

	(void)unused;
	assert_int_equal(post("READY=1", NULL, 0, 0), 0);
	assert_int_equal(recv(manager, text, sizeof(text), MSG_DONTWAIT), 7);
	assert_string_equal(text, "READY=1");
}

static void a_copy_of_a_descriptor_arrives(void **unused)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	char text[64];
	struct iovec part = {text, sizeof(text)};
	struct msghdr message = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	int ends[2], fd;

	(void)unused;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(post("FDSTORE=1", &ends[1], 1, 0), 0);
	assert_int_equal(recvmsg(manager, &message, 0), 9);
	assert_int_equal(CMSG_FIRSTHDR(&message)->cmsg_type, SCM_RIGHTS);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(read(ends[0], text, 1), 1);
	close(fd);
	close(ends[0]);
	close(ends[1]);
}

static void a_manager_that_is_full_is_not_waited_for(void **unused)
{
	int64_t began_ms = now_ms();

	(void)unused;
	alarm(20);
	assert_int_equal(fill(), -EAGAIN);
	assert_int_equal(post("WATCHDOG=1", NULL, 0, 0), -EAGAIN);
	assert_int_equal(post("FDSTORE=1", &manager, 1, 50), -EAGAIN);
	assert_true(now_ms() - began_ms < 10000);
	alarm(0);
}

static void with_patience_it_is_until_it_reads(void **unused)
{
	const struct timespec pause = {0, 100000000};
	char text[64];
	pid_t reader;
	int status;

	(void)unused;
	assert_int_equal(fill(), -EAGAIN);
	reader = fork();
	if (reader == 0) {
		nanosleep(&pause, NULL);
		while (recv(manager, text, sizeof(text), MSG_DONTWAIT) > 0)
			;
		_exit(0);
	}
	assert_int_equal(post("FDSTORE=1", NULL, 0, 10000), 0);
	assert_int_equal(waitpid(reader, &status, 0), reader);
}

static void one_that_is_gone_is_an_error_and_none_is_not(void **unused)
{
	(void)unused;
	close(manager);
	manager = -1;
	assert_int_equal(post("READY=1", NULL, 0, 1000), -ECONNREFUSED);
	setenv("NOTIFY_SOCKET", "", 1);
	assert_int_equal(post("READY=1", NULL, 0, 0), 0);
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(post("READY=1", NULL, 0, 0), 0);
}

static void an_address_that_is_none_is_refused(void **unused)
{
	char longest[200];

	(void)unused;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[0] = '/';
	longest[sizeof(longest) - 1] = 0;
	setenv("NOTIFY_SOCKET", longest, 1);
	assert_int_equal(post("READY=1", NULL, 0, 0), -EINVAL);
	setenv("NOTIFY_SOCKET", "@", 1);
	assert_int_equal(post("READY=1", NULL, 0, 0), -EINVAL);
	setenv("NOTIFY_SOCKET", "vsock:2:1234", 1);
	assert_int_equal(post("READY=1", NULL, 0, 0), -EAFNOSUPPORT);
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, open_manager, close_manager)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_sent_arrives_under_an_abstract_name),
		TEST(a_copy_of_a_descriptor_arrives),
		TEST(a_manager_that_is_full_is_not_waited_for),
		TEST(with_patience_it_is_until_it_reads),
		TEST(one_that_is_gone_is_an_error_and_none_is_not),
		TEST(an_address_that_is_none_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
