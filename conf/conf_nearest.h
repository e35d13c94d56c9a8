/* SPDX-License-Identifier: MIT */
/* conf_nearest.h -- the name that a mistyped one was meant to be. */
#ifndef CONF_NEAREST_H
#define CONF_NEAREST_H

#include "conf/conf_keys.h"

/* NULL when none is near. */
const struct conf_key *conf_nearest_key(const char *section, const char *name);
const char *conf_nearest_section(const char *section);

#endif
