/* SPDX-License-Identifier: MIT */
/* ferry.h -- connections on their way to the next daemon. See ferry.c. */
#ifndef NETWORK_FERRY_H
#define NETWORK_FERRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct net;

/* SIGTERM means this, not the end of the connections. */
bool ferry_is_ordered(const struct net *net);

/* Leave all connections to the next daemon, and end. Returns only when that
 * cannot be: then nothing has changed, but that nobody is accepted. */
void ferry_leave(struct net *net);

/* Take into this process's table what is left in the ferry; `note` is told of
 * each, and says whether it could be noted. 0 or -ENOMEM. */
int ferry_unload(int landing, bool (*note)(size_t fd));

/* Close what is left in it. */
void ferry_sink(int landing);

/* All have landed: find out which descriptor is whose. `may_be` says of a
 * descriptor whether it is open and may be a connection's; those that are
 * nobody's are closed, and `forget` is told. 0 or -ENOMEM. */
int ferry_assign(struct net *net, size_t fd_count, bool (*may_be)(size_t fd),
	void (*forget)(size_t fd));

#endif
