/* SPDX-License-Identifier: MIT */
/* fdstore.h -- descriptors that the service manager keeps for the next start.
 *
 * systemd keeps copies of descriptors under names, and hands them back when it
 * starts the service again: after a crash, a kill, a watchdog, and in the
 * middle of `systemctl restart`. It drops them when the service is stopped
 * (from 254 on FileDescriptorStorePreserve=yes keeps them).
 *
 * It also hands over sockets that it listens on for us (socket activation):
 * they come by name in the same way, and are ours to use, not to store.
 *
 *   name           what                                   put there
 *   arena          memfd of the arena                     before the first fork
 *   status         memfd of the status segment            before the first fork
 *   listen-0 ...   listening sockets, told apart by their address: before the
 *                  first fork
 *   channel front  memfds of the channel                  at a planned restart
 *   ferry          a socket with all connections in it    at a planned restart
 *
 * Three truths about stored descriptors. The copy shares its open file
 * description, so its flock(): what is locked is stored by another description
 * of the same file (rf_segment_share()). And a stored socket stays open when we
 * close ours: no FIN goes out until it is removed. And one open file
 * description is stored once: put under a second name, it keeps its first.
 */
#ifndef FDSTORE_H
#define FDSTORE_H

#include "common/segment.h"

/* Receive what we were started with; once, before anything else is opened.
 * Returns how many descriptors there are. All are close-on-exec. */
int fdstore_open(void);

/* The service manager says that it keeps descriptors: $FDSTORE, which systemd
 * sets from 254 on and the unit file for those before. */
bool fdstore_is_kept(void);
/* How many, as it says; 0: none. */
int fdstore_room(void);

/* One of that name that nobody has taken, and ours from now on; -1: none. */
int fdstore_take(const char *name);

/* The names of what nobody has taken, "a, b"; "nothing". */
void fdstore_list(char *text, size_t bytes);
/* A name that this daemon gives to what it stores: "arena", "listen-0". */
bool fdstore_is_own_name(const char *name);

/* There was one of that name, taken or not. */
bool fdstore_had(const char *name);

/* Close what nobody has taken, and have the store forget those names. Says what
 * it was. */
void fdstore_close_rest(void);

/* Have a copy of it kept. Without a store nothing happens. By the supervisor
 * only (NotifyAccess=main).
 *
 * Returns  0; -EAGAIN: it has not taken it for 5 s; -errno. The service manager
 *          does not say whether it had room */
int fdstore_put(const char *name, int fd);
/* The same of a segment's file, by a description without its lock. */
int fdstore_put_segment(const char *name, const struct rf_segment *seg);

/* Have all of that name forgotten. 0; -EAGAIN: not taken for 1 s; -errno. */
int fdstore_remove(const char *name);

/* Wait until the service manager has read all that was said before.
 * 0; -ETIMEDOUT; -errno */
int fdstore_settle(int timeout_ms);

#endif
