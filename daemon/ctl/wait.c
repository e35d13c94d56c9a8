/* SPDX-License-Identifier: MIT */
/* wait.c -- wait until the daemon serves, or has come to a generation. */
#include "ask.h"

#include "daemon/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOOK_PAUSE_MS 10

static void nap(void)
{
	const struct timespec pause = {0, LOOK_PAUSE_MS * 1000000L};

	nanosleep(&pause, NULL);
}

/* "ready" or "generation=N": the generation to wait for; -1: neither. */
static long long wanted_generation(const char *text)
{
	const char prefix[] = "generation=";
	long long generation;
	char *end;

	if (!text || !strcmp(text, "ready"))
		return 0;
	if (strncmp(text, prefix, sizeof(prefix) - 1))
		return -1;
	text += sizeof(prefix) - 1;
	generation = strtoll(text, &end, 10);
	return end == text || *end || generation < 0 ? -1 : generation;
}

/* 1: it is so; 0: not yet; -errno or -ESHUTDOWN: it will not be. */
static int has_come(struct ctl *ctl, long long generation)
{
	int rc = ask(ctl, "state", "text", NULL, ASK_WAIT_MS);

	if (rc)
		return rc < 0 ? rc : -EPROTO;
	if (!strncmp(ctl->answer, "stopping ", 9))
		return -ESHUTDOWN;
	return !strncmp(ctl->answer, "serving ", 8) &&
	       atoll(ctl->answer + 8) >= generation;
}

static enum ctl_exit tell(const struct ctl *ctl)
{
	if (ctl->json) {
		json_begin(stdout);
		json_text(stdout, "result", "ready");
		json_signed(stdout, "generation", atoll(ctl->answer + 8));
		json_end(stdout);
	}
	return CTL_OK;
}

/* "serving 2" was answered. */
static void tell_late(struct ctl *ctl, const struct command *command)
{
	char *generation = ctl->answer + strcspn(ctl->answer, " ");

	if (*generation)
		*generation++ = 0;
	fprintf(stderr,
		"reforkctl: %s: not in time, it is %s, generation %lld\n",
		command->name, ctl->answer, atoll(generation));
}

enum ctl_exit run_wait(struct ctl *ctl, const struct command *command)
{
	long long generation = wanted_generation(ctl->wait_for);
	int64_t until_ms = ask_now_ms() + ctl->timeout_ms;
	int rc;

	if (generation < 0)
		return ctl_usage("--for ready or --for generation=N", "");
	for (;;) {
		rc = has_come(ctl, generation);
		if (rc == 1)
			return tell(ctl);
		if (rc == -ESHUTDOWN) {
			ctl_refuse(command, "it is stopping");
			return CTL_NOT_ACTIVE;
		}
		if (ctl->timeout_ms >= 0 && ask_now_ms() >= until_ms)
			break;
		nap();
		if (rc < 0) /* it may come where nobody has been */
			ask_find(ctl);
	}
	/* Not there yet is what one waits for, until there is no time left. */
	if (rc < 0)
		return ask_failed(ctl, command->name, rc);
	tell_late(ctl, command);
	return CTL_TIMEOUT;
}
