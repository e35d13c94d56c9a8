/* SPDX-License-Identifier: MIT */
/* crashes.c -- crash records: composed, kept, told.
 *
 * The records are a ring in the status segment: they outlive a daemon that is
 * killed with the segment, and all else in a file of state_dir, written when a
 * record is complete (reporter.c) and at a planned end.
 * Their ids grow for ever. A record stands at its id modulo the ring's size,
 * and is there while it bears its id: so what exceeds crash.keep is dropped by
 * taking the id away.
 */
#include "crashes.h"

#include "common/events.h"
#include "compose.h"
#include "crash_words.h"
#include "reporter.h"
#include "ring.h"
#include "ring_file.h"
#include "tell.h"

#include <errno.h>
#include <inttypes.h>
#include <refork/log.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* What a log line takes beside its lead. */
#define LINE_BYTES   1024
#define SIGNAL_BYTES 24
#define FACTS_MAX    10

struct crashes {
	struct service *service;
	struct rf_crash_ring *ring;
	struct reporter *reporter;
};

/* ---- the ring ---- */

static void drop(struct rf_crash_ring *ring, uint64_t id)
{
	if (ring_find(ring, id))
		ring_slot(ring, id)->id = 0;
}

static void drop_old(struct crashes *c)
{
	uint64_t last = c->ring->last_id;

	for (uint64_t i = c->service->conf->crash.keep;
		i < RF_CRASH_KEEP_MAX && i < last; i++)
		drop(c->ring, last - i);
}

/* Whoever was to complete them is gone. */
static void check_ring(struct rf_crash_ring *ring)
{
	for (uint64_t slot = 0; slot < RF_CRASH_KEEP_MAX; slot++) {
		struct rf_crash *r = &ring->records[slot];

		if (r->id <= ring_floor(ring) || r->id > ring->last_id ||
			r->id % RF_CRASH_KEEP_MAX != slot || !compose_check(r))
			r->id = 0;
		if (!r->text_complete)
			r->text[0] = 0;
		r->text_complete = 1;
	}
}

static void adopt(struct crashes *c)
{
	char path[RING_FILE_PATH_BYTES];
	int rc = 0;

	if (c->ring->last_id == 0)
		rc = ring_file_load(c->service->conf, c->ring);
	if (rc && rc != -ENOENT) {
		ring_file_path(c->service->conf, path);
		rf_log(RF_LOG_WARNING,
			"crash records of earlier runs, %s: %s; they are not "
			"shown, and written over with the next one",
			path, strerror(-rc));
	}
	check_ring(c->ring);
	drop_old(c);
}

struct crashes *crashes_open(struct service *service, struct ev_loop *loop)
{
	struct crashes *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->service = service;
	c->ring = &service->status->crashes;
	c->reporter = reporter_open(service, loop);
	if (!c->reporter) {
		free(c);
		return NULL;
	}
	adopt(c);
	return c;
}

void crashes_close(struct crashes *c)
{
	reporter_close(c->reporter);
	if (c->ring->last_id > 0)
		ring_file_save(c->service->conf, c->ring);
	free(c);
}

/* ---- a death ---- */

/* A crash in which a request was in work names its client, too. */
static const struct rf_log_field *facts_of(
	const struct rf_crash *r, char signal[], struct rf_log_field facts[])
{
	struct rf_log_field *at = facts;
	const char *name =
		r->how == CLD_EXITED ? NULL : sigabbrev_np(r->status);

	*at++ = (struct rf_log_field)RF_LOG_NUMBER("crash_id", r->id);
	*at++ = (struct rf_log_field)RF_LOG_TEXT("crashed_role", crash_role(r));
	*at++ = (struct rf_log_field)RF_LOG_NUMBER("crashed_pid", r->pid);
	*at++ = (struct rf_log_field)RF_LOG_NUMBER(
		"crashed_generation", r->generation);
	*at++ = (struct rf_log_field)RF_LOG_TEXT("cause", crash_cause(r));
	*at++ = (struct rf_log_field)RF_LOG_TEXT("rung", crash_rung(r));
	if (name) {
		snprintf(signal, SIGNAL_BYTES, "SIG%s", name);
		*at++ = (struct rf_log_field)RF_LOG_TEXT("signal", signal);
	} else {
		*at++ = (struct rf_log_field)RF_LOG_NUMBER("status", r->status);
	}
	if (r->successor_generation && r->to_serving_us >= 0)
		*at++ = (struct rf_log_field)RF_LOG_NUMBER(
			"recovery_usec", r->to_serving_us);
	if (r->request.present && *r->request.peer)
		*at++ = (struct rf_log_field)RF_LOG_TEXT(
			"client", r->request.peer);
	*at = (struct rf_log_field){0};
	return facts;
}

static void log_crash(const struct rf_crash *r)
{
	static const enum rf_event_kind kinds[RF_CRASH_ROLE_COUNT] = {
		[RF_CRASH_BUSINESS] = RF_EVENT_BUSINESS_CRASH,
		[RF_CRASH_STANDBY] = RF_EVENT_STANDBY_CRASH,
		[RF_CRASH_NETWORK] = RF_EVENT_NETWORK_CRASH,
		[RF_CRASH_VAULT] = RF_EVENT_NETWORK_CRASH,
	};
	struct rf_log_field facts[FACTS_MAX + 1];
	char line[LINE_BYTES], signal[SIGNAL_BYTES];
	FILE *out = fmemopen(line, sizeof(line), "w");

	if (!out)
		return;
	line[sizeof(line) - 1] = 0;
	tell_line(r, out);
	fclose(out);
	rf_log_event(kinds[r->role], facts_of(r, signal, facts), "%s", line);
}

/* The family rolled back, and knows of no request; the successor skips it. */
static void name_quarantine(const struct conf *conf, struct rf_crash *r)
{
	if (r->rung == RF_RUNG_ROLL_BACK && r->request.present &&
		r->request.attempt >= conf->quarantine.attempts)
		r->rung = RF_RUNG_QUARANTINE;
}

void crashes_add(struct crashes *c, const struct death *death,
	const struct rf_takeover *takeover)
{
	uint64_t id = c->ring->last_id + 1;
	struct rf_crash *r = ring_slot(c->ring, id);
	bool has_scene = compose_has_scene(death);

	r->id = 0;
	compose(r, death, takeover);
	name_quarantine(c->service->conf, r);
	r->id = id;
	c->ring->last_id = id;
	drop_old(c);
	log_crash(r);
	reporter_add(c->reporter, r, has_scene ? death->scene : NULL);
	if (has_scene)
		death->scene->complete = 0;
}

/* ---- views ---- */

/* A copy, checked: any child can write what stands in the segment. */
static bool look_up(
	const struct rf_crash_ring *ring, uint64_t id, struct rf_crash *out)
{
	const struct rf_crash *r = ring_find(ring, id);

	if (!r)
		return false;
	*out = *r;
	return compose_check(out);
}

void crashes_list(const struct crashes *c, enum report_format f, FILE *out)
{
	uint64_t last = c->ring->last_id;
	struct rf_crash record;
	bool first = true;

	tell_table_begin(f, out);
	for (uint64_t i = 0; i < RF_CRASH_KEEP_MAX && i < last; i++) {
		if (!look_up(c->ring, last - i, &record))
			continue;
		tell_row(&record, first, f, out);
		first = false;
	}
	tell_table_end(f, out);
}

int crashes_show(
	const struct crashes *c, uint64_t id, enum report_format f, FILE *out)
{
	struct rf_crash record;

	if (!look_up(c->ring, id, &record))
		return -ENOENT;
	tell_page(&record, f, out);
	return 0;
}
