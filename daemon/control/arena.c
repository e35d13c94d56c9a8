/* SPDX-License-Identifier: MIT */
/* arena.c -- lets other processes read the arena.
 *
 * It says where the arena is, and has the business child stand still while
 * somebody reads (worker/business/hold.c has the whole protocol). A hold is
 * short, there is one at a time, and it ends by itself: the worst that a reader
 * can do is to ask again and again, and it is the daemon's own user.
 *
 * The arena itself is no concern of this process: it has no access to it.
 */
#include "orders.h"

#include "daemon/json.h"
#include "report.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOLD_MS_MAX 2000
/* A long request may be under way. */
#define BEGIN_WITHIN_US ((int64_t)5000000)

/* ---- where ---- */

static void json_place(FILE *out, const struct service *s)
{
	struct rf_segment_place place;

	rf_segment_place(&s->arena, &place);
	json_text(out, "path", place.path);
	json_signed(out, "shmid", place.shmid);
	json_number(out, "bytes", place.max_bytes);
}

/* The code itself, not what stands under its file's name by now. */
static void json_worker(FILE *out, const struct worker_lib *lib)
{
	char pinned[64];

	snprintf(pinned, sizeof(pinned), "/proc/%d/fd/%d", getpid(),
		lib->pin.fd);
	json_text(out, "worker", lib->worker.name);
	json_text(out, "worker_version", lib->worker.version);
	json_text(out, "worker_code", lib->pin.fd > 0 ? pinned : lib->path);
	json_text(out, "worker_path", lib->path);
}

enum verb_result order_arena_where(struct verb_call *call)
{
	const struct service *s = call->host->service;
	FILE *out = call->out;

	if (s->arena.fd < 0)
		return verb_refuse(call, "there is no arena now");
	json_begin(out);
	json_text(out, "service", s->conf->refork.name);
	json_text(out, "backend", report_backend_name(s));
	json_number(out, "backend_id", s->arena.backend);
	json_place(out, s);
	json_number(out, "base", RF_ARENA_BASE);
	json_number(out, "format", RF_ARENA_FORMAT);
	json_worker(out, &s->lib);
	json_text(out, "worker_args", s->env.worker_args);
	json_number(
		out, "generation", rf_status_get(s->status->business.serving));
	json_end(out);
	return VERB_DONE;
}

/* ---- hold ---- */

/* On hold (on_limit) there is nobody who could change anything. Such an order
 * has no length, and is void for whoever comes. */
static bool is_deserted(const struct rf_status_shm *st, uint64_t serial)
{
	return st->supervisor.hold_serial == serial &&
	       st->supervisor.hold_length_us == 0 &&
	       rf_status_get(st->business.takeover.lease_at_us) <
		       st->supervisor.hold_until_us;
}

/* Begun, not over, and nobody has taken over since. */
static bool is_held(const struct rf_status_shm *st, uint64_t serial)
{
	const struct rf_status_business *b = &st->business;

	return __atomic_load_n(&b->held_serial, __ATOMIC_ACQUIRE) == serial &&
	       __atomic_load_n(&b->held_over, __ATOMIC_SEQ_CST) != serial &&
	       rf_status_get(b->takeover.lease_at_us) <
		       rf_status_get(b->held_at_us);
}

static bool is_pending(const struct rf_status_shm *st, uint64_t serial)
{
	return rf_status_get(st->business.held_serial) != serial &&
	       rf_monotonic_us() < st->supervisor.hold_until_us;
}

/* It has been told to end, or will not begin any more. */
static void end_hold(const struct service *s, uint64_t serial)
{
	rf_status_set(s->status->supervisor.hold_ended, serial);
	rf_bell_ring(s->channel.bell_business);
}

static enum verb_result tell_serial(struct verb_call *call)
{
	json_begin(call->out);
	json_number(call->out, "serial", call->serial);
	json_end(call->out);
	return VERB_DONE;
}

static void give_order(
	struct verb_call *call, int64_t until_us, int64_t length_us)
{
	const struct service *s = call->host->service;
	struct rf_status_supervisor *order = &s->status->supervisor;

	rf_status_set(order->hold_until_us, until_us);
	rf_status_set(order->hold_length_us, length_us);
	call->serial = order->hold_serial + 1;
	__atomic_store_n(&order->hold_serial, call->serial, __ATOMIC_RELEASE);
	rf_bell_ring(s->channel.bell_business);
}

static enum verb_result hold_nobody(struct verb_call *call)
{
	const struct verb_host *host = call->host;

	if (!family_is_held(host->family))
		return verb_refuse(call,
			"it is %s, and stands still for nobody: try again when "
			"`reforkctl wait` returns",
			host->state(host->arg));
	give_order(call, rf_monotonic_us(), 0);
	return tell_serial(call);
}

enum verb_result order_arena_hold(struct verb_call *call)
{
	const struct rf_status_shm *st = call->host->service->status;
	uint64_t ms, last = st->supervisor.hold_serial;

	if (!verb_id(call, &ms) || ms > HOLD_MS_MAX)
		return verb_refuse(call, "hold for 1 .. %d ms, not '%s'",
			HOLD_MS_MAX, call->argv[0]);
	if (!family_serves(call->host->family))
		return hold_nobody(call);
	if (last != st->supervisor.hold_ended &&
		(is_held(st, last) || is_pending(st, last)))
		return verb_refuse(
			call, "it stands still for another reader: try again");
	give_order(
		call, rf_monotonic_us() + BEGIN_WITHIN_US, (int64_t)ms * 1000);
	return VERB_LATER;
}

enum verb_result order_arena_held(
	struct verb_call *call, const struct family_outcome *outcome)
{
	const struct service *s = call->host->service;

	(void)outcome;
	if (is_held(s->status, call->serial))
		return tell_serial(call);
	if (is_pending(s->status, call->serial))
		return VERB_LATER;
	end_hold(s, call->serial);
	if (rf_status_get(s->status->business.held_serial) == call->serial)
		return verb_refuse(call,
			"the business process was renewed, or the time was "
			"over, before it was told: try again");
	return verb_refuse(call,
		"the business process did not come to a point between two "
		"requests within %d ms: one runs for long, see `reforkctl "
		"status`; try again",
		(int)(BEGIN_WITHIN_US / 1000));
}

/* ---- go ---- */

static enum verb_result tell_end(
	struct verb_call *call, bool lasted, int64_t held_us)
{
	json_begin(call->out);
	json_number(call->out, "lasted", lasted);
	json_signed(call->out, "held_us", held_us);
	json_end(call->out);
	return VERB_DONE;
}

enum verb_result order_arena_go(struct verb_call *call)
{
	const struct service *s = call->host->service;
	bool lasted;

	if (!verb_id(call, &call->serial) ||
		call->serial != s->status->supervisor.hold_serial)
		return verb_refuse(call, "there is no hold %s", call->argv[0]);
	/* First: what comes after may be read by nobody. */
	if (is_deserted(s->status, call->serial))
		return tell_end(call, true, 0);
	lasted = is_held(s->status, call->serial);
	snprintf(call->before, sizeof(call->before), "%s",
		lasted ? "lasted" : "");
	end_hold(s, call->serial);
	return VERB_LATER;
}

/* How long clients waited is known once it goes on. */
enum verb_result order_arena_gone(
	struct verb_call *call, const struct family_outcome *outcome)
{
	const struct service *s = call->host->service;
	const struct rf_status_business *b = &s->status->business;
	bool measured = rf_status_get(b->held_over) == call->serial;

	(void)outcome;
	if (is_held(s->status, call->serial) &&
		s->status->supervisor.business_pid)
		return VERB_LATER;
	return tell_end(
		call, *call->before, measured ? rf_status_get(b->held_us) : -1);
}

/* ---- what was found ---- */

enum verb_result order_arena_verified(struct verb_call *call)
{
	struct rf_status_supervisor *st =
		&call->host->service->status->supervisor;
	char *end;
	uint64_t problems = strtoull(call->argv[0], &end, 10);

	if (*end || end == call->argv[0])
		return verb_refuse(
			call, "how many problems is '%s'?", call->argv[0]);
	rf_status_set(st->verify_problems, problems);
	rf_status_set(st->verified_at_ms, rf_now_ms());
	json_begin(call->out);
	json_text(call->out, "result", "noted");
	json_end(call->out);
	return VERB_DONE;
}
