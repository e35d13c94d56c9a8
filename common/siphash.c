/* SPDX-License-Identifier: MIT */
/* siphash.c -- SipHash-1-3: one round per word, three to finish.
 *
 * Source. Aumasson & Bernstein, "SipHash: a fast short-input PRF", 2012. The
 * 1-3 variant is what Rust and Ruby hash their tables with.
 */
#include "siphash.h"
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words as stored");

struct sip {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t word, int bits)
{
	return word << bits | word >> (64 - bits);
}

static inline void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 = rotate(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v2 = rotate(s->v2, 32);
}

static inline void sip_word(struct sip *s, uint64_t word)
{
	s->v3 ^= word;
	sip_round(s);
	s->v0 ^= word;
}

static inline uint64_t load(const uint8_t *from)
{
	uint64_t word;

	memcpy(&word, from, sizeof word);
	return word;
}

/* The last 0..7 bytes, and the length in the top byte. */
static inline uint64_t last_word(const uint8_t *from, size_t bytes)
{
	uint64_t word = (uint64_t)bytes << 56;
	size_t rest = bytes & 7;

	if (rest == 0)
		return word;
	if (bytes >= 8)
		return word | load(from + bytes - 8) >> (64 - 8 * rest);
	for (size_t i = 0; i < rest; i++)
		word |= (uint64_t)from[i] << (8 * i);
	return word;
}

uint64_t rf_siphash13(const void *from, size_t bytes, const uint8_t key[16])
{
	uint64_t k0 = load(key), k1 = load(key + 8);
	struct sip s = {
		.v0 = k0 ^ UINT64_C(0x736f6d6570736575),
		.v1 = k1 ^ UINT64_C(0x646f72616e646f6d),
		.v2 = k0 ^ UINT64_C(0x6c7967656e657261),
		.v3 = k1 ^ UINT64_C(0x7465646279746573),
	};
	const uint8_t *at = from;
	const uint8_t *end = at + (bytes & ~(size_t)7);

	for (; at != end; at += 8)
		sip_word(&s, load(at));
	sip_word(&s, last_word(from, bytes));
	s.v2 ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
