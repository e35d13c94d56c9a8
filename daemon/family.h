/* SPDX-License-Identifier: MIT */
/* family.h -- the two children: forked, watched, forked again. See family.c. */
#ifndef FAMILY_H
#define FAMILY_H

#include "service.h"

struct ev_loop;
struct family;

struct family_host {
	void *arg;
	/* A child has come up, or will be away for a while. */
	void (*changed)(void *arg);
	/* A child that was asked to end has ended. */
	void (*gone)(void *arg);
	/* The child called `name` says that it cannot start, and the service
	 * has not served yet. */
	void (*hopeless)(void *arg, const char *name);
};

/* NULL with errno. The children destroy `loop`. */
struct family *family_open(struct service *service, struct ev_loop *loop,
	const struct family_host *host);

void family_start(struct family *f);

/* Ask the next child in turn to end; one that was asked before is killed.
 * False: there is none left. */
bool family_stop_next(struct family *f);

bool family_serves(const struct family *f);
bool family_has_served(const struct family *f);
/* Of the last crash, in words; NULL: there was none. */
const char *family_last_crash(const struct family *f);

/* When no child is left: collect what helped them. */
void family_close(struct family *f);

#endif
