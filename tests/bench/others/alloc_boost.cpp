/* SPDX-License-Identifier: MIT */
/* alloc_boost.cpp -- Boost.Interprocess: managed_shared_memory as it comes;
 * nothing is undone when the process dies. */
#include "../alloc_run.h"
#include <boost/interprocess/managed_shared_memory.hpp>
#include <unistd.h>

static boost::interprocess::managed_shared_memory *memory;
static uint64_t *blocks[RUN_SLOTS];

static void run_open(void)
{
	namespace ipc = boost::interprocess;
	char name[64];

	snprintf(name, sizeof name, "refork-bench-boost-%d", (int)getpid());
	memory = new ipc::managed_shared_memory(
		ipc::create_only, name, (size_t)2 << 30);
	ipc::shared_memory_object::remove(name);
}

static void run_swap(size_t slot, size_t bytes, uint64_t word)
{
	if (blocks[slot])
		memory->deallocate(blocks[slot]);
	blocks[slot] = nullptr;
	if (bytes == 0)
		return;
	blocks[slot] = static_cast<uint64_t *>(memory->allocate(bytes));
	*blocks[slot] = word;
}
