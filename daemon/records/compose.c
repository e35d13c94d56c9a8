/* SPDX-License-Identifier: MIT */
/* compose.c -- a crash record, out of what is known of a death.
 *
 * Three tell of it. waitid(2) is believed. The scene was written by a process
 * on its way down, the takeover by its successor: both are copied once and
 * then measured, so that nothing of them can lead a reader astray.
 *
 * Durations count from the instant of the death. The handler stamps it; of a
 * process that could not say a last word it is when the supervisor noticed,
 * unless the successor had the lease before that: then it is not known.
 */
#include "compose.h"

#include <string.h>

/* Longer than any recovery: the clock was not what it said. */
#define DURATION_US_MAX INT64_C(86400000000)

static int64_t duration_us(int64_t from_us, int64_t to_us)
{
	int64_t us;

	if (from_us <= 0 || __builtin_sub_overflow(to_us, from_us, &us) ||
		us < 0 || us > DURATION_US_MAX)
		return -1;
	return us;
}

static void check_request(struct rf_crash_request *request)
{
	if (request->head_bytes > RF_CRASH_HEAD_BYTES)
		request->head_bytes = RF_CRASH_HEAD_BYTES;
	if (request->head_bytes > request->bytes)
		request->head_bytes = (uint32_t)request->bytes;
	request->peer[sizeof(request->peer) - 1] = 0;
}

/* Printable ASCII and newlines, and a zero byte at the end. */
static void check_text(char *text, size_t bytes)
{
	text[bytes - 1] = 0;
	for (; *text; text++)
		if (*text != '\n' && (*text < ' ' || *text > '~'))
			*text = '?';
}

static void check_stray(struct rf_crash_stray *stray)
{
	if (stray->kind >= RF_STRAY_COUNT || stray->spot >= RF_SPOT_COUNT)
		memset(stray, 0, sizeof(*stray));
	check_text(stray->slot, sizeof(stray->slot));
	if (stray->kept > RF_STRAY_BYTES)
		stray->kept = RF_STRAY_BYTES;
	if (stray->frame_count > RF_STRAY_FRAMES)
		stray->frame_count = RF_STRAY_FRAMES;
}

bool compose_has_scene(const struct death *death)
{
	return __atomic_load_n(&death->scene->complete, __ATOMIC_ACQUIRE) ==
	       death->pid;
}

static void add_scene(struct rf_crash *r, const struct rf_crash_scene *scene)
{
	/* Only who has the lease has a generation: it stands by no more. */
	if (r->role == RF_CRASH_STANDBY && scene->generation)
		r->role = RF_CRASH_BUSINESS;
	r->has_scene = 1;
	r->code = scene->code;
	r->address = scene->address;
	r->sender_pid = scene->sender_pid;
	r->phase = scene->phase;
	r->pc = scene->pc;
	r->sp = scene->sp;
	if (!r->generation)
		r->generation = scene->generation;
	memcpy(r->registers, scene->registers, sizeof(r->registers));
	if (scene->request.present)
		r->request = scene->request;
	r->stray = scene->stray;
}

static void add_takeover(
	struct rf_crash *r, const struct rf_takeover *t, int64_t died_at_us)
{
	r->successor_generation = t->generation;
	r->undone = t->undone;
	r->by_standby = t->was_standby != 0;
	r->verified = t->verified != 0;
	r->rollback_us = duration_us(t->lease_at_us, t->rolled_back_at_us);
	r->to_lease_us = duration_us(died_at_us, t->lease_at_us);
	r->to_serving_us =
		duration_us(r->to_lease_us < 0 ? t->lease_at_us : died_at_us,
			t->serving_at_us);
	if (!r->request.present && t->request.present)
		r->request = t->request;
}

void compose(struct rf_crash *r, const struct death *death,
	const struct rf_takeover *takeover)
{
	int64_t died_at_us = death->noticed_us;

	memset(r, 0, sizeof(*r));
	r->at_ms = rf_now_ms();
	r->role = death->role;
	r->cause = death->cause;
	r->pid = death->pid;
	r->how = death->end.si_code;
	r->status = death->end.si_status;
	r->generation = death->generation;
	r->rung = death->rung;
	r->to_lease_us = r->rollback_us = r->to_serving_us = -1;
	if (compose_has_scene(death)) {
		add_scene(r, death->scene);
		died_at_us = death->scene->at_us;
	}
	if (takeover) {
		struct rf_takeover copy = *takeover;

		add_takeover(r, &copy, died_at_us);
	}
	compose_check(r);
}

bool compose_check(struct rf_crash *r)
{
	int64_t *const durations[] = {
		&r->to_lease_us, &r->rollback_us, &r->to_serving_us};

	check_request(&r->request);
	check_stray(&r->stray);
	check_text(r->request.peer, sizeof(r->request.peer));
	check_text(r->text, sizeof(r->text));
	for (size_t i = 0; i < sizeof(durations) / sizeof(*durations); i++)
		if (*durations[i] < -1 || *durations[i] > DURATION_US_MAX)
			*durations[i] = -1;
	if (r->phase >= RF_PHASE_COUNT)
		r->phase = RF_PHASE_NONE;
	if (r->rung >= RF_RUNG_COUNT)
		r->rung = RF_RUNG_NONE;
	return r->role < RF_CRASH_ROLE_COUNT && r->cause < RF_CRASH_CAUSE_COUNT;
}
