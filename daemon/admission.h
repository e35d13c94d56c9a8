/* SPDX-License-Identifier: MIT */
/* admission.h -- who is let in, as far as the configuration says. */
#ifndef ADMISSION_H
#define ADMISSION_H

#include "conf/conf.h"
#include "listen.h"

/* The first address, as it is written, that other machines may reach; NULL:
 * there is none. A name is not looked up. What the service manager gives is
 * known once it is `open` only. */
const char *admission_open_to(
	const struct conf *conf, const struct listener *open, int count);

/* Why no password can be read there, as it would be at a start; NULL: one
 * can. */
const char *admission_password_flaw(const char *path);

/* Any user of this machine may read it. */
bool admission_password_is_shown(const char *path);

#endif
