/* SPDX-License-Identifier: MIT */
/* loop.h -- waiting for sockets, the bell, the clock and SIGTERM. */
#ifndef NETWORK_LOOP_H
#define NETWORK_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct conn;
struct loop;
struct net;

enum loop_want { LOOP_WANT_NONE = 0, LOOP_WANT_READ = 1, LOOP_WANT_WRITE = 2 };

/* Time between two network_on_tick. */
#define LOOP_TICK_MS 500

/* Watches the clock, SIGTERM, the bell and the listeners (paused). NULL with
 * errno. */
struct loop *loop_create(struct net *net);
/* Watch a connection, with no interest yet. */
void loop_watch(struct loop *loop, uint32_t slot, struct conn *conn, int fd);
void loop_want(struct loop *loop, uint32_t slot, unsigned want);
/* Before its descriptor is closed. */
void loop_unwatch(struct loop *loop, uint32_t slot);
void loop_accept(struct loop *loop, bool on);
/* Handle what is ready; with `may_sleep`, wait until something is. */
void loop_run(struct loop *loop, bool may_sleep);

#endif
