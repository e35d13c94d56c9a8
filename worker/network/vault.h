/* SPDX-License-Identifier: MIT */
/* vault.h -- the descriptor table that network children share. See vault.c. */
#ifndef NETWORK_VAULT_H
#define NETWORK_VAULT_H

#include "child.h"

/* The descriptors that the vault got from the supervisor, in ascending order.
 * Returns how many; 0: this process was not made by a vault. */
int vault_kept(const int **fds);

/* In the network child, now and then: an order to make a new vault? */
void vault_look(const struct rf_child *self);

#endif
