/* SPDX-License-Identifier: MIT */
/* stats.c -- rf_stats(): the numbers a worker may ask for. */
#include "stats.h"
#include "common/super.h"
#include <refork/heap.h>
#include <refork/worker.h>

static const struct rf_status_shm *status;

void stats_init(const struct rf_status_shm *the_status)
{
	status = the_status;
}

void rf_stats(struct rf_stats *out)
{
	const struct rf_heap_shm *heap = &RF_SUPER->heap;

	*out = (struct rf_stats){
		.arena_used_bytes = heap->used_bytes,
		.arena_size_bytes =
			(size_t)(heap->page_count - heap->free_pages[1])
			<< RF_PAGE_SHIFT,
		.arena_max_bytes = RF_SUPER->max_bytes,
		.quarantined = RF_SUPER->desk.quarantined,
	};
	if (status == NULL)
		return;
	out->generation = rf_status_get(status->business.serving);
	out->requests = rf_status_get(status->business.requests);
	out->crashes = rf_status_get(status->supervisor.crashes);
	out->started_at_ms = rf_status_get(status->supervisor.started_at_ms);
	out->supervisor_pid = rf_status_get(status->supervisor.pid);
	out->network_pid = rf_status_get(status->supervisor.network_pid);
	out->clients = rf_status_get(status->network.clients);
	out->clients_total = rf_status_get(status->network.clients_total);
}
