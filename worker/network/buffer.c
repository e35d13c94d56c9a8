/* SPDX-License-Identifier: MIT */
/* buffer.c -- byte queues, and the pool that their first blocks come from. */
#include "buffer.h"
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct buffer_block {
	struct buffer_block *next;
};

static void *block_take(struct buffer_pool *pool)
{
	struct buffer_block *block = pool->free;

	if (!block)
		return malloc(BUFFER_BLOCK_BYTES);
	pool->free = block->next;
	pool->free_count--;
	return block;
}

static void block_give(struct buffer_pool *pool, void *bytes)
{
	struct buffer_block *block = bytes;

	if (pool->free_count == BUFFER_POOL_MAX) {
		free(bytes);
		return;
	}
	block->next = pool->free;
	pool->free = block;
	pool->free_count++;
}

void buffer_release(struct buffer_pool *pool, struct buffer *buf)
{
	if (buf->room == BUFFER_BLOCK_BYTES)
		block_give(pool, buf->bytes);
	else
		free(buf->bytes);
	*buf = (struct buffer){0};
}

static int grow(struct buffer_pool *pool, struct buffer *buf, size_t bytes)
{
	struct buffer bigger = {.end = buffer_used(buf)};
	bool resize = buf->start == 0 && buf->room > BUFFER_BLOCK_BYTES;

	bigger.room = buf->room ? buf->room * 2 : BUFFER_BLOCK_BYTES;
	while (bigger.room - bigger.end < bytes)
		bigger.room *= 2;
	if (bigger.room == BUFFER_BLOCK_BYTES)
		bigger.bytes = block_take(pool);
	else
		bigger.bytes = realloc(resize ? buf->bytes : NULL, bigger.room);
	if (!bigger.bytes)
		return -ENOMEM;
	if (!resize && buf->room) {
		memcpy(bigger.bytes, buf->bytes + buf->start, bigger.end);
		buffer_release(pool, buf);
	}
	*buf = bigger;
	return 0;
}

int buffer_reserve(struct buffer_pool *pool, struct buffer *buf, size_t bytes)
{
	size_t used = buffer_used(buf);

	if (buf->room - buf->end >= bytes)
		return 0;
	/* Moving no more than was taken off: O(1) per byte. */
	if (buf->room - used < bytes || used > buf->start)
		return grow(pool, buf, bytes);
	memmove(buf->bytes, buf->bytes + buf->start, used);
	buf->start = 0;
	buf->end = used;
	return 0;
}

int buffer_append(struct buffer_pool *pool, struct buffer *buf,
	const void *from, size_t bytes)
{
	int rc = buffer_reserve(pool, buf, bytes);

	if (rc)
		return rc;
	if (bytes)
		memcpy(buf->bytes + buf->end, from, bytes);
	buf->end += bytes;
	return 0;
}

void buffer_pool_fini(struct buffer_pool *pool)
{
	while (pool->free)
		free(block_take(pool));
}
