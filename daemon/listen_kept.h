/* SPDX-License-Identifier: MIT */
/* listen_kept.h -- listening sockets that the service manager keeps. */
#ifndef LISTEN_KEPT_H
#define LISTEN_KEPT_H

#include "common/child.h"
#include "conf/conf.h"
#include "listen.h"

/* Those that have a number in the store: "listen-3". */
struct listen_kept {
	struct {
		int fd; /* -1: nothing has that number */
		bool stored;
	} rows[RF_LISTEN_MAX];
};

/* Take what was handed to this start. Nothing that is not at an address of the
 * configuration is left in the store: it may be in the way of one that is. */
void listen_kept_receive(struct listen_kept *kept, const struct conf *conf);

/* Go on listening at `where` with the one that is bound there: who connected
 * meanwhile has waited in its backlog.
 *
 * Returns  true; false: there is none, *l is not changed */
bool listen_kept_find(const struct listen_kept *kept, struct listener *l,
	const char *where, int backlog);

/* Have all of them kept but those that are the service manager's own. */
void listen_kept_store(
	struct listen_kept *kept, const struct listener *list, int count);

/* Close it; `keep`: what is in the store stays there, with its socket file. */
void listen_kept_close(struct listen_kept *kept, struct listener *l, bool keep);

#endif
