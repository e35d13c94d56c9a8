/* SPDX-License-Identifier: MIT */
/* try_call.c -- makes a system call inside of a child, when a file says so.
 *
 * The file $TRY_CALL is mapped before the first fork, so every child has it,
 * whatever it may open. A child that is asked for by its pid makes the call
 * before it next waits for something.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define VISIBLE	   __attribute__((visibility("default")))
#define FILE_BYTES 4096
#define ARGUMENTS  6

struct order {
	int64_t pid; /* whose it is; 0: there is none, or it is done */
	int64_t number;
	int64_t arguments[ARGUMENTS];
	int64_t is_text; /* bits: this argument is an offset in the file */
	int64_t result;	 /* -errno */
};

static volatile struct order *order;

__attribute__((constructor)) static void open_order(void)
{
	const char *path = getenv("TRY_CALL");
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *at;

	if (fd < 0)
		return;
	at = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	order = at == MAP_FAILED ? NULL : at;
}

static long argument(int i)
{
	int64_t given = order->arguments[i];

	return given + (order->is_text >> i & 1 ? (long)order : 0);
}

static void try_call(void)
{
	long result;

	if (order == NULL || order->pid != getpid())
		return;
	result = syscall(order->number, argument(0), argument(1), argument(2),
		argument(3), argument(4), argument(5));
	order->result = result < 0 ? -errno : result;
	__atomic_store_n(&order->pid, 0, __ATOMIC_SEQ_CST);
}

VISIBLE int epoll_wait(int fd, struct epoll_event *events, int max, int ms)
{
	static int (*real)(int, struct epoll_event *, int, int);

	if (real == NULL)
		real = (int (*)(int, struct epoll_event *, int, int))dlsym(
			RTLD_NEXT, "epoll_wait");
	try_call();
	return real(fd, events, max, ms);
}

VISIBLE int epoll_pwait(int fd, struct epoll_event *events, int max, int ms,
	const sigset_t *mask)
{
	static int (*real)(
		int, struct epoll_event *, int, int, const sigset_t *);

	if (real == NULL)
		real = (int (*)(int, struct epoll_event *, int, int,
			const sigset_t *))dlsym(RTLD_NEXT, "epoll_pwait");
	try_call();
	return real(fd, events, max, ms, mask);
}
