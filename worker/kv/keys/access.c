/* SPDX-License-Identifier: MIT */
/* access.c -- reading and counting the accesses of values; see access.h. */
#include "worker/kv/keys/access.h"

#define LFU_FIRST 5u /* a new value's: it is not the first to go */
#define LFU_MAX	  255u
#define MINUTES	  0xffffu

static uint32_t minute_of(int64_t now_ms)
{
	return (uint32_t)((uint64_t)now_ms / 60000) & MINUTES;
}

static uint32_t lfu_word(uint32_t minute, uint32_t frequency)
{
	return minute << 8 | frequency;
}

uint32_t kv_access_first(int64_t now_ms)
{
	return kv_policy_is_lfu() ? lfu_word(minute_of(now_ms), LFU_FIRST)
				  : kv_access_now(now_ms);
}

/* One less for each lfu_decay_minutes that have passed. */
uint32_t kv_frequency(const struct kv_value *value, int64_t now_ms)
{
	uint32_t frequency = value->head & 0xff;
	uint32_t then = (value->head & KV_ACCESS) >> 8;
	uint64_t minutes = (minute_of(now_ms) - then) & MINUTES;

	if (kv_settings->lfu_decay_minutes == 0)
		return frequency;
	minutes /= kv_settings->lfu_decay_minutes;
	return minutes > frequency ? 0 : frequency - (uint32_t)minutes;
}

/* The higher it is, the less likely it grows. */
static uint32_t grown(uint32_t frequency)
{
	uint64_t steps = frequency > LFU_FIRST ? frequency - LFU_FIRST : 0;

	if (frequency == LFU_MAX)
		return frequency;
	return frequency +
	       (kv_random() % (steps * kv_settings->lfu_log_factor + 1) == 0);
}

void kv_access_lfu(struct kv_value *value, int64_t now_ms)
{
	kv_access_write(value, lfu_word(minute_of(now_ms),
				       grown(kv_frequency(value, now_ms))));
}

uint64_t kv_idle_seconds(const struct kv_value *value, int64_t now_ms)
{
	return (kv_access_now(now_ms) - (value->head & KV_ACCESS)) & KV_ACCESS;
}

void kv_set_idle(struct kv_value *value, int64_t now_ms, uint64_t seconds)
{
	if (seconds > KV_ACCESS)
		seconds = KV_ACCESS;
	kv_access_write(
		value, (kv_access_now(now_ms) - (uint32_t)seconds) & KV_ACCESS);
}

void kv_set_frequency(
	struct kv_value *value, int64_t now_ms, uint32_t frequency)
{
	kv_access_write(value, lfu_word(minute_of(now_ms), frequency));
}
