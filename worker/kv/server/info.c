/* SPDX-License-Identifier: MIT */
/* info.c -- INFO: redis's sections and names, as far as they are true here. */
#include "worker/kv/server/info.h"
#include <stdarg.h>
#include <stdio.h>

void kv_info_print(struct kv_info *info, const char *format, ...)
{
	size_t room = sizeof info->text - info->bytes;
	va_list args;
	int bytes;

	va_start(args, format);
	bytes = vsnprintf(info->text + info->bytes, room, format, args);
	va_end(args);
	RF_CHECK(bytes >= 0 && (size_t)bytes < room);
	info->bytes += (size_t)bytes;
}

void kv_info_number(struct kv_info *info, const char *name, uint64_t value)
{
	kv_info_print(info, "%s:%llu\r\n", name, (unsigned long long)value);
}

void kv_info_bytes(struct kv_info *info, const char *name, uint64_t bytes)
{
	static const char units[] = "BKMGT";
	double value = (double)bytes;
	int unit = 0;

	while (value >= 1024 && units[unit + 1] != '\0') {
		value /= 1024;
		unit++;
	}
	kv_info_number(info, name, bytes);
	kv_info_print(info, "%s_human:%.*f%c\r\n", name, unit > 0 ? 2 : 0,
		value, units[unit]);
}

static void nothing(struct kv_info *info)
{
	(void)info;
}

/* Which of these names take a section. */
enum { DEFAULT = 1, ALL = 2, EVERYTHING = 4 };

static const struct section {
	const char *name;
	void (*print)(struct kv_info *info);
	int sets;
} sections[] = {
	{"Server", kv_info_server, DEFAULT | ALL | EVERYTHING},
	{"Clients", kv_info_clients, DEFAULT | ALL | EVERYTHING},
	{"Memory", kv_info_memory, DEFAULT | ALL | EVERYTHING},
	{"Persistence", kv_info_persistence, DEFAULT | ALL | EVERYTHING},
	{"Stats", kv_info_stats, DEFAULT | ALL | EVERYTHING},
	{"Replication", kv_info_replication, DEFAULT | ALL | EVERYTHING},
	{"CPU", kv_info_cpu, DEFAULT | ALL | EVERYTHING},
	{"Modules", nothing, DEFAULT | EVERYTHING},
	{"Commandstats", kv_info_commandstats, ALL | EVERYTHING},
	{"Errorstats", kv_info_errorstats, DEFAULT | ALL | EVERYTHING},
	{"Cluster", kv_info_cluster, DEFAULT | ALL | EVERYTHING},
	{"Keyspace", kv_info_keyspace, DEFAULT | ALL | EVERYTHING},
	{"Refork", kv_info_refork, DEFAULT | ALL | EVERYTHING},
};

static bool names(struct rf_bytes arg, const struct section *section)
{
	return kv_is(arg, section->name) ||
	       (kv_is(arg, "default") && section->sets & DEFAULT) ||
	       (kv_is(arg, "all") && section->sets & ALL) ||
	       (kv_is(arg, "everything") && section->sets & EVERYTHING);
}

static bool wanted(const struct kv_call *call, const struct section *section)
{
	for (uint32_t i = 1; i < call->argc; i++)
		if (names(call->argv[i], section))
			return true;
	return call->argc == 1 && section->sets & DEFAULT;
}

void kv_cmd_info(struct kv_call *call)
{
	static struct kv_info info;

	info.bytes = 0;
	info.now_ms = call->now_ms;
	rf_stats(&info.stats);
	for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
		if (!wanted(call, &sections[i]))
			continue;
		kv_info_print(&info, "%s# %s\r\n", info.bytes > 0 ? "\r\n" : "",
			sections[i].name);
		sections[i].print(&info);
	}
	rf_resp_verbatim(call->reply, call->proto, info.text, info.bytes);
}
