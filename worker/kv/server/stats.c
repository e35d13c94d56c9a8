/* SPDX-License-Identifier: MIT */
/* stats.c -- counters: of the server, of each command, of each error.
 *
 * They stand in the arena, so they count on after a death, and are written
 * without the log: a plain add each. What a death may cost is the count of the
 * request in hand. A request that is rolled back and run again is counted
 * twice, which is what happened.
 */
#include "worker/kv/server/records.h"
#include "worker/kv/walk.h"
#include <stdio.h>
#include <sys/random.h>

void kv_count(enum kv_counter counter)
{
	rf_tx_unlogged(&kv_root->counters[counter], sizeof(uint64_t));
	kv_root->counters[counter]++;
}

uint64_t kv_counter(enum kv_counter counter)
{
	return kv_root->counters[counter];
}

/* To be written to. */
static struct kv_tally *the_tally(void)
{
	struct kv_tally *tally = kv_records()->tally;

	rf_tx_unlogged(tally, sizeof *tally);
	return tally;
}

static struct kv_tally_row *row_of(const struct kv_call *call)
{
	return &the_tally()->rows[kv_table_index(call->command)];
}

/* ---- errors ---- */

/* Those that have been counted: an error inside an EXEC is that of its command,
 * not of EXEC too. */
static uint64_t errors_counted;

static void count_error(void)
{
	struct kv_tally *tally = the_tally();
	const char *name = rf_resp_last_error();
	size_t i = 0;

	errors_counted = rf_resp_errors();
	kv_count(KV_COUNT_ERRORS);
	while (i < KV_ERRORS_MAX && tally->errors[i].name[0] != '\0' &&
		strcmp(tally->errors[i].name, name) != 0)
		i++;
	if (i == KV_ERRORS_MAX)
		return;
	if (tally->errors[i].name[0] == '\0') {
		size_t bytes = strnlen(name, KV_ERROR_NAME_BYTES - 1);

		memcpy(tally->errors[i].name, name, bytes);
	}
	tally->errors[i].count++;
}

void kv_stats_reject(const struct kv_call *call)
{
	if (call->command != NULL)
		row_of(call)->rejected++;
	count_error();
}

/* ---- commands ---- */

static inline void note_peak(void)
{
	struct kv_tally *tally = kv_records()->tally;
	uint64_t used = rf_heap_used();

	if (used > tally->memory_peak_bytes)
		tally->memory_peak_bytes = used;
}

void kv_stats_add(struct kv_call *call, uint64_t us, bool failed)
{
	struct kv_tally_row *row = row_of(call);

	row->calls++;
	row->us += us;
	if (call->command->flags & WRITE)
		note_peak();
	kv_count(KV_COUNT_COMMANDS);
	if (rf_unlikely(failed) && rf_resp_errors() != errors_counted) {
		row->failed++;
		count_error();
	}
	/* -1 is the largest of all. */
	if (rf_unlikely(us >= (uint64_t)kv_settings->slowlog_us) &&
		!(call->command->flags & SKIP_SLOWLOG))
		kv_slowlog_add(call, us);
	if (rf_unlikely(us >= 1000 * kv_settings->latency_ms) &&
		kv_settings->latency_ms > 0)
		kv_latency_add(call, us);
}

void kv_stats_reset(void)
{
	struct kv_tally *tally = kv_records()->tally;
	uint64_t empty_bytes = tally->empty_bytes;
	uint64_t changes = kv_counter(KV_COUNT_CHANGES);

	rf_tx_unlogged(kv_root->counters, sizeof kv_root->counters);
	memset(kv_root->counters, 0, sizeof kv_root->counters);
	kv_root->counters[KV_COUNT_CHANGES] = changes;
	memset(tally, 0, sizeof *tally);
	tally->empty_bytes = empty_bytes;
}

/* ---- creating, walking ---- */

void kv_server_create(void)
{
	struct kv_records *records;
	uint32_t id[5];

	kv_settings = &kv_root->settings;
	if (kv_root->records != NULL)
		return;
	records = rf_alloc(sizeof *records);
	if (records == NULL)
		return;
	records->tally = rf_alloc(sizeof *records->tally);
	if (getrandom(id, sizeof id, 0) != sizeof id)
		memset(id, 0, sizeof id);
	snprintf(records->run_id, sizeof records->run_id,
		"%08x%08x%08x%08x%08x", id[0], id[1], id[2], id[3], id[4]);
	RF_SET(kv_root->records, records);
	kv_settings_create();
}

void kv_server_walk(struct rf_walk *walk, const struct kv_root *root)
{
	const struct kv_records *records = root->records;
	struct rf_walk_scope scope;

	rf_walk_enter(walk, &scope, "records", NULL, 0);
	if (rf_walk_block(walk, records, sizeof *records, "records")) {
		rf_walk_block(walk, records->tally, sizeof *records->tally,
			"counters");
		rf_walk_map(walk, &records->kept);
		rf_walk_history(walk, &records->slowlog);
	}
	rf_walk_leave(walk);
}
