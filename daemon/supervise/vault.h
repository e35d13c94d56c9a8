/* SPDX-License-Identifier: MIT */
/* vault.h -- network children whose connections outlive them. See vault.c.
 *
 * The vault is a child like any other: spawn() with vault_main, with the
 * listening sockets, before the first network child. It and all network
 * children made through it share one descriptor table, and each of them is this
 * process's child: watched by pidfd, reaped as usual.
 *
 *   the network child ends   vault_make_network(): the next one goes on with
 *                            the connections
 *   the vault ends           vault_replace(): the network child makes another
 *                            one, nothing is lost
 *   both end                 spawn() a new vault, then vault_make_network():
 *                            the connections are lost, the network child tells
 *                            the business child so
 */
#ifndef VAULT_H
#define VAULT_H

#include "spawn.h"

/* Make a network child out of the vault. Blocks until it runs, VAULT_WAIT_MS
 * at most.
 *
 * how      its scene counts, the rest is the vault's
 * Returns  0 and the child's pid and pidfd; -ETIMEDOUT the vault did not
 *          answer (if it does so again, kill it), -EAGAIN, -ENOMEM it could
 *          not fork */
int vault_make_network(struct service *service, const struct spawn *how,
	pid_t *pid, int *pidfd);

/* Make a vault out of the network child; how and result as above, -ETIMEDOUT
 * when the network child is busy or hung: try again, or let it be. */
int vault_replace(struct service *service, const struct spawn *how, pid_t *pid,
	int *pidfd);

#define VAULT_WAIT_MS 200

#endif
