/* SPDX-License-Identifier: MIT */
/* dump.h -- a value as bytes that can be kept and read back.
 *
 *   kind                        one byte, enum kv_kind
 *   string                      length, bytes
 *   list, set                   count, then length, bytes of each
 *   hash                        count, then length, bytes of field and value
 *   sorted set                  count, then score, length, bytes of each
 *   version                     two bytes: KV_DUMP_VERSION
 *   checksum                    eight bytes, little endian: CRC-64/XZ of all
 *                               before
 *
 * Counts and lengths are little-endian base 128, seven bits a byte, the top
 * bit set in all but the last. A score is the eight bytes of a double, little
 * endian.
 */
#ifndef KV_DUMP_H
#define KV_DUMP_H

#include "worker/kv/keys/keys.h"

#define KV_DUMP_VERSION	      "r1"
#define KV_DUMP_VERSION_BYTES 2
#define KV_DUMP_FOOTER_BYTES  (KV_DUMP_VERSION_BYTES + sizeof(uint64_t))

/* Whether version and checksum are right. */
bool kv_dump_is_whole(struct rf_bytes dump);
/* A value that no key has; NULL: the bytes make no sense, or (the transaction
 * carries an error) there is no memory. They are a client's: nothing is
 * believed. */
struct kv_value *kv_dump_read(struct rf_bytes dump);

#endif
