/* SPDX-License-Identifier: MIT */
/* status.c -- the status segment, and the clocks its stamps come from.
 *
 * Its crash records are of use when the daemon itself has died, so it stands
 * beside the arena under a name of its own. All of it is backed before it is
 * touched: two MiB, and no process can meet SIGBUS in it later.
 *
 * The name holds a colon, which no service's name does: it can never be that
 * of another service's arena.
 */
#include "status.h"
#include <errno.h>
#include <refork/log.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define SEGMENT_BYTES ((sizeof(struct rf_status_shm) + 4095) & ~(size_t)4095)

static int map_and_back(struct rf_segment *seg)
{
	int error = rf_segment_map(seg, 0);

	return error != 0 ? error : rf_segment_back(seg, 0, SEGMENT_BYTES);
}

static int make(struct rf_segment *seg)
{
	struct rf_status_shm *shm;
	int error;

	seg->max_bytes = SEGMENT_BYTES;
	error = rf_segment_create(seg);
	if (error != 0)
		return error;
	error = map_and_back(seg);
	if (error != 0) {
		rf_status_close(seg, false);
		return error;
	}
	shm = (struct rf_status_shm *)seg->base;
	shm->format = RF_STATUS_FORMAT;
	shm->bytes = sizeof *shm;
	__atomic_store_n(&shm->magic, RF_STATUS_MAGIC, __ATOMIC_RELEASE);
	return 0;
}

static bool fits(const struct rf_status_shm *shm)
{
	return shm->magic == RF_STATUS_MAGIC &&
	       shm->format == RF_STATUS_FORMAT && shm->bytes == sizeof *shm;
}

/* What is open is taken over. -EBADMSG: it does not fit, and is open still. */
static int enter(struct rf_segment *seg)
{
	struct rf_status_shm *shm;
	int error;

	if (seg->max_bytes != SEGMENT_BYTES)
		return -EBADMSG;
	error = map_and_back(seg);
	if (error != 0) {
		rf_status_close(seg, true);
		return error;
	}
	shm = (struct rf_status_shm *)seg->base;
	if (!fits(shm))
		return -EBADMSG;
	memset(&shm->supervisor, 0,
		offsetof(struct rf_status_shm, crashes) -
			offsetof(struct rf_status_shm, supervisor));
	return 0;
}

static int adopt(struct rf_segment *seg, int wait_ms)
{
	int error = rf_segment_open(seg, wait_ms);

	return error == 0 ? enter(seg) : error;
}

static int replace(struct rf_segment *seg)
{
	rf_log(RF_LOG_WARNING,
		"status segment %s was made by something else: it is removed "
		"and made anew; crash records in it are lost",
		seg->name);
	rf_status_close(seg, false);
	return make(seg);
}

static void name(
	struct rf_segment *seg, enum rf_backend backend, const char *service)
{
	*seg = (struct rf_segment){.backend = backend, .fd = -1};
	snprintf(seg->name, sizeof seg->name, "/refork-%.40s:status", service);
}

int rf_status_open(struct rf_segment *seg, const char *service, int wait_ms,
	struct rf_status_shm **status)
{
	int error;

	name(seg, seg->backend, service);
	error = make(seg);
	if (error == -EEXIST)
		error = adopt(seg, wait_ms);
	if (error == -EBADMSG)
		error = replace(seg);
	if (error != 0)
		return error;
	*status = (struct rf_status_shm *)seg->base;
	return 0;
}

int rf_status_adopt(struct rf_segment *seg, const char *service, int fd,
	int wait_ms, struct rf_status_shm **status)
{
	int error;

	name(seg, RF_BACKEND_MEMFD, service);
	error = rf_segment_adopt(seg, fd, wait_ms);
	if (error == 0)
		error = enter(seg);
	if (error != 0) {
		rf_segment_close(seg);
		return error;
	}
	*status = (struct rf_status_shm *)seg->base;
	return 0;
}

void rf_status_close(struct rf_segment *seg, bool keep)
{
	if (!keep)
		rf_segment_unlink(seg);
	rf_segment_close(seg);
}

struct rf_status_shm *rf_status_create(void)
{
	void *at = mmap(NULL, sizeof(struct rf_status_shm),
		PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

void rf_status_destroy(struct rf_status_shm *status)
{
	if (status != NULL)
		munmap(status, sizeof *status);
}

static int64_t clock_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t rf_now_ms(void)
{
	return clock_us(CLOCK_REALTIME) / 1000;
}

int64_t rf_monotonic_ms(void)
{
	return clock_us(CLOCK_MONOTONIC) / 1000;
}

int64_t rf_monotonic_us(void)
{
	return clock_us(CLOCK_MONOTONIC);
}
