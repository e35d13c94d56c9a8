/* SPDX-License-Identifier: MIT */
/* conf_text.h -- what is wrong with a text; NULL when nothing is. */
#ifndef CONF_TEXT_H
#define CONF_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Any value: printable, and nothing that the ini takes for a comment. */
const char *conf_text_plain(const char *text);

/* A service's name: fit for a file, a segment and a process title. */
const char *conf_text_name(const char *text);

const char *conf_text_absolute(const char *text);

/* An absolute path, or nothing. */
const char *conf_text_file(const char *text);

/* Of System V memory: 0x and up to 8 digits, or auto. */
const char *conf_text_key(const char *text);

/* Letters of redis's notify-keyspace-events. */
const char *conf_text_events(const char *text);

/* host:port, [v6]:port, unix:/path or systemd:NAME */
const char *conf_text_listen(const char *text);
/* An octal mode of a file: "660" or "0660". */
const char *conf_text_mode(const char *text);

/* A group of this machine, by name or number; or nothing. */
const char *conf_text_group(const char *text);

/* A path that begins (behind "unix:", if that is there) with a directory of the
 * service manager's: %d/ of credentials, %t/ runtime, %S/ state; %% is one
 * percent sign there. Other texts stay as they are.
 *
 * Returns  false, and why not: no such directory, the variable is not set */
#define CONF_EXPANDED_BYTES 4096
bool conf_text_expand(const char *text, char expanded[CONF_EXPANDED_BYTES],
	char *why, size_t why_bytes);

/* The other way: what conf_text_expand() makes this text of. */
void conf_text_escape(const char *text, char *escaped, size_t bytes);

#endif
