/* SPDX-License-Identifier: MIT */
/* upgrade_stage.h -- a stage for changes of code.
 *
 * The family, the trial and the loader are stood in for: a library is a
 * number, and the tests say how each attempt comes out.
 */
#ifndef UPGRADE_STAGE_H
#define UPGRADE_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/fault.c"
#include "daemon/supervise/change.c"
#include "daemon/supervise/upgrade.c"

/* ---- stand-ins ---- */

struct family {
	bool serves, held;
	int refusal; /* of the next renewal */
	int renew_count, resume_count;
	struct family_done done;
};

struct trial {
	struct trial_done done;
};

static struct conf conf;
static struct rf_status_shm status;
static struct service service;
static struct family family;
static struct trial trial;
static struct ev_loop *loop;
static struct upgrade *u;
static struct family_outcome outcome; /* what the asker was told last */
static int told_count;
static int loaded_count;
static struct rf_worker next; /* what the next file holds */

static uint32_t state_version; /* in the arena */

uint32_t memory_state_version(const struct service *s)
{
	(void)s;
	return state_version;
}

static inline int taken_back(uint32_t from)
{
	return (int)from * 0;
}

bool family_serves(const struct family *f)
{
	return f->serves;
}

bool family_is_held(const struct family *f)
{
	return f->held;
}

int family_resume_anew(struct family *f, struct family_done done)
{
	f->held = false;
	f->resume_count++;
	f->done = done;
	return 0;
}

int family_renew_business(struct family *f, bool now, struct family_done done)
{
	(void)now;
	if (f->refusal)
		return f->refusal;
	f->renew_count++;
	f->done = done;
	return 0;
}

int worker_pin(struct worker_lib *lib, const char *name, struct fault *fault)
{
	if (!strcmp(name, "missing"))
		return fault_set(fault, EX_CONFIG, "there is none");
	*lib = (struct worker_lib){.pin.fd = 77};
	snprintf(lib->path, sizeof(lib->path), "%s", name);
	loaded_count++;
	return 0;
}

void worker_unload(struct worker_lib *lib)
{
	loaded_count -= lib->pin.fd == 77;
	*lib = (struct worker_lib){0};
}

int trial_link(
	const struct service *s, struct worker_lib *lib, struct fault *fault)
{
	(void)s;
	(void)fault;
	lib->handle = &trial;
	lib->worker = next;
	return 0;
}

struct trial *trial_start(struct ev_loop *l, struct service *s,
	struct worker_lib *pinned, struct trial_done done)
{
	(void)l;
	(void)s;
	(void)pinned;
	trial.done = done;
	return &trial;
}

void trial_stop(struct trial *t)
{
	(void)t;
}

static const char *named = "/w/one.so"; /* in the ini */

int reload_peek_worker(const struct service *s, char *name, size_t bytes)
{
	(void)s;
	snprintf(name, bytes, "%s", named);
	return 0;
}

void spawn_prepare(void)
{
}

static void on_told(void *arg, const struct family_outcome *o)
{
	(void)arg;
	outcome = *o;
	told_count++;
}

/* ---- the steps of a story ---- */

static const struct family_done told = {.call = on_told};

static inline int begin(void **unused)
{
	(void)unused;
	conf = (struct conf){.upgrade.canary_ms = 60000};
	status = (struct rf_status_shm){0};
	family = (struct family){.serves = true};
	service = (struct service){.conf = &conf, .status = &status};
	service.lib = (struct worker_lib){
		.handle = &conf,
		.path = "/w/one.so",
		.worker = {.name = "w", .version = "1", .state_version = 1},
	};
	next = (struct rf_worker){
		.name = "w", .version = "2", .state_version = 1};
	status.supervisor.business_pid = 100;
	status.supervisor.standby_pid = 101;
	told_count = loaded_count = 0;
	state_version = 1;
	loop = ev_loop_new(EVFLAG_AUTO);
	u = upgrade_open(&service, &family, loop);
	return u ? 0 : -1;
}

static inline int end(void **unused)
{
	(void)unused;
	upgrade_close(u);
	worker_unload(&service.lib);
	ev_loop_destroy(loop);
	return loaded_count; /* nothing is left loaded */
}

static inline void start(const char *path)
{
	struct fault why = {0};

	assert_int_equal(upgrade_start(u, path, &why, told), 0);
}

/* The business process is another one now, a standby of it stands by. */
static inline void processes_are(pid_t business, pid_t standby)
{
	status.supervisor.business_pid = business;
	status.supervisor.standby_pid = standby;
}

static inline void renewed(int error)
{
	struct family_outcome o = {
		.error = error, .pause_us = 42, .generation = 7};
	struct family_done done = family.done;

	assert_non_null(done.call);
	family.done = (struct family_done){0};
	done.call(done.arg, &o);
}

static inline void upgrade_to(const char *path)
{
	start(path);
	trial.done.call(trial.done.arg, NULL);
	processes_are(102, 103);
	renewed(0);
}

static inline void crash(uint64_t generation)
{
	const struct death death = {
		.role = RF_CRASH_BUSINESS, .generation = generation};

	upgrade_on_crash(u, &death);
}

static inline void wait_a_retry(void)
{
	ev_sleep(2 * RETRY_S);
	ev_now_update(loop);
	ev_run(loop, EVRUN_NOWAIT);
}

static inline const char *version(void)
{
	return service.lib.worker.version;
}

#define story(name) cmocka_unit_test_setup_teardown(name, begin, end)

#endif
