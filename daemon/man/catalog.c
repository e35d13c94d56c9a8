/* SPDX-License-Identifier: MIT */
/* catalog.c -- the events as systemd's message catalog (journalctl -x).
 *
 * A program for the build, as expand.c is: the table of events goes out as what
 * `journalctl --update-catalog` reads.
 */
#include "common/events.h"

#include <stdio.h>
#include <string.h>

#define COLUMNS 76

/* One paragraph, its newline left out. */
static void put_wrapped(const char *text, size_t bytes)
{
	size_t column = 0;

	while (bytes > 0) {
		size_t word = 0;

		while (word < bytes && text[word] != ' ')
			word++;
		if (column > 0 && column + 1 + word > COLUMNS) {
			putchar('\n');
			column = 0;
		}
		column += (size_t)printf(
			"%s%.*s", column ? " " : "", (int)word, text);
		text += word;
		bytes -= word;
		while (bytes > 0 && *text == ' ') {
			text++;
			bytes--;
		}
	}
	putchar('\n');
}

static void put_event(const struct rf_event *event)
{
	printf("-- %s\n"
	       "Subject: %s\n"
	       "Defined-By: refork\n"
	       "Documentation: man:reforkd(8) man:reforkctl(1)\n\n",
		event->message_id, event->subject);
	for (const char *at = event->explanation, *end; *at; at = end + 1) {
		end = strchr(at, '\n');
		put_wrapped(at, (size_t)(end - at));
	}
	putchar('\n');
}

int main(void)
{
	puts("# What `journalctl -x` says of refork's events. Made from the "
	     "table of\n# events; do not edit.\n");
	for (int i = 0; i < RF_EVENT_COUNT; i++)
		put_event(&rf_events[i]);
	return fflush(stdout) ? 1 : 0;
}
