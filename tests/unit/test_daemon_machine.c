/* SPDX-License-Identifier: MIT */
/* test_daemon_machine.c -- what is found to be wrong with a machine comes with
 * its fix, and only what is wrong does.
 */
#include "arena_daemon.h"

#include <signal.h>

#include "load_conf.h" /* last: it has names of its own */

static struct service service = {.conf = &conf, .lib.worker.name = "trial"};

static struct machine_finding find(const char *name, bool running)
{
	const struct machine_asked asked = {
		.service = &service,
		.running = running,
		.network_pid = running ? getpid() : 0,
	};
	struct machine_finding f;

	memory_plan_arena(&service);
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
	assert_int_equal(find("shared memory", false).verdict, MACHINE_FINE);
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
	assert_int_equal(find("state_dir", false).verdict, MACHINE_PROBLEM);
}

static void a_disk_that_is_full_is_found(void **unused)
{
	struct rlimit before, none = {0};

	(void)unused;
	load("[refork]\nstate_dir = /tmp/refork-none/state\n");
	assert_int_equal(find("state_dir", false).verdict, MACHINE_FINE);
	assert_int_equal(access("/tmp/refork-none", F_OK), -1);
	getrlimit(RLIMIT_FSIZE, &before);
	none.rlim_max = before.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &none);
	assert_int_equal(write_there("/tmp"), -EFBIG);
	setrlimit(RLIMIT_FSIZE, &before);
}

static void a_program_that_cannot_be_run_is_found(void **unused)
{
	struct machine_finding f;

	(void)unused;
	load("");
	assert_int_equal(find("on_crash_exec", false).verdict, MACHINE_FINE);
	load("[crash]\non_crash_exec = /bin/sh\n");
	assert_int_equal(find("on_crash_exec", false).verdict, MACHINE_FINE);
	load("[crash]\non_crash_exec = /none\n");
	f = find("on_crash_exec", false);
	assert_int_equal(f.verdict, MACHINE_PROBLEM);
	assert_non_null(strstr(f.fix, "/none: No such file"));
	load("[crash]\non_crash_exec = /etc/passwd\n");
	assert_int_equal(find("on_crash_exec", false).verdict, MACHINE_PROBLEM);
	load("[crash]\non_crash_exec = /tmp\n");
	assert_int_equal(find("on_crash_exec", false).verdict, MACHINE_PROBLEM);
}

static void a_listener_for_all_the_world_is_worth_a_warning(void **unused)
{
	struct machine_finding f;

	(void)unused;
	load("[network]\nlisten = 127.0.0.1:1\nlisten = [::1]:1\n"
	     "listen = unix:/tmp/x\nlisten = localhost:1\n");
	assert_int_equal(find("exposure", false).verdict, MACHINE_FINE);
	load("[network]\nlisten = 127.0.0.1:1\nlisten = 0.0.0.0:1\n");
	f = find("exposure", false);
	assert_int_equal(f.verdict, MACHINE_WARNING);
	assert_non_null(strstr(f.fix, "0.0.0.0:1: no AUTH"));
	load("[network]\nlisten = [::]:1\n[business]\n"
	     "allow_crash_test = yes\n");
	f = find("exposure", false);
	assert_non_null(strstr(f.fix, "allow_crash_test"));
	load("[network]\nlisten = 0.0.0.0:1\n[kv]\n"
	     "requirepass_file = /etc/passwd\n");
	assert_int_equal(find("exposure", false).verdict, MACHINE_FINE);
}

/* Write the file that the ini names, and look at it. */
static struct machine_finding find_password(const char *text, mode_t mode)
{
	const char *path = "/tmp/refork-test-password";
	FILE *file = fopen(path, "we");
	struct machine_finding f;

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	chmod(path, mode);
	f = find("password", false);
	unlink(path);
	return f;
}

static void a_file_that_gives_no_password_is_found(void **unused)
{
	char longest[PASSWORD_BYTES_MAX + 2] = "";
	struct machine_finding f;

	(void)unused;
	load("");
	assert_int_equal(find("password", false).verdict, MACHINE_FINE);
	load("[kv]\nrequirepass_file = /tmp/refork-test-password\n");
	f = find("password", false);
	assert_int_equal(f.verdict, MACHINE_PROBLEM);
	assert_non_null(strstr(f.fix, "kv.requirepass_file: /tmp/refork-test-"
				      "password: No such file"));
	f = find_password("", 0600);
	assert_int_equal(f.verdict, MACHINE_PROBLEM);
	assert_non_null(strstr(f.fix, "password: is empty"));
	f = find_password("\r\nsecret\n", 0600);
	assert_non_null(strstr(f.fix, "its first line is empty"));
	memset(longest, 'x', PASSWORD_BYTES_MAX);
	f = find_password(longest, 0600);
	assert_int_equal(f.verdict, MACHINE_FINE);
	longest[PASSWORD_BYTES_MAX] = 'x';
	f = find_password(longest, 0600);
	assert_non_null(strstr(f.fix, "longer than 512 bytes"));
	f = find_password("secret\n", 0640);
	assert_int_equal(f.verdict, MACHINE_FINE);
	f = find_password("secret\n", 0644);
	assert_int_equal(f.verdict, MACHINE_WARNING);
	assert_non_null(strstr(f.fix, "chmod o="));
	load("[kv]\nrequirepass_file = /tmp\n");
	assert_int_equal(find("password", false).verdict, MACHINE_PROBLEM);
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
		cmocka_unit_test(a_disk_that_is_full_is_found),
		cmocka_unit_test(a_program_that_cannot_be_run_is_found),
		cmocka_unit_test(
			a_listener_for_all_the_world_is_worth_a_warning),
		cmocka_unit_test(a_file_that_gives_no_password_is_found),
		cmocka_unit_test(core_files_that_are_not_written_are_advice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
