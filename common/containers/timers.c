/* SPDX-License-Identifier: MIT */
/* timers.c -- a hierarchical timing wheel under the undo log.
 *
 * The idea. Time is cut into windows of 256 ms. The wheel has a list for each
 * millisecond of this window and the next, one for each of the next 63 windows,
 * one for each of 63 times 64 windows, and so on: a timer hangs in the finest
 * list there is for its time. When the clock comes to a coarse list, that is
 * taken down and its timers hang in finer ones, five times at most in a timer's
 * life. A map of the lists that are not empty lets the clock jump over what is.
 *
 *	   cur         n = cur / 256 + 1, the next window
 *	....|=========|=========|
 *	 ms  this      next     | level 1, single | level 2, by 64 ... | far
 *
 * All is counted from the window n, so that what is due within 256 ms is known
 * to the millisecond. With x the highest bit in which a window differs from n,
 * its level is 1 + x / 6; all bits above are the same, so a level never wraps,
 * and all of its timers are earlier than those of the next.
 *
 * Rules, walked by rf_timers_check():
 *   W1  a timer hangs where place_of() says; or in the list that holds n of a
 *       level, which is then to be taken down next; or in that being taken down
 *   W2  a bit of `filled` says whether its list has a timer
 *   W3  cur does not leave a list behind
 *   W4  sum_ms is the sum of all at_ms, modulo 2^64: less count times now it
 *       is what is left of all together, whatever was cut off
 *
 * A run stops anywhere when its budget ends, and the next one, or that of
 * another process, goes on there: `taken` is a list like the others.
 *
 * Source. Varghese & Lauck, "Hashed and hierarchical timing wheels", SOSP
 * 1987, scheme 7.
 */
#include "common/verify/walk_form.h"
#include <errno.h>
#include <refork/heap.h>
#include <refork/timers.h>
#include <refork/tx.h>

#define WINDOW_SHIFT 8
#define NEAR	     512u /* lists of a millisecond */
#define LEVEL_SHIFT  6
#define LEVEL	     64u /* lists of a level */
#define LEVELS	     5u
#define FAR	     (NEAR + LEVELS * LEVEL) /* beyond: in 9 years or more */
#define TAKEN	     (FAR + 1)
#define LISTS	     (TAKEN + 1)
#define WORDS	     ((LISTS + 63) / 64)
#define FAR_SHIFT    (LEVELS * LEVEL_SHIFT)

struct rf_timers_wheel {
	uint64_t cur_ms;   /* what is due before has been taken */
	uint64_t far_part; /* of n, for which `far` was last taken down */
	uint64_t filled[WORDS];
	struct rf_timer *lists[LISTS];
};
_Static_assert(sizeof(struct rf_timers_wheel) <= 7168, "a class of the heap");

static inline uint64_t next_window(const struct rf_timers_wheel *wheel)
{
	return (wheel->cur_ms >> WINDOW_SHIFT) + 1;
}

static inline uint64_t far_part(const struct rf_timers_wheel *wheel)
{
	return next_window(wheel) >> FAR_SHIFT;
}

static inline uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The list for a time. */
static uint32_t place_of(const struct rf_timers_wheel *wheel, int64_t at_ms)
{
	uint64_t at = at_ms > (int64_t)wheel->cur_ms ? (uint64_t)at_ms
						     : wheel->cur_ms;
	uint64_t window = at >> WINDOW_SHIFT;
	uint64_t next = next_window(wheel);
	uint32_t level;

	if (window <= next)
		return (uint32_t)(at % NEAR);
	level = (63u - (uint32_t)__builtin_clzll(window ^ next)) / LEVEL_SHIFT;
	if (level >= LEVELS)
		return FAR;
	window >>= level * LEVEL_SHIFT;
	return NEAR + level * LEVEL + (uint32_t)(window % LEVEL);
}

/* The list of a level that holds the next window. */
static uint32_t list_at_next(
	const struct rf_timers_wheel *wheel, uint32_t level)
{
	uint64_t part = next_window(wheel) >> (level * LEVEL_SHIFT);

	return NEAR + level * LEVEL + (uint32_t)(part % LEVEL);
}

/* ---- lists ---- */

static inline bool is_filled(const struct rf_timers_wheel *wheel, uint32_t list)
{
	return wheel->filled[list / 64] >> (list % 64) & 1;
}

static void flip(struct rf_timers_wheel *wheel, uint32_t list)
{
	uint64_t *word = &wheel->filled[list / 64];

	RF_SET(*word, *word ^ UINT64_C(1) << (list % 64));
}

static void hang(struct rf_timers_wheel *wheel, struct rf_timer *timer)
{
	uint32_t place = place_of(wheel, timer->at_ms);
	struct rf_timer **list = &wheel->lists[place];

	if (rf_tx_log(timer, sizeof *timer) != 0)
		return;
	timer->next = *list;
	timer->link = list;
	if (*list != NULL)
		RF_SET((*list)->link, &timer->next);
	else
		flip(wheel, place);
	RF_SET(*list, timer);
}

/* Leaves the timer's own words as they are. */
static void unhang(struct rf_timers_wheel *wheel, struct rf_timer *timer)
{
	size_t off = (size_t)((char *)timer->link - (char *)wheel->lists);

	RF_SET(*timer->link, timer->next);
	if (timer->next != NULL)
		RF_SET(timer->next->link, timer->link);
	else if (off < sizeof wheel->lists) /* it was the only one */
		flip(wheel, (uint32_t)(off / sizeof *wheel->lists));
}

/* All of a list becomes `taken`, which is empty. */
static void take(struct rf_timers_wheel *wheel, uint32_t list)
{
	struct rf_timer *first = wheel->lists[list];

	RF_SET(first->link, &wheel->lists[TAKEN]);
	RF_SET(wheel->lists[TAKEN], first);
	RF_SET(wheel->lists[list], NULL);
	flip(wheel, list);
	flip(wheel, TAKEN);
}

/* ---- arming ---- */

static struct rf_timers_wheel *make(struct rf_timers *timers)
{
	struct rf_timers_wheel *wheel = rf_alloc(sizeof *wheel);

	if (wheel != NULL)
		RF_SET(timers->wheel, wheel);
	return wheel;
}

/* An empty wheel can stand at any time. */
static void turn_to(struct rf_timers_wheel *wheel, int64_t now_ms)
{
	RF_SET(wheel->cur_ms, now_ms > 0 ? (uint64_t)now_ms : 0);
	RF_SET(wheel->far_part, far_part(wheel));
}

static inline void add_to_sum(
	struct rf_timers *timers, int64_t more_ms, int64_t less_ms)
{
	RF_SET(timers->sum_ms,
		timers->sum_ms + (uint64_t)more_ms - (uint64_t)less_ms);
}

void rf_timers_arm(struct rf_timers *timers, struct rf_timer *timer,
	int64_t at_ms, int64_t now_ms)
{
	struct rf_timers_wheel *wheel = timers->wheel;

	if (wheel == NULL)
		wheel = make(timers);
	if (wheel == NULL)
		return;
	if (timer->link != NULL) {
		unhang(wheel, timer);
		add_to_sum(timers, at_ms, timer->at_ms);
	} else {
		if (timers->count == 0)
			turn_to(wheel, now_ms);
		RF_SET(timers->count, timers->count + 1);
		add_to_sum(timers, at_ms, 0);
	}
	RF_SET(timer->at_ms, at_ms);
	hang(wheel, timer);
}

void rf_timers_disarm(struct rf_timers *timers, struct rf_timer *timer)
{
	if (timer->link == NULL)
		return;
	unhang(timers->wheel, timer);
	RF_SET(timer->link, NULL);
	RF_SET(timers->count, timers->count - 1);
	add_to_sum(timers, 0, timer->at_ms);
}

void rf_timers_moved(struct rf_timer *timer)
{
	if (timer->link == NULL)
		return;
	RF_SET(*timer->link, timer);
	if (timer->next != NULL)
		RF_SET(timer->next->link, &timer->next);
}

void rf_timers_reset(struct rf_timers *timers)
{
	rf_free(timers->wheel);
	if (rf_tx_log(timers, sizeof *timers) == 0)
		*timers = (struct rf_timers){.count = 0};
}

/* ---- the clock ---- */

/* The first list of a millisecond with a timer, or UINT64_MAX. */
static uint64_t next_near(const struct rf_timers_wheel *wheel)
{
	uint32_t start = (uint32_t)(wheel->cur_ms % NEAR);

	/* The word of `start` first without what is below, last with it. */
	for (uint32_t i = 0; i <= NEAR / 64; i++) {
		uint32_t word = (start / 64 + i) % (NEAR / 64);
		uint64_t bits = wheel->filled[word];
		uint32_t list;

		if (i == 0)
			bits &= ~UINT64_C(0) << (start % 64);
		if (bits == 0)
			continue;
		list = word * 64 + (uint32_t)__builtin_ctzll(bits);
		return wheel->cur_ms + (list - start) % NEAR;
	}
	return UINT64_MAX;
}

/* A list that holds the next window, to be taken down now; or LISTS. */
static uint32_t list_to_take(const struct rf_timers_wheel *wheel)
{
	for (uint32_t level = 0; level < LEVELS; level++) {
		uint32_t list = list_at_next(wheel, level);

		if (is_filled(wheel, list))
			return list;
	}
	return is_filled(wheel, FAR) && wheel->far_part != far_part(wheel)
		       ? FAR
		       : LISTS;
}

/* The window at which the first of the lists beyond the next window begins;
 * UINT64_MAX when there is none. */
static uint64_t next_coarse(const struct rf_timers_wheel *wheel)
{
	uint64_t next = next_window(wheel);

	for (uint32_t level = 0; level < LEVELS; level++) {
		uint32_t shift = level * LEVEL_SHIFT;
		uint64_t bits = wheel->filled[NEAR / 64 + level];
		uint64_t above = next >> shift >> LEVEL_SHIFT << LEVEL_SHIFT;

		if (bits != 0)
			return (above | (uint64_t)__builtin_ctzll(bits))
			       << shift;
	}
	return is_filled(wheel, FAR) ? (far_part(wheel) + 1) << FAR_SHIFT
				     : UINT64_MAX;
}

/* Nothing hangs at the present millisecond, and `taken` is empty: take a
 * coarse list down, or go on. False: the clock is at now_ms. */
static bool advance(struct rf_timers_wheel *wheel, uint64_t now_ms)
{
	uint32_t list = list_to_take(wheel);
	uint64_t to, window;

	if (list != LISTS) {
		take(wheel, list);
		if (list == FAR)
			RF_SET(wheel->far_part, far_part(wheel));
		return true;
	}
	if (wheel->cur_ms >= now_ms)
		return false;
	to = smaller(next_near(wheel), now_ms);
	window = next_coarse(wheel);
	if (window != UINT64_MAX)
		to = smaller(to, (window - 1) << WINDOW_SHIFT);
	RF_SET(wheel->cur_ms, to);
	return true;
}

bool rf_timers_run(struct rf_timers *timers, int64_t now_ms, size_t budget,
	void (*due)(struct rf_timer *timer, void *context), void *context)
{
	for (; budget > 0 && rf_tx_error() == 0; budget--) {
		struct rf_timers_wheel *wheel = timers->wheel;
		struct rf_timer *timer;
		uint32_t here;

		if (timers->count == 0 || now_ms < (int64_t)wheel->cur_ms)
			return false;
		timer = wheel->lists[TAKEN];
		here = (uint32_t)(wheel->cur_ms % NEAR);
		if (timer != NULL && timer->at_ms <= now_ms) {
			rf_timers_disarm(timers, timer);
			due(timer, context);
		} else if (timer != NULL) {
			unhang(wheel, timer);
			hang(wheel, timer);
		} else if (is_filled(wheel, here)) {
			take(wheel, here);
		} else if (!advance(wheel, (uint64_t)now_ms)) {
			return false;
		}
	}
	return rf_tx_error() == 0;
}

int64_t rf_timers_next_ms(const struct rf_timers *timers)
{
	const struct rf_timers_wheel *wheel = timers->wheel;
	uint64_t window;

	if (timers->count == 0)
		return INT64_MAX;
	if (is_filled(wheel, TAKEN))
		return (int64_t)wheel->cur_ms;
	window = list_to_take(wheel) != LISTS ? next_window(wheel)
					      : next_coarse(wheel);
	if (window != UINT64_MAX)
		window <<= WINDOW_SHIFT;
	return (int64_t)smaller(next_near(wheel), window);
}

int64_t rf_timers_average_ms(const struct rf_timers *timers, int64_t now_ms)
{
	int64_t left_ms =
		(int64_t)(timers->sum_ms - timers->count * (uint64_t)now_ms);

	return timers->count > 0 && left_ms > 0
		       ? left_ms / (int64_t)timers->count
		       : 0;
}

/* ---- the walker ---- */

/* W1 */
static bool hangs_well(const struct rf_timers_wheel *wheel, uint32_t list,
	const struct rf_timer *timer)
{
	uint32_t place = place_of(wheel, timer->at_ms);
	uint32_t level = (list - NEAR) / LEVEL;

	if (place == list || list == TAKEN)
		return true;
	if (list < NEAR || place > list)
		return false;
	if (list == FAR)
		return wheel->far_part != far_part(wheel);
	return list == list_at_next(wheel, level);
}

struct walk {
	struct rf_walk *to;
	const struct rf_timers *timers;
	bool (*is_timer)(struct rf_walk *walk, const struct rf_timer *timer,
		void *context);
	void *context;
	uint64_t count, sum_ms;
};

static void bad(const struct walk *walk, const void *at, const char *what)
{
	rf_walk_problem(walk->to, at, "timers at %p: %s",
		(const void *)walk->timers, what);
}

/* A timer knows what points to it, so no list comes to one twice. */
static void walk_list(struct walk *walk, uint32_t list)
{
	const struct rf_timers_wheel *wheel = walk->timers->wheel;
	struct rf_timer *const *link = &wheel->lists[list];

	if (is_filled(wheel, list) != (*link != NULL))
		bad(walk, wheel, "a list and its bit disagree");
	for (; *link != NULL; link = &(*link)->next) {
		const struct rf_timer *timer = *link;

		if (!walk->is_timer(walk->to, timer, walk->context)) {
			bad(walk, timer, "not a timer");
			return;
		}
		if (timer->link != link) {
			bad(walk, timer,
				"a timer does not know what points to it");
			return;
		}
		walk->count++;
		walk->sum_ms += (uint64_t)timer->at_ms;
		if (!hangs_well(wheel, list, timer))
			bad(walk, timer, "a timer in a wrong list");
	}
}

static void walk_wheel(struct walk *walk)
{
	const struct rf_timers *timers = walk->timers;
	const struct rf_timers_wheel *wheel = timers->wheel;

	if (wheel->cur_ms > INT64_MAX || wheel->filled[WORDS - 1] >> LISTS % 64)
		bad(walk, wheel, "the wheel is damaged");
	for (uint32_t i = 0; i < LISTS; i++)
		walk_list(walk, i);
	if (walk->count != timers->count)
		bad(walk, timers, "not as many timers as counted");
	if (walk->sum_ms != timers->sum_ms)
		bad(walk, timers, "a wrong sum of what is due when");
}

bool rf_walk_timers(struct rf_walk *walk, const struct rf_timers *timers,
	bool (*is_timer)(struct rf_walk *walk, const struct rf_timer *timer,
		void *context),
	void *context)
{
	uint64_t before = rf_walk_problems(walk);
	struct walk own = {walk, timers, is_timer, context, 0, 0};

	if (timers->wheel != NULL) {
		if (rf_walk_block(walk, timers->wheel, sizeof *timers->wheel,
			    "timer wheel"))
			walk_wheel(&own);
	} else if (timers->count != 0 || timers->sum_ms != 0) {
		bad(&own, timers, "timers without a wheel");
	}
	return rf_walk_problems(walk) == before;
}

struct owner {
	bool (*is_timer)(const struct rf_timer *timer);
};

static bool ask_owner(
	struct rf_walk *walk, const struct rf_timer *timer, void *context)
{
	const struct owner *owner = context;

	(void)walk;
	return owner->is_timer(timer);
}

int rf_timers_check(const struct rf_timers *timers,
	bool (*is_timer)(const struct rf_timer *timer), const char *name)
{
	struct owner owner = {is_timer};
	struct rf_walk_alone alone;

	return rf_walk_timers(
		       rf_walk_alone(&alone, name), timers, ask_owner, &owner)
		       ? 0
		       : -EBADMSG;
}
