/* SPDX-License-Identifier: MIT */
/* place.h -- where a segment stands, in the words of its backend. */
#ifndef PLACE_H
#define PLACE_H

#include "common/segment.h"

#define SEGMENT_DIR "/dev/shm"
#define PLACE_BYTES 384

extern const char *const place_backends[RF_BACKEND_COUNT]; /* "posix" */

/* What an operator calls it: "/dev/shm/refork-kv", "System V segment
 * 0x52010c3f (id 7)", "memfd refork-kv". */
const char *place_of(const struct rf_segment *seg, char text[PLACE_BYTES]);

/* What `reforkctl arena release` calls it: "refork-kv", "0x52010c3f", a
 * path. */
const char *place_name(const struct rf_segment *seg, char text[PLACE_BYTES]);

/* Of something kept aside: FILE.aside-20260131120000 (UTC). */
#define PLACE_ASIDE_MARK   ".aside-"
#define PLACE_ASIDE_DIGITS 14

/* Its digits; NULL: it is no such name. */
const char *place_aside(const char *file);

/* The file whose lock says that somebody lives in it; false: it has none. */
bool place_file(const struct rf_segment *seg, char path[PLACE_BYTES]);

#endif
