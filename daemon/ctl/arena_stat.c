/* SPDX-License-Identifier: MIT */
/* arena_stat.c -- how the arena's memory is used.
 *
 * Counting needs no copy: it reads the run entries of the live arena while the
 * service stands still, some milliseconds for a GiB. Should that not last, it
 * is counted again.
 */
#include "arena.h"

#include "ask.h"
#include "common/arena.h"
#include "common/super.h"
#include "daemon/figures.h"
#include "daemon/json.h"

#include <errno.h>
#include <inttypes.h>
#include <refork/heap.h>
#include <string.h>

#define TRIES	    4
#define HOLD_MS	    250
#define HOLD_MS_MAX 2000

/* Everything that is shown, taken at one instant. */
struct numbers {
	struct rf_heap_stats heap;
	struct rf_heap_class classes[RF_HEAP_CLASSES];
	size_t class_count;
	struct rf_slot slots[RF_SLOT_COUNT];
	uint64_t log_used, log_ready, log_max;
	uint32_t state_version;
	int64_t held_us;
};

static void count(struct numbers *n)
{
	const struct rf_super *super = RF_SUPER;

	rf_heap_stats(&n->heap);
	n->class_count = rf_heap_classes(n->classes, RF_HEAP_CLASSES);
	memcpy(n->slots, super->slots, sizeof(n->slots));
	n->log_used = super->log_tail;
	n->log_ready = super->log_ready_bytes;
	n->log_max = super->log_max_bytes;
	n->state_version = super->state_version;
}

/* NULL: counted; else why not. */
static const char *count_at_one_instant(
	struct arena_view *view, struct numbers *n)
{
	static char why[512];
	unsigned ms = HOLD_MS;

	for (int i = 0; i < TRIES; i++) {
		if (rf_attach_hold(view->attach, ms, why, sizeof(why)))
			return why;
		count(n);
		if (!rf_attach_let_go(view->attach, &n->held_us))
			return NULL;
		ms = ms * 2 < HOLD_MS_MAX ? ms * 2 : HOLD_MS_MAX;
	}
	return "the business process did not stand still for long enough; try "
	       "again";
}

/* Of the memory in whole runs, what no block uses and no whole page is. */
static uint64_t scattered(const struct numbers *n)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < n->class_count; i++) {
		const struct rf_heap_class *c = &n->classes[i];

		if (c->block_bytes)
			bytes += (c->blocks - c->used_blocks) * c->block_bytes;
	}
	return bytes;
}

/* How much of the taken memory could be used for nothing larger than what it
 * is in, and of the free pages what is not in the longest run. */
static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100. * (double)part / (double)whole : 0;
}

/* ---- JSON: a line for the whole, one a class, one a slot ---- */

static void json_whole(const struct arena_view *view, const struct numbers *n)
{
	const struct rf_attach_facts *facts = view->facts;

	json_begin(stdout);
	json_text(stdout, "service", facts->service);
	json_text(stdout, "backend", facts->backend);
	json_text(stdout, "path", facts->path);
	json_text(stdout, "worker", facts->worker);
	json_number(stdout, "state_version", n->state_version);
	json_number(stdout, "format", RF_ARENA_FORMAT);
	json_number(stdout, "base", facts->base);
	json_number(stdout, "segment_bytes", facts->bytes);
	json_number(stdout, "generation", facts->generation);
	json_number(stdout, "used_bytes", n->heap.used_bytes);
	json_number(stdout, "size_bytes", n->heap.size_bytes);
	json_number(stdout, "max_bytes", n->heap.max_bytes);
	json_number(stdout, "free_run_bytes", n->heap.free_run_bytes);
	json_number(stdout, "largest_run_bytes", n->heap.largest_run_bytes);
	json_number(stdout, "returned_bytes", n->heap.returned_bytes);
	json_number(stdout, "scattered_bytes", scattered(n));
	json_number(stdout, "log_used_bytes", n->log_used);
	json_number(stdout, "log_ready_bytes", n->log_ready);
	json_number(stdout, "log_max_bytes", n->log_max);
	json_signed(stdout, "held_us", n->held_us);
	json_end(stdout);
}

static void json_class(const struct rf_heap_class *c)
{
	json_begin(stdout);
	json_number(stdout, "block_bytes", c->block_bytes);
	json_number(stdout, "runs", c->runs);
	json_number(stdout, "blocks", c->blocks);
	json_number(stdout, "used_blocks", c->used_blocks);
	json_number(stdout, "runs_bytes", c->runs_bytes);
	json_end(stdout);
}

static void json_slot(const struct rf_slot *slot)
{
	char text[ARENA_TEXT_BYTES];

	json_begin(stdout);
	json_text(stdout, "slot",
		arena_text(text, slot->name, sizeof(slot->name)));
	json_text(stdout, "type",
		arena_text(text, slot->type, sizeof(slot->type)));
	json_number(stdout, "version", slot->version);
	json_number(stdout, "bytes", slot->bytes);
	json_number(stdout, "root", (uint64_t)slot->root);
	json_end(stdout);
}

/* ---- text ---- */

static void put_pair(const char *before, uint64_t bytes, const char *after)
{
	fputs(before, stdout);
	put_bytes(stdout, bytes);
	fputs(after, stdout);
}

static void text_whole(const struct arena_view *view, const struct numbers *n)
{
	const struct rf_attach_facts *facts = view->facts;
	uint64_t free_bytes = n->heap.free_run_bytes;

	printf("arena     worker %s, state version %u, generation %" PRIu64
	       ", %s at %#" PRIx64 "\n",
		facts->worker, n->state_version, facts->generation,
		*facts->backend ? facts->backend : facts->path, facts->base);
	put_pair("memory    ", n->heap.used_bytes, " used, ");
	put_pair("", n->heap.size_bytes, " taken, ");
	put_pair("", n->heap.max_bytes, " at most\n");
	put_pair("free      ", free_bytes, " in whole pages, ");
	put_pair("", n->heap.largest_run_bytes, " in one piece, ");
	put_pair("", scattered(n), " between blocks, ");
	put_pair("", n->heap.returned_bytes, " given back\n");
	printf("fragments %.1f %% of what is taken is free between blocks, "
	       "%.1f %% of the free pages are not in the longest piece\n",
		percent(scattered(n), n->heap.size_bytes),
		percent(free_bytes - n->heap.largest_run_bytes, free_bytes));
	put_pair("undo log  ", n->log_ready, " taken, ");
	put_pair("", n->log_max, " at most\n");
	fputs("read      clients waited ", stdout);
	put_ms(stdout, n->held_us);
	putchar('\n');
}

static void text_class(const struct rf_heap_class *c)
{
	char name[24];

	snprintf(name, sizeof(name), c->block_bytes ? "%zu" : "large",
		c->block_bytes);
	printf("%9s %9" PRIu64 " %12" PRIu64 " %12" PRIu64 " %6.1f %%  ", name,
		c->runs, c->used_blocks, c->blocks - c->used_blocks,
		percent(c->used_blocks, c->blocks));
	put_bytes(stdout, c->runs_bytes);
	putchar('\n');
}

static void text_slot(const struct rf_slot *slot)
{
	char name[ARENA_TEXT_BYTES], type[ARENA_TEXT_BYTES];

	printf("%-16s %-12s %7u %9" PRIu64 "  %p\n",
		arena_text(name, slot->name, sizeof(slot->name)),
		arena_text(type, slot->type, sizeof(slot->type)), slot->version,
		slot->bytes, slot->root);
}

/* ---- both ---- */

static uint64_t stat_arena(const struct ctl *ctl, struct arena_view *view)
{
	static struct numbers n;
	const char *why = count_at_one_instant(view, &n);

	if (why) {
		arena_tell(ctl, "reader", NULL, "", why);
		return 1;
	}
	(ctl->json ? json_whole : text_whole)(view, &n);
	if (!ctl->json)
		puts("\nslot             type         version     bytes  root");
	for (size_t i = 0; i < RF_SLOT_COUNT; i++)
		if (n.slots[i].name[0])
			(ctl->json ? json_slot : text_slot)(&n.slots[i]);
	if (!ctl->json)
		puts("\n    block      runs         used         free   full"
		     "    memory");
	for (size_t i = 0; i < n.class_count; i++)
		if (n.classes[i].runs)
			(ctl->json ? json_class : text_class)(&n.classes[i]);
	return 0;
}

/* Then a change may be half made, which only a copy can undo. */
static bool is_on_hold(struct ctl *ctl)
{
	return !ctl->offline && !ask(ctl, "state", "text", NULL, ASK_WAIT_MS) &&
	       !strncmp(ctl->answer, "held", 4);
}

enum ctl_exit run_arena_stat(struct ctl *ctl, const struct command *command)
{
	const struct arena_job job = {
		.name = command->name,
		.flags = is_on_hold(ctl) ? RF_ATTACH_COPY : 0,
		.run = stat_arena,
	};
	uint64_t problems;
	enum ctl_exit code = arena_do(ctl, &job, &problems);

	if (code)
		return code;
	return problems ? CTL_REFUSED : CTL_OK;
}
