/* SPDX-License-Identifier: MIT */
/* rights.h -- what is left of root's powers. */
#ifndef RIGHTS_H
#define RIGHTS_H

#include <stdint.h>

/* Give up all capabilities but those of the mask (1 << CAP_*). 0 or -errno. */
int rights_keep(uint64_t capabilities);

#endif
