/* SPDX-License-Identifier: MIT */
/* aside_file.c -- an arena without a name, written to a file.
 *
 * A memfd is kept by descriptors, and whoever has the last one may be about to
 * let it go: a service manager does when a start fails. Before that it becomes
 * a file, with a mark (common/file_mark.c) that says that all of it is there.
 *
 * If this process dies
 *   while it writes              LIVE.part stands there, which nobody takes for
 *                                an arena; the next one removes it
 *   after the mark, before the   the same
 *   rename
 *   after the rename             it is there, whole; after a power loss the one
 *                                or the other
 * The memory itself is only read: who keeps it keeps all of it.
 *
 * What was backed is backed in the file, too, so that whoever starts from it
 * never meets a full disk where it has memory; of huge pages, where the kernel
 * does not tell, what is not zero.
 */
#include "aside_file.h"

#include "common/arena.h"
#include "manager/watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK_BYTES ((size_t)1 << 20)
/* So much is on the disk before more is written: each step is short. */
#define STEP_BYTES ((size_t)64 << 20)

struct copy {
	const struct rf_segment *from;
	struct rf_segment to;
	uint8_t *chunk;
	size_t unsynced_bytes;
};

static bool is_zero(const uint8_t *at, size_t bytes)
{
	return *at == 0 && memcmp(at, at + 1, bytes - 1) == 0;
}

static int write_whole(int fd, const uint8_t *at, size_t bytes, size_t off)
{
	while (bytes > 0) {
		ssize_t n = pwrite(fd, at, bytes, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += n;
		off += (size_t)n;
		bytes -= (size_t)n;
	}
	return 0;
}

static int step(struct copy *copy, size_t bytes)
{
	copy->unsynced_bytes += bytes;
	if (copy->unsynced_bytes < STEP_BYTES)
		return 0;
	copy->unsynced_bytes = 0;
	watchdog_feed();
	return rf_segment_sync(&copy->to, 0, 0, true);
}

static int copy_chunk(struct copy *copy, size_t off, size_t bytes)
{
	int rc = rf_segment_read(copy->from, off, copy->chunk, bytes);
	bool zero = !rc && is_zero(copy->chunk, bytes);

	if (!rc && (!zero || !copy->from->huge_require))
		rc = rf_segment_back(&copy->to, off, bytes);
	if (!rc && !zero)
		rc = write_whole(copy->to.fd, copy->chunk, bytes, off);
	return rc ? rc : step(copy, zero ? 0 : bytes);
}

static int copy_all(struct copy *copy)
{
	size_t end = copy->from->max_bytes;
	struct rf_range r = {0};
	int rc = 0;

	while (!rc &&
		rf_segment_next_backed(copy->from, r.off + r.bytes, end, &r)) {
		for (size_t at = 0; !rc && at < r.bytes; at += CHUNK_BYTES)
			rc = copy_chunk(copy, r.off + at,
				r.bytes - at < CHUNK_BYTES ? r.bytes - at
							   : CHUNK_BYTES);
	}
	return rc;
}

/* The name is on the disk, too. */
static int sync_folder_of(const char *path)
{
	char folder[sizeof(((struct rf_segment *)0)->path)];
	int fd, rc = 0;

	snprintf(folder, sizeof(folder), "%s", path);
	fd = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fsync(fd))
		rc = -errno;
	close(fd);
	return rc;
}

static int fill(struct copy *copy, const char *path)
{
	int rc = copy_all(copy);

	if (!rc)
		rc = rf_arena_close_whole(&copy->to);
	if (!rc && rename(copy->to.path, path))
		rc = -errno;
	return rc;
}

int aside_file_write(
	const struct rf_segment *from, const char *live, const char *path)
{
	struct copy copy = {.from = from,
		.to = {.backend = RF_BACKEND_FILE,
			.fd = -1,
			.shmid = -1,
			.max_bytes = from->max_bytes}};
	int bytes =
		snprintf(copy.to.path, sizeof(copy.to.path), "%s.part", live);
	int rc;

	if (bytes >= (int)sizeof(copy.to.path))
		return -ENAMETOOLONG;
	copy.chunk = malloc(CHUNK_BYTES);
	if (!copy.chunk)
		return -ENOMEM;
	unlink(copy.to.path);
	rc = rf_segment_create(&copy.to);
	if (!rc) {
		rc = fill(&copy, path);
		if (rc)
			rf_segment_unlink(&copy.to);
		rf_segment_close(&copy.to);
	}
	free(copy.chunk);
	return rc ? rc : sync_folder_of(path);
}
