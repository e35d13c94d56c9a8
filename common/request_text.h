/* SPDX-License-Identifier: MIT */
/* request_text.h -- the payload of an RF_MSG_REQUEST, for people to read. */
#ifndef RF_REQUEST_TEXT_H
#define RF_REQUEST_TEXT_H

#include <refork/bytes.h>
#include <stddef.h>
#include <stdint.h>

/* The request as words: SET "two words" "\x00\xff".
 *
 * payload    its bytes, or only the first of them; another process's: nothing
 *            in them is believed
 * words_max  1: the command's name alone; UINT32_MAX: all
 * out        always ends in a zero byte, printable ASCII before it. "..." at
 *            its end: there is more, or there is no sense in what follows
 * room       at least 8
 * Returns    the length of `out` */
size_t rf_request_text(const void *payload, size_t bytes, uint32_t words_max,
	char *out, size_t room);

/* Its arguments, where they stand in the payload.
 *
 * args      room for args_max of them; not written beyond
 * Returns   how many there are; 0: the lengths do not add up to exactly
 *           `bytes`. Each length is read once. */
uint32_t rf_request_args(const void *payload, size_t bytes,
	struct rf_bytes *args, uint32_t args_max);

#endif
