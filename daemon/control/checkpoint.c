/* SPDX-License-Identifier: MIT */
/* checkpoint.c -- before and after another program (CRIU) writes the service
 * down: checkpoint prepare, checkpoint end. */
#include "daemon/figures.h"
#include "daemon/json.h"
#include "orders.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

/* The kernel's number of the namespace that it started with. */
#define IPC_NAMESPACE_FIRST 0xEFFFFFFFU

static bool has_own_ipc_namespace(void)
{
	struct stat st;

	return !stat("/proc/self/ns/ipc", &st) &&
	       st.st_ino != IPC_NAMESPACE_FIRST;
}

static enum verb_result refuse_state(struct verb_call *call, int rc)
{
	if (rc == -EBUSY)
		return verb_refuse(call,
			"a re-fork is under way, or it is not serving: try "
			"again when `reforkctl wait` returns");
	if (rc == -EALREADY)
		return verb_refuse(call,
			"it is not prepared for a checkpoint; nothing has "
			"changed");
	if (rc == -ECANCELED)
		return verb_refuse(call,
			"a child crashed meanwhile, which ends the "
			"preparation: prepare again");
	return verb_refuse(call, "%s; nothing has changed", strerror(-rc));
}

static enum verb_result tell(struct verb_call *call, const char *result)
{
	if (call->format == REPORT_JSON) {
		json_begin(call->out);
		json_text(call->out, "result", result);
		json_end(call->out);
	} else {
		fprintf(call->out, "%s\n", result);
	}
	return VERB_DONE;
}

enum verb_result order_checkpoint_prepare(struct verb_call *call)
{
	const struct service *s = call->host->service;
	int rc;

	if (s->arena.backend == RF_BACKEND_SYSV && !has_own_ipc_namespace())
		return verb_refuse(call,
			"arena.backend = sysv, and this is the machine's IPC "
			"namespace: its segments are nothing that CRIU can "
			"write down. Start reforkd under `unshare --ipc`, or "
			"use another backend; nothing has changed");
	rc = family_prepare_checkpoint(call->host->family);
	return rc ? refuse_state(call, rc) : VERB_LATER;
}

enum verb_result order_checkpoint_prepared(
	struct verb_call *call, const struct family_outcome *outcome)
{
	int rc = family_checkpoint_state(call->host->family);

	(void)outcome;
	if (rc == -EAGAIN)
		return VERB_LATER;
	return rc ? refuse_state(call, rc) : tell(call, "prepared");
}

enum verb_result order_checkpoint_end(struct verb_call *call)
{
	int rc = family_end_checkpoint(call->host->family, call->done);

	return rc ? refuse_state(call, rc) : VERB_LATER;
}

enum verb_result order_checkpoint_ended(
	struct verb_call *call, const struct family_outcome *outcome)
{
	if (outcome->error)
		return verb_refuse(call, "%s",
			*outcome->why ? outcome->why
				      : strerror(-outcome->error));
	if (call->format == REPORT_JSON) {
		json_begin(call->out);
		json_text(call->out, "result", "ended");
		json_number(call->out, "generation", outcome->generation);
		json_signed(call->out, "pause_us", outcome->pause_us);
		json_end(call->out);
		return VERB_DONE;
	}
	fprintf(call->out, "ended: generation %" PRIu64 " serves, pause ",
		outcome->generation);
	put_ms(call->out, outcome->pause_us);
	putc('\n', call->out);
	return VERB_DONE;
}
