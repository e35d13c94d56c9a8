/* SPDX-License-Identifier: MIT */
/* sort.c -- SORT and SORT_RO.
 *
 * The elements are taken out of their collection, each is given what it is
 * sorted by (itself, or what stands elsewhere), they are put in order, and the
 * part that LIMIT leaves is replied or stored. A pattern without "*" in BY
 * means: leave them in the order of the collection.
 */
#include "worker/kv/keys/sort.h"
#include "worker/kv/keys/collection.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>

struct query {
	struct rf_bytes by, store; /* at NULL: not given */
	int64_t offset, limit;
	uint32_t gets; /* how many GET there are */
	bool text, falling, unsorted;
	bool failed; /* a score is no number */
};

/* ---- arguments ---- */

static bool parse_asc(struct kv_call *call, uint32_t at, struct query *query)
{
	(void)call;
	(void)at;
	query->falling = false;
	return true;
}

static bool parse_desc(struct kv_call *call, uint32_t at, struct query *query)
{
	(void)call;
	(void)at;
	query->falling = true;
	return true;
}

static bool parse_alpha(struct kv_call *call, uint32_t at, struct query *query)
{
	(void)call;
	(void)at;
	query->text = true;
	return true;
}

static bool parse_limit(struct kv_call *call, uint32_t at, struct query *query)
{
	return kv_arg_int(call, at, &query->offset) &&
	       kv_arg_int(call, at + 1, &query->limit);
}

static bool parse_store(struct kv_call *call, uint32_t at, struct query *query)
{
	query->store = call->argv[at];
	return true;
}

static bool parse_by(struct kv_call *call, uint32_t at, struct query *query)
{
	query->by = call->argv[at];
	query->unsorted |= memchr(query->by.at, '*', query->by.bytes) == NULL;
	return true;
}

static bool parse_get(struct kv_call *call, uint32_t at, struct query *query)
{
	(void)call;
	(void)at;
	query->gets++;
	return true;
}

static const struct option {
	const char *name;
	uint32_t arguments; /* that follow */
	bool (*parse)(struct kv_call *call, uint32_t at, struct query *query);
} options[] = {
	{"ASC", 0, parse_asc},
	{"DESC", 0, parse_desc},
	{"ALPHA", 0, parse_alpha},
	{"LIMIT", 2, parse_limit},
	{"STORE", 1, parse_store},
	{"BY", 1, parse_by},
	{"GET", 1, parse_get},
	{NULL, 0, NULL},
};

static const struct option *option_of(struct rf_bytes arg)
{
	const struct option *option = options;

	while (option->name != NULL && !kv_is(arg, option->name))
		option++;
	return option;
}

static bool parse(struct kv_call *call, bool stores, struct query *query)
{
	for (uint32_t i = 2; i < call->argc; i++) {
		const struct option *option = option_of(call->argv[i]);

		if (option->name == NULL ||
			(option->parse == parse_store && !stores) ||
			call->argc - 1 - i < option->arguments) {
			kv_reply_syntax(call);
			return false;
		}
		if (!option->parse(call, i + 1, query))
			return false;
		i += option->arguments;
	}
	return true;
}

/* ---- elements ---- */

static void see_member(const struct rf_item *member, void *context)
{
	kv_sort_add(context, member->text);
}

static void load_set(
	struct kv_value *value, bool falling, struct kv_sort_rows *rows)
{
	uint64_t cursor = 0;

	(void)falling;
	do
		cursor =
			rf_set_scan(kv_set_of(value), cursor, see_member, rows);
	while (cursor != 0 && rf_tx_error() == 0);
}

static void load_list(
	struct kv_value *value, bool falling, struct kv_sort_rows *rows)
{
	const struct rf_list *list = kv_list_of(value);
	struct rf_list_at at;
	struct rf_item item;

	rf_list_seek(list, falling ? rf_list_count(list) - 1 : 0, &at);
	while (falling ? rf_list_prev(&at, &item) : rf_list_next(&at, &item))
		kv_sort_add(rows, item.text);
}

static void load_zset(
	struct kv_value *value, bool falling, struct kv_sort_rows *rows)
{
	const struct rf_sorted *sorted = kv_sorted_of(value);
	struct rf_sorted_at at;
	struct rf_item item;
	double score;

	rf_sorted_seek_rank(sorted, falling ? rf_sorted_count(sorted) : 0, &at);
	while (falling ? rf_sorted_prev(&at, &item, &score)
		       : rf_sorted_next(&at, &item, &score))
		kv_sort_add(rows, item.text);
}

/* In the order of the collection, or against it. */
static void (*const loads[KV_KIND_COUNT])(
	struct kv_value *value, bool falling, struct kv_sort_rows *rows) = {
	[KV_SET] = load_set,
	[KV_LIST] = load_list,
	[KV_ZSET] = load_zset,
};

/* As strtod takes it: nothing is 0, spaces may come first. */
static bool parse_score(struct rf_bytes text, double *score)
{
	char copy[KV_FLOAT_MAX];
	char *end;

	if (text.bytes >= sizeof copy)
		return false;
	memcpy(copy, text.at, text.bytes);
	copy[text.bytes] = '\0';
	errno = 0;
	*score = strtod(copy, &end);
	return *end == '\0' && errno != ERANGE && !isnan(*score);
}

/* Give each row what it is sorted by. */
static void find_bys(
	struct kv_call *call, struct query *query, struct kv_sort_rows *rows)
{
	struct kv_sort_row *row = rows->gather.rows;

	for (size_t i = 0; i < rows->gather.count && rf_tx_error() == 0;
		i++, row++) {
		struct rf_item by = {.text = kv_sort_element(rows, i)};

		if (query->by.at != NULL &&
			!kv_sort_look(call, query->by, by.text, &by))
			continue;
		if (!query->text)
			query->failed |= !parse_score(by.text, &row->score);
		else if (query->by.at != NULL)
			row->has_by = kv_gather_text(
				&rows->gather, by.text, &row->by);
	}
}

static void sort(struct kv_call *call, struct query *query,
	struct kv_value *value, struct kv_sort_rows *rows)
{
	if (value == NULL)
		return;
	if (query->unsorted && query->store.at != NULL &&
		kv_kind_of(value) == KV_SET) {
		/* What is stored must not depend on how a set is kept. */
		query->unsorted = false;
		query->text = true;
		query->by.at = NULL;
	}
	rows->by_text = query->text;
	rows->by_pattern = query->by.at != NULL;
	rows->falling = query->falling;
	loads[kv_kind_of(value)](
		value, query->unsorted && query->falling, rows);
	if (query->unsorted)
		return;
	find_bys(call, query, rows);
	kv_sort_order(rows);
}

/* ---- the part that is wanted ---- */

static struct kv_part part_of(const struct query *query, size_t count)
{
	struct kv_part part = {0, count};

	if (query->offset > 0)
		part.first = (uint64_t)query->offset < count
				     ? (uint64_t)query->offset
				     : count;
	part.count -= part.first;
	if (query->limit >= 0 && (uint64_t)query->limit < part.count)
		part.count = (uint64_t)query->limit;
	return part;
}

/* Hand out what one element becomes: itself, or what each GET stands for. */
static void each_output(struct kv_call *call, const struct query *query,
	struct rf_bytes element,
	void (*put)(struct kv_call *call, const struct rf_item *item,
		void *context),
	void *context)
{
	struct rf_item item = {.text = element};

	if (query->gets == 0)
		put(call, &item, context);
	for (uint32_t i = 2; query->gets > 0 && i < call->argc; i++) {
		const struct option *option = option_of(call->argv[i]);

		if (option->parse == parse_get)
			put(call,
				kv_sort_look(
					call, call->argv[i + 1], element, &item)
					? &item
					: NULL,
				context);
		i += option->arguments;
	}
}

static void put_reply(
	struct kv_call *call, const struct rf_item *item, void *context)
{
	(void)context;
	if (item != NULL)
		kv_reply_item(call, item);
	else
		rf_resp_null(call->reply, call->proto);
}

static void put_list(
	struct kv_call *call, const struct rf_item *item, void *context)
{
	(void)call;
	if (item != NULL)
		rf_list_push(context, RF_TAIL, item->text.at, item->text.bytes);
	else
		rf_list_push(context, RF_TAIL, "", 0);
}

static void finish(struct kv_call *call, const struct query *query,
	const struct kv_sort_rows *rows)
{
	struct kv_part part = part_of(query, rows->gather.count);
	bool stores = query->store.at != NULL;
	struct kv_value *value = NULL;
	struct rf_list *list = NULL;

	if (stores) {
		value = kv_value_create(KV_LIST);
		if (value == NULL)
			return;
		list = kv_list_of(value);
	} else {
		rf_resp_array(call->reply,
			part.count * (query->gets > 0 ? query->gets : 1));
	}
	for (uint64_t i = 0; i < part.count && rf_tx_error() == 0; i++)
		each_output(call, query, kv_sort_element(rows, part.first + i),
			stores ? put_list : put_reply, list);
	if (stores)
		kv_store(call, query->store, value, KV_CLASS_LIST, "sortstore");
}

static bool look(struct kv_call *call, struct kv_value **value)
{
	struct rf_dict_entry *entry = kv_look(call, call->argv[1]);

	*value = entry != NULL ? kv_value_of(entry) : NULL;
	if (*value == NULL || loads[kv_kind_of(*value)] != NULL)
		return true;
	rf_resp_error(call->reply, KV_ERR_TYPE);
	return false;
}

static void run(struct kv_call *call, bool stores)
{
	struct query query = {.limit = -1};
	struct kv_sort_rows rows = {
		.gather.row_bytes = sizeof(struct kv_sort_row)};
	struct kv_value *value;

	if (!parse(call, stores, &query) || !look(call, &value))
		return;
	sort(call, &query, value, &rows);
	if (query.failed)
		rf_resp_error(call->reply, "ERR One or more scores can't be "
					   "converted into double");
	else if (rf_tx_error() == 0)
		finish(call, &query, &rows);
	kv_gather_fini(&rows.gather);
}

void kv_cmd_sort(struct kv_call *call)
{
	run(call, true);
}

void kv_cmd_sort_ro(struct kv_call *call)
{
	run(call, false);
}
