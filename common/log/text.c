/* SPDX-License-Identifier: MIT */
/* text.c -- a log line as text, and what all forms share. */
#include "said.h"

static const struct {
	const char *name;
	int priority; /* of syslog(3), as the journal wants it */
} levels[RF_LOG_LEVEL_COUNT] = {
	[RF_LOG_ERROR] = {"error", 3},
	[RF_LOG_WARNING] = {"warning", 4},
	[RF_LOG_NOTICE] = {"notice", 5},
	[RF_LOG_INFO] = {"info", 6},
	[RF_LOG_DEBUG] = {"debug", 7},
};

int rf_said_priority(enum rf_log_level level)
{
	return levels[level].priority;
}

const char *rf_said_level(enum rf_log_level level)
{
	return levels[level].name;
}

/* ---- UTF-8 ---- */

/* What the first byte says; 0: it is none. */
static size_t wanted(unsigned char lead)
{
	if (lead < 0x80)
		return 1;
	if (lead < 0xc2 || lead > 0xf4)
		return 0;
	return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

size_t rf_said_character(const char *at, size_t bytes)
{
	const unsigned char *u = (const unsigned char *)at;
	size_t n = wanted(u[0]);

	if (n == 0 || n > bytes)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((u[i] & 0xc0) != 0x80)
			return 0;
	/* Longer than need be, a surrogate, beyond U+10FFFF. */
	if ((u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] > 0x9f) ||
		(u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] > 0x8f))
		return 0;
	return n;
}

size_t rf_said_cut(const char *text, size_t bytes)
{
	for (size_t back = 1; back <= 3 && back <= bytes; back++) {
		unsigned char u = (unsigned char)text[bytes - back];

		if ((u & 0xc0) == 0x80)
			continue;
		return wanted(u) > back ? bytes - back : bytes;
	}
	return bytes;
}

/* ---- time ---- */

static void put_digits(char *at, int64_t number, int digits)
{
	for (int i = digits - 1; i >= 0; i--) {
		at[i] = (char)('0' + number % 10);
		number /= 10;
	}
}

/* By hand: gmtime_r(3) takes a lock, which a fork or a signal may find taken.
 * Days are counted in eras of 400 years that begin on the first of March. */
size_t rf_said_time(int64_t at_ms, char out[RF_SAID_TIME_BYTES])
{
	int64_t ms_of_day = at_ms % 86400000;
	int64_t days = at_ms / 86400000 + 719468; /* since 0000-03-01 */
	int64_t era = days / 146097, day = days % 146097;
	int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	int64_t month;

	day -= 365 * year + year / 4 - year / 100;
	month = (5 * day + 2) / 153;
	day -= (153 * month + 2) / 5;
	month += month < 10 ? 3 : -9;
	year += era * 400 + (month <= 2);
	memcpy(out, "yyyy-mm-ddThh:mm:ss.mmmZ", RF_SAID_TIME_BYTES);
	put_digits(out, year, 4);
	put_digits(out + 5, month, 2);
	put_digits(out + 8, day + 1, 2);
	put_digits(out + 11, ms_of_day / 3600000, 2);
	put_digits(out + 14, ms_of_day / 60000 % 60, 2);
	put_digits(out + 17, ms_of_day / 1000 % 60, 2);
	put_digits(out + 20, ms_of_day % 1000, 3);
	return RF_SAID_TIME_BYTES - 1;
}

/* ---- the line ---- */

static void put_lead(
	struct rf_out *out, const struct rf_said *said, bool to_journal)
{
	char time[RF_SAID_TIME_BYTES];

	if (to_journal) {
		rf_out_text(out, "<");
		rf_out_number(out, (uint64_t)levels[said->level].priority);
		rf_out_text(out, ">");
		return;
	}
	rf_out_add(out, time, rf_said_time(said->at_ms, time));
	rf_out_text(out, " ");
}

/* As much of it as there is room for. */
static void put_plain(struct rf_out *out, const char *text, size_t bytes)
{
	size_t room = (size_t)(out->end - out->at);

	if (out->full || bytes <= room) {
		rf_out_add(out, text, bytes);
		return;
	}
	rf_out_add(out, text, rf_said_cut(text, room));
	out->full = true;
}

static void put_message(struct rf_out *out, const char *text, size_t bytes)
{
	static const char hex[] = "0123456789abcdef";
	size_t plain = 0;

	for (size_t i = 0; i < bytes && !out->full; i++) {
		unsigned char u = (unsigned char)text[i];
		const char code[] = {'\\', 'x', hex[u >> 4], hex[u & 15]};

		if ((u >= 0x20 && u != 0x7f) || u == '\t')
			continue;
		put_plain(out, text + plain, i - plain);
		rf_out_add(out, code, sizeof code);
		plain = i + 1;
	}
	put_plain(out, text + plain, bytes - plain);
}

size_t rf_said_as_text(const struct rf_said *said, bool to_journal,
	char out[RF_SAID_TEXT_BYTES])
{
	struct rf_out line = {.at = out, .end = out + RF_SAID_TEXT_BYTES - 1};

	put_lead(&line, said, to_journal);
	rf_out_text(&line, said->service);
	rf_out_text(&line, " ");
	rf_out_text(&line, said->role);
	rf_out_text(&line, "[");
	rf_out_number(&line, (uint64_t)said->pid);
	rf_out_text(&line, "]");
	if (said->generation != 0) {
		rf_out_text(&line, "/");
		rf_out_number(&line, said->generation);
	}
	rf_out_text(&line, " ");
	rf_out_text(&line, levels[said->level].name);
	rf_out_text(&line, ": ");
	put_message(&line, said->text, said->text_bytes);
	*line.at++ = '\n';
	return (size_t)(line.at - out);
}
