/* SPDX-License-Identifier: MIT */
/* change.c -- two pieces of code compared: is there a way back, are they the
 * same, and does the next start load the one that runs now?
 */
#include "change.h"

#include "reload.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool change_can_go_back(const struct rf_worker *now,
	const struct rf_worker *then, struct fault *why)
{
	if (now->state_version == then->state_version || then->migrate)
		return true;
	fault_set(why, EX_CONFIG,
		"cannot go back: %s %s has no `migrate` for state version %u, "
		"it needs version %u",
		then->name, then->version, now->state_version,
		then->state_version);
	return false;
}

bool change_is_none(const struct worker_lib *a, const struct worker_lib *b)
{
	char of_a[4096], of_b[sizeof(of_a)];
	ssize_t n = 1;

	if (a->pin.fd <= 0 || b->pin.fd <= 0 || a->pin.bytes != b->pin.bytes)
		return false;
	for (off_t at = 0; n > 0; at += n) {
		n = pread(a->pin.fd, of_a, sizeof(of_a), at);
		if (n < 0 || pread(b->pin.fd, of_b, sizeof(of_b), at) != n ||
			memcmp(of_a, of_b, (size_t)n))
			return false;
	}
	return true;
}

static void add(char *note, size_t bytes, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void add(char *note, size_t bytes, const char *format, ...)
{
	size_t at = strlen(note);
	va_list args;

	if (at)
		at += (size_t)snprintf(note + at, bytes - at, "; ");
	if (at >= bytes)
		return;
	va_start(args, format);
	vsnprintf(note + at, bytes - at, format, args);
	va_end(args);
}

/* "./kv.so" of the ini is what reforkctl names with its directory. */
static bool is_same_path(const char *a, const char *b)
{
	char real_a[PATH_MAX], real_b[PATH_MAX];

	return !strcmp(a, b) || (realpath(a, real_a) && realpath(b, real_b) &&
					!strcmp(real_a, real_b));
}

void change_note(const struct service *s, const struct worker_lib *before,
	const char *configured, char *note, size_t bytes)
{
	char named[PATH_MAX];
	struct fault why;

	*note = 0;
	if (change_is_none(before, &s->lib))
		add(note, bytes, "it is the same code");
	if (!change_can_go_back(&s->lib.worker, &before->worker, &why))
		add(note, bytes, "%s", why.text);
	if (reload_peek_worker(s, named, sizeof(named)))
		return;
	/* As it was at the start, it names what was found then. */
	if (!strcmp(named, s->conf->refork.worker))
		snprintf(named, sizeof(named), "%s", configured);
	if (!is_same_path(named, s->lib.path))
		add(note, bytes,
			"the ini still names %s: a restart of the daemon loads "
			"that",
			named);
}
