/* SPDX-License-Identifier: MIT */
/* ipc_kernel.h -- messages that the kernel carries: pipes, sockets, queues.
 *
 * A byte stream is written up to 16 messages at a time and read 64 KiB at a
 * time; a socket that keeps messages apart sends and takes up to 16 with one
 * system call; a message queue has a system call for each.
 */
#ifndef IPC_KERNEL_H
#define IPC_KERNEL_H

#include "ipc_way.h"
#include <fcntl.h>
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define READ_BYTES (BATCH * MESSAGE_BYTES)

static int out_fd[2], in_fd[2]; /* by side */
static _Alignas(64) uint8_t outgoing[READ_BYTES];
static _Alignas(64) uint8_t incoming[READ_BYTES];
static size_t out_bytes, in_from, in_to;
static unsigned in_count; /* messages, where they are kept apart */

static void *buffer_place(int side, size_t bytes)
{
	(void)side;
	(void)bytes;
	return outgoing + out_bytes;
}

static void fds_ready(void)
{
	out_bytes = in_from = in_to = in_count = 0;
}

/* ---- byte streams ---- */

static void stream_flush(int side)
{
	size_t done = 0;

	while (done < out_bytes) {
		ssize_t n =
			write(out_fd[side], outgoing + done, out_bytes - done);

		must(n > 0, "write");
		done += (size_t)n;
	}
	out_bytes = 0;
}

static void stream_push(int side, size_t bytes, bool now)
{
	out_bytes += bytes;
	if (now || out_bytes == BATCH * bytes)
		stream_flush(side);
}

static const void *stream_next(int side, size_t bytes)
{
	while (in_to - in_from < bytes) {
		ssize_t n;

		memmove(incoming, incoming + in_from, in_to - in_from);
		in_to -= in_from;
		in_from = 0;
		n = read(in_fd[side], incoming + in_to, READ_BYTES - in_to);
		must(n > 0, "read");
		in_to += (size_t)n;
	}
	return incoming + in_from;
}

static void buffer_taken(int side, size_t bytes)
{
	(void)side;
	in_from += bytes;
}

static void pipe_make(void)
{
	int forth[2], back[2];

	must(pipe2(forth, O_CLOEXEC) == 0 && pipe2(back, O_CLOEXEC) == 0,
		"pipe");
	out_fd[0] = forth[1];
	in_fd[1] = forth[0];
	out_fd[1] = back[1];
	in_fd[0] = back[0];
	fds_ready();
}

/* Each end is opened twice over, by its name: O_RDWR never waits. */
static void fifo_make(void)
{
	for (int side = 0; side < 2; side++) {
		char path[64];

		snprintf(path, sizeof path, "refork-bench-fifo-%d-%d",
			(int)getpid(), side);
		must(mkfifo(path, 0600) == 0, "mkfifo");
		in_fd[!side] = open(path, O_RDWR | O_CLOEXEC);
		out_fd[side] = open(path, O_WRONLY | O_CLOEXEC);
		must(unlink(path) == 0 && in_fd[!side] >= 0 &&
				out_fd[side] >= 0,
			"open a FIFO");
	}
	fds_ready();
}

static void pairs_unmake(void)
{
	for (int side = 0; side < 2; side++) {
		close(out_fd[side]);
		if (in_fd[side] != out_fd[side])
			close(in_fd[side]);
	}
}

static void socket_make(int type)
{
	int pair[2];

	must(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) == 0,
		"socketpair");
	for (int side = 0; side < 2; side++)
		out_fd[side] = in_fd[side] = pair[side];
	fds_ready();
}

static void unix_stream_make(void)
{
	socket_make(SOCK_STREAM);
}

static void seqpacket_make(void)
{
	socket_make(SOCK_SEQPACKET);
}

/* ---- messages kept apart ---- */

static struct mmsghdr *headers(uint8_t *buffer, size_t bytes)
{
	static struct mmsghdr all[BATCH];
	static struct iovec parts[BATCH];

	for (size_t i = 0; i < BATCH; i++) {
		parts[i] = (struct iovec){buffer + i * bytes, bytes};
		all[i] = (struct mmsghdr){
			.msg_hdr = {.msg_iov = &parts[i], .msg_iovlen = 1},
		};
	}
	return all;
}

static void packets_push(int side, size_t bytes, bool now)
{
	unsigned count, done = 0;

	out_bytes += bytes;
	if (!now && out_bytes < BATCH * bytes)
		return;
	count = (unsigned)(out_bytes / bytes);
	while (done < count) {
		int n = sendmmsg(out_fd[side], headers(outgoing, bytes) + done,
			count - done, 0);

		must(n > 0, "sendmmsg");
		done += (unsigned)n;
	}
	out_bytes = 0;
}

static const void *packets_next(int side, size_t bytes)
{
	if (in_from == in_to) {
		int n = recvmmsg(in_fd[side], headers(incoming, bytes), BATCH,
			MSG_WAITFORONE, NULL);

		must(n > 0, "recvmmsg");
		in_from = 0;
		in_to = (size_t)n * bytes;
	}
	return incoming + in_from;
}

/* ---- message queues ---- */

static void mq_make(void)
{
	/* What every user may have. */
	struct mq_attr attr = {.mq_maxmsg = 10, .mq_msgsize = MESSAGE_BYTES};

	for (int side = 0; side < 2; side++) {
		char name[64];

		snprintf(name, sizeof name, "/refork-bench-%d-%d",
			(int)getpid(), side);
		out_fd[side] = in_fd[!side] =
			mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
		must(out_fd[side] >= 0 && mq_unlink(name) == 0, "mq_open");
	}
	fds_ready();
}

static void mq_push(int side, size_t bytes, bool now)
{
	(void)now;
	must(mq_send(out_fd[side], (char *)outgoing, bytes, 0) == 0, "mq_send");
}

static const void *mq_next(int side, size_t bytes)
{
	ssize_t n =
		mq_receive(in_fd[side], (char *)incoming, MESSAGE_BYTES, NULL);

	must(n == (ssize_t)bytes, "mq_receive");
	return incoming;
}

static void mq_taken(int side, size_t bytes)
{
	(void)side;
	(void)bytes;
}

static void mq_unmake(void)
{
	for (int side = 0; side < 2; side++)
		mq_close(out_fd[side]);
}

static struct {
	long type;
	uint8_t bytes[MESSAGE_BYTES];
} sysv_out, sysv_in;

static int sysv_ids[2] = {-1, -1};

/* Nothing but this removes them. */
static void sysv_remove(void)
{
	for (int side = 0; side < 2; side++) {
		if (sysv_ids[side] >= 0)
			msgctl(sysv_ids[side], IPC_RMID, NULL);
		sysv_ids[side] = -1;
	}
}

static void sysv_make(void)
{
	for (int side = 0; side < 2; side++) {
		sysv_ids[side] = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
		must(sysv_ids[side] >= 0, "msgget");
	}
}

static void *sysv_place(int side, size_t bytes)
{
	(void)side;
	(void)bytes;
	return sysv_out.bytes;
}

static void sysv_push(int side, size_t bytes, bool now)
{
	(void)now;
	sysv_out.type = 1;
	if (msgsnd(sysv_ids[side], &sysv_out, bytes, 0) != 0)
		give_up("msgsnd", -errno);
}

static const void *sysv_next(int side, size_t bytes)
{
	if (msgrcv(sysv_ids[!side], &sysv_in, MESSAGE_BYTES, 0, 0) !=
		(ssize_t)bytes)
		give_up("msgrcv", -errno);
	return sysv_in.bytes;
}

#endif
