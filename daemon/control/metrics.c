/* SPDX-License-Identifier: MIT */
/* metrics.c -- the numbers of the status for Prometheus.
 *
 * The names follow from the table of facts.c: a counter ends in _total, and a
 * time is in seconds, whatever its unit elsewhere.
 */
#include "facts.h"

#include "daemon/version.h"

#include <inttypes.h>
#include <string.h>

#define NAME_BYTES 64

static const struct {
	const char *suffix;
	double seconds;
} times[] = {{"_us", 1e-6}, {"_ms", 1e-3}, {"_s", 1}};

static bool ends_in(const char *text, const char *suffix)
{
	size_t bytes = strlen(text), last = strlen(suffix);

	return bytes > last && !strcmp(text + bytes - last, suffix);
}

/* How many seconds one is; 0: it is no time. Rates are none. */
static double seconds_of(const char *key, size_t *stem_bytes)
{
	size_t bytes = strlen(key);

	*stem_bytes = bytes;
	if (strstr(key, "_per_s"))
		return 0;
	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
		if (!ends_in(key, times[i].suffix))
			continue;
		*stem_bytes = bytes - strlen(times[i].suffix);
		return times[i].seconds;
	}
	return 0;
}

static void put_head(
	FILE *out, const char *name, enum fact_kind kind, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
		kind == FACT_COUNTER ? "counter" : "gauge");
}

static void put_fact(FILE *out, const struct fact *fact, uint64_t value)
{
	char name[NAME_BYTES];
	size_t stem;
	double seconds = seconds_of(fact->key, &stem);
	bool is_counter = fact->kind == FACT_COUNTER;

	snprintf(name, sizeof(name), "refork_%.*s%s%s", (int)stem, fact->key,
		seconds > 0 ? "_seconds" : "",
		is_counter && !ends_in(fact->key, "_total") ? "_total" : "");
	put_head(out, name, fact->kind, fact->help);
	if (seconds > 0)
		fprintf(out, "%s %g\n", name, (double)value * seconds);
	else
		fprintf(out, "%s %" PRIu64 "\n", name, value);
}

static void put_label(FILE *out, const char *name, const char *text)
{
	fprintf(out, "%s=\"", name);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putc('\\', out);
		putc(*text == '\n' ? ' ' : *text, out);
	}
	putc('"', out);
}

static void put_info(const struct report *r, FILE *out)
{
	const struct rf_worker *worker = &r->service->lib.worker;

	put_head(out, "refork_info", FACT_GAUGE, "Always 1.");
	fputs("refork_info{", out);
	put_label(out, "name", r->service->conf->refork.name);
	fputs(",", out);
	put_label(out, "version", VERSION);
	fputs(",", out);
	put_label(out, "worker", worker->name);
	fputs(",", out);
	put_label(out, "worker_version", worker->version);
	fputs("} 1\n", out);
}

static void put_rungs(const struct report *r, FILE *out)
{
	const struct rf_status_supervisor *st = &r->service->status->supervisor;

	put_head(out, "refork_rungs_total", FACT_COUNTER,
		"Times each rung of the recovery ladder was stood on.");
	for (int i = RF_RUNG_NONE + 1; i < RF_RUNG_COUNT; i++)
		fprintf(out, "refork_rungs_total{rung=\"%s\"} %" PRIu64 "\n",
			fact_rung_names[i], st->rungs[i]);
}

void report_metrics(const struct report *r, enum report_format f, FILE *out)
{
	if (f == REPORT_JSON) {
		report_json(r, out);
		return;
	}
	put_info(r, out);
	for (int i = 0; i < fact_count; i++)
		if (facts[i].kind == FACT_GAUGE ||
			facts[i].kind == FACT_COUNTER)
			put_fact(out, &facts[i], fact_value(&facts[i], r));
	put_rungs(r, out);
}
