/* SPDX-License-Identifier: MIT */
/* crash.c -- a dying business child names the request, and gives the lease.
 *
 * Why before it is dead: writing a core dump of a large process takes seconds,
 * and the kernel would give the lease after them. The dying child has nothing
 * left to do with the arena, and scene.c sees to it that it runs no business
 * code any more (H4): from the moment it has given the lease it only stores
 * into the scene, which is its own, and dies.
 *
 * The bell then tells the supervisor, who lets a successor in while this
 * process writes its core.
 *
 * That holds for the one thread that runs this. So the lease stays where it is
 * when there are others, and also when the signal did not hit the business
 * thread, or hit it before the lease was whole (lease.c, L2).
 */
#include "crash.h"
#include "common/arena.h"
#include "common/guard.h"
#include "common/scene.h"
#include "common/super.h"
#include "common/undo_check.h"
#include "common/verify/spot.h"
#include "in_work.h"
#include <errno.h>
#include <refork/tx.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef SEGV_PKUERR
#define SEGV_PKUERR 4
#endif

static const struct rf_child *self;

int crash_thread_count(void)
{
	struct stat st;

	/* A directory's links: itself, its entry, one per sub-directory. */
	if (stat("/proc/self/task", &st) != 0)
		return -errno;
	return (int)st.st_nlink - 2;
}

/* The standby is awake now and clients wait for it: this may be the processor
 * that it is to run on, and the rest has time. */
static void step_aside(void)
{
	struct timespec a_moment = {.tv_nsec = 1000000};

	if (rf_status_get(self->status->supervisor.standby_pid) != 0)
		syscall(SYS_ppoll, NULL, 0, &a_moment, NULL, 0);
}

/* Did the processor stop an access to the arena? */
static bool is_guarded(const struct rf_crash_scene *scene)
{
	uint64_t from = rf_guard_from(self->arena);

	if (rf_guard_by == 0 || scene->signal != SIGSEGV ||
		scene->address - from >=
			RF_ARENA_BASE + self->arena->max_bytes - from)
		return false;
	return scene->code == SEGV_PKUERR ||
	       (scene->code == SEGV_ACCERR &&
		       (rf_guard_by & RF_GUARD_BY_COMPARE));
}

static bool was_write(const struct rf_crash_scene *scene)
{
#if defined(__x86_64__)
	return scene->registers[REG_ERR] & 2;
#else
	(void)scene;
	return true;
#endif
}

static void add_stray(struct rf_crash_scene *scene)
{
	struct rf_crash_stray *stray = &scene->stray;

	if (is_guarded(scene)) {
		stray->kind =
			was_write(scene) ? RF_STRAY_OUTSIDE : RF_STRAY_NO_RIGHT;
		stray->address = scene->address;
		rf_spot_describe(stray);
	} else if (scene->signal == SIGABRT) {
		*stray = *rf_undo_check_found();
	}
}

static void add_work(struct rf_crash_scene *scene)
{
	const struct rf_status_business *mine = &self->status->business;

	rf_guard_open(); /* as signal handlers begin, it could not be read */
	if (rf_lease_holder() == 0) {
		scene->phase = RF_PHASE_LEASE;
		return;
	}
	scene->phase = rf_status_get(mine->phase);
	scene->generation = RF_SUPER->generation;
	if (scene->phase == RF_PHASE_REQUEST)
		in_work_describe(self->channel, &scene->request);
	add_stray(scene);
	if (crash_thread_count() == 1)
		scene->handed_over = rf_lease_give_dying();
	else
		rf_lease_mark_dying();
	if (scene->handed_over)
		step_aside();
}

int crash_arm(const struct rf_child *the_self)
{
	self = the_self;
	return rf_scene_arm(self->scene, add_work, self->bell_supervisor);
}
