/* SPDX-License-Identifier: MIT */
/* crc64.c -- CRC-64/XZ, a byte at a time by a table. */
#include "worker/kv/keys/crc64.h"

#define POLYNOMIAL UINT64_C(0xc96c5795d7870f42) /* reflected */

static uint64_t table[256];

static void make_table(void)
{
	for (uint32_t byte = 0; byte < 256; byte++) {
		uint64_t crc = byte;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
		table[byte] = crc;
	}
}

uint64_t kv_crc64(const void *from, size_t bytes)
{
	const uint8_t *at = from;
	uint64_t crc = ~UINT64_C(0);

	if (table[1] == 0)
		make_table();
	for (size_t i = 0; i < bytes; i++)
		crc = table[(crc ^ at[i]) & 255] ^ crc >> 8;
	return ~crc;
}
