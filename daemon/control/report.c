/* SPDX-License-Identifier: MIT */
/* report.c -- the status segment as a page for people or as flat JSON.
 *
 * The numbers come from other processes and are only ever printed. A line that
 * would say nothing true (no child, no crash yet) is left out.
 */
#include "report.h"

#include "daemon/json.h"
#include "daemon/version.h"

#include <inttypes.h>
#include <string.h>

/* ---- facts ---- */

static const char *backend_name(const struct service *s)
{
	static const char *const names[RF_BACKEND_COUNT] = {
		[RF_BACKEND_POSIX] = "posix",
		[RF_BACKEND_MEMFD] = "memfd",
	};

	return names[s->arena.backend];
}

static uint64_t uptime_s(const struct service *s)
{
	int64_t ms = rf_now_ms() - s->status->supervisor.started_at_ms;

	return ms > 0 ? (uint64_t)ms / 1000 : 0;
}

static void listen_names(const struct service *s, char *out, size_t bytes)
{
	size_t at = 0;

	*out = 0;
	for (int i = 0; i < s->listener_count && at < bytes; i++)
		at += (size_t)snprintf(out + at, bytes - at, "%s%s",
			i ? " " : "", s->listeners[i].name);
}

static void json_service(const struct report *r, FILE *out)
{
	const struct service *s = r->service;
	char listen[2048];

	listen_names(s, listen, sizeof(listen));
	json_text(out, "state", r->state);
	json_text(out, "name", s->conf->refork.name);
	json_text(out, "version", VERSION);
	json_text(out, "worker", s->lib.worker.name);
	json_text(out, "worker_version", s->lib.worker.version);
	json_text(out, "worker_path", s->lib.path);
	json_text(out, "listen", listen);
	json_number(out, "uptime_s", uptime_s(s));
	json_text(out, "arena_backend", backend_name(s));
	json_text(out, "arena_name", s->arena.name);
	json_text(out, "last_crash", r->last_end ? r->last_end : "");
}

static void json_status(const struct report *r, FILE *out)
{
	const struct rf_status_shm *st = r->service->status;
	const struct {
		const char *key;
		uint64_t number;
	} numbers[] = {
		{"generation", rf_status_get(st->business.serving)},
		{"supervisor_pid", (uint32_t)st->supervisor.pid},
		{"network_pid", (uint32_t)st->supervisor.network_pid},
		{"business_pid", (uint32_t)st->supervisor.business_pid},
		{"crashes", st->supervisor.crashes},
		{"network_crashes", st->supervisor.network_crashes},
		{"clients", rf_status_get(st->network.clients)},
		{"clients_total", rf_status_get(st->network.clients_total)},
		{"clients_refused", rf_status_get(st->network.clients_refused)},
		{"closed_output_limit",
			rf_status_get(st->network.closed_output_limit)},
		{"bytes_in", rf_status_get(st->network.bytes_in)},
		{"bytes_out", rf_status_get(st->network.bytes_out)},
		{"requests", rf_status_get(st->business.requests)},
		{"quarantined", rf_status_get(st->business.quarantined)},
		{"recoveries", rf_status_get(st->business.recoveries)},
		{"rolled_back", rf_status_get(st->business.rolled_back)},
		{"recovery_us", rf_status_get(st->business.recovery_us)},
		{"arena_used_bytes",
			rf_status_get(st->business.arena_used_bytes)},
		{"arena_size_bytes",
			rf_status_get(st->business.arena_size_bytes)},
		{"arena_max_bytes",
			rf_status_get(st->business.arena_max_bytes)},
	};

	json_begin(out);
	json_service(r, out);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		json_number(out, numbers[i].key, numbers[i].number);
	json_end(out);
}

/* ---- for people ---- */

/* 1,204,000 */
static void put_count(FILE *out, uint64_t n)
{
	char digits[24];
	int count = snprintf(digits, sizeof(digits), "%" PRIu64, n);

	for (int i = 0; i < count; i++) {
		if (i && (count - i) % 3 == 0)
			putc(',', out);
		putc(digits[i], out);
	}
}

/* 1.64 GiB */
static void put_bytes(FILE *out, uint64_t bytes)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB"};
	double n = (double)bytes;
	size_t unit = 0;

	while (n >= 1024 && unit < 3) {
		n /= 1024;
		unit++;
	}
	fprintf(out, unit ? "%.2f %s" : "%.0f %s", n, units[unit]);
}

/* 3d 4h: the two largest units */
static void put_duration(FILE *out, uint64_t s)
{
	static const struct {
		uint64_t s;
		char letter;
	} units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
	size_t i = 0;

	while (i < 3 && s < units[i].s)
		i++;
	fprintf(out, "%" PRIu64 "%c", s / units[i].s, units[i].letter);
	if (i < 3)
		fprintf(out, " %" PRIu64 "%c", s % units[i].s / units[i + 1].s,
			units[i + 1].letter);
}

static void put_heartbeat(FILE *out, int64_t heartbeat_ms)
{
	int64_t ago = rf_monotonic_ms() - heartbeat_ms;

	if (heartbeat_ms > 0 && ago >= 0)
		fprintf(out, "   heartbeat %" PRId64 " ms ago", ago);
	putc('\n', out);
}

static void text_children(const struct rf_status_shm *st, FILE *out)
{
	if (st->supervisor.network_pid) {
		fprintf(out, "  network   pid %-7d ",
			st->supervisor.network_pid);
		put_count(out, rf_status_get(st->network.clients));
		fprintf(out, " clients");
		put_heartbeat(out, rf_status_get(st->network.heartbeat_ms));
	}
	if (st->supervisor.business_pid) {
		fprintf(out, "  business  pid %-7d ",
			st->supervisor.business_pid);
		put_count(out, rf_status_get(st->business.requests));
		fprintf(out, " requests");
		put_heartbeat(out, rf_status_get(st->business.heartbeat_ms));
	}
}

static void text_arena(const struct service *s, FILE *out)
{
	const struct rf_status_business *b = &s->status->business;

	fprintf(out, "  arena     ");
	put_bytes(out, rf_status_get(b->arena_used_bytes));
	fprintf(out, " used, ");
	put_bytes(out, rf_status_get(b->arena_size_bytes));
	fprintf(out, " of ");
	put_bytes(out, s->conf->arena.max_bytes);
	fprintf(out, " backed, at %#" PRIx64 ", %s %s\n", RF_ARENA_BASE,
		backend_name(s), s->arena.name);
}

static void text_crashes(const struct report *r, FILE *out)
{
	const struct rf_status_shm *st = r->service->status;
	uint64_t quarantined = rf_status_get(st->business.quarantined);

	fprintf(out, "  crashes   ");
	put_count(out, st->supervisor.crashes);
	if (st->supervisor.crashes && r->last_end)
		fprintf(out, ", last: %s, serving again %.2f ms after the fork",
			r->last_end,
			(double)rf_status_get(st->business.recovery_us) / 1000);
	if (quarantined) {
		fprintf(out, ", quarantined: ");
		put_count(out, quarantined);
	}
	putc('\n', out);
	if (st->supervisor.network_crashes) {
		fprintf(out, "            of the network process: ");
		put_count(out, st->supervisor.network_crashes);
		putc('\n', out);
	}
}

static void text_status(const struct report *r, enum report_format f, FILE *out)
{
	const struct service *s = r->service;
	const char *color =
		strcmp(r->state, "serving") ? "\033[33m" : "\033[32m";

	fprintf(out, f == REPORT_COLOR ? "%s\u25cf\033[0m" : "%.0s\u25cf",
		color);
	fprintf(out,
		" refork %s (worker %s %s)   %s, generation %" PRIu64 ", up ",
		s->conf->refork.name, s->lib.worker.name, s->lib.worker.version,
		r->state, rf_status_get(s->status->business.serving));
	put_duration(out, uptime_s(s));
	putc('\n', out);
	for (int i = 0; i < s->listener_count; i++)
		fprintf(out, "  listen    %s\n", s->listeners[i].name);
	text_children(s->status, out);
	text_arena(s, out);
	text_crashes(r, out);
}

/* ---- commands ---- */

void report_status(const struct report *r, enum report_format f, FILE *out)
{
	if (f == REPORT_JSON)
		json_status(r, out);
	else
		text_status(r, f, out);
}

void report_state(const struct report *r, enum report_format f, FILE *out)
{
	uint64_t generation =
		rf_status_get(r->service->status->business.serving);

	if (f != REPORT_JSON) {
		fprintf(out, "%s %" PRIu64 "\n", r->state, generation);
		return;
	}
	json_begin(out);
	json_text(out, "state", r->state);
	json_number(out, "generation", generation);
	json_end(out);
}

void report_ping(const struct report *r, enum report_format f, FILE *out)
{
	(void)r;
	if (f != REPORT_JSON) {
		fputs("pong\n", out);
		return;
	}
	json_begin(out);
	json_text(out, "reply", "pong");
	json_end(out);
}

void report_version(const struct report *r, enum report_format f, FILE *out)
{
	const struct rf_worker *worker = &r->service->lib.worker;

	if (f != REPORT_JSON) {
		fprintf(out, "reforkd %s, worker %s %s (ABI %u)\n", VERSION,
			worker->name, worker->version, worker->abi);
		return;
	}
	json_begin(out);
	json_text(out, "version", VERSION);
	json_text(out, "worker", worker->name);
	json_text(out, "worker_version", worker->version);
	json_number(out, "worker_abi", worker->abi);
	json_end(out);
}
