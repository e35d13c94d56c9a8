/* SPDX-License-Identifier: MIT */
/* reporter.c -- processes that complete crash records.
 *
 * The problem. Names for the frames of a stack take a debugger's work: files
 * to read, memory to allocate, tens of milliseconds, and code that may itself
 * fall over. None of that is for a dying process, nor for the supervisor.
 * The idea. The supervisor forks a process for it. Such a process has the
 * modules of the dead one at their addresses, a copy of what the dead one
 * saved, and one record to write a text into; whatever becomes of it, the
 * record is complete when it has ended. It also brings the records to the disk
 * (ring_file.c), for which the supervisor cannot wait either.
 *
 *   add --free slot--> WAITS --fork--> RUNS --its end--> free
 *                        ^               |
 *                        +-- brief <-----+ died before its text was complete:
 *                                          what is to follow is still to do
 *
 * All the room is taken at the start. Few run at a time, at low priority; when
 * all slots are taken a record goes without.
 */
#include "reporter.h"

#include "common/log/target.h"
#include "daemon/title.h"
#include "hook.h"
#include "ring_file.h"
#include "symbols.h"
#include "words.h"

#include <dirent.h>
#include <errno.h>
#include <ev.h>
#include <inttypes.h>
#include <poll.h>
#include <refork/log.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOBS_MAX	8
#define RUNNING_MAX	2
#define TEXT_DEADLINE_S 20
#define END_DEADLINE_S	(HOOK_DEADLINE_S + 5)
#define CLOSE_WAIT_MS	3000
#define NICE		10
#define CPU_MAX_S	15
#define DATA_MAX_BYTES	((rlim_t)1 << 30)

enum job_state { JOB_FREE, JOB_WAITS, JOB_RUNS };

struct job {
	struct reporter *reporter;
	enum job_state state;
	struct rf_crash *record;
	uint64_t id; /* the record is this one's while it bears the id */
	bool unwinds;
	pid_t pid;
	int pidfd;
	ev_io exit;
	ev_timer deadline;
	struct rf_crash_scene scene;
};

struct reporter {
	struct service *service;
	struct ev_loop *loop;
	struct job jobs[JOBS_MAX];
};

static bool is_complete(const struct job *job)
{
	return __atomic_load_n(&job->record->text_complete, __ATOMIC_ACQUIRE);
}

static void complete(struct job *job, const char *text)
{
	struct rf_crash *r = job->record;

	if (r->id != job->id)
		return;
	snprintf(r->text, sizeof(r->text), "%s", text);
	__atomic_store_n(&r->text_complete, 1, __ATOMIC_RELEASE);
}

static const char *hook_path(const struct reporter *reporter)
{
	return reporter->service->conf->crash.on_crash_exec;
}

/* ---- the process ---- */

/* All but the standard ones, the log and those of code: sealed memory. */
static void close_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	char target[64];

	while (dir && (entry = readdir(dir))) {
		int fd = atoi(entry->d_name);
		ssize_t n = readlinkat(
			dirfd(dir), entry->d_name, target, sizeof(target) - 1);

		if (fd <= STDERR_FILENO || fd == dirfd(dir) ||
			fd == rf_log_fd() || n < 0)
			continue;
		target[n] = 0;
		if (strncmp(target, "/memfd:", 7))
			close(fd);
	}
	if (dir)
		closedir(dir);
}

static void limit(enum __rlimit_resource resource, rlim_t most)
{
	struct rlimit now;

	if (getrlimit(resource, &now))
		return;
	now.rlim_cur = now.rlim_max < most ? now.rlim_max : most;
	setrlimit(resource, &now);
}

/* What it has already, as a copy of the supervisor, is not its own. */
static void limit_memory(void)
{
	FILE *statm = fopen("/proc/self/statm", "re");
	unsigned long pages;

	if (statm && fscanf(statm, "%*u %*u %*u %*u %*u %lu", &pages) == 1)
		limit(RLIMIT_DATA,
			pages * (rlim_t)sysconf(_SC_PAGESIZE) + DATA_MAX_BYTES);
	if (statm)
		fclose(statm);
}

/* The hook is the operator's: only its time is limited. */
static void unlimit(void)
{
	limit(RLIMIT_CPU, RLIM_INFINITY);
	limit(RLIMIT_DATA, RLIM_INFINITY);
	limit(RLIMIT_CORE, RLIM_INFINITY);
}

static void become_reporter(struct reporter *reporter, pid_t parent)
{
	const char *name = reporter->service->conf->refork.name;
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
	setpgid(0, 0);
	ev_loop_destroy(reporter->loop);
	rf_segment_close(&reporter->service->arena);
	close_descriptors();
	signal(SIGINT, SIG_IGN);
	signal(SIGTTOU, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	title_set(name, "reporter");
	prctl(PR_SET_NAME, "refork-reporter");
	rf_log_identify(name, "reporter", 0);
	if (nice(NICE) < 0)
		rf_log(RF_LOG_DEBUG, "nice: %s", strerror(errno));
	limit(RLIMIT_CPU, CPU_MAX_S);
	limit_memory();
	limit(RLIMIT_CORE, 0);
}

static _Noreturn void report(struct job *job, pid_t parent)
{
	struct reporter *reporter = job->reporter;
	static char text[RF_CRASH_TEXT_BYTES];

	become_reporter(reporter, parent);
	if (job->unwinds) {
		symbols_write(&job->scene, text, sizeof(text));
		complete(job, text);
	}
	ring_file_save(
		reporter->service->conf, &reporter->service->status->crashes);
	if (*hook_path(reporter) && job->record->id == job->id) {
		unlimit();
		hook_run(hook_path(reporter),
			reporter->service->conf->refork.name, job->record);
	}
	_exit(EXIT_SUCCESS);
}

/* ---- in the supervisor ---- */

static void on_job_exit(struct ev_loop *loop, ev_io *w, int events);
static void on_job_deadline(struct ev_loop *loop, ev_timer *w, int events);

static void watch(struct job *job)
{
	struct ev_loop *loop = job->reporter->loop;

	job->state = JOB_RUNS;
	ev_io_init(&job->exit, on_job_exit, job->pidfd, EV_READ);
	job->exit.data = job;
	ev_io_start(loop, &job->exit);
	ev_timer_init(&job->deadline, on_job_deadline,
		is_complete(job) ? END_DEADLINE_S : TEXT_DEADLINE_S, 0.);
	job->deadline.data = job;
	ev_timer_start(loop, &job->deadline);
}

/* It will have no process. */
static void give_up(struct job *job, const char *why, int error)
{
	char text[128];

	rf_log(RF_LOG_WARNING, "crash %" PRIu64 ": no report: %s: %s", job->id,
		why, strerror(error));
	snprintf(text, sizeof(text), "(no backtrace: %s: %s)", why,
		strerror(error));
	if (!is_complete(job))
		complete(job, text);
	job->state = JOB_FREE;
}

static void run(struct job *job)
{
	pid_t parent = getpid();

	job->pid = fork();
	if (job->pid == 0)
		report(job, parent);
	if (job->pid < 0) {
		give_up(job, "fork", errno);
		return;
	}
	job->pidfd = (int)syscall(SYS_pidfd_open, job->pid, 0);
	if (job->pidfd < 0) {
		give_up(job, "pidfd_open", errno);
		kill(job->pid, SIGKILL);
		waitpid(job->pid, NULL, 0);
		return;
	}
	watch(job);
}

static int count(const struct reporter *reporter, enum job_state state)
{
	int n = 0;

	for (int i = 0; i < JOBS_MAX; i++)
		n += reporter->jobs[i].state == state;
	return n;
}

/* The oldest that waits; NULL: none does. */
static struct job *next_job(struct reporter *reporter)
{
	struct job *next = NULL;

	for (int i = 0; i < JOBS_MAX; i++) {
		struct job *job = &reporter->jobs[i];

		if (job->state == JOB_WAITS && (!next || job->id < next->id))
			next = job;
	}
	return next;
}

static void run_some(struct reporter *reporter)
{
	struct job *job;

	while (count(reporter, JOB_RUNS) < RUNNING_MAX &&
		(job = next_job(reporter)))
		run(job);
}

/* Returns whether the job is done. */
static bool settle(struct job *job, const siginfo_t *end)
{
	char words[WORDS_MAX], text[WORDS_MAX + 64];

	job->state = JOB_FREE;
	job->pid = 0;
	if (is_complete(job) || job->record->id != job->id)
		return true;
	snprintf(text, sizeof(text),
		"(no backtrace: the reporting process: %s)",
		words_of_end(end, words));
	rf_log(RF_LOG_WARNING, "crash %" PRIu64 ": %s", job->id, text);
	complete(job, text);
	job->unwinds = false;
	return false;
}

static void on_job_exit(struct ev_loop *loop, ev_io *w, int events)
{
	struct job *job = w->data;
	siginfo_t end = {0};

	(void)events;
	if (waitid(P_PIDFD, (id_t)w->fd, &end, WEXITED | WNOHANG) ||
		!end.si_pid)
		return;
	ev_io_stop(loop, w);
	ev_timer_stop(loop, &job->deadline);
	close(job->pidfd);
	if (!settle(job, &end))
		job->state = JOB_WAITS;
	run_some(job->reporter);
}

/* First for its text, then, when that is there, for its hook. */
static void on_job_deadline(struct ev_loop *loop, ev_timer *w, int events)
{
	struct job *job = w->data;
	bool again = is_complete(job) && job->unwinds;

	(void)events;
	if (!again) {
		kill(job->pid, SIGKILL);
		return;
	}
	job->unwinds = false;
	ev_timer_set(w, END_DEADLINE_S, 0.);
	ev_timer_start(loop, w);
}

static void go_without(struct reporter *reporter, struct rf_crash *record)
{
	if (!record->text_complete)
		snprintf(record->text, sizeof(record->text),
			"(no backtrace: %d others were being made)", JOBS_MAX);
	record->text_complete = 1; /* those others bring it to the disk */
	if (*hook_path(reporter))
		rf_log(RF_LOG_WARNING,
			"crash %" PRIu64 ": crash.on_crash_exec is not run: "
			"%d crashes before it are still being reported",
			record->id, JOBS_MAX);
}

void reporter_add(struct reporter *reporter, struct rf_crash *record,
	const struct rf_crash_scene *scene)
{
	const struct conf *conf = reporter->service->conf;
	struct job *job = NULL;
	bool unwinds = scene && conf->crash.report == CONF_REPORT_FULL;

	if (!unwinds)
		record->text_complete = 1;
	for (int i = 0; i < JOBS_MAX && !job; i++)
		if (reporter->jobs[i].state == JOB_FREE)
			job = &reporter->jobs[i];
	if (!job) {
		go_without(reporter, record);
		return;
	}
	job->reporter = reporter;
	job->record = record;
	job->id = record->id;
	job->unwinds = unwinds;
	if (unwinds)
		job->scene = *scene;
	job->state = JOB_WAITS;
	run_some(reporter);
}

struct reporter *reporter_open(struct service *service, struct ev_loop *loop)
{
	struct reporter *reporter =
		mmap(NULL, sizeof(*reporter), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (reporter == MAP_FAILED)
		return NULL;
	reporter->service = service;
	reporter->loop = loop;
	return reporter;
}

/* Returns what is left of wait_ms. */
static int end_job(struct job *job, int wait_ms)
{
	struct pollfd ended = {.fd = job->pidfd, .events = POLLIN};
	int64_t began_ms = rf_monotonic_ms();
	siginfo_t end = {0};

	if (poll(&ended, 1, wait_ms) == 0) {
		rf_log(RF_LOG_WARNING,
			"crash %" PRIu64
			": its reporting process is still at work: killed",
			job->id);
		kill(job->pid, SIGKILL);
	}
	waitid(P_PIDFD, (id_t)job->pidfd, &end, WEXITED);
	ev_io_stop(job->reporter->loop, &job->exit);
	ev_timer_stop(job->reporter->loop, &job->deadline);
	close(job->pidfd);
	settle(job, &end);
	wait_ms -= (int)(rf_monotonic_ms() - began_ms);
	return wait_ms > 0 ? wait_ms : 0;
}

void reporter_close(struct reporter *reporter)
{
	int wait_ms = CLOSE_WAIT_MS;

	for (int i = 0; i < JOBS_MAX; i++) {
		struct job *job = &reporter->jobs[i];

		if (job->state == JOB_RUNS)
			wait_ms = end_job(job, wait_ms);
		else if (job->state == JOB_WAITS && !is_complete(job))
			complete(job, "(no backtrace: the daemon was stopped)");
	}
	munmap(reporter, sizeof(*reporter));
}
