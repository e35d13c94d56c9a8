/* SPDX-License-Identifier: MIT */
/* front_kv.h -- scenarios of the kv worker, a line for each: what it is called,
 * what it answers, the command, and the commands before it.
 */
#ifndef FRONT_KV_H
#define FRONT_KV_H

#include "front.h"
#include "worker/kv/keys/keys.h"

extern const struct rf_worker refork_worker;

/* What means nothing in the worker's state: counters, and room for more. */
void front_kv_forget(struct image *image);

#define KV(name, told, command, ...)                                           \
	FRONT(name "_is_all_or_nothing", 1, "reply 1 " told "|\n",             \
		.worker = &refork_worker, .forget = front_kv_forget,           \
		.said = SAID("open 1", ##__VA_ARGS__),                         \
		.says = SAYS("1 " command))

/* What says_ tells, then ticks: `changes` transactions in all. */
#define KV_TICKS(name, changes, told, says_, ...)                              \
	FRONT(name "_is_done_step_by_step", changes, told,                     \
		.worker = &refork_worker, .forget = front_kv_forget,           \
		.tick = true, .said = SAID("open 1", ##__VA_ARGS__),           \
		.says = says_)

#endif
