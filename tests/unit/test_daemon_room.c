/* SPDX-License-Identifier: MIT */
/* test_daemon_room.c -- what an arena needs of its machine is asked before it
 * is made, and told with the command that mends it.
 */
#include "arena_daemon.h"

#include <ftw.h>
#include <sys/wait.h>

#include "load_conf.h" /* last: it has names of its own */

#define SYSV  "[arena]\nbackend = sysv\nsize = 16M\n"
#define HUGE_ "[arena]\nhuge_pages = require\nsize = 16M\nmax = 64M\n"
#define POOLS "/sys/kernel/mm/hugepages/hugepages-2048kB/"

static struct service service = {.conf = &conf, .lib.worker.name = "trial"};
static char root[] = "/tmp/refork-room.XXXXXX";

/* The files of a machine where nothing is wanting. */
static const struct {
	const char *path, *text;
} files[] = {
	{"/proc/sys/kernel/shmmax", "18446744073692774399"},
	{"/proc/sys/kernel/shmall", "18446744073692774399"},
	{"/proc/sys/kernel/shmmni", "4096"},
	{"/proc/meminfo", "MemAvailable: 100000000 kB\nSwapFree: 0 kB"},
	{POOLS "nr_hugepages", "1000"},
	{POOLS "free_hugepages", "1000"},
	{POOLS "resv_hugepages", "0"},
	{POOLS "nr_overcommit_hugepages", "0"},
};

static void put(const char *path, const char *text)
{
	char where[256];
	FILE *file;

	snprintf(where, sizeof(where), "%s%s", root, path);
	for (char *c = where + strlen(root) + 1; (c = strchr(c, '/')); c++) {
		*c = 0;
		mkdir(where, 0700);
		*c = '/';
	}
	file = fopen(where, "we");
	assert_non_null(file);
	fprintf(file, "%s\n", text);
	fclose(file);
}

static int make_machine(void **unused)
{
	(void)unused;
	assert_non_null(mkdtemp(root));
	machine_root = root;
	for (size_t i = 0; i < COUNT(files); i++)
		put(files[i].path, files[i].text);
	return 0;
}

static int remove_one(
	const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

static int remove_machine(void **unused)
{
	(void)unused;
	return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int room(const char *text, struct fault *fault)
{
	char named[512];

	snprintf(named, sizeof(named),
		"[refork]\nname = room%d\nstate_dir = /tmp/refork-none\n%s",
		getpid(), text);
	assert_int_equal(load(named), 0);
	memory_plan_arena(&service);
	*fault = (struct fault){0};
	return machine_has_room(&service, fault);
}

/* The configuration finds room, until this file says something else. */
static const struct {
	const char *conf, *path, *text;
	const char *told[3];
} wants[] = {
	{SYSV, "/proc/sys/kernel/shmmax", "16777216",
		{"SHMMAX allows 16777216", "sysctl kernel.shmmax="}},
	{SYSV, "/proc/sys/kernel/shmall", "100",
		{"SHMALL is 100 ", "sysctl kernel.shmall="}},
	{SYSV, "/proc/sys/kernel/shmmni", "0",
		{"SHMMNI allows 0 ", "ipcs -m", "sysctl kernel.shmmni="}},
	{"[arena]\nreserve = yes\n", "/proc/meminfo", "MemAvailable: 2000 kB",
		{"arena.reserve: it takes 442", "1 MiB are available",
			"free -m"}},
	{HUGE_ "backend = memfd\n", POOLS "free_hugepages", "3",
		{"arena.huge_pages = require: 13 pages", "has 3 free",
			"sysctl vm.nr_hugepages=1010"}},
	{HUGE_ "backend = memfd\n", POOLS "resv_hugepages", "999",
		{"has 1 free", "sysctl vm.nr_hugepages=1012"}},
	{"[arena]\nhuge_pages = require\nsize = 16M\nbackend = sysv\n",
		POOLS "free_hugepages", "0",
		{"17 pages of 2 MiB", "sysctl vm.nr_hugepages=1017"}},
};

static const char *usual(const char *path)
{
	for (size_t i = 0; i < COUNT(files); i++)
		if (!strcmp(files[i].path, path))
			return files[i].text;
	return "";
}

static void what_is_wanting_is_told_with_its_command(void **unused)
{
	struct fault fault;

	(void)unused;
	for (size_t i = 0; i < COUNT(wants); i++) {
		if (room(wants[i].conf, &fault))
			fail_msg("%s: %s", wants[i].conf, fault.text);
		put(wants[i].path, wants[i].text);
		assert_int_equal(room(wants[i].conf, &fault), EX_OSERR);
		for (int n = 0; n < 3 && wants[i].told[n]; n++)
			if (!strstr(fault.text, wants[i].told[n]))
				fail_msg(
					"%s: %s", wants[i].told[n], fault.text);
		put(wants[i].path, usual(wants[i].path));
	}
}

static void another_backend_asks_for_none_of_it(void **unused)
{
	struct fault fault;

	(void)unused;
	for (size_t i = 0; i < COUNT(wants); i++)
		put(wants[i].path, "0");
	assert_int_equal(room("[arena]\nbackend = memfd\n", &fault), 0);
	for (size_t i = 0; i < COUNT(wants); i++)
		put(wants[i].path, usual(wants[i].path));
}

static void a_file_size_limit_is_told(void **unused)
{
	struct rlimit few = {1 << 20, 1 << 20};
	struct fault fault;
	int status = -1;

	(void)unused;
	if (!fork()) { /* a hard limit cannot be raised again */
		setrlimit(RLIMIT_FSIZE, &few);
		_exit(room("", &fault) == EX_OSERR &&
					strstr(fault.text,
						"ulimit -f unlimited")
				? 0
				: 1);
	}
	wait(&status);
	assert_int_equal(status, 0);
	assert_int_equal(room("", &fault), 0);
}

static bool drop_every_capability(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

	return syscall(SYS_capset, &head, none) == 0;
}

static void memory_that_may_not_be_locked_is_told(void **unused)
{
	struct machine_finding f = {0};
	const struct machine_asked asked = {.service = &service};
	struct rlimit few = {1 << 20, 1 << 20};
	struct fault fault;
	int status = -1;

	(void)unused;
	assert_int_equal(room("[arena]\nlock_memory = yes\n", &fault), 0);
	if (!fork()) { /* CAP_IPC_LOCK may lock all, root without it not */
		bool said;

		setrlimit(RLIMIT_MEMLOCK, &few);
		said = drop_every_capability();
		probe_locked_memory(&asked, &f);
		_exit(said && f.verdict == MACHINE_PROBLEM &&
					strstr(f.fix,
						"allows 1 MiB: ulimit -l ")
				? 0
				: 1);
	}
	wait(&status);
	assert_int_equal(status, 0);
}

static void a_place_where_no_file_can_be_is_told(void **unused)
{
	char text[256];
	struct fault fault;
	struct statvfs fs;

	(void)unused;
	assert_int_equal(statvfs("/tmp", &fs), 0);
	if (fs.f_bavail * fs.f_frsize > (UINT64_C(120) << 30))
		skip();
	snprintf(text, sizeof(text),
		"[arena]\nbackend = file\nsize = 128G\nmax = 128G\n"
		"path = /tmp/refork-none.arena\n");
	assert_int_equal(room(text, &fault), EX_OSERR);
	assert_non_null(strstr(fault.text, "choose another arena.path"));
	snprintf(text, sizeof(text),
		"[arena]\nbackend = file\nsize = 16M\n"
		"path = /etc/passwd/none.arena\n");
	assert_int_equal(room(text, &fault), EX_OSERR);
	assert_non_null(strstr(fault.text, "arena.path: "));
	snprintf(text, sizeof(text),
		"[arena]\nbackend = sysv\nsize = 16M\n"
		"path = /tmp/refork-none/none.arena\n");
	assert_int_equal(room(text, &fault), EX_OSERR);
	assert_non_null(strstr(fault.text, "mkdir -p /tmp/refork-none"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_wanting_is_told_with_its_command),
		cmocka_unit_test(another_backend_asks_for_none_of_it),
		cmocka_unit_test(a_file_size_limit_is_told),
		cmocka_unit_test(memory_that_may_not_be_locked_is_told),
		cmocka_unit_test(a_place_where_no_file_can_be_is_told),
	};

	return cmocka_run_group_tests(tests, make_machine, remove_machine);
}
