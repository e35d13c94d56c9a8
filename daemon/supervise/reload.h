/* SPDX-License-Identifier: MIT */
/* reload.h -- a configuration read again. */
#ifndef RELOAD_H
#define RELOAD_H

#include "daemon/service.h"

/* Read the configuration once more. What can change while running changes,
 * what cannot is named in the log. A configuration with problems changes
 * nothing. */
void reload(struct service *service);

#endif
