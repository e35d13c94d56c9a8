/* SPDX-License-Identifier: MIT */
/* listen.h -- sockets that clients connect to. */
#ifndef LISTEN_H
#define LISTEN_H

#include "fault.h"

#include <stdbool.h>
#include <sys/types.h>

struct listener {
	int fd;
	char name[128];	  /* as a client would name it: "127.0.0.1:6380" */
	char client[160]; /* a command that talks to it */
	char path[108];	  /* of a unix socket, else empty */
	dev_t dev;	  /* what was bound there: nobody else's is removed */
	ino_t ino;
	bool given; /* the service manager's: not ours to store or unlink */
};

/* Open a non-blocking, listening socket.
 *
 * where    "127.0.0.1:6380", "[::1]:6380", "unix:/path"; of a host name its
 *          first address
 * Returns  0 or an exit code, with the reason; nothing is left then */
int listener_open(struct listener *l, const char *where, int backlog,
	struct fault *fault);

/* "systemd:NAME": sockets that the service manager holds. */
bool listen_is_given(const char *where);

/* All that `where` stands for, at the end of `list`: one, or of
 * "systemd:NAME" all of that name that we were started with (fdstore_open()).
 *
 * count    of `list`, which has room for RF_LISTEN_MAX
 * Returns  0 or an exit code, with the reason; then none was added */
int listeners_open(struct listener *list, int *count, const char *where,
	int backlog, struct fault *fault);

/* Of one that was open before: whether it is bound at `where`, and what it is
 * called. Of a file that is none of ours, path stays empty. */
bool listener_is_at(int fd, const char *where);
void listener_name(struct listener *l);

/* As listener_open(), for a unix socket. A socket file whose owner is gone is
 * replaced, a live one is not touched.
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
