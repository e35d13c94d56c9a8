/* SPDX-License-Identifier: MIT */
/* sysv.c -- System V shared memory: a key, seen by ipcs, gone with IPC_RMID.
 *
 * The problem. Such a segment has no descriptor: no lock that dies with its
 * last user, no fallocate(), no hole that can be asked for.
 * The idea. A file beside it, at seg->path, stands for what is missing. It
 * makes the key (ftok), and one page of it, which nobody may touch, is mapped
 * wherever the segment is: so its flock() is free exactly when the last mapping
 * is gone (named.c). Memory comes by MADV_POPULATE_WRITE, which answers with an
 * error where a touch would be SIGBUS, and goes by MADV_REMOVE.
 *
 * Which segment it is the lock of, the file says itself: sysv_lock.c.
 */
#include "backend.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

#define FTOK_ID	     'R'
#define HUGE_2MB     (21 << SHM_HUGE_SHIFT)
#define WINDOW	     16384 /* pages asked for at once, at most */
#define WINDOW_LEAST 64

#ifndef SHM_HUGE_SHIFT
#define SHM_HUGE_SHIFT 26
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

/* ---- its key and its file ---- */

static int key_of(const struct rf_segment *seg, key_t *key)
{
	*key = seg->key != 0 ? (key_t)seg->key : ftok(seg->path, FTOK_ID);
	return *key == (key_t)-1 && seg->key == 0 ? -errno : 0;
}

/* ---- a second, short mapping: whatever the first one allows ---- */

static uint8_t *attach(int shmid, int flags)
{
	void *at = shmat(shmid, NULL, flags);

	return at == (void *)-1 ? NULL : at;
}

static int populate(uint8_t *at, size_t bytes, int advice)
{
	int error;

	do
		error = madvise(at, bytes, advice);
	while (error != 0 && (errno == EINTR || errno == EAGAIN));
	if (error == 0)
		return 0;
	return errno == EFAULT ? -ENOMEM : -errno;
}

/* hugetlb mappings cannot be divided at 4 KiB. */
static bool is_huge(uint8_t *at)
{
	return madvise(at + RF_PAGE_SMALL, RF_PAGE_SMALL, MADV_DONTDUMP) != 0 &&
	       errno == EINVAL;
}

static int has_huge_pages(int shmid, bool *huge)
{
	uint8_t *at = attach(shmid, SHM_RDONLY);

	if (at == NULL)
		return -errno;
	*huge = is_huge(at);
	shmdt(at);
	return 0;
}

/* ---- make and find ---- */

static int sysv_create(struct rf_segment *seg)
{
	int flags = IPC_CREAT | IPC_EXCL | 0600;
	int error = rf_lock_file(seg, O_CREAT, 0);
	key_t key;

	if (error != 0)
		return error == -EWOULDBLOCK ? -EEXIST : error;
	if (seg->huge_require)
		flags |= SHM_HUGETLB | HUGE_2MB;
	if (!seg->reserve)
		flags |= SHM_NORESERVE;
	error = key_of(seg, &key);
	if (error == 0) {
		seg->shmid = shmget(key, seg->max_bytes, flags);
		error = seg->shmid < 0 ? -errno : 0;
	}
	if (error == -EEXIST)
		goto err_unlock;
	if (error != 0)
		goto err_unlink;
	error = rf_lock_note(seg, (uint32_t)key);
	if (error == 0)
		return 0;
	shmctl(seg->shmid, IPC_RMID, NULL);
err_unlink:
	unlink(seg->path); /* empty, or the lock of what is long gone */
err_unlock:
	rf_lock_drop(seg);
	return error;
}

static bool is_ours(const struct shmid_ds *ds)
{
	return ds->shm_perm.uid == geteuid() &&
	       ds->shm_perm.cuid == geteuid() &&
	       (ds->shm_perm.mode & 0777) == 0600;
}

/* The segment under the key, judged; the file is locked. */
static int find_by_key(struct rf_segment *seg, int wait_ms)
{
	struct shmid_ds ds;
	bool huge = false;
	int error;
	key_t key;

	error = key_of(seg, &key);
	if (error != 0)
		return error;
	seg->shmid = shmget(key, 0, 0);
	if (seg->shmid < 0 || shmctl(seg->shmid, IPC_STAT, &ds) != 0)
		return errno == EACCES ? -EPERM : -errno;
	if (!is_ours(&ds))
		return -EPERM;
	if (seg->max_bytes != 0 && seg->max_bytes != ds.shm_segsz)
		return -EMSGSIZE;
	if (!rf_lock_is_noted(seg))
		error = rf_lock_claim(seg, (uint32_t)key, wait_ms);
	if (error == 0)
		error = has_huge_pages(seg->shmid, &huge);
	if (error == 0 && huge != seg->huge_require)
		error = -EMSGSIZE;
	seg->max_bytes = error == 0 ? ds.shm_segsz : seg->max_bytes;
	return error;
}

static int sysv_open(struct rf_segment *seg, int wait_ms)
{
	int error = rf_lock_file(seg, 0, wait_ms);

	if (error != 0)
		return error;
	error = find_by_key(seg, wait_ms);
	if (error == 0)
		return 0;
	/* Made for nothing, by a create before. */
	if ((error == -EPERM || error == -EEXIST) && rf_lock_names(seg, -1))
		unlink(seg->path);
	rf_lock_drop(seg);
	return error;
}

static int sysv_map(struct rf_segment *seg, uint64_t address, int prot)
{
	int flags = prot & PROT_WRITE ? 0 : SHM_RDONLY;
	struct shmid_ds ds;
	uint8_t *at;

	if (seg->fd >= 0 && seg->lock_page == NULL) {
		seg->lock_page = mmap(
			NULL, RF_PAGE_SMALL, PROT_NONE, MAP_SHARED, seg->fd, 0);
		if (seg->lock_page == MAP_FAILED) {
			seg->lock_page = NULL;
			return -errno;
		}
	}
	at = shmat(seg->shmid, (void *)address, flags);
	if (at != (void *)-1 && seg->fd >= 0 && !rf_lock_is_noted(seg)) {
		shmdt(at); /* it was claimed, or removed, in between */
		return -EWOULDBLOCK;
	}
	if (at != (void *)-1) {
		seg->base = at;
		return 0;
	}
	/* While it stands, what does not fit is the address. */
	if (errno == EINVAL && address != 0)
		return shmctl(seg->shmid, IPC_STAT, &ds) == 0 ? -EEXIST
							      : -errno;
	return -errno;
}

static int sysv_find(
	struct rf_segment *seg, const struct rf_segment_place *place)
{
	struct shmid_ds ds;

	if (shmctl(place->shmid, IPC_STAT, &ds) != 0)
		return -errno;
	if (ds.shm_segsz != place->max_bytes)
		return -EMSGSIZE;
	seg->shmid = place->shmid;
	seg->max_bytes = place->max_bytes;
	return has_huge_pages(seg->shmid, &seg->huge_require);
}

/* ---- memory ---- */

static int sysv_back(const struct rf_segment *seg, size_t off, size_t bytes)
{
	uint8_t *again;
	int error;

	if (seg->base != NULL &&
		populate(seg->base + off, bytes, MADV_POPULATE_WRITE) == 0)
		return 0;
	/* It is not mapped, access is forbidden, or there is no memory. */
	again = attach(seg->shmid, 0);
	if (again == NULL)
		return -errno;
	error = populate(again + off, bytes, MADV_POPULATE_WRITE);
	shmdt(again);
	return error;
}

/* Locked memory is not removed: the caller has unlocked it here. */
static int sysv_punch(const struct rf_segment *seg, size_t off, size_t bytes)
{
	uint8_t *at = seg->base != NULL ? seg->base : attach(seg->shmid, 0);
	int error;

	if (at == NULL)
		return -errno;
	error = madvise(at + off, bytes, MADV_REMOVE) == 0 ? 0 : -errno;
	if (at != seg->base)
		shmdt(at);
	return error;
}

/* mincore() tells what stands in memory, which is all there is while nothing
 * has been swapped out. */
static bool tells_all(const struct rf_segment *seg)
{
	struct shm_info info;

	return seg->base != NULL && !seg->huge_require &&
	       shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&info) >= 0 &&
	       info.shm_swp == 0;
}

/* From `off` on, the first page that is (`there`) or is not in memory. */
static size_t seek(
	const struct rf_segment *seg, size_t off, size_t end, bool there)
{
	uint8_t in_memory[WINDOW];
	size_t window = WINDOW_LEAST; /* most ranges are short */

	while (off < end) {
		size_t pages = (end - off + RF_PAGE_SMALL - 1) / RF_PAGE_SMALL;

		if (pages > window)
			pages = window;
		if (window < WINDOW)
			window *= 2;
		if (mincore(seg->base + off, pages * RF_PAGE_SMALL,
			    in_memory) != 0)
			return there ? off : end; /* all may be there */
		for (size_t i = 0; i < pages; i++, off += RF_PAGE_SMALL)
			if ((in_memory[i] & 1) == there)
				return off;
	}
	return end;
}

static bool sysv_next(const struct rf_segment *seg, size_t off, size_t end,
	struct rf_range *out)
{
	size_t from;

	if (!tells_all(seg))
		return rf_all_backed(off, end, out);
	from = seek(seg, off, end, true);
	return rf_all_backed(from, seek(seg, from, end, false), out);
}

/* Of a hole a read would make memory: it is zero without that. */
static int sysv_read(
	const struct rf_segment *seg, size_t off, void *to, size_t n)
{
	struct rf_segment again = *seg;
	struct rf_range range = {off & ~(RF_PAGE_SMALL - 1), 0};
	size_t end = off + n;
	int error = 0;

	again.base = attach(seg->shmid, SHM_RDONLY);
	if (again.base == NULL)
		return -errno;
	again.huge_require = is_huge(again.base);
	memset(to, 0, n);
	while (error == 0 &&
		sysv_next(&again, range.off + range.bytes, end, &range)) {
		size_t from = range.off > off ? range.off : off;
		size_t stop = range.off + range.bytes;

		range.bytes = (range.bytes + RF_PAGE_SMALL - 1) &
			      ~(RF_PAGE_SMALL - 1);
		error = populate(again.base + range.off, range.bytes,
			MADV_POPULATE_READ);
		if (error == 0)
			memcpy((uint8_t *)to + (from - off), again.base + from,
				(stop < end ? stop : end) - from);
	}
	shmdt(again.base);
	return error;
}

/* ---- whose ---- */

/* IPC_STAT needs permission to read, this does not. */
static int sysv_owner(
	const struct rf_segment *seg, struct rf_segment_owner *out)
{
	FILE *in;
	char line[512];
	key_t wanted;
	int error = key_of(seg, &wanted);
	bool found = false;

	if (error != 0)
		return error;
	in = fopen("/proc/sysvipc/shm", "re");
	if (in == NULL)
		return -errno;
	while (!found && fgets(line, sizeof line, in) != NULL) {
		int key, id, cpid;
		unsigned perms, uid;
		size_t bytes, attached;

		if (sscanf(line, "%d %d %o %zu %d %*d %zu %u", &key, &id,
			    &perms, &bytes, &cpid, &attached, &uid) != 7 ||
			key != wanted)
			continue;
		found = true;
		*out = (struct rf_segment_owner){.uid = uid,
			.mode = perms & 0777,
			.key = (uint32_t)key,
			.shmid = id,
			.creator_pid = cpid,
			.attached = attached,
			.bytes = bytes};
	}
	fclose(in);
	return found ? 0 : -ENOENT;
}

static void sysv_place(
	const struct rf_segment *seg, struct rf_segment_place *out)
{
	out->shmid = seg->shmid;
}

static int sysv_unlink(const struct rf_segment *seg)
{
	int shmid = seg->fd >= 0 ? seg->shmid : -1, error;
	key_t key;

	error = key_of(seg, &key);
	if (error == 0 && shmid < 0)
		shmid = shmget(key, 0, 0);
	if (shmid < 0)
		return error != 0 ? error : -errno;
	if (seg->fd < 0 && seg->key == 0 && !rf_lock_names(seg, shmid))
		return -EEXIST; /* another file's, by chance */
	error = shmctl(shmid, IPC_RMID, NULL) == 0 ? 0 : -errno;
	if (error == 0 && unlink(seg->path) != 0 && errno != ENOENT)
		error = -errno;
	return error;
}

const struct rf_backend_ops rf_backend_sysv = {
	.create = sysv_create,
	.open = sysv_open,
	.map = sysv_map,
	.back = sysv_back,
	.punch = sysv_punch,
	.next = sysv_next,
	.read = sysv_read,
	.owner = sysv_owner,
	.place = sysv_place,
	.find = sysv_find,
	.unlink = sysv_unlink,
	.huge = true,
};
