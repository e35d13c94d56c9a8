/* SPDX-License-Identifier: MIT */
/* test_daemon_machine.c -- what is found to be wrong with a machine comes with
 * its fix, and only what is wrong does.
 */
#include "daemon/aside.c"
#include "daemon/fault.c"
#include "daemon/limits.c"
#include "daemon/machine.c"
#include "daemon/memory.c"

#include "load_conf.h" /* last: it has names of its own */

static struct service service = {.conf = &conf};

static struct machine_finding find(const char *name, bool running)
{
	const struct machine_asked asked = {
		.service = &service,
		.running = running,
		.network_pid = running ? getpid() : 0,
	};
	struct machine_finding f;

	for (int i = 0; machine_probe(i, &asked, &f); i++)
		if (!strcmp(f.name, name))
			return f;
	fail_msg("no probe is called %s", name);
	return f;
}

static void every_finding_that_is_not_fine_has_a_fix(void **unused)
{
	const struct machine_asked asked = {.service = &service};
	struct machine_finding f;
	int count = 0;

	(void)unused;
	load("");
	for (; machine_probe(count, &asked, &f); count++) {
		assert_true(*f.name && *f.found);
		assert_int_equal(*f.fix != 0, f.verdict != MACHINE_FINE);
	}
	assert_true(count > 10);
	assert_false(machine_probe(-1, &asked, &f));
}

static void descriptors_that_are_too_few_are_found(void **unused)
{
	struct rlimit before, few = {20, 0};
	struct machine_finding f;

	(void)unused;
	load("");
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few.rlim_max = before.rlim_max;
	setrlimit(RLIMIT_NOFILE, &few);
	f = find("descriptors", true);
	setrlimit(RLIMIT_NOFILE, &before);
	assert_int_equal(f.verdict, MACHINE_PROBLEM);
	assert_non_null(strstr(f.fix, "RLIMIT_NOFILE allows 20;"));
	load("[network]\nmax_clients = 1\n");
	assert_int_equal(find("descriptors", true).verdict, MACHINE_FINE);
}

static void an_arena_that_finds_no_room_is_found(void **unused)
{
	struct statvfs fs;

	(void)unused;
	assert_int_equal(statvfs(SEGMENT_DIR, &fs), 0);
	if (fs.f_blocks == 0 ||
		fs.f_blocks * fs.f_frsize > (UINT64_C(120) << 30))
		skip();
	load("[arena]\nsize = 128G\nmax = 128G\n");
	assert_int_equal(find("shared memory", false).verdict, MACHINE_PROBLEM);
	/* It has it already; only growing is in question. */
	assert_int_equal(find("shared memory", true).verdict, MACHINE_ADVICE);
	load("[arena]\nsize = 128G\nmax = 128G\nbackend = memfd\n");
	service.arena.backend = RF_BACKEND_MEMFD;
	assert_int_equal(find("shared memory", false).verdict, MACHINE_FINE);
	service.arena.backend = RF_BACKEND_POSIX;
}

static void a_directory_that_cannot_be_made_is_found(void **unused)
{
	struct machine_finding f;

	(void)unused;
	load("[refork]\nruntime_dir = /etc/passwd/none\nstate_dir = "
	     "/etc/passwd/none\n");
	f = find("runtime_dir", false);
	assert_int_equal(f.verdict, MACHINE_PROBLEM);
	assert_non_null(strstr(f.fix, "/etc/passwd"));
	assert_int_equal(find("state_dir", false).verdict, MACHINE_ADVICE);
}

static void core_files_that_are_not_written_are_advice(void **unused)
{
	const struct rlimit none = {0, RLIM_INFINITY};

	(void)unused;
	load("");
	setrlimit(RLIMIT_CORE, &none);
	assert_int_equal(find("core files", false).verdict, MACHINE_ADVICE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_finding_that_is_not_fine_has_a_fix),
		cmocka_unit_test(descriptors_that_are_too_few_are_found),
		cmocka_unit_test(an_arena_that_finds_no_room_is_found),
		cmocka_unit_test(a_directory_that_cannot_be_made_is_found),
		cmocka_unit_test(core_files_that_are_not_written_are_advice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
