/* SPDX-License-Identifier: MIT */
/* arena.c -- opens an arena for a command that looks into it.
 *
 * What is read may be damaged, and the worker's code is run over it: all of it
 * happens in a child, whose death is one more problem to report. The daemon has
 * no part in it but to stand still for a moment (common/attach/attach.c).
 *
 *   parent                       child
 *   fork ----------------------> attach (hold, copy, go), worker, run()
 *   waits, tells of its death    tells what it finds as it finds it
 */
#include "arena.h"

#include "arena_found.h"
#include "ask.h"
#include "daemon/json.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* No walk takes that long: one that does is lost in damage. */
#define RUN_S_MAX 600

/* Written by the child, read after its end. */
struct outcome {
	int error; /* of the attach: an exit code, told */
	uint64_t problems;
	bool done;
};

/* ---- told ---- */

const char *arena_text(
	char to[ARENA_TEXT_BYTES], const char *from, size_t bytes)
{
	size_t n = 0;

	for (; n < bytes && n + 1 < ARENA_TEXT_BYTES && from[n]; n++)
		to[n] = from[n] >= ' ' && from[n] <= '~' ? from[n] : '?';
	to[n] = 0;
	return to;
}

void arena_tell(const struct ctl *ctl, const char *part, const void *at,
	const char *slot, const char *text)
{
	char clean[ARENA_TEXT_BYTES], clean_slot[ARENA_TEXT_BYTES];
	char address[32] = "";

	text = arena_text(clean, text, ARENA_TEXT_BYTES);
	slot = arena_text(clean_slot, slot, ARENA_TEXT_BYTES);

	if (at)
		snprintf(address, sizeof(address), "%p", at);
	if (ctl->json) {
		json_begin(stdout);
		json_text(stdout, "problem", text);
		json_text(stdout, "part", part);
		json_text(stdout, "address", address);
		json_text(stdout, "slot", slot);
		json_end(stdout);
	} else {
		printf("problem  %-10s %s%s%s%s%s%s\n", part, address,
			at ? " " : "", *slot ? "(slot " : "", slot,
			*slot ? ") " : "", text);
	}
	fflush(stdout); /* the next look may be the last */
}

/* ---- in the child ---- */

static int open_view(const struct ctl *ctl, const struct arena_job *job,
	struct arena_view *view, char *why, size_t bytes)
{
	char path[PLACE_BYTES];
	const char *what = ctl->address.sun_path;
	int rc;

	if (ctl->offline)
		what = ctl->offline;
	else if (!strchr(what, '/')) {
		snprintf(path, sizeof(path), "./%s", what);
		what = path;
	}
	rc = rf_attach(what, job->flags, &view->attach, why, bytes);
	if (!rc)
		view->facts = rf_attach_facts(view->attach);
	return rc;
}

/* The code that serves, or, for what is kept, the worker of that name. */
static void load_worker(struct arena_view *view)
{
	const struct rf_attach_facts *facts = view->facts;
	struct fault fault = {0};
	const char *name =
		*facts->worker_code ? facts->worker_code : facts->worker;

	if (worker_load(&view->lib, name, &fault)) {
		snprintf(view->no_worker, sizeof(view->no_worker), "%s",
			fault.text);
		return;
	}
	view->has_worker = !strcmp(view->lib.worker.name, facts->worker);
	if (!view->has_worker)
		snprintf(view->no_worker, sizeof(view->no_worker),
			"%.256s is the worker '%.64s', the arena is of '%.64s'",
			view->lib.path, view->lib.worker.name, facts->worker);
}

static enum ctl_exit exit_of(int error)
{
	return error == -ENOENT || error == -ECONNREFUSED ? CTL_NO_CONNECTION
	       : error == -ETIMEDOUT			  ? CTL_TIMEOUT
							  : CTL_REFUSED;
}

static void look(const struct ctl *ctl, const struct arena_job *job,
	struct outcome *outcome)
{
	struct arena_view view = {0};
	char why[1024] = "";
	int rc = open_view(ctl, job, &view, why, sizeof(why));

	if (rc == -EBADMSG) { /* damage is what is asked for */
		arena_tell(ctl, "superblock", NULL, "", why);
		outcome->problems = 1;
		outcome->done = true;
		return;
	}
	if (rc) {
		fprintf(stderr, "reforkctl: %s: %s%s\n", job->name, why,
			ctl->offline && rc == -ENOENT
				? "; reforkctl arena list names what stands"
				: "");
		outcome->error = (int)exit_of(rc);
		return;
	}
	if (job->wants_worker)
		load_worker(&view);
	outcome->problems = job->run(ctl, &view);
	rf_detach(view.attach);
	outcome->done = true;
}

/* ---- in the parent ---- */

static void await(pid_t child, int *status)
{
	while (waitpid(child, status, 0) < 0 && errno == EINTR)
		;
}

static void tell_death(const struct ctl *ctl, int status)
{
	char text[160];

	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		snprintf(text, sizeof(text),
			"the look at it did not end within %d s", RUN_S_MAX);
	else if (WIFSIGNALED(status))
		snprintf(text, sizeof(text),
			"the process that looked at it died: %s",
			strsignal(WTERMSIG(status)));
	else
		snprintf(text, sizeof(text),
			"the process that looked at it ended with status %d",
			WEXITSTATUS(status));
	arena_tell(ctl, "reader", NULL, "", text);
}

enum ctl_exit arena_do(
	struct ctl *ctl, const struct arena_job *job, uint64_t *problems)
{
	struct outcome *outcome = mmap(NULL, sizeof(*outcome),
		PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	static char kept[PLACE_BYTES];
	pid_t child = -1;
	int status;

	if (ctl->offline)
		ctl->offline = arena_kept(ctl, ctl->offline, kept);
	fflush(stdout);
	if (outcome != MAP_FAILED)
		child = fork();
	if (child < 0) {
		fprintf(stderr, "reforkctl: %s: fork: %s\n", job->name,
			strerror(errno));
		return CTL_REFUSED;
	}
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(RUN_S_MAX);
		look(ctl, job, outcome);
		fflush(stdout);
		_exit(0);
	}
	await(child, &status);
	if (outcome->error)
		return (enum ctl_exit)outcome->error;
	*problems = outcome->problems;
	if (!outcome->done) {
		tell_death(ctl, status);
		++*problems;
	}
	munmap(outcome, sizeof(*outcome));
	return CTL_OK;
}
