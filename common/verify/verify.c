/* SPDX-License-Identifier: MIT */
/* verify.c -- one part of the arena after the other, from what all else stands
 * on to what the worker has built.
 *
 *   superblock -> heap -> slots -> connections -> worker -> leaks
 *
 * A part that cannot be trusted ends the walk only where nothing can be read
 * without it: without the superblock nobody knows where the heap is. Everything
 * behind the heap believes the index of live blocks (walk_index.c) alone, which
 * was made from the runs that were sound.
 */
#include "verify.h"
#include "arena.h"
#include "log_divert.h"
#include "tx_log.h"
#include "walk_form.h"
#include <errno.h>
#include <refork/heap.h>
#include <stdio.h>
#include <time.h>

#define LINE_BYTES 640

const char *const rf_verify_part_names[RF_VERIFY_PART_COUNT] = {
	[RF_VERIFY_SUPER] = "superblock",
	[RF_VERIFY_HEAP] = "heap",
	[RF_VERIFY_SLOTS] = "slots",
	[RF_VERIFY_DESK] = "connections",
	[RF_VERIFY_WORKER] = "worker",
	[RF_VERIFY_LEAKS] = "leaks",
};

struct run {
	const struct rf_verify_conf *conf;
	struct rf_verify_result *out;
	enum rf_verify_part part;
	struct rf_walk walk;
	struct rf_walk_index index;
};

/* One at a time in a process. */
static struct run run;

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* ---- problems ---- */

static void tell(const void *at, const char *slot, const char *text)
{
	const struct rf_verify_problem problem = {
		.part = run.part,
		.at = at,
		.slot = slot,
		.text = text,
	};

	if (++run.out->problems <= RF_VERIFY_PROBLEMS_MAX &&
		run.conf->problem != NULL)
		run.conf->problem(run.conf->context, &problem);
}

static void on_walk_problem(
	const struct rf_walk *walk, const void *at, const char *text)
{
	char path[RF_WALK_PATH_BYTES], line[LINE_BYTES];

	if (run.out->problems >= RF_VERIFY_PROBLEMS_MAX) {
		run.out->problems++;
		return;
	}
	rf_walk_path(walk, path);
	snprintf(line, sizeof line, "%s%s%s", path, path[0] != '\0' ? ": " : "",
		text);
	tell(at, walk->slot, line);
}

static void on_log(void *context, const char *text)
{
	(void)context;
	run.walk.problems++;
	tell(NULL, "", text);
}

/* ---- the parts: false where nothing behind it can be read ---- */

static bool verify_super(void)
{
	const struct rf_worker *worker = run.conf->worker;

	if (rf_arena_check_super() != 0)
		return false;
	if (RF_SUPER->log_tail != 0)
		rf_walk_problem(&run.walk, &RF_SUPER->log_tail,
			"the undo log holds %llu bytes: something is half done "
			"and has to be rolled back first",
			(unsigned long long)RF_SUPER->log_tail);
	if (worker != NULL && worker->state_version != RF_SUPER->state_version)
		rf_walk_problem(&run.walk, &RF_SUPER->state_version,
			"the state is of version %u, the worker's of %u",
			RF_SUPER->state_version, worker->state_version);
	return true;
}

static bool verify_heap(void)
{
	if (rf_heap_check() != 0 && run.out->problems == 0)
		tell(NULL, "", "heap check: it is damaged");
	if (RF_SUPER->heap.page_count > RF_SUPER->max_bytes >> RF_PAGE_SHIFT)
		return false;
	if (rf_walk_index_make(&run.index, &run.walk) != 0)
		return false;
	run.walk.index = &run.index;
	run.out->runs = run.index.runs;
	run.out->pages = run.index.pages;
	run.out->free_pages = run.index.free_pages;
	run.out->blocks = run.index.blocks;
	run.out->block_bytes = run.index.block_bytes;
	return true;
}

static bool verify_slots(void)
{
	rf_walk_slots(&run.walk);
	return true;
}

static bool verify_desk(void)
{
	rf_walk_desk(&run.walk);
	return true;
}

static bool verify_worker(void)
{
	const struct rf_worker *worker = run.conf->worker;
	uint64_t before = run.out->problems;

	if (worker == NULL)
		return true;
	if (worker->walk != NULL)
		worker->walk(&run.walk);
	else if (worker->verify != NULL && run.conf->has_built &&
		 worker->verify() != 0 && run.out->problems == before)
		tell(NULL, "", "the worker's verify has found damage");
	run.walk.slot = "";
	run.walk.scope = NULL;
	return true;
}

static void on_leak(void *context, const void *block, size_t bytes)
{
	const bool *damaged = context;
	char line[LINE_BYTES];

	run.out->leak_bytes += bytes;
	if (++run.out->leaks > RF_VERIFY_LEAKS_TOLD_MAX) {
		run.out->problems++;
		return;
	}
	snprintf(line, sizeof line,
		"a block of %zu bytes that no slot leads "
		"to: it has leaked%s",
		bytes, *damaged ? ", or what leads to it is damaged" : "");
	tell(block, "", line);
}

static bool verify_leaks(void)
{
	const struct rf_worker *worker = run.conf->worker;
	bool damaged = run.out->problems > 0;

	run.out->reached = run.walk.reached;
	if (worker == NULL || worker->walk == NULL)
		return true;
	run.out->leaks_known = !run.index.broken;
	rf_walk_index_leaks(&run.index, on_leak, &damaged);
	return true;
}

static bool (*const parts[RF_VERIFY_PART_COUNT])(void) = {
	[RF_VERIFY_SUPER] = verify_super,
	[RF_VERIFY_HEAP] = verify_heap,
	[RF_VERIFY_SLOTS] = verify_slots,
	[RF_VERIFY_DESK] = verify_desk,
	[RF_VERIFY_WORKER] = verify_worker,
	[RF_VERIFY_LEAKS] = verify_leaks,
};

/* ---- the whole ---- */

static void start(
	const struct rf_verify_conf *conf, struct rf_verify_result *out)
{
	memset(out, 0, sizeof *out);
	memset(&run, 0, sizeof run);
	run.conf = conf;
	run.out = out;
	run.walk.slot = "";
	run.walk.report = on_walk_problem;
	run.walk.thing = conf->thing;
	run.walk.found = conf->found;
	run.walk.wanted = (uint64_t)conf->wanted;
	run.walk.context = conf->context;
}

/* The same text may stand at two places: in a worker and here. */
static void add_tally(const struct rf_walk_tally *tally)
{
	struct rf_verify_result *out = run.out;
	struct rf_verify_tally *to = out->tallies;
	uint32_t i = 0;

	while (i < out->tally_count && (strcmp(to[i].what, tally->what) != 0 ||
					       to[i].slot != tally->slot))
		i++;
	if (i == out->tally_count)
		to[out->tally_count++] = (struct rf_verify_tally){
			.slot = tally->slot, .what = tally->what};
	to[i].blocks += tally->blocks;
	to[i].bytes += tally->bytes;
}

int rf_verify(const struct rf_verify_conf *conf, struct rf_verify_result *out)
{
	bool goes_on = true;

	start(conf, out);
	rf_log_divert(on_log, NULL);
	for (uint32_t i = 0; i < RF_VERIFY_PART_COUNT && goes_on; i++) {
		double began_ms = now_ms();

		run.part = (enum rf_verify_part)i;
		goes_on = parts[i]();
		out->part_ms[i] = now_ms() - began_ms;
		out->total_ms += out->part_ms[i];
	}
	rf_log_divert(NULL, NULL);
	for (uint32_t i = 0; i < RF_WALK_TALLIES; i++)
		if (run.walk.tallies[i].what != NULL)
			add_tally(&run.walk.tallies[i]);
	rf_walk_index_free(&run.index);
	if (!goes_on && out->problems == 0)
		return -ENOMEM;
	return out->problems == 0 ? 0 : -EBADMSG;
}
