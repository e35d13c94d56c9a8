/* SPDX-License-Identifier: MIT */
/* verbs.c -- what can be asked for at the control socket.
 *
 * Each verb is one function, which answers at once, refuses, or has begun
 * something whose end will be told: then finish() writes the answer.
 */
#include "verbs.h"

#include "conf/conf_keys.h"
#include "daemon/aside.h"
#include "daemon/json.h"
#include "daemon/records/crashes.h"
#include "orders.h"
#include "report.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- the status ---- */

static struct report describe(const struct verb_call *call)
{
	const struct verb_host *host = call->host;

	return (struct report){
		.service = host->service,
		.rates = call->rates,
		.state = host->state(host->arg),
		.serves = family_serves(host->family),
		.last_end = family_last_crash(host->family),
		.canary_ms =
			host->upgrade ? upgrade_canary_ms(host->upgrade) : 0,
		.goes_back = host->upgrade && upgrade_goes_back(host->upgrade),
		.aside_count = (uint64_t)aside_count(host->service),
	};
}

#define REPORT_VERB(name)                                                      \
	static enum verb_result name(struct verb_call *call)                   \
	{                                                                      \
		struct report report = describe(call);                         \
                                                                               \
		report_##name(&report, call->format, call->out);               \
		return VERB_DONE;                                              \
	}
REPORT_VERB(status)
REPORT_VERB(state)
REPORT_VERB(ping)
REPORT_VERB(version)
REPORT_VERB(metrics)

static void config_json(const struct conf *conf, FILE *out)
{
	char name[64];

	json_begin(out);
	for (int i = 0; i < conf_key_count; i++) {
		snprintf(name, sizeof(name), "%s.%s", conf_keys[i].section,
			conf_keys[i].name);
		json_text(out, name, conf_get(conf, name));
	}
	json_end(out);
}

static enum verb_result config_show(struct verb_call *call)
{
	const struct conf *conf = call->host->service->conf;

	if (call->format == REPORT_JSON)
		config_json(conf, call->out);
	else
		conf_print(conf, call->out);
	return VERB_DONE;
}

static enum verb_result shutdown_now(struct verb_call *call)
{
	call->host->stop(call->host->arg);
	return state(call);
}

/* ---- records ---- */

enum verb_result verb_refuse(struct verb_call *call, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(call->out, format, args);
	va_end(args);
	putc('\n', call->out);
	return VERB_REFUSED;
}

bool verb_id(const struct verb_call *call, uint64_t *id)
{
	char *end;

	*id = strtoull(call->argv[0], &end, 10);
	return *id && !*end && call->argv[0][0] != '-';
}

static enum verb_result crashes(struct verb_call *call)
{
	crashes_list(call->host->crashes, call->format, call->out);
	return VERB_DONE;
}

static enum verb_result crash_show(struct verb_call *call)
{
	uint64_t id;

	if (!verb_id(call, &id) ||
		crashes_show(call->host->crashes, id, call->format, call->out))
		return verb_refuse(call, "no crash record %s", call->argv[0]);
	return VERB_DONE;
}

/* ---- the table ---- */

/* Longer than the daemon's own deadlines for what it waits for there. */
#define RENEW_DEADLINE_S   3700
#define RELEASE_DEADLINE_S 60
#define HOLD_DEADLINE_S	   10

static const struct verb verbs[] = {
	{"status", 0, 0, .run = status},
	{"state", 0, 0, .run = state},
	{"ping", 0, 0, .run = ping},
	{"version", 0, 0, .run = version},
	{"metrics", 0, 0, .run = metrics},
	{"doctor", 0, 0, .run = order_doctor},
	{"crashes", 0, 0, .run = crashes},
	{"crash-show", 1, 1, .run = crash_show},
	{"quarantine-list", 0, 0, .run = order_quarantine_list},
	{"quarantine-show", 1, 1, .run = order_quarantine_show},
	{"quarantine-drop", 1, 1, .run = order_quarantine_drop, .orders = true},
	{"quarantine-release", 1, 1, .run = order_quarantine_release,
		.finish = order_quarantine_released, .poll_ms = 10,
		.deadline_s = RELEASE_DEADLINE_S, .orders = true},
	{"arena-where", 0, 0, .run = order_arena_where},
	{"arena-hold", 1, 1, .run = order_arena_hold,
		.finish = order_arena_held, .poll_ms = 1,
		.deadline_s = HOLD_DEADLINE_S},
	{"arena-go", 1, 1, .run = order_arena_go, .finish = order_arena_gone,
		.poll_ms = 1, .deadline_s = HOLD_DEADLINE_S},
	{"arena-verified", 1, 1, .run = order_arena_verified},
	{"config-show", 0, 0, .run = config_show},
	{"reload", 0, 0, .run = order_reload, .orders = true},
	{"restart", 0, 2, .run = order_restart, .finish = order_restarted,
		.deadline_s = RENEW_DEADLINE_S, .orders = true},
	{"upgrade", 1, 1, .run = order_upgrade, .finish = order_upgraded,
		.deadline_s = RENEW_DEADLINE_S, .orders = true},
	{"rollback", 0, 0, .run = order_rollback, .finish = order_rolled_back,
		.deadline_s = RENEW_DEADLINE_S, .orders = true},
	{"resume", 0, 0, .run = order_resume, .orders = true},
	{"checkpoint-prepare", 0, 0, .run = order_checkpoint_prepare,
		.finish = order_checkpoint_prepared, .poll_ms = 10,
		.deadline_s = HOLD_DEADLINE_S, .orders = true},
	{"checkpoint-end", 0, 0, .run = order_checkpoint_end,
		.finish = order_checkpoint_ended,
		.deadline_s = RENEW_DEADLINE_S, .orders = true},
	{"shutdown", 0, 0, .run = shutdown_now, .stops = true, .orders = true},
};

const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}
