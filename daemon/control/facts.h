/* SPDX-License-Identifier: MIT */
/* facts.h -- the numbers of the status, each once. See facts.c. */
#ifndef FACTS_H
#define FACTS_H

#include "report.h"

enum fact_kind {
	FACT_GAUGE,
	FACT_COUNTER, /* never shrinks while the daemon runs */
	FACT_NAME,    /* says which, not how many */
	FACT_PID,     /* 0: there is no such process */
	FACT_KIND_COUNT
};

struct fact {
	const char *key; /* in JSON; its end is the unit */
	enum fact_kind kind;
	/* A field of the status segment, or what this returns. */
	size_t offset, bytes;
	uint64_t (*get)(const struct report *r);
	const char *help;
};

/* A standby says about once a second that it lives. */
#define STANDBY_SILENT_MS 2500

/* A standby has made itself ready and has not taken over; it may be stopped. */
bool fact_standby_ready(const struct rf_status_shm *st);
int64_t fact_standby_silence_ms(const struct rf_status_shm *st);

extern const struct fact facts[];
extern const int fact_count;

uint64_t fact_value(const struct fact *fact, const struct report *r);

/* Of enum rf_rung, in snake case. */
extern const char *const fact_rung_names[RF_RUNG_COUNT];

#endif
