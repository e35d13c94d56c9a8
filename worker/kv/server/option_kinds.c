/* SPDX-License-Identifier: MIT */
/* option_kinds.c -- the kinds of options: how each is read and shown. */
#include "worker/kv/server/option_kinds.h"
#include "worker/kv/client/client.h"
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define UNITS_END                                                              \
	{                                                                      \
		NULL, 0                                                        \
	}

struct unit {
	const char *name;
	uint64_t times;
};

/* Of the ini, and of CONFIG SET: "64M" and "64mb". */
static const struct unit ini_sizes[] = {
	{"", 1},
	{"K", UINT64_C(1) << 10},
	{"KiB", UINT64_C(1) << 10},
	{"M", UINT64_C(1) << 20},
	{"MiB", UINT64_C(1) << 20},
	{"G", UINT64_C(1) << 30},
	{"GiB", UINT64_C(1) << 30},
	UNITS_END,
};
static const struct unit ini_times_ms[] = {
	{"", 1000},
	{"ms", 1},
	{"s", 1000},
	{"min", 60 * 1000},
	{"h", 3600 * 1000},
	UNITS_END,
};
static const struct unit sizes[] = {
	{"", 1},
	{"b", 1},
	{"k", 1000},
	{"kb", 1 << 10},
	{"m", 1000 * 1000},
	{"mb", 1 << 20},
	{"g", 1000 * 1000 * 1000},
	{"gb", 1 << 30},
	UNITS_END,
};

static bool in_units(
	const char *text, const struct unit *units, uint64_t *value)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	*value = strtoull(text, &end, 10);
	while (*end == ' ')
		end++;
	while (units->name != NULL && strcasecmp(units->name, end) != 0)
		units++;
	if (units->name == NULL)
		return false;
	*value *= units->times;
	return true;
}

static uint64_t ini_number(const char *text, const struct unit *units)
{
	uint64_t value;

	return in_units(text, units, &value) ? value : 0;
}

/* For messages: valid until the next one. */
static char flaw[KV_OPTION_TEXT_MAX];

static const char *in_range(const struct kv_option *option, int64_t value)
{
	if (value >= option->min && value <= option->max)
		return NULL;
	snprintf(flaw, sizeof flaw,
		"argument must be between %lld and %lld inclusive",
		(long long)option->min, (long long)option->max);
	return flaw;
}

static void show_number(const struct kv_option *option, int64_t value,
	char to[KV_OPTION_TEXT_MAX])
{
	(void)option;
	snprintf(to, KV_OPTION_TEXT_MAX, "%lld", (long long)value);
}

/* ---- numbers ---- */

static const char *read_number(
	const struct kv_option *option, struct rf_bytes text, int64_t *value)
{
	if (!kv_parse_int(text.at, text.bytes, value))
		return "argument couldn't be parsed into an integer";
	return in_range(option, *value);
}

const struct kv_option_kind kv_kind_number = {
	.read = read_number, .show = show_number};

static const char *read_bytes(
	const struct kv_option *option, struct rf_bytes text, int64_t *value)
{
	char copy[32];
	uint64_t bytes;

	if (text.bytes >= sizeof copy)
		return "argument must be a memory value";
	memcpy(copy, text.at, text.bytes);
	copy[text.bytes] = '\0';
	if (!in_units(copy, sizes, &bytes))
		return "argument must be a memory value";
	*value = (int64_t)bytes;
	return in_range(option, *value);
}

/* Or a share of all memory: kept as a negative number. */
static const char *read_share(
	const struct kv_option *option, struct rf_bytes text, int64_t *value)
{
	if (text.bytes == 0 || text.at[text.bytes - 1] != '%')
		return read_bytes(option, text, value);
	if (!kv_parse_int(text.at, text.bytes - 1, value) || *value < 0)
		return "argument must be a memory or percent value";
	if (*value > 100)
		return "percentage argument must be less or equal to 100";
	*value = -*value;
	return NULL;
}

static void show_share(const struct kv_option *option, int64_t value,
	char to[KV_OPTION_TEXT_MAX])
{
	show_number(option, value < 0 ? -value : value, to);
	if (value < 0)
		strcat(to, "%");
}

const struct kv_option_kind kv_kind_share = {
	.read = read_share, .show = show_share};

static void size_from_ini(const char *setting, char to[KV_OPTION_TEXT_MAX])
{
	snprintf(to, KV_OPTION_TEXT_MAX, "%llu",
		(unsigned long long)ini_number(setting, ini_sizes));
}

const struct kv_option_kind kv_kind_bytes = {
	.read = read_bytes, .show = show_number, .from_ini = size_from_ini};

/* As much as the arena may take, unless less is asked for. */
static void show_maxmemory(const struct kv_option *option, int64_t value,
	char to[KV_OPTION_TEXT_MAX])
{
	struct rf_stats stats;

	if (value == 0) {
		rf_stats(&stats);
		value = (int64_t)stats.arena_max_bytes;
	}
	show_number(option, value, to);
}

const struct kv_option_kind kv_kind_maxmemory = {
	.read = read_bytes, .show = show_maxmemory, .from_ini = size_from_ini};

static void seconds_from_ini(const char *setting, char to[KV_OPTION_TEXT_MAX])
{
	snprintf(to, KV_OPTION_TEXT_MAX, "%llu",
		(unsigned long long)ini_number(setting, ini_times_ms) / 1000);
}

const struct kv_option_kind kv_kind_seconds = {
	.read = read_number, .show = show_number, .from_ini = seconds_from_ini};

/* ---- words ---- */

static const char *read_yes_no(
	const struct kv_option *option, struct rf_bytes text, int64_t *value)
{
	(void)option;
	*value = kv_is(text, "yes");
	return *value || kv_is(text, "no") ? NULL
					   : "argument must be 'yes' or 'no'";
}

static void show_yes_no(const struct kv_option *option, int64_t value,
	char to[KV_OPTION_TEXT_MAX])
{
	(void)option;
	strcpy(to, value ? "yes" : "no");
}

const struct kv_option_kind kv_kind_yes_no = {
	.read = read_yes_no, .show = show_yes_no};

static const char *read_choice(
	const struct kv_option *option, struct rf_bytes text, int64_t *value)
{
	size_t used;

	for (*value = 0; option->words[*value] != NULL; ++*value)
		if (kv_is(text, option->words[*value]))
			return NULL;
	used = (size_t)snprintf(flaw, sizeof flaw,
		"argument(s) must be one of the following: ");
	for (size_t i = 0; option->words[i] != NULL; i++)
		used += (size_t)snprintf(flaw + used, sizeof flaw - used,
			"%s%s", i > 0 ? ", " : "", option->words[i]);
	return flaw;
}

static void show_choice(const struct kv_option *option, int64_t value,
	char to[KV_OPTION_TEXT_MAX])
{
	snprintf(to, KV_OPTION_TEXT_MAX, "%s", option->words[value]);
}

const struct kv_option_kind kv_kind_choice = {
	.read = read_choice, .show = show_choice};

static const char *read_events(
	const struct kv_option *option, struct rf_bytes text, int64_t *value)
{
	uint64_t events;

	(void)option;
	if (!kv_notify_parse(text, &events))
		return "Invalid event class character. "
		       "Use 'Ag$lshzxeKEtmdn'.";
	*value = (int64_t)events;
	return NULL;
}

static void show_events(const struct kv_option *option, int64_t value,
	char to[KV_OPTION_TEXT_MAX])
{
	(void)option;
	kv_notify_print((uint64_t)value, to);
}

const struct kv_option_kind kv_kind_events = {
	.read = read_events, .show = show_events};

/* ---- texts ---- */

const struct kv_option_kind kv_kind_text = {.read = NULL};

/* The port of the first TCP address of "127.0.0.1:6380 unix:/run/kv.sock". */
static void port_from_ini(const char *setting, char to[KV_OPTION_TEXT_MAX])
{
	strcpy(to, "0");
	while (*setting != '\0') {
		size_t word = strcspn(setting, " ");
		const char *colon = memrchr(setting, ':', word);

		if (colon != NULL && colon[1] >= '0' && colon[1] <= '9') {
			snprintf(to, KV_OPTION_TEXT_MAX, "%d", atoi(colon + 1));
			return;
		}
		setting += word + strspn(setting + word, " ");
	}
}

const struct kv_option_kind kv_kind_port = {.from_ini = port_from_ini,
	.refusal = "Unable to listen on this port: the ini decides"};

/* The state may have more than the ini says. */
static void databases(const char *setting, char to[KV_OPTION_TEXT_MAX])
{
	(void)setting;
	snprintf(to, KV_OPTION_TEXT_MAX, "%u", kv_database_count());
}

const struct kv_option_kind kv_kind_databases = {.from_ini = databases};
