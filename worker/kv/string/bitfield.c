/* SPDX-License-Identifier: MIT */
/* bitfield.c -- BITFIELD: a string as an array of integers of any width.
 *
 * All operations are parsed before the first is done, so that an error changes
 * nothing. Sums are made in 128 bits, where none of them overflows.
 */
#include "worker/kv/string/bits.h"
#include <stdlib.h>

enum verb { FIELD_GET, FIELD_SET, FIELD_INCRBY };
enum overflow { FIELD_WRAP, FIELD_SAT, FIELD_FAIL, FIELD_OVERFLOW_COUNT };

static const char *const overflow_names[FIELD_OVERFLOW_COUNT] = {
	[FIELD_WRAP] = "WRAP",
	[FIELD_SAT] = "SAT",
	[FIELD_FAIL] = "FAIL",
};

static const struct {
	const char *name;
	enum verb verb;
	uint32_t args; /* behind the name */
} verbs[] = {
	{"GET", FIELD_GET, 2},
	{"SET", FIELD_SET, 3},
	{"INCRBY", FIELD_INCRBY, 3},
};
#define VERB_COUNT (sizeof verbs / sizeof verbs[0])

struct field {
	enum verb verb;
	enum overflow overflow;
	bool is_signed;
	uint32_t bits;
	uint64_t offset;
	int64_t operand;
};

/* ---- parsing ---- */

static bool parse_type(struct kv_call *call, uint32_t index, struct field *out)
{
	struct rf_bytes arg = call->argv[index];
	int64_t bits;

	out->is_signed = arg.bytes > 0 && arg.at[0] == 'i';
	if (arg.bytes < 2 || (arg.at[0] != 'i' && arg.at[0] != 'u') ||
		!kv_parse_int(arg.at + 1, arg.bytes - 1, &bits) || bits < 1 ||
		bits > (out->is_signed ? 64 : 63)) {
		rf_resp_error(call->reply,
			"ERR Invalid bitfield type. Use something like i16 u8. "
			"Note that u64 is not supported but i64 is.");
		return false;
	}
	out->bits = (uint32_t)bits;
	return true;
}

static bool parse_overflow(
	struct kv_call *call, uint32_t index, enum overflow *out)
{
	for (*out = 0; *out < FIELD_OVERFLOW_COUNT; ++*out)
		if (kv_is(call->argv[index], overflow_names[*out]))
			return true;
	rf_resp_error(call->reply, "ERR Invalid OVERFLOW type specified");
	return false;
}

/* The operation at argument *index, which moves behind it. */
static bool parse_field(struct kv_call *call, uint32_t *index,
	enum overflow overflow, struct field *out)
{
	size_t i = 0;

	while (i < VERB_COUNT && !kv_is(call->argv[*index], verbs[i].name))
		i++;
	if (i == VERB_COUNT || call->argc - 1 - *index < verbs[i].args) {
		kv_reply_syntax(call);
		return false;
	}
	out->verb = verbs[i].verb;
	out->overflow = overflow;
	if (!parse_type(call, *index + 1, out) ||
		!kv_arg_bit_offset(call, *index + 2, out->bits, &out->offset))
		return false;
	if (out->verb != FIELD_GET &&
		!kv_arg_int(call, *index + 3, &out->operand))
		return false;
	*index += 1 + verbs[i].args;
	return true;
}

/* -1: the error has been replied. */
static int64_t parse(struct kv_call *call, bool read_only, struct field *fields)
{
	enum overflow overflow = FIELD_WRAP;
	bool writes = false;
	int64_t count = 0;

	for (uint32_t i = 2; i < call->argc;) {
		if (kv_is(call->argv[i], "OVERFLOW") && i + 1 < call->argc) {
			if (!parse_overflow(call, i + 1, &overflow))
				return -1;
			i += 2;
			continue;
		}
		if (!parse_field(call, &i, overflow, &fields[count]))
			return -1;
		writes |= fields[count++].verb != FIELD_GET;
	}
	if (read_only && writes) {
		rf_resp_error(call->reply,
			"ERR BITFIELD_RO only supports the GET subcommand");
		return -1;
	}
	return count;
}

/* ---- the integers ---- */

/* The bytes that hold a field: at most nine. */
struct window {
	size_t at, bytes;
	uint8_t byte[9];
};

static struct window window_of(const struct field *field, struct rf_bytes text)
{
	struct window w = {.at = field->offset >> 3};

	w.bytes = ((field->offset + field->bits - 1) >> 3) - w.at + 1;
	for (size_t i = 0; i < w.bytes && w.at + i < text.bytes; i++)
		w.byte[i] = (uint8_t)text.at[w.at + i];
	return w;
}

static unsigned __int128 mask_of(const struct field *field)
{
	return ((unsigned __int128)1 << field->bits) - 1;
}

/* Bits of the window behind the field. */
static unsigned tail_of(const struct field *field, const struct window *w)
{
	return (unsigned)(w->bytes * 8 - (field->offset & 7) - field->bits);
}

static __int128 read_field(const struct field *field, const struct window *w)
{
	unsigned __int128 all = 0;

	for (size_t i = 0; i < w->bytes; i++)
		all = all << 8 | w->byte[i];
	all = all >> tail_of(field, w) & mask_of(field);
	if (field->is_signed && all >> (field->bits - 1))
		return (__int128)all - ((__int128)1 << field->bits);
	return (__int128)all;
}

static void write_field(
	const struct field *field, struct window *w, __int128 value)
{
	unsigned tail = tail_of(field, w);
	unsigned __int128 mask = mask_of(field) << tail;
	unsigned __int128 bits = (unsigned __int128)value << tail & mask;

	for (size_t i = w->bytes; i-- > 0; bits >>= 8, mask >>= 8)
		w->byte[i] = (uint8_t)((w->byte[i] & ~(unsigned)mask) |
				       (unsigned)bits);
}

/* Bring a value into the field's range, in the way it asks for. false: not at
 * all. */
static bool fit(const struct field *field, __int128 *value)
{
	__int128 most = (__int128)(mask_of(field) >> field->is_signed);
	__int128 least = field->is_signed ? -most - 1 : 0;

	if (*value >= least && *value <= most)
		return true;
	if (field->overflow == FIELD_FAIL)
		return false;
	if (field->overflow == FIELD_SAT) {
		*value = *value > most ? most : least;
		return true;
	}
	*value = (__int128)((unsigned __int128)*value & mask_of(field));
	if (*value > most)
		*value -= (__int128)1 << field->bits;
	return true;
}

/* ---- doing it ---- */

/* Zeros up to the last byte that will be written. false: an error. */
static bool grow(struct kv_call *call, const struct field *fields,
	int64_t count, bool *changed)
{
	struct rf_dict_entry *entry = kv_find(call, call->argv[1]);
	size_t have = entry != NULL ? kv_value_of(entry)->bytes : 0;
	size_t need = 0;

	for (int64_t i = 0; i < count; i++) {
		size_t end = ((fields[i].offset + fields[i].bits - 1) >> 3) + 1;

		if (fields[i].verb != FIELD_GET && end > need)
			need = end;
	}
	if (need <= have)
		return true;
	*changed = true;
	return kv_string_write(call, entry, need - 1, "", 1) != NULL;
}

static void run(struct kv_call *call, const struct field *field, bool *changed)
{
	struct rf_dict_entry *entry = kv_find(call, call->argv[1]);
	struct rf_bytes text =
		kv_string_text(entry != NULL ? kv_value_of(entry) : NULL);
	struct window w = window_of(field, text);
	__int128 old = read_field(field, &w), value;

	if (field->verb == FIELD_GET) {
		rf_resp_int(call->reply, (int64_t)old);
		return;
	}
	if (field->verb == FIELD_INCRBY)
		value = old + field->operand;
	else if (field->is_signed)
		value = field->operand;
	else
		value = (uint64_t)field->operand;
	if (!fit(field, &value)) {
		rf_resp_null(call->reply, call->proto);
		return;
	}
	write_field(field, &w, value);
	if (kv_string_write(call, entry, w.at, w.byte, w.bytes) == NULL)
		return;
	*changed |= value != old;
	rf_resp_int(
		call->reply, (int64_t)(field->verb == FIELD_SET ? old : value));
}

static void bitfield(struct kv_call *call, bool read_only)
{
	struct field *fields = malloc(call->argc * sizeof *fields);
	struct rf_dict_entry *entry;
	bool changed = false;
	int64_t count;

	RF_CHECK(fields != NULL);
	count = parse(call, read_only, fields);
	if (count >= 0 && kv_find_string(call, call->argv[1], &entry) &&
		grow(call, fields, count, &changed)) {
		rf_resp_array(call->reply, (size_t)count);
		for (int64_t i = 0; i < count; i++)
			run(call, &fields[i], &changed);
		if (changed)
			kv_changed(
				call, call->argv[1], KV_CLASS_STRING, "setbit");
	}
	free(fields);
}

void kv_cmd_bitfield(struct kv_call *call)
{
	bitfield(call, false);
}

void kv_cmd_bitfield_ro(struct kv_call *call)
{
	bitfield(call, true);
}
