/* SPDX-License-Identifier: MIT */
/* latency.c -- LATENCY: when commands took longer than a threshold. */
#include "worker/kv/server/records.h"

static const char *const names[KV_LATENCY_KIND_COUNT] = {
	[KV_LATENCY_COMMAND] = "command",
	[KV_LATENCY_FAST_COMMAND] = "fast-command",
};

/* ---- taking down ---- */

/* One sample for each second: the worst. */
void kv_latency_add(const struct kv_call *call, uint64_t us)
{
	struct kv_latency_event *event =
		&kv_records()->latency[call->command->flags & FAST
					       ? KV_LATENCY_FAST_COMMAND
					       : KV_LATENCY_COMMAND];
	uint64_t last = (event->count - 1) % KV_LATENCY_SAMPLES;
	uint64_t ms = us / 1000;
	int64_t now_s = call->now_ms / 1000;

	if (ms > event->max_ms)
		RF_SET(event->max_ms, ms);
	if (event->count > 0 && event->samples[last].at_s == now_s) {
		if (ms > event->samples[last].ms)
			RF_SET(event->samples[last].ms, ms);
		return;
	}
	last = event->count % KV_LATENCY_SAMPLES;
	RF_SET(event->samples[last].at_s, now_s);
	RF_SET(event->samples[last].ms, ms);
	RF_SET(event->count, event->count + 1);
}

/* ---- telling ---- */

void kv_cmd_latency_latest(struct kv_call *call)
{
	const struct kv_latency_event *events = kv_records()->latency;
	size_t count = 0;

	for (int i = 0; i < KV_LATENCY_KIND_COUNT; i++)
		count += events[i].count > 0;
	rf_resp_array(call->reply, count);
	for (int i = 0; i < KV_LATENCY_KIND_COUNT; i++) {
		uint64_t last = (events[i].count - 1) % KV_LATENCY_SAMPLES;

		if (events[i].count == 0)
			continue;
		rf_resp_array(call->reply, 4);
		rf_resp_bulk_text(call->reply, names[i]);
		rf_resp_int(call->reply, events[i].samples[last].at_s);
		rf_resp_int(call->reply, (int64_t)events[i].samples[last].ms);
		rf_resp_int(call->reply, (int64_t)events[i].max_ms);
	}
}

static void reply_history(
	struct kv_call *call, const struct kv_latency_event *event)
{
	uint64_t count = event->count < KV_LATENCY_SAMPLES ? event->count
							   : KV_LATENCY_SAMPLES;

	rf_resp_array(call->reply, count);
	for (uint64_t i = event->count - count; i < event->count; i++) {
		uint64_t at = i % KV_LATENCY_SAMPLES;

		rf_resp_array(call->reply, 2);
		rf_resp_int(call->reply, event->samples[at].at_s);
		rf_resp_int(call->reply, (int64_t)event->samples[at].ms);
	}
}

void kv_cmd_latency_history(struct kv_call *call)
{
	for (int i = 0; i < KV_LATENCY_KIND_COUNT; i++)
		if (kv_is(call->argv[2], names[i])) {
			reply_history(call, &kv_records()->latency[i]);
			return;
		}
	rf_resp_array(call->reply, 0);
}

static bool wanted(const struct kv_call *call, const char *name)
{
	for (uint32_t i = 2; i < call->argc; i++)
		if (kv_is(call->argv[i], name))
			return true;
	return call->argc == 2;
}

void kv_cmd_latency_reset(struct kv_call *call)
{
	struct kv_latency_event *events = kv_records()->latency;
	int64_t count = 0;

	for (int i = 0; i < KV_LATENCY_KIND_COUNT; i++) {
		if (events[i].count == 0 || !wanted(call, names[i]))
			continue;
		RF_SET(events[i].count, 0);
		RF_SET(events[i].max_ms, 0);
		count++;
	}
	rf_resp_int(call->reply, count);
}

void kv_cmd_latency_help(struct kv_call *call)
{
	kv_help(call);
}
