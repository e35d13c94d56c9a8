/* SPDX-License-Identifier: MIT */
/* ring_file.c -- crash records in state_dir, between two daemons.
 *
 * The status segment goes with a planned end and with the machine's power;
 * this file keeps its records for the next start. It is a head and then the
 * records as they are in memory: a daemon with records of another shape does
 * not read it. It is written beside its place, brought to the disk and then
 * renamed, so it is never half a file.
 *
 * Whoever completes a record writes all that are there, while others go on to
 * change the ring: a record is copied, and written when it is whole. One
 * writes at a time, so that the last one to rename is the last one to look.
 */
#include "ring_file.h"

#include "compose.h"
#include "daemon/directory.h"
#include "ring.h"

#include <errno.h>
#include <fcntl.h>
#include <refork/log.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC  UINT64_C(0x4853415243464552) /* "REFCRASH" */
#define FORMAT 1

struct head {
	uint64_t magic;
	uint32_t format;
	uint32_t record_bytes;
	uint64_t last_id;
	uint64_t count;
};

void ring_file_path(const struct conf *conf, char path[RING_FILE_PATH_BYTES])
{
	snprintf(path, RING_FILE_PATH_BYTES, "%s/%s.crashes",
		conf->refork.state_dir, conf->refork.name);
}

/* ---- save ---- */

static bool put(FILE *out, const void *from, size_t bytes)
{
	return fwrite(from, bytes, 1, out) == 1;
}

/* A record that is whole; false when it is none (any more). */
static bool copy_record(
	const struct rf_crash_ring *ring, uint64_t id, struct rf_crash *copy)
{
	const struct rf_crash *r = ring_find(ring, id);

	if (!r)
		return false;
	*copy = *r;
	return copy->id == id && compose_check(copy);
}

static bool put_ring(FILE *out, const struct rf_crash_ring *ring)
{
	static struct rf_crash copy;
	struct head head = {.magic = MAGIC,
		.format = FORMAT,
		.record_bytes = sizeof(struct rf_crash),
		.last_id = ring->last_id};
	uint64_t id = head.last_id > RF_CRASH_KEEP_MAX
			      ? head.last_id - RF_CRASH_KEEP_MAX
			      : 0;

	if (!put(out, &head, sizeof(head)))
		return false;
	while (id++ < head.last_id) {
		if (!copy_record(ring, id, &copy))
			continue;
		if (!put(out, &copy, sizeof(copy)))
			return false;
		head.count++;
	}
	rewind(out);
	return put(out, &head, sizeof(head)) && !fflush(out);
}

static int write_file(const char *path, const struct rf_crash_ring *ring)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
	int rc = 0;

	if (!out)
		return -errno;
	errno = 0;
	if (!put_ring(out, ring) || fsync(fd))
		rc = errno ? -errno : -EIO;
	if (fclose(out) && !rc)
		rc = -errno;
	return rc;
}

/* The directory is locked. */
static int replace(const char *path, int dir, const struct rf_crash_ring *ring)
{
	char fresh[RING_FILE_PATH_BYTES + 8];
	int rc;

	snprintf(fresh, sizeof(fresh), "%s.new", path);
	rc = write_file(fresh, ring);
	if (!rc && (rename(fresh, path) || fsync(dir)))
		rc = -errno;
	if (rc)
		unlink(fresh);
	return rc;
}

int ring_file_save(const struct conf *conf, const struct rf_crash_ring *ring)
{
	char path[RING_FILE_PATH_BYTES];
	int rc = directory_make(conf->refork.state_dir);
	int dir = -1;

	ring_file_path(conf, path);
	if (!rc) {
		dir = open(conf->refork.state_dir,
			O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		rc = dir < 0 || flock(dir, LOCK_EX) ? -errno : 0;
	}
	if (!rc)
		rc = replace(path, dir, ring);
	if (dir >= 0)
		close(dir);
	if (rc)
		rf_log(RF_LOG_WARNING,
			"crash records cannot be kept in %s: %s; they end "
			"with this daemon",
			path, strerror(-rc));
	return rc;
}

/* ---- load ---- */

static int take(FILE *in, void *to, size_t bytes)
{
	if (fread(to, bytes, 1, in) == 1)
		return 0;
	return ferror(in) ? -EIO : -EBADMSG;
}

static int take_record(
	FILE *in, struct rf_crash_ring *ring, struct rf_crash *record)
{
	int rc = take(in, record, sizeof(*record));

	if (rc)
		return rc;
	if (!compose_check(record) || record->id <= ring_floor(ring) ||
		record->id > ring->last_id)
		return -EBADMSG;
	*ring_slot(ring, record->id) = *record;
	return 0;
}

static int take_ring(FILE *in, struct rf_crash_ring *ring)
{
	static struct rf_crash record;
	struct head head;
	int rc = take(in, &head, sizeof(head));

	if (rc)
		return rc;
	if (head.magic != MAGIC || head.format != FORMAT ||
		head.record_bytes != sizeof(struct rf_crash) ||
		head.count > RF_CRASH_KEEP_MAX)
		return -EBADMSG;
	ring->last_id = head.last_id;
	while (head.count-- > 0 && !rc)
		rc = take_record(in, ring, &record);
	return rc;
}

int ring_file_load(const struct conf *conf, struct rf_crash_ring *ring)
{
	char path[RING_FILE_PATH_BYTES];
	FILE *in;
	int rc;

	ring_file_path(conf, path);
	in = fopen(path, "re");
	if (!in)
		return -errno;
	rc = take_ring(in, ring);
	fclose(in);
	if (rc)
		memset(ring, 0, sizeof(*ring));
	return rc;
}
