/* SPDX-License-Identifier: MIT */
/* page.c -- the status as a page for people.
 *
 * A line that would say nothing true (no child, no crash yet, no upgrade on
 * trial) is left out; a line that asks for something to be done names the
 * command that does it.
 */
#include "report.h"

#include "daemon/figures.h"
#include "daemon/records/crash_words.h"
#include "daemon/records/quarantine.h"
#include "daemon/records/ring.h"
#include "facts.h"

#include <inttypes.h>

/* ---- the processes ---- */

static void put_silence(FILE *out, int64_t heartbeat_ms)
{
	int64_t ago = rf_monotonic_ms() - heartbeat_ms;

	if (heartbeat_ms > 0 && ago >= 0)
		fprintf(out, "   heartbeat %" PRId64 " ms ago", ago);
	putc('\n', out);
}

static void network_line(const struct report *r, FILE *out)
{
	const struct rf_status_shm *st = r->service->status;

	if (!st->supervisor.network_pid)
		return;
	fprintf(out, "  network   pid %-7d ", st->supervisor.network_pid);
	put_count(out, rf_status_get(st->network.clients));
	fputs(" clients", out);
	put_silence(out, rf_status_get(st->network.heartbeat_ms));
}

static void business_line(const struct report *r, FILE *out)
{
	const struct rf_status_shm *st = r->service->status;

	if (!st->supervisor.business_pid)
		return;
	fprintf(out, "  business  pid %-7d ", st->supervisor.business_pid);
	put_rate(out, rates_get(r->rates, RATE_REQUESTS));
	fputs(" req/s, ", out);
	put_count(out, rf_status_get(st->business.requests));
	fputs(" requests", out);
	put_silence(out, rf_status_get(st->business.heartbeat_ms));
}

static void standby_line(const struct report *r, FILE *out)
{
	const struct rf_status_shm *st = r->service->status;
	int32_t pid = st->supervisor.standby_pid;

	if (!pid)
		return;
	fprintf(out, "  standby   pid %-7d ", pid);
	if (rf_status_get(st->standby.ready_pid) != pid) {
		fputs("starting\n", out);
		return;
	}
	if (fact_standby_silence_ms(st) >= STANDBY_SILENT_MS) {
		fprintf(out, "stopped or starved: silent for %" PRId64 " ms\n",
			fact_standby_silence_ms(st));
		return;
	}
	fputs("ready, ", out);
	put_bytes(out, rf_status_get(st->standby.prefaulted_bytes));
	fprintf(out, " pre-faulted%s\n",
		rf_status_get(st->standby.prefault_complete) ? "" : " so far");
}

static void vault_line(const struct report *r, FILE *out)
{
	int32_t pid = r->service->status->supervisor.vault_pid;

	if (pid)
		fprintf(out, "  vault     pid %-7d keeps the connections\n",
			pid);
}

/* ---- the state ---- */

static void listen_lines(const struct report *r, FILE *out)
{
	for (int i = 0; i < r->service->listener_count; i++)
		fprintf(out, "  listen    %s%s\n",
			r->service->listeners[i].name,
			r->service->listeners[i].given
				? ", held by the service manager"
				: "");
}

static void put_verified(FILE *out, const struct rf_status_supervisor *st)
{
	int64_t ago_ms = rf_now_ms() - st->verified_at_ms;

	if (!st->verified_at_ms)
		return;
	fputs(", last verified ", out);
	put_duration(out, ago_ms > 0 ? (uint64_t)ago_ms / 1000 : 0);
	fputs(" ago", out);
	if (st->verify_problems)
		fprintf(out, ": %" PRIu64 " problem%s", st->verify_problems,
			st->verify_problems == 1 ? "" : "s");
}

static void arena_line(const struct report *r, FILE *out)
{
	const struct service *s = r->service;
	const struct rf_status_business *b = &s->status->business;
	char name[PLACE_BYTES];

	fputs("  arena     ", out);
	put_bytes(out, rf_status_get(b->arena_used_bytes));
	fputs(" used, ", out);
	put_bytes(out, rf_status_get(b->arena_size_bytes));
	fputs(" of ", out);
	put_bytes(out, s->conf->arena.max_bytes);
	fprintf(out, " backed, at %#" PRIx64 ", %s %s", RF_ARENA_BASE,
		report_backend_name(s), report_arena_name(s, name));
	put_verified(out, &s->status->supervisor);
	putc('\n', out);
}

static void aside_line(const struct report *r, FILE *out)
{
	if (r->aside_count)
		fprintf(out,
			"  aside     %" PRIu64
			" arena%s of earlier cold starts: reforkctl doctor\n",
			r->aside_count, r->aside_count == 1 ? "" : "s");
}

static void upgrade_line(const struct report *r, FILE *out)
{
	if (!r->canary_ms)
		return;
	fprintf(out, "  upgrade   %s %s is on trial for ",
		r->service->lib.worker.name, r->service->lib.worker.version);
	put_duration(out, (r->canary_ms + 999) / 1000);
	fputs(r->goes_back
			? " more: a crash goes back to the code before\n"
			  "            reforkctl rollback\n"
			: " more, and cannot go back: the code before has no "
			  "`migrate` for this state\n",
		out);
}

/* ---- crashes ---- */

static void put_last(
	const struct report *r, const struct rf_crash *crash, FILE *out)
{
	char end[CRASH_WORDS_BYTES], where[CRASH_WORDS_BYTES];
	bool business = crash->role == RF_CRASH_BUSINESS;

	fprintf(out, ", last: %s%s%s", business ? "" : crash_role(crash),
		business ? "" : " process ", crash_end(crash, end));
	crash_where(crash, where);
	if (*where)
		fprintf(out, " in %s", where);
	if (crash->to_serving_us <= 0)
		return;
	fputs(", recovered in ", out);
	put_ms(out, crash->to_serving_us);
	/* Clients wait that long before they are told anything. */
	if (business && (uint64_t)crash->to_serving_us / 1000 <
				r->service->conf->network.park_timeout_ms)
		fputs(", 0 clients lost", out);
}

/* The sum; and its parts, unless all are of the business process. */
static void put_crash_counts(const struct rf_status_supervisor *st, FILE *out)
{
	const struct {
		const char *of;
		uint64_t count;
	} parts[] = {
		{"business", rf_status_get(st->crashes)},
		{"network", rf_status_get(st->network_crashes)},
		{"vault", rf_status_get(st->vault_crashes)},
		{"standby", rf_status_get(st->standby_crashes)},
	};
	uint64_t sum = 0;
	const char *before = " (";

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		sum += parts[i].count;
	put_count(out, sum);
	if (sum == parts[0].count)
		return;
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		if (!parts[i].count)
			continue;
		fputs(before, out);
		put_count(out, parts[i].count);
		fprintf(out, " %s", parts[i].of);
		before = ", ";
	}
	putc(')', out);
}

static void crash_lines(const struct report *r, FILE *out)
{
	const struct rf_status_shm *st = r->service->status;
	const struct rf_crash *crash =
		ring_find(&st->crashes, st->crashes.last_id);

	fputs("  crashes   ", out);
	put_crash_counts(&st->supervisor, out);
	if (crash)
		put_last(r, crash, out);
	else if (r->last_end)
		fprintf(out, ", last: %s", r->last_end);
	putc('\n', out);
	if (crash)
		fprintf(out, "            reforkctl crash show %" PRIu64 "\n",
			crash->id);
}

static void quarantine_line(const struct report *r, FILE *out)
{
	int count = quarantine_count(r->service);

	if (!count)
		return;
	fputs("  poison    ", out);
	put_count(out, (uint64_t)count);
	fprintf(out, " request%s in quarantine: reforkctl quarantine list\n",
		count == 1 ? "" : "s");
}

static void refused_line(const struct report *r, FILE *out)
{
	uint64_t count =
		rf_status_get(r->service->status->network.clients_banned);

	if (!count)
		return;
	fputs("  refused   ", out);
	put_count(out, count);
	fprintf(out,
		" connection%s: requests from there kept ending the business "
		"process\n",
		count == 1 ? "" : "s");
}

static void rung_line(const struct report *r, FILE *out)
{
	static const char *const lines[RF_RUNG_COUNT] = {
		[RF_RUNG_QUARANTINE] = "the request that kills is skipped",
		[RF_RUNG_VERIFY] = "the state is walked before it serves",
		[RF_RUNG_RESTORE] = "the state comes from its last copy",
		[RF_RUNG_COLD] = "began anew with empty state",
		[RF_RUNG_HOLD] = "on hold: clients wait; see `reforkctl "
				 "crashes`, then `reforkctl resume` or "
				 "`upgrade`",
		[RF_RUNG_EXIT] = "gives up: the service manager is to act",
	};
	uint32_t rung = r->service->status->supervisor.rung;

	if (rung < RF_RUNG_COUNT && lines[rung])
		fprintf(out, "  recovery  %s\n", lines[rung]);
}

/* ---- the page ---- */

static void title_line(const struct report *r, enum report_format f, FILE *out)
{
	const struct service *s = r->service;
	uint64_t up_ms =
		(uint64_t)(rf_now_ms() - s->status->supervisor.started_at_ms);
	const char *color = r->serves ? "\033[32m" : "\033[33m";

	fprintf(out, f == REPORT_COLOR ? "%s\u25cf\033[0m" : "%.0s\u25cf",
		color);
	fprintf(out,
		" refork %s (worker %s %s)   %s, generation %" PRIu64 ", up ",
		s->conf->refork.name, s->lib.worker.name, s->lib.worker.version,
		r->state, rf_status_get(s->status->business.serving));
	put_duration(out, up_ms / 1000);
	putc('\n', out);
}

void report_page(const struct report *r, enum report_format f, FILE *out)
{
	static void (*const lines[])(const struct report *r, FILE *out) = {
		listen_lines,
		network_line,
		business_line,
		standby_line,
		vault_line,
		arena_line,
		aside_line,
		upgrade_line,
		crash_lines,
		quarantine_line,
		refused_line,
		rung_line,
	};

	title_line(r, f, out);
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		lines[i](r, out);
}
