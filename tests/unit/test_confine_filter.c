/* SPDX-License-Identifier: MIT */
/* test_confine_filter.c -- the program for the kernel, run here. */
#include "worker/confine/filter.h"

#include <assert.h>
#include <errno.h>
#include <execinfo.h>
#include <linux/audit.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <locale.h>
#include <malloc.h>
#include <netdb.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#if defined(__x86_64__)
#define MACHINE AUDIT_ARCH_X86_64
#else
#define MACHINE AUDIT_ARCH_AARCH64
#endif

#define NUMBER_MAX 600 /* beyond all that there are */

static const struct {
	const char *name;
	const struct calls *calls;
} roles[] = {
	{"network", &calls_network},
	{"basic", &calls_basic},
	{"strict", &calls_strict},
};
#define ROLE_COUNT (sizeof(roles) / sizeof(*roles))

static struct filter filter;

/* What the kernel would make of it. */
static uint32_t run(const struct filter *f, const struct seccomp_data *data)
{
	uint32_t a = 0;

	for (size_t at = 0; at < f->length; at++) {
		const struct sock_filter *code = &f->code[at];

		switch (code->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			memcpy(&a, (const char *)data + code->k, sizeof(a));
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= code->k;
			break;
		case BPF_JMP | BPF_JA:
			at += code->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			at += a == code->k ? code->jt : code->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			at += a >= code->k ? code->jt : code->jf;
			break;
		case BPF_RET | BPF_K:
			return code->k;
		default:
			fail_msg("code %#x", code->code);
		}
	}
	fail_msg("it has no end");
	return 0;
}

static uint32_t answer(int number, const uint64_t args[6])
{
	struct seccomp_data data = {.nr = number, .arch = MACHINE};

	memcpy(data.args, args, sizeof(data.args));
	return run(&filter, &data);
}

static bool allows(const struct call *row, const uint64_t args[6])
{
	for (size_t i = 0; i < row->test_count; i++) {
		const struct call_test *test = &row->tests[i];

		if (((uint32_t)args[test->arg] & test->mask) != test->value)
			return false;
	}
	return row->rule == CALL_ALLOW;
}

/* The rows as they read; 0 when none is of that number. */
static uint32_t expected(
	const struct calls *calls, int number, const uint64_t args[6])
{
	uint32_t found = 0;

	for (size_t i = 0; i < calls->count; i++) {
		const struct call *row = &calls->rows[i];

		if (row->number != number)
			continue;
		if (allows(row, args))
			return SECCOMP_RET_ALLOW;
		found = row->error ? SECCOMP_RET_ERRNO | (uint32_t)row->error
				   : SECCOMP_RET_TRAP;
	}
	return found;
}

/* Arguments of which some pass a test of that number. */
static void draw(const struct calls *calls, int number, uint64_t args[6])
{
	for (int i = 0; i < 6; i++)
		args[i] = (uint64_t)rand() << 32 | (uint32_t)rand();
	for (size_t i = 0; i < calls->count; i++) {
		const struct call *row = &calls->rows[i];

		if (row->number != number || rand() % 2)
			continue;
		for (size_t t = 0; t < row->test_count; t++)
			args[row->tests[t].arg] = row->tests[t].value;
	}
}

static void a_filter_answers_each_call_as_its_rows_say(void **s)
{
	uint64_t args[6];

	(void)s;
	for (size_t r = 0; r < ROLE_COUNT; r++) {
		const struct calls *calls = roles[r].calls;

		assert_int_equal(filter_build(&filter, calls), 0);
		for (int n = 0; n < 40 * NUMBER_MAX; n++) {
			int number = n % NUMBER_MAX;
			uint32_t want;

			draw(calls, number, args);
			want = expected(calls, number, args);
			if (want)
				assert_int_equal(answer(number, args), want);
		}
	}
}

static void an_allow_list_ends_known_calls_and_denies_unknown_ones(void **s)
{
	const uint64_t args[6] = {0};

	(void)s;
	assert_int_equal(filter_build(&filter, &calls_network), 0);
	assert_int_equal(answer(SYS_execve, args), SECCOMP_RET_TRAP);
	assert_int_equal(answer(SYS_mount, args), SECCOMP_RET_TRAP);
	assert_int_equal(answer(SYS_read, args), SECCOMP_RET_ALLOW);
	assert_int_equal(answer(NUMBER_MAX, args), SECCOMP_RET_ERRNO | ENOSYS);
	assert_int_equal(filter_build(&filter, &calls_basic), 0);
	assert_int_equal(answer(NUMBER_MAX, args), SECCOMP_RET_ALLOW);
}

static void another_machine_and_x32_are_killed(void **s)
{
	struct seccomp_data data = {.nr = SYS_read, .arch = AUDIT_ARCH_I386};

	(void)s;
	for (size_t r = 0; r < ROLE_COUNT; r++) {
		assert_int_equal(filter_build(&filter, roles[r].calls), 0);
		data.arch = AUDIT_ARCH_I386;
		assert_int_equal(run(&filter, &data), SECCOMP_RET_KILL_PROCESS);
#if defined(__x86_64__)
		data.arch = MACHINE;
		data.nr = 0x40000000 | SYS_read;
		assert_int_equal(run(&filter, &data), SECCOMP_RET_KILL_PROCESS);
		data.nr = SYS_read;
#endif
	}
}

/* No argument of them is looked at: the kernel keeps the answer. */
static void calls_made_for_each_request_are_allowed_by_number(void **s)
{
	static const int hot[] = {SYS_recvfrom, SYS_sendto, SYS_sendmmsg,
		SYS_recvmmsg, SYS_epoll_pwait, SYS_write, SYS_read, SYS_futex,
		SYS_fallocate, SYS_madvise, SYS_accept4, SYS_close,
		SYS_epoll_ctl};

	(void)s;
	for (size_t r = 0; r < ROLE_COUNT; r++)
		for (size_t i = 0; i < sizeof(hot) / sizeof(*hot); i++)
			for (size_t n = 0; n < roles[r].calls->count; n++)
				if (roles[r].calls->rows[n].number == hot[i])
					assert_int_equal(roles[r].calls->rows[n]
								 .test_count,
						0);
}

static void rows_of_a_number_that_stand_apart_are_refused(void **s)
{
	static const struct call rows[] = {
		{.number = 1}, {.number = 2}, {.number = 1}};
	const struct calls calls = {rows, 3, CALL_REFUSE};

	(void)s;
	assert_int_equal(filter_build(&filter, &calls), -EINVAL);
}

static void a_filter_is_small(void **s)
{
	(void)s;
	for (size_t r = 0; r < ROLE_COUNT; r++) {
		assert_int_equal(filter_build(&filter, roles[r].calls), 0);
		print_message(
			"%s: %zu instructions\n", roles[r].name, filter.length);
		assert_in_range(filter.length, 10, FILTER_LENGTH_MAX / 2);
	}
}

/* How a process that enters it and then asks for a socket ends. */
/* How a process ends that does this behind the filter. */
static int end_of(int (*what)(void), const struct calls *calls)
{
	const struct rlimit no_core = {0};
	pid_t child = fork();
	int status;

	if (child == 0) {
		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGSYS, SIG_DFL);
		signal(SIGABRT, SIG_DFL);
		close(STDERR_FILENO);
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (filter_build(&filter, calls) || filter_enter(&filter))
			_exit(99);
		_exit(what());
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int make_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) < 0 ? errno : 0;
}

static void the_kernel_takes_each_filter_and_goes_by_it(void **s)
{
	(void)s;
	assert_int_equal(end_of(make_socket, &calls_network), EACCES);
	assert_int_equal(end_of(make_socket, &calls_basic), 0);
	assert_int_equal(end_of(make_socket, &calls_strict), -SIGSYS);
}

/* ---- what a libc does now and then ---- */

/* Present where a sanitizer stands in for libc: see confine.c. */
extern void __asan_init(void) __attribute__((weak));
extern void __tsan_init(void) __attribute__((weak));
extern void __msan_init(void) __attribute__((weak));

static void skip_instrumented(void)
{
	if (__asan_init || __tsan_init || __msan_init)
		skip();
}

static int give_memory_back(void)
{
	void *blocks[64];

	for (size_t i = 0; i < 64; i++)
		blocks[i] = malloc(i % 2 ? 100000 : 1000000);
	for (size_t i = 0; i < 64; i++)
		free(blocks[i]);
	return malloc_trim(0) < 0;
}

static int tell_the_time(void)
{
	time_t now = time(NULL);
	char text[64];

	tzset();
	return !strftime(text, sizeof(text), "%c", localtime(&now));
}

static int speak_another_language(void)
{
	setlocale(LC_ALL, "de_DE.UTF-8");
	return !*strerror(ENOENT) || !*strsignal(SIGSEGV);
}

static int ask_for_names(void)
{
	struct addrinfo *found = NULL;

	getpwuid(4711);
	if (!getaddrinfo("refork.invalid", "80", NULL, &found))
		freeaddrinfo(found);
	return 0;
}

static int ask_about_the_machine(void)
{
	return sysconf(_SC_NPROCESSORS_ONLN) < 1 || sysconf(_SC_PAGESIZE) < 1 ||
	       isatty(0) < 0;
}

static int be_random(void)
{
	char bytes[16];

	return getentropy(bytes, sizeof(bytes));
}

static int print(void)
{
	FILE *file = fopen("/dev/null", "w");

	setvbuf(stdout, NULL, _IOFBF, 4096);
	printf("%s", "");
	fflush(stdout);
	return file ? fclose(file) : 0;
}

static int trace(void)
{
	void *frames[8];

	backtrace(frames, 8); /* its library may be out of reach */
	return 0;
}

static void nothing_that_libc_does_now_and_then_is_an_end(void **s)
{
	static int (*const done[])(void) = {give_memory_back, tell_the_time,
		speak_another_language, ask_about_the_machine, be_random, print,
		trace};

	(void)s;
	skip_instrumented();
	for (size_t i = 0; i < sizeof(done) / sizeof(*done); i++)
		for (size_t r = 0; r < ROLE_COUNT; r++)
			if (end_of(done[i], roles[r].calls))
				fail_msg("%s, no. %zu", roles[r].name, i);
	assert_int_equal(end_of(ask_for_names, &calls_network), 0);
}

static int fail_an_assertion(void)
{
	__assert_fail("it holds", "file.c", 1, "function");
}

extern _Noreturn void __stack_chk_fail(void);

static int run_over_the_stack(void)
{
	__stack_chk_fail();
}

/* Its own diagnosis, and not a call that is refused on the way there. */
static void a_libc_that_gives_up_ends_by_abort(void **s)
{
	static int (*const given_up[])(void) = {
		fail_an_assertion, run_over_the_stack};

	(void)s;
	skip_instrumented();
	for (size_t i = 0; i < sizeof(given_up) / sizeof(*given_up); i++)
		for (size_t r = 0; r < ROLE_COUNT; r++)
			assert_int_equal(
				end_of(given_up[i], roles[r].calls), -SIGABRT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_filter_answers_each_call_as_its_rows_say),
		cmocka_unit_test(
			an_allow_list_ends_known_calls_and_denies_unknown_ones),
		cmocka_unit_test(another_machine_and_x32_are_killed),
		cmocka_unit_test(
			calls_made_for_each_request_are_allowed_by_number),
		cmocka_unit_test(rows_of_a_number_that_stand_apart_are_refused),
		cmocka_unit_test(a_filter_is_small),
		cmocka_unit_test(the_kernel_takes_each_filter_and_goes_by_it),
		cmocka_unit_test(nothing_that_libc_does_now_and_then_is_an_end),
		cmocka_unit_test(a_libc_that_gives_up_ends_by_abort),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
