/* SPDX-License-Identifier: MIT */
/* memory.c -- where the memory is: MEMORY. */
#include "worker/kv/server/memory.h"
#include <stdio.h>
#include <unistd.h>

static uint64_t resident_bytes(void)
{
	unsigned long long size, resident = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (file == NULL)
		return 0;
	if (fscanf(file, "%llu %llu", &size, &resident) != 2)
		resident = 0;
	fclose(file);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

void kv_memory_measure(struct kv_memory *memory)
{
	struct kv_tally *tally = kv_records()->tally;
	struct rf_heap_stats heap;

	rf_heap_stats(&heap);
	rf_tx_unlogged(tally, sizeof *tally);
	if (heap.used_bytes > tally->memory_peak_bytes)
		tally->memory_peak_bytes = heap.used_bytes;
	*memory = (struct kv_memory){
		.used_bytes = heap.used_bytes,
		.active_bytes = heap.size_bytes - heap.free_run_bytes,
		.size_bytes = heap.size_bytes,
		.max_bytes = kv_settings->maxmemory_bytes,
		.resident_bytes = resident_bytes(),
		.peak_bytes = tally->memory_peak_bytes,
	};
	if (memory->max_bytes == 0)
		memory->max_bytes = heap.max_bytes;
	for (uint32_t db = 0; db < kv_database_count(); db++) {
		const struct rf_dict *dict = &kv_database(db)->dict;

		memory->keys += rf_dict_count(dict);
		memory->overhead_bytes += dict->bucket_count * sizeof(void *);
	}
	if (memory->keys == 0)
		tally->empty_bytes = memory->used_bytes;
	memory->startup_bytes = tally->empty_bytes;
	memory->overhead_bytes += memory->startup_bytes;
	if (memory->overhead_bytes > memory->used_bytes)
		memory->overhead_bytes = memory->used_bytes;
	memory->dataset_bytes = memory->used_bytes - memory->overhead_bytes;
}

/* ---- MEMORY USAGE ---- */

/* What its parts take is known: SAMPLES changes nothing. */
static bool samples_given(struct kv_call *call)
{
	int64_t samples;

	for (uint32_t i = 3; i < call->argc; i += 2) {
		if (!kv_is(call->argv[i], "SAMPLES") || i + 1 == call->argc) {
			kv_reply_syntax(call);
			return false;
		}
		if (!kv_arg_range(
			    call, i + 1, INT64_MIN, INT64_MAX, &samples, NULL))
			return false;
		if (samples < 0) {
			kv_reply_syntax(call);
			return false;
		}
	}
	return true;
}

void kv_cmd_memory_usage(struct kv_call *call)
{
	struct rf_dict_entry *entry;
	struct kv_timer *timer;
	size_t bytes;

	if (!samples_given(call))
		return;
	entry = kv_live(call, call->argv[2]);
	if (entry == NULL) {
		rf_resp_null(call->reply, call->proto);
		return;
	}
	timer = kv_timer_of(entry);
	bytes = rf_usable(entry) + kv_value_memory(kv_value_of(entry));
	if (timer != NULL)
		bytes += rf_usable(timer);
	rf_resp_int(call->reply, (int64_t)bytes);
}

/* ---- MEMORY STATS ---- */

static double per(uint64_t part, uint64_t whole)
{
	return whole > 0 ? (double)part / (double)whole : 0;
}

static void reply_number(struct kv_call *call, const char *name, uint64_t value)
{
	rf_resp_bulk_text(call->reply, name);
	rf_resp_int(call->reply, (int64_t)value);
}

static void reply_double(struct kv_call *call, const char *name, double value)
{
	rf_resp_bulk_text(call->reply, name);
	rf_resp_double(call->reply, call->proto, value);
}

void kv_cmd_memory_stats(struct kv_call *call)
{
	struct kv_memory m;
	const struct {
		const char *name;
		const uint64_t *value;
	} numbers[] = {
		{"peak.allocated", &m.peak_bytes},
		{"total.allocated", &m.used_bytes},
		{"startup.allocated", &m.startup_bytes},
		{"overhead.total", &m.overhead_bytes},
		{"keys.count", &m.keys},
		{"dataset.bytes", &m.dataset_bytes},
		{"allocator.allocated", &m.used_bytes},
		{"allocator.active", &m.active_bytes},
		{"allocator.resident", &m.size_bytes},
	};
	static const char *const zeros[] = {"replication.backlog",
		"clients.slaves", "cluster.links", "aof.buffer", "lua.caches",
		"functions.caches"};
	size_t zero_count = sizeof zeros / sizeof *zeros;
	size_t count = sizeof numbers / sizeof *numbers;

	kv_memory_measure(&m);
	rf_resp_map(call->reply, call->proto, zero_count + count + 6);
	for (size_t i = 0; i < count; i++)
		reply_number(call, numbers[i].name, *numbers[i].value);
	for (size_t i = 0; i < zero_count; i++)
		reply_number(call, zeros[i], 0);
	reply_number(call, "keys.bytes-per-key",
		m.keys > 0 ? (m.used_bytes - m.startup_bytes) / m.keys : 0);
	reply_double(call, "dataset.percentage",
		100 * per(m.dataset_bytes, m.used_bytes - m.startup_bytes));
	reply_double(
		call, "peak.percentage", 100 * per(m.used_bytes, m.peak_bytes));
	reply_double(call, "allocator-fragmentation.ratio",
		per(m.active_bytes, m.used_bytes));
	reply_number(call, "allocator-fragmentation.bytes",
		m.active_bytes - m.used_bytes);
	reply_double(
		call, "fragmentation", per(m.resident_bytes, m.used_bytes));
}

/* ---- the rest ---- */

void kv_cmd_memory_doctor(struct kv_call *call)
{
	char text[512];
	struct kv_memory m;
	const char *finding = "nothing to complain about";

	kv_memory_measure(&m);
	if (m.used_bytes > m.max_bytes / 10 * 9)
		finding = "nearly full: writes will soon be refused, or keys "
			  "evicted, as maxmemory-policy says";
	else if (m.active_bytes > m.used_bytes / 2 * 3 &&
		 m.active_bytes - m.used_bytes > (8 << 20))
		finding = "much of what is free lies between blocks that are "
			  "in use; it will be used again by new blocks of the "
			  "same sizes";
	else if (m.used_bytes < m.peak_bytes / 2 && m.peak_bytes > (64 << 20))
		finding = "once more than twice as much was used; the arena "
			  "keeps the pages for when that comes again";
	snprintf(text, sizeof text, "%llu of at most %llu bytes in use: %s.\n",
		(unsigned long long)m.used_bytes,
		(unsigned long long)m.max_bytes, finding);
	rf_resp_verbatim(call->reply, call->proto, text, strlen(text));
}

/* Free pages are in no cache that could be emptied. */
void kv_cmd_memory_purge(struct kv_call *call)
{
	kv_reply_ok(call);
}

void kv_cmd_memory_help(struct kv_call *call)
{
	kv_help(call);
}
