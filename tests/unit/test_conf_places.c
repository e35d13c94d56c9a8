/* SPDX-License-Identifier: MIT */
/* test_conf_places.c -- paths that begin with a directory of the service
 * manager's; the control socket's mode and group.
 */
#include "load_conf.h"

#include <stdlib.h>
#include <unistd.h>

static void assert_problem(const char *said)
{
	if (!strstr(problems, said))
		fail_msg("not said: %s\nbut: %s", said, problems);
}

/* What comes of a password file that is written so. */
static const char *password_file(const char *value)
{
	char text[512];

	snprintf(text, sizeof(text), "[kv]\nrequirepass_file = %s\n", value);
	return load(text) ? NULL : conf.kv.requirepass_file;
}

static int with_directories(void **state)
{
	(void)state;
	setenv("CREDENTIALS_DIRECTORY", "/run/credentials/a", 1);
	setenv("RUNTIME_DIRECTORY", "/run/b:/run/c", 1);
	setenv("STATE_DIRECTORY", "/var/lib/d", 1);
	return 0;
}

static int without_directories(void **state)
{
	(void)state;
	unsetenv("CREDENTIALS_DIRECTORY");
	unsetenv("RUNTIME_DIRECTORY");
	unsetenv("STATE_DIRECTORY");
	return 0;
}

static void a_path_may_begin_with_a_directory_of_the_service_manager(void **s)
{
	(void)s;
	assert_string_equal(
		password_file("%d/password"), "/run/credentials/a/password");
	assert_string_equal(password_file("%t/password"), "/run/b/password");
	assert_string_equal(
		password_file("%S/password"), "/var/lib/d/password");
	assert_string_equal(password_file("%S"), "/var/lib/d");
	assert_string_equal(password_file("/a%d/b"), "/a%d/b");
}

static void so_may_a_unix_socket_of_clients(void **state)
{
	(void)state;
	assert_int_equal(load("[network]\nlisten = unix:%t/kv\n"), 0);
	assert_string_equal(conf.network.listen[0], "unix:/run/b/kv");
}

static void two_percent_signs_are_one(void **state)
{
	(void)state;
	assert_int_equal(load("[refork]\nworker = %%d/a.so\n"), 0);
	assert_string_equal(conf.refork.worker, "%d/a.so");
	assert_int_equal(load("[refork]\nworker_args = %d %%\n"), 0);
	assert_string_equal(conf.refork.worker_args, "%d %%");
}

static void another_letter_is_refused_with_those_that_are_known(void **state)
{
	(void)state;
	assert_null(password_file("%x/password"));
	assert_problem(":2: error: kv.requirepass_file: `%x/password` begins "
		       "with a %: %d/, %t/ and %S/ are known, and %% for the "
		       "sign itself");
	assert_null(password_file("%dpassword"));
	assert_null(password_file("%"));
}

static void a_missing_directory_is_named_with_who_makes_it(void **state)
{
	(void)state;
	assert_null(password_file("%d/password"));
	assert_problem(":2: error: kv.requirepass_file: `%d/password` needs "
		       "$CREDENTIALS_DIRECTORY, which LoadCredential= or "
		       "SetCredential= of the unit sets: it is not there");
	setenv("STATE_DIRECTORY", "relative", 1);
	assert_null(password_file("%S/a"));
	assert_problem("it is no path");
	unsetenv("STATE_DIRECTORY");
}

static void a_path_that_grows_too_long_is_refused(void **state)
{
	char dir[300] = "/";

	(void)state;
	memset(dir + 1, 'x', 290);
	dir[291] = '\0';
	setenv("STATE_DIRECTORY", dir, 1);
	assert_null(password_file("%S/a"));
	assert_problem("is 293 bytes long, 255 is the most");
	unsetenv("STATE_DIRECTORY");
}

static void the_service_manager_says_where_the_directories_are(void **state)
{
	(void)state;
	assert_int_equal(load(""), 0);
	assert_string_equal(conf.refork.runtime_dir, "/run/b");
	assert_string_equal(conf.refork.state_dir, "/var/lib/d");
}

static void what_is_in_force_is_printed(void **state)
{
	char *text;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	(void)state;
	assert_int_equal(load("[kv]\nrequirepass_file = %d/password\n"), 0);
	conf_print(&conf, out);
	fclose(out);
	assert_non_null(strstr(
		text, "\nrequirepass_file = /run/credentials/a/password\n"));
	free(text);
}

static void a_group_is_a_name_or_a_number_of_this_machine(void **state)
{
	gid_t gid;

	(void)state;
	assert_true(conf_group("root", &gid));
	assert_int_equal(gid, 0);
	assert_true(conf_group("4711", &gid));
	assert_int_equal(gid, 4711);
	assert_int_equal(load("[refork]\ncontrol_group = no-such-group\n"), 1);
	assert_problem(":2: error: refork.control_group: `no-such-group` is no "
		       "group of this machine");
	assert_int_equal(load("[refork]\ncontrol_group = 99999999999\n"), 1);
	assert_int_equal(load("[refork]\ncontrol_group =\n"), 0);
}

static void a_mode_is_octal(void **state)
{
	(void)state;
	assert_int_equal(conf_mode("0660"), 0660);
	assert_int_equal(conf_mode("600"), 0600);
	assert_int_equal(load("[refork]\ncontrol_mode = 0680\n"), 1);
	assert_problem("is not an octal mode as 0660");
	assert_int_equal(load("[refork]\ncontrol_mode = 4755\n"), 1);
}

#define WITH(test)                                                             \
	cmocka_unit_test_setup_teardown(                                       \
		test, with_directories, without_directories)
#define WITHOUT(test) cmocka_unit_test_setup(test, without_directories)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(a_path_may_begin_with_a_directory_of_the_service_manager),
		WITH(so_may_a_unix_socket_of_clients),
		WITHOUT(two_percent_signs_are_one),
		WITH(another_letter_is_refused_with_those_that_are_known),
		WITHOUT(a_missing_directory_is_named_with_who_makes_it),
		WITHOUT(a_path_that_grows_too_long_is_refused),
		WITH(the_service_manager_says_where_the_directories_are),
		WITH(what_is_in_force_is_printed),
		cmocka_unit_test(a_group_is_a_name_or_a_number_of_this_machine),
		cmocka_unit_test(a_mode_is_octal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
