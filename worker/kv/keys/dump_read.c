/* SPDX-License-Identifier: MIT */
/* dump_read.c -- the reading half of dump.h's format.
 *
 * Every length is held against what is left before it is used. An element
 * that comes twice makes a dump bad: it was not written by us.
 */
#include "worker/kv/keys/crc64.h"
#include "worker/kv/keys/dump.h"
#include <math.h>

struct input {
	const char *at, *end;
	bool bad;
};

static size_t left(const struct input *in)
{
	return (size_t)(in->end - in->at);
}

static uint64_t take_number(struct input *in)
{
	uint64_t number = 0;

	for (unsigned shift = 0; shift < 63 && left(in) > 0; shift += 7) {
		uint8_t byte = (uint8_t)*in->at++;

		number |= (uint64_t)(byte & 127) << shift;
		if (byte < 128)
			return number;
	}
	in->bad = true;
	return 0;
}

static struct rf_bytes take_bytes(struct input *in)
{
	uint64_t bytes = take_number(in);
	struct rf_bytes out = {in->at, bytes};

	if (bytes > left(in)) {
		in->bad = true;
		return (struct rf_bytes){"", 0};
	}
	in->at += bytes;
	return out;
}

static double take_score(struct input *in)
{
	double score = 0;

	if (left(in) < sizeof score) {
		in->bad = true;
		return 0;
	}
	memcpy(&score, in->at, sizeof score);
	in->at += sizeof score;
	in->bad |= isnan(score) != 0;
	return score;
}

/* ---- an element of each kind ---- */

static void take_element(struct input *in, struct kv_value *value)
{
	struct rf_bytes text = take_bytes(in);

	if (!in->bad)
		rf_list_push(kv_list_of(value), RF_TAIL, text.at, text.bytes);
}

static void take_field(struct input *in, struct kv_value *value)
{
	struct rf_bytes field = take_bytes(in);
	struct rf_bytes text = take_bytes(in);

	if (!in->bad && !rf_map_put(kv_map_of(value), field.at, field.bytes,
				text.at, text.bytes))
		in->bad = true;
}

static void take_member(struct input *in, struct kv_value *value)
{
	struct rf_bytes text = take_bytes(in);

	if (!in->bad && !rf_set_add(kv_set_of(value), text.at, text.bytes))
		in->bad = true;
}

static void take_scored(struct input *in, struct kv_value *value)
{
	double score = take_score(in);
	struct rf_bytes text = take_bytes(in);

	if (!in->bad &&
		!rf_sorted_put(kv_sorted_of(value), text.at, text.bytes, score))
		in->bad = true;
}

static void (*const take[KV_KIND_COUNT])(
	struct input *in, struct kv_value *value) = {
	[KV_LIST] = take_element,
	[KV_HASH] = take_field,
	[KV_SET] = take_member,
	[KV_ZSET] = take_scored,
};

static struct kv_value *take_string(struct input *in)
{
	struct rf_bytes text = take_bytes(in);
	struct rf_string *string;

	if (in->bad || text.bytes > kv_string_bytes_max) {
		in->bad = true;
		return NULL;
	}
	string = rf_string_set(NULL, text.at, text.bytes);
	if (string != NULL)
		string->user = (uint32_t)KV_STRING << 28;
	return (struct kv_value *)string;
}

static struct kv_value *take_collection(struct input *in, enum kv_kind kind)
{
	uint64_t count = take_number(in);
	struct kv_value *value = kv_value_create(kind);

	in->bad |= count == 0 || count > left(in);
	while (value != NULL && !in->bad && count-- > 0 && rf_tx_error() == 0)
		take[kind](in, value);
	return value;
}

bool kv_dump_is_whole(struct rf_bytes dump)
{
	uint64_t crc;
	const char *footer;

	if (dump.bytes <= KV_DUMP_FOOTER_BYTES)
		return false;
	footer = dump.at + dump.bytes - KV_DUMP_FOOTER_BYTES;
	memcpy(&crc, footer + KV_DUMP_VERSION_BYTES, sizeof crc);
	return memcmp(footer, KV_DUMP_VERSION, KV_DUMP_VERSION_BYTES) == 0 &&
	       crc == kv_crc64(dump.at, dump.bytes - sizeof crc);
}

struct kv_value *kv_dump_read(struct rf_bytes dump)
{
	struct input in = {
		dump.at, dump.at + dump.bytes - KV_DUMP_FOOTER_BYTES, false};
	unsigned kind = (uint8_t)*in.at++;
	struct kv_value *value;

	if (kind < KV_STRING || kind >= KV_KIND_COUNT)
		return NULL;
	value = kind == KV_STRING ? take_string(&in)
				  : take_collection(&in, (enum kv_kind)kind);
	if (!in.bad && left(&in) == 0)
		return value;
	if (value != NULL)
		kv_value_drop(value);
	return NULL;
}
