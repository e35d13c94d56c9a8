/* SPDX-License-Identifier: MIT */
/* server.c -- commands on the server as a whole: FLUSHALL, TIME, INFO. */
#include "kv.h"
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

void kv_cmd_flushall(struct kv_call *call)
{
	if (call->argc > 2 ||
		(call->argc == 2 && !kv_is(call->argv[1], "SYNC") &&
			!kv_is(call->argv[1], "ASYNC"))) {
		rf_resp_error(call->reply, KV_ERR_SYNTAX);
		return;
	}
	kv_flush();
	rf_resp_simple(call->reply, "OK");
}

/* There is one database. */
void kv_cmd_flushdb(struct kv_call *call)
{
	kv_cmd_flushall(call);
}

void kv_cmd_time(struct kv_call *call)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	rf_resp_array(call->reply, 2);
	rf_resp_bulk_int(call->reply, now.tv_sec);
	rf_resp_bulk_int(call->reply, now.tv_nsec / 1000);
}

/* ---- INFO ---- */

struct page {
	char text[8192];
	size_t bytes;
	struct rf_stats stats;
	int64_t now_ms;
};

__attribute__((format(printf, 2, 3))) static void print(
	struct page *page, const char *format, ...)
{
	size_t room = sizeof page->text - page->bytes;
	va_list args;
	int bytes;

	va_start(args, format);
	bytes = vsnprintf(page->text + page->bytes, room, format, args);
	va_end(args);
	RF_CHECK(bytes >= 0 && (size_t)bytes < room);
	page->bytes += (size_t)bytes;
}

static void number(struct page *page, const char *name, uint64_t value)
{
	print(page, "%s:%llu\r\n", name, (unsigned long long)value);
}

/* "1.06M" */
static void human(struct page *page, const char *name, size_t bytes)
{
	static const char units[] = "BKMGT";
	double value = (double)bytes;
	int unit = 0;

	while (value >= 1024 && units[unit + 1] != '\0') {
		value /= 1024;
		unit++;
	}
	print(page, "%s:%.*f%c\r\n", name, unit > 0 ? 2 : 0, value,
		units[unit]);
}

static void info_server(struct page *page)
{
	int64_t up_ms = page->now_ms - page->stats.started_at_ms;

	print(page, "redis_version:%s\r\n", KV_REDIS_VERSION);
	print(page, "redis_mode:standalone\r\n");
	number(page, "arch_bits", 8 * sizeof(void *));
	number(page, "process_id", (uint64_t)page->stats.supervisor_pid);
	number(page, "server_time_usec", (uint64_t)page->now_ms * 1000);
	number(page, "uptime_in_seconds", (uint64_t)up_ms / 1000);
	number(page, "uptime_in_days", (uint64_t)up_ms / 86400000);
}

static void info_clients(struct page *page)
{
	const char *most = kv_env->setting("network.max_clients");

	number(page, "connected_clients", page->stats.clients);
	print(page, "maxclients:%s\r\n", most != NULL ? most : "0");
}

static void info_memory(struct page *page)
{
	const struct rf_stats *stats = &page->stats;

	number(page, "used_memory", stats->arena_used_bytes);
	human(page, "used_memory_human", stats->arena_used_bytes);
	number(page, "maxmemory", stats->arena_max_bytes);
	human(page, "maxmemory_human", stats->arena_max_bytes);
	print(page, "maxmemory_policy:noeviction\r\n");
	print(page, "mem_allocator:refork\r\n");
}

static void info_stats(struct page *page)
{
	number(page, "total_connections_received", page->stats.clients_total);
	number(page, "total_commands_processed", page->stats.requests);
	number(page, "expired_keys", kv_db->expired);
	number(page, "evicted_keys", 0);
}

static void info_keyspace(struct page *page)
{
	uint64_t count = rf_dict_count(&kv_db->keys->dict);

	if (count > 0)
		print(page, "db0:keys=%llu,expires=%llu,avg_ttl=0\r\n",
			(unsigned long long)count,
			(unsigned long long)kv_db->wheel.count);
}

static void info_refork(struct page *page)
{
	const struct rf_stats *stats = &page->stats;

	print(page, "service:%s\r\n", kv_env->service);
	print(page, "worker_version:%s\r\n", KV_VERSION);
	number(page, "generation", stats->generation);
	number(page, "crashes", stats->crashes);
	number(page, "quarantined", stats->quarantined);
	number(page, "supervisor_pid", (uint64_t)stats->supervisor_pid);
	number(page, "network_pid", (uint64_t)stats->network_pid);
	number(page, "business_pid", (uint64_t)getpid());
	number(page, "arena_used_bytes", stats->arena_used_bytes);
	number(page, "arena_size_bytes", stats->arena_size_bytes);
	number(page, "arena_max_bytes", stats->arena_max_bytes);
}

static const struct {
	const char *name;
	void (*print)(struct page *page);
} sections[] = {
	{"Server", info_server},
	{"Clients", info_clients},
	{"Memory", info_memory},
	{"Stats", info_stats},
	{"Keyspace", info_keyspace},
	{"Refork", info_refork},
};

static bool section_wanted(const struct kv_call *call, const char *name)
{
	for (uint32_t i = 1; i < call->argc; i++)
		if (kv_is(call->argv[i], name) ||
			kv_is(call->argv[i], "default") ||
			kv_is(call->argv[i], "all") ||
			kv_is(call->argv[i], "everything"))
			return true;
	return call->argc == 1;
}

void kv_cmd_info(struct kv_call *call)
{
	static struct page page;

	page.bytes = 0;
	page.now_ms = call->now_ms;
	rf_stats(&page.stats);
	for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
		if (!section_wanted(call, sections[i].name))
			continue;
		print(&page, "%s# %s\r\n", page.bytes > 0 ? "\r\n" : "",
			sections[i].name);
		sections[i].print(&page);
	}
	rf_resp_verbatim(call->reply, call->proto, page.text, page.bytes);
}
