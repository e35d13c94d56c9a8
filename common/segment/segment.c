/* SPDX-License-Identifier: MIT */
/* segment.c -- what is the same whatever holds the memory: whole pages, the
 * settings of a mapping, and undoing what was made by half.
 *
 * A mapping's settings (core dumps, mlock) belong to a process, the memory to
 * all of them. Whoever backs or gives back a range says so to its own mapping;
 * others learn it when they look (rf_segment_inherit): from the memory itself,
 * so that nobody dumps or locks a hole and thereby fills it.
 */
#include "backend.h"
#include <errno.h>
#include <refork/check.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct rf_backend_ops *const backends[RF_BACKEND_COUNT] = {
	[RF_BACKEND_POSIX] = &rf_backend_posix,
	[RF_BACKEND_MEMFD] = &rf_backend_memfd,
	[RF_BACKEND_SYSV] = &rf_backend_sysv,
	[RF_BACKEND_FILE] = &rf_backend_file,
};

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static const struct rf_backend_ops *ops(const struct rf_segment *seg)
{
	RF_CHECK(seg->backend < RF_BACKEND_COUNT);
	return backends[seg->backend];
}

static size_t page_of(const struct rf_segment *seg)
{
	return seg->huge_require ? RF_PAGE_HUGE : RF_PAGE_SMALL;
}

static size_t down(const struct rf_segment *seg, size_t off)
{
	return off & ~(page_of(seg) - 1);
}

/* Not beyond the end, which need not be one of a page. */
static size_t up(const struct rf_segment *seg, size_t off)
{
	size_t page = page_of(seg), to = (off + page - 1) & ~(page - 1);

	return to < seg->max_bytes ? to : seg->max_bytes;
}

static void begin(struct rf_segment *seg)
{
	seg->base = NULL;
	seg->lock_page = NULL;
	seg->fd = seg->shmid = -1;
	seg->page_bytes = page_of(seg);
}

/* ---- make, find, end ---- */

int rf_segment_create(struct rf_segment *seg)
{
	const struct rf_backend_ops *backend = ops(seg);
	int error;

	begin(seg);
	if (seg->max_bytes > INT64_MAX || /* off_t */
		(seg->huge_require &&
			(!backend->huge || seg->max_bytes % RF_PAGE_HUGE != 0)))
		return -EINVAL;
	error = backend->create(seg);
	if (error != 0)
		return error;
	if (backend->size != NULL)
		error = backend->size(seg);
	if (error == 0 && seg->reserve)
		error = backend->back(seg, 0, seg->max_bytes);
	if (error != 0) {
		backend->unlink(seg);
		rf_segment_close(seg);
	}
	return error;
}

int rf_segment_open(struct rf_segment *seg, int wait_ms)
{
	begin(seg);
	if (ops(seg)->open == NULL)
		return -ENOENT; /* a memfd cannot be found by name */
	return ops(seg)->open(seg, wait_ms);
}

int rf_segment_owner(const struct rf_segment *seg, struct rf_segment_owner *out)
{
	return ops(seg)->owner(seg, out);
}

static int map(struct rf_segment *seg, uint64_t address, int prot)
{
	int error = ops(seg)->map(seg, address, prot);

	if (error != 0)
		return error;
	/* Nothing belongs into a core dump until it is backed: dumping a hole
	 * would fill it. */
	madvise(seg->base, seg->max_bytes, MADV_DONTDUMP);
	if (seg->huge_advise)
		madvise(seg->base, seg->max_bytes, MADV_HUGEPAGE);
	return 0;
}

int rf_segment_map(struct rf_segment *seg, uint64_t address)
{
	return map(seg, address, PROT_READ | PROT_WRITE);
}

void rf_segment_place(
	const struct rf_segment *seg, struct rf_segment_place *out)
{
	*out = (struct rf_segment_place){.backend = seg->backend,
		.shmid = -1,
		.max_bytes = seg->max_bytes};
	ops(seg)->place(seg, out);
}

int rf_segment_view(struct rf_segment *seg,
	const struct rf_segment_place *place, uint64_t address)
{
	int error;

	*seg = (struct rf_segment){.backend = place->backend};
	begin(seg);
	error = ops(seg)->find(seg, place);
	seg->page_bytes = page_of(seg);
	if (error == 0)
		error = map(seg, address, PROT_READ);
	if (error != 0)
		rf_segment_close(seg);
	return error;
}

void rf_segment_close(struct rf_segment *seg)
{
	if (seg->base != NULL)
		munmap(seg->base, seg->max_bytes);
	if (seg->lock_page != NULL) /* after it: it keeps the lock */
		munmap(seg->lock_page, RF_PAGE_SMALL);
	if (seg->fd >= 0)
		close(seg->fd);
	seg->base = NULL;
	seg->lock_page = NULL;
	seg->fd = -1;
}

int rf_segment_unlink(struct rf_segment *seg)
{
	return ops(seg)->unlink(seg);
}

/* ---- memory, and what a mapping must be told of it ---- */

static int tell_backed(struct rf_segment *seg, size_t off, size_t bytes)
{
	if (seg->core_include &&
		madvise(seg->base + off, bytes, MADV_DODUMP) != 0)
		return -errno;
	if (seg->lock_memory &&
		mlock2(seg->base + off, bytes, MLOCK_ONFAULT) != 0)
		return -errno;
	return 0;
}

static void tell_hole(struct rf_segment *seg, size_t off, size_t bytes)
{
	if (seg->core_include)
		madvise(seg->base + off, bytes, MADV_DONTDUMP);
	if (seg->lock_memory) /* the sanitizers' munlock() does nothing */
		syscall(SYS_munlock, seg->base + off, bytes);
}

/* Other processes will ask the memory, and the kernel may be too old to know
 * what nobody has touched. A touch that is not allowed here is no loss. */
static void touch_to_tell(
	const struct rf_segment *seg, size_t off, size_t bytes)
{
	const struct rf_backend_ops *backend = ops(seg);

	if ((seg->core_include || seg->lock_memory) &&
		backend->tells_untouched != NULL && !seg->huge_require &&
		!backend->tells_untouched(seg))
		madvise(seg->base + off, bytes, MADV_POPULATE_WRITE);
}

int rf_segment_back(struct rf_segment *seg, size_t off, size_t bytes)
{
	const struct rf_backend_ops *backend = ops(seg);
	size_t from, to;
	int error;

	RF_CHECK(off <= seg->max_bytes && bytes <= seg->max_bytes - off);
	from = down(seg, off);
	to = up(seg, off + bytes);
	if (to <= from)
		return 0;
	error = backend->back(seg, from, to - from);
	if (error != 0 || seg->base == NULL)
		return error;
	touch_to_tell(seg, from, to - from);
	return tell_backed(seg, from, to - from);
}

int rf_segment_inherit(struct rf_segment *seg, size_t off, size_t bytes)
{
	size_t at = down(seg, off), end = up(seg, off + bytes);
	struct rf_range backed;
	int error = 0;

	if (!seg->core_include && !seg->lock_memory)
		return 0;
	while (error == 0 && rf_segment_next_backed(seg, at, end, &backed)) {
		tell_hole(seg, at, backed.off - at);
		error = tell_backed(seg, backed.off, backed.bytes);
		at = backed.off + backed.bytes;
	}
	if (error == 0 && at < end)
		tell_hole(seg, at, end - at);
	return error;
}

int rf_segment_unback(struct rf_segment *seg, size_t off, size_t bytes)
{
	size_t from = up(seg, off), to = down(seg, off + bytes);
	int error;

	if (to <= from || seg->reserve)
		return 0;
	if (seg->base != NULL)
		tell_hole(seg, from, to - from);
	error = ops(seg)->punch(seg, from, to - from);
	if (error != 0 && seg->base != NULL)
		tell_backed(seg, from, to - from);
	return error;
}

int rf_segment_protect(struct rf_segment *seg, bool access)
{
	int prot = access ? PROT_READ | PROT_WRITE : PROT_NONE;

	return mprotect(seg->base, seg->max_bytes, prot) == 0 ? 0 : -errno;
}

bool rf_segment_next_backed(const struct rf_segment *seg, size_t off,
	size_t end, struct rf_range *out)
{
	size_t at = down(seg, off);

	if (end > seg->max_bytes)
		end = seg->max_bytes;
	if (off >= end || !ops(seg)->next(seg, at, end, out))
		return false;
	if (out->off < off) {
		out->bytes -= off - out->off;
		out->off = off;
	}
	return true;
}

/* ---- without a mapping ---- */

int rf_segment_read(
	const struct rf_segment *seg, size_t off, void *to, size_t bytes)
{
	if (off > seg->max_bytes || bytes > seg->max_bytes - off)
		return -EINVAL;
	return bytes == 0 ? 0 : ops(seg)->read(seg, off, to, bytes);
}

int rf_segment_sync(
	const struct rf_segment *seg, size_t off, size_t bytes, bool wait)
{
	return ops(seg)->sync != NULL ? ops(seg)->sync(seg, off, bytes, wait)
				      : 0;
}
