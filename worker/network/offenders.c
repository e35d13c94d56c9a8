/* SPDX-License-Identifier: MIT */
/* offenders.c -- counts quarantined requests by the client's address.
 *
 * The threat. Every business child has the address layout of its forerunner,
 * so a client that may crash it again and again can guess its way through that
 * layout, a bit with each crash. Each address therefore has only a few crashes
 * in a while, then it is not let in.
 *
 * An address is what one person can hold cheaply: an IPv4 address, a /64 of
 * IPv6, a user id behind a unix socket. The table is small and forgets first
 * whom it has not heard of for longest, those who are banned last of all.
 */
#include "offenders.h"
#include "common/events.h"
#include <arpa/inet.h>
#include <endian.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <refork/log.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

#define ADDRESS_TEXT_BYTES (INET6_ADDRSTRLEN + 8)

enum offender_kind {
	OFFENDER_NONE,
	OFFENDER_IPV4,
	OFFENDER_IPV6_NET,
	OFFENDER_USER,
};

struct address {
	enum offender_kind kind;
	uint64_t value;
};

static struct address of_ipv4(uint32_t network_order)
{
	return (struct address){OFFENDER_IPV4, be32toh(network_order)};
}

static struct address of_ipv6(const struct in6_addr *at)
{
	uint64_t net;
	uint32_t mapped;

	if (IN6_IS_ADDR_V4MAPPED(at)) {
		memcpy(&mapped, at->s6_addr + 12, sizeof mapped);
		return of_ipv4(mapped);
	}
	memcpy(&net, at->s6_addr, sizeof net);
	return (struct address){OFFENDER_IPV6_NET, be64toh(net)};
}

static struct address of_user(int fd)
{
	struct ucred who = {0};
	socklen_t bytes = sizeof who;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &bytes) != 0)
		return (struct address){OFFENDER_NONE, 0};
	return (struct address){OFFENDER_USER, who.uid};
}

static struct address address_of(int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in ipv4;
		struct sockaddr_in6 ipv6;
		struct sockaddr_storage room;
	} peer = {0};
	socklen_t bytes = sizeof peer;

	if (getpeername(fd, &peer.any, &bytes) == 0) {
		if (peer.any.sa_family == AF_INET)
			return of_ipv4(peer.ipv4.sin_addr.s_addr);
		if (peer.any.sa_family == AF_INET6)
			return of_ipv6(&peer.ipv6.sin6_addr);
		if (peer.any.sa_family == AF_UNIX)
			return of_user(fd);
	}
	return (struct address){OFFENDER_NONE, 0};
}

static const struct offender *find(
	const struct offenders *table, struct address at)
{
	for (size_t i = 0; i < OFFENDERS_MAX; i++)
		if (table->entries[i].kind == at.kind &&
			table->entries[i].value == at.value)
			return &table->entries[i];
	return NULL;
}

/* a is the better one to be forgotten. */
static bool is_staler(
	const struct offender *a, const struct offender *b, int64_t now_ms)
{
	bool a_banned = a->banned_until_ms > now_ms;
	bool b_banned = b->banned_until_ms > now_ms;

	if ((a->kind == OFFENDER_NONE) != (b->kind == OFFENDER_NONE))
		return a->kind == OFFENDER_NONE;
	if (a_banned != b_banned)
		return b_banned;
	return a->last_ms < b->last_ms;
}

/* Its entry, perhaps a fresh one. */
static struct offender *enter(
	struct offenders *table, struct address at, int64_t now_ms)
{
	struct offender *entry = (struct offender *)find(table, at);

	if (entry != NULL)
		return entry;
	entry = &table->entries[0];
	for (size_t i = 1; i < OFFENDERS_MAX; i++)
		if (is_staler(&table->entries[i], entry, now_ms))
			entry = &table->entries[i];
	*entry = (struct offender){
		.kind = at.kind,
		.value = at.value,
		.since_ms = now_ms,
	};
	return entry;
}

/* "127.0.0.1", "2001:db8::/64", "user 1000" */
static const char *describe(
	const struct offender *entry, char out[ADDRESS_TEXT_BYTES])
{
	uint32_t ipv4 = htobe32((uint32_t)entry->value);
	uint64_t net = htobe64(entry->value);
	struct in6_addr ipv6 = {0};

	if (entry->kind == OFFENDER_IPV4) {
		inet_ntop(AF_INET, &ipv4, out, ADDRESS_TEXT_BYTES);
	} else if (entry->kind == OFFENDER_IPV6_NET) {
		memcpy(&ipv6, &net, sizeof net);
		inet_ntop(AF_INET6, &ipv6, out, INET6_ADDRSTRLEN);
		strcat(out, "/64");
	} else {
		snprintf(
			out, ADDRESS_TEXT_BYTES, "user %" PRIu64, entry->value);
	}
	return out;
}

static void ban(struct offenders *table, struct offender *entry,
	uint64_t ban_ms, int64_t now_ms)
{
	char text[ADDRESS_TEXT_BYTES];

	describe(entry, text);
	rf_log_event(RF_EVENT_CLIENT_BANNED,
		RF_LOG_FIELDS(RF_LOG_TEXT("client", text)),
		"refusing %s for %" PRIu64 " s: %" PRIu64
		" of its requests ended the business process",
		text, (ban_ms + 999) / 1000, entry->count);
	/* When it is let in again, it begins anew. */
	entry->count = 0;
	entry->since_ms = now_ms;
	entry->banned_until_ms = now_ms + (int64_t)ban_ms;
	if (entry->banned_until_ms > table->banned_until_ms)
		table->banned_until_ms = entry->banned_until_ms;
}

bool offenders_count(struct offenders *table, int fd, uint64_t limit,
	uint64_t ban_ms, int64_t now_ms)
{
	struct address at = address_of(fd);
	struct offender *entry;

	if (at.kind == OFFENDER_NONE || limit == 0)
		return false;
	entry = enter(table, at, now_ms);
	if (now_ms - entry->since_ms > OFFENDERS_WINDOW_MS) {
		entry->since_ms = now_ms;
		entry->count = 0;
	}
	entry->last_ms = now_ms;
	entry->count++;
	if (entry->count < limit)
		return false;
	ban(table, entry, ban_ms, now_ms);
	return true;
}

bool offenders_is_banned(const struct offenders *table, int fd, int64_t now_ms)
{
	const struct offender *entry;
	struct address at;

	if (__builtin_expect(now_ms >= table->banned_until_ms, 1))
		return false;
	at = address_of(fd);
	if (at.kind == OFFENDER_NONE)
		return false;
	entry = find(table, at);
	return entry != NULL && now_ms < entry->banned_until_ms;
}
