/* SPDX-License-Identifier: MIT */
/* post.h -- one datagram to the service manager. */
#ifndef POST_H
#define POST_H

/* Send it to $NOTIFY_SOCKET, with copies of `fds`.
 *
 * patience_ms  how long to wait for a manager whose queue is full; 0: not at
 *              all
 * Returns      0, also when there is no manager; -EAGAIN it has not taken it;
 *              -errno
 * Cost         four system calls, ~10 us */
int post(const char *text, const int *fds, unsigned int count, int patience_ms);

#endif
