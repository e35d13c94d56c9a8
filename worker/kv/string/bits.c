/* SPDX-License-Identifier: MIT */
/* bits.c -- strings as arrays of bits: one bit, counting, searching, BITOP.
 *
 * Bit 0 is the highest of the first byte. Whole words are counted and searched
 * at a time.
 */
#include "worker/kv/string/bits.h"
#include <strings.h>

bool kv_arg_bit_offset(struct kv_call *call, uint32_t index, uint32_t hash_bits,
	uint64_t *offset)
{
	struct rf_bytes arg = call->argv[index];
	bool hash = hash_bits > 0 && arg.bytes > 0 && arg.at[0] == '#';
	int64_t value;

	if (!kv_parse_int(arg.at + hash, arg.bytes - hash, &value) ||
		value < 0 ||
		(hash && __builtin_mul_overflow(value, hash_bits, &value)) ||
		(uint64_t)value >> 3 >= kv_string_bytes_max) {
		rf_resp_error(call->reply,
			"ERR bit offset is not an integer or out of range");
		return false;
	}
	*offset = (uint64_t)value;
	return true;
}

static unsigned bit_at(struct rf_bytes text, uint64_t offset)
{
	size_t byte = offset >> 3;

	if (byte >= text.bytes)
		return 0;
	return (uint8_t)text.at[byte] >> (7 - (offset & 7)) & 1;
}

void kv_cmd_getbit(struct kv_call *call)
{
	struct kv_value *value;
	uint64_t offset;

	if (kv_arg_bit_offset(call, 2, 0, &offset) &&
		kv_look_kind(call, call->argv[1], KV_STRING, &value))
		rf_resp_int(call->reply, bit_at(kv_string_text(value), offset));
}

static bool arg_bit(struct kv_call *call, uint32_t index, int64_t *bit)
{
	struct rf_bytes arg = call->argv[index];

	if (kv_parse_int(arg.at, arg.bytes, bit) && (*bit & ~INT64_C(1)) == 0)
		return true;
	rf_resp_error(call->reply, "ERR bit is not an integer or out of range");
	return false;
}

void kv_cmd_setbit(struct kv_call *call)
{
	struct rf_dict_entry *entry;
	struct rf_bytes text;
	uint64_t offset;
	int64_t bit;
	unsigned old;
	char byte;

	if (!kv_arg_bit_offset(call, 2, 0, &offset) ||
		!arg_bit(call, 3, &bit) ||
		!kv_find_string(call, call->argv[1], &entry))
		return;
	text = kv_string_text(entry != NULL ? kv_value_of(entry) : NULL);
	old = bit_at(text, offset);
	if (old != (unsigned)bit || offset >> 3 >= text.bytes) {
		unsigned mask = 128U >> (offset & 7);

		byte = offset >> 3 < text.bytes ? text.at[offset >> 3] : 0;
		byte = (char)(bit ? byte | (int)mask : byte & (int)~mask);
		if (kv_string_write(call, entry, offset >> 3, &byte, 1) == NULL)
			return;
		kv_changed(call, call->argv[1], KV_CLASS_STRING, "setbit");
	}
	rf_resp_int(call->reply, old);
}

/* ---- ranges ---- */

/* A range of bits: first .. last; empty when first > last. */
struct range {
	int64_t first, last;
	bool in_bits, has_end;
	bool is_empty; /* backwards from the end, before it was cut to size */
};

/* Negative positions count from the end; then within 0 .. count - 1. */
static void clamp(struct range *range, int64_t count)
{
	if (range->first < 0)
		range->first += count;
	if (range->last < 0)
		range->last += count;
	if (range->first < 0)
		range->first = 0;
	if (range->last < 0)
		range->last = 0;
	if (range->first > count)
		range->first = count;
	if (range->last >= count)
		range->last = count - 1;
}

/* BYTE or BIT. False: error replied. */
static bool parse_unit(struct kv_call *call, uint32_t at, struct range *range)
{
	if (call->argc <= at)
		return true;
	range->in_bits = kv_is(call->argv[at], "BIT");
	if (range->in_bits || kv_is(call->argv[at], "BYTE"))
		return true;
	kv_reply_syntax(call);
	return false;
}

/* Arguments `from` on: start [end [BYTE|BIT]]; what is wrong with the unit is
 * told before or after what is wrong with the end. False: error replied. */
static bool parse_range(struct kv_call *call, uint32_t from, bool unit_first,
	size_t bytes, struct range *range)
{
	*range = (struct range){.first = 0, .last = -1};
	if (call->argc > from + 3) {
		kv_reply_syntax(call);
		return false;
	}
	if (call->argc > from && !kv_arg_int(call, from, &range->first))
		return false;
	range->has_end = call->argc > from + 1;
	if (unit_first && !parse_unit(call, from + 2, range))
		return false;
	if (range->has_end && !kv_arg_int(call, from + 1, &range->last))
		return false;
	if (!unit_first && !parse_unit(call, from + 2, range))
		return false;
	/* For BITCOUNT only. */
	range->is_empty = range->first < 0 && range->last < 0 &&
			  range->first > range->last;
	clamp(range, (int64_t)(range->in_bits ? bytes * 8 : bytes));
	if (!range->in_bits) {
		range->first *= 8;
		range->last = range->last * 8 + 7;
	}
	return true;
}

/* The bits of one byte that lie in the range. */
static uint8_t mask_of(const struct range *range, int64_t byte)
{
	unsigned mask = 0xff;

	if (byte == range->first >> 3)
		mask &= 0xffU >> (range->first & 7);
	if (byte == range->last >> 3)
		mask &= 0xffU << (7 - (range->last & 7));
	return (uint8_t)mask;
}

static int64_t count_bits(const char *at, const struct range *range)
{
	int64_t byte = range->first >> 3, end = range->last >> 3;
	int64_t count;

	if (range->first > range->last)
		return 0;
	count = __builtin_popcount((uint8_t)at[byte] & mask_of(range, byte));
	for (byte++; byte + 8 < end; byte += 8) {
		uint64_t word;

		memcpy(&word, at + byte, sizeof word);
		count += __builtin_popcountll(word);
	}
	for (; byte <= end; byte++)
		count += __builtin_popcount(
			(uint8_t)at[byte] & mask_of(range, byte));
	return count;
}

void kv_cmd_bitcount(struct kv_call *call)
{
	struct kv_value *value;
	struct range range;
	struct rf_bytes text;

	if (!kv_look_kind(call, call->argv[1], KV_STRING, &value))
		return;
	text = kv_string_text(value);
	if (value == NULL) {
		rf_resp_int(call->reply, 0);
	} else if (call->argc == 3) {
		kv_reply_syntax(call);
	} else if (parse_range(call, 2, false, text.bytes, &range)) {
		rf_resp_int(call->reply,
			range.is_empty ? 0 : count_bits(text.at, &range));
	}
}

/* The first bit of that value in the range; -1: none. */
static int64_t find_bit(const char *at, const struct range *range, bool bit)
{
	uint8_t flip = bit ? 0 : 0xff;
	int64_t byte = range->first >> 3, end = range->last >> 3;

	for (; range->first <= range->last && byte <= end; byte++) {
		unsigned found =
			((uint8_t)at[byte] ^ flip) & mask_of(range, byte);

		if (found != 0)
			return byte * 8 + __builtin_clz(found) - 24;
		while (byte + 16 < end) {
			uint64_t word;

			memcpy(&word, at + byte + 1, sizeof word);
			if (word != (bit ? 0 : ~UINT64_C(0)))
				break;
			byte += 8;
		}
	}
	return -1;
}

void kv_cmd_bitpos(struct kv_call *call)
{
	struct kv_value *value;
	struct range range;
	struct rf_bytes text;
	int64_t bit, pos;

	if (!kv_arg_int(call, 2, &bit))
		return;
	if (bit != 0 && bit != 1) {
		rf_resp_error(
			call->reply, "ERR The bit argument must be 1 or 0.");
		return;
	}
	if (!kv_look_kind(call, call->argv[1], KV_STRING, &value))
		return;
	text = kv_string_text(value);
	if (value == NULL) {
		rf_resp_int(call->reply, bit ? -1 : 0);
		return;
	}
	if (!parse_range(call, 3, true, text.bytes, &range))
		return;
	pos = find_bit(text.at, &range, bit != 0);
	/* Behind the end, where no end was given, all bits are clear. */
	if (pos < 0 && bit == 0 && !range.has_end && range.first <= range.last)
		pos = (int64_t)text.bytes * 8;
	rf_resp_int(call->reply, pos);
}

/* ---- BITOP ---- */

enum bitop { BITOP_AND, BITOP_OR, BITOP_XOR, BITOP_NOT, BITOP_COUNT };

static const char *const bitop_names[BITOP_COUNT] = {
	[BITOP_AND] = "AND",
	[BITOP_OR] = "OR",
	[BITOP_XOR] = "XOR",
	[BITOP_NOT] = "NOT",
};

/* A shorter text counts as if zeros followed. */
static void combine(enum bitop op, char *to, size_t bytes, struct rf_bytes from)
{
	size_t both = from.bytes < bytes ? from.bytes : bytes;

	for (size_t i = 0; op == BITOP_AND && i < both; i++)
		to[i] &= from.at[i];
	for (size_t i = 0; op == BITOP_OR && i < both; i++)
		to[i] |= from.at[i];
	for (size_t i = 0; op == BITOP_XOR && i < both; i++)
		to[i] ^= from.at[i];
	if (op == BITOP_AND)
		memset(to + both, 0, bytes - both);
}

/* false: WRONGTYPE replied. */
static bool longest_of(struct kv_call *call, size_t *bytes)
{
	*bytes = 0;
	for (uint32_t i = 3; i < call->argc; i++) {
		struct kv_value *value;

		if (!kv_look_kind(call, call->argv[i], KV_STRING, &value))
			return false;
		if (value != NULL && value->bytes > *bytes)
			*bytes = value->bytes;
	}
	return true;
}

static struct rf_bytes source(struct kv_call *call, uint32_t index)
{
	struct rf_dict_entry *entry = kv_find(call, call->argv[index]);

	return kv_string_text(entry != NULL ? kv_value_of(entry) : NULL);
}

/* The result as a string that no key has. NULL: no memory. */
static struct rf_string *compute(
	struct kv_call *call, enum bitop op, size_t bytes)
{
	struct rf_bytes first = source(call, 3);
	struct rf_string *result =
		rf_string_write(NULL, bytes - 1, "", 1); /* zeros */

	if (result == NULL)
		return NULL;
	memcpy(result->text, first.at, first.bytes);
	for (size_t i = 0; op == BITOP_NOT && i < bytes; i++)
		result->text[i] = (char)~result->text[i];
	for (uint32_t i = 4; i < call->argc; i++)
		combine(op, result->text, bytes, source(call, i));
	result->user = (uint32_t)KV_STRING << 28 | KV_VALUE_RAW;
	return result;
}

void kv_cmd_bitop(struct kv_call *call)
{
	enum bitop op = BITOP_AND;
	struct rf_string *result;
	struct rf_dict_entry *entry;
	size_t bytes;

	while (op < BITOP_COUNT && !kv_is(call->argv[1], bitop_names[op]))
		op++;
	if (op == BITOP_COUNT) {
		kv_reply_syntax(call);
		return;
	}
	if (op == BITOP_NOT && call->argc != 4) {
		rf_resp_error(call->reply, "ERR BITOP NOT must be called with "
					   "a single source key.");
		return;
	}
	if (!longest_of(call, &bytes))
		return;
	if (bytes > 0) {
		result = compute(call, op, bytes);
		if (result == NULL)
			return;
		kv_put(call, call->argv[2], (struct kv_value *)result);
		kv_changed(call, call->argv[2], KV_CLASS_STRING, "set");
	} else {
		entry = kv_find(call, call->argv[2]);
		if (entry != NULL) {
			kv_delete(call, entry);
			kv_changed(
				call, call->argv[2], KV_CLASS_GENERIC, "del");
		}
	}
	rf_resp_int(call->reply, (int64_t)bytes);
}
