/* SPDX-License-Identifier: MIT */
/* death_to_reply.c -- how long a busy connection waits when the process dies.
 *
 *   death_to_reply PORT SIGNAL VALUES
 *
 * For each line on its input it makes one death and prints microseconds: who
 * writes the line says when the service is to die again.
 *
 * Before each death a byte of every page of the values of 1 MiB under the keys
 * bench:0 to bench:VALUES-1 is read: the process that is about to die has the
 * whole arena in its page tables, not only what its few requests needed.
 * One connection counts with INCR, back to back. Then, with a request on its
 * way, the business process is killed by this process, another request is sent,
 * and the sample is the time from the kill to the reply to that one: it cannot
 * have been worked on by the dead. That the numbers go on without a gap or a
 * repetition is checked along the way.
 */
#include "measure.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#define VALUE_PAGES 256
#define REST_NS	    60e6 /* of ordinary traffic between two deaths */

static int fd;
static char in[65536];
static size_t in_bytes, in_at;

static const char incr[] = "*2\r\n$4\r\nINCR\r\n$12\r\nbench:deaths\r\n";
static const char info[] = "*2\r\n$4\r\nINFO\r\n$6\r\nrefork\r\n";

static void send_all(const char *bytes)
{
	size_t count = strlen(bytes);

	if (send(fd, bytes, count, MSG_NOSIGNAL) != (ssize_t)count)
		give_up("send", -errno);
}

static char next_byte(void)
{
	if (in_at == in_bytes) {
		ssize_t n = recv(fd, in, sizeof in, 0);

		if (n <= 0)
			give_up("the connection ended", n == 0 ? 0 : -errno);
		in_bytes = (size_t)n;
		in_at = 0;
	}
	return in[in_at++];
}

static void read_line(char *line, size_t bytes)
{
	size_t n = 0;
	char c;

	while ((c = next_byte()) != '\n')
		if (c != '\r' && n < bytes - 1)
			line[n++] = c;
	line[n] = '\0';
}

static long long read_number(void)
{
	char line[256];

	read_line(line, sizeof line);
	if (line[0] != ':') {
		fprintf(stderr, "INCR was answered with '%s'\n", line);
		exit(1);
	}
	return atoll(line + 1);
}

static pid_t business_pid(void)
{
	char line[256];
	long left;
	pid_t pid = 0;

	send_all(info);
	read_line(line, sizeof line);
	left = atol(line + 1) + 2;
	while (left > 0) {
		size_t length;

		read_line(line, sizeof line);
		length = strlen(line);
		left -= (long)length + 2;
		if (strncmp(line, "business_pid:", 13) == 0)
			pid = atoi(line + 13);
	}
	if (pid <= 0)
		give_up("INFO names no business_pid", -ENOENT);
	return pid;
}

static void expect(long long *last)
{
	long long number = read_number();

	if (number != *last + 1) {
		fprintf(stderr, "%lld was followed by %lld\n", *last, number);
		exit(1);
	}
	*last = number;
}

/* The reply to each is "$1\r\n", a byte of any value, "\r\n". */
static void touch_value(int number)
{
	static char ask[VALUE_PAGES * 96];
	size_t bytes = 0;

	for (int page = 0; page < VALUE_PAGES; page++) {
		char key[32], at[32];
		int key_bytes = snprintf(key, sizeof key, "bench:%d", number);
		int at_bytes = snprintf(at, sizeof at, "%d", page * 4096);

		bytes += (size_t)snprintf(ask + bytes, sizeof ask - bytes,
			"*4\r\n$8\r\nGETRANGE\r\n$%d\r\n%s\r\n"
			"$%d\r\n%s\r\n$%d\r\n%s\r\n",
			key_bytes, key, at_bytes, at, at_bytes, at);
	}
	send_all(ask);
	for (int left = VALUE_PAGES * 7; left > 0; left--)
		next_byte();
}

static double sample_us(int signal_number, long long *last)
{
	pid_t pid = business_pid();
	double from = now_ns(), killed;

	while (now_ns() - from < REST_NS) {
		send_all(incr);
		expect(last);
	}
	send_all(incr);
	from = now_ns() + (double)(random_word() % 20000);
	while ((killed = now_ns()) < from)
		;
	if (kill(pid, signal_number) != 0)
		give_up("kill", -errno);
	send_all(incr);
	expect(last);
	expect(last);
	return (now_ns() - killed) / 1e3;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	const int on = 1;
	char order[16];
	long long last;

	if (argc != 4) {
		fprintf(stderr, "death_to_reply PORT SIGNAL VALUES\n");
		return 64;
	}
	to.sin_port = htons((uint16_t)atoi(argv[1]));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
		give_up("connect", -errno);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	send_all(incr);
	last = read_number();
	while (fgets(order, sizeof order, stdin) != NULL) {
		for (int value = 0; value < atoi(argv[3]); value++)
			touch_value(value);
		printf("%.1f\n", sample_us(atoi(argv[2]), &last));
		fflush(stdout);
	}
	return 0;
}
