/* SPDX-License-Identifier: MIT */
/* preserve.h -- clients' connections, from one daemon to the next. See
 * preserve.c. */
#ifndef PRESERVE_H
#define PRESERVE_H

#include "service.h"

/* Names in the store at a planned restart. */
#define PRESERVE_NAMES 3

/* Make the channel: with the connections that the last daemon left, or new.
 * 0 or -errno. */
int preserve_open(struct service *service);

/* The arena stands. Connections that are none of its own end. */
void preserve_review(struct service *service);

/* The service serves: the store need not keep for it what came. */
void preserve_landed(void);

/* A planned end begins: is the network child to leave its connections to the
 * next daemon when it is asked to end? It is told, then. */
bool preserve_begin(struct service *service);

/* No child is left: if the network child has left its connections, and the
 * state is kept, so are they. */
void preserve_end(struct service *service);

#endif
