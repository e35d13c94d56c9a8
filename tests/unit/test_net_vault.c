/* SPDX-License-Identifier: MIT */
/* test_net_vault.c -- who may die, and what becomes of the connections. */
#include "net_keeper.h"

#include "worker/network/network.h"

#include <dirent.h>
#include <sys/stat.h>

struct company {
	struct stage stage;
	struct service service;
	pid_t vault, network;
};

static void reap(pid_t pid)
{
	int status;

	for (int ms = 0; ms < WAIT_MS; ms++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return;
		usleep(1000);
	}
	fail_msg("process %d does not end", pid);
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	reap(pid);
}

static void assemble(struct company *c)
{
	memset(c, 0, sizeof(*c));
	stage_set(&c->stage, NULL);
	c->vault = keeper_fork_vault(&c->stage, &c->service);
	c->network = keeper_fork_network(&c->stage, &c->service, true);
	expect_message(&c->stage, RF_MSG_RESET);
}

static void dismiss(struct company *c)
{
	end(c->network);
	end(c->vault);
	stage_fini(&c->stage);
}

static void succeed(struct company *c)
{
	end(c->network);
	c->network = keeper_fork_network(&c->stage, &c->service, true);
}

static void exchange(struct company *c, int fd, uint64_t conn)
{
	say(fd, "PING\r\n");
	assert_int_equal(expect_request(&c->stage, "PING"), conn);
	reply(&c->stage, conn, "+PONG\r\n");
	hear(fd, "+PONG\r\n");
}

static void connections_outlive_any_number_of_network_children(void **state)
{
	struct company c;
	uint64_t conn;
	int fd;

	(void)state;
	assemble(&c);
	conn = meet(&c.stage, &fd);
	for (int i = 0; i < 20; i++) {
		exchange(&c, fd, conn);
		succeed(&c);
	}
	exchange(&c, fd, conn);
	assert_int_equal(c.stage.child.status->network.clients, 1);
	assert_int_equal(c.stage.child.status->network.clients_resumed, 20);
	assert_false(has_message(&c.stage));
	close(fd);
	dismiss(&c);
}

static void a_dead_vault_is_replaced_from_the_network_child(void **state)
{
	struct spawn vault = {.scene = NULL};
	struct company c;
	uint64_t conn;
	int fd, pidfd, rc;

	(void)state;
	assemble(&c);
	conn = meet(&c.stage, &fd);
	for (int i = 0; i < 3; i++) {
		end(c.vault);
		exchange(&c, fd, conn);
		vault.scene = &c.stage.child.status->scenes[1];
		/* On a busy machine the network child may be late. */
		rc = -ETIMEDOUT;
		for (int n = 0; rc == -ETIMEDOUT && n < KEEPER_TRIES; n++)
			rc = vault_replace(
				&c.service, &vault, &c.vault, &pidfd);
		assert_int_equal(rc, 0);
		close(pidfd);
		succeed(&c);
		exchange(&c, fd, conn);
	}
	assert_false(has_message(&c.stage));
	close(fd);
	dismiss(&c);
}

static void when_both_die_the_business_side_is_told(void **state)
{
	struct company c;
	int fd;

	(void)state;
	assemble(&c);
	meet(&c.stage, &fd);
	end(c.vault);
	end(c.network);
	hear_end(fd);
	c.vault = keeper_fork_vault(&c.stage, &c.service);
	c.network = keeper_fork_network(&c.stage, &c.service, true);
	expect_message(&c.stage, RF_MSG_RESET);
	exchange(&c, fd, meet(&c.stage, &fd));
	close(fd);
	dismiss(&c);
}

static void a_vault_that_does_not_answer_makes_nobody_later(void **state)
{
	struct spawn network = {.scene = NULL};
	struct company c;
	pid_t pid;
	int fd, pidfd;
	uint64_t conn;

	(void)state;
	assemble(&c);
	conn = meet(&c.stage, &fd);
	end(c.network);
	kill(c.vault, SIGSTOP);
	network.scene = &c.stage.child.status->scenes[0];
	assert_int_equal(vault_make_network(&c.service, &network, &pid, &pidfd),
		-ETIMEDOUT);
	kill(c.vault, SIGCONT);
	usleep(50 * 1000);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), 0);
	c.network = keeper_fork_network(&c.stage, &c.service, true);
	exchange(&c, fd, conn);
	close(fd);
	dismiss(&c);
}

static void connections_that_kill_whoever_resumes_them_are_dropped(void **state)
{
	struct company c;
	struct front *front;
	int fd;

	(void)state;
	assemble(&c);
	meet(&c.stage, &fd);
	front = front_of(&c.stage.channel);
	end(c.network);
	front->barren = 3;
	c.network = keeper_fork_network(&c.stage, &c.service, true);
	expect_message(&c.stage, RF_MSG_RESET);
	hear_end(fd);
	exchange(&c, fd, meet(&c.stage, &fd));
	close(fd);
	dismiss(&c);
}

#define BIG_BYTES ((size_t)512 << 10)
#define BIG_COUNT 24 /* more than the sockets take */
#define PIPELINED (CONN_UNANSWERED_HIGH + 40)

static void hear_big(int fd)
{
	static char big[BIG_BYTES];

	for (int i = 0; i < BIG_COUNT; i++)
		assert_int_equal(
			recv(fd, big, BIG_BYTES, MSG_WAITALL), BIG_BYTES);
}

static void a_slow_reader_whose_requests_wait_is_resumed(void **state)
{
	static char big[BIG_BYTES];
	struct company c;
	uint64_t conn;
	int fd;

	(void)state;
	assemble(&c);
	conn = meet(&c.stage, &fd);
	for (int i = 0; i < PIPELINED; i++)
		say(fd, "PING\r\n");
	for (int i = 0; i < CONN_UNANSWERED_HIGH; i++)
		expect_request(&c.stage, "PING");
	for (int i = 0; i < BIG_COUNT; i++)
		post_bytes(&c.stage, conn, RF_MSG_REPLY, 0, big, sizeof(big));
	for (int i = 0; i < 5; i++)
		succeed(&c);
	hear_big(fd);
	for (int i = BIG_COUNT; i < CONN_UNANSWERED_HIGH; i++) {
		reply(&c.stage, conn, "+\r\n");
		hear(fd, "+\r\n");
	}
	for (int i = CONN_UNANSWERED_HIGH; i < PIPELINED; i++) {
		expect_request(&c.stage, "PING");
		reply(&c.stage, conn, "+\r\n");
		hear(fd, "+\r\n");
	}
	exchange(&c, fd, conn);
	close(fd);
	dismiss(&c);
}

static size_t vault_descriptors(const struct company *c)
{
	char path[64];
	size_t count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", c->vault);
	dir = opendir(path);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* Up to the limit, as when there are more clients than descriptors. */
static void connections_outlive_a_death_without_a_spare_descriptor(void **state)
{
	struct company c;
	struct rlimit limit;
	uint64_t conn;
	int fd, waiting[16];

	(void)state;
	assemble(&c);
	conn = meet(&c.stage, &fd);
	limit.rlim_cur = limit.rlim_max = vault_descriptors(&c) + 2;
	prlimit(c.vault, RLIMIT_NOFILE, &limit, NULL);
	prlimit(c.network, RLIMIT_NOFILE, &limit, NULL);
	for (int i = 0; i < 16; i++)
		waiting[i] = dial(&c.stage);
	usleep(50 * 1000);
	while (has_message(&c.stage))
		expect_message(&c.stage, RF_MSG_OPEN);
	for (int i = 0; i < 3; i++) {
		succeed(&c);
		exchange(&c, fd, conn);
	}
	for (int i = 0; i < 16; i++)
		close(waiting[i]);
	close(fd);
	dismiss(&c);
}

static size_t front_backed(const struct company *c)
{
	struct stat st;

	fstat(c->stage.channel.front.fd, &st);
	return (size_t)st.st_blocks * 512;
}

static void deaths_leave_no_descriptor_and_no_memory(void **state)
{
	struct company c;
	size_t fds = 0, memory = 0;
	uint64_t conn;
	int fd;

	(void)state;
	assemble(&c);
	for (int i = 0; i < 40; i++) {
		conn = meet(&c.stage, &fd);
		exchange(&c, fd, conn);
		say(fd, "*2\r\n$3\r\nGET\r\n$5\r\nab");
		succeed(&c);
		close(fd);
		expect_message(&c.stage, RF_MSG_CLOSE);
		if (i == 3) {
			fds = vault_descriptors(&c);
			memory = front_backed(&c);
		}
	}
	assert_int_equal(vault_descriptors(&c), fds);
	assert_true(front_backed(&c) <= memory + 64 * 1024);
	dismiss(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			connections_outlive_any_number_of_network_children),
		cmocka_unit_test(
			a_dead_vault_is_replaced_from_the_network_child),
		cmocka_unit_test(when_both_die_the_business_side_is_told),
		cmocka_unit_test(
			a_vault_that_does_not_answer_makes_nobody_later),
		cmocka_unit_test(
			connections_that_kill_whoever_resumes_them_are_dropped),
		cmocka_unit_test(a_slow_reader_whose_requests_wait_is_resumed),
		cmocka_unit_test(
			connections_outlive_a_death_without_a_spare_descriptor),
		cmocka_unit_test(deaths_leave_no_descriptor_and_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
