/* SPDX-License-Identifier: MIT */
/* sweep_main.c -- scenarios as cmocka tests.
 *
 * CRASH_SEED=n repeats a choice of samples; CRASH_SAMPLES=n takes another
 * number of them for each scenario, =all takes all; CRASH_ONLY=text runs the
 * scenarios with that in their names.
 */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include "stepper.h"
#include "sweep.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct verdict total;

static void is_all_or_nothing(void **state)
{
	const struct scenario *scenario = *state;
	const char *refused = stepper_refused();
	const struct verdict *verdict;

	if (refused != NULL) {
		print_message("%s\n", refused);
		skip();
	}
	verdict = sweep(scenario);
	print_message("  %lu steps, %lu changed memory, %lu recoveries, "
		      "%lu of them interrupted\n",
		verdict->steps, verdict->changed, verdict->recoveries,
		verdict->interrupted);
	total.steps += verdict->steps;
	total.changed += verdict->changed;
	total.recoveries += verdict->recoveries;
	total.interrupted += verdict->interrupted;
	if (verdict->condemned)
		fail_msg("%s", verdict->why);
}

int sweep_main(char **argv, const struct scenario *scenarios, size_t count)
{
	struct CMUnitTest *tests = calloc(count, sizeof *tests);
	const char *only = getenv("CRASH_ONLY");
	const char *seed_text = getenv("CRASH_SEED");
	unsigned seed;
	size_t wanted = 0;
	int failed;

	stepper_settle(argv);
	seed = seed_text != NULL ? (unsigned)strtoul(seed_text, NULL, 10)
				 : (unsigned)time(NULL);
	srandom(seed);
	for (size_t i = 0; i < count; i++) {
		if (only != NULL && strstr(scenarios[i].name, only) == NULL)
			continue;
		tests[wanted++] = (struct CMUnitTest){
			.name = scenarios[i].name,
			.test_func = is_all_or_nothing,
			.initial_state = (void *)(uintptr_t)&scenarios[i],
		};
	}
	failed = _cmocka_run_group_tests("sweep", tests, wanted, NULL, NULL);
	print_message("%lu steps, %lu changed memory, %lu recoveries, "
		      "%lu of them interrupted, CRASH_SEED=%u\n",
		total.steps, total.changed, total.recoveries, total.interrupted,
		seed);
	free(tests);
	return failed;
}
