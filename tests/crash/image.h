/* SPDX-License-Identifier: MIT */
/* image.h -- copies of a stage: taken, followed, put into place, compared. */
#ifndef IMAGE_H
#define IMAGE_H

#include "stage.h"

struct image {
	uint8_t *bytes;
	bool rung; /* the network child's bell */
	struct image_range {
		size_t at, bytes; /* in the image */
	} * means;		  /* see image_read_meaning */
	size_t means_count, means_room;
};

/* What images hold; once, when some stage has been formatted. */
void image_layout(const struct stage *stage, const struct geometry *geometry);

struct image *image_new(void);
void image_copy(struct image *to, const struct image *from);
const struct rf_super *image_super(const struct image *image);
static inline uint64_t image_log_tail(const struct image *image)
{
	return image_super(image)->log_tail;
}

/* All of it, out of a stage and into one. */
void image_capture(struct image *image, const struct stage *stage);
void image_restore(const struct image *image, struct stage *stage);

/* Watched is all but the free pages of the heap and the far end of the log.
 * Pages that live in this image are watched from now on. */
void image_watch(const struct image *image);
/* Bring the watched parts up to date. False: nothing had changed. */
bool image_poll(struct image *image, const struct stage *stage);
/* Put the watched parts into a stage. */
void image_load(const struct image *image, struct stage *stage);

/* Note where an image has bytes that mean anything. Its arena must be sound. */
void image_read_meaning(struct image *image);
/* But these, of a live block, do not. */
void image_forget(struct image *image, const void *from, size_t bytes);
/* NULL, or how a stage differs from an image in what the image means. */
const char *image_differs(const struct image *want, const struct stage *have);

#endif
