/* SPDX-License-Identifier: MIT */
/* completion.c -- completion for bash, zsh and fish, made from the tables.
 *
 * What may follow depends on the words before: the first words of all commands;
 * the second words of those that have two; then what the arguments are. PATH
 * and FILE are files, "a|b" is a choice, the rest cannot be guessed.
 */
#include "ctl.h"

#include <string.h>

/* The length of a command's first word. */
static size_t first_of(const struct command *command)
{
	return strcspn(command->name, " ");
}

/* An earlier command begins with the same word. */
static bool repeats(int index)
{
	size_t bytes = first_of(&commands[index]);

	for (int i = 0; i < index; i++)
		if (first_of(&commands[i]) == bytes &&
			!strncmp(commands[i].name, commands[index].name, bytes))
			return true;
	return false;
}

static void put_first_words(void)
{
	for (int i = 0; i < command_count; i++)
		if (!repeats(i))
			printf("%s%.*s", i ? " " : "",
				(int)first_of(&commands[i]), commands[i].name);
}

/* Of the commands that begin with the same word as this one. */
static void put_second_words(int index)
{
	size_t bytes = first_of(&commands[index]) + 1;

	for (int i = index; i < command_count; i++)
		if (!strncmp(commands[i].name, commands[index].name, bytes))
			printf("%s%s", i > index ? " " : "",
				commands[i].name + bytes);
}

static bool takes_file(const struct command *command)
{
	return strstr(command->arguments, "FILE") ||
	       strstr(command->arguments, "PATH");
}

/* "[business|network]" as "business network". */
static void put_choices(const char *arguments)
{
	for (; *arguments; arguments++)
		if (*arguments != '[' && *arguments != ']')
			putchar(*arguments == '|' ? ' ' : *arguments);
}

static void put_words_of(const char *arguments)
{
	if (!strcmp(arguments, "[COMMAND]"))
		put_first_words();
	else
		put_choices(arguments);
}

static bool has_words(const struct command *command)
{
	return strchr(command->arguments, '|') ||
	       !strcmp(command->arguments, "[COMMAND]");
}

/* ---- bash ---- */

/* A pattern of all options, or of those with an argument. */
static void put_option_pattern(bool with_argument)
{
	const char *bar = "";

	for (int i = 0; i < ctl_option_count; i++) {
		const struct ctl_option *option = &ctl_options[i];

		if (with_argument != !!option->argument)
			continue;
		printf("%s-%c|--%s", bar, option->letter, option->name);
		bar = "|";
	}
}

static void bash_case(int index)
{
	const struct command *command = &commands[index];

	if (command->name[first_of(command)] && !repeats(index)) {
		printf("\t'%.*s') words='", (int)first_of(command),
			command->name);
		put_second_words(index);
		puts("' ;;");
	}
	if (takes_file(command)) {
		printf("\t'%s') files=1 ;;\n", command->name);
	} else if (has_words(command)) {
		printf("\t'%s') words='", command->name);
		put_words_of(command->arguments);
		puts("' ;;");
	}
}

static void bash_options(void)
{
	printf("\tif [[ $cur == -* ]]; then\n\t\twords='");
	for (int i = 0; i < ctl_option_count; i++)
		if (ctl_options[i].general)
			printf("--%s ", ctl_options[i].name);
	printf("'\n\t\tcase $said in\n");
	for (int i = 0; i < command_count; i++) {
		if (!*commands[i].options)
			continue;
		printf("\t\t'%s'*) words+='", commands[i].name);
		for (int o = 0; o < ctl_option_count; o++)
			if (strchr(commands[i].options, ctl_options[o].letter))
				printf("--%s ", ctl_options[o].name);
		puts("' ;;");
	}
	puts("\t\tesac\n"
	     "\t\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
	     "\t\treturn\n\tfi");
}

static void put_bash(void)
{
	puts("# bash completion, made by `reforkctl completion bash`\n"
	     "_reforkctl()\n{\n"
	     "\tlocal cur=${COMP_WORDS[COMP_CWORD]} said= words= files= i\n"
	     "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	     "\t\tcase ${COMP_WORDS[i]} in");
	printf("\t\t");
	put_option_pattern(true);
	puts(") ((i++)) ;;\n"
	     "\t\t-*) ;;\n"
	     "\t\t*) said+=${said:+ }${COMP_WORDS[i]} ;;\n"
	     "\t\tesac\n\tdone\n"
	     "\tcase ${COMP_WORDS[COMP_CWORD-1]} in\n"
	     "\t-S|--socket) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
	     "\t-f|--for) COMPREPLY=($(compgen -W 'ready generation=' -- "
	     "\"$cur\"))\n\t\treturn ;;");
	printf("\t");
	put_option_pattern(true);
	puts(") return ;;\n\tesac");
	bash_options();
	printf("\tcase $said in\n\t'') words='");
	put_first_words();
	puts("' ;;");
	for (int i = 0; i < command_count; i++)
		bash_case(i);
	puts("\tesac\n"
	     "\tif [[ $files ]]; then\n"
	     "\t\tcompopt -o filenames 2>/dev/null\n"
	     "\t\tCOMPREPLY=($(compgen -f -- \"$cur\"))\n"
	     "\telse\n"
	     "\t\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
	     "\tfi\n}\n"
	     "complete -F _reforkctl reforkctl");
}

/* ---- zsh ---- */

/* Inside single quotes, where _arguments and _describe read : and []. */
static void put_zsh_text(const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\'", stdout);
		else if (strchr(":[]", *text))
			putchar('\\');
		putchar(*text);
	}
}

static void zsh_option(const struct ctl_option *option)
{
	printf("\t\t'(-%c --%s)'{-%c%s,--%s%s}'[", option->letter, option->name,
		option->letter, option->argument ? "+" : "", option->name,
		option->argument ? "=" : "");
	put_zsh_text(option->help);
	putchar(']');
	if (option->argument)
		printf(":%s:%s", option->argument,
			strcmp(option->argument, "PATH") ? "" : "_files");
	puts("' \\");
}

/* What follows a command whose words have all been said. */
static void zsh_arguments(const struct command *command)
{
	if (takes_file(command)) {
		printf("\t\t'%s '*) _files ;;\n", command->name);
	} else if (has_words(command)) {
		printf("\t\t'%s '*) compadd -- ", command->name);
		put_words_of(command->arguments);
		puts(" ;;");
	}
}

static void zsh_second_words(int index)
{
	const struct command *command = &commands[index];
	int first = (int)first_of(command);

	if (command->name[first] && !repeats(index)) {
		printf("\t\t'%.*s '*) compadd -- ", first, command->name);
		put_second_words(index);
		puts(" ;;");
	}
}

static void put_zsh(void)
{
	puts("#compdef reforkctl\n"
	     "# zsh completion, made by `reforkctl completion zsh`\n"
	     "_reforkctl()\n{\n\tlocal -a commands\n\tlocal state\n"
	     "\tcommands=(");
	for (int i = 0; i < command_count; i++) {
		if (repeats(i))
			continue;
		printf("\t\t'%.*s:", (int)first_of(&commands[i]),
			commands[i].name);
		put_zsh_text(commands[i].help);
		puts("'");
	}
	puts("\t)\n\t_arguments -C \\");
	for (int i = 0; i < ctl_option_count; i++)
		zsh_option(&ctl_options[i]);
	puts("\t\t'1: :->command' '*:: :->rest'\n"
	     "\tcase $state in\n"
	     "\tcommand) _describe command commands ;;\n"
	     "\trest)\n\t\tcase \"$words[1,CURRENT-1] \" in");
	for (int i = 0; i < command_count; i++)
		zsh_arguments(&commands[i]);
	for (int i = 0; i < command_count; i++)
		zsh_second_words(i);
	puts("\t\tesac ;;\n\tesac\n}\n"
	     "if [[ $funcstack[1] == _reforkctl ]]; then\n"
	     "\t_reforkctl \"$@\"\n"
	     "else\n"
	     "\tcompdef _reforkctl reforkctl\n"
	     "fi");
}

/* ---- fish ---- */

/* Inside single quotes. */
static void put_fish_text(const char *text)
{
	for (; *text; text++) {
		if (strchr("'\\", *text))
			putchar('\\');
		putchar(*text);
	}
}

/* The condition that all words of this command have been said. */
static void put_fish_said(const struct command *command)
{
	int first = (int)first_of(command);

	printf("complete -c reforkctl -n '__fish_seen_subcommand_from %.*s",
		first, command->name);
	if (command->name[first])
		printf("; and __fish_seen_subcommand_from %s",
			command->name + first + 1);
	printf("' ");
}

static void fish_option(const struct ctl_option *option)
{
	printf("complete -c reforkctl -s %c -l %s", option->letter,
		option->name);
	if (option->argument)
		printf(strcmp(option->argument, "PATH") ? " -x" : " -r -F");
	if (!option->general) {
		printf(" -n '__fish_seen_subcommand_from");
		for (int i = 0; i < command_count; i++)
			if (strchr(commands[i].options, option->letter))
				printf(" %.*s", (int)first_of(&commands[i]),
					commands[i].name);
		putchar('\'');
	}
	printf(" -d '");
	put_fish_text(option->help);
	puts("'");
}

static void fish_case(int index)
{
	const struct command *command = &commands[index];
	int first = (int)first_of(command);

	if (!repeats(index)) {
		printf("complete -c reforkctl -n \"not "
		       "__fish_seen_subcommand_from $commands\" -a %.*s -d '",
			first, command->name);
		put_fish_text(command->help);
		puts("'");
	}
	if (command->name[first] && !repeats(index)) {
		printf("complete -c reforkctl -n '__fish_seen_subcommand_from "
		       "%.*s; and not __fish_seen_subcommand_from ",
			first, command->name);
		put_second_words(index);
		printf("' -a '");
		put_second_words(index);
		puts("'");
	}
	if (takes_file(command)) {
		put_fish_said(command);
		puts("-F");
	} else if (has_words(command)) {
		put_fish_said(command);
		printf("-a '");
		put_words_of(command->arguments);
		puts("'");
	}
}

static void put_fish(void)
{
	puts("# fish completion, made by `reforkctl completion fish`");
	printf("set -l commands ");
	put_first_words();
	puts("\ncomplete -c reforkctl -f");
	for (int i = 0; i < ctl_option_count; i++)
		fish_option(&ctl_options[i]);
	for (int i = 0; i < command_count; i++)
		fish_case(i);
}

/* ---- the command ---- */

static const struct {
	const char *shell;
	void (*put)(void);
} shells[] = {{"bash", put_bash}, {"zsh", put_zsh}, {"fish", put_fish}};

enum ctl_exit run_completion(struct ctl *ctl, const struct command *command)
{
	for (size_t i = 0; i < sizeof(shells) / sizeof(*shells); i++) {
		if (strcmp(shells[i].shell, ctl->arguments[0]))
			continue;
		shells[i].put();
		return CTL_OK;
	}
	return ctl_usage("completion is there for ", command->arguments);
}
