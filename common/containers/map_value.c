/* SPDX-License-Identifier: MIT */
/* map_value.c -- the values of a map that is a dict; see map_value.h.
 *
 * Most values of most maps are short: they take no block at all, or one with
 * a single byte beside the text.
 */
#include "map_value.h"
#include "whole.h"
#include <refork/heap.h>
#include <refork/string.h>
#include <refork/tx.h>
#include <refork/walk.h>

#define TAG 7u

enum kind { STRING, INLINE, NUMBER, SHORT };

#define INLINE_MAX 7u
#define NUMBER_MAX ((int64_t)1 << 60)

struct brief { /* a short one */
	uint8_t bytes;
	char text[];
};

static struct brief *brief_of(uint64_t word)
{
	return (struct brief *)(word & ~(uint64_t)TAG);
}

static uint64_t word_inline(const void *from, size_t bytes)
{
	uint64_t word = 0;

	memcpy((char *)&word + 1, from, bytes);
	return word | bytes << 3 | INLINE;
}

/* Over the old one where that fits well. */
static uint64_t set_brief(uint64_t old, const void *from, size_t bytes)
{
	struct brief *brief = brief_of(old);

	if ((old & TAG) == SHORT && brief != NULL && rf_usable(brief) > bytes &&
		rf_usable(brief) / 2 <= bytes) {
		/* All of the old text, also where the new one is shorter. */
		if (rf_tx_log(brief, sizeof *brief + brief->bytes) != 0)
			return 0;
		rf_tx_unlogged(brief, rf_usable(brief)); /* what is behind it */
	} else {
		brief = rf_alloc_uninit(sizeof *brief + bytes);
		if (brief == NULL)
			return 0;
		rf_map_value_drop(old);
	}
	brief->bytes = (uint8_t)bytes;
	memcpy(brief->text, from, bytes);
	return (uint64_t)brief | SHORT;
}

uint64_t rf_map_value_set(uint64_t old, const void *from, size_t bytes)
{
	bool is_string = (old & TAG) == STRING;
	int64_t number;

	if (bytes > INLINE_MAX && rf_whole_parse(from, bytes, &number) &&
		number >= -NUMBER_MAX && number < NUMBER_MAX) {
		rf_map_value_drop(old);
		return (uint64_t)number << 3 | NUMBER;
	}
	if (bytes <= INLINE_MAX) {
		rf_map_value_drop(old);
		return word_inline(from, bytes);
	}
	if (bytes <= UINT8_MAX)
		return set_brief(old, from, bytes);
	if (!is_string)
		rf_map_value_drop(old);
	return (uint64_t)rf_string_set(
		is_string ? (struct rf_string *)old : NULL, from, bytes);
}

void rf_map_value_get(uint64_t word, struct rf_item *item)
{
	const struct rf_string *string = (const struct rf_string *)word;
	const struct brief *brief = brief_of(word);

	switch (word & TAG) {
	case STRING:
		item->text = (struct rf_bytes){item->digits, 0};
		if (rf_likely(string != NULL))
			item->text =
				(struct rf_bytes){string->text, string->bytes};
		break;
	case INLINE:
		memcpy(item->digits, (char *)&word + 1, INLINE_MAX);
		item->text = (struct rf_bytes){item->digits, word >> 3 & 31};
		break;
	case NUMBER:
		rf_whole_print((int64_t)word >> 3, item);
		break;
	default:
		item->text = (struct rf_bytes){brief->text, brief->bytes};
	}
}

void rf_map_value_drop(uint64_t word)
{
	if ((word & TAG) == STRING || (word & TAG) == SHORT)
		rf_free(brief_of(word));
}

size_t rf_map_value_memory(uint64_t word)
{
	if (word != 0 && ((word & TAG) == STRING || (word & TAG) == SHORT))
		return rf_usable(brief_of(word));
	return 0;
}

static const char *inline_fault(uint64_t word)
{
	uint64_t bytes = word >> 3 & 31;

	if (bytes > INLINE_MAX ||
		(bytes < INLINE_MAX && word >> (8 + bytes * 8) != 0))
		return "a value with an impossible length";
	return NULL;
}

static const char *brief_fault(struct rf_walk *walk, const struct brief *brief)
{
	if (!rf_walk_block(walk, brief, sizeof *brief, "map value"))
		return NULL; /* told */
	if (brief->bytes > rf_walk_usable(walk, brief) - sizeof *brief)
		return "a short text in a shorter block";
	return NULL;
}

void rf_map_value_walk(struct rf_walk *walk, const uint64_t *word)
{
	const char *fault = NULL;

	switch (*word & TAG) {
	case STRING:
		rf_walk_string(walk, (const struct rf_string *)*word);
		break;
	case INLINE:
		fault = inline_fault(*word);
		break;
	case NUMBER:
		break;
	case SHORT:
		fault = brief_fault(walk, brief_of(*word));
		break;
	default:
		fault = "a value of no known kind";
	}
	if (fault != NULL)
		rf_walk_problem(walk, word, "map: %s", fault);
}
