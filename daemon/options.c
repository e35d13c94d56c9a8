/* SPDX-License-Identifier: MIT */
/* options.c -- the command line: one table parses and explains it. */
#include "options.h"

#include <getopt.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

const struct options_entry options_table[] = {
	{'c', "config", "FILE", "read the configuration from FILE"},
	{'o', "set", "section.key=value", "override one key (repeatable)"},
	{'t', "check", NULL, "report every problem of FILE and this machine"},
	{'p', "print-config", NULL, "print the configuration in effect"},
	{'V', "version", NULL, "print the version"},
	{'h', "help", NULL, "print this"},
};
#define TABLE_COUNT (sizeof(options_table) / sizeof(*options_table))
const int options_count = TABLE_COUNT;

const struct options_exit_code options_exit_codes[] = {
	{EX_OK, "stopped as asked; nothing found by --check"},
	{EX_USAGE, "the command line is wrong"},
	{EX_SOFTWARE, "gave up: a child could not start and the service had "
		      "never served, or restart.on_limit = exit"},
	{EX_OSERR, "the operating system refused something"},
	{EX_TEMPFAIL,
		"could not start; the service manager keeps the state and "
		"is to try again"},
	{EX_NOPERM, "not permitted"},
	{EX_CONFIG, "the configuration, the worker or a segment does not fit"},
};
#define CODE_COUNT (sizeof(options_exit_codes) / sizeof(*options_exit_codes))
const int options_exit_code_count = CODE_COUNT;

void options_help(FILE *out)
{
	fprintf(out, "Usage: reforkd -c FILE [OPTION]...\n"
		     "Run a worker so that its state and its clients survive "
		     "its crashes.\n\n");
	for (size_t i = 0; i < TABLE_COUNT; i++)
		fprintf(out, "  -%c, --%-13s %-18s %s\n",
			options_table[i].letter, options_table[i].name,
			options_table[i].argument ? options_table[i].argument
						  : "",
			options_table[i].help);
	fprintf(out, "\nExit codes:\n");
	for (size_t i = 0; i < CODE_COUNT; i++)
		fprintf(out, "  %2d  %s\n", options_exit_codes[i].code,
			options_exit_codes[i].meaning);
}

/* What getopt_long wants, from the table. */
static void make_getopt(char *letters, struct option *longs)
{
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		*letters++ = options_table[i].letter;
		if (options_table[i].argument)
			*letters++ = ':';
		longs[i] = (struct option){
			.name = options_table[i].name,
			.has_arg = options_table[i].argument ? required_argument
							     : no_argument,
			.val = options_table[i].letter,
		};
	}
	*letters = 0;
	longs[TABLE_COUNT] = (struct option){0};
}

static int usage(const char *why, const char *what)
{
	fprintf(stderr, "reforkd: %s%s; see reforkd --help\n", why, what);
	return EX_USAGE;
}

static int add_override(struct options *options, const char *text)
{
	if (options->override_count == OPTIONS_OVERRIDE_MAX)
		return usage("too many overrides, first too many: ", text);
	options->overrides[options->override_count++].text = text;
	return 0;
}

/* What it is called from any other directory. */
static void make_absolute(struct options *options)
{
	char *to = options->conf_absolute;
	size_t bytes = sizeof(options->conf_absolute);

	if (options->conf_path[0] == '/' || !getcwd(to, bytes))
		return;
	snprintf(
		to + strlen(to), bytes - strlen(to), "/%s", options->conf_path);
	options->conf_path = to;
}

int options_parse(struct options *options, int argc, char **argv)
{
	static const unsigned char modes[256] = {
		['t'] = OPTIONS_CHECK,
		['p'] = OPTIONS_PRINT_CONFIG,
		['V'] = OPTIONS_VERSION,
		['h'] = OPTIONS_HELP,
	};
	char letters[2 * TABLE_COUNT + 1];
	struct option longs[TABLE_COUNT + 1];
	int letter, rc = 0;

	*options = (struct options){0};
	make_getopt(letters, longs);
	while (!rc && (letter = getopt_long(
			       argc, argv, letters, longs, NULL)) != -1) {
		if (letter == '?')
			return usage("bad option", "");
		else if (letter == 'c')
			options->conf_path = optarg;
		else if (letter == 'o')
			rc = add_override(options, optarg);
		else
			options->mode = modes[letter & 255];
	}
	if (rc)
		return rc;
	if (optind < argc)
		return usage("unexpected argument ", argv[optind]);
	if (options->mode != OPTIONS_RUN)
		return 0;
	if (!options->conf_path)
		return usage("which configuration? -c FILE", "");
	make_absolute(options);
	return 0;
}

int options_load(
	const struct options *options, struct conf *conf, FILE *problems)
{
	return conf_load(conf, options->conf_path, options->overrides,
		options->override_count, problems);
}
