/* SPDX-License-Identifier: MIT */
/* report.c -- the status as flat JSON, and the answers of one line. */
#include "report.h"

#include "daemon/json.h"
#include "daemon/version.h"
#include "facts.h"

#include <inttypes.h>
#include <string.h>

const char *report_backend_name(const struct service *s)
{
	return place_backends[s->arena.backend];
}

const char *report_arena_name(const struct service *s, char text[PLACE_BYTES])
{
	return s->arena.backend == RF_BACKEND_SYSV ||
			       s->arena.backend == RF_BACKEND_FILE
		       ? place_name(&s->arena, text)
		       : s->arena.name;
}

const char *report_confined(uint64_t parts)
{
	static const char *const texts[] = {
		[0] = "",
		[RF_CONFINED_RIGHTS] = "rights",
		[RF_CONFINED_FILES] = "files",
		[RF_CONFINED_RIGHTS | RF_CONFINED_FILES] = "rights files",
		[RF_CONFINED_CALLS] = "calls",
		[RF_CONFINED_RIGHTS | RF_CONFINED_CALLS] = "rights calls",
		[RF_CONFINED_FILES | RF_CONFINED_CALLS] = "files calls",
		[RF_CONFINED_ALL] = "rights files calls",
	};

	return texts[parts & RF_CONFINED_ALL];
}

static void listen_names(const struct service *s, char *out, size_t bytes)
{
	size_t at = 0;

	*out = 0;
	for (int i = 0; i < s->listener_count && at < bytes; i++)
		at += (size_t)snprintf(out + at, bytes - at, "%s%s",
			i ? " " : "", s->listeners[i].name);
}

static void json_texts(const struct report *r, FILE *out)
{
	const struct service *s = r->service;
	const char *conf_path = s->options->conf_path;
	char listen[2048], name[PLACE_BYTES];

	listen_names(s, listen, sizeof(listen));
	json_text(out, "state", r->state);
	json_text(out, "name", s->conf->refork.name);
	json_text(out, "version", VERSION);
	json_text(out, "worker", s->lib.worker.name);
	json_text(out, "worker_version", s->lib.worker.version);
	json_text(out, "worker_path", s->lib.path);
	json_text(out, "conf_path", conf_path ? conf_path : "");
	json_text(out, "listen", listen);
	json_text(out, "arena_backend", report_backend_name(s));
	json_text(out, "arena_name", report_arena_name(s, name));
	json_text(out, "network_confined",
		report_confined(rf_status_get(s->status->vault.confined)));
	json_text(out, "business_confined",
		report_confined(rf_status_get(s->status->business.confined)));
	json_text(out, "last_crash", r->last_end ? r->last_end : "");
}

static const char *rung_name(const struct rf_status_supervisor *st)
{
	uint32_t rung = st->rung;

	return rung < RF_RUNG_COUNT ? fact_rung_names[rung] : "";
}

static void json_fact(
	const struct fact *fact, const struct report *r, FILE *out)
{
	uint64_t value = fact_value(fact, r);

	if (fact->kind == FACT_PID && !value)
		json_null(out, fact->key);
	else
		json_number(out, fact->key, value);
}

void report_json(const struct report *r, FILE *out)
{
	const struct rf_status_supervisor *st = &r->service->status->supervisor;
	char key[32];

	json_begin(out);
	json_texts(r, out);
	for (int i = 0; i < fact_count; i++)
		json_fact(&facts[i], r, out);
	json_text(out, "rung_name", rung_name(st));
	for (int i = RF_RUNG_NONE + 1; i < RF_RUNG_COUNT; i++) {
		snprintf(key, sizeof(key), "rung_%s", fact_rung_names[i]);
		json_number(out, key, st->rungs[i]);
	}
	json_end(out);
}

void report_status(const struct report *r, enum report_format f, FILE *out)
{
	if (f == REPORT_JSON)
		report_json(r, out);
	else
		report_page(r, f, out);
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
