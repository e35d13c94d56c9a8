/* SPDX-License-Identifier: MIT */
/* doctor.c -- what may be wrong, each with its fix.
 *
 * The daemon knows most of it (daemon/control/doctor.c); what is left for here
 * is why there may be no daemon to ask.
 */
#include "ask.h"

#include "daemon/json.h"

#include <errno.h>
#include <string.h>

static const struct {
	int error;
	const char *fix;
} fixes[] = {
	{ENOENT, "no daemon of this name is there: start it, or name it with "
		 "-i NAME or -S SOCKET"},
	{ECONNREFUSED, "the daemon that made this socket is gone: start it "
		       "again; its log says why it ended"},
	{EACCES, "the socket is for the daemon's user only: ask as that user"},
	{EPERM, "the socket is for the daemon's user only: ask as that user"},
	{EAGAIN, "too many ask at once: try again"},
	{ETIMEDOUT, "the supervisor hangs, is stopped, or is starved of CPU: "
		    "see its state with ps"},
};

static const char *fix_of(int error)
{
	for (size_t i = 0; i < sizeof(fixes) / sizeof(*fixes); i++)
		if (fixes[i].error == error)
			return fixes[i].fix;
	return "see the log of the daemon";
}

static enum ctl_exit tell_no_daemon(const struct ctl *ctl, int error)
{
	if (ctl->json) {
		json_begin(stdout);
		json_text(stdout, "probe", "daemon");
		json_text(stdout, "result", "problem");
		json_text(stdout, "found", strerror(error));
		json_text(stdout, "fix", fix_of(error));
		json_end(stdout);
	} else {
		printf("problem  %-12s %s: %s\n%21s fix: %s\n", "daemon",
			ctl->address.sun_path, strerror(error), "",
			fix_of(error));
	}
	return error == ETIMEDOUT ? CTL_TIMEOUT : CTL_NO_CONNECTION;
}

enum ctl_exit run_doctor(struct ctl *ctl, const struct command *command)
{
	int rc = ask(ctl, "doctor", ask_format(ctl), NULL, ASK_WAIT_MS);

	if (rc > 0)
		return ask_failed(ctl, command->name, rc);
	if (rc < 0)
		return tell_no_daemon(ctl, -rc);
	fputs(ctl->answer, stdout);
	/* Whether all is well is asked of the form that is for programs. */
	if (!ctl->json)
		rc = ask(ctl, "doctor", "json", NULL, ASK_WAIT_MS);
	if (rc)
		return ask_failed(ctl, command->name, rc);
	return strstr(ctl->answer, "\"result\": \"problem\"") ? CTL_REFUSED
							      : CTL_OK;
}
