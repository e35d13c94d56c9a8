/* SPDX-License-Identifier: MIT */
/* attach_map.c -- the three ways to have somebody's arena at its address.
 *
 *   live   the segment itself, read-only. What is read between a hold and its
 *          end is of one instant.
 *   copy   private memory, filled during one hold. All that can be done before
 *          is: the memory is taken first, so that the service stands still for
 *          the copying alone. Nothing is half made then, unless nobody is left
 *          to undo it (on_limit = hold): as for one that is kept.
 *   kept   nobody's segment: mapped copy-on-write. What a killed process left
 *          half made is rolled back in our view; its file is not written to.
 *          Our shared lock keeps daemons out meanwhile.
 *
 * The superblock is judged before it is mapped: what is no arena, or that of
 * another format, is never looked into. Nothing that it says is believed
 * further than that; what stands in the arena may still be damaged.
 *
 * Holes stay holes: copying goes from one backed range to the next, or, where
 * those are not known, leaves out what is zero.
 */
#include "arena.h"
#include "attach_parts.h"
#include "super.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_TRIES   3
#define COPY_HOLD_MS 2000
#define READ_BYTES   ((size_t)2 << 20)

/* ---- what stands there ---- */

/* What has the address, from our own map. */
static int address_taken(const struct rf_why *why)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[256] = "";
	unsigned long from, to;
	bool found = false;

	while (maps != NULL && !found && fgets(line, sizeof line, maps) != NULL)
		found = sscanf(line, "%lx-%lx", &from, &to) == 2 &&
			to > RF_ARENA_BASE;
	if (maps != NULL)
		fclose(maps);
	line[strcspn(line, "\n")] = '\0';
	return rf_attach_fail(why, -EEXIST,
		"map it at %#llx: this process has something there: %s",
		(unsigned long long)RF_ARENA_BASE,
		found ? line : "(gone by now)");
}

static int judge(const struct rf_super *super, size_t bytes, const char *path,
	const struct rf_why *why)
{
	if (super->marker != RF_ARENA_MAGIC)
		return rf_attach_fail(why, -EBADMSG,
			"%s: it holds no finished arena (marker %#llx)", path,
			(unsigned long long)super->marker);
	if (super->format != RF_ARENA_FORMAT)
		return rf_attach_fail(why, -EPROTO,
			"%s: its format is %u, this library reads format %u",
			path, super->format, RF_ARENA_FORMAT);
	if (super->base != RF_ARENA_BASE)
		return rf_attach_fail(why, -EPROTO,
			"%s: its address is %#llx, this library's is %#llx",
			path, (unsigned long long)super->base,
			(unsigned long long)RF_ARENA_BASE);
	if (super->segment_bytes != bytes || super->log_off >= bytes ||
		super->log_max_bytes > bytes - super->log_off ||
		super->heap_off >= bytes)
		return rf_attach_fail(why, -EBADMSG,
			"%s: it has %zu bytes, its superblock is for one of "
			"%llu: damaged, or cut",
			path, bytes, (unsigned long long)super->segment_bytes);
	return 0;
}

/* Judge a segment that is open, by a copy of its superblock. */
static int judge_segment(const struct rf_segment *seg, const char *path,
	const struct rf_why *why)
{
	struct rf_super *super;
	int error;

	if (seg->max_bytes < RF_SUPER_BYTES)
		return rf_attach_fail(why, -EBADMSG,
			"%s: %zu bytes are no arena", path, seg->max_bytes);
	super = aligned_alloc(_Alignof(struct rf_super), sizeof *super);
	if (super == NULL)
		return rf_attach_fail(why, -ENOMEM, "no memory");
	error = rf_segment_read(seg, 0, super, sizeof *super);
	if (error != 0)
		rf_attach_fail(
			why, error, "read %s: %s", path, strerror(-error));
	else
		error = judge(super, seg->max_bytes, path, why);
	free(super);
	return error;
}

/* It is mapped at the base. */
static void use(struct rf_attach *a)
{
	rf_arena_use(&a->seg);
	a->facts.base = RF_ARENA_BASE;
	a->facts.bytes = a->seg.max_bytes;
	a->facts.generation = RF_SUPER->generation;
	if (a->worker[0] == '\0')
		snprintf(a->worker, sizeof a->worker, "%.31s",
			RF_SUPER->worker_name);
}

static int view(struct rf_segment *seg, const struct rf_segment_place *place,
	uint64_t address, const struct rf_why *why)
{
	int error = rf_segment_view(seg, place, address);

	if (error == -EEXIST)
		return address_taken(why);
	if (error == -EACCES || error == -EPERM)
		return rf_attach_fail(why, -EACCES,
			"%s: %s: an arena is for its daemon's user only: run "
			"this as that user",
			place->path, strerror(-error));
	if (error != 0)
		return rf_attach_fail(why, error, "map %s: %s", place->path,
			strerror(-error));
	return 0;
}

/* ---- live ---- */

int rf_attach_live(struct rf_attach *a, const struct rf_segment_place *place,
	const struct rf_why *why)
{
	int error = view(&a->seg, place, RF_ARENA_BASE, why);

	if (error != 0)
		return error;
	error = judge_segment(&a->seg, place->path, why);
	if (error != 0) {
		rf_segment_close(&a->seg);
		return error;
	}
	use(a);
	return 0;
}

/* What is mapped at the base is ours to write: what somebody has left half made
 * there is undone. */
static int roll_back(
	struct rf_attach *a, const char *path, const struct rf_why *why)
{
	use(a);
	if (!rf_tx_log_is_valid()) {
		rf_arena_use(NULL);
		return rf_attach_fail(
			why, -EBADMSG, "%s: its undo log is damaged", path);
	}
	a->facts.undone = rf_tx_recover();
	mprotect(a->seg.base, a->seg.max_bytes, PROT_READ);
	return 0;
}

/* ---- copy ---- */

static int take_memory(struct rf_attach *a, const struct rf_why *why)
{
	size_t bytes = a->live.max_bytes;
	void *at = mmap((void *)RF_ARENA_BASE, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
			MAP_FIXED_NOREPLACE,
		-1, 0);

	if (at == MAP_FAILED && errno == EEXIST)
		return address_taken(why);
	if (at == MAP_FAILED)
		return rf_attach_fail(why, -errno, "map %zu bytes: %s", bytes,
			strerror(errno));
	madvise(at, bytes, MADV_HUGEPAGE);
	a->seg = (struct rf_segment){
		.fd = -1, .base = at, .max_bytes = bytes, .page_bytes = 4096};
	return 0;
}

/* Go over what has memory behind it now. */
static int each_range(struct rf_attach *a,
	int (*visit)(struct rf_attach *a, const struct rf_range *range))
{
	size_t end = a->live.max_bytes;
	struct rf_range range;
	int error = 0;

	for (size_t at = 0;
		error == 0 && rf_segment_next_backed(&a->live, at, end, &range);
		at = range.off + range.bytes)
		error = visit(a, &range);
	return error;
}

/* Ahead of the hold: the memory that it will be copied to, and the mapping of
 * what it will be copied from. A kernel that cannot does it later. */
static int populate(struct rf_attach *a, const struct rf_range *range)
{
	size_t from = range->off & ~(size_t)4095;
	size_t to = (range->off + range->bytes + 4095) & ~(size_t)4095;

	madvise(a->live.base + from, to - from, MADV_POPULATE_READ);
	if (madvise(a->seg.base + from, to - from, MADV_POPULATE_WRITE) == 0 ||
		errno == EINVAL)
		return 0;
	return -errno;
}

/* Twice as fast as read(2). */
static int copy_range(struct rf_attach *a, const struct rf_range *range)
{
	a->facts.copied_bytes += range->bytes;
	memcpy(a->seg.base + range->off, a->live.base + range->off,
		range->bytes);
	return 0;
}

static bool is_zero(const uint8_t *at, size_t bytes)
{
	return at[0] == 0 && memcmp(at, at + 1, bytes - 1) == 0;
}

static int read_part(
	struct rf_attach *a, size_t off, uint8_t *part, size_t bytes)
{
	int error = rf_segment_read(&a->live, off, part, bytes);

	if (error != 0)
		return error;
	if (is_zero(part, bytes)) /* it may have been full the last time */
		return madvise(a->seg.base + off, bytes, MADV_DONTNEED);
	a->facts.copied_bytes += bytes;
	memcpy(a->seg.base + off, part, bytes);
	return 0;
}

/* Nobody tells holes among huge pages. To touch one takes a page out of the
 * pool, and kills where there is none left; read(2) does neither. */
static int read_range(struct rf_attach *a, const struct rf_range *range)
{
	size_t end = range->off + range->bytes;
	uint8_t *part = malloc(READ_BYTES);
	int error = part == NULL ? -ENOMEM : 0;

	for (size_t at = range->off; error == 0 && at < end; at += READ_BYTES)
		error = read_part(a, at, part,
			end - at < READ_BYTES ? end - at : READ_BYTES);
	free(part);
	return error;
}

static int copy_once(struct rf_attach *a, const struct rf_why *why)
{
	bool huge = a->live.fd >= 0 && a->live.huge_require;
	int error = huge ? 0 : each_range(a, populate), ended;

	if (error != 0)
		return rf_attach_fail(
			why, error, "memory for a copy: %s", strerror(-error));
	error = rf_attach_hold(a, COPY_HOLD_MS, why->text, why->bytes);
	if (error != 0)
		return error;
	a->facts.copied_bytes = 0;
	error = each_range(a, huge ? read_range : copy_range);
	ended = rf_attach_let_go(a, &a->facts.held_us);
	if (error != 0)
		return rf_attach_fail(why, error, "copy: %s", strerror(-error));
	return ended;
}

int rf_attach_copy(struct rf_attach *a, const struct rf_segment_place *place,
	const struct rf_why *why)
{
	int error = view(&a->live, place, 0, why);

	if (error != 0)
		return error;
	error = judge_segment(&a->live, place->path, why);
	if (error == 0)
		error = take_memory(a, why);
	if (error != 0)
		goto err_close_live;
	for (int i = 0; i == 0 || (error == -ESTALE && i < COPY_TRIES); i++)
		error = copy_once(a, why);
	if (error == -ESTALE)
		rf_attach_fail(why, error,
			"the business process did not stand still for the %d "
			"ms that copying may take, %d times",
			COPY_HOLD_MS, COPY_TRIES);
	if (error != 0)
		goto err_close;
	error = roll_back(a, place->path, why);
	if (error != 0)
		goto err_close;
	rf_segment_close(&a->live);
	return 0;

err_close:
	rf_segment_close(&a->seg);
err_close_live:
	rf_segment_close(&a->live);
	return error;
}

/* ---- kept ---- */

static int open_kept(
	struct rf_segment *seg, const char *path, const struct rf_why *why)
{
	struct stat st;

	seg->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (seg->fd < 0 || fstat(seg->fd, &st) != 0)
		return rf_attach_fail(
			why, -errno, "open %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return rf_attach_fail(
			why, -EBADMSG, "%s: it is no segment", path);
	seg->max_bytes = (size_t)st.st_size;
	if (flock(seg->fd, LOCK_SH | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return rf_attach_fail(
			why, -errno, "lock %s: %s", path, strerror(errno));
	return rf_attach_fail(why, -EWOULDBLOCK,
		"%s: a daemon has it: name the service or its control socket",
		path);
}

static int map_kept(
	struct rf_segment *seg, const char *path, const struct rf_why *why)
{
	void *at = mmap((void *)RF_ARENA_BASE, seg->max_bytes,
		PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED_NOREPLACE, seg->fd, 0);

	if (at == MAP_FAILED && errno == EEXIST)
		return address_taken(why);
	if (at == MAP_FAILED)
		return rf_attach_fail(
			why, -errno, "map %s: %s", path, strerror(errno));
	seg->base = at;
	return 0;
}

int rf_attach_kept(
	struct rf_attach *a, const char *path, const struct rf_why *why)
{
	int error = open_kept(&a->seg, path, why);

	a->seg.page_bytes = 4096;
	snprintf(a->path, sizeof a->path, "%s", path);
	if (error == 0)
		error = judge_segment(&a->seg, path, why);
	if (error == 0)
		error = map_kept(&a->seg, path, why);
	if (error == 0)
		error = roll_back(a, path, why);
	if (error != 0)
		rf_segment_close(&a->seg);
	return error;
}

/* Of System V memory there are no private views: a copy. Nobody but us may have
 * it, before and after. */
static int nobody_has(int shmid, shmatt_t but, const struct rf_why *why)
{
	struct shmid_ds now;

	if (shmctl(shmid, IPC_STAT, &now) != 0)
		return rf_attach_fail(why, errno == EINVAL ? -ENOENT : -errno,
			"System V segment %d: %s (see ipcs -m)", shmid,
			strerror(errno));
	if (now.shm_nattch <= but)
		return 0;
	return rf_attach_fail(why, -EWOULDBLOCK,
		"System V segment %d: a daemon has it: name the service or its "
		"control socket",
		shmid);
}

int rf_attach_kept_sysv(
	struct rf_attach *a, int shmid, const struct rf_why *why)
{
	struct rf_segment_place place = {
		.backend = RF_BACKEND_SYSV, .shmid = shmid};
	int error = nobody_has(shmid, 0, why);
	struct shmid_ds now;

	snprintf(place.path, sizeof place.path, "sysv:%d", shmid);
	snprintf(a->path, sizeof a->path, "%s", place.path);
	if (error != 0)
		return error;
	if (shmctl(shmid, IPC_STAT, &now) == 0)
		place.max_bytes = now.shm_segsz;
	error = view(&a->live, &place, 0, why);
	if (error != 0)
		return error;
	error = judge_segment(&a->live, place.path, why);
	if (error == 0)
		error = take_memory(a, why);
	if (error == 0)
		error = each_range(a, copy_range);
	if (error == 0)
		error = nobody_has(shmid, 1, why);
	if (error == 0)
		error = roll_back(a, place.path, why);
	rf_segment_close(&a->live);
	if (error != 0)
		rf_segment_close(&a->seg);
	return error;
}
