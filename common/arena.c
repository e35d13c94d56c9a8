/* SPDX-License-Identifier: MIT */
/* arena.c -- the layout of the recoverable memory, made or taken over.
 *
 *   base                                                    segment_bytes
 *   | super | undo log ...... | page map ... | run entries ... | heap ... |
 *           | fixed | address |  4 bytes a   |   64 bytes a    | pages    |
 *           |       | space   |  page        |   page          |          |
 *
 * Each part has address space for arena.max; memory stands only behind what is
 * used (rf_segment_back). All sizes follow from max_bytes, so an arena fits a
 * configuration or it does not: nothing is moved.
 *
 * The marker is the last thing written: a build that dies leaves a segment
 * that nobody takes for an arena.
 */
#include "arena.h"
#include "pages.h"
#include "tx_log.h"
#include <errno.h>
#include <refork/heap.h>
#include <refork/log.h>
#include <stdio.h>
#include <sys/random.h>

#define HUGE_BYTES    ((uint64_t)2 << 20)
#define LOG_FIXED     ((uint64_t)1 << 20)
#define LOG_MAX_LEAST ((uint64_t)16 << 20)
#define LOG_MAX_SHARE 16 /* of arena.max */

struct rf_segment *rf_arena_segment;

static uint64_t round_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

/* Everything that follows from the configuration, in a superblock of its own:
 * what a new arena gets, and what a standing one must have. */
static void plan(const struct rf_arena_conf *conf, struct rf_super *out)
{
	uint64_t pages = conf->max_bytes >> RF_PAGE_SHIFT;

	memset(out, 0, sizeof *out);
	out->format = RF_ARENA_FORMAT;
	out->base = RF_ARENA_BASE;
	out->max_bytes = pages << RF_PAGE_SHIFT;
	out->log_fixed_bytes =
		conf->log_bytes != 0 ? conf->log_bytes : LOG_FIXED;
	out->log_max_bytes = out->max_bytes / LOG_MAX_SHARE;
	if (out->log_max_bytes < LOG_MAX_LEAST)
		out->log_max_bytes = LOG_MAX_LEAST;
	out->log_off = RF_SUPER_BYTES;
	out->map_off = round_up(out->log_off + out->log_max_bytes, 4096);
	out->runs_off = round_up(out->map_off + pages * sizeof(uint32_t), 4096);
	out->heap_off = round_up(
		out->runs_off + pages * sizeof(struct rf_run), HUGE_BYTES);
	out->segment_bytes = out->heap_off + out->max_bytes;
	snprintf(out->worker_name, sizeof out->worker_name, "%s",
		conf->worker_name);
}

size_t rf_arena_segment_bytes(const struct rf_arena_conf *conf)
{
	struct rf_super want;

	plan(conf, &want);
	return want.segment_bytes;
}

/* Made aside and copied: pthread_mutex_init() begins with zeros, and a death
 * after them would leave a mutex that is not robust and looks free. */
static int lease_init(pthread_mutex_t *lease)
{
	pthread_mutexattr_t attr;
	pthread_mutex_t fresh;
	int error = pthread_mutexattr_init(&attr);

	if (error != 0)
		return -error;
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	error = pthread_mutex_init(&fresh, &attr);
	pthread_mutexattr_destroy(&attr);
	if (error == 0)
		*lease = fresh;
	return -error;
}

int rf_arena_format(struct rf_segment *seg, const struct rf_arena_conf *conf)
{
	struct rf_super *super = RF_SUPER;
	struct rf_super want;
	int error;

	plan(conf, &want);
	RF_CHECK((uint64_t)seg->base == RF_ARENA_BASE);
	RF_CHECK(seg->max_bytes == want.segment_bytes);
	error = rf_segment_back(seg, 0, RF_SUPER_BYTES + want.log_fixed_bytes);
	if (error != 0)
		return error;
	if (getrandom(want.seed, sizeof want.seed, 0) < 0)
		return -errno;
	want.log_ready_bytes = want.log_fixed_bytes;
	*super = want;
	rf_arena_use(seg);
	error = lease_init(&super->lease);
	if (error == 0)
		error = rf_lease_take(0, false);
	if (error != 0)
		return error;
	rf_tx_begin();
	error = rf_pages_init((uint32_t)(want.max_bytes >> RF_PAGE_SHIFT),
		(uint32_t)(conf->size_bytes >> RF_PAGE_SHIFT));
	if (error != 0) {
		rf_tx_abort();
		return error;
	}
	return rf_tx_commit();
}

void rf_arena_use(struct rf_segment *seg)
{
	rf_arena_segment = seg;
}

void rf_arena_set_state_version(uint32_t state_version)
{
	RF_SET(RF_SUPER->state_version, state_version);
}

void rf_arena_publish(void)
{
	rf_ordered();
	RF_SUPER->marker = RF_ARENA_MAGIC;
}

/* Why a standing arena is not the one that is wanted; 0 when it is. */
static int differs(const struct rf_super *have, const struct rf_super *want,
	char *reason, size_t bytes)
{
	const struct {
		const char *what;
		uint64_t have, want;
	} facts[] = {
		{"format", have->format, want->format},
		{"base address", have->base, want->base},
		{"arena.max", have->max_bytes, want->max_bytes},
		{"undo log size", have->log_fixed_bytes, want->log_fixed_bytes},
		{"undo log limit", have->log_max_bytes, want->log_max_bytes},
		{"undo log offset", have->log_off, want->log_off},
		{"page map offset", have->map_off, want->map_off},
		{"run entry offset", have->runs_off, want->runs_off},
		{"heap offset", have->heap_off, want->heap_off},
		{"segment size", have->segment_bytes, want->segment_bytes},
	};

	if (have->marker != RF_ARENA_MAGIC) {
		snprintf(reason, bytes,
			"it holds no finished arena (marker "
			"%#llx)",
			(unsigned long long)have->marker);
		return -EBADMSG;
	}
	for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
		if (facts[i].have == facts[i].want)
			continue;
		snprintf(reason, bytes,
			"its %s is %llu, this daemon and "
			"configuration need %llu",
			facts[i].what, (unsigned long long)facts[i].have,
			(unsigned long long)facts[i].want);
		return -ESTALE;
	}
	if (strncmp(have->worker_name, want->worker_name,
		    sizeof have->worker_name) != 0) {
		snprintf(reason, bytes,
			"it belongs to worker '%.31s', not "
			"'%s'",
			have->worker_name, want->worker_name);
		return -ESTALE;
	}
	return 0;
}

bool rf_arena_is_unfinished(
	struct rf_segment *seg, const struct rf_arena_conf *conf)
{
	const struct rf_super *have = RF_SUPER;

	if (seg->max_bytes != rf_arena_segment_bytes(conf) ||
		rf_segment_back(seg, 0, RF_SUPER_BYTES) != 0 ||
		have->marker != 0)
		return false;
	return (have->format == 0 && have->base == 0) ||
	       (have->format == RF_ARENA_FORMAT && have->base == RF_ARENA_BASE);
}

int rf_arena_adopt(struct rf_segment *seg, const struct rf_arena_conf *conf,
	char *reason, size_t reason_bytes, uint32_t *state_version_found)
{
	struct rf_super want;
	int error;

	plan(conf, &want);
	if (seg->max_bytes != want.segment_bytes) {
		snprintf(reason, reason_bytes,
			"it has %zu bytes, this daemon "
			"and configuration need %zu (arena.max)",
			seg->max_bytes, (size_t)want.segment_bytes);
		return -ESTALE;
	}
	/* Reading a hole of the file backs it: an error beats a SIGBUS. */
	error = rf_segment_back(seg, 0, RF_SUPER_BYTES);
	if (error == 0)
		error = differs(RF_SUPER, &want, reason, reason_bytes);
	else
		snprintf(reason, reason_bytes,
			"no memory for its superblock: "
			"%s",
			strerror(-error));
	if (error != 0)
		return error;
	rf_arena_use(seg);
	if (!rf_tx_log_is_valid()) {
		snprintf(reason, reason_bytes, "its undo log is damaged");
		return -EBADMSG;
	}
	/* Whoever had it is gone (segment.h), whatever stands in the lock. */
	error = lease_init(&RF_SUPER->lease);
	if (error == 0)
		error = rf_lease_take(0, false);
	if (error < 0) {
		snprintf(reason, reason_bytes, "its lease: %s",
			strerror(-error));
		return error;
	}
	if (rf_arena_check() != 0) {
		snprintf(reason, reason_bytes,
			"its heap is damaged (see "
			"above)");
		rf_lease_give();
		return -EBADMSG;
	}
	*state_version_found = RF_SUPER->state_version;
	return 0;
}

/* ---- the lease ---- */

static int lease_lock(pthread_mutex_t *lease, int wait_ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += wait_ms / 1000;
	until.tv_nsec += wait_ms % 1000 * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_nsec -= 1000000000L;
		until.tv_sec++;
	}
	return pthread_mutex_clocklock(lease, CLOCK_MONOTONIC, &until);
}

int rf_lease_take(int wait_ms, bool orphaned)
{
	pthread_mutex_t *lease = &RF_SUPER->lease;
	int found = pthread_mutex_trylock(lease);

	if (found == EBUSY && !orphaned && wait_ms > 0)
		found = lease_lock(lease, wait_ms);
	if (orphaned && found != 0 && found != EOWNERDEAD) {
		/* The last word: no other process has the arena, so whatever
		 * stands in the lock is a dead process's. */
		rf_log(RF_LOG_WARNING,
			"lease: %s although its holder is dead "
			"and reaped; making it anew",
			strerror(found));
		found = -lease_init(lease);
		if (found == 0)
			found = pthread_mutex_lock(lease);
		if (found == 0)
			found = EOWNERDEAD;
	}
	if (found != 0 && found != EOWNERDEAD)
		return found == EBUSY ? -ETIMEDOUT : -found;
	rf_tx_recover();
	if (found == 0)
		return RF_LEASE_CLEAN;
	if (pthread_mutex_consistent(lease) != 0)
		RF_CHECK(orphaned); /* made anew: nothing to mark */
	return RF_LEASE_OWNER_DIED;
}

void rf_lease_give(void)
{
	RF_CHECK(pthread_mutex_unlock(&RF_SUPER->lease) == 0);
}

void rf_arena_set_generation(uint64_t generation)
{
	RF_SUPER->generation = generation;
}

int rf_arena_inherit(void)
{
	const struct rf_super *super = RF_SUPER;
	size_t pages = super->heap.page_count;
	const struct {
		size_t off, bytes;
	} backed[] = {
		{0, RF_SUPER_BYTES + super->log_fixed_bytes},
		{super->map_off, pages * sizeof(uint32_t)},
		{super->runs_off, pages * sizeof(struct rf_run)},
		{super->heap_off, pages << RF_PAGE_SHIFT},
	};

	for (size_t i = 0; i < sizeof backed / sizeof *backed; i++) {
		int error = rf_segment_inherit(
			rf_arena_segment, backed[i].off, backed[i].bytes);

		if (error != 0)
			return error;
	}
	return 0;
}

const uint8_t *rf_arena_seed(void)
{
	return RF_SUPER->seed;
}

int rf_arena_check(void)
{
	const struct rf_super *super = RF_SUPER;
	int error = 0;

	if (super->log_tail > super->log_ready_bytes ||
		super->log_ready_bytes > super->log_max_bytes) {
		rf_log(RF_LOG_ERROR,
			"arena check: undo log of %llu bytes, "
			"%llu ready, limit %llu",
			(unsigned long long)super->log_tail,
			(unsigned long long)super->log_ready_bytes,
			(unsigned long long)super->log_max_bytes);
		error = -EBADMSG;
	}
	return rf_heap_check() != 0 ? -EBADMSG : error;
}
