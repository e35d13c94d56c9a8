/* SPDX-License-Identifier: MIT */
/* guarding.c -- arena.guard and arena.undo_check, put into effect.
 *
 * Neither is needed to serve: where this machine cannot do it, the process goes
 * on without and says so.
 */
#include "guarding.h"
#include "common/guard.h"
#include "common/scene.h"
#include "common/undo_check.h"
#include "conf/conf.h"
#include <refork/log.h>
#include <string.h>

#define LOOK_MS 1000

static int64_t look_at_ms;

void guarding_begin(const struct rf_child *self)
{
	int mode = self->conf->arena.guard;
	int error = mode != CONF_GUARD_OFF ? rf_guard_arm(self->arena) : 0;

	if (error != 0)
		rf_log(mode == CONF_GUARD_PKEY ? RF_LOG_WARNING : RF_LOG_DEBUG,
			"arena.guard: protection key: %s; a write outside of a "
			"transaction will not be noticed",
			strerror(-error));
}

void guarding_compare(const struct rf_child *self)
{
	int error;

	if (!self->conf->arena.undo_check)
		return;
	rf_scene_ask_first(rf_undo_check_fault);
	error = rf_undo_check_arm(self->arena);
	if (error != 0)
		rf_log(RF_LOG_WARNING, "arena.undo_check: %s; going on without",
			strerror(-error));
	else
		rf_log(RF_LOG_INFO,
			"arena.undo_check: every transaction is compared with "
			"its undo log; this is slow");
}

void guarding_look(int64_t now_ms)
{
	int error;

	if (rf_likely(now_ms < look_at_ms && look_at_ms - now_ms <= LOOK_MS))
		return;
	look_at_ms = now_ms + LOOK_MS;
	error = rf_guard_rearm();
	if (error != 0)
		rf_log(RF_LOG_WARNING,
			"arena.guard: the protection key is gone, and to set "
			"it again: %s; a write outside of a transaction will "
			"not be noticed",
			strerror(-error));
}
