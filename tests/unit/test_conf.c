/* SPDX-License-Identifier: MIT */
/* test_conf.c -- ini files and overrides: what is read, what is refused. */
#include "load_conf.h"

#include "conf/ini_read.h"

#include <refork/log.h>
#include <stdlib.h>
#include <unistd.h>

static int line_count(const char *text)
{
	int count = 0;

	for (; *text; text++)
		count += *text == '\n';
	return count;
}

static void without_a_file_every_key_has_its_default(void **state)
{
	(void)state;
	assert_int_equal(load_bytes(NULL, 0, NULL, 0), 0);
	assert_string_equal(problems, "");
	assert_string_equal(conf.refork.name, "kv");
	assert_string_equal(conf.refork.worker_args, "");
	assert_int_equal(conf.arena.backend, CONF_BACKEND_POSIX);
	assert_int_equal(conf.arena.size_bytes, 256u << 20);
	assert_int_equal(conf.arena.max_bytes, UINT64_C(4) << 30);
	assert_int_equal(conf.arena.huge_pages, CONF_HUGE_ADVISE);
	assert_int_equal(conf.network.listen_count, 1);
	assert_string_equal(conf.network.listen[0], "127.0.0.1:6380");
	assert_int_equal(conf.network.tcp_keepalive_ms, 300000);
	assert_int_equal(conf.network.client_idle_timeout_ms, 0);
	assert_int_equal(conf.network.max_clients, 10000);
	assert_false(conf.business.allow_crash_test);
	assert_int_equal(conf.restart.delay_ms, 0);
	assert_int_equal(conf.restart.delay_max_ms, 30000);
	assert_int_equal(conf.log.level, RF_LOG_INFO);
}

/* Each value alone, by its canonical text. */
static const struct {
	const char *text, *key, *value;
} good[] = {
	{"[arena]\nsize = 65536K", "arena.size", "64M"},
	{"[arena]\nsize = 64MiB", "arena.size", "64M"},
	{"[arena]\nsize = 67108864", "arena.size", "64M"},
	{"[arena]\nsize = 67108865", "arena.size", "67108865"},
	{"[arena]\nmax = 128G", "arena.max", "128G"},
	{"[arena]\nmax = 1GiB", "arena.max", "1G"},
	{"[network]\npark_timeout = 250ms", "network.park_timeout", "250ms"},
	{"[network]\npark_timeout = 90", "network.park_timeout", "90s"},
	{"[network]\npark_timeout = 120s", "network.park_timeout", "2min"},
	{"[network]\npark_timeout = 1h", "network.park_timeout", "1h"},
	{"[network]\npark_timeout = 0", "network.park_timeout", "0"},
	{"[network]\ntcp_keepalive = 0", "network.tcp_keepalive", "0"},
	{"[network]\nbacklog = 1", "network.backlog", "1"},
	{"[arena]\nlock_memory = yes", "arena.lock_memory", "yes"},
	{"[arena]\nlock_memory = true", "arena.lock_memory", "yes"},
	{"[arena]\nlock_memory = on", "arena.lock_memory", "yes"},
	{"[arena]\nlock_memory = 1", "arena.lock_memory", "yes"},
	{"[business]\nallow_crash_test = no", "business.allow_crash_test",
		"no"},
	{"[business]\nallow_crash_test = off", "business.allow_crash_test",
		"no"},
	{"[arena]\nbackend = memfd", "arena.backend", "memfd"},
	{"[log]\nlevel = debug", "log.level", "debug"},
	{"[kv]\nmaxmemory = 100M", "kv.maxmemory", "100M"},
	{"[kv]\nmaxmemory_policy = volatile-lfu", "kv.maxmemory_policy",
		"volatile-lfu"},
	{"[kv]\nnotify_keyspace_events = KEg$", "kv.notify_keyspace_events",
		"KEg$"},
	{"[kv]\nrequirepass_file =", "kv.requirepass_file", ""},
	{"[kv]\nrequirepass_file = /etc/x", "kv.requirepass_file", "/etc/x"},
	{"[refork]\nworker_args = -a 'b  c' x=y", "refork.worker_args",
		"-a 'b  c' x=y"},
	{"[refork]\nworker_args =", "refork.worker_args", ""},
	{"[network]\nlisten = [::1]:1\nlisten = unix:/s\n"
	 "listen=a-b.c:65535",
		"network.listen", "[::1]:1 unix:/s a-b.c:65535"},
	{"[network]\nlisten = systemd:client\nlisten = systemd:a@b.socket",
		"network.listen", "systemd:client systemd:a@b.socket"},
	{"[network]\nlisten = [fe80::1%eth0]:6380", "network.listen",
		"[fe80::1%eth0]:6380"},
	/* How a file may look. */
	{"; c\n# c\n\n\t\n  # c\n[log] ; c\nlevel = error ; c\n", "log.level",
		"error"},
	{"\xEF\xBB\xBF[log]\r\nlevel\t=\terror \r\n", "log.level", "error"},
	{"[log]\n[arena]\n[log]\nlevel: error", "log.level", "error"},
	{"", "log.level", "info"},
};

static void every_type_reads_what_an_operator_writes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		if (load(good[i].text) != 0)
			fail_msg("%s\n%s", good[i].text, problems);
		assert_string_equal(
			conf_get(&conf, good[i].key), good[i].value);
	}
}

/* The whole report, word for word. */
static const struct {
	const char *text, *report;
} flawed[] = {
	{"[network]\nlisen = a:1",
		"t:2: error: unknown key `lisen` in [network]; did "
		"you mean `listen`?\n"},
	{"[log]\nleevvel = info",
		"t:2: error: unknown key `leevvel` in [log]; did you "
		"mean `level`?\n"},
	{"[network]\nlisten = ::1:6380",
		"t:2: error: network.listen: `::1:6380` has more than "
		"one `:`; an IPv6 address needs brackets: "
		"[::1]:6380\n"},
	{"[network]\n\nsize = 64M",
		"t:3: error: unknown key `size` in [network]; it "
		"belongs to [arena]\n"},
	{"[network]\nzebra = 1",
		"t:2: error: unknown key `zebra` in [network]\n"},
	{"[netwrk]\nlisten = 1\nzebra = 2",
		"t:1: error: unknown section [netwrk]; did you mean "
		"[network]?\n"},
	{"[]", "t:1: error: unknown section []\n"},
	{"[zoo]\n", "t:1: error: unknown section [zoo]\n"},
	{"name = x", "t:1: error: `name` stands before the first "
		     "[section]\n"},
	{"[log]\n = info",
		"t:2: error: the line is indented; a key or a section "
		"begins in the first column\n"},
	{"[log]\n= info", "t:2: error: a value without a key in [log]\n"},
	{"[log]\nlevel\n[arena]\njunk",
		"t:2: error: expected `key = value` or `[section]`\n"
		"t:4: error: expected `key = value` or `[section]`\n"},
	{"[log\nlevel = x", "t:1: error: `[` without `]`; the keys "
			    "below are not read\n"},
	{"[log] level = debug",
		"t:1: error: text after `[section]`; the keys below "
		"are not read\n"},
	{"[log]\nlevel = info\n\nlevel = info",
		"t:4: error: log.level is already set on line 2\n"},
	{"[log]\nlevel = loud",
		"t:2: error: log.level: `loud` is none of error, "
		"warning, notice, info, debug\n"},
	{"[log]\nlevel =", "t:2: error: log.level: `` is none of "
			   "error, warning, notice, info, debug\n"},
	{"[arena]\nlock_memory = maybe",
		"t:2: error: arena.lock_memory: `maybe` is neither "
		"yes nor no\n"},
	{"[refork]\nname = a/b",
		"t:2: error: refork.name: `a/b` holds more than "
		"letters, digits, `_`, `.` and `-`\n"},
	{"[refork]\nname = ..",
		"t:2: error: refork.name: `..` begins with a dot\n"},
	{"[refork]\nname =", "t:2: error: refork.name: `` is empty\n"},
	{"[refork]\nname = abcdefghijklmnopqrstuvwxyz012345",
		"t:2: error: refork.name: "
		"`abcdefghijklmnopqrstuvwxyz012345` is 32 bytes long, "
		"31 is the most\n"},
	{"[refork]\nstate_dir = var",
		"t:2: error: refork.state_dir: `var` is not an "
		"absolute path\n"},
	{"[kv]\nrequirepass_file = password",
		"t:2: error: kv.requirepass_file: `password` is not an "
		"absolute path\n"},
	{"[kv]\nnotify_keyspace_events = KEA, all",
		"t:2: error: kv.notify_keyspace_events: `KEA, all` holds more "
		"than the letters KEg$lshzxetdmnA\n"},
	{"[kv]\nmaxmemory_policy = lru",
		"t:2: error: kv.maxmemory_policy: `lru` is none of "
		"noeviction, allkeys-lru, allkeys-lfu, allkeys-random, "
		"volatile-lru, volatile-lfu, volatile-random, "
		"volatile-ttl\n"},
	{"[refork]\nworker_args = a # b",
		"t:2: error: refork.worker_args: `a # b` has a word "
		"that begins with `;` or `#`; a comment stands on a "
		"line of its own\n"},
	{"[arena]\nsize = 1G\nmax = 512M",
		"t:3: error: arena.size (1G) is larger than arena.max "
		"(512M)\n"},
	{"[arena]\nsize = 8G",
		"t:2: error: arena.size (8G) is larger than arena.max "
		"(4G)\n"},
	{"[restart]\ndelay_max = 1s\ndelay = 2s\n",
		"t:3: error: restart.delay (2s) is larger than "
		"restart.delay_max (1s)\n"},
	{"[kv]\nmaxmemory = 8G",
		"t:2: error: kv.maxmemory (8G) is larger than arena.max "
		"(4G)\n"},
	/* A refused value takes no part in a contradiction. */
	{"[arena]\nsize = 8G\nmax = lots",
		"t:3: error: arena.max: `lots` is not a size such as "
		"64K, 256M or 4G\n"},
	{"[network]\nlisten = a:1\nlisten = a:1",
		"t:3: error: network.listen: `a:1` is there "
		"already\n"},
};

static void each_flaw_is_reported_with_its_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(flawed); i++) {
		int count = load(flawed[i].text);

		assert_string_equal(problems, flawed[i].report);
		assert_int_equal(count, line_count(problems));
	}
}

/* None of these is a value of its key. */
static const struct {
	const char *key;
	const char *values[20];
} refused[] = {
	{"arena.size",
		{"", "x", "-1", "+64M", "64 M", "1.5G", "64m", "64MB",
			"0x4000000", "16777215", "15M", "129G", "0",
			"99999999999999999999999", "M", "18446744073709551616G",
			"17179869185G", "64M 64M"}},
	{"network.park_timeout",
		{"", "5m", "5 s", "1d", "-1s", "1.5s", "3601s", "2h",
			"18446744073709551616", "ms", "1e3"}},
	{"network.tcp_keepalive", {"1ms", "999ms", "10h"}},
	{"network.max_clients", {"0", "65536", "1K", "ten", "1s"}},
	{"arena.lock_memory", {"", "YES", "2", "y"}},
	{"arena.backend", {"", "shm", "POSIX", "posix,memfd"}},
	{"network.listen",
		{"", "6380", ":6380", "host:", "host:0", "host:65536",
			"host:+1", "host:6380x", "::1:6380", "[::1]",
			"[::1]:", "[:::1]:1", "[]:1", "1.2.3.256:1", "1.2.3:1",
			"ho st:1", "ho/st:1", "unix:", "unix:path"}},
	{"network.listen", {"systemd:", "systemd:a b", "systemd:a:b",
				   "systemd:\x7f", "systemd:\xc3\xa4"}},
};

static void values_out_of_syntax_or_range_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(refused); i++)
		for (int n = 0; n < 20 && refused[i].values[n]; n++) {
			char text[128];
			const char *override = text;

			snprintf(text, sizeof(text), "%s=%s", refused[i].key,
				refused[i].values[n]);
			if (load_bytes(NULL, 0, &override, 1) != 1)
				fail_msg("%s: %s", text, problems);
		}
}

static void a_unix_path_must_fit_its_socket_address(void **state)
{
	char text[160];

	(void)state;
	for (int length = 106; length <= 108; length++) {
		snprintf(text, sizeof(text), "[network]\nlisten = unix:/%0*d",
			length - 1, 0);
		assert_int_equal(load(text), length > 107);
	}
}

static void a_list_holds_so_many_and_no_more(void **state)
{
	char text[1024] = "[network]\n";

	(void)state;
	for (int i = 1; i <= CONF_LISTEN_MAX + 1; i++) {
		snprintf(text + strlen(text), 32, "listen = host:%d\n", i);
		assert_int_equal(load(text), i > CONF_LISTEN_MAX);
	}
	assert_int_equal(conf.network.listen_count, CONF_LISTEN_MAX);
	assert_string_equal(problems, "t:18: error: network.listen: `host:17` "
				      "is one too many: 16 is the most\n");
}

static void what_inih_would_cut_is_refused(void **state)
{
	static const char nul[] = "[log]\nlevel = info\0debug\nlevel = error";
	static const char escape[] = "[log]\n# \x1b[2J\nlevel = error\r\r\n";
	char text[INI_LINE_BYTES_MAX + 16];

	(void)state;
	assert_int_equal(load_bytes(nul, sizeof(nul) - 1, NULL, 0), 1);
	assert_string_equal(problems, "t:2: error: the line holds a control "
				      "character (0x00)\n");
	assert_int_equal(conf.log.level, RF_LOG_ERROR);

	assert_int_equal(load(escape), 2);
	assert_string_equal(problems,
		"t:2: error: the line holds a control character (0x1b)\n"
		"t:3: error: the line holds a control character (0x0d)\n");

	/* A comment may fill a line to the last byte. */
	for (int extra = 0; extra <= 1; extra++) {
		snprintf(text, sizeof(text), "#%0*d\n[x]",
			INI_LINE_BYTES_MAX - 1 + extra, 0);
		assert_int_equal(load(text), 1 + extra);
		assert_non_null(strstr(problems, "t:2: error: unknown sec"));
	}
	assert_non_null(strstr(
		problems, "t:1: error: the line is longer than 510 bytes\n"));
}

static void the_longest_value_is_read_whole(void **state)
{
	char value[CONF_TEXT_MAX + 2], text[512];

	(void)state;
	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	snprintf(text, sizeof(text), "[refork]\nworker_args = %s", value);
	assert_int_equal(load(text), 1);
	text[strlen(text) - 1] = '\0';
	assert_int_equal(load(text), 0);
	assert_string_equal(conf.refork.worker_args, value + 1);
}

static void a_line_never_joins_the_one_above(void **state)
{
	(void)state;
	assert_int_equal(
		load("[network]\nlisten = a:1\n  b:2\n\tlisten = c:3\n"), 2);
	assert_string_equal(conf_get(&conf, "network.listen"), "a:1");
	assert_non_null(strstr(problems, "t:3: error: the line is indented"));
	assert_non_null(strstr(problems, "t:4: error: the line is indented"));
}

static void every_problem_is_reported_in_one_go(void **state)
{
	static const char file[] =
		"junk\n[log]\nlevel = x\n[arena]\nsize = y\nmax = 1";
	static const char *const overrides[] = {
		"log.level=loud", "nonsense", "log.levle=info", "a.b=c"};

	(void)state;
	assert_int_equal(load_bytes(file, sizeof(file) - 1, overrides, 4), 8);
	assert_string_equal(problems,
		"t:1: error: expected `key = value` or `[section]`\n"
		"t:3: error: log.level: `x` is none of error, warning, "
		"notice, info, debug\n"
		"t:5: error: arena.size: `y` is not a size such as 64K, 256M "
		"or 4G\n"
		"t:6: error: arena.max: `1` is outside 16M .. 128G\n"
		"-o log.level=loud: error: log.level: `loud` is none of "
		"error, warning, notice, info, debug\n"
		"-o nonsense: error: expected section.key=value\n"
		"-o log.levle=info: error: unknown key `levle` in [log]; did "
		"you mean `level`?\n"
		"-o a.b=c: error: unknown section [a]\n");
}

static void an_override_wins_over_the_file(void **state)
{
	static const char file[] = "[log]\nlevel = error\n[network]\n"
				   "listen = a:1\nlisten = b:2\n"
				   "[refork]\nworker_args = long\n";
	static const char *const overrides[] = {"log.level=debug",
		"log.level = notice ", "network.listen=c:3",
		"network.listen=unix:/x=y", "refork.worker_args=s"};

	(void)state;
	assert_int_equal(load_bytes(file, sizeof(file) - 1, overrides, 5), 0);
	assert_string_equal(conf.refork.worker_args, "s");
	assert_string_equal(conf_get(&conf, "log.level"), "notice");
	assert_string_equal(conf_get(&conf, "network.listen"), "c:3 unix:/x=y");
}

static void an_override_can_hold_only_what_an_ini_can(void **state)
{
	static const char *const texts[] = {"refork.worker_args=a\nb",
		"refork.worker_args=a ;b", "refork.worker_args=;b",
		"refork.worker_args=\x1b[2J", "refork.worker_args\n=a"};
	char text[INI_LINE_BYTES_MAX + 64];
	const char *override = text;

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		assert_int_equal(load_bytes(NULL, 0, &texts[i], 1), 1);
		assert_int_equal(line_count(problems), 1);
		assert_null(strchr(problems, '\x1b'));
	}
	snprintf(text, sizeof(text), "refork.worker_args=%0*d",
		INI_LINE_BYTES_MAX, 0);
	assert_int_equal(load_bytes(NULL, 0, &override, 1), 1);
}

static void a_contradiction_is_reported_at_the_later_value(void **state)
{
	static const char file[] = "[arena]\nsize = 1G\n";
	static const char bad[] = "[arena]\nsize = 1G\nmax = x\n";
	static const char *const overrides[] = {"arena.max=512M"};

	(void)state;
	assert_int_equal(load_bytes(file, sizeof(file) - 1, overrides, 1), 1);
	assert_string_equal(problems, "-o arena.max=512M: error: arena.size "
				      "(1G) is larger than arena.max (512M)\n");
	/* The file's `max` is refused, but not the one that counts. */
	assert_int_equal(load_bytes(bad, sizeof(bad) - 1, overrides, 1), 2);
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
	char path[] = "/tmp/test_conf.XXXXXX";
	FILE *file;

	(void)state;
	assert_int_equal(load_path("/nonexistent.ini"), 1);
	assert_string_equal(problems, "/nonexistent.ini: error: cannot open: "
				      "No such file or directory\n");
	assert_int_equal(load_path("/"), 1);
	assert_string_equal(
		problems, "/: error: cannot read: Is a directory\n");

	file = fdopen(mkstemp(path), "w");
	assert_non_null(file);
	for (int i = 0; i < (INI_FILE_BYTES_MAX >> 6) + 1; i++)
		fprintf(file, "#%062d\n", 0);
	fprintf(file, "[junk]\n");
	fclose(file);
	assert_int_equal(load_path(path), 1);
	unlink(path);
	assert_non_null(strstr(problems, ":16385: error: the file is larger"));
}

static void a_value_is_found_where_it_stands(void **unused)
{
	static const struct conf_override over[] = {
		{"arena.max = 2G"}, {"log.level=info"}};
	const char *path = "/tmp/refork-test-conf-line.ini";
	FILE *file = fopen(path, "we");

	(void)unused;
	assert_non_null(file);
	fputs("[arena]\nmax = 1G\nmax = 2G\n\n[network]\n"
	      "listen = 127.0.0.1:1\n[kv]\nrequirepass_file = /x\n",
		file);
	fclose(file);
	assert_int_equal(conf_line(path, NULL, 0, "arena.max"), 2);
	assert_int_equal(conf_line(path, NULL, 0, "kv.requirepass_file"), 8);
	assert_int_equal(conf_line(path, over, 2, "kv.requirepass_file"), 8);
	assert_int_equal(conf_line(path, over, 2, "arena.max"), 0);
	assert_int_equal(conf_line(path, NULL, 0, "log.level"), 0);
	assert_int_equal(conf_line(path, NULL, 0, "network.listen"), 0);
	assert_int_equal(conf_line(path, NULL, 0, "worker"), 0);
	unlink(path);
	assert_int_equal(conf_line(path, NULL, 0, "arena.max"), 0);
	assert_int_equal(conf_line(NULL, NULL, 0, "arena.max"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_file_every_key_has_its_default),
		cmocka_unit_test(every_type_reads_what_an_operator_writes),
		cmocka_unit_test(each_flaw_is_reported_with_its_line),
		cmocka_unit_test(values_out_of_syntax_or_range_are_refused),
		cmocka_unit_test(a_unix_path_must_fit_its_socket_address),
		cmocka_unit_test(a_list_holds_so_many_and_no_more),
		cmocka_unit_test(what_inih_would_cut_is_refused),
		cmocka_unit_test(the_longest_value_is_read_whole),
		cmocka_unit_test(a_line_never_joins_the_one_above),
		cmocka_unit_test(every_problem_is_reported_in_one_go),
		cmocka_unit_test(an_override_wins_over_the_file),
		cmocka_unit_test(an_override_can_hold_only_what_an_ini_can),
		cmocka_unit_test(
			a_contradiction_is_reported_at_the_later_value),
		cmocka_unit_test(a_file_that_cannot_be_read_is_named),
		cmocka_unit_test(a_value_is_found_where_it_stands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
