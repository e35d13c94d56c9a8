/* SPDX-License-Identifier: MIT */
/* json.c -- a log line as a flat JSON object.
 *
 * The message comes last: when there is not room for all of it, its end is cut
 * off between two characters, and the line is an object still.
 */
#include "said.h"

#define MESSAGE_ROOM 1024 /* fields leave at least that to the message */
#define END	     "\"}\n"

static void put_code(struct rf_out *out, unsigned int code)
{
	static const char hex[] = "0123456789abcdef";
	const char text[] = {'\\', 'u', hex[code >> 12 & 15],
		hex[code >> 8 & 15], hex[code >> 4 & 15], hex[code & 15]};

	rf_out_add(out, text, sizeof text);
}

/* One character, or one byte that is none. Returns how many bytes it took. */
static size_t put_character(struct rf_out *out, const char *at, size_t bytes)
{
	static const char shorts[] = "\"\"\\\\\bb\ff\nn\rr\tt";
	size_t n = rf_said_character(at, bytes);

	if (n == 0) {
		put_code(out, 0xfffd);
		return 1;
	}
	for (size_t i = 0; n == 1 && i < sizeof shorts - 1; i += 2) {
		const char code[] = {'\\', shorts[i + 1]};

		if (*at != shorts[i])
			continue;
		rf_out_add(out, code, sizeof code);
		return 1;
	}
	if ((unsigned char)*at < 0x20 || *at == 0x7f)
		put_code(out, (unsigned char)*at);
	else
		rf_out_add(out, at, n);
	return n;
}

/* As much of it as there is room for. */
static void put_string(struct rf_out *out, const char *text, size_t bytes)
{
	while (bytes > 0 && !out->full) {
		size_t n = put_character(out, text, bytes);

		text += n;
		bytes -= n;
	}
}

static void put_key(struct rf_out *out, const char *key)
{
	rf_out_text(out, ",\"");
	rf_out_text(out, key);
	rf_out_text(out, "\":");
}

static void put_pair(
	struct rf_out *out, const char *key, const char *text, size_t bytes)
{
	put_key(out, key);
	rf_out_text(out, "\"");
	put_string(out, text, bytes);
	rf_out_text(out, "\"");
}

static void put_count(struct rf_out *out, const char *key, uint64_t number)
{
	put_key(out, key);
	rf_out_number(out, number);
}

/* Whole or not at all. */
static void put_field(struct rf_out *out, const struct rf_log_field *field)
{
	struct rf_out so_far = *out;

	if (field->text != NULL)
		put_pair(out, field->name, field->text, strlen(field->text));
	else
		put_count(out, field->name, field->number);
	if (out->full)
		*out = so_far;
}

static void put_about(struct rf_out *out, const struct rf_said *said)
{
	char time[RF_SAID_TIME_BYTES];
	const char *level = rf_said_level(said->level);

	rf_out_text(out, "{\"schema\":1");
	put_pair(out, "time", time, rf_said_time(said->at_ms, time));
	put_pair(out, "level", level, strlen(level));
	put_pair(out, "service", said->service, strlen(said->service));
	put_pair(out, "role", said->role, strlen(said->role));
	put_count(out, "pid", (uint64_t)said->pid);
	if (said->generation != 0)
		put_count(out, "generation", said->generation);
	if (said->event != NULL)
		put_pair(out, "event", said->event->name,
			strlen(said->event->name));
}

size_t rf_said_as_json(const struct rf_said *said, bool to_journal,
	char out[RF_SAID_JSON_BYTES])
{
	const char priority[] = {
		'<', (char)('0' + rf_said_priority(said->level)), '>'};
	struct rf_out line = {
		.at = out, .end = out + RF_SAID_JSON_BYTES - MESSAGE_ROOM};

	if (to_journal)
		rf_out_add(&line, priority, sizeof priority);
	put_about(&line, said);
	for (const struct rf_log_field *field = said->fields;
		field != NULL && field->name != NULL; field++)
		put_field(&line, field);
	line.end = out + RF_SAID_JSON_BYTES - (sizeof END - 1);
	put_key(&line, "message");
	rf_out_text(&line, "\"");
	put_string(&line, said->text, said->text_bytes);
	line.full = false;
	line.end = out + RF_SAID_JSON_BYTES;
	rf_out_text(&line, END);
	return (size_t)(line.at - out);
}
