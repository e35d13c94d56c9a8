/* SPDX-License-Identifier: MIT */
/* sysv_lock.c -- the file beside a System V segment, whose lock stands for the
 * segment's.
 *
 * The problem. A key is no name of one's own: two files can make the same one
 * (ftok takes 16 bits of the inode), two services can be given the same one,
 * and the file of a segment can be removed. Two locks would then stand for one
 * segment.
 * The idea. The file notes the segment's id, and when the segment was claimed:
 * its ctime, which IPC_SET alone changes. One note at most says what the
 * segment says, and only the lock of that file proves anything.
 *
 *   id and ctime noted          the lock is the segment's
 *   else, the key was given,    nobody may be attached; it is claimed for this
 *   or the id is the same       file, and no other note is true any more
 *   else, never touched         it is noted: its maker died at once
 *   else                        it is another file's: -EEXIST
 *
 * Two that claim at once: claim_alone() lets one have it. One that claims
 * while another maps: the one changes the ctime and then looks who is attached,
 * the other attaches and then looks at the ctime (sysv_map()). So one of them
 * sees the other.
 *
 * If a process dies between claim and note, no note is true, and the next one
 * claims again.
 *
 * Only a file that is empty, or holds a note, is taken for a lock: a path given
 * by mistake costs nobody his file.
 */
#include "backend.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/shm.h>
#include <time.h>
#include <unistd.h>

#define NOTE	   "refork: lock of shared memory id "
#define NOTE_BYTES 80
#define TRIES	   8
#define NAP_MS	   5
#define CLAIM_NAPS 500 /* ctime counts seconds: one is waited out */

struct note {
	int shmid; /* -1: none */
	int64_t since;
};

/* -EMEDIUMTYPE: it is something else's file. */
static int read_note(int fd, struct note *out)
{
	char note[NOTE_BYTES] = "";
	ssize_t n = pread(fd, note, sizeof note - 1, 0);

	*out = (struct note){-1, 0};
	if (n < 0)
		return -errno;
	if (n == 0)
		return 0;
	if (strncmp(note, NOTE, strlen(NOTE)) != 0)
		return -EMEDIUMTYPE;
	return sscanf(note + strlen(NOTE), "%d, key %*x, since %" SCNd64,
		       &out->shmid, &out->since) >= 1
		       ? 0
		       : -EMEDIUMTYPE;
}

/* One write: there is a whole note or none. */
int rf_lock_note(const struct rf_segment *seg, uint32_t key)
{
	char note[NOTE_BYTES + 1];
	struct shmid_ds ds;
	ssize_t written;
	int n;

	if (shmctl(seg->shmid, IPC_STAT, &ds) != 0)
		return -errno;
	n = snprintf(note, sizeof note,
		"%s%d, key 0x%08" PRIx32 ", since %" PRId64, NOTE, seg->shmid,
		key, (int64_t)ds.shm_ctime);
	memset(note + n, ' ', NOTE_BYTES - (size_t)n);
	note[NOTE_BYTES - 1] = '\n';
	written = pwrite(seg->fd, note, NOTE_BYTES, 0);
	if (written < 0)
		return -errno;
	return written == NOTE_BYTES ? 0 : -ENOSPC;
}

bool rf_lock_is_noted(const struct rf_segment *seg)
{
	struct shmid_ds ds;
	struct note note;

	return read_note(seg->fd, &note) == 0 && note.shmid == seg->shmid &&
	       shmctl(seg->shmid, IPC_STAT, &ds) == 0 &&
	       note.since == ds.shm_ctime && (ds.shm_perm.mode & SHM_DEST) == 0;
}

int rf_lock_file(struct rf_segment *seg, int flags, int wait_ms)
{
	for (int tries = 0; tries < TRIES; tries++) {
		int fd = rf_open_path(seg, O_RDWR | flags), error;
		struct note unused;

		if (fd < 0)
			return errno == EISDIR ? -EMEDIUMTYPE : -errno;
		error = rf_file_is_ours(fd);
		if (error == 0)
			error = read_note(fd, &unused);
		if (error == 0)
			error = rf_lock_within(fd, wait_ms);
		if (error == 0 && rf_is_still_named(seg, fd, rf_open_path)) {
			seg->fd = fd;
			return 0;
		}
		close(fd);
		if (error != 0)
			return error;
	}
	return -EWOULDBLOCK;
}

void rf_lock_drop(struct rf_segment *seg)
{
	close(seg->fd);
	seg->fd = -1;
}

bool rf_lock_names(const struct rf_segment *seg, int shmid)
{
	int fd = rf_open_path(seg, O_RDONLY);
	struct note note = {-1, 0};

	if (fd < 0)
		return false;
	read_note(fd, &note);
	close(fd);
	return note.shmid == shmid;
}

/* ---- a segment that the file does not speak of ---- */

static void nap(void)
{
	const struct timespec time = {0, NAP_MS * 1000000};

	nanosleep(&time, NULL);
}

/* 0 when nobody is attached to it within that time. */
static int wait_unattached(int shmid, int wait_ms)
{
	for (int waited_ms = 0;; waited_ms += NAP_MS) {
		struct shmid_ds ds;

		if (shmctl(shmid, IPC_STAT, &ds) != 0)
			return -errno;
		if (ds.shm_nattch == 0)
			return 0;
		if (waited_ms >= wait_ms)
			return -EWOULDBLOCK;
		nap();
	}
}

/* Attach, so that the system names this process as the last one that did. */
static int touch(int shmid)
{
	const void *at = shmat(shmid, NULL, SHM_RDONLY);

	if (at == (void *)-1)
		return -errno;
	return shmdt(at) == 0 ? 0 : -errno;
}

/* From here on no note is true. */
static int change_ctime(int shmid, time_t *ctime)
{
	struct shmid_ds ds;

	for (int i = 0; i < CLAIM_NAPS; i++, nap()) {
		if (shmctl(shmid, IPC_STAT, &ds) != 0)
			return -errno;
		if (time(NULL) != ds.shm_ctime)
			break;
	}
	if (shmctl(shmid, IPC_SET, &ds) != 0 ||
		shmctl(shmid, IPC_STAT, &ds) != 0)
		return -errno;
	*ctime = ds.shm_ctime;
	return 0;
}

/* All that claim it in one second have touched it before: when that is over,
 * the last of them has it. */
static int claim_alone(int shmid)
{
	struct shmid_ds ds;
	time_t mine = 0;
	int error = touch(shmid);

	if (error == 0)
		error = change_ctime(shmid, &mine);
	for (int i = 0; error == 0 && time(NULL) <= mine; i++, nap())
		if (i == CLAIM_NAPS)
			return -EWOULDBLOCK;
	if (error == 0 && shmctl(shmid, IPC_STAT, &ds) != 0)
		error = -errno;
	if (error != 0)
		return error;
	return ds.shm_ctime == mine && ds.shm_lpid == getpid() &&
			       ds.shm_nattch == 0
		       ? 0
		       : -EWOULDBLOCK;
}

/* It has no page, nor one in swap. */
static bool is_untouched(int shmid)
{
	FILE *in = fopen("/proc/sysvipc/shm", "re");
	bool untouched = false;
	char line[512];

	while (in != NULL && fgets(line, sizeof line, in) != NULL) {
		uint64_t rss, swap;
		int id;

		if (sscanf(line,
			    "%*d %d %*o %*u %*d %*d %*u %*u %*u %*u %*u %*u "
			    "%*u %*u %" SCNu64 " %" SCNu64,
			    &id, &rss, &swap) == 3 &&
			id == shmid)
			untouched = rss == 0 && swap == 0;
	}
	if (in != NULL)
		fclose(in);
	return untouched;
}

int rf_lock_claim(const struct rf_segment *seg, uint32_t key, int wait_ms)
{
	struct note note;
	int error = read_note(seg->fd, &note);
	bool by_chance = seg->key == 0 && note.shmid != seg->shmid;

	if (error == 0 && by_chance && !is_untouched(seg->shmid))
		error = -EEXIST;
	if (error == 0)
		error = wait_unattached(seg->shmid, wait_ms);
	/* With a key of its own this file's lock is enough. */
	if (error == 0 && !by_chance)
		error = claim_alone(seg->shmid);
	return error == 0 ? rf_lock_note(seg, key) : error;
}
