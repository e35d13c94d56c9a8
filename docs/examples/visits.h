/* SPDX-License-Identifier: MIT */
/* visits.h -- what stands in the arena: read by the worker and by readers. */
#ifndef VISITS_H
#define VISITS_H

#include <refork/dict.h>

/* Of the slot. Another layout is another version: see `migrate` in worker.h. */
#define VISITS_SLOT    "visits"
#define VISITS_TYPE    "visits"
#define VISITS_VERSION 1

struct visits {
	struct rf_dict by_name; /* each entry's word: how many */
};

#endif
