/* SPDX-License-Identifier: MIT */
/* forget.h -- what means nothing in the blocks of containers: room for more.
 *
 * It is written without the log, so it may differ after a death.
 */
#ifndef FORGET_H
#define FORGET_H

#include "image.h"
#include <refork/dict.h>
#include <refork/list.h>
#include <refork/map.h>
#include <refork/pack.h>
#include <refork/set.h>
#include <refork/sorted.h>
#include <refork/string.h>

/* From `used` bytes on to the end of a live block. */
void forget_tail(struct image *image, const void *block, size_t used);
void forget_string(struct image *image, const struct rf_string *string);
void forget_pack(struct image *image, const struct rf_pack *pack);
void forget_dict(struct image *image, const struct rf_dict *dict);
void forget_list(struct image *image, const struct rf_list *list);
void forget_map(struct image *image, const struct rf_map *map);
void forget_set(struct image *image, const struct rf_set *set);
void forget_sorted(struct image *image, const struct rf_sorted *sorted);

#endif
