/* SPDX-License-Identifier: MIT */
/* file_mark.c -- the mark that says whether a file holds all of an arena.
 *
 * The problem. A process that dies leaves every byte it wrote in the page
 * cache. A machine that goes down leaves on the disk whatever pages the kernel
 * had happened to write, in any order: an undo log cannot mend that.
 * The idea. The file says whether it was closed, and if not, in which run of
 * the machine it was opened. The page cache lives exactly as long as a run.
 *
 *   closed, checksum right      taken: all of it is on the disk
 *   open, in this run, and      taken: a daemon was killed, the cache is whole
 *   this file
 *   anything else               refused
 *
 * A copy of an open file is another file: nobody knows what was written while
 * it was made. A copy of a closed one is as good as that.
 *
 * Rules that make it true, and the function that keeps each:
 *   M1  open before changed     rf_mark_open(): on the disk when it returns. It
 *                               writes even what stands there already: its
 *                               predecessor may have died before the disk had
 *                               it
 *   M2  written before closed   rf_mark_close(): all data, then the mark
 *   M3  one sector              a disk writes 512 bytes or none of them
 *   M4  one write               the kernel never writes out half of it: both
 *                               hold the page's lock
 *
 * If the supervisor dies
 *   before it opens the mark             the file is closed, as it was
 *   after that, before the disk has it   open in this run; whole after a power
 *                                        loss, too: nothing was changed
 *   until it closes                      open: taken in this run only
 *   after the data, before the mark      the same; refused after a power loss
 *                                        although it is whole: nobody knows it
 *   after the mark, before the disk      closed, in the cache; after a power
 *                                        loss the one or the other
 *   after that                           closed
 *
 * The checksum is of the superblock without the mark: all else is found from
 * there. It tells a file that was cut, copied by half or changed by something
 * else from one that was closed here.
 *
 * Limits. A copy written into the file itself looks like the file of a killed
 * daemon. A disk that lies about what it has written is believed. Of a process
 * that moved to another machine (CRIU), the mark still names the run of the
 * first one.
 */
#include "file_mark.h"
#include "siphash.h"
#include "super.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR_BYTES 512
#define MARK_OFF     offsetof(struct rf_super, mark)
#define BOOT_ID	     "/proc/sys/kernel/random/boot_id"

_Static_assert(MARK_OFF / SECTOR_BYTES ==
		       (MARK_OFF + sizeof(struct rf_mark) - 1) / SECTOR_BYTES,
	"M3");

/* An arena that this build does not know, because it is of another format, is
 * closed all the same when it is written to a file (daemon/aside_file.c). */
_Static_assert(MARK_OFF == 168 && RF_SUPER_BYTES == 32768 &&
		       sizeof(struct rf_mark) == 48,
	"where the mark stands is the same in every format");

static const uint8_t sum_key[16] = "refork file mark";

/* 36 characters: 16 bytes in hex, and dashes. */
static int this_boot(uint8_t boot[16])
{
	char text[64] = "";
	int fd = open(BOOT_ID, O_RDONLY | O_CLOEXEC);
	const char *at = text;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	for (size_t i = 0; n > 0 && i < 16; i++, at += 2) {
		at += *at == '-';
		if (sscanf(at, "%2hhx", &boot[i]) != 1)
			return -EBADMSG;
	}
	return n > 0 ? 0 : -EIO;
}

/* Not the device: its number may change when it is mounted anew. */
static int this_inode(const struct rf_segment *seg, uint64_t inode[2])
{
	struct statx st;

	if (statx(seg->fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &st) !=
		0)
		return -errno;
	inode[0] = st.stx_ino;
	inode[1] = 0; /* some file systems do not tell */
	if (st.stx_mask & STATX_BTIME)
		inode[1] = (uint64_t)st.stx_btime.tv_sec * 1000000000 +
			   st.stx_btime.tv_nsec;
	return 0;
}

/* Of the file, as it would be opened now. */
static int open_mark(const struct rf_segment *seg, struct rf_mark *mark)
{
	int error = this_boot(mark->boot);

	mark->closed = mark->checksum = 0;
	return error == 0 ? this_inode(seg, mark->inode) : error;
}

/* What stands in the file: the mark, and the checksum that would be right. */
static int read_mark(
	const struct rf_segment *seg, struct rf_mark *mark, uint64_t *checksum)
{
	uint8_t super[RF_SUPER_BYTES];
	int error = rf_segment_read(seg, 0, super, sizeof super);

	if (error != 0)
		return error;
	memcpy(mark, super + MARK_OFF, sizeof *mark);
	memset(super + MARK_OFF, 0, sizeof *mark);
	*checksum = rf_siphash13(super, sizeof super, sum_key);
	return 0;
}

bool rf_mark_is_same(const struct rf_segment *one, const struct rf_segment *two)
{
	uint64_t first, second;
	struct rf_mark unused;

	return read_mark(one, &unused, &first) == 0 &&
	       read_mark(two, &unused, &second) == 0 && first == second;
}

static int write_mark(const struct rf_segment *seg, const struct rf_mark *mark)
{
	ssize_t n = pwrite(seg->fd, mark, sizeof *mark, MARK_OFF);

	if (n != (ssize_t)sizeof *mark)
		return n < 0 ? -errno : -EIO;
	return rf_segment_sync(seg, 0, RF_SUPER_BYTES, true);
}

static const char *flaw(const struct rf_mark *mark, uint64_t checksum,
	const struct rf_mark *now)
{
	if (mark->closed > 1)
		return "its mark is damaged";
	if (mark->closed == 1)
		return mark->checksum == checksum
			       ? NULL
			       : "its superblock is not the one that it was "
				 "closed with (checksum)";
	if (memcmp(mark->boot, now->boot, sizeof mark->boot) != 0)
		return "it is torn: the machine went down while it was in use, "
		       "and not all of it had been written to the disk";
	if (memcmp(mark->inode, now->inode, sizeof mark->inode) != 0)
		return "it is a copy of a file that was in use, which may have "
		       "changed meanwhile: copy one that was closed by a stop";
	return NULL;
}

int rf_mark_judge(
	const struct rf_segment *seg, char *reason, size_t reason_bytes)
{
	struct rf_mark mark, now;
	uint64_t checksum;
	const char *found;
	int error;

	if (seg->backend != RF_BACKEND_FILE)
		return 0;
	error = open_mark(seg, &now);
	if (error == 0)
		error = read_mark(seg, &mark, &checksum);
	if (error != 0) {
		snprintf(reason, reason_bytes,
			"its mark, or " BOOT_ID ", cannot be read: %s",
			strerror(-error));
		return -EBADMSG;
	}
	found = flaw(&mark, checksum, &now);
	if (found == NULL)
		return 0;
	snprintf(reason, reason_bytes, "%s", found);
	return -EBADMSG;
}

int rf_mark_open(const struct rf_segment *seg)
{
	struct rf_mark mark;
	int error;

	if (seg->backend != RF_BACKEND_FILE)
		return 0;
	error = open_mark(seg, &mark);
	return error == 0 ? write_mark(seg, &mark) : error;
}

int rf_mark_close(const struct rf_segment *seg)
{
	struct rf_mark mark;
	int error;

	if (seg->backend != RF_BACKEND_FILE)
		return 0;
	error = rf_segment_sync(seg, 0, seg->max_bytes, true);
	if (error == 0)
		error = read_mark(seg, &mark, &mark.checksum);
	if (error != 0)
		return error;
	mark.closed = 1;
	return write_mark(seg, &mark);
}
