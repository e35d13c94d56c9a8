/* SPDX-License-Identifier: MIT */
/* ring_file.c -- crash records in state_dir, between two daemons.
 *
 * The status segment goes with a planned end; this file keeps its records for
 * the next start. It is a head and then the records as they are in memory: a
 * daemon with records of another shape does not read it. It is written beside
 * its place and then renamed, so it is never half a file.
 */
#include "ring_file.h"

#include "compose.h"
#include "ring.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
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

/* With the directories above it. */
static int make_dir(const char *path)
{
	char part[CONF_TEXT_MAX + 1];

	snprintf(part, sizeof(part), "%s", path);
	for (char *slash = strchr(part + 1, '/'); slash;
		slash = strchr(slash + 1, '/')) {
		*slash = 0;
		mkdir(part, 0755); /* the last one tells */
		*slash = '/';
	}
	return mkdir(part, 0700) && errno != EEXIST ? -errno : 0;
}

/* ---- save ---- */

static bool put(FILE *out, const void *from, size_t bytes)
{
	return fwrite(from, bytes, 1, out) == 1;
}

static bool put_ring(FILE *out, const struct rf_crash_ring *ring)
{
	struct head head = {.magic = MAGIC,
		.format = FORMAT,
		.record_bytes = sizeof(struct rf_crash),
		.last_id = ring->last_id};
	uint64_t id;

	for (id = ring_floor(ring) + 1; id <= ring->last_id; id++)
		head.count += ring_find(ring, id) != NULL;
	if (!put(out, &head, sizeof(head)))
		return false;
	for (id = ring_floor(ring) + 1; id <= ring->last_id; id++) {
		const struct rf_crash *r = ring_find(ring, id);

		if (r && !put(out, r, sizeof(*r)))
			return false;
	}
	return true;
}

static int write_file(const char *path, const struct rf_crash_ring *ring)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
	int rc = 0;

	if (!out)
		return -errno;
	errno = 0;
	if (!put_ring(out, ring))
		rc = errno ? -errno : -EIO;
	if (fclose(out) && !rc)
		rc = -errno;
	return rc;
}

int ring_file_save(const struct conf *conf, const struct rf_crash_ring *ring)
{
	char path[RING_FILE_PATH_BYTES], fresh[RING_FILE_PATH_BYTES + 8];
	int rc = make_dir(conf->refork.state_dir);

	if (rc)
		return rc;
	ring_file_path(conf, path);
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	rc = write_file(fresh, ring);
	if (!rc && rename(fresh, path))
		rc = -errno;
	if (rc)
		unlink(fresh);
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
