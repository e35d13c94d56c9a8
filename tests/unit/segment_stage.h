/* SPDX-License-Identifier: MIT */
/* segment_stage.h -- a segment of each kind, and what a test must know of it.
 *
 * Names, keys and files are this process's own; `stage_close` removes them all.
 * Huge pages come out of the pool, or for the time of the test beyond it
 * (vm.nr_overcommit_hugepages, which one test at a time sets and restores).
 */
#ifndef SEGMENT_STAGE_H
#define SEGMENT_STAGE_H

#include "suite.h"
#include <segment.h>
#include <sys/file.h>
#include <sys/shm.h>
#include <sys/stat.h>

#define MIB ((size_t)1 << 20)

struct kind {
	const char *name;
	enum rf_backend backend;
	bool huge;
};

/* A test need not use them all. */
#define KIND(which, backend, huge)                                             \
	__attribute__((unused)) static struct kind which = {                   \
		#which, backend, huge}
KIND(posix, RF_BACKEND_POSIX, false);
KIND(memfd, RF_BACKEND_MEMFD, false);
KIND(sysv, RF_BACKEND_SYSV, false);
KIND(file, RF_BACKEND_FILE, false);
KIND(memfd_huge, RF_BACKEND_MEMFD, true);
KIND(sysv_huge, RF_BACKEND_SYSV, true);

#define STAGE_BYTES (64 * MIB)

static int stage_pid; /* of the names: this process, not its children */
static char stage_dir[64];

/* A description; `tail` tells those of one test apart. */
static inline struct rf_segment fresh(const struct kind *kind, const char *tail)
{
	struct rf_segment made = {.backend = kind->backend,
		.fd = -1,
		.shmid = -1,
		.max_bytes = STAGE_BYTES,
		.huge_require = kind->huge};

	snprintf(made.name, sizeof made.name, "/refork-unit-%d%.8s", stage_pid,
		tail);
	snprintf(made.path, sizeof made.path, "%s/%s%.8s", stage_dir,
		kind->name, tail);
	return made;
}

/* ---- huge pages ---- */

#define POOL	  "/proc/sys/vm/nr_overcommit_hugepages"
#define POOL_WANT 128

static int pool_fd = -1, pool_life = -1;
static char pool_before[32];

static inline bool pool_write(const char *text)
{
	return pwrite(pool_fd, text, strlen(text), 0) == (ssize_t)strlen(text);
}

/* A process that puts it back once this one, and what it forked, has ended:
 * however that was. */
static inline void pool_guard(void)
{
	int ends[2];
	char end;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return;
	pool_life = ends[1];
	if (fork() != 0) {
		close(ends[0]);
		return;
	}
	close(ends[1]);
	setsid(); /* it outlives what is done to the test */
	while (read(ends[0], &end, 1) < 0 && errno == EINTR)
		;
	pool_write(pool_before);
	_exit(0);
}

static inline void pool_open(void)
{
	char text[32];

	pool_fd = open(POOL, O_RDWR | O_CLOEXEC);
	if (pool_fd < 0)
		return;
	flock(pool_fd, LOCK_EX);
	if (pread(pool_fd, pool_before, sizeof pool_before - 1, 0) <= 0)
		*pool_before = 0;
	snprintf(text, sizeof text, "%d\n", atoi(pool_before) + POOL_WANT);
	if (*pool_before == 0 || !pool_write(text)) {
		close(pool_fd);
		pool_fd = -1;
		return;
	}
	pool_guard();
}

/* The guard writes it, and has the lock until then. */
static inline void pool_close(void)
{
	if (pool_fd < 0)
		return;
	close(pool_life);
	close(pool_fd);
	pool_fd = -1;
	wait_child(-1);
}

/* ---- before and after all tests ---- */

static inline int stage_open(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	stage_pid = getpid();
	snprintf(stage_dir, sizeof stage_dir, "%.30s/refork-unit-XXXXXX",
		tmp != NULL ? tmp : "/tmp");
	pool_open();
	return mkdtemp(stage_dir) != NULL ? 0 : -1;
}

static inline int stage_close(void **state)
{
	(void)state;
	pool_close();
	return rmdir(stage_dir); /* a test that left a file is a failure */
}

/* ---- one segment ---- */

static struct rf_segment seg;

/* Made and mapped; a kind that this machine has not got is skipped. */
static inline int make(void **state)
{
	const struct kind *kind = *state;

	seg = fresh(kind, "");
	if (kind->huge && pool_fd < 0) {
		seg.fd = -1;
		return 0;
	}
	return rf_segment_create(&seg) == 0 ? rf_segment_map(&seg, 0) : -1;
}

static inline int unmake(void **state)
{
	(void)state;
	rf_segment_unlink(&seg);
	rf_segment_close(&seg);
	return 0;
}

static inline const struct kind *the_kind(void **state)
{
	const struct kind *kind = *state;

	if (kind->huge && pool_fd < 0) {
		print_message("no huge pages: " POOL " cannot be set\n");
		skip();
	}
	return kind;
}

/* Bytes of memory or disk that it takes, as the system counts them. */
static inline size_t taken_bytes(const struct rf_segment *of)
{
	struct stat st;
	FILE *in;
	char line[512];
	size_t rss = 0;

	if (of->backend != RF_BACKEND_SYSV)
		return fstat(of->fd, &st) == 0 ? (size_t)st.st_blocks * 512 : 0;
	in = fopen("/proc/sysvipc/shm", "re");
	while (in != NULL && fgets(line, sizeof line, in) != NULL) {
		size_t found;
		int id;

		if (sscanf(line,
			    "%*d %d %*o %*d %*d %*d %*d %*d %*d %*d %*d %*d "
			    "%*d %*d %zu",
			    &id, &found) == 2 &&
			id == of->shmid)
			rss = found;
	}
	if (in != NULL)
		fclose(in);
	/* Some kernels count each page of a huge page as a huge one. */
	return rss > of->max_bytes ? rss / 512 : rss;
}

#define EACH(test, kind)                                                       \
	{                                                                      \
#kind "_" #test, test, make, unmake, &kind                     \
	}
#define EVERY(test)                                                            \
	EACH(test, posix), EACH(test, memfd), EACH(test, sysv),                \
		EACH(test, file), EACH(test, memfd_huge),                      \
		EACH(test, sysv_huge)
/* Those of 4 KiB pages. */
#define EVERY_SMALL(test)                                                      \
	EACH(test, posix), EACH(test, memfd), EACH(test, sysv), EACH(test, file)
/* Those that can be found again. */
#define EVERY_NAMED(test)                                                      \
	EACH(test, posix), EACH(test, sysv), EACH(test, file),                 \
		EACH(test, sysv_huge)

#endif
