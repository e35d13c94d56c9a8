/* SPDX-License-Identifier: MIT */
/* words.c -- the one place that turns a wait status into words. */
#include "words.h"

#include "common/child.h"

#include <stdio.h>
#include <string.h>

/* Exit codes that mean something between supervisor and child. */
static const struct {
	int code;
	const char *meaning;
} exits[] = {
	{RF_CHILD_EXIT_CHANNEL, "the channel held bytes that are no message"},
	{RF_CHILD_EXIT_DAMAGED, "verify found the state damaged"},
	{RF_CHILD_EXIT_CODE, "its code cannot run the state"},
	{RF_CHILD_EXIT_LEFT, "its worker wished for a successor"},
	{RF_CHILD_EXIT_START, "it could not start"},
};

static const char *exit_meaning(int code)
{
	for (size_t i = 0; i < sizeof(exits) / sizeof(*exits); i++)
		if (exits[i].code == code)
			return exits[i].meaning;
	return NULL;
}

static void words_of_signal(const siginfo_t *end, char out[WORDS_MAX])
{
	const char *name = sigabbrev_np(end->si_status);
	const char *core = end->si_code == CLD_DUMPED ? " (core dumped)" : "";

	if (name)
		snprintf(out, WORDS_MAX, "killed by SIG%s%s", name, core);
	else
		snprintf(out, WORDS_MAX, "killed by signal %d%s",
			end->si_status, core);
}

const char *words_of_end(const siginfo_t *end, char out[WORDS_MAX])
{
	const char *meaning;

	if (end->si_code != CLD_EXITED) {
		words_of_signal(end, out);
		return out;
	}
	meaning = exit_meaning(end->si_status);
	if (meaning)
		snprintf(out, WORDS_MAX, "exited with %d: %s", end->si_status,
			meaning);
	else
		snprintf(out, WORDS_MAX, "exited with %d", end->si_status);
	return out;
}
