/* SPDX-License-Identifier: MIT */
/* expand.c -- a page of the manual, its tables filled in from the code.
 *
 * A filter for the build: scdoc text comes in and goes out; a line "@NAME@"
 * gives way to the table called so. What the programs print as help and what
 * the manual says are thus read from the same tables.
 */
#include "conf/conf_keys.h"
#include "daemon/ctl/ctl.h"
#include "daemon/options.h"

#include <string.h>

#define LINE_BYTES 1024

/* What scdoc would take for markup. */
static void put_text(const char *text)
{
	for (; *text; text++) {
		if (strchr("_*\\`[]", *text))
			putchar('\\');
		putchar(*text);
	}
}

static void put_option(char letter, const char *name, const char *argument)
{
	printf("*-%c*", letter);
	if (argument)
		printf(" _%s_", argument);
	printf(", *--%s*", name);
	if (argument)
		printf(" _%s_", argument);
	puts("");
}

static void put_indented(const char *text)
{
	putchar('\t');
	put_text(text);
	puts("\n");
}

/* ---- reforkd ---- */

static void reforkd_options(void)
{
	for (int i = 0; i < options_count; i++) {
		put_option(options_table[i].letter, options_table[i].name,
			options_table[i].argument);
		put_indented(options_table[i].help);
	}
}

static void reforkd_codes(void)
{
	for (int i = 0; i < options_exit_code_count; i++) {
		printf("*%d*\n", options_exit_codes[i].code);
		put_indented(options_exit_codes[i].meaning);
	}
}

/* ---- reforkctl ---- */

static void put_name(const struct command *command)
{
	printf("*%s*", command->name);
	if (*command->arguments) {
		putchar(' ');
		put_text(command->arguments);
	}
	for (int i = 0; i < ctl_option_count; i++) {
		const struct ctl_option *option = &ctl_options[i];

		if (!strchr(command->options, option->letter))
			continue;
		printf(" \\[--%s%s%s\\]", option->name,
			option->argument ? " " : "",
			option->argument ? option->argument : "");
	}
	puts("");
}

static void ctl_commands(void)
{
	for (int i = 0; i < command_count; i++) {
		put_name(&commands[i]);
		put_indented(commands[i].help);
	}
}

static void ctl_option_list(void)
{
	for (int i = 0; i < ctl_option_count; i++) {
		put_option(ctl_options[i].letter, ctl_options[i].name,
			ctl_options[i].argument);
		put_indented(ctl_options[i].help);
	}
}

static void ctl_codes(void)
{
	for (int i = 0; i < ctl_exit_code_count; i++) {
		printf("*%d*\n", (int)ctl_exit_codes[i].code);
		put_indented(ctl_exit_codes[i].meaning);
	}
}

/* ---- refork.ini ---- */

static void put_words(const struct conf_key *key)
{
	printf("\tOne of");
	for (int i = 0; key->words[i]; i++) {
		printf("%s *", i ? "," : "");
		put_text(key->words[i]);
		putchar('*');
	}
	puts(".\n");
}

static void ini_keys(void)
{
	const char *section = "";

	for (int i = 0; i < conf_key_count; i++) {
		const struct conf_key *key = &conf_keys[i];

		if (strcmp(section, key->section))
			printf("## [%s]\n\n", key->section);
		section = key->section;
		putchar('*');
		put_text(key->name);
		puts("*");
		put_indented(key->help);
		if (key->words)
			put_words(key);
		printf("\tDefault: ");
		if (!key->standard)
			printf("depends on the user");
		else
			put_text(*key->standard ? key->standard : "empty");
		printf(". Applied: %s.\n\n", conf_applied_names[key->applied]);
	}
}

/* ---- the filter ---- */

static const struct {
	const char *line;
	void (*put)(void);
} tables[] = {
	{"@reforkd-options@\n", reforkd_options},
	{"@reforkd-codes@\n", reforkd_codes},
	{"@reforkctl-commands@\n", ctl_commands},
	{"@reforkctl-options@\n", ctl_option_list},
	{"@reforkctl-codes@\n", ctl_codes},
	{"@refork.ini-keys@\n", ini_keys},
};

static bool put_table(const char *line)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
		if (strcmp(tables[i].line, line))
			continue;
		tables[i].put();
		return true;
	}
	return false;
}

int main(void)
{
	char line[LINE_BYTES];

	while (fgets(line, sizeof(line), stdin)) {
		if (put_table(line))
			continue;
		if (*line == '@') {
			fprintf(stderr, "expand: no table %s", line);
			return 1;
		}
		fputs(line, stdout);
	}
	return fflush(stdout) ? 1 : 0;
}
