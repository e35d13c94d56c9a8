/* SPDX-License-Identifier: MIT */
/* bench_ipc.c -- refork's ring beside the other ways between two processes.
 *
 *   bench_ipc        one round of everything, a line each:
 *                    WAY;CORES;BYTES;MESSAGES_PER_SECOND;P50_US;P99_US
 *   bench_ipc ways   the names, and how each hands messages over
 *
 * One way: the parent sends for a while, the child receives. Round trip: a
 * message there and one of the same size back. Every byte of every message is
 * written by its sender and summed by its receiver, and the sums must agree.
 */
#include "ipc_box.h"
#include "ipc_kernel.h"
#include "ipc_ring.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define TRIPS_MAX 400000

enum word { WORD_GO, WORD_BEGIN, WORD_END };

static const struct way ways[] = {
	{"refork's ring", "16 published at once, bell when the other sleeps",
		ring_make, ring_place, ring_push, ring_next, ring_taken,
		ring_unmake},
	{"refork's ring, spinning", "16 published at once, nobody sleeps",
		spin_make, ring_place, ring_push, ring_next, ring_taken,
		ring_unmake},
	{"refork's ring in a mapped file", "as the first", file_make,
		ring_place, ring_push, ring_next, ring_taken, file_unmake},
	{"shared memory, semaphores", "64 boxes, one at a time", boxes_make,
		sem_place, sem_push, sem_next, sem_taken, boxes_unmake},
	{"shared memory, futex", "one box, to and fro", futex_make, box_place,
		box_push, box_next, box_taken_back, boxes_unmake},
	{"shared memory, eventfd", "one box, to and fro", event_make, box_place,
		box_push, box_next, box_taken_back, event_unmake},
	{"pipe", "16 a write, 64 KiB a read", pipe_make, buffer_place,
		stream_push, stream_next, buffer_taken, pairs_unmake},
	{"FIFO", "as the pipe", fifo_make, buffer_place, stream_push,
		stream_next, buffer_taken, pairs_unmake},
	{"UNIX socket, stream", "as the pipe", unix_stream_make, buffer_place,
		stream_push, stream_next, buffer_taken, pairs_unmake},
	{"UNIX socket, seqpacket", "16 a sendmmsg, 16 a recvmmsg",
		seqpacket_make, buffer_place, packets_push, packets_next,
		buffer_taken, pairs_unmake},
	{"POSIX message queue", "one a call, 10 in the queue", mq_make,
		buffer_place, mq_push, mq_next, mq_taken, mq_unmake},
	{"System V message queue", "one a call, 16 KiB in the queue", sysv_make,
		sysv_place, sysv_push, sysv_next, mq_taken, sysv_remove},
};

static const size_t sizes[] = {64, 512, MESSAGE_BYTES};

static struct shared {
	double begin_ns, end_ns;
	uint64_t received, sum;
} * shared;

static double trip_ns[TRIPS_MAX];

static void pin(int core)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)core, &set);
	must(sched_setaffinity(0, sizeof set, &set) == 0, "pin to a core");
}

/* ---- the work ---- */

static uint64_t fill(uint64_t *at, size_t bytes, uint64_t word, uint64_t seed)
{
	uint64_t sum = seed;

	at[0] = word;
	at[1] = seed;
	for (size_t i = 2; i < bytes / 8; i++)
		sum += at[i] = seed + i;
	return sum;
}

static uint64_t sum_of(const uint64_t *at, size_t bytes)
{
	uint64_t sum = 0;

	for (size_t i = 1; i < bytes / 8; i++)
		sum += at[i];
	return sum;
}

static uint64_t send_one(const struct way *way, int side, size_t bytes,
	uint64_t word, uint64_t seed, bool now)
{
	uint64_t sum = fill(way->place(side, bytes), bytes, word, seed);

	way->push(side, bytes, now);
	return sum;
}

static uint64_t receive_one(
	const struct way *way, int side, size_t bytes, uint64_t *sum)
{
	const uint64_t *message = way->next(side, bytes);
	uint64_t word = message[0];

	*sum += sum_of(message, bytes);
	way->taken(side, bytes);
	return word;
}

/* ---- the child ---- */

static void receive_all(const struct way *way, size_t bytes)
{
	uint64_t word, count = 0, sum = 0;

	do {
		word = receive_one(way, 1, bytes, &sum);
		count++;
		if (word == WORD_BEGIN) {
			shared->begin_ns = now_ns();
			count = 0;
		}
	} while (word != WORD_END);
	shared->end_ns = now_ns();
	shared->received = count;
	shared->sum = sum;
}

static void answer_all(const struct way *way, size_t bytes)
{
	uint64_t word, seed = 0, sum = 0;

	do {
		word = receive_one(way, 1, bytes, &sum);
		send_one(way, 1, bytes, word, seed++, true);
	} while (word != WORD_END);
	shared->sum = sum;
}

static pid_t fork_child(const struct way *way, size_t bytes, int core)
{
	pid_t child;

	fflush(stdout);
	child = fork();
	must(child >= 0, "fork");
	if (child > 0)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	pin(core);
	if (way_one_way)
		receive_all(way, bytes);
	else
		answer_all(way, bytes);
	_exit(0);
}

static void join_child(const struct way *way, pid_t child, uint64_t sum)
{
	int status;

	must(waitpid(child, &status, 0) == child, "waitpid");
	if (status != 0 || shared->sum != sum) {
		way->unmake();
		fprintf(stderr, "%s: the receiver read what nobody sent\n",
			way->name);
		exit(1);
	}
	way->unmake();
}

/* ---- the parent ---- */

static double one_way_per_s(const struct way *way, size_t bytes, int core,
	double warm_ns, double ns)
{
	uint64_t seed = 0, sum = 0;
	pid_t child;
	double until;

	way_one_way = true;
	way->make();
	child = fork_child(way, bytes, core);
	until = now_ns() + warm_ns;
	for (int phase = 0; phase < 2; phase++) {
		while (now_ns() < until)
			for (int i = 0; i < BATCH; i++)
				sum += send_one(
					way, 0, bytes, WORD_GO, seed++, false);
		sum += send_one(way, 0, bytes, phase ? WORD_END : WORD_BEGIN,
			seed++, phase);
		until = now_ns() + ns;
	}
	join_child(way, child, sum);
	return (double)shared->received * 1e9 /
	       (shared->end_ns - shared->begin_ns);
}

static void round_trips(const struct way *way, size_t bytes, int core,
	double warm_ns, double ns, double out_us[2])
{
	uint64_t seed = 0, sum = 0, sum_back = 0;
	double from, warm_until, until;
	size_t count = 0;
	pid_t child;

	way_one_way = false;
	way->make();
	child = fork_child(way, bytes, core);
	from = now_ns();
	warm_until = from + warm_ns;
	until = warm_until + ns;
	while ((from < until || count == 0) && count < TRIPS_MAX) {
		double to;

		sum += send_one(way, 0, bytes, WORD_GO, seed++, true);
		receive_one(way, 0, bytes, &sum_back);
		to = now_ns();
		if (from >= warm_until)
			trip_ns[count++] = to - from;
		from = to;
	}
	sum += send_one(way, 0, bytes, WORD_END, seed++, true);
	receive_one(way, 0, bytes, &sum_back);
	join_child(way, child, sum);
	qsort(trip_ns, count, sizeof trip_ns[0], by_value);
	out_us[0] = trip_ns[count / 2] / 1e3;
	out_us[1] = trip_ns[count * 99 / 100] / 1e3;
}

static void measure(const struct way *way, int cores, size_t bytes)
{
	double ns = is_quick() ? 2e6 : 50e6, warm_ns = ns / 10;
	double per_s, us[2];

	way_one_core = cores == 1;
	per_s = one_way_per_s(way, bytes, cores - 1, warm_ns, ns);
	round_trips(way, bytes, cores - 1, warm_ns, ns, us);
	printf("%s;%d;%zu;%.0f;%.3f;%.3f\n", way->name, cores, bytes, per_s,
		us[0], us[1]);
}

static void on_end(int number)
{
	sysv_remove();
	_exit(128 + number);
}

int main(int argc, char **argv)
{
	int cores_max = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 2 : 1;

	if (argc > 1 && strcmp(argv[1], "ways") == 0) {
		for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
			printf("%s;%s\n", ways[i].name, ways[i].hands_over);
		return 0;
	}
	signal(SIGINT, on_end);
	signal(SIGTERM, on_end);
	atexit(sysv_remove);
	shared = share(sizeof *shared);
	pin(0);
	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
		for (int cores = 1; cores <= cores_max; cores++)
			for (size_t s = 0; s < sizeof sizes / sizeof sizes[0];
				s++)
				measure(&ways[i], cores, sizes[s]);
	return 0;
}
