/* SPDX-License-Identifier: MIT */
/* doctor.c -- what may be wrong with a running service, each with its fix.
 *
 * The probes are a table; none of them changes anything, none of them can
 * block. Those of the machine itself are shared with `reforkd --check`.
 */
#include "orders.h"

#include "daemon/aside.h"
#include "daemon/json.h"
#include "daemon/machine.h"
#include "daemon/records/quarantine.h"
#include "facts.h"

#include <inttypes.h>
#include <stdarg.h>

/* For all that is only sometimes a problem. */
static void judge(struct machine_finding *f, bool bad,
	enum machine_verdict verdict, const char *fix)
{
	f->verdict = bad ? verdict : MACHINE_FINE;
	snprintf(f->fix, sizeof(f->fix), "%s", bad ? fix : "");
}

static void note(struct machine_finding *f, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void note(struct machine_finding *f, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(f->found, sizeof(f->found), format, args);
	va_end(args);
}

/* ---- the service ---- */

#define WAY_OUT_OF_HOLD                                                        \
	"find the cause with `reforkctl crashes`, then let it go on with "     \
	"`reforkctl resume`, or give it mended code with `reforkctl upgrade`"

static bool is_on_hold(const struct verb_call *call)
{
	return family_is_held(call->host->family);
}

static void probe_serving(
	const struct verb_call *call, struct machine_finding *f)
{
	const struct verb_host *host = call->host;

	note(f, "it is %s", host->state(host->arg));
	judge(f, !family_serves(host->family), MACHINE_PROBLEM,
		is_on_hold(call) ? WAY_OUT_OF_HOLD
				 : "see the log, and `reforkctl crashes` for "
				   "what ended it");
}

static void probe_ladder(
	const struct verb_call *call, struct machine_finding *f)
{
	uint32_t rung = call->host->service->status->supervisor.rung;

	note(f, "the recovery ladder stands on: %s",
		rung < RF_RUNG_COUNT ? fact_rung_names[rung] : "?");
	judge(f, rung == RF_RUNG_HOLD, MACHINE_PROBLEM, WAY_OUT_OF_HOLD);
}

static void probe_standby(
	const struct verb_call *call, struct machine_finding *f)
{
	const struct service *s = call->host->service;
	const struct rf_status_shm *st = s->status;
	int64_t silence_ms = fact_standby_silence_ms(st);
	int32_t pid = st->supervisor.standby_pid;
	bool none;

	if (!s->conf->business.standby) {
		note(f, "none is wanted (business.standby = 0)");
		return;
	}
	if (fact_standby_ready(st) && silence_ms >= STANDBY_SILENT_MS) {
		note(f, "pid %d is silent for %" PRId64 " ms", pid, silence_ms);
		judge(f, true, MACHINE_PROBLEM,
			"it is stopped or starved of CPU: a recovery waits for "
			"it, or for a fork; see its state with ps");
		return;
	}
	none = !fact_standby_ready(st);
	note(f, none ? "none is ready" : "pid %d is ready", pid);
	judge(f, none, MACHINE_ADVICE,
		is_on_hold(call) ? WAY_OUT_OF_HOLD
				 : "a recovery now waits for a fork; if it "
				   "stays so, the log says why it does not "
				   "start");
}

static void note_silence(struct machine_finding *f, const char *name,
	int64_t heartbeat_ms, uint64_t limit_ms)
{
	int64_t silence_ms = rf_monotonic_ms() - heartbeat_ms;

	note(f, "the %s process spoke %" PRId64 " ms ago", name, silence_ms);
	judge(f, limit_ms && silence_ms > (int64_t)limit_ms / 2,
		MACHINE_PROBLEM,
		"it hangs or is starved of CPU: see `reforkctl top` and the "
		"load of the machine");
}

static void probe_network(
	const struct verb_call *call, struct machine_finding *f)
{
	const struct service *s = call->host->service;

	note_silence(f, "network",
		rf_status_get(s->status->network.heartbeat_ms),
		s->conf->business.heartbeat_timeout_ms);
}

static void probe_business(
	const struct verb_call *call, struct machine_finding *f)
{
	const struct service *s = call->host->service;

	if (!s->status->supervisor.business_pid) {
		note(f, is_on_hold(call) ? "none runs: the service is on hold"
					 : "none runs");
		judge(f, true, MACHINE_PROBLEM,
			is_on_hold(call) ? WAY_OUT_OF_HOLD
					 : "the log says why it does not "
					   "start");
		return;
	}
	note_silence(f, "business",
		rf_status_get(s->status->business.heartbeat_ms),
		s->conf->business.heartbeat_timeout_ms);
}

static void probe_listeners(
	const struct verb_call *call, struct machine_finding *f)
{
	const struct service *s = call->host->service;
	int given = 0;

	for (int i = 0; i < s->listener_count; i++)
		given += s->listeners[i].given;
	note(f, "%d open, %d of them held by the service manager",
		s->listener_count, given);
	judge(f, false, MACHINE_FINE, "");
}

static void probe_confinement(
	const struct verb_call *call, struct machine_finding *f)
{
	const struct service *s = call->host->service;
	uint64_t network = rf_status_get(s->status->vault.confined);
	uint64_t business = rf_status_get(s->status->business.confined);
	bool partly =
		(s->conf->network.confine && network != RF_CONFINED_ALL) ||
		(s->conf->business.confine != CONF_CONFINE_OFF &&
			business != RF_CONFINED_ALL);

	note(f, "network: %s; business (%s): %s",
		network ? report_confined(network) : "none",
		conf_get(s->conf, "business.confine"),
		business ? report_confined(business) : "none");
	judge(f, partly, MACHINE_ADVICE,
		"the first child's warning in the log says what is missing; "
		"landlock and seccomp, below, what the kernel has");
}

/* ---- its state ---- */

static void probe_arena(const struct verb_call *call, struct machine_finding *f)
{
	const struct service *s = call->host->service;
	uint64_t used = rf_status_get(s->status->business.arena_used_bytes);
	uint64_t max = s->conf->arena.max_bytes;

	note(f, "%.1f %% of arena.max is used",
		100 * (double)used / (double)max);
	judge(f, used > max / 10 * 9, MACHINE_PROBLEM,
		"raise arena.max and restart, or let the worker hold less");
}

static void probe_aside(const struct verb_call *call, struct machine_finding *f)
{
	const struct service *s = call->host->service;
	int count = aside_count(s);
	char way[ASIDE_WAY_BYTES];

	note(f, "%d arenas were set aside", count);
	judge(f, count, MACHINE_ADVICE, "");
	if (count)
		snprintf(f->fix, sizeof(f->fix),
			"`reforkctl arena list`; to use one: stop, %.280s; "
			"else `reforkctl arena release` it",
			aside_way_back(s, NULL, way));
}

static void probe_quarantine(
	const struct verb_call *call, struct machine_finding *f)
{
	int count = quarantine_count(call->host->service);

	note(f, "%d request%s in quarantine", count, count == 1 ? "" : "s");
	judge(f, count, MACHINE_ADVICE,
		"`reforkctl quarantine list`: mend the worker and `upgrade`, "
		"then `quarantine release` or `drop` each");
}

static const struct {
	const char *name;
	void (*probe)(const struct verb_call *call, struct machine_finding *f);
} probes[] = {
	{"serving", probe_serving},
	{"recovery", probe_ladder},
	{"standby", probe_standby},
	{"network", probe_network},
	{"business", probe_business},
	{"listeners", probe_listeners},
	{"confinement", probe_confinement},
	{"quarantine", probe_quarantine},
	{"arena", probe_arena},
	{"aside", probe_aside},
};

/* ---- told ---- */

static void tell(const struct verb_call *call, const struct machine_finding *f)
{
	static const char *const colors[MACHINE_VERDICT_COUNT] = {
		[MACHINE_FINE] = "\033[32m",
		[MACHINE_ADVICE] = "\033[33m",
		[MACHINE_WARNING] = "\033[33m",
		[MACHINE_PROBLEM] = "\033[31m",
	};
	const char *verdict = machine_verdict_names[f->verdict];
	bool colored = call->format == REPORT_COLOR;
	FILE *out = call->out;

	if (call->format == REPORT_JSON) {
		json_begin(out);
		json_text(out, "probe", f->name);
		json_text(out, "result", verdict);
		json_text(out, "found", f->found);
		json_text(out, "fix", f->fix);
		json_end(out);
		return;
	}
	fprintf(out, "%s%-8s%s %-15s %s\n", colored ? colors[f->verdict] : "",
		verdict, colored ? "\033[0m" : "", f->name, f->found);
	if (*f->fix)
		fprintf(out, "%24s fix: %s\n", "", f->fix);
}

enum verb_result order_doctor(struct verb_call *call)
{
	const struct service *s = call->host->service;
	const struct machine_asked asked = {
		.service = s,
		.network_pid = s->status->supervisor.network_pid,
		.running = true,
	};
	struct machine_finding finding;

	for (size_t i = 0; i < sizeof(probes) / sizeof(*probes); i++) {
		finding = (struct machine_finding){.name = probes[i].name};
		probes[i].probe(call, &finding);
		tell(call, &finding);
	}
	for (int i = 0; machine_probe(i, &asked, &finding); i++)
		tell(call, &finding);
	return VERB_DONE;
}
