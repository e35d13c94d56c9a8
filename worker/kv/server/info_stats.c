/* SPDX-License-Identifier: MIT */
/* info_stats.c -- INFO on what has been done, and on the databases. */
#include "worker/kv/client/client.h"
#include "worker/kv/server/info.h"

/* Commands a second since the last time somebody asked, or since long before
 * that if it was just now. Of this process: not kept. */
static uint64_t commands_per_second(const struct kv_info *info)
{
	static struct {
		int64_t at_ms;
		uint64_t commands, rate;
	} last;
	uint64_t commands = kv_counter(KV_COUNT_COMMANDS);
	int64_t passed_ms = info->now_ms - last.at_ms;

	if (last.at_ms == 0 || commands < last.commands) {
		last.rate = 0;
	} else if (passed_ms < 100) {
		return last.rate;
	} else {
		last.rate =
			(commands - last.commands) * 1000 / (uint64_t)passed_ms;
	}
	last.at_ms = info->now_ms;
	last.commands = commands;
	return last.rate;
}

void kv_info_stats(struct kv_info *info)
{
	const struct rf_stats *stats = &info->stats;

	kv_info_number(
		info, "total_connections_received", stats->clients_total);
	kv_info_number(info, "total_commands_processed",
		kv_counter(KV_COUNT_COMMANDS));
	kv_info_number(
		info, "instantaneous_ops_per_sec", commands_per_second(info));
	kv_info_number(info, "sync_full", 0);
	kv_info_number(info, "sync_partial_ok", 0);
	kv_info_number(info, "sync_partial_err", 0);
	kv_info_number(info, "expired_keys", kv_counter(KV_COUNT_EXPIRED));
	kv_info_number(info, "evicted_keys", kv_counter(KV_COUNT_EVICTED));
	kv_info_number(info, "evicted_clients", 0);
	kv_info_number(info, "keyspace_hits", kv_counter(KV_COUNT_HITS));
	kv_info_number(info, "keyspace_misses", kv_counter(KV_COUNT_MISSES));
	kv_info_number(info, "pubsub_channels", kv_channel_count(KV_CHANNEL));
	kv_info_number(info, "pubsub_patterns", kv_channel_count(KV_PATTERN));
	kv_info_number(
		info, "pubsubshard_channels", kv_channel_count(KV_SHARD));
	kv_info_number(info, "migrate_cached_sockets", 0);
	kv_info_number(info, "slave_expires_tracked_keys", 0);
	kv_info_number(info, "active_defrag_hits", 0);
	kv_info_number(info, "active_defrag_misses", 0);
	kv_info_number(info, "active_defrag_key_hits", 0);
	kv_info_number(info, "active_defrag_key_misses", 0);
	kv_info_number(info, "tracking_total_keys", 0);
	kv_info_number(info, "tracking_total_items", 0);
	kv_info_number(info, "tracking_total_prefixes", 0);
	kv_info_number(info, "unexpected_error_replies", 0);
	kv_info_number(
		info, "total_error_replies", kv_counter(KV_COUNT_ERRORS));
}

static void print_row(struct kv_info *info, const struct kv_command *command)
{
	const struct kv_tally_row *row =
		&kv_records()->tally->rows[kv_table_index(command)];

	if (row->calls == 0 && row->rejected == 0)
		return;
	kv_info_print(info,
		"cmdstat_%s:calls=%llu,usec=%llu,usec_per_call=%.2f,"
		"rejected_calls=%llu,failed_calls=%llu\r\n",
		command->name, (unsigned long long)row->calls,
		(unsigned long long)row->us,
		row->calls > 0 ? (double)row->us / (double)row->calls : 0.0,
		(unsigned long long)row->rejected,
		(unsigned long long)row->failed);
}

void kv_info_commandstats(struct kv_info *info)
{
	for (size_t i = 0; i < kv_command_count; i++)
		print_row(info, &kv_commands[i]);
	for (size_t i = 0; i < kv_subcommand_count; i++)
		print_row(info, &kv_subcommands[i]);
}

void kv_info_errorstats(struct kv_info *info)
{
	const struct kv_tally *tally = kv_records()->tally;

	for (size_t i = 0; i < KV_ERRORS_MAX; i++)
		if (tally->errors[i].count > 0)
			kv_info_print(info, "errorstat_%s:count=%llu\r\n",
				tally->errors[i].name,
				(unsigned long long)tally->errors[i].count);
}

void kv_info_keyspace(struct kv_info *info)
{
	for (uint32_t db = 0; db < kv_database_count(); db++) {
		const struct kv_keys *keys = kv_database(db);
		uint64_t count = rf_dict_count(&keys->dict);

		if (count > 0)
			kv_info_print(info,
				"db%u:keys=%llu,expires=%llu,avg_ttl=%lld\r\n",
				db, (unsigned long long)count,
				(unsigned long long)keys->timers.count,
				(long long)rf_timers_average_ms(
					&keys->timers, info->now_ms));
	}
}
