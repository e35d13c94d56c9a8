/* SPDX-License-Identifier: MIT */
/* backend.h -- what a backend is: one table of functions, and what they share.
 *
 * Private to common/segment/. Every function returns 0 or -errno unless it
 * says otherwise. Offsets and lengths that come in are whole pages of
 * seg->page_bytes, inside the segment.
 */
#ifndef RF_SEGMENT_BACKEND_H
#define RF_SEGMENT_BACKEND_H

#include "../segment.h"

#define RF_PAGE_SMALL ((size_t)4096)
#define RF_PAGE_HUGE  ((size_t)2 << 20)

struct rf_backend_ops {
	/* Make it, locked: fd, and shmid. Nothing is left after an error. */
	int (*create)(struct rf_segment *seg);
	/* Give it its size and what else can fail after that; may be NULL. */
	int (*size)(struct rf_segment *seg);
	/* Find it, lock it, set max_bytes; may be NULL. */
	int (*open)(struct rf_segment *seg, int wait_ms);
	/* Set base. -EEXIST: the address is taken. */
	int (*map)(struct rf_segment *seg, uint64_t address, int prot);
	int (*back)(const struct rf_segment *seg, size_t off, size_t bytes);
	int (*punch)(const struct rf_segment *seg, size_t off, size_t bytes);
	bool (*next)(const struct rf_segment *seg, size_t off, size_t end,
		struct rf_range *out);
	int (*read)(
		const struct rf_segment *seg, size_t off, void *to, size_t n);
	int (*sync)(const struct rf_segment *seg, size_t off, size_t bytes,
		bool wait); /* may be NULL */
	int (*owner)(const struct rf_segment *seg,
		struct rf_segment_owner *out); /* bytes, uid, mode, ... */
	void (*place)(
		const struct rf_segment *seg, struct rf_segment_place *out);
	/* Make what `place` says ready for map(): fd or shmid, max_bytes. */
	int (*find)(
		struct rf_segment *seg, const struct rf_segment_place *place);
	int (*unlink)(const struct rf_segment *seg);
	bool huge; /* can have hugetlb pages */
	/* next() knows what was backed and never touched; NULL: always. */
	bool (*tells_untouched)(const struct rf_segment *seg);
};

extern const struct rf_backend_ops rf_backend_posix, rf_backend_memfd,
	rf_backend_sysv, rf_backend_file;

/* ---- descriptor.c: a segment that is a file, with a name or without ---- */

int rf_fd_size(struct rf_segment *seg);
int rf_fd_map(struct rf_segment *seg, uint64_t address, int prot);
int rf_fd_back(const struct rf_segment *seg, size_t off, size_t bytes);
int rf_fd_punch(const struct rf_segment *seg, size_t off, size_t bytes);
bool rf_fd_next(const struct rf_segment *seg, size_t off, size_t end,
	struct rf_range *out);
bool rf_fd_tells_untouched(const struct rf_segment *seg);
int rf_fd_read(const struct rf_segment *seg, size_t off, void *to, size_t n);
int rf_fd_find(struct rf_segment *seg, const struct rf_segment_place *place);
/* All of [off, end): for a kernel that does not tell. True unless empty. */
bool rf_all_backed(size_t off, size_t end, struct rf_range *out);

/* ---- named.c: a file with a name, which one daemon at a time has ---- */

/* Opens what the name says: a descriptor, or -1 and errno. */
int rf_named_create(struct rf_segment *seg,
	int (*open_name)(const struct rf_segment *seg, int flags));
int rf_named_open(struct rf_segment *seg, int wait_ms,
	int (*open_name)(const struct rf_segment *seg, int flags));

/* 0 for a regular file of this user that nobody else may write; -EMEDIUMTYPE,
 * -EPERM. */
int rf_file_is_ours(int fd);
int rf_lock_within(int fd, int wait_ms); /* -EWOULDBLOCK */
/* True while `fd` is what the name stands for. */
bool rf_is_still_named(const struct rf_segment *seg, int fd,
	int (*open_name)(const struct rf_segment *seg, int flags));
int rf_open_path(const struct rf_segment *seg, int flags);
int rf_path_owner(const char *path, struct rf_segment_owner *out);

/* ---- sysv_lock.c: the file beside a System V segment ---- */

/* Open and lock the file at seg->path: seg->fd. `flags` may make it. */
int rf_lock_file(struct rf_segment *seg, int flags, int wait_ms);
void rf_lock_drop(struct rf_segment *seg);
/* Its lock is that of seg->shmid, which stands. */
bool rf_lock_is_noted(const struct rf_segment *seg);
/* Write down that it is: for the maker of the segment, who is alone. */
int rf_lock_note(const struct rf_segment *seg, uint32_t key);
/* The same but for when it was claimed, and whoever has the lock. shmid -1: it
 * names none. */
bool rf_lock_names(const struct rf_segment *seg, int shmid);
/* Make it so for a segment that was found under the key. -EWOULDBLOCK: somebody
 * is attached; -EEXIST: the key is made of the path, and by chance that of
 * another file's segment. */
int rf_lock_claim(const struct rf_segment *seg, uint32_t key, int wait_ms);

#endif
