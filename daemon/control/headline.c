/* SPDX-License-Identifier: MIT */
/* headline.c -- the service in one line.
 *
 * It is read at a glance and sent when it changes: ages have one unit, so that
 * they change the less often the older they are.
 */
#include "headline.h"

#include "daemon/figures.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void put_counted(
	FILE *out, uint64_t n, const char *one, const char *many)
{
	fputs(", ", out);
	put_count(out, n);
	fprintf(out, " %s", n == 1 ? one : many);
}

static void put_ago(FILE *out, int64_t ms)
{
	static const struct {
		int64_t s;
		const char *name;
	} units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
	int64_t s = ms / 1000;
	size_t i = 0;

	while (i < 3 && s < 2 * units[i].s)
		i++;
	fprintf(out, " %" PRId64 " %s ago", s / units[i].s, units[i].name);
}

static void put_last(FILE *out, const struct headline *h)
{
	const char *name = sigabbrev_np(h->last_signal);

	if (h->last_signal && name)
		fprintf(out, ", last SIG%s", name);
	else if (h->last_signal)
		fprintf(out, ", last signal %d", h->last_signal);
	else if (h->last_end)
		fprintf(out, ", last %s", h->last_end);
	else
		return;
	if (h->last_ago_ms >= 0)
		put_ago(out, h->last_ago_ms);
}

void headline_write(const struct headline *h, char text[HEADLINE_BYTES])
{
	FILE *out = fmemopen(text, HEADLINE_BYTES, "w");

	*text = 0;
	if (!out)
		return;
	fprintf(out, "%s, generation %" PRIu64, h->state, h->generation);
	put_counted(out, h->clients, "client", "clients");
	if (h->requests_per_s >= .5) {
		fputs(", ", out);
		put_rate(out, h->requests_per_s);
		fputs(" requests/s", out);
	}
	if (h->crashes) {
		put_counted(out, h->crashes, "crash", "crashes");
		put_last(out, h);
	}
	fclose(out);
	text[HEADLINE_BYTES - 1] = 0;
}
