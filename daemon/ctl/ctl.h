/* SPDX-License-Identifier: MIT */
/* ctl.h -- one run of reforkctl: its options, its command, its answer. */
#ifndef CTL_H
#define CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/un.h>

enum ctl_exit {
	CTL_OK = 0,
	CTL_REFUSED = 1,
	CTL_USAGE = 2,
	CTL_NOT_ACTIVE = 3,
	CTL_NO_CONNECTION = 4,
	CTL_TIMEOUT = 5,
};

struct ctl {
	struct sockaddr_un address;
	const char *instance, *socket_path;
	const char *runtime_dir; /* of this user's daemons */
	bool json, now, wait;
	const char *wait_for;
	const char *offline, *block; /* of `arena` */
	int64_t timeout_ms;	     /* -1: none given */
	int64_t every_ms;
	char **arguments; /* of the command */
	int argument_count;
	/* The body of the last answer, and a 0. */
	char *answer;
	size_t answer_bytes;
};

struct command {
	const char *name; /* one or two words */
	const char *arguments;
	int arguments_min, arguments_max;
	const char *options; /* the letters that it takes beside the general */
	enum ctl_exit (*run)(struct ctl *ctl, const struct command *command);
	int64_t wait_ms; /* for an answer; 0: as usual */
	const char *help;
};

extern const struct command commands[];
extern const int command_count;

/* The command whose name the first words are; *used: how many of them. NULL:
 * there is none. */
const struct command *command_find(char **words, int count, int *used);

struct ctl_option {
	char letter; /* also what getopt_long returns */
	const char *name, *argument;
	bool general; /* for every command */
	const char *help;
};

extern const struct ctl_option ctl_options[];
extern const int ctl_option_count;

struct ctl_exit_code {
	enum ctl_exit code;
	const char *meaning;
};

extern const struct ctl_exit_code ctl_exit_codes[];
extern const int ctl_exit_code_count;

/* Fill in everything but the address. Strings stay argv's.
 *
 * Returns  the command; NULL after saying why or doing all there was to do,
 *          with the exit code in *code */
const struct command *options_take(
	struct ctl *ctl, int argc, char **argv, enum ctl_exit *code);

/* Each says why on stderr and returns its exit code. */
enum ctl_exit ctl_usage(const char *why, const char *what);
enum ctl_exit ctl_refuse(const struct command *command, const char *why);

/* No command begins with this word, or the word is only its first one: names
 * what may be meant. */
enum ctl_exit ctl_unknown(const char *word);

/* Letters to add, drop or change; long words are as far as can be. */
size_t ctl_distance(const char *a, const char *b);

enum ctl_exit ctl_help(const struct command *one); /* NULL: of all */

/* The commands (commands.c, wait.c, check.c, doctor.c, ...). */
enum ctl_exit run_wait(struct ctl *ctl, const struct command *command);
enum ctl_exit run_check(struct ctl *ctl, const struct command *command);
enum ctl_exit run_doctor(struct ctl *ctl, const struct command *command);
enum ctl_exit run_top(struct ctl *ctl, const struct command *command);
enum ctl_exit run_arena_stat(struct ctl *ctl, const struct command *command);
enum ctl_exit run_arena_verify(struct ctl *ctl, const struct command *command);
enum ctl_exit run_arena_dump(struct ctl *ctl, const struct command *command);
enum ctl_exit run_arena_list(struct ctl *ctl, const struct command *command);
enum ctl_exit run_arena_release(struct ctl *ctl, const struct command *command);
enum ctl_exit run_completion(struct ctl *ctl, const struct command *command);

#endif
