/* SPDX-License-Identifier: MIT */
/* crashes.c -- crash records: composed, kept, told.
 *
 * The records are a ring in the status segment: they outlive a daemon that is
 * killed, with the segment, and one that is stopped, in a file of state_dir.
 * Their ids grow for ever. A record stands at its id modulo the ring's size,
 * and is there while it bears its id: so what exceeds crash.keep is dropped by
 * taking the id away.
 */
#include "crashes.h"

#include "compose.h"
#include "reporter.h"
#include "ring.h"
#include "ring_file.h"
#include "tell.h"

#include <errno.h>
#include <inttypes.h>
#include <refork/log.h>
#include <stdlib.h>
#include <string.h>

/* What a log line takes beside its lead. */
#define LINE_BYTES 1024

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
	uint64_t keep = c->service->conf->crash.keep;
	struct rf_crash_ring *ring = c->ring;

	for (uint64_t id = ring_floor(ring) + 1; id + keep <= ring->last_id;
		id++)
		drop(ring, id);
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
			"shown, and written over at the end",
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

static void save(struct crashes *c)
{
	char path[RING_FILE_PATH_BYTES];
	int rc = ring_file_save(c->service->conf, c->ring);

	if (!rc)
		return;
	ring_file_path(c->service->conf, path);
	rf_log(RF_LOG_WARNING,
		"crash records cannot be kept in %s: %s; they end with this "
		"daemon",
		path, strerror(-rc));
}

void crashes_close(struct crashes *c)
{
	reporter_close(c->reporter);
	if (c->ring->last_id > 0)
		save(c);
	free(c);
}

/* ---- a death ---- */

static void log_crash(const struct rf_crash *r)
{
	char line[LINE_BYTES];
	FILE *out = fmemopen(line, sizeof(line), "w");

	if (!out)
		return;
	line[sizeof(line) - 1] = 0;
	tell_line(r, out);
	fclose(out);
	rf_log(RF_LOG_WARNING, "%s", line);
}

void crashes_add(struct crashes *c, const struct death *death,
	const struct rf_takeover *takeover)
{
	uint64_t id = c->ring->last_id + 1;
	struct rf_crash *r = ring_slot(c->ring, id);
	bool has_scene = compose_has_scene(death);

	r->id = 0;
	compose(r, death, takeover);
	r->id = id;
	c->ring->last_id = id;
	drop_old(c);
	log_crash(r);
	reporter_add(c->reporter, r, has_scene ? death->scene : NULL);
	if (has_scene)
		death->scene->complete = 0;
}

bool crashes_owns(const struct crashes *c, pid_t pid)
{
	return reporter_owns(c->reporter, pid);
}

/* ---- views ---- */

void crashes_list(const struct crashes *c, enum report_format f, FILE *out)
{
	const struct rf_crash_ring *ring = c->ring;
	bool first = true;

	tell_table_begin(f, out);
	for (uint64_t id = ring->last_id; id > ring_floor(ring); id--) {
		const struct rf_crash *r = ring_find(ring, id);

		if (!r)
			continue;
		tell_row(r, first, f, out);
		first = false;
	}
	tell_table_end(f, out);
}

int crashes_show(
	const struct crashes *c, uint64_t id, enum report_format f, FILE *out)
{
	const struct rf_crash *r = ring_find(c->ring, id);

	if (!r)
		return -ENOENT;
	tell_page(r, f, out);
	return 0;
}
