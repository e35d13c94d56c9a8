/* SPDX-License-Identifier: MIT */
/* hook.c -- the operator's program that gets each crash record.
 *
 * The record stands in a file without a name: the program may read as slowly
 * as it likes, or not at all, and nobody blocks. It dies with the process that
 * runs it, and that one with the supervisor.
 */
#include "hook.h"

#include "tell.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <refork/log.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* It could not be run, and that has been said. */
#define EXIT_NOT_RUN 127

/* A descriptor to read the record from; -errno. */
static int write_record(const struct rf_crash *record)
{
	int fd = memfd_create("crash.json", MFD_CLOEXEC);
	int copy = fd < 0 ? -1 : dup(fd);
	FILE *out = copy < 0 ? NULL : fdopen(copy, "w");

	if (!out)
		return -errno;
	tell_page(record, REPORT_JSON, out);
	if (fclose(out) || lseek(fd, 0, SEEK_SET))
		return -errno;
	return fd;
}

static _Noreturn void become_hook(const char *path, const char *service,
	const struct rf_crash *record, int input)
{
	char *const argv[] = {(char *)path, NULL};
	char name[64], id[64];
	char *const env[] = {"PATH=/usr/local/sbin:/usr/local/bin:"
			     "/usr/sbin:/usr/bin:/sbin:/bin",
		name, id, NULL};

	snprintf(name, sizeof(name), "REFORK_NAME=%s", service);
	snprintf(id, sizeof(id), "REFORK_CRASH_ID=%" PRIu64, record->id);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	signal(SIGPIPE, SIG_DFL);
	dup2(input, STDIN_FILENO);
	execve(path, argv, env);
	rf_log(RF_LOG_WARNING,
		"crash.on_crash_exec %s for crash %" PRIu64 ": %s; the record "
		"is kept: reforkctl crash show %" PRIu64,
		path, record->id, strerror(errno), record->id);
	_exit(EXIT_NOT_RUN);
}

/* Its wait status; it is killed when it is late. */
static int await(pid_t pid, bool *late)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd ended = {.fd = pidfd, .events = POLLIN};
	int status = 0;

	*late = pidfd >= 0 && poll(&ended, 1, HOOK_DEADLINE_S * 1000) == 0;
	if (*late && kill(-pid, SIGKILL))
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pidfd >= 0)
		close(pidfd);
	return status;
}

void hook_run(
	const char *path, const char *service, const struct rf_crash *record)
{
	int input = write_record(record);
	pid_t pid = input < 0 ? -1 : fork();
	int status;
	bool late;

	if (pid == 0)
		become_hook(path, service, record, input);
	if (pid < 0) {
		rf_log(RF_LOG_WARNING,
			"crash.on_crash_exec %s for crash %" PRIu64
			" could not be started: %s",
			path, record->id, strerror(errno));
		return;
	}
	close(input);
	status = await(pid, &late);
	if (late)
		rf_log(RF_LOG_WARNING,
			"crash.on_crash_exec %s for crash %" PRIu64
			" took longer than %d s: killed",
			path, record->id, HOOK_DEADLINE_S);
	else if (WIFSIGNALED(status))
		rf_log(RF_LOG_WARNING,
			"crash.on_crash_exec %s for crash %" PRIu64
			": killed by signal %d",
			path, record->id, WTERMSIG(status));
	else if (WEXITSTATUS(status) && WEXITSTATUS(status) != EXIT_NOT_RUN)
		rf_log(RF_LOG_WARNING,
			"crash.on_crash_exec %s for crash %" PRIu64
			": exited with %d",
			path, record->id, WEXITSTATUS(status));
}
