/* SPDX-License-Identifier: MIT */
/* test_conf_keys.c -- the table of keys: its defaults, its way back to text,
 * and what it must agree with.
 */
#include "load_conf.h"

#include "conf/conf_keys.h"

#include <refork/log.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Print, read again, compare every byte. */
static void assert_reads_back(void)
{
	struct conf before = conf;
	char *text;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	conf_print(&conf, out);
	fclose(out);
	if (load(text) != 0)
		fail_msg("%s", problems);
	assert_memory_equal(&before, &conf, sizeof(conf));
	free(text);
}

/* The n-th value worth trying for a key; false when there are no more. */
static bool value_to_try(const struct conf_key *key, int n, char *text)
{
	static const char *const texts[] = {"/a", "x", "/a b\tc", "a:1",
		"unix:/\xC3\xA9", "=x", ":", "[a]", "%%a", "unix:%%/b"};
	const uint64_t numbers[] = {0, key->min, key->max, key->min + 1,
		key->max - 1, key->max / 3, UINT64_C(1) << 30, 61000, 7001};

	if (key->type == CONF_TYPE_CHOICE) {
		if (!key->words[n])
			return false;
		return snprintf(text, 64, "%s", key->words[n]) > 0;
	}
	if (key->type == CONF_TYPE_BOOL)
		return snprintf(text, 64, "%d", n) > 0 && n < 2;
	if (key->type == CONF_TYPE_TEXT || key->type == CONF_TYPE_LIST)
		return n < (int)COUNT(texts) &&
		       snprintf(text, 64, "%s", texts[n]) > 0;
	snprintf(text, 64, "%llu%s",
		(unsigned long long)numbers[n % (int)COUNT(numbers)],
		key->type == CONF_TYPE_TIME ? "ms" : "");
	return n < (int)COUNT(numbers);
}

static void what_is_printed_reads_back_the_same(void **state)
{
	char value[64], text[128];
	const char *override = text;
	int tried = 0;

	(void)state;
	for (int i = 0; i < conf_key_count; i++)
		for (int n = 0; value_to_try(&conf_keys[i], n, value); n++) {
			snprintf(text, sizeof(text), "%s.%s=%s",
				conf_keys[i].section, conf_keys[i].name, value);
			if (load_bytes(NULL, 0, &override, 1) != 0)
				continue;
			tried++;
			assert_reads_back();
		}
	assert_true(tried > 3 * conf_key_count);
}

static void a_value_by_name_is_the_text_of_the_ini(void **state)
{
	(void)state;
	assert_int_equal(load(""), 0);
	assert_string_equal(conf_get(&conf, "arena.size"), "256M");
	assert_string_equal(conf_get(&conf, "network.drain_timeout"), "30s");
	assert_null(conf_get(&conf, "arena.zebra"));
	assert_null(conf_get(&conf, "arena"));
	assert_null(conf_get(&conf, ""));
	assert_null(conf_get(
		&conf, "a_section_of_more_than_any_length_that_one_has.size"));
}

static void the_directories_are_those_of_the_user(void **state)
{
	uid_t user = geteuid();
	char deep[400];

	(void)state;
	if (user == 0) {
		load("");
		assert_string_equal(conf.refork.runtime_dir, "/run/refork");
		assert_string_equal(conf.refork.state_dir, "/var/lib/refork");
		assert_int_equal(seteuid(1234), 0);
	}
	setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	unsetenv("XDG_STATE_HOME");
	setenv("HOME", "/home/x", 1);
	assert_int_equal(load(""), 0);
	assert_string_equal(conf.refork.runtime_dir, "/run/user/7/refork");
	assert_string_equal(
		conf.refork.state_dir, "/home/x/.local/state/refork");

	unsetenv("XDG_RUNTIME_DIR");
	setenv("XDG_STATE_HOME", "/s", 1);
	assert_int_equal(load(""), 0);
	assert_int_equal(
		strncmp(conf.refork.runtime_dir, "/tmp/refork-", 12), 0);
	assert_string_equal(conf.refork.state_dir, "/s/refork");

	/* One too long is refused, not cut. */
	snprintf(deep, sizeof(deep), "/%0300d", 0);
	setenv("XDG_STATE_HOME", deep, 1);
	assert_int_equal(load(""), 1);
	assert_int_equal(
		strncmp(problems, "default: error: refork.state_dir: ", 34), 0);
	assert_int_equal(load("[refork]\nstate_dir = /s\n"), 0);
	unsetenv("XDG_STATE_HOME");
	assert_int_equal(seteuid(user), 0);
	prctl(PR_SET_DUMPABLE, 1); /* the leak check attaches to us */
}

/* A field without a key, or two keys on one field, would show here. */
static void the_keys_cover_the_configuration(void **state)
{
	static const size_t bytes[CONF_TYPE_COUNT] = {
		[CONF_TYPE_TEXT] = CONF_TEXT_MAX + 1,
		[CONF_TYPE_SIZE] = sizeof(uint64_t),
		[CONF_TYPE_TIME] = sizeof(uint64_t),
		[CONF_TYPE_NUMBER] = sizeof(uint64_t),
		[CONF_TYPE_PERCENT] = sizeof(uint64_t),
		[CONF_TYPE_BOOL] = sizeof(bool),
		[CONF_TYPE_CHOICE] = sizeof(int),
		[CONF_TYPE_LIST] = sizeof(conf.network.listen)};
	static unsigned char covered[sizeof(struct conf)];
	size_t gap = 0;

	(void)state;
	for (int i = 0; i < conf_key_count; i++) {
		const struct conf_key *key = &conf_keys[i];

		for (size_t n = 0; n < bytes[key->type]; n++)
			assert_int_equal(covered[key->offset + n]++, 0);
		if (key->type == CONF_TYPE_LIST)
			memset(covered + key->count_offset, 1, sizeof(int));
	}
	for (size_t i = 0; i < sizeof(covered); i++) {
		gap = covered[i] ? 0 : gap + 1;
		assert_true(gap < _Alignof(struct conf));
	}
}

static void the_log_levels_are_those_of_the_log(void **state)
{
	const struct conf_key *key = &conf_keys[conf_key_find("log", "level")];

	(void)state;
	for (int i = 0; i < RF_LOG_LEVEL_COUNT; i++)
		assert_int_equal(rf_log_level_by_name(key->words[i]), i);
	assert_null(key->words[RF_LOG_LEVEL_COUNT]);
}

static void the_shipped_file_has_no_problem(void **state)
{
	(void)state;
	if (access("conf/kv.ini", R_OK) != 0)
		skip();
	assert_int_equal(load_path("conf/kv.ini"), 0);
	assert_string_equal(
		conf_get(&conf, "network.listen"), "127.0.0.1:6380");
	assert_false(conf.business.allow_crash_test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_printed_reads_back_the_same),
		cmocka_unit_test(a_value_by_name_is_the_text_of_the_ini),
		cmocka_unit_test(the_directories_are_those_of_the_user),
		cmocka_unit_test(the_keys_cover_the_configuration),
		cmocka_unit_test(the_log_levels_are_those_of_the_log),
		cmocka_unit_test(the_shipped_file_has_no_problem),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
