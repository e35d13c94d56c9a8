/* SPDX-License-Identifier: MIT */
/* main.c -- reforkctl: ask a daemon, or tell it.
 *
 * Read in this order: commands.c (what there is), ask.c (how it is asked),
 * then whatever a command runs. The daemon's side: daemon/control/.
 */
#include "ask.h"

#include <stdlib.h>

int main(int argc, char **argv)
{
	static struct ctl ctl;
	enum ctl_exit code;
	const struct command *command = options_take(&ctl, argc, argv, &code);

	if (!command)
		return (int)code;
	if (ask_find(&ctl))
		return CTL_USAGE;
	code = command->run(&ctl, command);
	free(ctl.answer);
	if (fflush(stdout) || ferror(stdout)) {
		perror("reforkctl: standard output");
		return CTL_REFUSED;
	}
	return (int)code;
}
