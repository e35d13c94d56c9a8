/* SPDX-License-Identifier: MIT */
/* info_memory.c -- INFO on memory: that of the arena, where all data is. */
#include "worker/kv/server/config.h"
#include "worker/kv/server/info.h"
#include "worker/kv/server/memory.h"
#include <sys/sysinfo.h>

static void percent(
	struct kv_info *info, const char *name, uint64_t part, uint64_t whole)
{
	kv_info_print(info, "%s:%.2f%%\r\n", name,
		whole > 0 ? 100.0 * (double)part / (double)whole : 0.0);
}

static void ratio(
	struct kv_info *info, const char *name, uint64_t part, uint64_t whole)
{
	kv_info_print(info, "%s:%.2f\r\n", name,
		whole > 0 ? (double)part / (double)whole : 0.0);
}

static uint64_t system_bytes(void)
{
	struct sysinfo system;

	if (sysinfo(&system) != 0)
		return 0;
	return (uint64_t)system.totalram * system.mem_unit;
}

void kv_info_memory(struct kv_info *info)
{
	struct kv_memory memory;
	char policy[KV_OPTION_TEXT_MAX];

	kv_memory_measure(&memory);
	kv_info_bytes(info, "used_memory", memory.used_bytes);
	kv_info_bytes(info, "used_memory_rss", memory.resident_bytes);
	kv_info_bytes(info, "used_memory_peak", memory.peak_bytes);
	percent(info, "used_memory_peak_perc", memory.used_bytes,
		memory.peak_bytes);
	kv_info_number(info, "used_memory_overhead", memory.overhead_bytes);
	kv_info_number(info, "used_memory_startup", memory.startup_bytes);
	kv_info_number(info, "used_memory_dataset", memory.dataset_bytes);
	percent(info, "used_memory_dataset_perc", memory.dataset_bytes,
		memory.used_bytes - memory.startup_bytes);
	kv_info_number(info, "allocator_allocated", memory.used_bytes);
	kv_info_number(info, "allocator_active", memory.active_bytes);
	kv_info_number(info, "allocator_resident", memory.size_bytes);
	kv_info_bytes(info, "total_system_memory", system_bytes());
	kv_info_bytes(info, "used_memory_lua", 0);
	kv_info_bytes(info, "used_memory_scripts", 0);
	kv_info_number(info, "number_of_cached_scripts", 0);
	kv_info_number(info, "number_of_functions", 0);
	kv_info_number(info, "number_of_libraries", 0);
	kv_info_bytes(info, "maxmemory", memory.max_bytes);
	kv_option_show(kv_option_find((struct rf_bytes){
			       "maxmemory-policy", strlen("maxmemory-policy")}),
		policy);
	kv_info_print(info, "maxmemory_policy:%s\r\n", policy);
	ratio(info, "allocator_frag_ratio", memory.active_bytes,
		memory.used_bytes);
	kv_info_number(info, "allocator_frag_bytes",
		memory.active_bytes - memory.used_bytes);
	ratio(info, "mem_fragmentation_ratio", memory.resident_bytes,
		memory.used_bytes);
	kv_info_print(info, "mem_fragmentation_bytes:%lld\r\n",
		(long long)memory.resident_bytes -
			(long long)memory.used_bytes);
	kv_info_number(info, "mem_not_counted_for_evict", 0);
	kv_info_number(info, "lazyfree_pending_objects", kv_dead_count());
	kv_info_number(info, "mem_replication_backlog", 0);
	kv_info_number(info, "mem_clients_slaves", 0);
	kv_info_number(info, "mem_cluster_links", 0);
	kv_info_number(info, "mem_aof_buffer", 0);
	kv_info_print(info, "mem_allocator:refork\r\n");
	kv_info_number(info, "active_defrag_running", 0);
}
