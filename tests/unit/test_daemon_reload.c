/* SPDX-License-Identifier: MIT */
/* test_daemon_reload.c -- what a reload changes, what it names, what it leaves
 * alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/fault.c"
#include "daemon/limits.c"
#include "daemon/options.c"
#include "daemon/supervise/reload.c"

#include "conf/conf_keys.h"

#include <sys/eventfd.h>
#include <unistd.h>

static char path[] = "/tmp/refork-reload-XXXXXX";
static struct options options = {.conf_path = path};
static struct rf_status_shm status;
static struct service service;
static char report[4096];

static uint64_t trimmed_to;

void quarantine_trim(const struct service *s)
{
	trimmed_to = s->conf->quarantine.keep;
}

static int begin(void **unused)
{
	(void)unused;
	strcpy(path + strlen(path) - 6, "XXXXXX");
	close(mkstemp(path));
	service = (struct service){.options = &options, .status = &status};
	service.conf = conf_create();
	service.channel.bell_network = eventfd(0, EFD_NONBLOCK);
	service.channel.bell_business = eventfd(0, EFD_NONBLOCK);
	snprintf(service.lib.path, sizeof(service.lib.path), "/w/two.so");
	return options_load(&options, service.conf, stderr);
}

static int end(void **unused)
{
	(void)unused;
	return unlink(path);
}

static int reload_with(const char *text)
{
	FILE *file = fopen(path, "we"), *out;
	int rc;

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	memset(report, 0, sizeof(report));
	out = fmemopen(report, sizeof(report), "w");
	rc = reload(&service, out);
	fclose(out);
	return rc;
}

static bool rung(int bell)
{
	uint64_t rings;

	return read(bell, &rings, sizeof(rings)) > 0;
}

static void a_file_as_before_changes_and_says_nothing(void **unused)
{
	(void)unused;
	assert_int_equal(reload_with(""), 0);
	assert_string_equal(report, "");
}

static void a_number_changes_and_the_children_are_rung(void **unused)
{
	uint64_t serial = status.supervisor.conf_serial;

	(void)unused;
	assert_int_equal(
		reload_with("[restart]\nburst = 7\n[network]\nbacklog = 9\n"),
		0);
	assert_int_equal(service.conf->restart.burst, 7);
	assert_int_equal(service.conf->network.backlog, 9);
	assert_int_equal(status.supervisor.conf_serial, serial + 1);
	assert_true(rung(service.channel.bell_network));
	assert_true(rung(service.channel.bell_business));
	assert_non_null(strstr(report, "restart.burst is now 7\n"));
}

static void what_cannot_change_is_named_and_stays(void **unused)
{
	(void)unused;
	assert_int_equal(reload_with("[arena]\nmax = 8G\n"
				     "[network]\nlisten = 127.0.0.1:1\n"),
		0);
	assert_int_equal(service.conf->arena.max_bytes, UINT64_C(4) << 30);
	assert_string_equal(service.conf->network.listen[0], "127.0.0.1:6380");
	assert_non_null(strstr(report, "arena.max is now 8G in the "
				       "configuration; takes effect at "
				       "restart\n"));
	assert_non_null(strstr(report, "network.listen"));
}

static void an_error_anywhere_changes_nothing_at_all(void **unused)
{
	uint64_t serial = status.supervisor.conf_serial;
	struct conf before = *service.conf;

	(void)unused;
	assert_int_equal(
		reload_with("[restart]\nburst = 3\n[log]\nlevel = loud\n"),
		-EINVAL);
	assert_memory_equal(&before, service.conf, sizeof(before));
	assert_int_equal(status.supervisor.conf_serial, serial);
	assert_non_null(strstr(report, ":4: error: log.level"));
}

static void another_worker_waits_for_an_upgrade(void **unused)
{
	(void)unused;
	assert_int_equal(reload_with("[refork]\nworker = /w/three.so\n"), 0);
	assert_non_null(strstr(report, "reforkctl upgrade"));
	assert_int_equal(reload_with("[refork]\nworker = /w/two.so\n"), 0);
	assert_string_equal(report, ""); /* it runs already */
}

static void core_dumps_follow_with_the_next_fork(void **unused)
{
	(void)unused;
	assert_int_equal(reload_with("[arena]\ncore = include\n"), 0);
	assert_true(service.arena.core_include);
	assert_non_null(strstr(report, "forked from now on"));
}

static void what_exceeds_a_smaller_quarantine_goes_at_once(void **unused)
{
	(void)unused;
	trimmed_to = UINT64_MAX;
	assert_int_equal(reload_with("[quarantine]\nkeep = 1\n"), 0);
	assert_int_equal(trimmed_to, 1);
}

/* A reload writes it under the eyes of the children. */
static void what_a_reload_writes_is_one_aligned_store(void **unused)
{
	static const size_t bytes[CONF_TYPE_COUNT] = {
		[CONF_TYPE_SIZE] = 8,
		[CONF_TYPE_TIME] = 8,
		[CONF_TYPE_NUMBER] = 8,
		[CONF_TYPE_PERCENT] = 8,
		[CONF_TYPE_BOOL] = 1,
		[CONF_TYPE_CHOICE] = 4,
	};

	(void)unused;
	for (int i = 0; i < conf_key_count; i++) {
		const struct conf_key *key = &conf_keys[i];

		if (waits_for[key->applied] ||
			!strcmp(key->name, "on_crash_exec")) /* supervisor's */
			continue;
		assert_int_not_equal(bytes[key->type], 0);
		assert_int_equal(key->offset % bytes[key->type], 0);
	}
}

static void every_effect_has_its_key(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(effects) / sizeof(*effects); i++) {
		int key = conf_key_find_dotted(effects[i].key);

		assert_true(key >= 0);
		assert_null(waits_for[conf_keys[key].applied]);
	}
}

#define story(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		story(a_file_as_before_changes_and_says_nothing),
		story(a_number_changes_and_the_children_are_rung),
		story(what_cannot_change_is_named_and_stays),
		story(an_error_anywhere_changes_nothing_at_all),
		story(another_worker_waits_for_an_upgrade),
		story(core_dumps_follow_with_the_next_fork),
		story(what_exceeds_a_smaller_quarantine_goes_at_once),
		cmocka_unit_test(what_a_reload_writes_is_one_aligned_store),
		cmocka_unit_test(every_effect_has_its_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
