/* SPDX-License-Identifier: MIT */
/* arena_dump.c -- what stands in the arena, for people and for programs.
 *
 * The worker's own walk names it: which things hang on each slot, and what
 * kinds of blocks they are made of. With --block, the bytes of one block and
 * who owns it. Read from a copy, as by `arena verify`, so it is all of one
 * instant.
 */
#include "arena.h"

#include "common/super.h"
#include "common/verify/verify.h"
#include "daemon/figures.h"
#include "daemon/json.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ROW_BYTES 16

/* Of one run, for the callbacks. */
struct dump {
	const struct ctl *ctl;
	bool found;
};

/* ---- slots, things, kinds ---- */

static void put_slot(const struct ctl *ctl, const struct rf_slot *slot)
{
	char name[ARENA_TEXT_BYTES], type[ARENA_TEXT_BYTES];

	arena_text(name, slot->name, sizeof(slot->name));
	arena_text(type, slot->type, sizeof(slot->type));
	if (ctl->json) {
		json_begin(stdout);
		json_text(stdout, "slot", name);
		json_text(stdout, "type", type);
		json_number(stdout, "version", slot->version);
		json_number(stdout, "bytes", slot->bytes);
		json_number(stdout, "root", (uint64_t)slot->root);
		json_end(stdout);
		return;
	}
	printf("slot %s: %s, version %u, %" PRIu64 " bytes at %p\n", name, type,
		slot->version, slot->bytes, slot->root);
}

static void on_thing(void *context, const void *at, const char *path,
	const char *kind, uint64_t items)
{
	const struct dump *dump = context;
	char clean[ARENA_TEXT_BYTES];

	path = arena_text(clean, path, ARENA_TEXT_BYTES);
	if (dump->ctl->json) {
		json_begin(stdout);
		json_text(stdout, "thing", path);
		json_text(stdout, "kind", kind);
		json_number(stdout, "items", items);
		json_number(stdout, "at", (uint64_t)at);
		json_end(stdout);
		return;
	}
	printf("  %s: %s, ", path, kind);
	put_count(stdout, items);
	printf(" item%s, at %p\n", items == 1 ? "" : "s", at);
}

static void put_tally(
	const struct ctl *ctl, const struct rf_verify_tally *tally)
{
	char owner[ARENA_TEXT_BYTES];

	arena_text(owner, tally->slot, RF_SLOT_NAME_MAX);
	if (ctl->json) {
		json_begin(stdout);
		json_text(stdout, "owner", owner);
		json_text(stdout, "what", tally->what);
		json_number(stdout, "blocks", tally->blocks);
		json_number(stdout, "block_bytes", tally->bytes);
		json_end(stdout);
		return;
	}
	printf("  %-16s %-24s %12" PRIu64 " blocks  ",
		*owner ? owner : "(framework)", tally->what, tally->blocks);
	put_bytes(stdout, tally->bytes);
	putchar('\n');
}

static void on_problem(void *context, const struct rf_verify_problem *problem)
{
	const struct dump *dump = context;

	arena_tell(dump->ctl, rf_verify_part_names[problem->part], problem->at,
		problem->slot, problem->text);
}

/* By owner, largest first. */
static int order(const void *left, const void *right)
{
	const struct rf_verify_tally *a = left, *b = right;
	int by_owner = strncmp(a->slot, b->slot, RF_SLOT_NAME_MAX);

	if (by_owner)
		return by_owner;
	return (a->bytes < b->bytes) - (a->bytes > b->bytes);
}

static uint64_t dump_all(const struct ctl *ctl, struct arena_view *view)
{
	static struct rf_verify_result result;
	struct dump dump = {.ctl = ctl};
	const struct rf_verify_conf conf = {
		.worker = view->has_worker ? &view->lib.worker : NULL,
		.problem = on_problem,
		.thing = on_thing,
		.context = &dump,
	};

	for (size_t i = 0; i < RF_SLOT_COUNT; i++)
		if (RF_SUPER->slots[i].name[0])
			put_slot(ctl, &RF_SUPER->slots[i]);
	if (rf_verify(&conf, &result) == -ENOMEM) {
		arena_tell(ctl, "reader", NULL, "", "no memory to walk it");
		return 1;
	}
	if (!ctl->json)
		puts("blocks, by owner and kind:");
	qsort(result.tallies, result.tally_count, sizeof(*result.tallies),
		order);
	for (uint32_t i = 0; i < result.tally_count; i++)
		put_tally(ctl, &result.tallies[i]);
	if (!view->has_worker && !ctl->json)
		printf("what the slots lead to is not known: %s\n",
			view->no_worker);
	return result.problems;
}

/* ---- one block ---- */

static void put_rows(const uint8_t *at, size_t bytes)
{
	for (size_t row = 0; row < bytes; row += ROW_BYTES) {
		size_t n = bytes - row < ROW_BYTES ? bytes - row : ROW_BYTES;

		printf("%p ", (const void *)(at + row));
		for (size_t i = 0; i < ROW_BYTES; i++)
			printf(i < n ? " %02x" : "   ",
				i < n ? at[row + i] : 0);
		fputs("  ", stdout);
		for (size_t i = 0; i < n; i++)
			putchar(isprint(at[row + i]) ? at[row + i] : '.');
		putchar('\n');
	}
}

static void on_found(void *context, const void *block, size_t bytes,
	const char *path, const char *what)
{
	struct dump *dump = context;
	char clean[ARENA_TEXT_BYTES];

	dump->found = true;
	path = arena_text(clean, path, ARENA_TEXT_BYTES);
	if (dump->ctl->json) {
		json_begin(stdout);
		json_number(stdout, "block", (uint64_t)block);
		json_number(stdout, "block_bytes", bytes);
		json_text(stdout, "path", path);
		json_text(stdout, "what", what);
		json_bytes(stdout, "content", block, bytes);
		json_end(stdout);
		return;
	}
	printf("block %p, %zu bytes: %s, of %s\n", block, bytes, what,
		*path ? path : "the framework");
	put_rows(block, bytes);
}

/* NULL: not an address within the arena. */
static const void *wanted_address(const struct ctl *ctl)
{
	char *end;
	uint64_t at = strtoull(ctl->block, &end, 0);

	if (*end || end == ctl->block || at < RF_ARENA_BASE ||
		at - RF_ARENA_BASE >= RF_SUPER->segment_bytes)
		return NULL;
	return (const void *)at;
}

static uint64_t dump_block(const struct ctl *ctl, struct arena_view *view)
{
	static struct rf_verify_result result;
	struct dump dump = {.ctl = ctl};
	const struct rf_verify_conf conf = {
		.worker = view->has_worker ? &view->lib.worker : NULL,
		.wanted = wanted_address(ctl),
		.found = on_found,
		.context = &dump,
	};
	char text[1024];

	if (!conf.wanted) {
		snprintf(text, sizeof(text),
			"%s is no address of this arena (%#" PRIx64
			" and %" PRIu64 " bytes on)",
			ctl->block, view->facts->base, view->facts->bytes);
		arena_tell(ctl, "block", NULL, "", text);
		return 1;
	}
	rf_verify(&conf, &result);
	if (dump.found)
		return 0;
	snprintf(text, sizeof(text),
		"no block that a slot reaches holds it%s%s",
		view->has_worker ? "" : ": ", view->no_worker);
	arena_tell(ctl, "block", conf.wanted, "", text);
	return 1;
}

enum ctl_exit run_arena_dump(struct ctl *ctl, const struct command *command)
{
	const struct arena_job job = {
		.name = command->name,
		.flags = RF_ATTACH_COPY,
		.wants_worker = true,
		.run = ctl->block ? dump_block : dump_all,
	};
	uint64_t problems;
	enum ctl_exit code = arena_do(ctl, &job, &problems);

	if (code)
		return code;
	return problems ? CTL_REFUSED : CTL_OK;
}
