/* SPDX-License-Identifier: MIT */
/* probe.c -- what one client waits for, while the server dies around it.
 *
 *   probe PORT RATE SECONDS
 *
 * Sends INCR at a fixed rate over one connection and prints, for each request,
 * when it was due (seconds since the start) and how long after that its reply
 * was there (microseconds). A request that is due while nobody answers waits:
 * an outage counts for all whom it would have met, not for one.
 *
 * A lost connection is made again and the request sent again, as a client
 * would; so is one that is answered with -LOADING. The first line is the start
 * on CLOCK_MONOTONIC, the last one "end", the connections lost, the replies
 * and the counter's last value.
 */
#include "measure.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#define RETRY_NS 500000

static const char incr[] = "*2\r\n$4\r\nINCR\r\n$11\r\nbench:probe\r\n";

static struct sockaddr_in to = {.sin_family = AF_INET};
static int fd = -1;
static long lost;

static void sleep_until(double at_ns)
{
	const struct timespec at = {
		.tv_sec = (time_t)(at_ns / 1e9),
		.tv_nsec = (long)(at_ns - (double)(time_t)(at_ns / 1e9) * 1e9),
	};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static void connect_anew(void)
{
	const int on = 1;

	for (;;) {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0)
			give_up("socket", -errno);
		if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
			break;
		close(fd);
		sleep_until(now_ns() + RETRY_NS);
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* One line; false when the connection has ended. */
static bool ask(char *line, size_t bytes)
{
	size_t n = 0;

	if (send(fd, incr, strlen(incr), MSG_NOSIGNAL) != (ssize_t)strlen(incr))
		return false;
	do {
		ssize_t got = recv(fd, line + n, bytes - 1 - n, 0);

		if (got <= 0)
			return false;
		n += (size_t)got;
	} while (line[n - 1] != '\n' && n < bytes - 1);
	line[n] = '\0';
	return true;
}

/* Until there is a number. */
static long long count_one(void)
{
	char line[256];

	for (;;) {
		if (!ask(line, sizeof line)) {
			lost++;
			close(fd);
			connect_anew();
		} else if (line[0] == ':') {
			return atoll(line + 1);
		} else {
			sleep_until(now_ns() + RETRY_NS);
		}
	}
}

int main(int argc, char **argv)
{
	double start, period;
	long count;
	long long last = 0;

	if (argc != 4) {
		fprintf(stderr, "probe PORT RATE SECONDS\n");
		return 64;
	}
	to.sin_port = htons((uint16_t)atoi(argv[1]));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	period = 1e9 / atof(argv[2]);
	count = (long)(atof(argv[3]) * atof(argv[2]));
	connect_anew();
	start = now_ns();
	printf("%.6f\n", start / 1e9);
	fflush(stdout);
	for (long i = 0; i < count; i++) {
		double due = start + (double)i * period;

		if (due > now_ns())
			sleep_until(due);
		last = count_one();
		printf("%.4f %.1f\n", (due - start) / 1e9,
			(now_ns() - due) / 1e3);
	}
	printf("end %ld %ld %lld\n", lost, count, last);
	return 0;
}
