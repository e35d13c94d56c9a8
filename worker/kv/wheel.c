/* SPDX-License-Identifier: MIT */
/* wheel.c -- expiry: a timing wheel.
 *
 * The idea. Time is cut into slices of 128 ms, and the wheel has a list for
 * each of 4096 slices in a row; a timer hangs in the list of the slice in
 * which it ends, modulo 4096. When a slice has passed, its list is taken and
 * gone through: what has ended is deleted with its key, what ends a round or
 * more later (every 524 s) is hung up again. Setting, changing and removing an
 * expiry are O(1), a tick does as much as its budget allows and no more, and
 * `taken` lives in the arena, so a tick that dies goes on where it was.
 *
 * A key is also looked at when it is used (kv_find), so nobody ever sees an
 * expired one; the wheel only gives its memory back.
 *
 * Rule W1: a timer hangs in `taken`, or in the list of the slice of at_ms or,
 * when that slice has been taken already, of the next one to be.
 *
 * Source. Varghese & Lauck, "Hashed and hierarchical timing wheels", SOSP
 * 1987, scheme 6.
 */
#include "kv.h"
#include <errno.h>
#include <refork/log.h>

#define SLICE_SHIFT 7 /* 128 ms */
#define TICK_SLICES (KV_WHEEL_SLOTS / 16)

static inline struct kv_timer **list_of(int64_t slice)
{
	return &kv_db->wheel.slots[(uint64_t)slice % KV_WHEEL_SLOTS];
}

static void hang(struct kv_timer *timer)
{
	int64_t slice = timer->at_ms >> SLICE_SHIFT;
	struct kv_timer **list;

	if (slice < kv_db->wheel.next)
		slice = kv_db->wheel.next; /* W1 */
	list = list_of(slice);
	if (rf_tx_log(timer, sizeof *timer) != 0)
		return;
	timer->next = *list;
	timer->link = list;
	if (*list != NULL)
		RF_SET((*list)->link, &timer->next);
	RF_SET(*list, timer);
}

static void unhang(struct kv_timer *timer)
{
	RF_SET(*timer->link, timer->next);
	if (timer->next != NULL)
		RF_SET(timer->next->link, timer->link);
}

void kv_expire_at(struct rf_dict_entry *entry, int64_t at_ms)
{
	struct kv_timer *timer = kv_timer_of(entry);

	if (timer != NULL) {
		unhang(timer);
		RF_SET(timer->at_ms, at_ms);
		hang(timer);
		return;
	}
	timer = rf_alloc_uninit(sizeof *timer);
	if (timer == NULL)
		return;
	*timer = (struct kv_timer){
		.at_ms = at_ms,
		.entry = entry,
		.value = entry->value,
	};
	hang(timer);
	RF_SET(entry->word, (uint64_t)timer | KV_TIMED);
	RF_SET(kv_db->wheel.count, kv_db->wheel.count + 1);
}

bool kv_persist(struct rf_dict_entry *entry)
{
	struct kv_timer *timer = kv_timer_of(entry);

	if (rf_likely(timer == NULL))
		return false;
	unhang(timer);
	RF_SET(entry->value, timer->value);
	rf_free(timer);
	RF_SET(kv_db->wheel.count, kv_db->wheel.count - 1);
	return true;
}

void kv_timer_moved(struct rf_dict_entry *entry)
{
	struct kv_timer *timer = kv_timer_of(entry);

	if (timer != NULL)
		RF_SET(timer->entry, entry);
}

/* The keys of all timers have been flushed, and the timers with them. */
void kv_wheel_reset(void)
{
	struct kv_wheel *wheel = &kv_db->wheel;

	if (wheel->count == 0 || rf_tx_log(wheel, sizeof *wheel) != 0)
		return;
	memset(wheel->slots, 0, sizeof wheel->slots);
	wheel->taken = NULL;
	wheel->count = 0;
}

/* Take the list of the next slice, if that has passed. */
static bool take_slice(int64_t now_slice)
{
	struct kv_wheel *wheel = &kv_db->wheel;
	struct kv_timer **list;

	/* After a long sleep one round finds everything. */
	if (wheel->next < now_slice - KV_WHEEL_SLOTS)
		RF_SET(wheel->next, now_slice - KV_WHEEL_SLOTS);
	if (wheel->next >= now_slice)
		return false;
	list = list_of(wheel->next);
	if (*list != NULL) {
		RF_SET((*list)->link, &wheel->taken);
		RF_SET(wheel->taken, *list);
		RF_SET(*list, NULL);
	}
	RF_SET(wheel->next, wheel->next + 1);
	return true;
}

static void look_at(struct kv_timer *timer, int64_t now_ms)
{
	if (kv_expired(timer->entry, now_ms)) {
		RF_SET(kv_db->expired, kv_db->expired + 1);
		kv_delete(timer->entry);
		return;
	}
	unhang(timer);
	hang(timer);
}

bool kv_wheel_step(int64_t now_ms, size_t budget)
{
	int64_t now_slice = now_ms >> SLICE_SHIFT;

	if (kv_db->wheel.count == 0)
		return false;
	for (uint32_t slices = 0; budget > 0 && rf_tx_error() == 0; budget--) {
		while (kv_db->wheel.taken == NULL) {
			if (++slices > TICK_SLICES)
				return true;
			if (!take_slice(now_slice))
				return false;
		}
		look_at(kv_db->wheel.taken, now_ms);
	}
	return true;
}

/* ---- the walker ---- */

static int bad(const struct kv_timer *timer, const char *what)
{
	rf_log(RF_LOG_ERROR, "kv check: timer at %p: %s", (const void *)timer,
		what);
	return -EBADMSG;
}

/* A word that may point to a timer: of the wheel, or `next` of a timer. */
static bool is_link(struct kv_timer *const *link)
{
	const struct kv_wheel *wheel = &kv_db->wheel;
	size_t off = (size_t)((const char *)link - (const char *)wheel->slots);

	_Static_assert(offsetof(struct kv_timer, next) == 0, "first");
	return link == &wheel->taken ||
	       (off < sizeof wheel->slots && off % sizeof *link == 0) ||
	       rf_is_block(link, sizeof **link);
}

bool kv_timer_hangs(const struct kv_timer *timer)
{
	return is_link(timer->link) && *timer->link == timer;
}

static const char *fault_of(const struct kv_timer *timer)
{
	if (!rf_is_block(timer->entry, sizeof *timer->entry) ||
		kv_timer_of(timer->entry) != timer)
		return "is not the timer of its key";
	return NULL;
}

static int check_list(struct kv_timer *const *list, uint64_t *seen)
{
	struct kv_timer *const *link = list;

	for (; *link != NULL; link = &(*link)->next) {
		const struct kv_timer *timer = *link;
		const char *fault;
		int64_t slice;

		if (!rf_is_block(timer, sizeof *timer))
			return bad(timer, "not a timer");
		if (++*seen > kv_db->wheel.count)
			return bad(timer, "more timers than counted");
		if (timer->link != link)
			return bad(timer, "does not know what points to it");
		fault = fault_of(timer);
		if (fault != NULL)
			return bad(timer, fault);
		slice = timer->at_ms >> SLICE_SHIFT;
		if (slice >= kv_db->wheel.next && list != &kv_db->wheel.taken &&
			list_of(slice) != list)
			return bad(timer, "hangs in the wrong list");
	}
	return 0;
}

int kv_wheel_check(void)
{
	const struct kv_wheel *wheel = &kv_db->wheel;
	uint64_t seen = 0;
	int error;

	/* What is counted up to must be a number that ends. */
	if (wheel->count > rf_heap_used() / sizeof(struct kv_timer))
		return bad(NULL, "more are counted than the heap has room for");
	error = check_list(&wheel->taken, &seen);
	for (size_t i = 0; error == 0 && i < KV_WHEEL_SLOTS; i++)
		error = check_list(&wheel->slots[i], &seen);
	if (error == 0 && seen != wheel->count)
		error = bad(NULL, "fewer timers than counted");
	return error;
}
