/* SPDX-License-Identifier: MIT */
/* gather.c -- rows and texts that grow, in memory of the process. */
#include "worker/kv/keys/gather.h"
#include <errno.h>
#include <stdlib.h>

#define ROOM_FIRST 64

/* Room for `more` of `size` behind the first `count`; where it is now. */
static void *make_room(
	void *array, size_t *room, size_t count, size_t more, size_t size)
{
	size_t wanted = *room > 0 ? *room : ROOM_FIRST;
	void *grown;

	if (array != NULL && more <= *room - count)
		return array;
	while (wanted - count < more)
		wanted *= 2;
	grown = reallocarray(array, wanted, size);
	if (grown == NULL) {
		rf_tx_fail(-ENOMEM);
		return NULL;
	}
	*room = wanted;
	return grown;
}

void *kv_gather_row(struct kv_gather *gather)
{
	void *rows = make_room(gather->rows, &gather->room, gather->count, 1,
		gather->row_bytes);
	void *row;

	if (rows == NULL)
		return NULL;
	gather->rows = rows;
	row = (char *)rows + gather->count++ * gather->row_bytes;
	return memset(row, 0, gather->row_bytes);
}

bool kv_gather_text(
	struct kv_gather *gather, struct rf_bytes from, struct kv_text *text)
{
	char *grown = make_room(gather->text, &gather->text_room,
		gather->text_bytes, from.bytes, 1);

	if (grown == NULL)
		return false;
	gather->text = grown;
	*text = (struct kv_text){gather->text_bytes, from.bytes};
	if (from.bytes > 0)
		memcpy(grown + gather->text_bytes, from.at, from.bytes);
	gather->text_bytes += from.bytes;
	return true;
}

void kv_gather_fini(struct kv_gather *gather)
{
	free(gather->rows);
	free(gather->text);
}

int kv_compare(struct rf_bytes one, struct rf_bytes other)
{
	size_t shared = one.bytes < other.bytes ? one.bytes : other.bytes;
	int order = shared > 0 ? memcmp(one.at, other.at, shared) : 0;

	if (order != 0)
		return order;
	return (one.bytes > other.bytes) - (one.bytes < other.bytes);
}
