/* SPDX-License-Identifier: MIT */
/* net_stage.h -- a real network child between a played business side and
 * played clients. Nothing waits longer than WAIT_MS. */
#ifndef NET_STAGE_H
#define NET_STAGE_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include "child.h"
#include "conf/conf.h"
#include <arpa/inet.h>
#include <poll.h>
#include <refork/log.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_MS	      10000
#define OVERRIDES_MAX 8

struct stage {
	struct conf conf;
	struct rf_channel channel;
	struct rf_segment arena;
	struct rf_child child;
	uint16_t port;
	pid_t pid;
	rlim_t fd_limit; /* 0: as it is */
	uint64_t request_at, reply_at;
};

struct message { /* taken off the request ring */
	struct rf_msg head;
	const uint8_t *payload; /* until the next is taken */
};

/* ---- the network child ---- */

static inline void await_bell(int bell)
{
	struct pollfd ringing = {.fd = bell, .events = POLLIN};
	uint64_t count;

	assert_int_equal(poll(&ringing, 1, WAIT_MS), 1);
	assert_int_equal(read(bell, &count, sizeof(count)), sizeof(count));
}

_Noreturn static inline void play_network(struct stage *s)
{
	struct rlimit files = {s->fd_limit, s->fd_limit};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	rf_log_identify("stage", "network", 0);
	if (s->fd_limit)
		setrlimit(RLIMIT_NOFILE, &files);
	network_main(&s->child);
}

static inline void stage_fork(struct stage *s)
{
	s->child.status->network.ready = 0;
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0)
		play_network(s);
	await_bell(s->child.bell_supervisor);
	assert_int_equal(s->child.status->network.ready, s->pid);
}

static inline void stage_listen(struct stage *s)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t bytes = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 511), 0);
	getsockname(fd, (struct sockaddr *)&at, &bytes);
	s->port = ntohs(at.sin_port);
	s->child.listen_fds[0] = fd;
	s->child.listen_names[0] = "127.0.0.1:0";
	s->child.listen_count = 1;
}

/* Everything but the child itself. `overrides` ends with NULL. */
static inline void stage_set(struct stage *s, const char *const *overrides)
{
	struct conf_override list[OVERRIDES_MAX];
	int count = 0;

	memset(s, 0, sizeof(*s));
	signal(SIGPIPE, SIG_IGN);
	rf_log_identify("stage", "test", 0);
	for (; overrides && overrides[count]; count++)
		list[count].text = overrides[count];
	assert_int_equal(conf_load(&s->conf, NULL, list, count, stderr), 0);
	rf_log_set_level(RF_LOG_ERROR);
	assert_int_equal(rf_channel_create(&s->channel, "stage",
				 s->conf.network.max_request_bytes,
				 s->conf.network.max_reply_bytes),
		0);
	s->arena.fd = -1;
	s->child = (struct rf_child){.conf = &s->conf,
		.arena = &s->arena,
		.channel = &s->channel,
		.status = rf_status_create(),
		.bell_supervisor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
	s->child.status->supervisor.business_pid = 1;
	s->child.status->business.serving_pid = 1;
	stage_listen(s);
}

static inline void stage_start(struct stage *s, const char *const *overrides)
{
	stage_set(s, overrides);
	stage_fork(s);
}

static inline int stage_reap(struct stage *s)
{
	int status = 0;

	for (int ms = 0; ms < WAIT_MS; ms++) {
		if (waitpid(s->pid, &status, WNOHANG) == s->pid)
			return status;
		usleep(1000);
	}
	fail_msg("the network child does not end");
	return status;
}

static inline void stage_kill(struct stage *s)
{
	kill(s->pid, SIGKILL);
	stage_reap(s);
}

static inline void stage_fini(struct stage *s)
{
	for (int i = 0; i < s->child.listen_count; i++)
		close(s->child.listen_fds[i]);
	close(s->child.bell_supervisor);
	rf_status_destroy(s->child.status);
	rf_channel_destroy(&s->channel);
}

static inline void stage_end(struct stage *s)
{
	stage_kill(s);
	stage_fini(s);
}

/* ---- the business side ---- */

static inline void release_requests(struct stage *s)
{
	if (rf_ring_release(&s->channel.request.ring, s->request_at))
		rf_bell_ring(s->channel.bell_network);
}

static inline bool has_message(struct stage *s)
{
	struct rf_msg head;

	return rf_ring_peek(&s->channel.request.ring, s->request_at, &head) > 0;
}

/* Waits for it the way the business child does. */
static inline struct message take_message(struct stage *s)
{
	struct rf_ring *ring = &s->channel.request.ring;
	struct message got;
	int found;

	release_requests(s);
	while ((found = rf_ring_peek(ring, s->request_at, &got.head)) == 0)
		if (rf_ring_sleep(ring, s->request_at))
			await_bell(s->channel.bell_business);
	rf_ring_awake(ring);
	assert_int_equal(found, 1);
	got.payload = got.head.flags & RF_MSG_LARGE
			      ? s->channel.request.large
			      : rf_ring_payload(ring, s->request_at);
	s->request_at += got.head.ring_bytes;
	return got;
}

static inline struct message expect_message(
	struct stage *s, enum rf_msg_type type)
{
	struct message got = take_message(s);

	assert_int_equal(got.head.type, type);
	return got;
}

/* The arguments, joined by '|'. */
static inline void expect_arguments(const struct message *got, const char *want)
{
	const uint32_t *lengths = (const uint32_t *)got->payload + 1;
	uint32_t argc = lengths[-1];
	const uint8_t *from = (const uint8_t *)(lengths + argc);
	char text[1024];
	size_t at = 0;

	for (uint32_t i = 0; i < argc; from += lengths[i++]) {
		assert_true(lengths[i] < sizeof(text) - at - 2);
		if (i)
			text[at++] = '|';
		memcpy(text + at, from, lengths[i]);
		at += lengths[i];
	}
	text[at] = '\0';
	assert_string_equal(text, want);
	assert_int_equal(from - got->payload, got->head.payload_bytes);
}

/* The connection that it came from. */
static inline uint64_t expect_request(struct stage *s, const char *want)
{
	struct message got = expect_message(s, RF_MSG_REQUEST);

	expect_arguments(&got, want);
	return got.head.conn_id;
}

static inline void await_reply_room(struct stage *s, size_t need)
{
	struct rf_ring *ring = &s->channel.reply.ring;

	while (rf_ring_room(ring, s->reply_at) < need)
		if (rf_ring_wait_room(ring, s->reply_at, need))
			await_bell(s->channel.bell_business);
}

static inline void post_bytes(struct stage *s, uint64_t conn,
	enum rf_msg_type type, unsigned flags, const void *bytes, size_t count)
{
	struct rf_lane *lane = &s->channel.reply;
	bool large = count > RF_RING_PAYLOAD_MAX;
	struct rf_msg head = {
		.ring_bytes = (uint32_t)rf_ring_need(large ? 0 : count),
		.type = (uint16_t)type,
		.flags = (uint16_t)(flags | (large ? RF_MSG_LARGE : 0)),
		.conn_id = conn,
		.payload_bytes = count};
	struct rf_msg *msg;

	/* The large area is free when all before has been taken. */
	await_reply_room(s, large ? lane->ring.size : head.ring_bytes);
	msg = rf_ring_slot(&lane->ring, s->reply_at);
	*msg = head;
	if (large)
		assert_int_equal(rf_lane_back(&s->channel, lane, count), 0);
	memcpy(large ? lane->large : (uint8_t *)(msg + 1), bytes, count);
	s->reply_at += head.ring_bytes;
	if (rf_ring_publish(&lane->ring, s->reply_at, true))
		rf_bell_ring(s->channel.bell_network);
}

/* As one message, from `off` of the large area on: `count` pushes, for one
 * connection after the other. */
static inline void post_pushes(struct stage *s, size_t off,
	const uint64_t *conns, unsigned conn_count, unsigned count,
	const void *bytes, size_t each)
{
	struct rf_lane *lane = &s->channel.reply;
	struct rf_msg push = {
		.ring_bytes = (uint32_t)rf_ring_need(each),
		.type = RF_MSG_PUSH,
		.payload_bytes = each,
	};
	struct rf_msg *msg;

	await_reply_room(s, lane->ring.size);
	assert_int_equal(
		rf_lane_back(&s->channel, lane, off + count * push.ring_bytes),
		0);
	for (unsigned i = 0; i < count; i++) {
		uint8_t *to = lane->large + off + i * push.ring_bytes;

		push.conn_id = conns[i % conn_count];
		memcpy(to, &push, sizeof(push));
		memcpy(to + sizeof(push), bytes, each);
	}
	msg = rf_ring_slot(&lane->ring, s->reply_at);
	*msg = (struct rf_msg){.ring_bytes = sizeof(*msg),
		.type = RF_MSG_PUSHES,
		.flags = RF_MSG_LARGE,
		.conn_id = off,
		.payload_bytes = count * push.ring_bytes};
	s->reply_at += msg->ring_bytes;
	if (rf_ring_publish(&lane->ring, s->reply_at, true))
		rf_bell_ring(s->channel.bell_network);
}

static inline void post(struct stage *s, uint64_t conn, enum rf_msg_type type,
	unsigned flags, const char *text)
{
	post_bytes(s, conn, type, flags, text, strlen(text));
}

static inline void reply(struct stage *s, uint64_t conn, const char *text)
{
	post(s, conn, RF_MSG_REPLY, 0, text);
}

/* ---- clients ---- */

static inline int dial(struct stage *s)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
		.sin_port = htons(s->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval limit = {.tv_sec = WAIT_MS / 1000};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static inline void say_bytes(int fd, const void *bytes, size_t count)
{
	const uint8_t *from = bytes;

	while (count) {
		ssize_t took = send(fd, from, count, 0);

		assert_true(took > 0);
		from += took;
		count -= (size_t)took;
	}
}

static inline void say(int fd, const char *text)
{
	say_bytes(fd, text, strlen(text));
}

static inline void hear(int fd, const char *want)
{
	char got[1024] = "";
	size_t bytes = strlen(want);

	assert_true(bytes < sizeof(got));
	assert_int_equal(recv(fd, got, bytes, MSG_WAITALL), bytes);
	assert_string_equal(got, want);
}

/* Nothing more comes, and the other side has closed. */
static inline void hear_end(int fd)
{
	char byte;

	assert_true(recv(fd, &byte, 1, 0) <= 0);
	close(fd);
}

static inline bool hears_nothing(int fd, int ms)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};

	return poll(&readable, 1, ms) == 0;
}

/* A new client, known to the business side. */
static inline uint64_t meet(struct stage *s, int *fd)
{
	*fd = dial(s);
	return expect_message(s, RF_MSG_OPEN).head.conn_id;
}

#endif
