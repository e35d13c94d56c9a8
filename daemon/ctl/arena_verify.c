/* SPDX-License-Identifier: MIT */
/* arena_verify.c -- is the whole arena sound?
 *
 * Beside a service that runs: over a copy of one instant, so that clients wait
 * for the copying and not for the walk. The walk: common/verify/verify.c.
 */
#include "arena.h"

#include "ask.h"
#include "common/verify/verify.h"
#include "daemon/figures.h"
#include "daemon/json.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static void on_problem(void *context, const struct rf_verify_problem *problem)
{
	arena_tell(context, rf_verify_part_names[problem->part], problem->at,
		problem->slot, problem->text);
}

static void json_summary(
	const struct arena_view *view, const struct rf_verify_result *r)
{
	const struct rf_attach_facts *facts = view->facts;
	char key[48];

	json_begin(stdout);
	json_number(stdout, "problems", r->problems);
	json_number(stdout, "leaks_known", r->leaks_known);
	json_number(stdout, "leaks", r->leaks);
	json_number(stdout, "leak_bytes", r->leak_bytes);
	json_number(stdout, "blocks", r->blocks);
	json_number(stdout, "block_bytes", r->block_bytes);
	json_number(stdout, "reached", r->reached);
	json_number(stdout, "runs", r->runs);
	json_number(stdout, "pages", r->pages);
	json_number(stdout, "free_pages", r->free_pages);
	json_number(stdout, "online", facts->online);
	json_number(stdout, "copied_bytes", facts->copied_bytes);
	json_signed(stdout, "held_us", facts->held_us);
	json_number(stdout, "undone", facts->undone);
	json_number(stdout, "generation", facts->generation);
	json_text(stdout, "worker", facts->worker);
	json_text(stdout, "worker_missing", view->no_worker);
	for (int i = 0; i < RF_VERIFY_PART_COUNT; i++) {
		snprintf(key, sizeof(key), "%s_us", rf_verify_part_names[i]);
		json_number(stdout, key, (uint64_t)(r->part_ms[i] * 1000));
	}
	json_number(stdout, "walk_us", (uint64_t)(r->total_ms * 1000));
	json_end(stdout);
}

static void put_source(const struct rf_attach_facts *facts)
{
	printf("arena of worker %s, generation %" PRIu64 ", ", facts->worker,
		facts->generation);
	if (!facts->online) {
		printf("kept in %s", facts->path);
		if (facts->undone)
			printf("; a half-made change of %" PRIu64
			       " entries is undone for this look",
				facts->undone);
		putchar('\n');
		return;
	}
	put_bytes(stdout, facts->copied_bytes);
	fputs(" copied while clients waited ", stdout);
	put_ms(stdout, facts->held_us);
	putchar('\n');
}

static void text_summary(
	const struct arena_view *view, const struct rf_verify_result *r)
{
	put_source(view->facts);
	put_count(stdout, r->blocks);
	fputs(" blocks, ", stdout);
	put_bytes(stdout, r->block_bytes);
	if (r->leaks_known) {
		fputs("; ", stdout);
		put_count(stdout, r->leaks);
		fputs(" of them reached from no slot", stdout);
	} else if (!view->has_worker) {
		printf("; what has leaked is not known: %s", view->no_worker);
	} else {
		printf("; what has leaked is not known: %s",
			view->lib.worker.walk
				? "the heap is not whole"
				: "this worker has no `walk` hook");
	}
	putchar('\n');
	for (int i = 0; i < RF_VERIFY_PART_COUNT; i++)
		printf("  %-12s %9.2f ms\n", rf_verify_part_names[i],
			r->part_ms[i]);
	put_count(stdout, r->problems);
	printf(" problem%s, %.1f ms\n", r->problems == 1 ? "" : "s",
		r->total_ms);
}

static uint64_t verify(const struct ctl *ctl, struct arena_view *view)
{
	static struct rf_verify_result result;
	const struct rf_verify_conf conf = {
		.worker = view->has_worker ? &view->lib.worker : NULL,
		.problem = on_problem,
		.context = (void *)ctl,
	};
	int rc = rf_verify(&conf, &result);

	if (rc == -ENOMEM) {
		arena_tell(ctl, "reader", NULL, "",
			"no memory to walk it: nothing is known");
		return 1;
	}
	(ctl->json ? json_summary : text_summary)(view, &result);
	return result.problems;
}

/* For `reforkctl status`; whoever cannot be told has other troubles. */
static void note(struct ctl *ctl, uint64_t problems)
{
	char count[24];
	char *arguments[] = {count, NULL};

	snprintf(count, sizeof(count), "%" PRIu64, problems);
	ask(ctl, "arena-verified", "json", arguments, ASK_WAIT_MS);
}

enum ctl_exit run_arena_verify(struct ctl *ctl, const struct command *command)
{
	const struct arena_job job = {
		.name = command->name,
		.flags = RF_ATTACH_COPY,
		.wants_worker = true,
		.run = verify,
	};
	uint64_t problems;
	enum ctl_exit code = arena_do(ctl, &job, &problems);

	if (code)
		return code;
	if (!ctl->offline)
		note(ctl, problems);
	return problems ? CTL_REFUSED : CTL_OK;
}
