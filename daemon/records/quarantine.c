/* SPDX-License-Identifier: MIT */
/* quarantine.c -- tells of the quarantined requests, and drops them.
 *
 * The directory is read anew for each question: it is small, and the business
 * child changes it at any time. What is damaged is listed as that, so that it
 * can be dropped.
 */
#include "quarantine.h"

#include "common/quarantine.h"
#include "common/request_text.h"
#include "daemon/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define HEAD_BYTES    4096 /* read of a payload */
#define DUMP_BYTES    256  /* of them shown */
#define DUMP_COLUMNS  16
#define COMMAND_BYTES 1024
#define WHEN_BYTES    32

/* One file, as far as it was asked for. */
struct record {
	struct rf_quarantine_entry entry;
	struct rf_quarantined file;
	int error; /* it could not be read */
	uint8_t head[HEAD_BYTES];
	size_t head_bytes;
	char command[COMMAND_BYTES];
};

static int open_dir(const struct service *s)
{
	return rf_quarantine_dir(
		s->conf->refork.state_dir, s->conf->refork.name, false, NULL);
}

static void load(int dir, uint64_t id, bool running, struct record *r)
{
	int fd = rf_quarantine_open(dir, id, running, &r->file);

	r->entry = (struct rf_quarantine_entry){id, running};
	r->head_bytes = 0;
	r->error = fd < 0 ? fd : 0;
	if (fd < 0)
		return;
	r->head_bytes = r->file.bytes < HEAD_BYTES ? r->file.bytes : HEAD_BYTES;
	r->error = rf_quarantine_read(fd, r->head, r->head_bytes);
	close(fd);
}

static void decode(struct record *r, size_t room)
{
	rf_request_text(r->head, r->head_bytes, UINT32_MAX, r->command, room);
}

static const char *when(const struct record *r, char text[WHEN_BYTES])
{
	time_t seconds = (time_t)(r->file.at_ms / 1000);
	struct tm at;

	if (gmtime_r(&seconds, &at) == NULL ||
		strftime(text, WHEN_BYTES, "%Y-%m-%d %H:%M:%S UTC", &at) == 0)
		memcpy(text, "?", 2);
	return text;
}

static const char *state_of(const struct record *r)
{
	if (r->error != 0)
		return "damaged";
	return r->entry.running ? "running" : "kept";
}

/* ---- one in a list ---- */

#define LIST_COMMAND_BYTES 48

static void list_line(const struct record *r, FILE *out)
{
	char text[WHEN_BYTES];

	if (r->error != 0) {
		fprintf(out, "%5" PRIu64 "  cannot be read: %s\n", r->entry.id,
			strerror(-r->error));
		return;
	}
	fprintf(out, "%5" PRIu64 "  %s  %-21s  %9" PRIu64 " B  %s%s\n",
		r->entry.id, when(r, text), r->file.peer, r->file.bytes,
		r->command, r->entry.running ? "  (running)" : "");
}

static void json_facts(const struct record *r, FILE *out)
{
	json_text(out, "state", state_of(r));
	if (r->error != 0)
		return;
	json_signed(out, "at_ms", r->file.at_ms);
	json_text(out, "service", r->file.service);
	json_text(out, "worker", r->file.worker);
	json_number(out, "generation", r->file.generation);
	json_number(out, "attempts", r->file.attempts);
	json_text(out, "peer", r->file.peer);
	json_number(out, "conn_id", r->file.conn_id);
	json_number(out, "channel_epoch", r->file.channel_epoch);
	json_number(out, "position", r->file.position);
	json_number(out, "bytes", r->file.bytes);
	json_text(out, "command", r->command);
}

static void list_all(int dir, const struct rf_quarantine_entry *entries,
	int count, enum report_format f, FILE *out)
{
	for (int i = count - 1; i >= 0; i--) { /* newest first */
		struct record r;

		load(dir, entries[i].id, entries[i].running, &r);
		decode(&r, f == REPORT_TEXT ? sizeof r.command
					    : LIST_COMMAND_BYTES);
		if (f != REPORT_JSON) {
			list_line(&r, out);
			continue;
		}
		json_list_item(out, i == count - 1, "id", r.entry.id);
		json_facts(&r, out);
		json_list_item_end(out);
	}
}

void quarantine_list(const struct service *s, enum report_format f, FILE *out)
{
	struct rf_quarantine_entry *entries = NULL;
	int dir = open_dir(s);
	int count = dir < 0 ? 0 : rf_quarantine_list(dir, &entries);

	if (f == REPORT_JSON) {
		json_begin(out);
		json_list_begin(out, "requests");
		list_all(dir, entries, count, f, out);
		json_list_end(out);
		json_end(out);
	} else if (count <= 0) {
		fputs("no request is in quarantine\n", out);
	} else {
		list_all(dir, entries, count, f, out);
	}
	free(entries);
	if (dir >= 0)
		close(dir);
}

int quarantine_count(const struct service *s)
{
	struct rf_quarantine_entry *entries = NULL;
	int dir = open_dir(s);
	int count = dir < 0 ? 0 : rf_quarantine_list(dir, &entries);

	free(entries);
	if (dir >= 0)
		close(dir);
	return count < 0 ? 0 : count;
}

/* ---- one alone ---- */

static void dump_line(const uint8_t *at, size_t off, size_t bytes, FILE *out)
{
	fprintf(out, "  %04zx ", off);
	for (size_t i = 0; i < DUMP_COLUMNS; i++)
		if (i < bytes)
			fprintf(out, " %02x", at[i]);
		else
			fputs("   ", out);
	fputs("  ", out);
	for (size_t i = 0; i < bytes; i++)
		putc(at[i] >= ' ' && at[i] < 0x7f ? at[i] : '.', out);
	putc('\n', out);
}

static void dump(const struct record *r, FILE *out)
{
	size_t shown = r->head_bytes < DUMP_BYTES ? r->head_bytes : DUMP_BYTES;

	for (size_t off = 0; off < shown; off += DUMP_COLUMNS) {
		size_t rest = shown - off;

		dump_line(r->head + off, off,
			rest < DUMP_COLUMNS ? rest : DUMP_COLUMNS, out);
	}
	if (shown < r->file.bytes)
		fprintf(out, "  and %" PRIu64 " bytes more\n",
			r->file.bytes - shown);
}

static void show_text(const struct record *r, FILE *out)
{
	char text[WHEN_BYTES];

	fprintf(out,
		"quarantined request %" PRIu64 "%s\n"
		"  at          %s\n"
		"  service     %s, worker %s, generation %" PRIu64 "\n"
		"  client      %s, connection %" PRIu64 "\n"
		"  ended       %" PRIu64 " processes\n"
		"  request     %" PRIu64 " bytes, %s %" PRIu64
		" of channel %" PRIu64 "\n"
		"  command     %s\n",
		r->entry.id, r->entry.running ? ", being run again" : "",
		when(r, text), r->file.service, r->file.worker,
		r->file.generation, r->file.peer,
		rf_conn_serial(r->file.conn_id), r->file.attempts,
		r->file.bytes,
		r->file.position & RF_PARKED_POS ? "parked as" : "at",
		r->file.position & ~RF_PARKED_POS, r->file.channel_epoch,
		r->command);
	dump(r, out);
}

static void show(const struct record *r, enum report_format f, FILE *out)
{
	if (f != REPORT_JSON) {
		show_text(r, out);
		return;
	}
	json_begin(out);
	json_number(out, "id", r->entry.id);
	json_facts(r, out);
	json_bytes(out, "head", r->head,
		r->head_bytes < DUMP_BYTES ? r->head_bytes : DUMP_BYTES);
	json_end(out);
}

int quarantine_show(
	const struct service *s, uint64_t id, enum report_format f, FILE *out)
{
	struct record r;
	int dir = open_dir(s);

	if (dir < 0)
		return dir;
	load(dir, id, false, &r);
	if (r.error == -ENOENT)
		load(dir, id, true, &r);
	close(dir);
	if (r.error != 0)
		return r.error;
	decode(&r, sizeof r.command);
	show(&r, f, out);
	return 0;
}

/* ---- orders ---- */

static bool release_is_pending(const struct service *s)
{
	return rf_status_get(s->status->supervisor.release_serial) !=
	       rf_status_get(s->status->business.release_serial);
}

int quarantine_drop(const struct service *s, uint64_t id)
{
	char name[RF_QUARANTINE_NAME_BYTES];
	int error = 0, dir = open_dir(s);

	if (dir < 0)
		return dir;
	if (unlinkat(dir, rf_quarantine_name(id, false, name), 0) != 0)
		error = -errno;
	close(dir);
	return error;
}

int quarantine_release(struct service *s, uint64_t id)
{
	struct rf_quarantined file;
	int fd, dir = open_dir(s);

	if (dir < 0)
		return dir;
	fd = rf_quarantine_open(dir, id, false, &file);
	close(dir);
	if (fd < 0)
		return fd;
	close(fd);
	if (release_is_pending(s))
		return -EBUSY;
	rf_status_set(s->status->supervisor.release_id, id);
	__atomic_store_n(&s->status->supervisor.release_serial,
		rf_status_get(s->status->business.release_serial) + 1,
		__ATOMIC_RELEASE);
	rf_bell_ring(s->channel.bell_business);
	return 0;
}

void quarantine_trim(const struct service *s)
{
	int dir = open_dir(s);

	if (dir < 0)
		return;
	rf_quarantine_trim(dir, s->conf->quarantine.keep);
	close(dir);
}
