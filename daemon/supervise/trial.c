/* SPDX-License-Identifier: MIT */
/* trial.c -- code loaded by a process that may die of it.
 *
 * Loading runs constructors, unloading destructors, and the supervisor must
 * outlive both. So a process made for that does it first, with the very bytes
 * that the supervisor will load (they are pinned), and says how it went in a
 * pipe: 'y', or 'n' and the reason. One that dies has said nothing, one that
 * takes too long is killed; the supervisor goes on meanwhile.
 */
#include "trial.h"

#include "common/log/target.h"
#include "daemon/records/words.h"
#include "daemon/title.h"
#include "spawn.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <refork/log.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEADLINE_S 5.

struct trial {
	struct ev_loop *loop;
	ev_io exit; /* a pidfd */
	ev_timer deadline;
	int verdict; /* a pipe's reading end */
	bool late;
	struct trial_done done;
};

/* ---- what is judged ---- */

static int judge(const struct worker_lib *now, const struct worker_lib *next,
	struct fault *fault)
{
	const struct rf_worker *a = &now->worker, *b = &next->worker;

	if (strcmp(a->name, b->name))
		return fault_set(fault, EX_CONFIG,
			"%s is worker %s %s; %s %s runs, and its state "
			"belongs to that name",
			next->path, b->name, b->version, a->name, a->version);
	if (a->state_version != b->state_version && !b->migrate)
		return fault_set(fault, EX_CONFIG,
			"%s (%s %s) needs state version %u, the state is of "
			"version %u (%s %s), and it has no `migrate`",
			next->path, b->name, b->version, b->state_version,
			a->state_version, a->name, a->version);
	if (spawn_thread_count() > 1)
		return fault_set(fault, EX_CONFIG,
			"%s (%s %s) starts a thread when it is loaded; threads "
			"belong into `start`",
			next->path, b->name, b->version);
	return 0;
}

int trial_link(
	const struct service *s, struct worker_lib *lib, struct fault *fault)
{
	int rc = worker_link(lib, fault);

	if (!rc)
		rc = judge(&s->lib, lib, fault);
	if (rc)
		worker_unload(lib);
	return rc;
}

/* ---- in the process made for it ---- */

static _Noreturn void try(
	struct service *s, struct worker_lib *lib, int verdict, pid_t parent)
{
	int keep[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, rf_log_fd(),
		lib->pin.fd > 0 ? lib->pin.fd : verdict, verdict};
	struct fault fault;
	sigset_t none;
	int rc;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	setpgid(0, 0);
	/* What it could break is none of its business. */
	rf_segment_close(&s->arena);
	spawn_close_all_but(keep, sizeof(keep) / sizeof(*keep));
	signal(SIGINT, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	title_set(s->conf->refork.name, "trial");
	rf_log_identify(s->conf->refork.name, "trial", 0);

	rc = trial_link(s, lib, &fault);
	if (rc) {
		dprintf(verdict, "n%s", fault.text);
	} else {
		worker_unload(lib);
		dprintf(verdict, "y");
	}
	_exit(0);
}

/* ---- in the supervisor ---- */

static void forget(struct trial *t)
{
	ev_io_stop(t->loop, &t->exit);
	ev_timer_stop(t->loop, &t->deadline);
	close(t->exit.fd);
	close(t->verdict);
	free(t);
}

static void kill_it(const struct trial *t)
{
	syscall(SYS_pidfd_send_signal, t->exit.fd, SIGKILL, NULL, 0);
}

static void say_death(const struct trial *t, char *why, size_t bytes)
{
	char words[WORDS_MAX];
	siginfo_t end = {0};

	if (t->late)
		snprintf(why, bytes,
			"loading it takes longer than %.0f s: a constructor "
			"of it hangs",
			DEADLINE_S);
	else if (waitid(P_PIDFD, (id_t)t->exit.fd, &end, WEXITED | WNOWAIT))
		snprintf(why, bytes, "loading it ends the process");
	else
		snprintf(why, bytes, "loading it ends the process: %s",
			words_of_end(&end, words));
}

static void on_exit_io(struct ev_loop *loop, ev_io *w, int events)
{
	struct trial *t = w->data;
	struct trial_done done = t->done;
	char said[sizeof(((struct fault *)0)->text) + 2] = "";
	ssize_t n = read(t->verdict, said, sizeof(said) - 1);
	siginfo_t end;

	(void)loop;
	(void)events;
	if (n <= 0)
		say_death(t, said + 1, sizeof(said) - 1);
	/* Somebody else may have collected it: the pidfd is still its own. */
	waitid(P_PIDFD, (id_t)w->fd, &end, WEXITED);
	forget(t);
	done.call(done.arg, said[0] == 'y' ? NULL : said + 1);
}

static void on_deadline(struct ev_loop *loop, ev_timer *w, int events)
{
	struct trial *t = w->data;

	(void)loop;
	(void)events;
	t->late = true;
	kill_it(t); /* its end is told as any other */
}

/* Fork; the child's pidfd, or -errno. */
static int fork_it(struct service *s, struct worker_lib *pinned, int verdict)
{
	pid_t parent = getpid(), child = fork();
	int pidfd, error;

	if (child == 0)
		try(s, pinned, verdict, parent);
	if (child < 0)
		return -errno;
	pidfd = (int)syscall(SYS_pidfd_open, child, 0);
	if (pidfd >= 0)
		return pidfd;
	error = -errno;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return error;
}

struct trial *trial_start(struct ev_loop *loop, struct service *s,
	struct worker_lib *pinned, struct trial_done done)
{
	struct trial *t = calloc(1, sizeof(*t));
	int ends[2], pidfd = -1;

	if (!t || pipe2(ends, O_CLOEXEC | O_NONBLOCK))
		goto err_free;
	pidfd = fork_it(s, pinned, ends[1]);
	close(ends[1]);
	if (pidfd < 0)
		goto err_pipe;
	*t = (struct trial){.loop = loop, .verdict = ends[0], .done = done};
	ev_io_init(&t->exit, on_exit_io, pidfd, EV_READ);
	ev_timer_init(&t->deadline, on_deadline, DEADLINE_S, 0.);
	t->exit.data = t->deadline.data = t;
	ev_io_start(loop, &t->exit);
	ev_timer_start(loop, &t->deadline);
	return t;

err_pipe:
	close(ends[0]);
	errno = -pidfd;
err_free:
	free(t);
	return NULL;
}

void trial_stop(struct trial *t)
{
	siginfo_t end;

	if (!t)
		return;
	kill_it(t);
	waitid(P_PIDFD, (id_t)t->exit.fd, &end, WEXITED);
	forget(t);
}
