/* SPDX-License-Identifier: MIT */
/* machine_row.h -- the rows of machine.c's table, and what they say it with. */
#ifndef MACHINE_ROW_H
#define MACHINE_ROW_H

#include "machine.h"

struct machine_row {
	const char *name;
	void (*probe)(const struct machine_asked *a, struct machine_finding *f);
	bool needed; /* without it no arena is made */
};

/* machine_memory.c */
extern const struct machine_row machine_memory_rows[];
extern const int machine_memory_row_count;

/* machine_confine.c */
extern const struct machine_row machine_confine_rows[];
extern const int machine_confine_row_count;

static inline const struct conf *machine_conf(const struct machine_asked *a)
{
	return a->service->conf;
}

/* Before the paths of /proc and /sys: tests have some of their own. */
extern const char *machine_root;

void machine_found(struct machine_finding *f, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void machine_fix(struct machine_finding *f, enum machine_verdict verdict,
	const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The first line of a small file; false when there is none. */
bool machine_line(const char *path, char *text, int bytes);

/* Finds the directory itself, or the nearest one above it that exists. False,
 * and errno: nothing can be made there. */
bool machine_can_have(const char *dir, char path[CONF_TEXT_MAX + 1]);

#endif
