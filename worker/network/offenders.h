/* SPDX-License-Identifier: MIT */
/* offenders.h -- addresses whose requests keep killing the business child.
 *
 * Stands zeroed in memory that outlives the network child, its only writer.
 * Used like this:
 *
 *   a reply flagged RF_MSG_CRASHED:
 *       if (offenders_count(table, conn->fd, limit, ban_ms, now) ||
 *           conn has had one before)
 *               this reply is the connection's last word
 *   accept:
 *       if (offenders_is_banned(table, fd, now))
 *               refuse with OFFENDERS_REFUSAL
 */
#ifndef NETWORK_OFFENDERS_H
#define NETWORK_OFFENDERS_H

#include <stdbool.h>
#include <stdint.h>

#define OFFENDERS_MAX	    256
#define OFFENDERS_WINDOW_MS (INT64_C(10) * 60 * 1000)
#define OFFENDERS_REFUSAL                                                      \
	"ERR refused for a while: requests from this address kept ending the " \
	"service's process"

struct offender {
	uint64_t kind; /* enum offender_kind; 0: free */
	uint64_t value;
	int64_t since_ms; /* its first request in this window */
	int64_t last_ms;
	int64_t banned_until_ms;
	uint64_t count; /* in this window */
};

struct offenders {
	int64_t banned_until_ms; /* nobody is, after that */
	struct offender entries[OFFENDERS_MAX];
};

/* A request of the client behind this socket has been quarantined.
 *
 * limit    so many within OFFENDERS_WINDOW_MS, and the address is refused for
 *          ban_ms; 0: never
 * now_ms   CLOCK_MONOTONIC
 * Returns  true: the address is refused from now on */
bool offenders_count(struct offenders *table, int fd, uint64_t limit,
	uint64_t ban_ms, int64_t now_ms);

/* Cost: one comparison while nobody is banned; else getpeername(2). */
bool offenders_is_banned(const struct offenders *table, int fd, int64_t now_ms);

#endif
