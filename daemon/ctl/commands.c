/* SPDX-License-Identifier: MIT */
/* commands.c -- every command of reforkctl, once.
 *
 * Help, completion and the manual page are read from this table. Most commands
 * are verbs of the daemon (its verbs.c) with a dash for the space.
 */
#include "ask.h"

#include "daemon/json.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define VERB_BYTES 32

/* A re-fork ends when the new process is ready: business.start_timeout. */
#define RENEW_WAIT_MS INT64_C(3700000)

/* ---- what the daemon answers, as it is ---- */

static enum ctl_exit ask_for(
	struct ctl *ctl, const struct command *command, char *const *arguments)
{
	int64_t wait_ms = command->wait_ms ? command->wait_ms : ASK_WAIT_MS;
	char verb[VERB_BYTES];
	char *space;
	int rc;

	if (ctl->timeout_ms >= 0)
		wait_ms = ctl->timeout_ms;
	snprintf(verb, sizeof(verb), "%s", command->name);
	while ((space = strchr(verb, ' ')))
		*space = '-';
	rc = ask(ctl, verb, ask_format(ctl), arguments, wait_ms);
	return rc ? ask_failed(ctl, command->name, rc) : CTL_OK;
}

static enum ctl_exit print_answer(
	struct ctl *ctl, const struct command *command, char *const *arguments)
{
	enum ctl_exit code = ask_for(ctl, command, arguments);

	if (!code)
		fwrite(ctl->answer, 1, ctl->answer_bytes, stdout);
	return code;
}

/* Rows are as wide as what they say; of them a terminal shows what fits. */
static enum ctl_exit table(struct ctl *ctl, const struct command *command)
{
	enum ctl_exit code = ask_for(ctl, command, ctl->arguments);
	struct winsize size = {0};
	const char *line = ctl->answer;

	if (code)
		return code;
	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	while (*line) {
		size_t bytes = strcspn(line, "\n");
		bool cut = !ctl->json && size.ws_col && bytes > size.ws_col;

		printf("%.*s\n", cut ? size.ws_col : (int)bytes, line);
		line += bytes + (line[bytes] != 0);
	}
	return CTL_OK;
}

static enum ctl_exit show(struct ctl *ctl, const struct command *command)
{
	return print_answer(ctl, command, ctl->arguments);
}

static enum ctl_exit restart(struct ctl *ctl, const struct command *command)
{
	char *arguments[] = {(char *)"business", NULL, NULL};

	if (ctl->argument_count)
		arguments[0] = ctl->arguments[0];
	if (ctl->now)
		arguments[1] = (char *)"now";
	return print_answer(ctl, command, arguments);
}

/* A file here is sent by its absolute path: the daemon stands elsewhere. Any
 * other name is for the daemon's worker directory. */
static enum ctl_exit upgrade(struct ctl *ctl, const struct command *command)
{
	char directory[PATH_MAX], path[2 * PATH_MAX];
	char *arguments[] = {ctl->arguments[0], NULL};

	if (*arguments[0] != '/' && !access(arguments[0], F_OK)) {
		if (!getcwd(directory, sizeof(directory)))
			return ctl_refuse(command, strerror(errno));
		if (snprintf(path, sizeof(path), "%s/%s", directory,
			    arguments[0]) < (int)sizeof(path))
			arguments[0] = path;
	}
	return print_answer(ctl, command, arguments);
}

static enum ctl_exit reload(struct ctl *ctl, const struct command *command)
{
	enum ctl_exit code = show(ctl, command);

	return code || !ctl->wait ? code : run_wait(ctl, command);
}

/* ---- what is told otherwise than it was answered ---- */

static void tell(const struct ctl *ctl, const char *key, const char *text)
{
	if (!ctl->json) {
		puts(text);
		return;
	}
	json_begin(stdout);
	json_text(stdout, key, text);
	json_end(stdout);
}

static enum ctl_exit is_active(struct ctl *ctl, const struct command *command)
{
	int rc = ask(ctl, "state", "text", NULL, ASK_WAIT_MS);

	if (rc < 0 && rc != -ETIMEDOUT) {
		tell(ctl, "state", "inactive");
		return CTL_NOT_ACTIVE;
	}
	if (rc)
		return ask_failed(ctl, command->name, rc);
	ctl->answer[strcspn(ctl->answer, " ")] = 0;
	tell(ctl, "state", ctl->answer);
	return strcmp(ctl->answer, "serving") ? CTL_NOT_ACTIVE : CTL_OK;
}

/* The daemon keeps the connection until it is gone. */
static enum ctl_exit shut_down(struct ctl *ctl, const struct command *command)
{
	int rc = ask(ctl, "shutdown", "text", NULL, ctl->timeout_ms);

	if (rc)
		return ask_failed(ctl, command->name, rc);
	tell(ctl, "result", "stopped");
	return CTL_OK;
}

static enum ctl_exit help(struct ctl *ctl, const struct command *command)
{
	int used;

	(void)command;
	if (!ctl->argument_count)
		return ctl_help(NULL);
	command = command_find(ctl->arguments, ctl->argument_count, &used);
	if (!command || used < ctl->argument_count)
		return ctl_unknown(ctl->arguments[0]);
	return ctl_help(command);
}

/* ---- the table ---- */

const struct command commands[] = {
	{"status", "", 0, 0, "", show, 0, "what it does (the default)"},
	{"is-active", "", 0, 0, "", is_active, 0, "exit 0 when it serves"},
	{"ping", "", 0, 0, "", show, 0, "whether the supervisor answers"},
	{"version", "", 0, 0, "", show, 0, "of the daemon and its worker"},
	{"top", "", 0, 0, "e", run_top, 0, "a live view"},
	{"crashes", "", 0, 0, "", table, 0, "crash records, newest first"},
	{"crash show", "ID", 1, 1, "", show, 0,
		"signal, backtrace, request and recovery of one crash"},
	{"quarantine list", "", 0, 0, "", table, 0,
		"requests that killed and are kept"},
	{"quarantine show", "ID", 1, 1, "", show, 0, "one of them, its bytes"},
	{"quarantine release", "ID", 1, 1, "t", show, 65000,
		"run it again and print the reply"},
	{"quarantine drop", "ID", 1, 1, "", show, 0, "forget it"},
	{"arena stat", "", 0, 0, "o", run_arena_stat, 0,
		"slots, heap by size class, what is free"},
	{"arena verify", "", 0, 0, "o", run_arena_verify, 0,
		"walk all of it, tell every problem and what has leaked"},
	{"arena dump", "", 0, 0, "ob", run_arena_dump, 0,
		"what stands in it, by slot and kind; one block's bytes"},
	{"arena list", "[FILE]", 0, 1, "", run_arena_list, 0,
		"segments of this machine, also those that FILE's service "
		"keeps"},
	{"arena release", "NAME", 1, 1, "", run_arena_release, 0,
		"remove one that nobody has; its content is lost"},
	{"check", "[FILE]", 0, 1, "", run_check, 0,
		"problems of a configuration, or of the daemon's file"},
	{"config show", "", 0, 0, "", show, 0, "the configuration in effect"},
	{"reload", "", 0, 0, "wt", reload, 0,
		"read the configuration again; says what changed"},
	{"restart", "[business|network]", 0, 1, "nt", restart, RENEW_WAIT_MS,
		"a planned re-fork; clients and state stay"},
	{"upgrade", "PATH", 1, 1, "t", upgrade, RENEW_WAIT_MS,
		"new worker code; clients and state stay"},
	{"rollback", "", 0, 0, "t", show, RENEW_WAIT_MS,
		"back to the worker code before the upgrade"},
	{"resume", "", 0, 0, "", show, 0,
		"go on after restart.on_limit = hold"},
	{"checkpoint prepare", "", 0, 0, "t", show, 10000,
		"be fit to be written down by CRIU: no standby, no helpers"},
	{"checkpoint end", "", 0, 0, "t", show, RENEW_WAIT_MS,
		"afterwards: a new business child, all as before"},
	{"metrics", "", 0, 0, "", show, 0, "for Prometheus"},
	{"wait", "", 0, 0, "ft", run_wait, 0, "until it serves"},
	{"doctor", "", 0, 0, "", run_doctor, 0,
		"what may be wrong here, each with its fix"},
	{"shutdown", "", 0, 0, "t", shut_down, 0,
		"drain, stop, and wait until it is gone"},
	{"completion", "bash|zsh|fish", 1, 1, "", run_completion, 0,
		"a script for the shell to source"},
	{"help", "[COMMAND]", 0, 2, "", help, 0, "print help"},
};
const int command_count = sizeof(commands) / sizeof(*commands);

/* How many words the name has, when they are the first of these; else 0. */
static int match(const char *name, char **words, int count)
{
	size_t first = strcspn(name, " ");

	if (strlen(words[0]) != first || strncmp(name, words[0], first))
		return 0;
	if (!name[first])
		return 1;
	return count > 1 && !strcmp(name + first + 1, words[1]) ? 2 : 0;
}

const struct command *command_find(char **words, int count, int *used)
{
	for (int i = 0; i < command_count; i++) {
		*used = match(commands[i].name, words, count);
		if (*used)
			return &commands[i];
	}
	return NULL;
}
