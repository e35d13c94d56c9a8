/* SPDX-License-Identifier: MIT */
/* segment.h -- shared memory behind one interface, whatever holds it.
 *
 * A segment is a sparse file of `max_bytes`, mapped whole and once. A range of
 * it may be touched only after rf_segment_back() has put memory behind it: so
 * a full /dev/shm is an error code, never SIGBUS, and mappings inherited by
 * fork see the growth.
 */
#ifndef RF_SEGMENT_H
#define RF_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Where gcc's and clang's sanitizers and valgrind all leave room. */
#define RF_ARENA_BASE	  UINT64_C(0x566000000000)
#define RF_ARENA_MAX_BITS 37 /* 128 GiB */

enum rf_backend { RF_BACKEND_POSIX, RF_BACKEND_MEMFD, RF_BACKEND_COUNT };

struct rf_segment {
	enum rf_backend backend;
	int fd;
	uint8_t *base;
	size_t max_bytes;
	bool huge_advise;  /* MADV_HUGEPAGE what gets backed */
	bool core_include; /* backed ranges belong into core dumps */
	bool lock_memory;
	char name[64]; /* posix: "/refork-kv"; memfd: shown in /proc/PID/maps */
};

/* Make a new, empty segment. Fills in fd; does not map.
 *
 * seg       backend, name, max_bytes and the flags set by the caller
 * Returns   0; -EEXIST a posix segment of that name stands; -errno
 * Locking   a posix segment comes flock()ed exclusively. Every process that
 *           has it mapped keeps the lock, so holding it proves that nobody
 *           else, dying children included, can still write. */
int rf_segment_create(struct rf_segment *seg);

/* Open a standing posix segment and lock it, waiting up to `wait_ms`.
 *
 * Returns  0; -ENOENT; -EWOULDBLOCK somebody still has it mapped; -errno.
 *          max_bytes is set from the file. */
int rf_segment_open(struct rf_segment *seg, int wait_ms);

/* Map all of it. address 0: anywhere. Otherwise exactly there: -EEXIST when
 * the range is taken. */
int rf_segment_map(struct rf_segment *seg, uint64_t address);

/* Put memory behind a range. Idempotent. -ENOSPC, -ENOMEM, -errno: unchanged.
 * Cost: a system call, ~0.3 us per 4 KiB page. */
int rf_segment_back(struct rf_segment *seg, size_t off, size_t bytes);

/* In a forked child: the mapping's own settings (core dumps, mlock) of a range
 * that an earlier process may have backed. */
int rf_segment_inherit(struct rf_segment *seg, size_t off, size_t bytes);

/* Give the memory of whole pages inside the range back; it reads as zero once
 * backed again. */
int rf_segment_unback(struct rf_segment *seg, size_t off, size_t bytes);

/* Allow or forbid all access by this process (and what it forks). */
int rf_segment_protect(struct rf_segment *seg, bool access);

/* Unmap and close. The memory lives on while others have it, or by name. */
void rf_segment_close(struct rf_segment *seg);

/* Remove the name: the memory goes with its last user. */
int rf_segment_unlink(struct rf_segment *seg);

#endif
