/* SPDX-License-Identifier: MIT */
/* listen.h -- sockets that clients connect to. */
#ifndef LISTEN_H
#define LISTEN_H

#include "fault.h"

#include <sys/types.h>

struct listener {
	int fd;
	char name[128];	  /* as a client would name it: "127.0.0.1:6380" */
	char client[160]; /* a command that talks to it */
	char path[108];	  /* of a unix socket, else empty */
	dev_t dev;	  /* what was bound there: nobody else's is removed */
	ino_t ino;
};

/* Open a non-blocking, listening socket.
 *
 * where    "127.0.0.1:6380", "[::1]:6380", "unix:/path"; of a host name its
 *          first address
 * Returns  0 or an exit code, with the reason; nothing is left then */
int listener_open(struct listener *l, const char *where, int backlog,
	struct fault *fault);

/* The same for a unix socket. A socket file whose owner is gone is replaced, a
 * live one is not touched.
 *
 * what     leads its path in a message: "control socket "
 * mode     of the file at most; the umask may take more away */
int listener_open_unix(struct listener *l, const char *what, const char *path,
	mode_t mode, int backlog, struct fault *fault);

/* Close, and remove the socket file. */
void listener_close(struct listener *l);

/* 1 when a process accepts connections at that unix socket, 0 when the file is
 * a leftover or missing, -errno. */
int listener_unix_alive(const char *path);

#endif
