/* SPDX-License-Identifier: MIT */
/* conf_text.h -- what is wrong with a text; NULL when nothing is. */
#ifndef CONF_TEXT_H
#define CONF_TEXT_H

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

/* host:port, [v6]:port or unix:/path */
const char *conf_text_listen(const char *text);

#endif
