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

#include "common/log/target.h"
#include "daemon/title.h"

#include <errno.h>
#include <fcntl.h>
#include <refork/log.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEEP_MAX      (RF_LISTEN_MAX + 14)
#define OOM_SCORE_MAX 1000

static int oom_score; /* of the supervisor */

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

void spawn_close_all_but(int *keep, size_t count)
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
		rf_log_fd(),
		self->arena->fd,
		self->channel->seg.fd,
		self->channel->bell_business,
		self->channel->bell_network,
		self->channel->front.fd,
		self->channel->ferry[0],
		self->channel->ferry[1],
		self->channel->landing,
		self->bell_supervisor,
		self->predecessor,
	};
	size_t count = KEEP_MAX - RF_LISTEN_MAX;

	for (int i = 0; i < self->listen_count; i++)
		keep[count++] = self->listen_fds[i];
	spawn_close_all_but(keep, count);
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
	if (!how->accepts) { /* the connections are none of its business */
		rf_segment_close(&s->channel.front);
		s->channel.ferry[0] = s->channel.ferry[1] = -1;
		s->channel.landing = -1;
	}
	keep_own_descriptors(&self);
	open_signals();
	take_role(&self, how->role);
	how->main(&self);
	abort(); /* not reached */
}

/* ---- in the supervisor ---- */

static int read_oom_score(void)
{
	FILE *in = fopen("/proc/self/oom_score_adj", "re");
	int score = 0;

	if (in && fscanf(in, "%d", &score) != 1)
		score = 0;
	if (in)
		fclose(in);
	return score;
}

void spawn_prepare(void)
{
	oom_score = read_oom_score();
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* what write(2) says will do */
}

/* Raising it needs no privilege. By the supervisor: a child may have given up
 * that right, or never had it. */
void spawn_offer_to_oom_killer(pid_t pid, enum rf_crash_role role)
{
	static const int above[RF_CRASH_ROLE_COUNT] = {
		[RF_CRASH_BUSINESS] = 500,
		[RF_CRASH_STANDBY] = 400,
		[RF_CRASH_NETWORK] = 200,
		[RF_CRASH_VAULT] = 100,
	};
	int score = oom_score + above[role];
	char path[64], text[16];
	int fd, bytes;

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	bytes = snprintf(text, sizeof(text), "%d",
		score < OOM_SCORE_MAX ? score : OOM_SCORE_MAX);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, (size_t)bytes) < 0)
		rf_log(RF_LOG_DEBUG, "write %s to %s: %s", text, path,
			strerror(errno));
	if (fd >= 0)
		close(fd);
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
