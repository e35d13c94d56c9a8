/* SPDX-License-Identifier: MIT */
/* check.c -- the problems of a configuration file, without a daemon.
 *
 * The worker and the machine are for `reforkd --check`.
 */
#include "ask.h"
#include "common/flat.h"

#include "conf/conf.h"
#include "daemon/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The file that the daemon has read. False after saying why. */
static bool ask_path(struct ctl *ctl, const struct command *command, char *path,
	size_t bytes, enum ctl_exit *code)
{
	int rc = ask(ctl, "status", "json", NULL, ASK_WAIT_MS);

	if (rc) {
		*code = ask_failed(ctl, command->name, rc);
		return false;
	}
	rf_flat_text(ctl->answer, "conf_path", path, bytes);
	if (*path)
		return true;
	*code = ctl_refuse(command, "the daemon runs without a file");
	return false;
}

static void tell(const struct ctl *ctl, const char *path, int problems,
	const char *lines)
{
	if (!ctl->json) {
		fputs(lines, stdout);
		if (!problems)
			printf("%s: fine; `reforkd --check -c %s` looks at "
			       "the worker and the machine, too\n",
				path, path);
		return;
	}
	json_begin(stdout);
	json_text(stdout, "file", path);
	json_signed(stdout, "problems", problems);
	json_text(stdout, "messages", lines);
	json_end(stdout);
}

enum ctl_exit run_check(struct ctl *ctl, const struct command *command)
{
	static struct conf conf;
	char path[4096] = "";
	char *lines = NULL;
	size_t bytes;
	enum ctl_exit code;
	FILE *out;
	int problems;

	if (ctl->argument_count)
		snprintf(path, sizeof(path), "%s", ctl->arguments[0]);
	else if (!ask_path(ctl, command, path, sizeof(path), &code))
		return code;
	out = open_memstream(&lines, &bytes);
	if (!out)
		return ctl_refuse(command, strerror(errno));
	problems = conf_load(&conf, path, NULL, 0, out);
	if (fclose(out))
		return ctl_refuse(command, strerror(errno));
	tell(ctl, path, problems, lines);
	free(lines);
	return problems ? CTL_REFUSED : CTL_OK;
}
