/* SPDX-License-Identifier: MIT */
/* info_server.c -- INFO on the server, its clients and its processes. */
#include "worker/kv/client/client.h"
#include "worker/kv/keys/access.h"
#include "worker/kv/server/config.h"
#include "worker/kv/server/info.h"
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

/* A line with what CONFIG GET shows. */
static void option(
	struct kv_info *info, const char *name, const char *option_name)
{
	char text[KV_OPTION_TEXT_MAX];

	kv_option_show(kv_option_find((struct rf_bytes){
			       option_name, strlen(option_name)}),
		text);
	kv_info_print(info, "%s:%s\r\n", name, text);
}

void kv_info_server(struct kv_info *info)
{
	int64_t up_ms = info->now_ms - info->stats.started_at_ms;
	struct utsname system;

	uname(&system);
	kv_info_print(info,
		"redis_version:%s\r\n"
		"redis_git_sha1:00000000\r\n"
		"redis_git_dirty:0\r\n"
		"redis_mode:standalone\r\n"
		"os:%s %s %s\r\n",
		KV_REDIS_VERSION, system.sysname, system.release,
		system.machine);
	kv_info_number(info, "arch_bits", 8 * sizeof(void *));
	kv_info_print(info,
		"multiplexing_api:epoll\r\n"
		"gcc_version:%d.%d.%d\r\n",
		__GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
	kv_info_number(
		info, "process_id", (uint64_t)info->stats.supervisor_pid);
	kv_info_print(info, "run_id:%s\r\n", kv_records()->run_id);
	option(info, "tcp_port", "port");
	kv_info_number(info, "server_time_usec", (uint64_t)info->now_ms * 1000);
	kv_info_number(info, "uptime_in_seconds", (uint64_t)up_ms / 1000);
	kv_info_number(info, "uptime_in_days", (uint64_t)up_ms / 86400000);
	kv_info_number(info, "hz", 10); /* about every 100 ms: worker.h */
	option(info, "configured_hz", "hz");
	kv_info_number(info, "lru_clock", kv_access_now(info->now_ms));
	kv_info_number(info, "io_threads_active", 0);
}

void kv_info_clients(struct kv_info *info)
{
	kv_info_number(info, "connected_clients", info->stats.clients);
	kv_info_number(info, "cluster_connections", 0);
	option(info, "maxclients", "maxclients");
	kv_info_number(info, "blocked_clients", kv_blocked_count());
	kv_info_number(info, "tracking_clients", 0);
}

void kv_info_persistence(struct kv_info *info)
{
	kv_info_print(info,
		"loading:0\r\n"
		"async_loading:0\r\n"
		"rdb_changes_since_last_save:%llu\r\n"
		"rdb_bgsave_in_progress:0\r\n"
		"rdb_last_save_time:%lld\r\n"
		"rdb_last_bgsave_status:ok\r\n"
		"rdb_last_bgsave_time_sec:-1\r\n"
		"rdb_current_bgsave_time_sec:-1\r\n"
		"rdb_saves:0\r\n"
		"aof_enabled:0\r\n"
		"aof_rewrite_in_progress:0\r\n"
		"aof_rewrite_scheduled:0\r\n"
		"aof_last_rewrite_time_sec:-1\r\n"
		"aof_current_rewrite_time_sec:-1\r\n"
		"aof_last_bgrewrite_status:ok\r\n"
		"aof_last_write_status:ok\r\n",
		(unsigned long long)kv_counter(KV_COUNT_CHANGES),
		(long long)info->now_ms / 1000);
}

void kv_info_replication(struct kv_info *info)
{
	kv_info_print(info,
		"role:master\r\n"
		"connected_slaves:0\r\n"
		"master_failover_state:no-failover\r\n"
		"master_replid:%s\r\n"
		"master_replid2:%040d\r\n"
		"master_repl_offset:0\r\n"
		"second_repl_offset:-1\r\n"
		"repl_backlog_active:0\r\n"
		"repl_backlog_size:0\r\n"
		"repl_backlog_first_byte_offset:0\r\n"
		"repl_backlog_histlen:0\r\n",
		kv_records()->run_id, 0);
}

static void seconds(
	struct kv_info *info, const char *name, const struct timeval *time)
{
	kv_info_print(info, "%s:%lld.%06lld\r\n", name, (long long)time->tv_sec,
		(long long)time->tv_usec);
}

/* Of the business process that answers, which is all main thread. */
void kv_info_cpu(struct kv_info *info)
{
	struct rusage self, children;

	getrusage(RUSAGE_SELF, &self);
	getrusage(RUSAGE_CHILDREN, &children);
	seconds(info, "used_cpu_sys", &self.ru_stime);
	seconds(info, "used_cpu_user", &self.ru_utime);
	seconds(info, "used_cpu_sys_children", &children.ru_stime);
	seconds(info, "used_cpu_user_children", &children.ru_utime);
	seconds(info, "used_cpu_sys_main_thread", &self.ru_stime);
	seconds(info, "used_cpu_user_main_thread", &self.ru_utime);
}

void kv_info_cluster(struct kv_info *info)
{
	kv_info_number(info, "cluster_enabled", 0);
}

void kv_info_refork(struct kv_info *info)
{
	const struct rf_stats *stats = &info->stats;

	kv_info_print(info, "service:%s\r\n", kv_env->service);
	kv_info_print(info, "worker_version:%s\r\n", KV_VERSION);
	kv_info_number(info, "generation", stats->generation);
	kv_info_number(info, "crashes", stats->crashes);
	kv_info_number(info, "quarantined", stats->quarantined);
	kv_info_number(info, "supervisor_pid", (uint64_t)stats->supervisor_pid);
	kv_info_number(info, "network_pid", (uint64_t)stats->network_pid);
	kv_info_number(info, "business_pid", (uint64_t)getpid());
	kv_info_number(info, "arena_used_bytes", stats->arena_used_bytes);
	kv_info_number(info, "arena_size_bytes", stats->arena_size_bytes);
	kv_info_number(info, "arena_max_bytes", stats->arena_max_bytes);
}
