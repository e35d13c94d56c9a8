/* SPDX-License-Identifier: MIT */
/* orders.c -- restart, upgrade, rollback, reload, resume.
 *
 * The re-forks end later: the family or the upgrade tells how, and with how
 * long a pause, and the answer is written then.
 */
#include "orders.h"

#include "daemon/figures.h"
#include "daemon/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *worker_version(const struct verb_call *call)
{
	return call->host->service->lib.worker.version;
}

/* Why something could not even begin. */
static enum verb_result refuse_start(struct verb_call *call, int rc)
{
	if (rc == -EBUSY)
		return verb_refuse(call,
			"another re-fork is under way, or it is not serving: "
			"try again when `reforkctl wait` returns");
	return verb_refuse(call, "%s; nothing has changed", strerror(-rc));
}

static enum verb_result refuse_outcome(
	struct verb_call *call, const struct family_outcome *outcome)
{
	return verb_refuse(call, "%s",
		*outcome->why ? outcome->why : strerror(-outcome->error));
}

static void json_outcome(
	FILE *out, const char *result, const struct family_outcome *outcome)
{
	json_text(out, "result", result);
	json_number(out, "generation", outcome->generation);
	json_signed(out, "pause_us", outcome->pause_us);
}

/* "generation 8 serves, pause 0.21 ms" */
static void put_outcome(FILE *out, const struct family_outcome *outcome)
{
	fprintf(out, "generation %" PRIu64 " serves, pause ",
		outcome->generation);
	put_ms(out, outcome->pause_us);
}

/* ---- restart ---- */

/* [business|network] [now], in any order. False: something else. */
static bool restart_arguments(
	const struct verb_call *call, bool *network, bool *now)
{
	*network = *now = false;
	for (int i = 0; i < call->argc; i++) {
		if (!strcmp(call->argv[i], "network"))
			*network = true;
		else if (!strcmp(call->argv[i], "now"))
			*now = true;
		else if (strcmp(call->argv[i], "business"))
			return false;
	}
	return true;
}

enum verb_result order_restart(struct verb_call *call)
{
	struct family *family = call->host->family;
	bool network, now;
	int rc;

	if (!restart_arguments(call, &network, &now))
		return verb_refuse(call, "restart business or network?");
	snprintf(call->before, sizeof(call->before), "%s",
		network ? "network" : "business");
	rc = (network ? family_renew_network : family_renew_business)(
		family, now, call->done);
	return rc ? refuse_start(call, rc) : VERB_LATER;
}

enum verb_result order_restarted(
	struct verb_call *call, const struct family_outcome *outcome)
{
	bool network = !strcmp(call->before, "network");

	if (outcome->error)
		return refuse_outcome(call, outcome);
	if (call->format == REPORT_JSON) {
		json_begin(call->out);
		json_text(call->out, "process", call->before);
		json_outcome(call->out, "restarted", outcome);
		json_end(call->out);
		return VERB_DONE;
	}
	fprintf(call->out, "restarted %s: ", call->before);
	if (network) {
		fputs("it serves, pause ", call->out);
		put_ms(call->out, outcome->pause_us);
	} else {
		put_outcome(call->out, outcome);
	}
	putc('\n', call->out);
	return VERB_DONE;
}

/* ---- upgrade, rollback ---- */

static void remember_version(struct verb_call *call)
{
	snprintf(
		call->before, sizeof(call->before), "%s", worker_version(call));
}

static void put_canary(const struct verb_call *call)
{
	uint64_t ms = call->host->service->conf->upgrade.canary_ms;

	if (!ms || !upgrade_goes_back(call->host->upgrade))
		return;
	fprintf(call->out, "; back to %s by itself if it crashes within ",
		call->before);
	put_duration(call->out, (ms + 999) / 1000);
}

static enum verb_result tell_change(struct verb_call *call, const char *result,
	const struct family_outcome *outcome, bool canary)
{
	const struct service *s = call->host->service;
	FILE *out = call->out;

	if (outcome->error)
		return refuse_outcome(call, outcome);
	if (call->format == REPORT_JSON) {
		json_begin(out);
		json_outcome(out, result, outcome);
		json_text(out, "worker", s->lib.worker.name);
		json_text(out, "from", call->before);
		json_text(out, "to", worker_version(call));
		json_number(out, "canary_ms",
			canary ? s->conf->upgrade.canary_ms : 0);
		json_text(out, "note", outcome->note);
		json_end(out);
		return VERB_DONE;
	}
	fprintf(out, "%s %s %s -> %s: ", result, s->lib.worker.name,
		call->before, worker_version(call));
	put_outcome(out, outcome);
	if (canary)
		put_canary(call);
	if (*outcome->note)
		fprintf(out, "; %s", outcome->note);
	putc('\n', out);
	return VERB_DONE;
}

static enum verb_result refuse_change(
	struct verb_call *call, int rc, const struct fault *why)
{
	if (*why->text)
		return verb_refuse(call, "%s", why->text);
	return refuse_start(call, rc);
}

enum verb_result order_upgrade(struct verb_call *call)
{
	struct fault why = {0};
	int rc;

	remember_version(call);
	rc = upgrade_start(
		call->host->upgrade, call->argv[0], &why, call->done);
	return rc ? refuse_change(call, rc, &why) : VERB_LATER;
}

enum verb_result order_upgraded(
	struct verb_call *call, const struct family_outcome *outcome)
{
	return tell_change(call, "upgraded", outcome, true);
}

enum verb_result order_rollback(struct verb_call *call)
{
	struct fault why = {0};
	int rc;

	remember_version(call);
	rc = upgrade_roll_back(call->host->upgrade, &why, call->done);
	if (rc == -ENOENT && !*why.text)
		return verb_refuse(call, "there is no code before this one");
	return rc ? refuse_change(call, rc, &why) : VERB_LATER;
}

enum verb_result order_rolled_back(
	struct verb_call *call, const struct family_outcome *outcome)
{
	return tell_change(call, "rolled back", outcome, false);
}

/* ---- reload, resume ---- */

static void json_reloaded(FILE *out, const char *lines)
{
	json_begin(out);
	json_text(out, "result", "reloaded");
	json_text(out, "messages", lines);
	json_end(out);
}

enum verb_result order_reload(struct verb_call *call)
{
	char *lines = NULL;
	size_t bytes;
	FILE *to = open_memstream(&lines, &bytes);
	int rc;

	if (!to)
		return verb_refuse(call, "no memory; nothing has changed");
	rc = call->host->reload(call->host->arg, to);
	if (fclose(to)) {
		free(lines);
		return verb_refuse(call, "no memory for the messages");
	}
	if (rc)
		fprintf(call->out,
			"the configuration in effect stays, that of the file "
			"has problems:\n%s",
			lines);
	else if (call->format == REPORT_JSON)
		json_reloaded(call->out, lines);
	else
		fputs(*lines ? lines : "nothing has changed\n", call->out);
	free(lines);
	return rc ? VERB_REFUSED : VERB_DONE;
}

enum verb_result order_resume(struct verb_call *call)
{
	int rc = family_resume(call->host->family);

	if (rc)
		return verb_refuse(call,
			rc == -EALREADY ? "it is not held"
					: "there is no arena, and a new one "
					  "cannot be made: see the log");
	if (call->format == REPORT_JSON) {
		json_begin(call->out);
		json_text(call->out, "result", "resumed");
		json_end(call->out);
	} else {
		fputs("resumed\n", call->out);
	}
	return VERB_DONE;
}
