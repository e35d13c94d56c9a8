/* SPDX-License-Identifier: MIT */
/* list_find.c -- elements by what they are: LINSERT, LREM, LPOS. */
#include "worker/kv/list/list.h"

static bool step(struct rf_list_at *at, enum rf_end from, struct rf_item *item)
{
	return from == RF_HEAD ? rf_list_next(at, item)
			       : rf_list_prev(at, item);
}

/* ---- LINSERT ---- */

static bool find(
	const struct rf_list *list, struct rf_bytes text, uint64_t *index)
{
	struct rf_list_at at;
	struct rf_item item;

	rf_list_seek(list, 0, &at);
	for (*index = 0; rf_list_next(&at, &item); ++*index)
		if (kv_same(item.text, text))
			return true;
	return false;
}

void kv_cmd_linsert(struct kv_call *call)
{
	bool after = kv_is(call->argv[2], "AFTER");
	struct kv_value *value;
	struct rf_list *list;
	uint64_t index;

	if (!after && !kv_is(call->argv[2], "BEFORE")) {
		kv_reply_syntax(call);
		return;
	}
	if (!kv_find_kind(call, call->argv[1], KV_LIST, &value))
		return;
	if (value == NULL) {
		rf_resp_int(call->reply, 0);
		return;
	}
	list = kv_list_of(value);
	if (!find(list, call->argv[3], &index)) {
		rf_resp_int(call->reply, -1);
		return;
	}
	rf_list_insert(
		list, index + after, call->argv[4].at, call->argv[4].bytes);
	rf_resp_int(call->reply, (int64_t)rf_list_count(list));
	kv_changed(call, call->argv[1], KV_CLASS_LIST, "linsert");
}

/* ---- LREM ---- */

/* A new list of all others. */
static uint64_t keep_others(struct kv_call *call, struct kv_value *value,
	enum rf_end from, uint64_t most)
{
	struct kv_value *others = kv_value_create(KV_LIST);
	struct rf_list *list = kv_list_of(value);
	uint64_t removed = 0;
	struct rf_list_at at;
	struct rf_item item;

	if (others == NULL)
		return 0;
	rf_list_seek(list, kv_list_edge(list, from), &at);
	while (step(&at, from, &item) && rf_tx_error() == 0)
		if (removed < most && kv_same(item.text, call->argv[3]))
			removed++;
		else
			rf_list_push(kv_list_of(others),
				from == RF_HEAD ? RF_TAIL : RF_HEAD,
				item.text.at, item.text.bytes);
	kv_entry_set(kv_find(call, call->argv[1]), others);
	kv_value_drop(value);
	return removed;
}

/* The next ones to go, side by side, from `passed` on: how many. */
static uint64_t find_run(const struct rf_list *list, struct rf_bytes text,
	enum rf_end from, uint64_t *passed, uint64_t most)
{
	uint64_t length = rf_list_count(list), run = 0;
	struct rf_list_at at;
	struct rf_item item;

	if (*passed == length)
		return 0;
	rf_list_seek(
		list, from == RF_HEAD ? *passed : length - 1 - *passed, &at);
	while (run < most && step(&at, from, &item)) {
		if (kv_same(item.text, text))
			run++;
		else if (run > 0)
			break;
		else
			++*passed;
	}
	return run;
}

#define RUNS_MAX 32 /* at least; else a run for so many elements: */
#define RUN_PER	 512

/* Where many are scattered, a new list costs less than that many changes, and
 * less of the undo log. */
static uint64_t remove_equal(struct kv_call *call, struct kv_value *value,
	enum rf_end from, uint64_t most)
{
	struct rf_list *list = kv_list_of(value);
	uint64_t runs = RUNS_MAX + rf_list_count(list) / RUN_PER;
	uint64_t removed = 0, passed = 0, run;

	for (; removed < most && rf_tx_error() == 0; removed += run) {
		run = find_run(
			list, call->argv[3], from, &passed, most - removed);
		if (run == 0)
			break;
		if (runs-- == 0)
			return removed +
			       keep_others(call, value, from, most - removed);
		rf_list_remove(list,
			from == RF_HEAD ? passed
					: rf_list_count(list) - passed - run,
			run);
	}
	return removed;
}

void kv_cmd_lrem(struct kv_call *call)
{
	struct kv_value *value;
	uint64_t most = UINT64_MAX, removed = 0;
	int64_t count;

	if (!kv_arg_int(call, 2, &count) ||
		!kv_find_kind(call, call->argv[1], KV_LIST, &value))
		return;
	if (count != 0)
		most = count < 0 ? -(uint64_t)count : (uint64_t)count;
	if (value != NULL)
		removed = remove_equal(
			call, value, count < 0 ? RF_TAIL : RF_HEAD, most);
	rf_resp_int(call->reply, (int64_t)removed);
	if (removed == 0)
		return;
	kv_changed(call, call->argv[1], KV_CLASS_LIST, "lrem");
	kv_delete_if_empty(call, call->argv[1]);
}

/* ---- LPOS ---- */

struct search {
	enum rf_end from;
	uint64_t skip;	  /* matches */
	uint64_t matches; /* to be replied, at most */
	uint64_t looks;	  /* elements compared, at most */
	bool many;	  /* replies an array */
};

static bool parse_rank(struct kv_call *call, uint32_t index, struct search *s)
{
	int64_t rank;

	if (!kv_arg_int(call, index, &rank))
		return false;
	if (rank == 0) {
		rf_resp_error(call->reply,
			"ERR RANK can't be zero: use 1 to start from the first "
			"match, 2 from the second ... or use negative to start "
			"from the end of the list");
		return false;
	}
	s->from = rank < 0 ? RF_TAIL : RF_HEAD;
	if (rank == INT64_MIN) /* as redis reads it */
		rank = -1;
	s->skip = (uint64_t)(rank < 0 ? -rank : rank) - 1;
	return true;
}

/* 0 means: no limit. */
static bool parse_limit(struct kv_call *call, uint32_t index, uint64_t *limit,
	const char *error)
{
	int64_t value;

	if (!kv_arg_range(call, index, 0, INT64_MAX, &value, error))
		return false;
	*limit = value > 0 ? (uint64_t)value : UINT64_MAX;
	return true;
}

static bool parse_search(struct kv_call *call, struct search *s)
{
	for (uint32_t i = 3; i < call->argc; i += 2) {
		bool good = true, has_value = i + 1 < call->argc;

		if (has_value && kv_is(call->argv[i], "RANK")) {
			good = parse_rank(call, i + 1, s);
		} else if (has_value && kv_is(call->argv[i], "COUNT")) {
			s->many = true;
			good = parse_limit(call, i + 1, &s->matches,
				"ERR COUNT can't be negative");
		} else if (has_value && kv_is(call->argv[i], "MAXLEN")) {
			good = parse_limit(call, i + 1, &s->looks,
				"ERR MAXLEN can't be negative");
		} else {
			kv_reply_syntax(call);
			return false;
		}
		if (!good)
			return false;
	}
	return true;
}

/* Replies the index of each match. Returns how many. */
static uint64_t search(
	struct kv_call *call, const struct rf_list *list, struct search s)
{
	uint64_t edge = kv_list_edge(list, s.from), found = 0;
	struct rf_list_at at;
	struct rf_item item;

	rf_list_seek(list, edge, &at);
	for (uint64_t i = 0;
		i < s.looks && found < s.matches && step(&at, s.from, &item);
		i++) {
		if (!kv_same(item.text, call->argv[2]))
			continue;
		if (s.skip > 0) {
			s.skip--;
			continue;
		}
		rf_resp_int(call->reply,
			(int64_t)(s.from == RF_HEAD ? i : edge - i));
		found++;
	}
	return found;
}

void kv_cmd_lpos(struct kv_call *call)
{
	struct search s = {RF_HEAD, 0, 1, UINT64_MAX, false};
	struct kv_value *value;
	uint64_t found = 0;
	size_t mark;

	if (!parse_search(call, &s) ||
		!kv_look_kind(call, call->argv[1], KV_LIST, &value))
		return;
	mark = rf_reply_size(call->reply);
	if (value != NULL)
		found = search(call, kv_list_of(value), s);
	if (s.many)
		rf_resp_array_at(call->reply, mark, found);
	else if (found == 0)
		rf_resp_null(call->reply, call->proto);
}
