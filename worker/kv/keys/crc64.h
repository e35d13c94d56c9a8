/* SPDX-License-Identifier: MIT */
/* crc64.h -- CRC-64/XZ of some bytes. ~2 ns a byte. */
#ifndef KV_CRC64_H
#define KV_CRC64_H

#include <stddef.h>
#include <stdint.h>

uint64_t kv_crc64(const void *from, size_t bytes);

#endif
