/* SPDX-License-Identifier: MIT */
/* config.c -- CONFIG GET: redis's names for what the ini says. */
#include "kv.h"
#include <stdio.h>
#include <stdlib.h>

struct unit {
	const char *name;
	uint64_t times;
};

static const struct unit size_units[] = {
	{"", 1},
	{"K", UINT64_C(1) << 10},
	{"KiB", UINT64_C(1) << 10},
	{"M", UINT64_C(1) << 20},
	{"MiB", UINT64_C(1) << 20},
	{"G", UINT64_C(1) << 30},
	{"GiB", UINT64_C(1) << 30},
	{NULL, 0},
};

static const struct unit time_units[] = {
	{"", 1000},
	{"ms", 1},
	{"s", 1000},
	{"min", 60 * 1000},
	{"h", 3600 * 1000},
	{NULL, 0},
};

/* "64M" -> 67108864. The ini has been checked: what does not parse is 0. */
static uint64_t in_units(const char *text, const struct unit *units)
{
	char *end;
	uint64_t number;

	if (text == NULL)
		return 0;
	number = strtoull(text, &end, 10);
	while (*end == ' ')
		end++;
	while (units->name != NULL && strcmp(units->name, end) != 0)
		units++;
	return number * units->times;
}

size_t kv_setting_bytes_max(void)
{
	size_t most = (size_t)512 << 20;
	size_t request =
		in_units(kv_env->setting("network.max_request"), size_units);

	return request > 0 && request < most ? request : most;
}

/* ---- how a value is shown ---- */

static void show_text(const char *setting, char *to, size_t bytes)
{
	snprintf(to, bytes, "%s", setting);
}

static void show_bytes(const char *setting, char *to, size_t bytes)
{
	snprintf(to, bytes, "%llu",
		(unsigned long long)in_units(setting, size_units));
}

static void show_seconds(const char *setting, char *to, size_t bytes)
{
	snprintf(to, bytes, "%llu",
		(unsigned long long)in_units(setting, time_units) / 1000);
}

static void show_string_bytes_max(const char *setting, char *to, size_t bytes)
{
	(void)setting;
	snprintf(to, bytes, "%zu", kv_string_bytes_max);
}

/* The port of the first TCP address of "127.0.0.1:6380 unix:/run/kv.sock". */
static void show_port(const char *setting, char *to, size_t bytes)
{
	snprintf(to, bytes, "0");
	while (*setting != '\0') {
		size_t word = strcspn(setting, " ");
		const char *colon = memrchr(setting, ':', word);

		if (colon != NULL && colon[1] >= '0' && colon[1] <= '9') {
			snprintf(to, bytes, "%d", atoi(colon + 1));
			return;
		}
		setting += word + strspn(setting + word, " ");
	}
}

static const struct {
	const char *name;
	const char *setting; /* NULL: `fixed` */
	const char *fixed;
	void (*show)(const char *setting, char *to, size_t bytes);
} options[] = {
	{"appendonly", NULL, "no", show_text},
	{"databases", NULL, "1", show_text},
	{"loglevel", "log.level", NULL, show_text},
	{"maxclients", "network.max_clients", NULL, show_text},
	{"maxmemory", "arena.max", NULL, show_bytes},
	{"maxmemory-policy", NULL, "noeviction", show_text},
	{"port", "network.listen", NULL, show_port},
	{"proto-max-bulk-len", NULL, "", show_string_bytes_max},
	{"save", NULL, "", show_text},
	{"tcp-backlog", "network.backlog", NULL, show_text},
	{"tcp-keepalive", "network.tcp_keepalive", NULL, show_seconds},
	{"timeout", "network.client_idle_timeout", NULL, show_seconds},
};

#define OPTION_COUNT (sizeof options / sizeof options[0])

static bool wanted(const struct kv_call *call, const char *name)
{
	for (uint32_t i = 2; i < call->argc; i++)
		if (kv_glob(call->argv[i], name, strlen(name), true))
			return true;
	return false;
}

void kv_cmd_config_get(struct kv_call *call)
{
	size_t count = 0;

	for (size_t i = 0; i < OPTION_COUNT; i++)
		count += wanted(call, options[i].name);
	rf_resp_map(call->reply, call->proto, count);
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const char *setting = options[i].fixed;
		char text[256];

		if (!wanted(call, options[i].name))
			continue;
		if (options[i].setting != NULL)
			setting = kv_env->setting(options[i].setting);
		options[i].show(
			setting != NULL ? setting : "", text, sizeof text);
		rf_resp_bulk_text(call->reply, options[i].name);
		rf_resp_bulk_text(call->reply, text);
	}
}

void kv_cmd_config_help(struct kv_call *call)
{
	kv_help(call);
}
