/* SPDX-License-Identifier: MIT */
/* top_page.c -- what `top` shows, as lines of text.
 *
 * The daemon counts; this side takes the differences from look to look, so the
 * sparks are exact however often one looks. Nothing here knows the terminal.
 */
#include "top_page.h"

#include "common/flat.h"

#include <inttypes.h>
#include <math.h>

#define LABEL_COLUMNS 26

static void put_rate(FILE *out, double value)
{
	fprintf(out, value < 1e4 ? "%9.0f" : "%8.1fk",
		value < 1e4 ? value : value / 1e3);
}

static void put_size(FILE *out, double value)
{
	fprintf(out, value < 1048576 ? "%5.1f KiB" : "%5.1f MiB",
		value / (value < 1048576 ? 1024 : 1048576));
}

static void put_time(FILE *out, double us)
{
	fprintf(out, "%6.2f ms", us / 1000);
}

static const struct {
	const char *name;
	void (*put)(FILE *out, double value);
} series[TOP_SERIES_COUNT] = {
	[TOP_REQUESTS] = {"requests/s", put_rate},
	[TOP_RECOVERY] = {"recovery", put_time},
	[TOP_CRASHES] = {"crashes", put_rate},
	[TOP_BYTES_IN] = {"received/s", put_size},
	[TOP_BYTES_OUT] = {"sent/s", put_size},
};

/* ---- samples ---- */

/* A counter that has shrunk began anew. */
static double growth(uint64_t now, uint64_t before)
{
	return now > before ? (double)(now - before) : 0;
}

void top_sample(struct top_history *h, const char *json, int64_t now_ms)
{
	const struct top_counts now = {
		.at_ms = now_ms,
		.requests = rf_flat_number(json, "requests"),
		.bytes_in = rf_flat_number(json, "bytes_in"),
		.bytes_out = rf_flat_number(json, "bytes_out"),
		.recoveries = rf_flat_number(json, "recoveries"),
		.crashes = rf_flat_number(json, "crashes"),
	};
	const struct top_counts *last = &h->last;
	double seconds = (double)(now_ms - last->at_ms) / 1000;
	unsigned at = h->count % TOP_SAMPLE_COUNT;

	if (last->at_ms && seconds > 0) {
		double recovery_us =
			(double)rf_flat_number(json, "recovery_us");
		const double values[TOP_SERIES_COUNT] = {
			[TOP_REQUESTS] =
				growth(now.requests, last->requests) / seconds,
			[TOP_RECOVERY] = now.recoveries > last->recoveries
						 ? recovery_us
						 : 0,
			[TOP_CRASHES] = growth(now.crashes, last->crashes),
			[TOP_BYTES_IN] =
				growth(now.bytes_in, last->bytes_in) / seconds,
			[TOP_BYTES_OUT] =
				growth(now.bytes_out, last->bytes_out) /
				seconds,
		};

		for (int i = 0; i < TOP_SERIES_COUNT; i++)
			h->values[i][at] = values[i];
		h->count++;
	}
	h->last = now;
}

/* `age` samples ago; -1: not that old. */
static double value_at(
	const struct top_history *h, enum top_series which, unsigned age)
{
	if (age >= h->count || age >= TOP_SAMPLE_COUNT)
		return -1;
	return h->values[which][(h->count - 1 - age) % TOP_SAMPLE_COUNT];
}

/* ---- lines ---- */

void top_sparks(const struct top_history *h, enum top_series which, int width,
	bool ascii, FILE *out)
{
	static const char *const bars[2][9] = {
		{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"},
		{" ", ".", ":", "-", "=", "+", "*", "#", "@"},
	};
	double highest = 0;

	for (int age = 0; age < width; age++)
		highest = fmax(highest, value_at(h, which, (unsigned)age));
	for (int age = width - 1; age >= 0; age--) {
		double value = value_at(h, which, (unsigned)age);
		int level = value > 0 ? (int)ceil(value / highest * 8) : 0;

		fputs(bars[ascii][level], out);
	}
}

void top_series_lines(
	const struct top_history *h, int columns, bool ascii, FILE *out)
{
	int width = columns - LABEL_COLUMNS;

	for (enum top_series i = 0; i < TOP_SERIES_COUNT; i++) {
		double value = value_at(h, i, 0);

		fprintf(out, "  %-11s ", series[i].name);
		series[i].put(out, value > 0 ? value : 0);
		fputs("  ", out);
		if (width > 0)
			top_sparks(h, i,
				width < TOP_SAMPLE_COUNT ? width
							 : TOP_SAMPLE_COUNT,
				ascii, out);
		putc('\n', out);
	}
}
