/* SPDX-License-Identifier: MIT */
/* file_mark_stage.h -- an arena in a file of its own, for tests of its mark. */
#ifndef FILE_MARK_STAGE_H
#define FILE_MARK_STAGE_H

#include "suite.h"
#include <arena.h>
#include <file_mark.h>
#include <refork/slot.h>
#include <refork/tx.h>
#include <super.h>

#define MARK_OFF offsetof(struct rf_super, mark)

static char dir[64], reason[256];
static struct rf_segment seg;
static const struct rf_arena_conf conf = {.size_bytes = 65536,
	.max_bytes = 65536,
	.log_bytes = 65536,
	.worker_name = "test",
	.state_version = 1};

static inline struct rf_segment named(const char *name)
{
	struct rf_segment made = {.backend = RF_BACKEND_FILE,
		.fd = -1,
		.max_bytes = rf_arena_segment_bytes(&conf)};

	snprintf(made.path, sizeof made.path, "%s/%s", dir, name);
	return made;
}

static inline int find(void)
{
	int error;

	seg = named("arena");
	error = rf_segment_open(&seg, 1000);
	return error != 0 ? error : rf_segment_map(&seg, RF_ARENA_BASE);
}

static inline int adopt(void)
{
	uint32_t version;

	strcpy(reason, "none");
	return rf_arena_adopt(&seg, &conf, reason, sizeof reason, &version);
}

static void *root;

static inline int write_root(const char *text)
{
	rf_tx_begin();
	rf_slot_open("root", "text", 1, 8192, &root, NULL);
	rf_tx_write(root, text, strlen(text) + 1);
	return rf_tx_commit();
}

static inline bool root_is(const char *text)
{
	rf_tx_begin();
	rf_slot_open("root", "text", 1, 8192, &root, NULL);
	return rf_tx_commit() == 0 && strcmp(root, text) == 0;
}

/* As at the end of a process. */
static inline void leave(void)
{
	if (seg.base != NULL && rf_lease_holder() == getpid())
		rf_lease_give();
	rf_segment_close(&seg);
}

/* Made, written, closed whole. */
static inline int set_up(void **state)
{
	(void)state;
	seg = named("arena");
	if (rf_segment_create(&seg) != 0 ||
		rf_segment_map(&seg, RF_ARENA_BASE) != 0 ||
		rf_arena_format(&seg, &conf) != 0 || write_root("first") != 0)
		return -1;
	rf_arena_publish();
	rf_lease_give();
	if (rf_arena_close_whole(&seg) != 0)
		return -1;
	rf_segment_close(&seg);
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	leave();
	seg = named("arena");
	rf_segment_unlink(&seg);
	return 0;
}

static inline int change(size_t off, const void *to, size_t bytes)
{
	int fd = open(named("arena").path, O_RDWR | O_CLOEXEC);
	int wrong = pwrite(fd, to, bytes, (off_t)off) != (ssize_t)bytes;

	close(fd);
	return wrong;
}

/* As if the file were found after the machine went down. */
static inline void in_another_run(void)
{
	const uint8_t other[16] = "another boot id";

	assert_int_equal(change(MARK_OFF + offsetof(struct rf_mark, boot),
				 other, sizeof other),
		0);
}

static inline int open_dir(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(dir, sizeof dir, "%.30s/refork-unit-XXXXXX",
		tmp != NULL ? tmp : "/tmp");
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static inline int close_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

#endif
