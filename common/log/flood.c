/* SPDX-License-Identifier: MIT */
/* flood.c -- a token bucket per place that logs. */
#include "flood.h"
#include "said.h"

#define PROBES	8
#define TOKEN	1000 /* millitokens; RF_FLOOD_PER_S of them a ms */
#define FULL	((int64_t)RF_FLOOD_BURST * TOKEN)
#define FILL_MS (FULL / RF_FLOOD_PER_S)

static void fill(struct rf_flood_site *site, int64_t now_ms)
{
	int64_t passed_ms = now_ms - site->at_ms;

	if (passed_ms < 0) /* never, by a monotonic clock */
		passed_ms = 0;
	if (passed_ms > FILL_MS)
		passed_ms = FILL_MS;
	site->millitokens += passed_ms * RF_FLOOD_PER_S;
	if (site->millitokens > FULL)
		site->millitokens = FULL;
	site->at_ms = now_ms;
}

/* Its bucket would be full, and it has nothing to tell. */
static bool is_idle(const struct rf_flood_site *site, int64_t now_ms)
{
	return site->left_out == 0 && now_ms - site->at_ms >= FILL_MS;
}

static struct rf_flood_site *find(
	struct rf_flood *flood, const void *call, int64_t now_ms)
{
	uint64_t mixed = (uint64_t)(uintptr_t)call * 0x9e3779b97f4a7c15u;
	struct rf_flood_site *empty = NULL;

	for (uint32_t i = 0; i < PROBES; i++) {
		struct rf_flood_site *site =
			&flood->sites[((mixed >> 32) + i) % RF_FLOOD_SITES];

		if (site->site == call)
			return site;
		if (empty == NULL &&
			(site->site == NULL || is_idle(site, now_ms)))
			empty = site;
	}
	if (empty != NULL)
		*empty = (struct rf_flood_site){
			.site = call, .at_ms = now_ms, .millitokens = FULL};
	return empty;
}

bool rf_flood_admits(struct rf_flood *flood, const void *call, int64_t now_ms,
	struct rf_flood_site **found)
{
	struct rf_flood_site *site = find(flood, call, now_ms);

	*found = site;
	if (site == NULL)
		return true;
	fill(site, now_ms);
	if (site->millitokens >= TOKEN) {
		site->millitokens -= TOKEN;
		return true;
	}
	if (site->left_out++ == 0) {
		site->left_out_at_ms = now_ms;
		flood->pending++;
	}
	return false;
}

void rf_flood_show(struct rf_flood_site *site, enum rf_log_level level,
	const char *text, size_t bytes)
{
	if (bytes >= sizeof site->text)
		bytes = rf_said_cut(text, sizeof site->text - 1);
	memcpy(site->text, text, bytes);
	site->text[bytes] = '\0';
	site->level = level;
}

bool rf_flood_next(
	struct rf_flood *flood, int64_t now_ms, struct rf_flood_site *told)
{
	for (size_t i = 0; flood->pending > 0 && i < RF_FLOOD_SITES; i++) {
		struct rf_flood_site *site = &flood->sites[i];

		if (site->left_out == 0 ||
			now_ms - site->left_out_at_ms < RF_FLOOD_TELL_MS)
			continue;
		*told = *site;
		site->left_out = 0;
		flood->pending--;
		return true;
	}
	return false;
}
