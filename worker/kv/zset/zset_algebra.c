/* SPDX-License-Identifier: MIT */
/* zset_algebra.c -- unions, intersections and differences of sets and sorted
 * sets. The members of a set have the score 1.
 *
 * Reading the arguments: first the keys and what is in them, then the options,
 * which is the order in which redis finds what is wrong.
 */
#include "worker/kv/keys/collection.h"
#include "worker/kv/zset/zset.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum algebra_option {
	ALGEBRA_WEIGHTS = 1 << 0,
	ALGEBRA_AGGREGATE = 1 << 1,
	ALGEBRA_WITHSCORES = 1 << 2,
	ALGEBRA_LIMIT = 1 << 3,
};

struct source {
	const struct kv_value *value; /* NULL: nothing */
	uint64_t count;
	double weight;
};

struct algebra {
	const struct algebra_form *form;
	struct source *sources;
	uint32_t count;
	double (*meet)(double one, double other);
	bool scores;
	uint64_t limit; /* 0: none */

	/* on the way */
	struct kv_gather gather; /* of zset_row */
	uint64_t found;
	uint32_t turn; /* the source gone through */
};

struct algebra_form {
	void (*run)(struct algebra *algebra);
	void (*end)(struct kv_call *call, struct algebra *algebra);
	uint32_t numkeys; /* the argument with their number */
	uint32_t options; /* allowed */
	const char *event;
};

/* ---- scores ---- */

static double meet_sum(double one, double other)
{
	double sum = one + other;

	return isnan(sum) ? 0 : sum; /* of opposite infinities */
}

static double meet_min(double one, double other)
{
	return other < one ? other : one;
}

static double meet_max(double one, double other)
{
	return other > one ? other : one;
}

static const struct aggregate {
	const char *name;
	double (*meet)(double one, double other);
} aggregates[] = {
	{"SUM", meet_sum},
	{"MIN", meet_min},
	{"MAX", meet_max},
};
#define AGGREGATES (sizeof aggregates / sizeof *aggregates)

static double weighted(const struct source *source, double score)
{
	double product = source->weight * score;

	return isnan(product) ? 0 : product; /* infinity times 0 */
}

/* ---- sources ---- */

static bool has(
	const struct source *source, struct rf_bytes member, double *score)
{
	if (source->value == NULL)
		return false;
	if (kv_kind_of(source->value) == KV_ZSET)
		return rf_sorted_score(kv_sorted_of(source->value), member.at,
			member.bytes, score);
	*score = 1;
	return rf_set_has(kv_set_of(source->value), member.at, member.bytes);
}

static bool is_done(const struct algebra *algebra)
{
	return algebra->limit > 0 && algebra->found >= algebra->limit;
}

struct walk {
	struct algebra *algebra;
	void (*see)(
		struct algebra *algebra, struct rf_bytes member, double score);
};

static void see_member(const struct rf_item *member, void *context)
{
	struct walk *walk = context;

	if (!is_done(walk->algebra))
		walk->see(walk->algebra, member->text, 1);
}

/* Show all members of the source whose turn it is. */
static void go_through(
	struct algebra *algebra, void (*see)(struct algebra *algebra,
					 struct rf_bytes member, double score))
{
	struct walk walk = {algebra, see};
	const struct kv_value *value = algebra->sources[algebra->turn].value;
	struct rf_sorted_at at;
	struct rf_item member;
	uint64_t cursor = 0;
	double score;

	if (value == NULL)
		return;
	if (kv_kind_of(value) == KV_SET) {
		do
			cursor = rf_set_scan(
				kv_set_of(value), cursor, see_member, &walk);
		while (cursor != 0 && !is_done(algebra));
		return;
	}
	rf_sorted_seek_rank(kv_sorted_of(value), 0, &at);
	while (!is_done(algebra) && rf_sorted_next(&at, &member, &score))
		see(algebra, member.text, score);
}

/* ---- the operations ---- */

static int by_count(const void *one, const void *other)
{
	const struct source *a = one, *b = other;

	return (a->count > b->count) - (a->count < b->count);
}

static int by_count_falling(const void *one, const void *other)
{
	return by_count(other, one);
}

static void see_for_union(
	struct algebra *algebra, struct rf_bytes member, double score)
{
	zset_gather_add(&algebra->gather, member,
		weighted(&algebra->sources[algebra->turn], score),
		algebra->turn);
}

static void run_union(struct algebra *algebra)
{
	qsort(algebra->sources, algebra->count, sizeof *algebra->sources,
		by_count);
	for (; algebra->turn < algebra->count; algebra->turn++)
		go_through(algebra, see_for_union);
	zset_gather_merge(&algebra->gather, algebra->meet);
}

/* Whether all other sources have it; then with what score in all. As in redis,
 * a product that is no number spoils the sum here, in a union it does not. */
static bool in_all(
	const struct algebra *algebra, struct rf_bytes member, double *score)
{
	double other;

	*score = weighted(&algebra->sources[0], *score);
	for (uint32_t i = 1; i < algebra->count; i++) {
		const struct source *source = &algebra->sources[i];

		if (!has(source, member, &other))
			return false;
		*score = algebra->meet(*score, source->weight * other);
	}
	return true;
}

static void see_for_inter(
	struct algebra *algebra, struct rf_bytes member, double score)
{
	if (in_all(algebra, member, &score))
		zset_gather_add(&algebra->gather, member, score, 0);
}

static void run_inter(struct algebra *algebra)
{
	qsort(algebra->sources, algebra->count, sizeof *algebra->sources,
		by_count);
	go_through(algebra, see_for_inter);
}

static void see_for_card(
	struct algebra *algebra, struct rf_bytes member, double score)
{
	algebra->found += in_all(algebra, member, &score);
}

static void run_card(struct algebra *algebra)
{
	qsort(algebra->sources, algebra->count, sizeof *algebra->sources,
		by_count);
	go_through(algebra, see_for_card);
}

static void see_for_diff(
	struct algebra *algebra, struct rf_bytes member, double score)
{
	double other;

	for (uint32_t i = 1; i < algebra->count; i++)
		if (has(&algebra->sources[i], member, &other))
			return;
	zset_gather_add(&algebra->gather, member, score, 0);
}

static void run_diff(struct algebra *algebra)
{
	/* A large one knows most members: ask it first. */
	qsort(algebra->sources + 1, algebra->count - 1,
		sizeof *algebra->sources, by_count_falling);
	go_through(algebra, see_for_diff);
}

/* ---- what becomes of the result ---- */

static void end_reply(struct kv_call *call, struct algebra *algebra)
{
	const struct kv_gather *gather = &algebra->gather;
	const struct zset_row *row = gather->rows;
	enum zset_shape shape = zset_shape(call, algebra->scores);

	zset_reply_head(call, shape, gather->count);
	for (size_t i = 0; i < gather->count; i++, row++)
		zset_reply_one(call, shape, kv_text_of(gather, row->member),
			row->score);
}

static void put_rows(const struct kv_gather *gather, struct rf_sorted *sorted)
{
	const struct zset_row *rows = gather->rows;

	for (size_t i = 0; i < gather->count && rf_tx_error() == 0; i++) {
		struct rf_bytes member = kv_text_of(gather, rows[i].member);

		rf_sorted_put(sorted, member.at, member.bytes, rows[i].score);
	}
}

/* As zset_put does it; for redis makes a result compact at last. */
static void drop_signs(const struct kv_gather *gather, struct rf_sorted *sorted)
{
	const struct zset_row *rows = gather->rows;

	for (size_t i = 0; i < gather->count; i++) {
		struct rf_bytes member = kv_text_of(gather, rows[i].member);

		if (rows[i].score != 0 || !signbit(rows[i].score))
			continue;
		rf_sorted_remove(sorted, member.at, member.bytes);
		rf_sorted_put(sorted, member.at, member.bytes, 0);
	}
}

static void end_store(struct kv_call *call, struct algebra *algebra)
{
	struct kv_value *value = kv_value_create(KV_ZSET);

	if (value == NULL)
		return;
	put_rows(&algebra->gather, kv_sorted_of(value));
	if (rf_sorted_is_compact(kv_sorted_of(value)))
		drop_signs(&algebra->gather, kv_sorted_of(value));
	kv_store(call, call->argv[1], value, KV_CLASS_ZSET,
		algebra->form->event);
}

static void end_card(struct kv_call *call, struct algebra *algebra)
{
	rf_resp_int(call->reply, (int64_t)algebra->found);
}

/* ---- arguments ---- */

static bool look_source(
	struct kv_call *call, struct rf_bytes key, struct source *source)
{
	struct rf_dict_entry *entry = kv_look(call, key);

	*source = (struct source){.weight = 1};
	if (entry == NULL)
		return true;
	source->value = kv_value_of(entry);
	if (kv_kind_of(source->value) != KV_ZSET &&
		kv_kind_of(source->value) != KV_SET) {
		rf_resp_error(call->reply, KV_ERR_TYPE);
		return false;
	}
	source->count = kv_value_count(source->value);
	return true;
}

static bool parse_keys(struct kv_call *call, struct algebra *algebra)
{
	uint32_t numkeys = algebra->form->numkeys;
	int64_t count;

	if (!kv_arg_int(call, numkeys, &count))
		return false;
	if (count < 1) {
		rf_resp_error(call->reply,
			"ERR at least 1 input key is needed for '%s' command",
			call->command->name);
		return false;
	}
	if (count > call->argc - 1 - numkeys) {
		kv_reply_syntax(call);
		return false;
	}
	algebra->count = (uint32_t)count;
	algebra->sources = calloc(algebra->count, sizeof *algebra->sources);
	if (algebra->sources == NULL) {
		rf_tx_fail(-ENOMEM);
		return false;
	}
	for (uint32_t i = 0; i < algebra->count; i++)
		if (!look_source(call, call->argv[numkeys + 1 + i],
			    &algebra->sources[i]))
			return false;
	return true;
}

static bool parse_weights(
	struct kv_call *call, uint32_t at, struct algebra *algebra)
{
	for (uint32_t i = 0; i < algebra->count; i++) {
		struct rf_bytes arg = call->argv[at + i];

		if (!kv_parse_double(
			    arg.at, arg.bytes, &algebra->sources[i].weight)) {
			rf_resp_error(
				call->reply, "ERR weight value is not a float");
			return false;
		}
	}
	return true;
}

static bool parse_aggregate(
	struct kv_call *call, uint32_t at, struct algebra *algebra)
{
	for (size_t i = 0; i < AGGREGATES; i++)
		if (kv_is(call->argv[at], aggregates[i].name)) {
			algebra->meet = aggregates[i].meet;
			return true;
		}
	kv_reply_syntax(call);
	return false;
}

static bool parse_scores(
	struct kv_call *call, uint32_t at, struct algebra *algebra)
{
	(void)call;
	(void)at;
	algebra->scores = true;
	return true;
}

static bool parse_limit(
	struct kv_call *call, uint32_t at, struct algebra *algebra)
{
	int64_t limit;

	if (!kv_arg_range(call, at, 0, INT64_MAX, &limit,
		    "ERR LIMIT can't be negative"))
		return false;
	algebra->limit = (uint64_t)limit;
	return true;
}

static const struct option {
	const char *name;
	enum algebra_option flag;
	uint32_t arguments; /* that follow */
	bool each;	    /* so many for each source */
	bool (*parse)(
		struct kv_call *call, uint32_t at, struct algebra *algebra);
} options[] = {
	{"WEIGHTS", ALGEBRA_WEIGHTS, 1, true, parse_weights},
	{"AGGREGATE", ALGEBRA_AGGREGATE, 1, false, parse_aggregate},
	{"WITHSCORES", ALGEBRA_WITHSCORES, 0, false, parse_scores},
	{"LIMIT", ALGEBRA_LIMIT, 1, false, parse_limit},
};
#define OPTIONS (sizeof options / sizeof *options)

static bool parse_options(struct kv_call *call, struct algebra *algebra)
{
	uint32_t i = algebra->form->numkeys + 1 + algebra->count;

	while (i < call->argc) {
		const struct option *option = options;
		uint32_t arguments;

		while (option < options + OPTIONS &&
			(!(option->flag & algebra->form->options) ||
				!kv_is(call->argv[i], option->name)))
			option++;
		if (option == options + OPTIONS)
			goto err_syntax;
		arguments =
			option->arguments * (option->each ? algebra->count : 1);
		if (call->argc - 1 - i < arguments)
			goto err_syntax;
		if (!option->parse(call, i + 1, algebra))
			return false;
		i += 1 + arguments;
	}
	return true;

err_syntax:
	kv_reply_syntax(call);
	return false;
}

static void algebra(struct kv_call *call, const struct algebra_form *form)
{
	struct algebra a = {
		.form = form,
		.meet = meet_sum,
		.gather.row_bytes = sizeof(struct zset_row),
	};

	if (parse_keys(call, &a) && parse_options(call, &a)) {
		form->run(&a);
		zset_gather_sort(&a.gather);
		form->end(call, &a);
	}
	kv_gather_fini(&a.gather);
	free(a.sources);
}

/* ---- the commands ---- */

#define STORE_OPTIONS (ALGEBRA_WEIGHTS | ALGEBRA_AGGREGATE)

#define ALGEBRA(id, ...)                                                       \
	void kv_cmd_##id(struct kv_call *call)                                 \
	{                                                                      \
		static const struct algebra_form form = {__VA_ARGS__};         \
                                                                               \
		algebra(call, &form);                                          \
	}

ALGEBRA(zunion, run_union, end_reply, 1, STORE_OPTIONS | ALGEBRA_WITHSCORES, "")
ALGEBRA(zinter, run_inter, end_reply, 1, STORE_OPTIONS | ALGEBRA_WITHSCORES, "")
ALGEBRA(zdiff, run_diff, end_reply, 1, ALGEBRA_WITHSCORES, "")
ALGEBRA(zintercard, run_card, end_card, 1, ALGEBRA_LIMIT, "")
ALGEBRA(zunionstore, run_union, end_store, 2, STORE_OPTIONS, "zunionstore")
ALGEBRA(zinterstore, run_inter, end_store, 2, STORE_OPTIONS, "zinterstore")
ALGEBRA(zdiffstore, run_diff, end_store, 2, 0, "zdiffstore")
