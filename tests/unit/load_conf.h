/* SPDX-License-Identifier: MIT */
/* load_conf.h -- a configuration from a text, and what was said about it. */
#ifndef LOAD_CONF_H
#define LOAD_CONF_H

#include "conf/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct conf conf;
static char problems[1 << 16];

/* Load bytes as the file "t", NULL for none, and keep what is reported. */
static inline int load_bytes(const char *bytes, size_t length,
	const char *const *overrides, int override_count)
{
	struct conf_override list[8];
	FILE *in =
		bytes ? fmemopen((void *)(uintptr_t)bytes, length, "r") : NULL;
	FILE *out = fmemopen(problems, sizeof(problems), "w");
	int count;

	for (int i = 0; i < override_count; i++)
		list[i].text = overrides[i];
	problems[0] = '\0';
	count = conf_load_stream(&conf, in, "t", list, override_count, out);
	fclose(out);
	if (in)
		fclose(in);
	return count;
}

static inline int load(const char *text)
{
	return load_bytes(text, strlen(text), NULL, 0);
}

static inline int load_path(const char *path)
{
	FILE *out = fmemopen(problems, sizeof(problems), "w");
	int count = conf_load(&conf, path, NULL, 0, out);

	fclose(out);
	return count;
}

#endif
