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
#include "file_mark.h"
#include "heap/pages.h"
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
	out->segment_bytes =
		round_up(out->heap_off + out->max_bytes, HUGE_BYTES);
	snprintf(out->worker_name, sizeof out->worker_name, "%s",
		conf->worker_name);
}

size_t rf_arena_segment_bytes(const struct rf_arena_conf *conf)
{
	struct rf_super want;

	plan(conf, &want);
	return want.segment_bytes;
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
	error = rf_mark_open(seg);
	if (error == 0)
		error = rf_lease_init();
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

/* On the disk before anything is served from it: a file without the marker has
 * never held state, whatever befell the machine. */
void rf_arena_publish(void)
{
	int error;

	rf_ordered();
	RF_SUPER->marker = RF_ARENA_MAGIC;
	error = rf_segment_sync(
		rf_arena_segment, 0, rf_arena_segment->max_bytes, true);
	if (error != 0)
		rf_log(RF_LOG_ERROR,
			"write the arena to %s: %s; it will not outlive the "
			"machine's run",
			rf_arena_segment->path, strerror(-error));
}

int rf_arena_close_whole(const struct rf_segment *seg)
{
	return rf_mark_close(seg);
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

/* A file that was cut says itself how long it was. */
static void wrong_size(const struct rf_segment *seg,
	const struct rf_super *want, char *reason, size_t bytes)
{
	struct rf_super have;

	if (seg->backend == RF_BACKEND_FILE &&
		rf_segment_read(seg, 0, &have, sizeof have) == 0 &&
		have.marker == RF_ARENA_MAGIC &&
		have.format == RF_ARENA_FORMAT &&
		have.segment_bytes != seg->max_bytes)
		snprintf(reason, bytes,
			"the file was cut or made longer: it has %zu bytes, "
			"its superblock says %llu",
			seg->max_bytes, (unsigned long long)have.segment_bytes);
	else
		snprintf(reason, bytes,
			"it has %zu bytes, this daemon "
			"and configuration need %zu (arena.max)",
			seg->max_bytes, (size_t)want->segment_bytes);
}

/* Is it an arena, this one, and whole? Nothing of it is changed. */
static int judge(struct rf_segment *seg, const struct rf_super *want,
	char *reason, size_t bytes)
{
	int error;

	if (seg->max_bytes != want->segment_bytes) {
		wrong_size(seg, want, reason, bytes);
		return -ESTALE;
	}
	/* Reading a hole of the file backs it: an error beats a SIGBUS. */
	error = rf_segment_back(seg, 0, RF_SUPER_BYTES);
	if (error != 0) {
		snprintf(reason, bytes, "no memory for its superblock: %s",
			strerror(-error));
		return error;
	}
	error = differs(RF_SUPER, want, reason, bytes);
	if (error == 0)
		error = rf_mark_judge(seg, reason, bytes);
	if (error != 0)
		return error;
	rf_arena_use(seg);
	if (rf_tx_log_is_valid())
		return 0;
	snprintf(reason, bytes, "its undo log is damaged");
	return -EBADMSG;
}

/* Whoever had the lease is gone (segment.h), whatever stands in the lock. */
static int enter(char *reason, size_t bytes)
{
	int error = rf_lease_init();

	if (error == 0)
		error = rf_lease_take(0, false);
	if (error < 0) {
		snprintf(reason, bytes, "its lease: %s", strerror(-error));
		return error;
	}
	if (rf_arena_check() == 0)
		return 0;
	snprintf(reason, bytes, "its heap is damaged (see above)");
	rf_lease_give();
	return -EBADMSG;
}

int rf_arena_adopt(struct rf_segment *seg, const struct rf_arena_conf *conf,
	char *reason, size_t reason_bytes, uint32_t *state_version_found)
{
	struct rf_super want;
	int error;

	plan(conf, &want);
	error = judge(seg, &want, reason, reason_bytes);
	if (error != 0)
		return error;
	error = rf_mark_open(seg);
	if (error != 0) {
		snprintf(reason, reason_bytes,
			"it cannot be marked as in use on its disk: %s",
			strerror(-error));
		return error;
	}
	error = enter(reason, reason_bytes);
	if (error != 0) {
		rf_arena_close_whole(seg);
		return error;
	}
	*state_version_found = RF_SUPER->state_version;
	return 0;
}

void rf_arena_set_generation(uint64_t generation)
{
	RF_SUPER->generation = generation;
}

void rf_arena_backed(struct rf_range out[RF_RANGE_COUNT])
{
	const struct rf_super *super = RF_SUPER;
	size_t pages =
		__atomic_load_n(&super->heap.page_count, __ATOMIC_RELAXED);
	size_t runs = __atomic_load_n(&super->heap.run_ready, __ATOMIC_RELAXED);
	const struct rf_range backed[RF_RANGE_COUNT] = {
		{0, RF_SUPER_BYTES + super->log_fixed_bytes},
		{super->map_off, pages * sizeof(uint32_t)},
		{super->runs_off, runs * sizeof(struct rf_run)},
		{super->heap_off, pages << RF_PAGE_SHIFT},
	};

	memcpy(out, backed, sizeof backed);
}

int rf_arena_inherit(void)
{
	struct rf_range backed[RF_RANGE_COUNT];

	rf_arena_backed(backed);
	for (size_t i = 0; i < RF_RANGE_COUNT; i++) {
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

/* ---- the walker ---- */

/* Everything else stands where the superblock says. */
static int check_super(const struct rf_super *super)
{
	struct rf_arena_conf conf = {
		.max_bytes = super->max_bytes,
		.log_bytes = super->log_fixed_bytes,
		.worker_name = super->worker_name,
	};
	char reason[160] = "its size is not that of its segment";
	struct rf_super want;
	int error = super->segment_bytes == rf_arena_segment->max_bytes
			    ? 0
			    : -EBADMSG;

	plan(&conf, &want);
	if (error == 0)
		error = differs(super, &want, reason, sizeof reason);
	if (error != 0)
		rf_log(RF_LOG_ERROR, "arena check: superblock: %s", reason);
	return error != 0 ? -EBADMSG : 0;
}

static int check_log(const struct rf_super *super)
{
	if (super->log_tail <= super->log_ready_bytes &&
		super->log_ready_bytes <= super->log_max_bytes)
		return 0;
	rf_log(RF_LOG_ERROR,
		"arena check: undo log of %llu bytes, %llu ready, limit %llu",
		(unsigned long long)super->log_tail,
		(unsigned long long)super->log_ready_bytes,
		(unsigned long long)super->log_max_bytes);
	return -EBADMSG;
}

static int check_conns(const struct rf_desk *desk)
{
	for (size_t i = 0; i < RF_CONN_CHUNK_COUNT; i++) {
		const struct rf_conn *chunk = desk->conns[i];

		if (chunk == NULL ||
			rf_is_block(chunk, RF_CONN_CHUNK * sizeof *chunk))
			continue;
		rf_log(RF_LOG_ERROR,
			"arena check: connection records %zu at %p: no block",
			i * RF_CONN_CHUNK, (const void *)chunk);
		return -EBADMSG;
	}
	return 0;
}

int rf_arena_check_super(void)
{
	const struct rf_super *super = RF_SUPER;
	int fits = check_super(super);

	return check_log(super) != 0 || fits != 0 ? -EBADMSG : 0;
}

int rf_arena_check(void)
{
	const struct rf_super *super = RF_SUPER;
	int log, slots, conns;

	if (check_super(super) != 0)
		return -EBADMSG;
	log = check_log(super);
	if (rf_heap_check() != 0)
		return -EBADMSG;
	slots = rf_slot_check();
	conns = check_conns(&super->desk);
	return log != 0 || slots != 0 || conns != 0 ? -EBADMSG : 0;
}
