/* SPDX-License-Identifier: MIT */
/* verbs.h -- what can be asked for at the control socket. See verbs.c. */
#ifndef VERBS_H
#define VERBS_H

#include "daemon/supervise/family.h"
#include "daemon/supervise/upgrade.h"
#include "format.h"
#include "rates.h"

#include <stdio.h>

struct crashes;

/* What the supervisor lets itself be asked with; filled in by it, and good
 * until control_close(). */
struct verb_host {
	struct service *service;
	struct family *family;
	struct upgrade *upgrade;
	struct crashes *crashes;
	void *arg; /* of the three below */
	/* starting, serving, recovering, held, stopping */
	const char *(*state)(void *arg);
	void (*stop)(void *arg);
	/* Read the configuration again; the service manager is told. One line
	 * for each thing that changed or could not be applied goes to `out`;
	 * when it is refused, one line for each problem.
	 *
	 * Returns  0; -errno: nothing has changed */
	int (*reload)(void *arg, FILE *out);
};

#define VERB_ARGS_MAX 4

enum verb_result {
	VERB_DONE,    /* the answer is in `out` */
	VERB_REFUSED, /* a line that says why is in `out` */
	VERB_LATER,   /* `done` will be called, or `poll` says when */
};

struct verb;

/* One request, from its line to its answer. */
struct verb_call {
	const struct verb_host *host;
	const struct rates *rates;
	const struct verb *verb;
	enum report_format format;
	int argc;
	char *argv[VERB_ARGS_MAX]; /* good until the answer is given */
	FILE *out;
	/* For answers that come later: */
	struct family_done done; /* to be handed on; may be called late */
	uint64_t serial;	 /* of the order that was given */
	char before[64];	 /* what served before: its version */
};

struct verb {
	const char *name;
	int args_min, args_max;
	enum verb_result (*run)(struct verb_call *call);
	/* After VERB_LATER. `outcome`: what `done` was called with; NULL: it
	 * was not, look for yourself. */
	enum verb_result (*finish)(
		struct verb_call *call, const struct family_outcome *outcome);
	/* So often is finish() called without an outcome; 0: never. */
	unsigned poll_ms;
	bool stops;	     /* the connection ends with the daemon */
	bool orders;	     /* something changes: it is logged who asked */
	unsigned deadline_s; /* for VERB_LATER */
};

/* NULL: there is none of that name. */
const struct verb *verb_find(const char *name);

#endif
