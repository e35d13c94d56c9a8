/* SPDX-License-Identifier: MIT */
/* tell.c -- a crash record as a line, a row, a page or JSON.
 *
 * A record has been checked before it gets here (compose_check): its numbers
 * are in their ranges, its strings end. What it says is still only printed.
 */
#include "tell.h"

#include "crash_words.h"
#include "daemon/json.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>

/* The widest come last: that is where a terminal ends. */
#define ROW	      "%6s  %-19.19s  %-12s  %-18s  %-13s  %-30s  %s\n"
#define WHO_COLUMNS   12
#define WHAT_COLUMNS  18
#define WHERE_COLUMNS 30

static double ms(int64_t us)
{
	return (double)us / 1000;
}

/* "business/7" */
static char *process(const struct rf_crash *r, char out[CRASH_WORDS_BYTES])
{
	int n = snprintf(out, CRASH_WORDS_BYTES, "%s", crash_role(r));

	if (r->generation)
		snprintf(out + n, CRASH_WORDS_BYTES - (size_t)n, "/%" PRIu64,
			r->generation);
	return out;
}

static const char *recovered(
	const struct rf_crash *r, char out[CRASH_WORDS_BYTES])
{
	if (r->to_serving_us < 0)
		snprintf(out, CRASH_WORDS_BYTES, "-");
	else
		snprintf(out, CRASH_WORDS_BYTES, "%.2f ms",
			ms(r->to_serving_us));
	return out;
}

/* ---- for the log ---- */

static void line_recovery(const struct rf_crash *r, FILE *out)
{
	if (!r->successor_generation)
		return;
	fprintf(out, "; %s took over",
		r->by_standby ? "the standby" : "a new process");
	if (r->to_serving_us >= 0)
		fprintf(out, ", serving again after %.2f ms",
			ms(r->to_serving_us));
	if (r->undone)
		fprintf(out, ", %" PRIu64 " change%s rolled back", r->undone,
			r->undone == 1 ? "" : "s");
}

void tell_line(const struct rf_crash *r, FILE *out)
{
	char end[CRASH_WORDS_BYTES], request[CRASH_REQUEST_BYTES];

	fprintf(out, "crash %" PRIu64 ": %s pid %d", r->id, crash_role(r),
		r->pid);
	if (r->generation)
		fprintf(out, " (generation %" PRIu64 ")", r->generation);
	fprintf(out, " %s", crash_end(r, end));
	if (r->request.present)
		fprintf(out, " in \"%s\" from %s", crash_request(r, request),
			*r->request.peer ? r->request.peer : "a client");
	line_recovery(r, out);
	fprintf(out, "; reforkctl crash show %" PRIu64, r->id);
}

/* ---- the table ---- */

/* Cut to `columns`, with dots for what is missing. */
static void cut(char *text, size_t columns)
{
	if (strlen(text) > columns)
		strcpy(text + columns - 3, "...");
}

/* "kv_set+0x1c4 (string.c:88)" of "kv_set+0x1c4 (worker/kv/string.c:88)" */
static char *without_folder(char *where)
{
	char *from = strchr(where, '('), *slash = strrchr(where, '/');

	if (from && slash > from)
		memmove(from + 1, slash + 1, strlen(slash));
	return where;
}

void tell_table_begin(enum report_format f, FILE *out)
{
	if (f != REPORT_JSON) {
		fprintf(out, ROW, "id", "when (UTC)", "process", "what",
			"serving after", "where", "request");
		return;
	}
	json_begin(out);
	json_list_begin(out, "crashes");
}

/* For people every column has its place; for programs nothing is cut. */
static void text_row(const struct rf_crash *r, enum report_format f, FILE *out)
{
	char id[24], when[CRASH_WORDS_BYTES], who[CRASH_WORDS_BYTES],
		what[CRASH_WORDS_BYTES];
	char where[CRASH_WORDS_BYTES], request[CRASH_REQUEST_BYTES],
		after[CRASH_WORDS_BYTES];

	snprintf(id, sizeof(id), "%" PRIu64, r->id);
	crash_end(r, what);
	crash_where(r, where);
	crash_request(r, request);
	process(r, who);
	if (f == REPORT_COLOR) {
		cut(who, WHO_COLUMNS);
		cut(what, WHAT_COLUMNS);
		cut(without_folder(where), WHERE_COLUMNS);
	}
	fprintf(out, ROW, id, crash_time(r, when), who, what,
		recovered(r, after), *where ? where : "-",
		*request ? request : "-");
}

void tell_table_end(enum report_format f, FILE *out)
{
	if (f != REPORT_JSON)
		return;
	json_list_end(out);
	json_end(out);
}

/* ---- JSON ---- */

static void json_address(FILE *out, const char *key, uint64_t address)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, address);
	json_text(out, key, text);
}

static void json_request(const struct rf_crash *r, FILE *out)
{
	char text[CRASH_REQUEST_BYTES];

	json_text(out, "request", crash_request(r, text));
	json_number(out, "request_bytes", r->request.bytes);
	json_number(out, "request_attempt", r->request.attempt);
	json_number(out, "request_position", r->request.position);
	json_text(out, "client", r->request.peer);
}

static void json_recovery(const struct rf_crash *r, FILE *out)
{
	json_text(out, "rung", crash_rung(r));
	json_number(out, "successor_generation", r->successor_generation);
	json_number(out, "by_standby", r->by_standby);
	json_number(out, "undone", r->undone);
	json_number(out, "verified", r->verified);
	json_signed(out, "to_lease_us", r->to_lease_us);
	json_signed(out, "rollback_us", r->rollback_us);
	json_signed(out, "to_serving_us", r->to_serving_us);
}

/* Empty words of all others: a program need not ask which it is. */
static void json_stray(const struct rf_crash *r, FILE *out)
{
	const struct rf_crash_stray *stray = &r->stray;
	bool in_block = stray->spot == RF_SPOT_BLOCK;
	char text[CRASH_WORDS_BYTES];

	json_text(out, "stray", crash_spot(r, text));
	if (stray->kind != RF_STRAY_NONE)
		json_address(out, "stray_address", stray->address);
	else
		json_text(out, "stray_address", "");
	json_text(out, "stray_slot", stray->slot);
	json_number(out, "stray_offset",
		in_block ? stray->address - stray->block : 0);
	json_number(out, "stray_block_bytes", stray->block_bytes);
	json_text(out, "stray_change", crash_change(r, text));
}

/* All but the id, which opens the object or its list item. */
static void json_facts(const struct rf_crash *r, FILE *out)
{
	const char *name =
		r->how == CLD_EXITED ? NULL : sigabbrev_np(r->status);
	char text[CRASH_WORDS_BYTES], signal_name[24] = "";

	if (name)
		snprintf(signal_name, sizeof(signal_name), "SIG%s", name);
	json_signed(out, "at_ms", r->at_ms);
	json_text(out, "at", crash_time(r, text));
	json_text(out, "process", crash_role(r));
	json_signed(out, "pid", r->pid);
	json_number(out, "generation", r->generation);
	json_text(out, "cause", crash_cause(r));
	json_text(out, "end", crash_end(r, text));
	json_text(out, "signal", signal_name);
	json_signed(out, "exit_code", r->how == CLD_EXITED ? r->status : -1);
	json_number(out, "core_dumped", r->how == CLD_DUMPED);
	json_signed(out, "signal_code", r->code);
	json_text(out, "reason", crash_reason(r, text));
	json_signed(out, "sender_pid", r->sender_pid);
	if (crash_has_address(r))
		json_address(out, "address", r->address);
	else
		json_text(out, "address", "");
	json_stray(r, out);
	json_text(out, "phase", crash_phase(r));
	json_text(out, "where", crash_where(r, text));
	json_request(r, out);
	json_recovery(r, out);
}

void tell_row(
	const struct rf_crash *r, bool first, enum report_format f, FILE *out)
{
	if (f != REPORT_JSON) {
		text_row(r, f, out);
		return;
	}
	json_list_item(out, first, "id", r->id);
	json_facts(r, out);
	json_list_item_end(out);
}

static const char *backtrace(const struct rf_crash *r)
{
	if (!__atomic_load_n(&r->text_complete, __ATOMIC_ACQUIRE))
		return "";
	return r->text;
}

/* Not of a process that was described from outside. */
static bool has_registers(const struct rf_crash *r)
{
	uint64_t any = 0;

	for (size_t i = 0; i < RF_CRASH_REGISTERS; i++)
		any |= r->registers[i];
	return r->has_scene && any;
}

static void json_page(const struct rf_crash *r, FILE *out)
{
	json_begin(out);
	json_number(out, "id", r->id);
	json_facts(r, out);
	json_address(out, "pc", r->pc);
	json_address(out, "sp", r->sp);
	for (size_t i = 0; has_registers(r) && crash_registers[i]; i++)
		json_address(out, crash_registers[i], r->registers[i]);
	json_number(out, "backtrace_complete", r->text_complete != 0);
	json_bytes(out, "backtrace", backtrace(r), strlen(backtrace(r)));
	json_end(out);
}

/* ---- the page ---- */

static void page_stray(const struct rf_crash *r, FILE *out)
{
	char text[CRASH_WORDS_BYTES];

	if (r->stray.kind == RF_STRAY_NONE)
		return;
	fprintf(out, "  memory     %#" PRIx64 ": %s\n", r->stray.address,
		crash_spot(r, text));
	if (*crash_change(r, text))
		fprintf(out, "  change     %s\n", text);
}

static void page_request(const struct rf_crash *r, FILE *out)
{
	char text[CRASH_REQUEST_BYTES];

	if (!r->request.present) {
		if (r->phase)
			fprintf(out, "  doing      %s\n", crash_phase(r));
		return;
	}
	fprintf(out, "  request    %s\n", crash_request(r, text));
	fprintf(out,
		"             %" PRIu64 " bytes, attempt %u, %s %" PRIu64 "\n",
		r->request.bytes, r->request.attempt,
		r->request.position & RF_PARKED_POS ? "parked as" : "position",
		r->request.position & ~RF_PARKED_POS);
	if (*r->request.peer)
		fprintf(out, "  client     %s\n", r->request.peer);
}

static void put_step(FILE *out, const char *lead, const char *words, int64_t us)
{
	if (us >= 0)
		fprintf(out, "%s%s %.3f ms", lead, words, ms(us));
}

static void page_recovery(const struct rf_crash *r, FILE *out)
{
	if (*crash_answer(r))
		fprintf(out, "  answer     %s\n", crash_answer(r));
	if (!r->successor_generation)
		return;
	fprintf(out, "  recovery   %s took over as generation %" PRIu64,
		r->by_standby ? "the standby" : "a new process",
		r->successor_generation);
	fprintf(out, "; %" PRIu64 " change%s rolled back%s\n", r->undone,
		r->undone == 1 ? "" : "s",
		r->verified ? "; the whole arena verified" : "");
	if (r->to_serving_us < 0)
		return;
	fprintf(out, "             ");
	put_step(out, "", "lease after", r->to_lease_us);
	put_step(out, r->to_lease_us < 0 ? "" : ", ", "rolled back in",
		r->rollback_us);
	put_step(out, r->to_lease_us < 0 && r->rollback_us < 0 ? "" : ", ",
		r->to_lease_us < 0 ? "serving, from the lease, after"
				   : "serving after",
		r->to_serving_us);
	putc('\n', out);
}

static void page_backtrace(const struct rf_crash *r, FILE *out)
{
	const char *text = backtrace(r);

	if (!__atomic_load_n(&r->text_complete, __ATOMIC_ACQUIRE))
		text = "(not made yet)";
	if (!*text)
		return;
	fprintf(out, "\n  backtrace\n");
	while (*text) {
		size_t bytes = strcspn(text, "\n");

		fprintf(out, "    %.*s\n", (int)bytes, text);
		text += bytes + (text[bytes] != 0);
	}
}

static void page_registers(const struct rf_crash *r, FILE *out)
{
	if (!has_registers(r))
		return;
	fprintf(out, "\n  registers");
	for (size_t i = 0; crash_registers[i]; i++)
		fprintf(out, "%s%-7s 0x%016" PRIx64, i % 3 ? "   " : "\n    ",
			crash_registers[i], r->registers[i]);
	putc('\n', out);
}

static void text_page(const struct rf_crash *r, FILE *out)
{
	char text[CRASH_WORDS_BYTES], why[CRASH_WORDS_BYTES];
	const char *reason = crash_reason(r, why);

	fprintf(out, "crash %" PRIu64 ": %s, pid %d, at %s UTC\n", r->id,
		crash_role(r), r->pid, crash_time(r, text));
	fprintf(out, "  end        %s%s%s%s\n", crash_end(r, text),
		*reason ? ": " : "", reason,
		r->how == CLD_DUMPED ? "; a core was dumped" : "");
	page_stray(r, out);
	if (*crash_where(r, text))
		fprintf(out, "  where      %s\n", text);
	if (r->generation)
		fprintf(out, "  generation %" PRIu64 "\n", r->generation);
	page_request(r, out);
	page_recovery(r, out);
	page_backtrace(r, out);
	page_registers(r, out);
}

void tell_page(const struct rf_crash *r, enum report_format f, FILE *out)
{
	if (f == REPORT_JSON)
		json_page(r, out);
	else
		text_page(r, out);
}
