/* SPDX-License-Identifier: MIT */
/* herald.h -- what the supervisor has to say to the service manager. */
#ifndef HERALD_H
#define HERALD_H

#include "family.h"

struct herald;

struct herald_host {
	void *arg;
	const char *(*state)(void *arg); /* "serving" */
};

/* NULL with errno. Where no service manager listens it does nothing, and costs
 * nothing. */
struct herald *herald_open(struct service *service, struct family *family,
	struct ev_loop *loop, const struct herald_host *host);
void herald_close(struct herald *h);

/* It serves, for the first time. */
void herald_serves(struct herald *h);
/* What can be seen has changed. */
void herald_changed(struct herald *h);
/* Around a reload; before the service serves a start is still going on. */
void herald_reloads(struct herald *h);
void herald_reloaded(struct herald *h);
void herald_stops(struct herald *h);
/* It gives up, and why. The last word: the status stays so. */
void herald_fails(struct herald *h, const char *why);

#endif
