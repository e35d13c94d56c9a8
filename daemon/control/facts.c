/* SPDX-License-Identifier: MIT */
/* facts.c -- the numbers of the status, each once.
 *
 * JSON and metrics are both read from this table; a new number is a field in
 * the status segment and an entry here. Other processes wrote them: they are
 * shown, and nothing is decided by them.
 */
#include "facts.h"

#define FIELD(name)                                                            \
	.offset = offsetof(struct rf_status_shm, name),                        \
	.bytes = sizeof(((struct rf_status_shm *)0)->name)

static uint64_t since_ms(int64_t now_ms, int64_t then_ms)
{
	return then_ms > 0 && now_ms > then_ms ? (uint64_t)(now_ms - then_ms)
					       : 0;
}

static uint64_t uptime_s(const struct report *r)
{
	return since_ms(rf_now_ms(),
		       r->service->status->supervisor.started_at_ms) /
	       1000;
}

static uint64_t network_silence_ms(const struct report *r)
{
	return since_ms(rf_monotonic_ms(),
		rf_status_get(r->service->status->network.heartbeat_ms));
}

static uint64_t business_silence_ms(const struct report *r)
{
	return since_ms(rf_monotonic_ms(),
		rf_status_get(r->service->status->business.heartbeat_ms));
}

/* One that has taken over and is not known to have is none any more. */
bool fact_standby_ready(const struct rf_status_shm *st)
{
	int32_t pid = st->supervisor.standby_pid;

	return pid && rf_status_get(st->standby.ready_pid) == pid &&
	       rf_status_get(st->business.serving_pid) != pid;
}

int64_t fact_standby_silence_ms(const struct rf_status_shm *st)
{
	return rf_monotonic_ms() - rf_status_get(st->standby.heartbeat_ms);
}

static uint64_t standby_ready(const struct report *r)
{
	const struct rf_status_shm *st = r->service->status;

	return fact_standby_ready(st) &&
	       fact_standby_silence_ms(st) < STANDBY_SILENT_MS;
}

static uint64_t serving(const struct report *r)
{
	return r->serves;
}

static uint64_t canary_ms(const struct report *r)
{
	return r->canary_ms;
}

static uint64_t aside_count(const struct report *r)
{
	return r->aside_count;
}

static uint64_t rate_of(const struct report *r, enum rate rate)
{
	return (uint64_t)(rates_get(r->rates, rate) + .5);
}

static uint64_t requests_per_s(const struct report *r)
{
	return rate_of(r, RATE_REQUESTS);
}

static uint64_t bytes_in_per_s(const struct report *r)
{
	return rate_of(r, RATE_BYTES_IN);
}

static uint64_t bytes_out_per_s(const struct report *r)
{
	return rate_of(r, RATE_BYTES_OUT);
}

const char *const fact_rung_names[RF_RUNG_COUNT] = {
	[RF_RUNG_NONE] = "none",
	[RF_RUNG_ROLL_BACK] = "roll_back",
	[RF_RUNG_QUARANTINE] = "quarantine",
	[RF_RUNG_VERIFY] = "verify",
	[RF_RUNG_RESTORE] = "restore",
	[RF_RUNG_COLD] = "cold",
	[RF_RUNG_HOLD] = "hold",
	[RF_RUNG_EXIT] = "exit",
};

const struct fact facts[] = {
	{"serving", FACT_GAUGE, .get = serving,
		.help = "1 when requests are answered."},
	{"uptime_s", FACT_GAUGE, .get = uptime_s,
		.help = "Since the daemon started."},
	{"generation", FACT_GAUGE, FIELD(business.serving),
		.help = "Business processes that have served so far."},

	{"supervisor_pid", FACT_PID, FIELD(supervisor.pid)},
	{"network_pid", FACT_PID, FIELD(supervisor.network_pid)},
	{"business_pid", FACT_PID, FIELD(supervisor.business_pid)},
	{"standby_pid", FACT_PID, FIELD(supervisor.standby_pid)},
	{"vault_pid", FACT_PID, FIELD(supervisor.vault_pid)},

	{"crashes", FACT_COUNTER, FIELD(supervisor.crashes),
		.help = "Unplanned ends of business processes."},
	{"network_crashes", FACT_COUNTER, FIELD(supervisor.network_crashes),
		.help = "Unplanned ends of network processes."},
	{"standby_crashes", FACT_COUNTER, FIELD(supervisor.standby_crashes),
		.help = "Unplanned ends of standbys."},
	{"vault_crashes", FACT_COUNTER, FIELD(supervisor.vault_crashes),
		.help = "Unplanned ends of the keeper of the sockets."},
	{"hangs", FACT_COUNTER, FIELD(supervisor.hangs),
		.help = "Processes ended by the watchdog."},
	{"planned", FACT_COUNTER, FIELD(supervisor.planned),
		.help = "Planned re-forks of the business process."},
	{"upgrades", FACT_COUNTER, FIELD(supervisor.upgrades),
		.help = "Worker code taken into use while running."},
	{"rollbacks", FACT_COUNTER, FIELD(supervisor.rollbacks),
		.help = "Upgrades that were taken back."},
	{"canary_ms", FACT_GAUGE, .get = canary_ms,
		.help = "Until the last upgrade is no longer on trial."},
	{"rung", FACT_GAUGE, FIELD(supervisor.rung),
		.help = "Of the recovery ladder; 0: none."},
	{"reloads", FACT_COUNTER, FIELD(supervisor.conf_serial),
		.help = "Configurations applied while running."},

	{"network_silence_ms", FACT_GAUGE, .get = network_silence_ms,
		.help = "Since the network process said that it lives."},
	{"business_silence_ms", FACT_GAUGE, .get = business_silence_ms,
		.help = "Since the business process said that it lives."},

	{"clients", FACT_GAUGE, FIELD(network.clients), .help = "Connections."},
	{"clients_total", FACT_COUNTER, FIELD(network.clients_total),
		.help = "Connections accepted."},
	{"clients_refused", FACT_COUNTER, FIELD(network.clients_refused),
		.help = "Connections beyond network.max_clients."},
	{"clients_banned", FACT_COUNTER, FIELD(network.clients_banned),
		.help = "Connections refused: their requests kept killing."},
	{"clients_resumed", FACT_COUNTER, FIELD(network.clients_resumed),
		.help = "Connections that outlived a network process."},
	{"closed_output_limit", FACT_COUNTER,
		FIELD(network.closed_output_limit),
		.help = "Connections closed: they did not read."},
	{"bytes_in", FACT_COUNTER, FIELD(network.bytes_in),
		.help = "Received from clients."},
	{"bytes_out", FACT_COUNTER, FIELD(network.bytes_out),
		.help = "Sent to clients."},
	{"bytes_in_per_s", FACT_GAUGE, .get = bytes_in_per_s,
		.help = "Received, over the last seconds."},
	{"bytes_out_per_s", FACT_GAUGE, .get = bytes_out_per_s,
		.help = "Sent, over the last seconds."},

	{"requests", FACT_COUNTER, FIELD(business.requests),
		.help = "Requests answered."},
	{"requests_per_s", FACT_GAUGE, .get = requests_per_s,
		.help = "Requests answered, over the last seconds."},
	{"quarantined", FACT_COUNTER, FIELD(business.quarantined),
		.help = "Requests skipped: they kept killing."},
	{"recoveries", FACT_COUNTER, FIELD(business.recoveries),
		.help = "Takeovers after a death."},
	{"rolled_back", FACT_COUNTER, FIELD(business.rolled_back),
		.help = "Takeovers that had a change to undo."},
	{"recovery_us", FACT_GAUGE, FIELD(business.recovery_us),
		.help = "The last takeover, from the lease to serving."},
	{"business_threads", FACT_GAUGE, FIELD(business.threads),
		.help = "Threads of the business process."},
	{"arena_used_bytes", FACT_GAUGE, FIELD(business.arena_used_bytes),
		.help = "State in use."},
	{"arena_size_bytes", FACT_GAUGE, FIELD(business.arena_size_bytes),
		.help = "Memory taken for the state."},
	{"arena_max_bytes", FACT_GAUGE, FIELD(business.arena_max_bytes),
		.help = "Memory taken for the state at most."},
	{"verified_at_ms", FACT_NAME, FIELD(supervisor.verified_at_ms)},
	{"verify_problems", FACT_GAUGE, FIELD(supervisor.verify_problems),
		.help = "Found by the last `reforkctl arena verify`."},
	{"holds", FACT_COUNTER, FIELD(business.holds),
		.help = "Times it stood still for a reader of its state."},
	{"hold_us", FACT_GAUGE, FIELD(business.held_us),
		.help = "How long, the last time."},
	{"aside_count", FACT_GAUGE, .get = aside_count,
		.help = "Arenas set aside by cold starts."},

	{"standby_ready", FACT_GAUGE, .get = standby_ready,
		.help = "1 when a successor waits."},
	{"standby_prefaulted_bytes", FACT_GAUGE,
		FIELD(standby.prefaulted_bytes),
		.help = "State that the standby has mapped."},
	{"last_crash_id", FACT_NAME, FIELD(crashes.last_id)},
};

const int fact_count = sizeof(facts) / sizeof(*facts);

uint64_t fact_value(const struct fact *fact, const struct report *r)
{
	const char *at = (const char *)r->service->status + fact->offset;

	if (fact->get)
		return fact->get(r);
	if (fact->bytes == sizeof(uint32_t))
		return rf_status_get(*(const uint32_t *)at);
	return rf_status_get(*(const uint64_t *)at);
}
