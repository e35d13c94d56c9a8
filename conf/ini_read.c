/* SPDX-License-Identifier: MIT */
/* ini_read.c -- inih, made safe for an operator's typing.
 *
 * The problem. inih splits lines well, but tells its handler no line numbers,
 * names only the first bad line, cuts a long line in two, ends a line at a
 * NUL, joins an indented line to the one above and drops what follows "]".
 * The idea. inih takes its lines from a reader; ours counts them and lets
 * through only lines that inih cannot misread:
 *   - not longer than its buffer, without control characters   take_line()
 *   - not indented, nothing but a comment after "[section]"    line_flaw()
 * A refused line is reported and reaches inih as an empty one. One that inih
 * should pass to the handler and does not is reported when the next is due.
 */
#include "conf/ini_read.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <string.h>

struct reader {
	FILE *in;
	const struct ini_sink *sink;
	int line;
	int problem_count;
	long bytes;    /* read so far */
	bool key_due;  /* the last line has yet to reach on_pair() */
	bool skipping; /* inside a section that the sink refused */
};

static void __attribute__((format(printf, 2, 3)))
problem(struct reader *r, const char *format, ...)
{
	char what[128];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	r->problem_count++;
	r->sink->on_problem(r->sink->user, r->line, what);
}

/* One line without its end into text[size]. Returns false at the end of the
 * file; *sound says whether the line can be used. */
static bool take_line(struct reader *r, char *text, int size, bool *sound)
{
	int length = 0, control = -1, c;

	while ((c = getc(r->in)) != EOF && c != '\n') {
		if (++r->bytes > INI_FILE_BYTES_MAX)
			break;
		if (length < size - 1)
			text[length] = (char)c;
		if (iscntrl(c) && c != '\t' && c != '\r' && control < 0)
			control = c;
		length++;
	}
	if (c == EOF && length == 0)
		return false;

	r->line++;
	r->bytes++;
	*sound = false;
	if (r->bytes > INI_FILE_BYTES_MAX) {
		problem(r,
			"the file is larger than %d bytes; the rest is "
			"not read",
			INI_FILE_BYTES_MAX);
		return false;
	}
	if (length >= size - 1) {
		problem(r, "the line is longer than %d bytes", size - 2);
		return true;
	}
	if (length > 0 && text[length - 1] == '\r')
		length--;
	text[length] = '\0';
	if (control < 0 && memchr(text, '\r', (size_t)length))
		control = '\r';
	if (control >= 0)
		problem(r, "the line holds a control character (0x%02x)",
			(unsigned)control);
	*sound = control < 0;
	return true;
}

static bool is_comment(char c)
{
	return c == ';' || c == '#';
}

/* "[section]" and nothing else but a comment. Returns what is wrong. */
static const char *open_section(struct reader *r, const char *text)
{
	const char *end = strchr(text, ']');
	char section[INI_LINE_BYTES_MAX + 1];

	r->skipping = true;
	if (!end)
		return "`[` without `]`; the keys below are not read";
	end += 1 + strspn(end + 1, " \t");
	if (*end && !is_comment(*end))
		return "text after `[section]`; the keys below are not read";

	snprintf(section, sizeof(section), "%.*s",
		(int)(strchr(text, ']') - text - 1), text + 1);
	r->skipping = !r->sink->on_section(r->sink->user, r->line, section);
	return NULL;
}

/* What inih would misread in a line; NULL: nothing. */
static const char *line_flaw(struct reader *r, const char *text)
{
	const char *start = text + strspn(text, " \t");

	if (*start == '\0' || is_comment(*start))
		return NULL;
	if (start > text)
		return "the line is indented; a key or a section begins in "
		       "the first column";
	if (*start == '[')
		return open_section(r, text);
	r->key_due = true;
	return NULL;
}

/* fgets() as inih wants it: the next line that it can read. */
static char *next_line(char *text, int size, void *user)
{
	static const char bom[] = "\xEF\xBB\xBF";
	struct reader *r = user;
	const char *start = text, *flaw;
	bool sound;

	if (r->key_due)
		problem(r, "expected `key = value` or `[section]`");
	r->key_due = false;
	if (!take_line(r, text, size, &sound))
		return NULL;
	if (r->line == 1 && !strncmp(text, bom, strlen(bom)))
		start += strlen(bom); /* inih skips it as well */

	flaw = sound ? line_flaw(r, start) : NULL;
	if (flaw)
		problem(r, "%s", flaw);
	if (flaw || !sound)
		text[0] = '\0';
	return text;
}

static int on_pair(
	void *user, const char *section, const char *key, const char *value)
{
	struct reader *r = user;

	r->key_due = false;
	if (!r->skipping)
		r->sink->on_key(r->sink->user, r->line, section, key, value);
	return 1;
}

int ini_read(FILE *in, const struct ini_sink *sink)
{
	struct reader r = {.in = in, .sink = sink};
	int result;

	ini_max_line = INI_LINE_BYTES_MAX + 2;
	errno = 0;
	result = ini_parse_stream(next_line, &r, on_pair, &r);
	if (ferror(in))
		return errno ? -errno : -EIO;
	if (result != 0 && r.problem_count == 0)
		problem(&r, "inih stops with %d", result);
	return 0;
}
