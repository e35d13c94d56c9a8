/* SPDX-License-Identifier: MIT */
/* change.h -- two pieces of code compared. See change.c. */
#ifndef CHANGE_H
#define CHANGE_H

#include "daemon/service.h"

/* `then` can run the state that `now` has written. */
bool change_can_go_back(const struct rf_worker *now,
	const struct rf_worker *then, struct fault *why);

/* The same bytes. */
bool change_is_none(const struct worker_lib *a, const struct worker_lib *b);

/* What an operator should know of a change from `before` to service->lib that
 * went well; "" when there is nothing. `configured`: what the daemon has
 * started with. */
void change_note(const struct service *service, const struct worker_lib *before,
	const char *configured, char *note, size_t bytes);

#endif
