/* SPDX-License-Identifier: MIT */
/* records.h -- what the server keeps about itself: kv_root.records. */
#ifndef KV_RECORDS_H
#define KV_RECORDS_H

#include "worker/kv/keys/root.h"
#include <refork/history.h>
#include <refork/map.h>

#define KV_ERRORS_MAX	    32
#define KV_ERROR_NAME_BYTES 24

struct kv_tally_row {
	uint64_t calls, us, failed, rejected;
};

/* Counted without the log: one store each, and a death or an abort takes
 * nothing back. */
struct kv_tally {
	struct kv_tally_row rows[KV_ROWS_MAX]; /* by kv_table_index() */
	struct {
		char name[KV_ERROR_NAME_BYTES]; /* "WRONGTYPE"; "": free */
		uint64_t count;
	} errors[KV_ERRORS_MAX];
	uint64_t memory_peak_bytes;
	uint64_t empty_bytes; /* of memory in use when there was no key */
};

#define KV_LATENCY_SAMPLES 160

enum kv_latency_kind {
	KV_LATENCY_COMMAND,
	KV_LATENCY_FAST_COMMAND,
	KV_LATENCY_KIND_COUNT
};

/* The seconds in which something was slow; the last 160 of them. */
struct kv_latency_event {
	uint64_t count; /* ever; the n-th stands in samples[n % 160] */
	uint64_t max_ms;
	struct {
		int64_t at_s;
		uint64_t ms;
	} samples[KV_LATENCY_SAMPLES];
};

/* Under the log, but for what `tally` points to. */
struct kv_records {
	struct kv_tally *tally;
	struct rf_map kept; /* CONFIG SET: option -> value, where it has no
			     * field in kv_settings */
	struct rf_history slowlog;
	char run_id[48]; /* 40 digits */
	struct kv_latency_event latency[KV_LATENCY_KIND_COUNT];
};

static inline struct kv_records *kv_records(void)
{
	return kv_root->records;
}

/* A command took so long (slowlog.c, latency.c). Only called when it is longer
 * than the threshold. */
void kv_slowlog_add(const struct kv_call *call, uint64_t us);
void kv_latency_add(const struct kv_call *call, uint64_t us);

#endif
