/* SPDX-License-Identifier: MIT */
/* bytes.h -- some bytes that belong to somebody else. No zero byte follows. */
#ifndef REFORK_BYTES_H
#define REFORK_BYTES_H

#include <stddef.h>

struct rf_bytes {
	const char *at;
	size_t bytes;
};

#endif
