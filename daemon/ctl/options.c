/* SPDX-License-Identifier: MIT */
/* options.c -- the command line of reforkctl: its tables parse and explain. */
#include "ctl.h"

#include "daemon/version.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define OPTION_COUNT_MAX 16

const struct ctl_option ctl_options[] = {
	{'i', "instance", "NAME", true, "the daemon called NAME (kv)"},
	{'S', "socket", "PATH", true, "the daemon at this control socket"},
	{'j', "json", NULL, true, "answer in JSON, flat, one object a line"},
	{'n', "now", NULL, false, "kill the old process instead of asking it"},
	{'w', "wait", NULL, false, "and wait until it serves"},
	{'f', "for", "WHAT", false, "ready (default) or generation=N"},
	{'t', "timeout", "TIME", false, "wait at most 500ms, 5s, 2min"},
	{'e', "every", "TIME", false, "look again after 1s, 500ms"},
	{'o', "offline", "FILE", false, "an arena that is kept: path or name"},
	{'b', "block", "ADDR", false, "only the block that holds this address"},
	{'V', "client-version", NULL, true, "print the version of reforkctl"},
	{'h', "help", NULL, true, "print help, also that of one command"},
};
const int ctl_option_count = sizeof(ctl_options) / sizeof(*ctl_options);
_Static_assert(sizeof(ctl_options) / sizeof(*ctl_options) < OPTION_COUNT_MAX,
	"OPTION_COUNT_MAX is too small");

const struct ctl_exit_code ctl_exit_codes[] = {
	{CTL_OK, "done; for `status`: the question was answered"},
	{CTL_REFUSED, "refused or failed; `doctor`, `check`: problems found"},
	{CTL_USAGE, "the command line is wrong"},
	{CTL_NOT_ACTIVE, "not serving (is-active), going away (wait)"},
	{CTL_NO_CONNECTION, "no daemon answers"},
	{CTL_TIMEOUT, "not in time"},
};
const int ctl_exit_code_count =
	sizeof(ctl_exit_codes) / sizeof(*ctl_exit_codes);

/* ---- help ---- */

enum ctl_exit ctl_usage(const char *why, const char *what)
{
	fprintf(stderr, "reforkctl: %s%s; see reforkctl --help\n", why, what);
	return CTL_USAGE;
}

enum ctl_exit ctl_refuse(const struct command *command, const char *why)
{
	fprintf(stderr, "reforkctl: %s: %s\n", command->name, why);
	return CTL_REFUSED;
}

static void put_option(const struct ctl_option *option)
{
	printf("  -%c, --%-14s %-4s %s\n", option->letter, option->name,
		option->argument ? option->argument : "", option->help);
}

static enum ctl_exit help_one(const struct command *command)
{
	printf("Usage: reforkctl [OPTION]... %s%s%s\n%s\n", command->name,
		*command->arguments ? " " : "", command->arguments,
		command->help);
	if (*command->options)
		printf("\nIts options:\n");
	for (int i = 0; i < ctl_option_count; i++)
		if (strchr(command->options, ctl_options[i].letter))
			put_option(&ctl_options[i]);
	return CTL_OK;
}

enum ctl_exit ctl_help(const struct command *one)
{
	char usage[64];

	if (one)
		return help_one(one);
	printf("Usage: reforkctl [OPTION]... [COMMAND]\n"
	       "Ask a refork daemon, or tell it.\n\nCommands:\n");
	for (int i = 0; i < command_count; i++) {
		snprintf(usage, sizeof(usage), "%s %s", commands[i].name,
			commands[i].arguments);
		printf("  %-26s %s\n", usage, commands[i].help);
	}
	printf("\nOptions:\n");
	for (int i = 0; i < ctl_option_count; i++)
		put_option(&ctl_options[i]);
	printf("\nExit codes:\n");
	for (int i = 0; i < ctl_exit_code_count; i++)
		printf("  %d  %s\n", ctl_exit_codes[i].code,
			ctl_exit_codes[i].meaning);
	return CTL_OK;
}

/* ---- the command line ---- */

/* As in the ini: a bare number is seconds. -1: not a time. */
static int64_t parse_time_ms(const char *text)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"min", 60000},
		{"h", 3600000}};
	char *end;
	long n = strtol(text, &end, 10);

	if (end == text || n < 0 || n > 1000000)
		return -1;
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (!strcmp(end, units[i].unit))
			return n * units[i].ms;
	return -1;
}

static void make_getopt(char *letters, struct option *longs)
{
	int i;

	for (i = 0; i < ctl_option_count; i++) {
		bool takes = ctl_options[i].argument;

		*letters++ = ctl_options[i].letter;
		if (takes)
			*letters++ = ':';
		longs[i] = (struct option){
			.name = ctl_options[i].name,
			.has_arg = takes ? required_argument : no_argument,
			.val = ctl_options[i].letter,
		};
	}
	*letters = 0;
	longs[i] = (struct option){0};
}

/* False: the argument is no time. */
static bool take_option(struct ctl *ctl, int letter)
{
	static const struct {
		char letter;
		size_t offset;
	} flags[] = {{'j', offsetof(struct ctl, json)},
		{'n', offsetof(struct ctl, now)},
		{'w', offsetof(struct ctl, wait)}},
	  texts[] = {{'i', offsetof(struct ctl, instance)},
		  {'S', offsetof(struct ctl, socket_path)},
		  {'f', offsetof(struct ctl, wait_for)},
		  {'o', offsetof(struct ctl, offline)},
		  {'b', offsetof(struct ctl, block)}},
	  spans[] = {{'t', offsetof(struct ctl, timeout_ms)},
		  {'e', offsetof(struct ctl, every_ms)}};
	char *base = (char *)ctl;

	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
		if (flags[i].letter == letter)
			*(bool *)(base + flags[i].offset) = true;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (texts[i].letter == letter)
			*(const char **)(base + texts[i].offset) = optarg;
	for (size_t i = 0; i < sizeof(spans) / sizeof(*spans); i++) {
		int64_t *span = (int64_t *)(base + spans[i].offset);

		if (spans[i].letter != letter)
			continue;
		*span = parse_time_ms(optarg);
		if (*span < 0)
			return false;
	}
	return true;
}

/* The name of an option given that the command does not take; NULL: none. */
static const char *misplaced(const struct command *command, const bool *given)
{
	for (int i = 0; i < ctl_option_count; i++)
		if (given[(int)ctl_options[i].letter] &&
			!ctl_options[i].general &&
			!strchr(command->options, ctl_options[i].letter))
			return ctl_options[i].name;
	return NULL;
}

static const struct command *choose(struct ctl *ctl, const bool *given,
	char **words, int count, enum ctl_exit *code)
{
	const struct command *command = &commands[0];
	const char *wrong;
	int used = 0;

	if (count)
		command = command_find(words, count, &used);
	ctl->arguments = words + used;
	ctl->argument_count = count - used;
	*code = CTL_USAGE;
	if (!command) {
		ctl_unknown(words[0]);
		return NULL;
	}
	wrong = misplaced(command, given);
	if (given['h'])
		*code = ctl_help(count ? command : NULL);
	else if (wrong)
		ctl_usage("not an option of this command: --", wrong);
	else if (ctl->argument_count > command->arguments_max)
		ctl_usage("unexpected argument ",
			ctl->arguments[command->arguments_max]);
	else if (ctl->argument_count < command->arguments_min)
		ctl_usage("which one? ", command->arguments);
	else
		return command;
	return NULL;
}

const struct command *options_take(
	struct ctl *ctl, int argc, char **argv, enum ctl_exit *code)
{
	char letters[2 * OPTION_COUNT_MAX];
	struct option longs[OPTION_COUNT_MAX];
	bool given[256] = {false};
	int letter;

	*ctl = (struct ctl){.timeout_ms = -1, .every_ms = 1000};
	make_getopt(letters, longs);
	while ((letter = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		if (letter == '?') {
			*code = ctl_usage("bad option", "");
			return NULL;
		}
		if (!take_option(ctl, letter)) {
			*code = ctl_usage("not a time: ", optarg);
			return NULL;
		}
		given[letter & 255] = true;
	}
	if (given['V']) {
		puts("reforkctl " VERSION);
		*code = CTL_OK;
		return NULL;
	}
	return choose(ctl, given, argv + optind, argc - optind, code);
}
