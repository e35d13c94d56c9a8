/* SPDX-License-Identifier: MIT */
/* attach.h -- read a service's arena from a process of your own.
 *
 * The arena is mapped at its address, read-only and without its lease: every
 * pointer in it is good as it stands, and what reads a container in a worker
 * (rf_dict_find, ...) reads it here. No worker is needed, only librefork.a and
 * the headers of what stands in the slots. For C and C++; one thread at a time,
 * one arena at a time.
 *
 *	if (rf_attach("kv", 0, &a, why, sizeof why) != 0) ... why
 *	do {
 *		rf_attach_hold(a, 50, why, sizeof why)
 *		... read ...
 *	} while (rf_attach_let_go(a, NULL) == -ESTALE);
 *	rf_detach(a);
 */
#ifndef REFORK_ATTACH_H
#define REFORK_ATTACH_H

#include <refork/check.h>
#include <refork/slot.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rf_attach;

enum rf_attach_flag {
	/* A private copy of the whole arena as of one instant, to be read for
	 * as long as you like: the service stands still while it is copied,
	 * ~0.2 s per GiB in use, at most 2 s. Takes that much memory. */
	RF_ATTACH_COPY = 1
};

struct rf_attach_facts {
	bool online;		    /* a daemon lives; else what one has left */
	const char *service;	    /* offline: "" */
	const char *backend;	    /* "posix", ... */
	const char *path;	    /* of the segment */
	const char *worker;	    /* "kv" */
	const char *worker_version; /* offline: "" */
	const char *worker_code;    /* the shared object itself; offline: "" */
	const char *worker_args;
	uint64_t base, bytes; /* of the mapping */
	uint64_t generation;
	uint64_t copied_bytes; /* RF_ATTACH_COPY */
	int64_t held_us;       /* RF_ATTACH_COPY: how long clients waited */
	uint64_t undone; /* offline: log entries rolled back in our view */
};

/* Map an arena.
 *
 * what      a service's name ("kv"); or the path of its control socket; or of
 *           a kept segment (/dev/shm/refork-kv, /var/lib/refork/kv.arena). A
 *           name of which no daemon lives stands for what is kept in
 *           /dev/shm
 * flags     enum rf_attach_flag
 * why       gets a sentence when it fails: what was tried, and what stands
 *           against it
 * Returns   0; -ENOENT nothing of that name; -EACCES; -EWOULDBLOCK somebody
 *           has the segment; -EEXIST the address is taken; -EPROTO another
 *           format; -EBADMSG no arena, or a damaged one; -EAGAIN it is not
 *           serving; -errno
 * Offline   the segment is locked against daemons until rf_detach(), and a
 *           change that was left half made is undone in our view alone: the
 *           segment itself is not written to */
RF_API int rf_attach(const char *what, unsigned flags, struct rf_attach **out,
	char *why, size_t why_bytes);

/* Good until rf_detach(). */
RF_API const struct rf_attach_facts *rf_attach_facts(const struct rf_attach *a);

/* Have the service stand still between two requests, for at most `ms` (1 ..
 * 2000): until rf_attach_let_go() nothing changes. Clients wait meanwhile.
 * Needed for every look at a live mapping; offline, and with a copy, there is
 * nothing to do.
 *
 * Returns  0; -EBUSY refused: another reader's turn, or it is not serving, or
 *          a request runs for long; -errno. With a sentence.
 * Cost     ~1 ms */
RF_API int rf_attach_hold(
	struct rf_attach *a, unsigned ms, char *why, size_t why_bytes);

/* Let it go on.
 *
 * held_us  how long clients waited; -1: not known; may be NULL
 * Returns  0: it stood still until now, and what was read was so at one
 *          instant. -ESTALE: it did not (the time was over, or the business
 *          process was renewed): forget what was read, and read it again.
 *          -errno: the daemon is gone; as -ESTALE */
RF_API int rf_attach_let_go(struct rf_attach *a, int64_t *held_us);

/* Unmap. NULL is ignored. */
RF_API void rf_detach(struct rf_attach *a);

/* Find a root object to read it, as rf_slot_open() does to change it.
 *
 * Returns  0; -ENOENT no slot of that name; -EPROTOTYPE another type or size;
 *          -ESTALE another version; -EBADMSG its root lies outside of the
 *          arena */
RF_API int rf_slot_find(const char *name, const char *type, uint32_t version,
	size_t bytes, const void **root);

#endif
