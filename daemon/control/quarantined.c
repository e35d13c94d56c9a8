/* SPDX-License-Identifier: MIT */
/* quarantined.c -- list, show, drop and release requests that killed.
 *
 * A release is an order to the business process by way of the status segment;
 * its answer comes the same way, so it is looked for until it is there.
 */
#include "orders.h"

#include "daemon/json.h"
#include "daemon/records/quarantine.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static enum verb_result refuse_record(struct verb_call *call, int rc)
{
	if (rc == -ENOENT)
		return verb_refuse(
			call, "no quarantined request %s", call->argv[0]);
	if (rc == -EBADMSG)
		return verb_refuse(call,
			"quarantined request %s: the file in state_dir is "
			"damaged",
			call->argv[0]);
	if (rc == -EFAULT)
		return verb_refuse(call,
			"quarantined request %s: it ended the process again; "
			"nothing of it took effect, and it stays",
			call->argv[0]);
	if (rc == -EBUSY)
		return verb_refuse(call,
			"quarantined request %s: another one is being "
			"released; try again",
			call->argv[0]);
	return verb_refuse(call, "quarantined request %s: %s", call->argv[0],
		strerror(-rc));
}

static enum verb_result tell(struct verb_call *call, const char *result)
{
	if (call->format == REPORT_JSON) {
		json_begin(call->out);
		json_text(call->out, "result", result);
		json_text(call->out, "id", call->argv[0]);
		json_end(call->out);
	} else {
		fprintf(call->out, "%s %s\n", result, call->argv[0]);
	}
	return VERB_DONE;
}

enum verb_result order_quarantine_list(struct verb_call *call)
{
	quarantine_list(call->host->service, call->format, call->out);
	return VERB_DONE;
}

enum verb_result order_quarantine_show(struct verb_call *call)
{
	uint64_t id;
	int rc = -ENOENT;

	if (verb_id(call, &id))
		rc = quarantine_show(
			call->host->service, id, call->format, call->out);
	return rc ? refuse_record(call, rc) : VERB_DONE;
}

enum verb_result order_quarantine_drop(struct verb_call *call)
{
	uint64_t id;
	int rc = -ENOENT;

	if (verb_id(call, &id))
		rc = quarantine_drop(call->host->service, id);
	return rc ? refuse_record(call, rc) : tell(call, "dropped");
}

enum verb_result order_quarantine_release(struct verb_call *call)
{
	uint64_t id;
	int rc = -ENOENT;

	if (family_begins(call->host->family))
		return VERB_LATER;
	if (!family_serves(call->host->family))
		return verb_refuse(call, "it is not serving");
	if (verb_id(call, &id))
		rc = quarantine_release(call->host->service, id);
	if (rc)
		return refuse_record(call, rc);
	call->serial = call->host->service->status->supervisor.release_serial;
	return VERB_LATER;
}

static enum verb_result tell_reply(
	struct verb_call *call, const char *reply, uint64_t bytes)
{
	size_t shown = bytes < 256 ? (size_t)bytes : 256;

	json_begin(call->out);
	json_text(call->out, "result", "released");
	json_text(call->out, "id", call->argv[0]);
	json_number(call->out, "reply_bytes", bytes);
	json_bytes(call->out, "reply", reply, shown);
	json_end(call->out);
	return VERB_DONE;
}

/* The reply is what a client would have got: bytes, whatever they are. */
static void put_printable(FILE *out, const char *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		unsigned char c = (unsigned char)bytes[i];

		if (c >= ' ' && c < 0x7f && c != '\\')
			putc(c, out);
		else if (c == '\r' || c == '\n')
			fputs(c == '\r' ? "\\r" : "\\n", out);
		else
			fprintf(out, "\\x%02x", c);
	}
}

#define REPLY_BYTES sizeof((struct rf_status_business *)0)->release_reply

/* As much of it as there is. */
static void put_reply(FILE *out, const char *reply, uint64_t bytes)
{
	put_printable(
		out, reply, bytes < REPLY_BYTES ? (size_t)bytes : REPLY_BYTES);
	if (bytes > REPLY_BYTES)
		fputs("...", out);
}

static enum verb_result refuse_reply(
	struct verb_call *call, const char *reply, uint64_t bytes)
{
	char text[4 * REPLY_BYTES + 4] = "";
	FILE *out;

	while (bytes > 0 && bytes <= REPLY_BYTES &&
		(reply[bytes - 1] == '\n' || reply[bytes - 1] == '\r'))
		bytes--;
	out = fmemopen(text, sizeof(text), "w");
	if (out) {
		put_reply(out, reply, bytes);
		fclose(out);
	}
	return verb_refuse(call,
		"quarantined request %s: answered with an error; nothing of it "
		"took effect, and it stays: %s",
		call->argv[0], text);
}

enum verb_result order_quarantine_released(
	struct verb_call *call, const struct family_outcome *outcome)
{
	const struct rf_status_business *b =
		&call->host->service->status->business;
	char reply[sizeof(b->release_reply)];
	uint64_t bytes = rf_status_get(b->release_reply_bytes);
	int64_t result = rf_status_get(b->release_result);

	(void)outcome;
	if (!call->serial) /* it was not serving yet */
		return order_quarantine_release(call);
	if (rf_status_get(b->release_serial) != call->serial)
		return VERB_LATER;
	memcpy(reply, b->release_reply, sizeof(reply));
	if (result == -ECANCELED)
		return refuse_reply(call, reply, bytes);
	if (result)
		return refuse_record(call, (int)result);
	if (call->format == REPORT_JSON)
		return tell_reply(call, reply, bytes);
	fprintf(call->out,
		"released %s, reply of %" PRIu64 " bytes: ", call->argv[0],
		bytes);
	put_reply(call->out, reply, bytes);
	fputc('\n', call->out);
	return VERB_DONE;
}
