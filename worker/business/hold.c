/* SPDX-License-Identifier: MIT */
/* hold.c -- stand still while somebody reads the arena.
 *
 * The problem. Another process that maps the arena may look at any instant,
 * and most instants are in the middle of a change.
 * The idea. Between two messages, with no transaction open, nothing is half
 * done. There the business child says so, and sleeps until the reader is done,
 * or for as long as was asked for, and no longer.
 *
 *   supervisor              business child            reader
 *   hold_until, _length
 *   hold_serial = N  ---->  held_at
 *                           held_serial = N   ---->   reads
 *   hold_ended = N   <-------------------------------  is done
 *          \------------->  held_us, held_over = N, goes on
 *
 * Whether it has lasted is judged by the supervisor, before it ends it: the
 * order is begun and not over, and nobody has taken over since held_at. That is
 * sound, since held_over is stored before the arena changes, and since a
 * successor stores when it got the lease before it does anything (takeover.c).
 *
 * Deaths. The reader's: the deadline ends it. The supervisor's: this process
 * ends, too. This one's: its successor finds an order that is begun, and leaves
 * it alone; one that is not begun it carries out itself.
 *
 * Cost. Two loads a message while there is no order.
 */
#include "hold.h"

/* Below this there is no time left to sleep: over a moment early. */
#define STEP_US 1000

static bool is_void(const struct rf_status_supervisor *order, uint64_t serial)
{
	return rf_status_get(order->hold_ended) >= serial ||
	       rf_monotonic_us() >= rf_status_get(order->hold_until_us);
}

static void wait_until(struct desk *desk, uint64_t serial, int64_t until_us)
{
	const struct rf_status_supervisor *order = &desk->status->supervisor;

	while (rf_status_get(order->hold_ended) < serial &&
		!desk_must_end(desk)) {
		int64_t left_us = until_us - rf_monotonic_us();

		if (left_us < STEP_US)
			return;
		if (left_us > DESK_SLEEP_MS * 1000)
			left_us = DESK_SLEEP_MS * 1000;
		desk->wait(desk, (int)(left_us / 1000));
	}
}

/* held_over goes before whatever this process does next. */
static void go_on(struct rf_status_business *mine, uint64_t serial)
{
	rf_status_set(mine->held_us,
		rf_monotonic_us() - rf_status_get(mine->held_at_us));
	__atomic_store_n(&mine->held_over, serial, __ATOMIC_SEQ_CST);
}

void hold_keep(struct desk *desk)
{
	const struct rf_status_supervisor *order = &desk->status->supervisor;
	struct rf_status_business *mine = &desk->status->business;
	uint64_t serial =
		__atomic_load_n(&order->hold_serial, __ATOMIC_ACQUIRE);
	int64_t until_us;

	rf_status_set(mine->held_at_us, rf_monotonic_us());
	if (is_void(order, serial)) {
		go_on(mine, serial);
		rf_status_set(mine->held_serial, serial);
		return;
	}
	until_us = rf_status_get(mine->held_at_us) +
		   rf_status_get(order->hold_length_us);
	rf_status_add(mine->holds, 1);
	__atomic_store_n(&mine->held_serial, serial, __ATOMIC_RELEASE);
	rf_bell_ring(desk->self->bell_supervisor);
	wait_until(desk, serial, until_us);
	go_on(mine, serial);
}
