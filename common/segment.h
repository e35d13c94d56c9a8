/* SPDX-License-Identifier: MIT */
/* segment.h -- shared memory behind one interface, whatever holds it.
 *
 * A segment is a sparse file of `max_bytes`, mapped whole and once. A range of
 * it may be touched only after rf_segment_back() has put memory behind it: so
 * a full /dev/shm is an error code, never SIGBUS, and mappings inherited by
 * fork see the growth.
 *
 * What differs between backends stands in common/segment/, a file for each.
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

/* A part of a segment. */
struct rf_range {
	size_t off, bytes;
};

/* The same as enum conf_backend. */
enum rf_backend {
	RF_BACKEND_POSIX, /* shm_open(): a name in /dev/shm */
	RF_BACKEND_MEMFD, /* no name: goes with its last descriptor */
	RF_BACKEND_SYSV,  /* shmget(): a key, seen by ipcs; cannot grow */
	RF_BACKEND_FILE,  /* a regular file on a disk */
	RF_BACKEND_COUNT
};

struct rf_segment {
	enum rf_backend backend;
	int fd;	       /* -1: not open. sysv: of the file at `path`, which holds
		    * the lock */
	int shmid;     /* sysv; 0 is valid */
	uint8_t *base; /* NULL: not mapped */
	size_t max_bytes;
	size_t page_bytes; /* the grain of back and unback: 4096, or 2 MiB when
			    * huge_require. Set by create, open and view */
	bool reserve;	   /* all of max_bytes gets memory when it is made, and
			    * none is given back before its end */
	bool huge_require; /* hugetlb pages; memfd and sysv only */
	bool huge_advise;  /* MADV_HUGEPAGE what gets backed */
	bool core_include; /* backed ranges belong into core dumps */
	bool lock_memory;
	uint32_t key;	 /* sysv; 0: as ftok(path, 'R') makes it */
	char name[64];	 /* posix: "/refork-kv"; memfd: in /proc/PID/maps */
	char path[256];	 /* file, sysv: an absolute path */
	void *lock_page; /* sysv: the mapping that keeps the lock; or NULL */
};

/* Make a new, empty segment. Fills in fd; does not map.
 *
 * seg       backend, name or path, max_bytes and the flags set by the caller.
 *           huge_require: max_bytes is a multiple of 2 MiB
 * Returns   0; -EEXIST one of that name, path or key stands;
 *           -EINVAL huge_require with posix or file, or a size that cannot be;
 *           -EOPNOTSUPP file: its file system has no fallocate();
 *           -ENOSPC, -ENOMEM reserve, or hugetlb: there is not enough;
 *           -errno. After an error nothing of it is left.
 * Locking   comes flock()ed exclusively. Every process that has it mapped
 *           keeps the lock, so holding it proves that nobody else, dying
 *           children included, can still write. */
int rf_segment_create(struct rf_segment *seg);

/* Open a standing segment (memfd: there is none) and lock it, waiting up to
 * `wait_ms`. Changes nothing of it.
 *
 * Returns  0; -ENOENT;
 *          -EWOULDBLOCK somebody still has it mapped;
 *          -EPERM it is another user's, or others may write it;
 *          -EMEDIUMTYPE, -ELOOP file, sysv: at `path` is no regular file;
 *          -EEXIST sysv: the key is made of the path, and by chance that of
 *          another segment, which has its own;
 *          -EMSGSIZE sysv: the segment under the key is not of max_bytes (as
 *          wanted; 0: any); -errno.
 *          rf_segment_owner() tells what is in the way.
 *          max_bytes is set from what stands: 0 when a maker died at once. */
int rf_segment_open(struct rf_segment *seg, int wait_ms);

/* memfd: another descriptor of it, for somebody who keeps it beyond our end
 * (daemon/manager/fdstore.h). It does not hold the lock, and nobody is to map
 * what is read from it without rf_segment_adopt().
 *
 * fd       set on success: the caller's, close-on-exec
 * Returns  0; -EINVAL it is no open memfd; -errno: /proc is not there */
int rf_segment_share(const struct rf_segment *seg, int *fd);

/* Open a memfd that was kept so, and lock it, waiting up to `wait_ms`: what
 * rf_segment_open() is to a name. Changes nothing of it.
 *
 * seg      the flags set by the caller, backend and the rest are filled in
 * fd       stays the caller's
 * Returns  0; -EWOULDBLOCK somebody still has it mapped;
 *          -EMEDIUMTYPE it is no memory of this kind;
 *          -EPERM it is another user's, or others may write it, or this
 *          descriptor may not;
 *          -EBADMSG it is not sealed as rf_segment_create() seals;
 *          -EMSGSIZE it is of huge pages and huge_require is not set, or the
 *          other way round; -errno: it cannot be opened through /proc.
 *          After an error seg is not open */
int rf_segment_adopt(struct rf_segment *seg, int fd, int wait_ms);

/* Whose a standing segment is. Needs no permission on it. */
struct rf_segment_owner {
	uid_t uid;
	mode_t mode;	   /* permission bits */
	uint32_t key;	   /* sysv */
	int shmid;	   /* sysv; else -1 */
	pid_t creator_pid; /* sysv; else 0 */
	uint64_t attached; /* sysv: mappings of it, readers' too; else 0 */
	size_t bytes;	   /* of address space */
};

/* Of what stands under the name, path or key, open or not. 0; -ENOENT; -errno.
 */
int rf_segment_owner(
	const struct rf_segment *seg, struct rf_segment_owner *out);

/* Map all of it. address 0: anywhere. Otherwise exactly there: -EEXIST when
 * the range is taken. */
int rf_segment_map(struct rf_segment *seg, uint64_t address);

/* Put memory behind a range, widened to whole pages. Idempotent; what was
 * there keeps its content.
 * Returns  0; -ENOSPC, -ENOMEM, -errno: every byte is as it was. sysv and
 *          hugetlb: pages that were had before the error stay with the
 *          segment.
 * Cost     a system call, ~0.3 us per 4 KiB page. sysv maps the pages in. */
int rf_segment_back(struct rf_segment *seg, size_t off, size_t bytes);

/* In a forked child, and again when it takes over: the mapping's own settings
 * (core dumps, mlock) of a range that earlier processes backed, and partly
 * gave back. */
int rf_segment_inherit(struct rf_segment *seg, size_t off, size_t bytes);

/* Give the memory of whole pages inside the range back; it reads as zero once
 * backed again. With `reserve` nothing is done, and the bytes stay. */
int rf_segment_unback(struct rf_segment *seg, size_t off, size_t bytes);

/* Allow or forbid all access by this process (and what it forks). */
int rf_segment_protect(struct rf_segment *seg, bool access);

/* The next range at or after `off` that has memory behind it: whoever walks
 * backed ranges for core dumps, copies or pre-faulting must not fill what has
 * been given back. False: there is none up to `end`.
 *
 * Every byte ever written and not given back is in a range. hugetlb, and sysv
 * while the machine has shared memory in swap: all is one range, because the
 * kernel does not tell. posix and memfd before Linux 6.5: what was backed and
 * never touched by anybody (it reads as zero) counts as not backed, unless
 * core_include or lock_memory.
 * sysv must be mapped. */
bool rf_segment_next_backed(const struct rf_segment *seg, size_t off,
	size_t end, struct rf_range *out);

/* Read without a mapping, also while access is forbidden. 0; -EINVAL beyond
 * the end; -errno. */
int rf_segment_read(
	const struct rf_segment *seg, size_t off, void *to, size_t bytes);

/* File: write what has changed to the disk, by whichever process.
 *
 * wait     true: all of it is on the disk afterwards (fdatasync, the whole
 *          file). false: the kernel begins with the range, which may take a
 *          while when the disk's queue is full. That makes a later wait short
 *          and promises nothing else: a file that was not closed whole
 *          (file_mark.h) is refused after the machine went down, however
 *          often it was synced.
 * Others   nothing to do: 0
 * Returns  0 or -errno */
int rf_segment_sync(
	const struct rf_segment *seg, size_t off, size_t bytes, bool wait);

/* How a process that has inherited nothing finds a segment: by what its owner
 * tells of it. */
struct rf_segment_place {
	enum rf_backend backend;
	int shmid;	/* sysv; else -1 */
	char path[280]; /* the rest: "/dev/shm/refork-kv", "/proc/812/fd/7" */
	size_t max_bytes;
};

/* memfd: of this process's descriptor. Needs an open segment. */
void rf_segment_place(
	const struct rf_segment *seg, struct rf_segment_place *out);

/* Map a segment of other processes at `address` (0: anywhere) to read it
 * (PROT_READ). Takes no lock, changes nothing; touch only what
 * rf_segment_next_backed() names, or it is filled. Fills in *seg;
 * rf_segment_close() ends it.
 * Returns 0; -EEXIST the address is taken; -EMSGSIZE it has another size than
 * place->max_bytes; -EMEDIUMTYPE no regular file; -errno. */
int rf_segment_view(struct rf_segment *seg,
	const struct rf_segment_place *place, uint64_t address);

/* Unmap and close. The memory lives on while others have it, or by name. May
 * be repeated. */
void rf_segment_close(struct rf_segment *seg);

/* Remove the name, path or key: the memory goes with its last user. Needs the
 * lock. sysv: the file at `path`, too. */
int rf_segment_unlink(struct rf_segment *seg);

#endif
