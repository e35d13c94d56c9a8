/* SPDX-License-Identifier: MIT */
/* stage.c -- an arena and a channel of their own, small ones. */
#include "stage.h"
#include "common/arena.h"
#include "common/heap/heap_private.h"
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#define LOG_BYTES (16u << 10) /* the fixed part */

struct stage *stage_here;
bool stage_without_hints;

static struct rf_arena_conf conf_of(const struct geometry *geometry)
{
	uint64_t bytes = (uint64_t)geometry->page_max << RF_PAGE_SHIFT;

	return (struct rf_arena_conf){
		.size_bytes = RF_PAGE_BYTES, /* the least that is backed */
		.max_bytes = bytes,
		.log_bytes = LOG_BYTES,
		.worker_name = "crash",
	};
}

int stage_create(struct stage *stage, const struct geometry *geometry)
{
	struct rf_arena_conf conf = conf_of(geometry);
	struct rf_channel *ch = &stage->channel;
	struct rf_lane *lanes[] = {&ch->request, &ch->reply};
	int error;

	memset(stage, 0, sizeof *stage);
	stage->arena.backend = RF_BACKEND_MEMFD;
	stage->arena.max_bytes = rf_arena_segment_bytes(&conf);
	snprintf(stage->arena.name, sizeof stage->arena.name, "crash-arena");
	error = rf_segment_create(&stage->arena);
	if (error == 0)
		error = rf_segment_map(&stage->arena, 0);
	if (error == 0)
		error = rf_channel_create(
			ch, "crash", STAGE_LARGE_BYTES, STAGE_LARGE_BYTES);
	for (int i = 0; error == 0 && geometry->large && i < 2; i++)
		error = rf_lane_back(ch, lanes[i], STAGE_LARGE_BYTES);
	return error;
}

int stage_enter(struct stage *stage)
{
	int error;

	munmap(stage->arena.base, stage->arena.max_bytes);
	error = rf_segment_map(&stage->arena, RF_ARENA_BASE);
	rf_arena_use(&stage->arena);
	stage_here = stage;
	return error;
}

int stage_format(const struct geometry *geometry)
{
	struct rf_arena_conf conf = conf_of(geometry);
	int error = rf_arena_format(&stage_here->arena, &conf);

	if (error != 0)
		return error;
	/* The same hashes, so the same steps, in every run. */
	memset(RF_SUPER->seed, 7, sizeof RF_SUPER->seed);
	rf_arena_publish();
	return 0;
}

/* In place of rf_tx_begin(); tests.mk tells the linker. */
void __wrap_rf_tx_begin(void);
void __real_rf_tx_begin(void);

void __wrap_rf_tx_begin(void)
{
	if (stage_without_hints)
		rf_heap_forget_hints();
	__real_rf_tx_begin();
}

bool stage_hears(const struct stage *stage)
{
	struct pollfd bell = {stage->channel.bell_network, POLLIN, 0};

	return poll(&bell, 1, 0) == 1;
}

void stage_silence(const struct stage *stage)
{
	eventfd_t count;

	eventfd_read(stage->channel.bell_network, &count);
}
