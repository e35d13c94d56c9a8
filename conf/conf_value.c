/* SPDX-License-Identifier: MIT */
/* conf_value.c -- the types of values: how each is read, kept and written.
 *
 * One row per type in `types`. What is written reads back as the same value:
 * a number takes the largest unit that divides it.
 *
 * A number, choice or yes is stored whole, by one aligned store: a reload
 * changes it under the eyes of other processes (conf_create()). A text is not.
 */
#include "conf/conf_value.h"

#include "conf/conf_text.h"

#include <inttypes.h>
#include <string.h>

struct unit {
	const char *name;
	uint64_t factor;
};

/* Largest first; the bare one last; names that are only read after it. */
static const struct unit size_units[] = {
	{"G", 1 << 30},
	{"M", 1 << 20},
	{"K", 1 << 10},
	{"", 1},
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{NULL, 0},
};
static const struct unit time_units[] = {
	{"h", 3600 * 1000},
	{"min", 60 * 1000},
	{"s", 1000},
	{"ms", 1},
	{"", 1000},
	{NULL, 0},
};
static const struct unit percent_units[] = {{"%", 1}, {"", 1}, {NULL, 0}};
static const struct unit no_units[] = {{"", 1}, {NULL, 0}};

static const struct {
	const char *word;
	bool value;
} bool_words[] = {{"yes", true}, {"no", false}, {"true", true},
	{"false", false}, {"on", true}, {"off", false}, {"1", true},
	{"0", false}};

struct type {
	bool (*set)(const struct conf_key *key, void *field, const char *text,
		char *why, size_t why_bytes);
	void (*print)(const struct conf_key *key, const void *field,
		char text[CONF_TEXT_MAX + 1]);
	const struct unit *units;
	const char *what; /* it is, for messages */
};
static const struct type types[CONF_TYPE_COUNT];

static bool set_text(const struct conf_key *key, void *field, const char *text,
	char *why, size_t why_bytes)
{
	size_t length = strlen(text);
	const char *flaw;

	if (length == 0 && key->min > 0) {
		snprintf(why, why_bytes, "is empty");
		return false;
	}
	if (length > key->max) {
		snprintf(why, why_bytes,
			"is %zu bytes long, %" PRIu64 " is the most", length,
			key->max);
		return false;
	}
	flaw = key->flaw ? key->flaw(text) : NULL;
	if (flaw) {
		snprintf(why, why_bytes, "%s", flaw);
		return false;
	}
	memset(field, 0, CONF_TEXT_MAX + 1);
	memcpy(field, text, length);
	return true;
}

static void print_text(const struct conf_key *key, const void *field,
	char text[CONF_TEXT_MAX + 1])
{
	(void)key;
	memcpy(text, field, CONF_TEXT_MAX + 1);
}

static void number_text(const struct unit *units, uint64_t number, char *text,
	size_t text_bytes)
{
	const struct unit *unit = units;

	if (number == 0) {
		snprintf(text, text_bytes, "0");
		return;
	}
	while (number % unit->factor != 0)
		unit++;
	snprintf(text, text_bytes, "%" PRIu64 "%s", number / unit->factor,
		unit->name);
}

/* Digits and a unit. Returns false when it is something else. */
static bool read_number(
	const struct unit *unit, const char *text, uint64_t *number)
{
	const char *c = text;
	uint64_t digits = 0;

	for (; *c >= '0' && *c <= '9'; c++) {
		if (__builtin_mul_overflow(digits, 10, &digits) ||
			__builtin_add_overflow(
				digits, (uint64_t)(*c - '0'), &digits))
			digits = UINT64_MAX; /* out of any range */
	}
	if (c == text)
		return false;
	while (unit->name && strcmp(unit->name, c))
		unit++;
	if (!unit->name)
		return false;
	if (__builtin_mul_overflow(digits, unit->factor, number))
		*number = UINT64_MAX;
	return true;
}

static bool set_number(const struct conf_key *key, void *field,
	const char *text, char *why, size_t why_bytes)
{
	const struct type *type = &types[key->type];
	char min[32], max[32];
	uint64_t number;

	if (!read_number(type->units, text, &number)) {
		snprintf(why, why_bytes, "is not %s", type->what);
		return false;
	}
	if ((number < key->min && !(number == 0 && key->zero)) ||
		number > key->max) {
		number_text(type->units, key->min, min, sizeof(min));
		number_text(type->units, key->max, max, sizeof(max));
		snprintf(why, why_bytes, "is outside %s%s .. %s",
			key->zero ? "0, " : "", min, max);
		return false;
	}
	__atomic_store_n((uint64_t *)field, number, __ATOMIC_RELAXED);
	return true;
}

static void print_number(const struct conf_key *key, const void *field,
	char text[CONF_TEXT_MAX + 1])
{
	uint64_t number;

	memcpy(&number, field, sizeof(number));
	number_text(types[key->type].units, number, text, CONF_TEXT_MAX + 1);
}

static bool set_bool(const struct conf_key *key, void *field, const char *text,
	char *why, size_t why_bytes)
{
	(void)key;
	for (size_t i = 0; i < sizeof(bool_words) / sizeof(bool_words[0]); i++)
		if (!strcmp(bool_words[i].word, text)) {
			__atomic_store_n((bool *)field, bool_words[i].value,
				__ATOMIC_RELAXED);
			return true;
		}
	snprintf(why, why_bytes, "is neither yes nor no");
	return false;
}

static void print_bool(const struct conf_key *key, const void *field,
	char text[CONF_TEXT_MAX + 1])
{
	(void)key;
	snprintf(text, CONF_TEXT_MAX + 1, "%s",
		*(const bool *)field ? "yes" : "no");
}

static bool set_choice(const struct conf_key *key, void *field,
	const char *text, char *why, size_t why_bytes)
{
	size_t used = 0;

	for (int i = 0; key->words[i]; i++)
		if (!strcmp(key->words[i], text)) {
			__atomic_store_n((int *)field, i, __ATOMIC_RELAXED);
			return true;
		}
	for (int i = 0; key->words[i] && used < why_bytes; i++)
		used += (size_t)snprintf(why + used, why_bytes - used, "%s%s",
			i ? ", " : "is none of ", key->words[i]);
	return false;
}

static void print_choice(const struct conf_key *key, const void *field,
	char text[CONF_TEXT_MAX + 1])
{
	snprintf(
		text, CONF_TEXT_MAX + 1, "%s", key->words[*(const int *)field]);
}

static const struct type types[CONF_TYPE_COUNT] = {
	[CONF_TYPE_TEXT] = {set_text, print_text, NULL, NULL},
	[CONF_TYPE_SIZE] = {set_number, print_number, size_units,
		"a size such as 64K, 256M or 4G"},
	[CONF_TYPE_TIME] = {set_number, print_number, time_units,
		"a time such as 250ms, 5s, 2min or 1h"},
	[CONF_TYPE_NUMBER] = {set_number, print_number, no_units, "a number"},
	[CONF_TYPE_PERCENT] = {set_number, print_number, percent_units,
		"a percentage such as 10%"},
	[CONF_TYPE_BOOL] = {set_bool, print_bool, NULL, NULL},
	[CONF_TYPE_CHOICE] = {set_choice, print_choice, NULL, NULL},
	[CONF_TYPE_LIST] = {set_text, print_text, NULL, NULL},
};

static void *field_of(const struct conf_key *key, struct conf *conf, int index)
{
	return (char *)conf + key->offset + index * (CONF_TEXT_MAX + 1);
}

static int *count_of(const struct conf_key *key, struct conf *conf)
{
	return (int *)(void *)((char *)conf + key->count_offset);
}

/* Room for one more, and not there yet. */
static bool list_takes(const struct conf_key *key, const struct conf *conf,
	const char *text, char *why, size_t why_bytes)
{
	int count = conf_value_count(key, conf);
	char entry[CONF_TEXT_MAX + 1];

	if (count == CONF_LISTEN_MAX) {
		snprintf(why, why_bytes, "is one too many: %d is the most",
			count);
		return false;
	}
	for (int i = 0; i < count; i++) {
		conf_value_text(key, conf, i, entry);
		if (!strcmp(entry, text)) {
			snprintf(why, why_bytes, "is there already");
			return false;
		}
	}
	return true;
}

bool conf_value_set(const struct conf_key *key, struct conf *conf,
	const char *text, char *why, size_t why_bytes)
{
	bool list = key->type == CONF_TYPE_LIST;
	int index = list ? conf_value_count(key, conf) : 0;
	const char *flaw = conf_text_plain(text);
	char expanded[CONF_EXPANDED_BYTES];

	if (flaw) {
		snprintf(why, why_bytes, "%s", flaw);
		return false;
	}
	if (key->path) {
		if (!conf_text_expand(text, expanded, why, why_bytes))
			return false;
		text = expanded;
	}
	if (list && !list_takes(key, conf, text, why, why_bytes))
		return false;
	if (!types[key->type].set(
		    key, field_of(key, conf, index), text, why, why_bytes))
		return false;
	if (list)
		++*count_of(key, conf);
	return true;
}

void conf_value_clear(const struct conf_key *key, struct conf *conf)
{
	if (key->type != CONF_TYPE_LIST)
		return;
	for (int i = conf_value_count(key, conf); i-- > 0;)
		memset(field_of(key, conf, i), 0, CONF_TEXT_MAX + 1);
	*count_of(key, conf) = 0;
}

int conf_value_count(const struct conf_key *key, const struct conf *conf)
{
	if (key->type != CONF_TYPE_LIST)
		return 1;
	return *count_of(key, (struct conf *)conf);
}

void conf_value_text(const struct conf_key *key, const struct conf *conf,
	int index, char text[CONF_TEXT_MAX + 1])
{
	types[key->type].print(
		key, field_of(key, (struct conf *)conf, index), text);
}

uint64_t conf_value_number(const struct conf_key *key, const struct conf *conf)
{
	uint64_t number;

	memcpy(&number, (const char *)conf + key->offset, sizeof(number));
	return number;
}
