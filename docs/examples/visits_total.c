/* SPDX-License-Identifier: MIT */
/* visits_total.c -- a reader to begin with: all visits together.
 *
 *	visits_total SERVICE
 *
 * It maps the arena of a service, read only, and looks at a copy of one
 * instant: the service goes on meanwhile.
 */
#include "visits.h"

#include <inttypes.h>
#include <refork/attach.h>
#include <stdio.h>

static void add(struct rf_dict_entry *entry, void *total)
{
	*(uint64_t *)total += entry->word;
}

int main(int argc, char **argv)
{
	struct rf_attach *attach;
	const struct visits *visits;
	const void *root;
	uint64_t cursor = 0, total = 0;
	char why[512];

	if (argc != 2) {
		fprintf(stderr, "usage: visits_total SERVICE\n");
		return 2;
	}
	if (rf_attach(argv[1], RF_ATTACH_COPY, &attach, why, sizeof(why))) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	if (rf_slot_find(VISITS_SLOT, VISITS_TYPE, VISITS_VERSION,
		    sizeof(*visits), &root)) {
		fprintf(stderr, "%s: its worker counts no visits\n", argv[1]);
		rf_detach(attach);
		return 1;
	}
	visits = root;
	do
		cursor = rf_dict_scan(&visits->by_name, cursor, add, &total);
	while (cursor);
	printf("%" PRIu64 "\n", total);
	rf_detach(attach);
	return 0;
}
