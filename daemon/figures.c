/* SPDX-License-Identifier: MIT */
/* figures.c -- numbers as people read them. */
#include "figures.h"

#include <inttypes.h>

void put_count(FILE *out, uint64_t n)
{
	char digits[24];
	int count = snprintf(digits, sizeof(digits), "%" PRIu64, n);

	for (int i = 0; i < count; i++) {
		if (i && (count - i) % 3 == 0)
			putc(',', out);
		putc(digits[i], out);
	}
}

void put_bytes(FILE *out, uint64_t bytes)
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

/* The two largest units. */
void put_duration(FILE *out, uint64_t s)
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

void put_rate(FILE *out, double per_second)
{
	static const char *const units[] = {"", "k", "M", "G"};
	size_t unit = 0;

	while (per_second >= 1000 && unit < 3) {
		per_second /= 1000;
		unit++;
	}
	fprintf(out, unit ? "%.1f%s" : "%.0f%s", per_second, units[unit]);
}

void put_ms(FILE *out, int64_t us)
{
	fprintf(out, "%.2f ms", (double)us / 1000);
}
