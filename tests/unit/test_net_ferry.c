/* SPDX-License-Identifier: MIT */
/* test_net_ferry.c -- connections go from one daemon to the next, whoever is
 * killed on the way.
 *
 * The first daemon is a network child alone; it leaves. Its channel is handed
 * over as the service manager would, and a vault with network children plays
 * the next daemon. Clients must get exactly the bytes that were replied, the
 * business side exactly the requests that were sent, each once. */
#include "net_keeper.h"
#include "net_unix.h"

#include "worker/network/front.h"
#include "worker/network/network.h"

#include <fcntl.h>
#include <time.h>

#define BIG_BYTES ((size_t)3 << 20)
#define SPAN_MAX  3000 /* instructions between two system calls, about */
#define OFTEN	  30

static uint8_t big[BIG_BYTES];

/* ---- the first daemon and its clients ---- */

enum { IDLE, ASKED, HALF, BEHIND, GONE, QUITS, CLIENTS };

struct scene {
	struct stage stage;
	int fds[CLIENTS];
	uint64_t conns[CLIENTS];
};

/* All have come; what they have sent is in the ring or in the front. */
static void begin(struct scene *sc, bool by_unix)
{
	struct stage *s = &sc->stage;

	stage_set(s, NULL);
	stage_listen_unix(s);
	stage_fork(s);
	expect_message(s, RF_MSG_RESET);
	for (int i = 0; i < CLIENTS; i++) {
		sc->fds[i] = by_unix == (i % 2 == 0) ? dial_unix() : dial(s);
		sc->conns[i] = expect_message(s, RF_MSG_OPEN).head.conn_id;
	}
	say(sc->fds[ASKED], "PING\r\n");
	assert_int_equal(expect_request(s, "PING"), sc->conns[ASKED]);
	say(sc->fds[BEHIND], "GET big\r\n");
	assert_int_equal(expect_request(s, "GET|big"), sc->conns[BEHIND]);
	post_bytes(s, sc->conns[BEHIND], RF_MSG_REPLY, 0, big, BIG_BYTES);
	say(sc->fds[HALF], "GET a\r\n*2\r\n$3\r\nGET\r\n$1");
	assert_int_equal(expect_request(s, "GET|a"), sc->conns[HALF]);
	reply(s, sc->conns[HALF], "$-1\r\n");
	hear(sc->fds[HALF], "$-1\r\n");
	release_requests(s);
}

static void order_to_leave(struct scene *sc)
{
	struct rf_front_shm *front =
		(struct rf_front_shm *)sc->stage.channel.front.base;

	__atomic_store_n(&front->leave, 1, __ATOMIC_RELEASE);
	kill(sc->stage.pid, SIGTERM);
}

/* What happens while nobody is there. */
static void meanwhile(struct scene *sc)
{
	say(sc->fds[GONE], "LAST\r\n");
	close(sc->fds[GONE]);
	say(sc->fds[IDLE], "EARLY\r\n");
	reply(&sc->stage, sc->conns[ASKED], "+PONG\r\n");
}

/* The channel as the service manager hands it to the next daemon. */
static int hand_over(struct scene *sc)
{
	struct rf_channel *ch = &sc->stage.channel;
	size_t request = ch->request.large_max_bytes;
	size_t reply_max = ch->reply.large_max_bytes;
	struct rf_channel_kept kept;
	const char *why;
	int rc;

	assert_int_equal(rf_segment_share(&ch->seg, &kept.channel), 0);
	assert_int_equal(rf_segment_share(&ch->front, &kept.front), 0);
	kept.ferry = fcntl(ch->ferry[0], F_DUPFD_CLOEXEC, 0);
	rf_channel_destroy(ch);
	rc = rf_channel_adopt(ch, &kept, request, reply_max, &why);
	close(kept.channel);
	close(kept.front);
	if (rc)
		close(kept.ferry);
	return rc;
}

static void go_on_after(struct scene *sc)
{
	static uint8_t got[BIG_BYTES];
	struct stage *s = &sc->stage;
	bool closed = false, early = false, last = false;

	while (!closed || !early || !last) {
		struct message msg = take_message(s);

		if (msg.head.type == RF_MSG_CLOSE) {
			assert_int_equal(msg.head.conn_id, sc->conns[GONE]);
			assert_true(last && !closed);
			closed = true;
		} else if (msg.head.conn_id == sc->conns[IDLE]) {
			expect_arguments(&msg, "EARLY");
			assert_false(early);
			early = true;
		} else {
			expect_arguments(&msg, "LAST");
			assert_false(last);
			last = true;
			reply(s, sc->conns[GONE], "+OK\r\n");
		}
	}
	reply(s, sc->conns[IDLE], "+OK\r\n");
	hear(sc->fds[IDLE], "+OK\r\n");
	hear(sc->fds[ASKED], "+PONG\r\n");
	say(sc->fds[HALF], "\r\nb\r\n");
	assert_int_equal(expect_request(s, "GET|b"), sc->conns[HALF]);
	reply(s, sc->conns[HALF], "$1\r\nx\r\n");
	hear(sc->fds[HALF], "$1\r\nx\r\n");
	assert_int_equal(
		recv(sc->fds[BEHIND], got, BIG_BYTES, MSG_WAITALL), BIG_BYTES);
	assert_memory_equal(got, big, BIG_BYTES);
	say(sc->fds[QUITS], "QUIT\r\n");
	expect_request(s, "QUIT");
	post(s, sc->conns[QUITS], RF_MSG_REPLY, RF_MSG_LAST_WORD, "+BYE\r\n");
	hear(sc->fds[QUITS], "+BYE\r\n");
	/* Nobody else has it open any more: its end is heard. */
	hear_end(sc->fds[QUITS]);
	assert_int_equal(
		expect_message(s, RF_MSG_CLOSE).head.conn_id, sc->conns[QUITS]);
	assert_false(has_message(s));
}

static void part(struct scene *sc)
{
	const int open[] = {IDLE, ASKED, HALF, BEHIND};

	for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++)
		close(sc->fds[open[i]]);
}

/* ---- the next daemon ---- */

/* A network child, stopped before its first instruction. */
static pid_t bear(struct service *service, pid_t vault)
{
	const long options =
		PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE;
	const struct spawn how = {.scene = &service->status->scenes[0]};
	pid_t child = 0, pid;
	bool told = false;
	int status;

	if (ptrace(PTRACE_SEIZE, vault, NULL, options))
		_exit(6);
	give(service, RF_ORDER_NETWORK, &how);
	while (!child || !told) {
		pid = waitpid(-1, &status, __WALL);
		if (pid < 0 || !WIFSTOPPED(status))
			_exit(7);
		if (pid != vault)
			child = pid;
		else if (status >> 16)
			told = true;
		else
			ptrace(PTRACE_CONT, vault, NULL, NULL);
	}
	ptrace(PTRACE_DETACH, vault, NULL, NULL);
	return child;
}

_Noreturn static void next_daemon(
	struct stage *s, struct plan plan, int *deaths)
{
	static struct service service;
	bool lives = true;
	int status;
	pid_t pid;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pid = bear(&service, keeper_fork_vault(s, &service));
	for (int i = 0; lives && i < plan.calls; i++)
		lives = keeper_resume(pid, PTRACE_SYSCALL, &status);
	for (int i = 0; lives && i < plan.steps; i++)
		lives = keeper_resume(pid, PTRACE_SINGLESTEP, &status);
	kill(pid, SIGKILL);
	waitpid(pid, &status, __WALL);
	for (;;) {
		(*deaths)++;
		pid = keeper_fork_network(s, &service, false);
		if (plan.again_us) {
			usleep((useconds_t)plan.again_us);
			plan.again_us = 0;
			kill(pid, SIGKILL);
		}
		waitpid(pid, &status, 0);
	}
}

/* Returns how many network children died before all was done. */
static int land(struct scene *sc, struct plan plan)
{
	struct keeper k = {.plan = plan};
	int deaths;

	k.deaths = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	k.pid = fork();
	assert_true(k.pid >= 0);
	if (k.pid == 0)
		next_daemon(&sc->stage, plan, k.deaths);
	go_on_after(sc);
	deaths = *k.deaths;
	part(sc);
	keeper_end(&sc->stage, &k);
	return deaths;
}

static void cross(struct scene *sc, bool by_unix)
{
	begin(sc, by_unix);
	order_to_leave(sc);
	assert_int_equal(stage_reap(&sc->stage), RF_CHILD_EXIT_ASKED);
	assert_true(rf_channel_is_afloat(&sc->stage.channel));
	meanwhile(sc);
	assert_int_equal(hand_over(sc), 0);
}

/* ---- tests ---- */

static void connections_go_on_in_the_next_daemon(void **state)
{
	struct scene sc;

	(void)state;
	for (int i = 0; i < 4; i++) {
		cross(&sc, i % 2);
		assert_int_equal(land(&sc, (struct plan){.calls = 1 << 30}), 0);
	}
}

static void a_death_at_any_system_call_of_the_landing_is_not_seen(void **state)
{
	struct scene sc;
	int calls = 1 + (int)(time(NULL) % 5), deaths;

	(void)state;
	do {
		cross(&sc, calls % 2);
		deaths = land(&sc, (struct plan){.calls = calls});
		calls += 5;
	} while (deaths > 0);
	print_message("%d system call stops\n", calls);
	assert_true(calls > 100);
}

static void a_death_at_any_instruction_of_the_landing_is_not_seen(void **state)
{
	unsigned seed = (unsigned)time(NULL);
	struct scene sc;

	(void)state;
	print_message("seed %u\n", seed);
	srandom(seed);
	for (int i = 0; i < OFTEN; i++) {
		cross(&sc, i % 2);
		land(&sc,
			(struct plan){
				.calls = 20 + (int)(random() % 180),
				.steps = 1 + (int)(random() % SPAN_MAX),
				.again_us =
					i % 2 ? 0 : 1 + (int)(random() % 3000),
			});
	}
}

/* Up to the instant at which it is killed. Signals are passed on. */
static bool leave_for(pid_t pid, int calls, int *status)
{
	int number = 0;

	while (calls-- > 0) {
		if (ptrace(PTRACE_SYSCALL, pid, NULL, (long)number) ||
			waitpid(pid, status, __WALL) != pid ||
			!WIFSTOPPED(*status))
			return false;
		number = WSTOPSIG(*status) == SIGTERM ? SIGTERM : 0;
	}
	return true;
}

static void hear_all_end(struct scene *sc)
{
	static uint8_t got[BIG_BYTES];

	recv(sc->fds[BEHIND], got, BIG_BYTES, MSG_WAITALL);
	for (int i = 0; i < CLIENTS; i++)
		hear_end(sc->fds[i]);
}

/* They go on, all of them, or end, all of them. Returns whether it ended
 * before it could be killed. */
static bool leave_and_die(int calls, int *crossed)
{
	struct scene sc;
	int status, rc;
	bool killed;

	begin(&sc, calls % 2);
	assert_int_equal(ptrace(PTRACE_SEIZE, sc.stage.pid, NULL, NULL), 0);
	assert_int_equal(ptrace(PTRACE_INTERRUPT, sc.stage.pid, NULL, NULL), 0);
	assert_int_equal(waitpid(sc.stage.pid, &status, __WALL), sc.stage.pid);
	order_to_leave(&sc);
	killed = leave_for(sc.stage.pid, calls, &status);
	if (killed) {
		kill(sc.stage.pid, SIGKILL);
		waitpid(sc.stage.pid, &status, __WALL);
	}
	if (!rf_channel_is_afloat(&sc.stage.channel)) {
		rc = hand_over(&sc);
		assert_int_equal(rc, -EBADMSG);
		hear_all_end(&sc);
		close(sc.stage.child.bell_supervisor);
		for (int i = 0; i < sc.stage.child.listen_count; i++)
			close(sc.stage.child.listen_fds[i]);
		rf_status_destroy(sc.stage.child.status);
		return !killed;
	}
	(*crossed)++;
	meanwhile(&sc);
	assert_int_equal(hand_over(&sc), 0);
	assert_int_equal(land(&sc, (struct plan){.calls = 1 << 30}), 0);
	return !killed;
}

static void a_death_amid_the_leave_ends_all_connections_or_none(void **state)
{
	int crossed = 0, calls = 1;

	(void)state;
	while (!leave_and_die(calls, &crossed))
		calls++;
	print_message("%d system call stops, %d crossed\n", calls, crossed);
	assert_true(calls > 20);
	assert_true(crossed >= 1 && crossed < calls);
}

static void who_cannot_leave_its_connections_finishes_them(void **state)
{
	struct scene sc;

	(void)state;
	stage_set(&sc.stage, NULL);
	close(sc.stage.channel.ferry[1]);
	sc.stage.channel.ferry[1] = -1;
	stage_listen_unix(&sc.stage);
	stage_fork(&sc.stage);
	expect_message(&sc.stage, RF_MSG_RESET);
	sc.conns[0] = meet(&sc.stage, &sc.fds[0]);
	sc.conns[1] = meet(&sc.stage, &sc.fds[1]);
	say(sc.fds[0], "PING\r\n");
	expect_request(&sc.stage, "PING");
	release_requests(&sc.stage);
	rf_log_set_level(RF_LOG_ERROR);
	order_to_leave(&sc);
	hear_end(sc.fds[1]);
	reply(&sc.stage, sc.conns[0], "+PONG\r\n");
	hear(sc.fds[0], "+PONG\r\n");
	hear_end(sc.fds[0]);
	assert_int_equal(stage_reap(&sc.stage), RF_CHILD_EXIT_ASKED);
	assert_false(rf_channel_is_afloat(&sc.stage.channel));
	stage_fini(&sc.stage);
}

/* What a program with another layout left is not even looked at. */
static void what_another_program_noted_is_dropped(void **state)
{
	struct scene sc;
	struct front *front;

	(void)state;
	cross(&sc, false);
	front = front_of(&sc.stage.channel);
	memset(&front->shm + 1, 0xa5, sizeof(*front) - sizeof(front->shm));
	memset(front_conns(&sc.stage.channel), 0x5a,
		CLIENTS * sizeof(struct conn));
	front->shm.layout++;
	stage_fork(&sc.stage);
	for (int i = 0; i < CLIENTS; i++)
		if (i != GONE && i != BEHIND)
			hear_end(sc.fds[i]);
	close(sc.fds[BEHIND]);
	expect_message(&sc.stage, RF_MSG_RESET);
	sc.conns[0] = meet(&sc.stage, &sc.fds[0]);
	say(sc.fds[0], "PING\r\n");
	assert_int_equal(expect_request(&sc.stage, "PING"), sc.conns[0]);
	reply(&sc.stage, sc.conns[0], "+PONG\r\n");
	hear(sc.fds[0], "+PONG\r\n");
	close(sc.fds[0]);
	stage_end(&sc.stage);
}

static int set_up(void **state)
{
	(void)state;
	for (size_t i = 0; i < BIG_BYTES; i++)
		big[i] = (uint8_t)(i * 2654435761u >> 13);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connections_go_on_in_the_next_daemon),
		cmocka_unit_test(
			a_death_at_any_system_call_of_the_landing_is_not_seen),
		cmocka_unit_test(
			a_death_at_any_instruction_of_the_landing_is_not_seen),
		cmocka_unit_test(
			a_death_amid_the_leave_ends_all_connections_or_none),
		cmocka_unit_test(
			who_cannot_leave_its_connections_finishes_them),
		cmocka_unit_test(what_another_program_noted_is_dropped),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
