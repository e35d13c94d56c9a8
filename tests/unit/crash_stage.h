/* SPDX-License-Identifier: MIT */
/* crash_stage.h -- a service without children, and deaths for it to record. */
#ifndef CRASH_STAGE_H
#define CRASH_STAGE_H

#include "suite.h"

#include "daemon/records/crashes.h"
#include "daemon/records/ring_file.h"

#include <ev.h>
#include <refork/log.h>

static struct service service;
static struct rf_crash_scene *scene;
static struct ev_loop *loop;
static struct crashes *crashes;
static char dir[] = "/tmp/refork-unit-XXXXXX";
static char said[64 << 10];

/* ---- a service without children ---- */

static inline int open_service(void **state)
{
	(void)state;
	memset(&service, 0, sizeof(service));
	service.arena.fd = -1;
	service.conf = conf_create();
	service.status = rf_status_create();
	loop = ev_loop_new(0);
	if (!service.conf || !service.status || !loop)
		return -1;
	rf_log_set_level(RF_LOG_ERROR);
	conf_load(service.conf, NULL, NULL, 0, stderr);
	snprintf(service.conf->refork.state_dir, CONF_TEXT_MAX, "%s/state/dir",
		dir);
	snprintf(service.conf->refork.name, CONF_TEXT_MAX, "unit");
	scene = &service.status->scenes[0];
	crashes = crashes_open(&service, loop);
	return crashes ? 0 : -1;
}

static inline int close_service(void **state)
{
	char path[RING_FILE_PATH_BYTES];

	(void)state;
	if (crashes)
		crashes_close(crashes);
	ring_file_path(service.conf, path);
	unlink(path);
	ev_loop_destroy(loop);
	rf_status_destroy(service.status);
	munmap(service.conf, sizeof(*service.conf));
	return 0;
}

/* The status segment is lost, the daemon was stopped in order. */
static inline void restart_fresh(void)
{
	crashes_close(crashes);
	memset(service.status, 0, sizeof(*service.status));
	crashes = crashes_open(&service, loop);
	assert_non_null(crashes);
}

/* ---- deaths ---- */

static inline struct death death_by_segv(pid_t pid)
{
	struct death death = {.role = RF_CRASH_BUSINESS,
		.pid = pid,
		.generation = 7,
		.noticed_us = 2000000,
		.scene = scene};

	death.end.si_code = CLD_KILLED;
	death.end.si_status = SIGSEGV;
	return death;
}

static inline void put_request(
	struct rf_crash_request *request, const char *word, const char *peer)
{
	uint32_t head[3] = {2, 3, (uint32_t)strlen(word)};

	*request = (struct rf_crash_request){.present = 1, .attempt = 1};
	memcpy(request->head, head, sizeof(head));
	memcpy(request->head + sizeof(head), "GET", 3);
	memcpy(request->head + sizeof(head) + 3, word, strlen(word));
	request->bytes = sizeof(head) + 3 + strlen(word);
	request->head_bytes = (uint32_t)request->bytes;
	snprintf(request->peer, sizeof(request->peer), "%s", peer);
}

static inline void set_scene(pid_t pid)
{
	memset(scene, 0, sizeof(*scene));
	scene->signal = SIGSEGV;
	scene->code = SEGV_MAPERR;
	scene->address = 0x18;
	scene->at_us = 1999000;
	scene->generation = 7;
	scene->phase = RF_PHASE_REQUEST;
	put_request(&scene->request, "two words", "127.0.0.1:51234");
	scene->complete = pid;
}

static inline struct rf_takeover takeover_at(int64_t lease_us)
{
	return (struct rf_takeover){.generation = 8,
		.undone = 3,
		.was_standby = 1,
		.lease_at_us = lease_us,
		.rolled_back_at_us = lease_us + 20,
		.serving_at_us = lease_us + 60};
}

static inline void crash(pid_t pid)
{
	const struct death death = death_by_segv(pid);
	const struct rf_takeover takeover = takeover_at(1999020);

	crashes_add(crashes, &death, &takeover);
}

static inline const char *show(uint64_t id, enum report_format f)
{
	FILE *out = fmemopen(said, sizeof(said) - 1, "w");

	assert_int_equal(crashes_show(crashes, id, f, out), 0);
	fclose(out);
	return said;
}

static inline const char *list(enum report_format f)
{
	FILE *out = fmemopen(said, sizeof(said) - 1, "w");

	crashes_list(crashes, f, out);
	fclose(out);
	return said;
}

static inline void check(const char *text, const char *wanted)
{
	if (!strstr(text, wanted))
		fail_msg("'%s' is not in:\n%s", wanted, text);
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, open_service, close_service)

/* Run the tests; what they leave in `dir` goes. */
#define RUN_TESTS(tests)                                                       \
	(mkdtemp(dir) ? remove_dir(cmocka_run_group_tests(tests, NULL, NULL))  \
		      : 1)

static inline int remove_dir(int failed)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command) ? 1 : failed;
}

#endif
