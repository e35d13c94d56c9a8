/* SPDX-License-Identifier: MIT */
/* test_crash_symbols.c -- the stack of a child that died, told by its parent.
 */
#include "suite.h"

#include "daemon/records/symbols.h"

#include <scene.h>

/* What they do is undefined, and meant. */
#define NEVER_INLINED __attribute__((noinline, no_sanitize("undefined")))

static struct rf_crash_scene *scene; /* shared with the child */
static char text[RF_CRASH_TEXT_BYTES];
static volatile int sink;
/* Where things are not what the compiler may assume. */
static int *volatile nowhere;
static void (*volatile no_function)(void);

/* ---- ways to die ---- */

enum { FAULT_LINE = __LINE__ + 3 };
static NEVER_INLINED void write_to_nowhere(void)
{
	*nowhere = 1;
	sink++;
}

static NEVER_INLINED void call_nothing(void)
{
	no_function();
	sink++;
}

static NEVER_INLINED void give_up(void)
{
	abort();
}

static NEVER_INLINED void descend(int depth)
{
	volatile char room[256];

	room[0] = (char)depth;
	if (depth > 0)
		descend(depth - 1);
	else
		write_to_nowhere();
	sink += room[0];
}

static NEVER_INLINED void outer(void (*die)(void))
{
	die();
	sink++;
}

static int die_by(void *arg)
{
	void (*die)(void);

	memcpy(&die, arg, sizeof(die));
	rf_scene_arm(scene, NULL, -1);
	outer(die);
	return 1;
}

static int die_deep(void *arg)
{
	rf_scene_arm(scene, NULL, -1);
	descend(*(int *)arg);
	return 1;
}

/* ---- what the parent says ---- */

static void tell(int (*life)(void *), void *arg)
{
	int ended_by = signal_of(run_child(life, arg));

	assert_int_not_equal(ended_by, 0);
	assert_int_equal(scene->signal, ended_by);
	assert_int_not_equal(scene->complete, 0);
	symbols_write(scene, text, sizeof(text));
}

static void die(void (*how)(void))
{
	tell(die_by, &how);
}

static void check(const char *wanted)
{
	if (!strstr(text, wanted))
		fail_msg("'%s' is not in:\n%s", wanted, text);
}

/* Line number `n` of the text begins and goes on like this. */
static void check_frame(int n, const char *function)
{
	char begins[16];
	char *line = text, *end;

	for (int i = 0; i < n && line; i++) {
		line = strchr(line, '\n');
		line += line != NULL;
	}
	snprintf(begins, sizeof(begins), "#%-2d 0x", n);
	end = line ? strchr(line, '\n') : NULL;
	if (!end || strncmp(line, begins, strlen(begins)) ||
		!memmem(line, (size_t)(end - line), function, strlen(function)))
		fail_msg("frame %d is not %s:\n%s", n, function, text);
}

static void a_fault_is_named_with_its_line_and_its_callers(void **unused)
{
	char source[64];

	(void)unused;
	die(write_to_nowhere);
	snprintf(source, sizeof(source),
		"(tests/unit/test_crash_symbols.c:%d) in test_crash_symbols",
		FAULT_LINE);
	check_frame(0, " write_to_nowhere+0x");
	check_frame(0, source);
	check_frame(1, " outer+0x");
	check_frame(2, " die_by+0x");
	check(" main+0x");
	check(" in libc.so.6\n");
}

static void a_call_to_nowhere_still_has_its_caller(void **unused)
{
	(void)unused;
	die(call_nothing);
	check("#0  0x0000000000000000 (in pc outside of any module)\n");
	check_frame(1, " call_nothing+0x");
	check_frame(2, " outer+0x");
}

static void an_abort_is_followed_through_libc(void **unused)
{
	(void)unused;
	die(give_up);
	check(" abort+0x");
	check(" give_up+0x");
	check(" outer+0x");
}

static void a_deep_stack_is_cut_after_a_whole_line(void **unused)
{
	int depth = 1000;
	size_t bytes;

	(void)unused;
	tell(die_deep, &depth);
	check_frame(0, " write_to_nowhere+0x");
	check_frame(30, " descend+0x");
	bytes = strlen(text);
	assert_int_equal(text[bytes - 1], '\n');
	memset(text, 'x', sizeof(text));
	symbols_write(scene, text, 300);
	assert_in_range(strlen(text), 100, 299);
	assert_int_equal(text[strlen(text) - 1], '\n');
	assert_int_equal(text[300], 'x');
}

/* Bytes of a dead process: none of it may make the reader fall. */
static void noise_for_a_scene_is_survived(void **unused)
{
	(void)unused;
	for (int round = 0; round < 20; round++) {
		die(write_to_nowhere);
		random_fill(scene->stack, scene->stack_bytes);
		if (round % 2)
			random_fill(scene->registers, sizeof(scene->registers));
		if (round % 3 == 0)
			scene->pc = random_word();
		if (round % 5 == 0)
			scene->stack_bytes = UINT32_MAX;
		symbols_write(scene, text, sizeof(text));
		assert_in_range(strlen(text), 1, sizeof(text) - 1);
	}
}

/* As the supervisor sees a process that hangs in a system call. */
static void with_pc_and_sp_alone_the_callers_are_found(void **unused)
{
	(void)unused;
	die(give_up);
	memset(scene->registers, 0, sizeof(scene->registers));
	symbols_write(scene, text, sizeof(text));
	check_frame(0, " in libc.so.6");
	check(" die_by+0x");
	check(" main+0x");
}

static void nothing_known_is_said_so(void **unused)
{
	(void)unused;
	die(write_to_nowhere);
	memset(scene, 0, sizeof(*scene));
	symbols_write(scene, text, sizeof(text));
	assert_string_equal(text, "(its stack could not be read)\n");
}

static void no_stack_at_all_leaves_the_first_frame(void **unused)
{
	(void)unused;
	die(write_to_nowhere);
	scene->stack_bytes = 0;
	symbols_write(scene, text, sizeof(text));
	check_frame(0, " write_to_nowhere+0x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_fault_is_named_with_its_line_and_its_callers),
		cmocka_unit_test(a_call_to_nowhere_still_has_its_caller),
		cmocka_unit_test(an_abort_is_followed_through_libc),
		cmocka_unit_test(a_deep_stack_is_cut_after_a_whole_line),
		cmocka_unit_test(noise_for_a_scene_is_survived),
		cmocka_unit_test(with_pc_and_sp_alone_the_callers_are_found),
		cmocka_unit_test(nothing_known_is_said_so),
		cmocka_unit_test(no_stack_at_all_leaves_the_first_frame),
	};

	scene = shared_memory(sizeof(*scene));
	return scene ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
