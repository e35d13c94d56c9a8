/* SPDX-License-Identifier: MIT */
/* sorted_pack.c -- a small ordered index as one pack: member, score, ...
 *
 * A score must be given back as exactly the same number, and take few bytes.
 * It stands as the first of these that is exact:
 *
 *	-12         a whole number, which the pack keeps in binary
 *	0.25        up to seven digits around a point; what is read is their
 *	            quotient, so that is what was compared when it was written
 *	=bbbbbbbb   its eight bytes
 *
 * Two items are put one after the other. When there is memory for the first
 * only, what stands in the pack until the transaction is undone are no pairs:
 * whoever reads it stops at its end.
 */
#include "pack_form.h"
#include "sorted_form.h"
#include "whole.h"
#include <math.h>

#define WHOLE_MAX  9007199254740992.0 /* 2^53: every one up to here */
#define DIGITS_MAX 9999999.0
#define TEXT_MAX   9 /* seven of them, a point, a minus */
#define SCALES	   7

static const double scales[SCALES] = {1, 10, 100, 1e3, 1e4, 1e5, 1e6};

/* ---- scores as texts ---- */

/* A quotient of two whole numbers, the upper one, the places of the lower. */
static bool find_digits(double score, int64_t *digits, unsigned *places)
{
	for (unsigned i = 0; i < SCALES; i++) {
		double scaled = score * scales[i];

		if (fabs(scaled) > (i == 0 ? WHOLE_MAX : DIGITS_MAX))
			return false;
		if (scaled == trunc(scaled) && scaled / scales[i] == score) {
			*digits = (int64_t)scaled;
			*places = i;
			return true;
		}
	}
	return false;
}

static void print_raw(double score, struct rf_item *item)
{
	item->digits[0] = '=';
	memcpy(item->digits + 1, &score, sizeof score);
	item->text = (struct rf_bytes){item->digits, 1 + sizeof score};
}

/* The point goes between the digits of a number, zeroes before it. */
static void put_point(struct rf_item *item, unsigned places)
{
	char *start = (char *)item->text.at;
	char *end = start + item->text.bytes;
	bool minus = *start == '-';
	char *point = end - places;

	start += minus;
	while (start > point - 1)
		*--start = '0';
	memmove(start - 1, start, (size_t)(point - start));
	point[-1] = '.';
	start--;
	if (minus)
		*--start = '-';
	item->text = (struct rf_bytes){start, (size_t)(end - start)};
}

static void print_score(double score, struct rf_item *item)
{
	int64_t digits;
	unsigned places;

	if ((score == 0 && signbit(score)) ||
		!find_digits(score, &digits, &places)) {
		print_raw(score, item);
		return;
	}
	rf_whole_print(digits, item);
	if (places > 0)
		put_point(item, places);
}

static bool parse_score(struct rf_bytes text, double *score)
{
	const char *at = text.at, *end = at + text.bytes;
	bool minus = text.bytes > 0 && *at == '-';
	unsigned places = 0;
	int64_t digits = 0;
	bool point = false;

	if (text.bytes == 1 + sizeof *score && *at == '=') {
		memcpy(score, at + 1, sizeof *score);
		return !isnan(*score);
	}
	if (text.bytes > TEXT_MAX || text.bytes < 3)
		return false;
	for (at += minus; at < end; at++) {
		if (*at == '.' && !point) {
			point = true;
			continue;
		}
		if (*at < '0' || *at > '9')
			return false;
		digits = digits * 10 + (*at - '0');
		places += point;
	}
	if (places == 0 || places >= SCALES)
		return false;
	*score = (double)(minus ? -digits : digits) / scales[places];
	return true;
}

/* That stands there itself. */
static double score_at(const struct rf_pack *pack, uint32_t at, bool *is_score)
{
	const uint8_t *item = pack->at + at;
	struct rf_item text;
	double score = 0;

	*is_score = at < pack->end;
	if (rf_unlikely(!*is_score))
		return 0;
	if (rf_likely(rf_pack_is_number(item)))
		return (double)rf_pack_number(item);
	rf_pack_get(pack, at, &text);
	*is_score = parse_score(text.text, &score);
	return score;
}

double sorted_pack_score(
	const struct rf_pack *pack, uint32_t at, bool *is_score)
{
	return score_at(pack, at + rf_pack_size(pack->at + at), is_score);
}

/* ---- members in order ---- */

uint32_t sorted_pack_step(const struct rf_pack *pack, uint32_t at)
{
	at += rf_pack_size(pack->at + at);
	return at < pack->end ? at + rf_pack_size(pack->at + at) : at;
}

uint64_t sorted_pack_rank(const struct rf_pack *pack, uint32_t at)
{
	uint64_t rank = 0;

	for (uint32_t i = pack->head; i < at; rank++)
		i = sorted_pack_step(pack, i);
	return rank;
}

uint32_t sorted_pack_find(
	const struct rf_pack *pack, const void *member, size_t bytes)
{
	return rf_pack_find(pack, rf_pack_first(pack), member, bytes, 2);
}

static bool is_member_before(
	const struct rf_pack *pack, uint32_t at, struct rf_bytes member)
{
	struct rf_item item;

	rf_pack_get(pack, at, &item);
	return sorted_compare_members(item.text, member) < 0;
}

static bool is_before(
	const struct rf_pack *pack, uint32_t at, struct sorted_key key)
{
	bool is_score;
	double score = sorted_pack_score(pack, at, &is_score);

	if (score != key.score)
		return score < key.score;
	return is_member_before(pack, at, key.member);
}

uint32_t sorted_pack_seek(const struct rf_pack *pack, struct sorted_key key)
{
	uint32_t at = pack->head;

	while (at < pack->end && is_before(pack, at, key))
		at = sorted_pack_step(pack, at);
	return at;
}

struct rf_pack *sorted_pack_insert(
	struct rf_pack *pack, uint32_t at, struct sorted_key key)
{
	/* What is behind stays as far from the end. */
	uint32_t rest = rf_pack_end(pack) - at;
	struct rf_item score;

	print_score(key.score, &score);
	pack = rf_pack_insert(pack, at, key.member.at, key.member.bytes);
	if (pack == NULL)
		return NULL;
	return rf_pack_insert(pack, rf_pack_end(pack) - rest, score.text.at,
		score.text.bytes);
}

struct rf_pack *sorted_pack_move(
	struct rf_pack *pack, uint32_t at, struct sorted_key key)
{
	uint32_t next = sorted_pack_step(pack, at);
	uint32_t before = rf_pack_prev(pack, at);
	struct rf_item score;

	/* From the score of the one before to its member. */
	if (before != rf_pack_end(pack))
		before = rf_pack_prev(pack, before);
	if ((before == rf_pack_end(pack) || is_before(pack, before, key)) &&
		(next == rf_pack_end(pack) || !is_before(pack, next, key))) {
		print_score(key.score, &score);
		return rf_pack_replace(pack, rf_pack_next(pack, at),
			score.text.at, score.text.bytes);
	}
	pack = rf_pack_erase(pack, at, 2);
	if (pack == NULL)
		return NULL;
	return sorted_pack_insert(pack, sorted_pack_seek(pack, key), key);
}
