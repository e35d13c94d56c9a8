/* SPDX-License-Identifier: MIT */
/* test_daemon_words.c -- ends of processes, in words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/records/words.c"

#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void check_words(int code, int status, const char *expected)
{
	siginfo_t end = {.si_code = code};
	char words[WORDS_MAX];

	end.si_status = status;
	assert_string_equal(words_of_end(&end, words), expected);
}

static void an_exit_code_is_named(void **unused)
{
	(void)unused;
	check_words(CLD_EXITED, 3, "exited with 3");
	check_words(CLD_EXITED, RF_CHILD_EXIT_ASKED, "exited with 0");
	check_words(CLD_EXITED, RF_CHILD_EXIT_START,
		"exited with 69: it could not start");
	check_words(CLD_EXITED, RF_CHILD_EXIT_CODE,
		"exited with 67: its code cannot run the state");
	check_words(CLD_EXITED, RF_CHILD_EXIT_DAMAGED,
		"exited with 66: verify found the state damaged");
}

static void a_signal_is_named(void **unused)
{
	(void)unused;
	check_words(CLD_KILLED, SIGKILL, "killed by SIGKILL");
	check_words(CLD_KILLED, SIGRTMIN + 3, "killed by signal 37");
}

static void a_core_dump_is_mentioned(void **unused)
{
	(void)unused;
	check_words(CLD_DUMPED, SIGSEGV, "killed by SIGSEGV (core dumped)");
}

static void what_waitid_says_is_understood(void **unused)
{
	siginfo_t end;
	char words[WORDS_MAX];
	pid_t pid = fork();

	(void)unused;
	if (pid == 0) {
		prctl(PR_SET_DUMPABLE, 0);
		raise(SIGKILL);
	}
	assert_return_code(waitid(P_PID, (id_t)pid, &end, WEXITED), 0);
	assert_string_equal(words_of_end(&end, words), "killed by SIGKILL");
	pid = fork();
	if (pid == 0)
		_exit(7);
	assert_return_code(waitid(P_PID, (id_t)pid, &end, WEXITED), 0);
	assert_string_equal(words_of_end(&end, words), "exited with 7");
}

static void no_words_outgrow_their_room(void **unused)
{
	char words[WORDS_MAX + 1];

	(void)unused;
	for (int status = 0; status < 256; status++) {
		siginfo_t end = {.si_code = CLD_EXITED};

		end.si_status = status;
		words[WORDS_MAX] = '!';
		assert_in_range(
			strlen(words_of_end(&end, words)), 1, WORDS_MAX - 2);
		assert_int_equal(words[WORDS_MAX], '!');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_exit_code_is_named),
		cmocka_unit_test(a_signal_is_named),
		cmocka_unit_test(a_core_dump_is_mentioned),
		cmocka_unit_test(what_waitid_says_is_understood),
		cmocka_unit_test(no_words_outgrow_their_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
