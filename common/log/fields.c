/* SPDX-License-Identifier: MIT */
/* fields.c -- a log line as the fields of a journal entry.
 *
 * "NAME=value\n", or, as a value may hold a newline, "NAME\n", its length as 64
 * bits little endian, value, "\n".
 */
#include "said.h"
#include <ctype.h>
#include <endian.h>

static void put_length(struct rf_out *out, size_t bytes)
{
	uint64_t length = htole64((uint64_t)bytes);

	rf_out_add(out, &length, sizeof length);
}

/* The name and what leads the value. */
static void put_value_lead(struct rf_out *out, const char *text, size_t bytes)
{
	if (memchr(text, '\n', bytes) == NULL) {
		rf_out_text(out, "=");
		return;
	}
	rf_out_text(out, "\n");
	put_length(out, bytes);
}

static void put_value(struct rf_out *out, const char *text)
{
	size_t bytes = strlen(text);

	put_value_lead(out, text, bytes);
	rf_out_add(out, text, bytes);
	rf_out_text(out, "\n");
}

static void put_text(struct rf_out *out, const char *name, const char *text)
{
	rf_out_text(out, name);
	put_value(out, text);
}

static void put_number(struct rf_out *out, const char *name, uint64_t number)
{
	rf_out_text(out, name);
	rf_out_text(out, "=");
	rf_out_number(out, number);
	rf_out_text(out, "\n");
}

/* "crash_id" is REFORK_CRASH_ID, "code_line" CODE_LINE. Whole or not at all. */
static void put_field(struct rf_out *out, const struct rf_log_field *field)
{
	struct rf_out so_far = *out;

	if (strncmp(field->name, "code_", 5) != 0)
		rf_out_text(out, "REFORK_");
	for (const char *at = field->name; *at != '\0'; at++) {
		char upper = (char)toupper((unsigned char)*at);

		rf_out_add(out, &upper, 1);
	}
	if (field->text != NULL)
		put_value(out, field->text);
	else
		put_number(out, "", field->number);
	if (out->full)
		*out = so_far;
}

size_t rf_said_as_fields(
	const struct rf_said *said, char out[RF_SAID_HEAD_BYTES])
{
	const size_t reserve = sizeof "MESSAGE\n" + sizeof(uint64_t);
	struct rf_out head = {
		.at = out, .end = out + RF_SAID_HEAD_BYTES - reserve};

	put_number(&head, "PRIORITY", (uint64_t)rf_said_priority(said->level));
	put_text(&head, "SYSLOG_IDENTIFIER", "refork");
	put_text(&head, "REFORK_SERVICE", said->service);
	put_text(&head, "REFORK_ROLE", said->role);
	if (said->generation != 0)
		put_number(&head, "REFORK_GENERATION", said->generation);
	if (said->event != NULL) {
		put_text(&head, "MESSAGE_ID", said->event->message_id);
		put_text(&head, "REFORK_EVENT", said->event->name);
	}
	for (const struct rf_log_field *field = said->fields;
		field != NULL && field->name != NULL; field++)
		put_field(&head, field);
	head.end = out + RF_SAID_HEAD_BYTES;
	rf_out_text(&head, "MESSAGE");
	put_value_lead(&head, said->text, said->text_bytes);
	return (size_t)(head.at - out);
}
