/* SPDX-License-Identifier: MIT */
/* buffer.h -- bytes on their way: appended behind, taken off the front.
 *
 * A buffer and its bytes stand in memory that outlives this process, and are
 * whole at every instant; which memory is free is known to this process only,
 * and found out again by the next. An empty buffer holds no memory, so an idle
 * connection costs none.
 */
#ifndef NETWORK_BUFFER_H
#define NETWORK_BUFFER_H

#include <stddef.h>
#include <stdint.h>

struct journal;
struct rf_segment;

#define BUFFER_BLOCK_BYTES ((size_t)32 << 10)
#define BUFFER_CLASSES	   5
#define BUFFER_REGION_OFF  ((size_t)1 << 30) /* in the segment */

struct buffer { /* zeroed: empty */
	uint8_t *bytes;
	uint64_t start; /* first byte not taken yet */
	uint64_t end;	/* behind the last byte */
	uint64_t room;	/* usable bytes; 0: empty, whatever the rest says */
};

struct store_free { /* slots of one class that nobody has */
	struct store_slot *slots;
	uint32_t count;
	uint32_t room;
};

struct store { /* where buffers' bytes come from */
	struct rf_segment *seg;
	struct journal *moves;
	uint64_t *fresh; /* by class: never used from here on; outlives us */
	struct store_free warm[BUFFER_CLASSES]; /* with memory behind them */
	struct store_free cold[BUFFER_CLASSES];
};

static inline size_t buffer_used(const struct buffer *buf)
{
	return buf->room ? buf->end - buf->start : 0;
}

void store_init(struct store *store, struct rf_segment *seg,
	struct journal *moves, uint64_t fresh[BUFFER_CLASSES]);
void store_fini(struct store *store);

/* After a predecessor's death: call store_mark() for all memory in use between
 * the two; the rest is free then. */
int store_sweep_begin(struct store *store);
void store_mark(struct store *store, const void *bytes);
void store_sweep_end(struct store *store);

/* One block of BUFFER_BLOCK_BYTES, or NULL. */
void *store_take(struct store *store);
void store_give(struct store *store, void *bytes);

/* Make room for `bytes` more behind the end. Pointers into the buffer are void
 * afterwards. 0, or -ENOMEM: unchanged. Cost: each byte moves O(1) times. */
int buffer_reserve(struct store *store, struct buffer *buf, size_t bytes);

int buffer_append(struct store *store, struct buffer *buf, const void *from,
	size_t bytes);

/* Give all memory back; the bytes are lost. */
void buffer_release(struct store *store, struct buffer *buf);

#endif
