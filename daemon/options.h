/* SPDX-License-Identifier: MIT */
/* options.h -- the command line of reforkd. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "conf/conf.h"

#include <limits.h>

#define OPTIONS_OVERRIDE_MAX 64

enum options_mode {
	OPTIONS_RUN,
	OPTIONS_CHECK,
	OPTIONS_PRINT_CONFIG,
	OPTIONS_VERSION,
	OPTIONS_HELP,
	OPTIONS_MODE_COUNT
};

struct options {
	enum options_mode mode;
	const char *conf_path; /* absolute when it is to run; or NULL */
	char conf_absolute[2 * PATH_MAX];
	struct conf_override overrides[OPTIONS_OVERRIDE_MAX];
	int override_count;
};

/* Returns 0, or EX_USAGE after saying why. Strings stay argv's. */
int options_parse(struct options *options, int argc, char **argv);

/* conf_load() with what the command line says. */
int options_load(
	const struct options *options, struct conf *conf, FILE *problems);

void options_help(FILE *out);

/* The tables, for the manual page. */
struct options_entry {
	char letter; /* also what getopt_long returns */
	const char *name, *argument;
	const char *help;
};

extern const struct options_entry options_table[];
extern const int options_count;

struct options_exit_code {
	int code;
	const char *meaning;
};

extern const struct options_exit_code options_exit_codes[];
extern const int options_exit_code_count;

#endif
