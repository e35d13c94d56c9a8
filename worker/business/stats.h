/* SPDX-License-Identifier: MIT */
/* stats.h -- where rf_stats() reads. */
#ifndef STATS_H
#define STATS_H

#include "common/status.h"

void stats_init(const struct rf_status_shm *status);

#endif
