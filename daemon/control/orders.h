/* SPDX-License-Identifier: MIT */
/* orders.h -- the verbs that change something, for the table of verbs.c. */
#ifndef ORDERS_H
#define ORDERS_H

#include "verbs.h"

/* Write a line that says why. Returns VERB_REFUSED. */
enum verb_result verb_refuse(struct verb_call *call, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Argument 0 as the number of a record: 1, 2, ... */
bool verb_id(const struct verb_call *call, uint64_t *id);

/* doctor.c */
enum verb_result order_doctor(struct verb_call *call);

/* arena.c */
enum verb_result order_arena_where(struct verb_call *call);
enum verb_result order_arena_hold(struct verb_call *call);
enum verb_result order_arena_held(
	struct verb_call *call, const struct family_outcome *outcome);
enum verb_result order_arena_go(struct verb_call *call);
enum verb_result order_arena_gone(
	struct verb_call *call, const struct family_outcome *outcome);
enum verb_result order_arena_verified(struct verb_call *call);

/* quarantined.c */
enum verb_result order_quarantine_list(struct verb_call *call);
enum verb_result order_quarantine_show(struct verb_call *call);
enum verb_result order_quarantine_drop(struct verb_call *call);
enum verb_result order_quarantine_release(struct verb_call *call);
enum verb_result order_quarantine_released(
	struct verb_call *call, const struct family_outcome *outcome);

/* orders.c */
enum verb_result order_reload(struct verb_call *call);
enum verb_result order_resume(struct verb_call *call);
enum verb_result order_restart(struct verb_call *call);
enum verb_result order_restarted(
	struct verb_call *call, const struct family_outcome *outcome);
enum verb_result order_upgrade(struct verb_call *call);
enum verb_result order_upgraded(
	struct verb_call *call, const struct family_outcome *outcome);
enum verb_result order_rollback(struct verb_call *call);
enum verb_result order_rolled_back(
	struct verb_call *call, const struct family_outcome *outcome);

/* checkpoint.c */
enum verb_result order_checkpoint_prepare(struct verb_call *call);
enum verb_result order_checkpoint_prepared(
	struct verb_call *call, const struct family_outcome *outcome);
enum verb_result order_checkpoint_end(struct verb_call *call);
enum verb_result order_checkpoint_ended(
	struct verb_call *call, const struct family_outcome *outcome);

#endif
