/* SPDX-License-Identifier: MIT */
/* fuzz_pack.c -- any bytes as a pack.
 *
 * The check never falls and never hangs, whatever stands in the block; and what
 * it passes can be gone through both ways and found again.
 */
#include "common/arena.h"
#include <refork/heap.h>
#include <refork/log.h>
#include <refork/pack.h>
#include <refork/tx.h>
#include <stdio.h>
#include <string.h>

#define ROOM 4000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static struct rf_segment segment;

static struct rf_pack *make(void)
{
	struct rf_arena_conf conf = {
		.size_bytes = 1 << 20,
		.max_bytes = 1 << 20,
		.worker_name = "fuzz",
		.state_version = 1,
	};
	static const int silent = -1;
	struct rf_pack *pack;

	rf_log_follow_level(&silent);
	segment = (struct rf_segment){
		.backend = RF_BACKEND_MEMFD,
		.max_bytes = rf_arena_segment_bytes(&conf),
	};
	snprintf(segment.name, sizeof segment.name, "refork-fuzz");
	RF_CHECK(rf_segment_create(&segment) == 0);
	RF_CHECK(rf_segment_map(&segment, RF_ARENA_BASE) == 0);
	RF_CHECK(rf_arena_format(&segment, &conf) == 0);
	rf_arena_publish();
	rf_tx_begin();
	pack = rf_pack_create(ROOM);
	RF_CHECK(rf_tx_commit() == 0);
	return pack;
}

static void walk(const struct rf_pack *pack)
{
	uint32_t at = rf_pack_first(pack), count = 0;

	for (; at != rf_pack_end(pack); at = rf_pack_next(pack, at)) {
		struct rf_item item;

		rf_pack_get(pack, at, &item);
		RF_CHECK(rf_pack_find(pack, at, item.text.at, item.text.bytes,
				 1) == at);
		RF_CHECK(rf_pack_at(pack, count++) == at);
	}
	RF_CHECK(count == rf_pack_count(pack));
	for (; count > 0; count--) {
		at = rf_pack_prev(pack, at);
		RF_CHECK(rf_pack_at(pack, count - 1) == at);
	}
	RF_CHECK(at == rf_pack_first(pack));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct rf_pack *pack;

	if (pack == NULL)
		pack = make();
	if (bytes > ROOM)
		return 0;
	memcpy(pack, data, bytes);
	if (rf_pack_check(pack, "fuzz") == 0)
		walk(pack);
	return 0;
}
