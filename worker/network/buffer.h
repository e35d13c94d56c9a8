/* SPDX-License-Identifier: MIT */
/* buffer.h -- bytes on their way: appended behind, taken off the front.
 *
 * An empty buffer holds no memory, so an idle connection costs none. The first
 * block comes from a pool, what outgrows it from malloc.
 */
#ifndef NETWORK_BUFFER_H
#define NETWORK_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#define BUFFER_BLOCK_BYTES ((size_t)32 << 10)
#define BUFFER_POOL_MAX	   128 /* free blocks kept */

struct buffer { /* zeroed: empty */
	uint8_t *bytes;
	size_t start; /* first byte not taken yet */
	size_t end;   /* behind the last byte */
	size_t room;
};

struct buffer_block;

struct buffer_pool { /* zeroed: empty */
	struct buffer_block *free;
	uint32_t free_count;
};

static inline size_t buffer_used(const struct buffer *buf)
{
	return buf->end - buf->start;
}

/* Make room for `bytes` more behind the end. Pointers into the buffer are void
 * afterwards. 0, or -ENOMEM: unchanged. Cost: each byte moves O(1) times. */
int buffer_reserve(struct buffer_pool *pool, struct buffer *buf, size_t bytes);

int buffer_append(struct buffer_pool *pool, struct buffer *buf,
	const void *from, size_t bytes);

/* Give all memory back; the bytes are lost. */
void buffer_release(struct buffer_pool *pool, struct buffer *buf);

/* Free what the pool keeps. */
void buffer_pool_fini(struct buffer_pool *pool);

#endif
