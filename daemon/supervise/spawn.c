/* SPDX-License-Identifier: MIT */
/* spawn.c -- fork, and turn the copy of a supervisor into a child.
 *
 * What a child keeps is listed, and everything else is closed: the supervisor's
 * loop, signalfd, pidfds and control connections are not known here.
 *
 * fork() is glibc's, never clone3(): its thread id, kept for robust mutexes,
 * must be the child's own.
 */
#include "spawn.h"

#include "daemon/title.h"

#include <errno.h>
#include <refork/log.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEEP_MAX (RF_LISTEN_MAX + 10)

int spawn_thread_count(void)
{
	struct stat st;

	/* A directory's links: itself, its entry, one per sub-directory. */
	if (stat("/proc/self/task", &st))
		return -errno;
	return (int)st.st_nlink - 2;
}

/* ---- in the child ---- */

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void close_all_but(int *keep, size_t count)
{
	unsigned int from = 0;

	qsort(keep, count, sizeof(*keep), by_number);
	for (size_t i = 0; i < count; i++) {
		unsigned int fd = (unsigned int)keep[i];

		if (keep[i] < 0) /* it has none of that kind */
			continue;
		if (fd > from)
			close_range(from, fd - 1, 0);
		if (fd >= from)
			from = fd + 1;
	}
	close_range(from, ~0U, 0);
}

static void keep_own_descriptors(const struct rf_child *self)
{
	int keep[KEEP_MAX] = {
		STDIN_FILENO,
		STDOUT_FILENO,
		STDERR_FILENO,
		self->arena->fd,
		self->channel->seg.fd,
		self->channel->bell_business,
		self->channel->bell_network,
		self->channel->front.fd,
		self->bell_supervisor,
		self->predecessor,
	};
	size_t count = KEEP_MAX - RF_LISTEN_MAX;

	for (int i = 0; i < self->listen_count; i++)
		keep[count++] = self->listen_fds[i];
	close_all_but(keep, count);
}

/* ^C is for the supervisor, which then asks its children. The rest is as
 * spawn_prepare() left it. */
static void open_signals(void)
{
	sigset_t none;

	signal(SIGINT, SIG_IGN);
	signal(SIGTTOU, SIG_IGN); /* its log may be a terminal */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* ps(1), /proc and the log know it by its role. */
static void take_role(const struct rf_child *self, const char *role)
{
	char name[16]; /* what the kernel keeps of it */

	title_set(self->conf->refork.name, role);
	snprintf(name, sizeof(name), "refork-%.8s", role);
	prctl(PR_SET_NAME, name);
	rf_log_identify(self->conf->refork.name, role, 0);
}

static void fill_self(
	struct rf_child *self, struct service *s, const struct spawn *how)
{
	*self = (struct rf_child){
		.conf = s->conf,
		.worker = &s->lib.worker,
		.env = &s->env,
		.arena = &s->arena,
		.channel = &s->channel,
		.status = s->status,
		.bell_supervisor = s->bell,
		.scene = how->scene,
		.take_role = take_role,
		.predecessor = how->predecessor,
		.lease_orphaned = how->lease_orphaned,
		.standby = how->standby,
		.verify = how->verify,
		.build_here = s->lib.build_here,
	};
	for (int i = 0; how->accepts && i < s->listener_count; i++) {
		self->listen_fds[i] = s->listeners[i].fd;
		self->listen_names[i] = s->listeners[i].name;
		self->listen_count++;
	}
}

static _Noreturn void become(
	struct service *s, const struct spawn *how, pid_t parent)
{
	static struct rf_child self;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) /* it died before the line above */
		_exit(RF_CHILD_EXIT_START);
	/* What is sent to the daemon's process group is the supervisor's to
	 * act on, in its order. */
	setpgid(0, 0);
	how->leave(how->leave_arg);
	fill_self(&self, s, how);
	if (!how->accepts) /* the connections are none of its business */
		rf_segment_close(&s->channel.front);
	keep_own_descriptors(&self);
	open_signals();
	take_role(&self, how->role);
	how->main(&self);
	abort(); /* not reached */
}

/* ---- in the supervisor ---- */

void spawn_prepare(void)
{
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* what write(2) says will do */
}

int spawn(struct service *s, const struct spawn *how, pid_t *pid, int *pidfd)
{
	pid_t parent = getpid();
	pid_t child;
	int fd, error;

	if (spawn_thread_count() > 1)
		return -EDEADLK;
	child = fork();
	if (child < 0)
		return -errno;
	if (child == 0)
		become(s, how, parent);
	fd = (int)syscall(SYS_pidfd_open, child, 0);
	if (fd < 0) {
		/* Nobody would hear of its end. */
		error = errno;
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		return -error;
	}
	*pid = child;
	*pidfd = fd;
	return 0;
}
