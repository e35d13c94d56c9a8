/* SPDX-License-Identifier: MIT */
/* watch.c -- tell a process that hangs from one that is busy.
 *
 * The problem. A watchdog that compares a stamp with the clock kills the
 * innocent when it was itself asleep: stopped, starved, or with the machine.
 * The idea. Time counts only while the watchdog looks. Each look adds what has
 * passed since the one before, at most twice the period that was meant to
 * pass; and no verdict without three looks that saw no change.
 */
#include "watch.h"

#define LOOKS_MIN      3
#define PARTS	       4 /* looks within a limit */
#define REQUEST_MS_MIN 10
#define SILENCE_MS_MIN 50
#define SILENCE_MS_MAX 1000

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

enum watch_verdict watch_look(struct watch *w, const struct watch_sample *s)
{
	uint64_t passed_ms = 0;

	if (w->looked_at_ms && s->now_ms > w->looked_at_ms)
		passed_ms = smaller((uint64_t)(s->now_ms - w->looked_at_ms),
			2 * s->period_ms);
	if (w->looked_at_ms == 0 || s->life != w->life) {
		w->silent_ms = w->silent_looks = 0;
	} else {
		w->silent_ms += passed_ms;
		w->silent_looks++;
	}
	if (w->looked_at_ms == 0 || s->work != w->work || s->work % 2 == 0) {
		w->same_work_ms = w->same_work_looks = 0;
	} else {
		w->same_work_ms += passed_ms;
		w->same_work_looks++;
	}
	w->looked_at_ms = s->now_ms;
	w->life = s->life;
	w->work = s->work;
	if (s->request_max_ms && w->same_work_looks >= LOOKS_MIN &&
		w->same_work_ms >= s->request_max_ms)
		return WATCH_TIMEOUT;
	if (s->silence_max_ms && w->silent_looks >= LOOKS_MIN &&
		w->silent_ms >= s->silence_max_ms)
		return WATCH_HANG;
	return WATCH_OK;
}

uint64_t watch_period_ms(uint64_t silence_max_ms, uint64_t request_max_ms)
{
	uint64_t of_request = larger(request_max_ms / PARTS, REQUEST_MS_MIN);
	uint64_t of_silence = smaller(
		larger(silence_max_ms / PARTS, SILENCE_MS_MIN), SILENCE_MS_MAX);

	if (request_max_ms == 0)
		return silence_max_ms ? of_silence : 0;
	return silence_max_ms ? smaller(of_request, of_silence) : of_request;
}
