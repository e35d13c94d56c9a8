/* SPDX-License-Identifier: MIT */
/* quarantine.h -- requests that killed, as kept in state_dir. The files are
 * written by the business child (worker/business/quarantine.c); their form is
 * common/quarantine.h. */
#ifndef QUARANTINE_H
#define QUARANTINE_H

#include "daemon/control/format.h"
#include "daemon/service.h"

void quarantine_list(const struct service *s, enum report_format f, FILE *out);
/* How many there are; those dropped and released no longer count. */
int quarantine_count(const struct service *s);
/* -ENOENT, -EBADMSG (not what it should be), -errno. */
int quarantine_show(
	const struct service *s, uint64_t id, enum report_format f, FILE *out);
int quarantine_drop(const struct service *s, uint64_t id);

/* Order the business child to run it again (status segment, bell). The answer
 * comes in status->business.release_*. */
int quarantine_release(struct service *s, uint64_t id);

/* Keep no more than quarantine.keep files. */
void quarantine_trim(const struct service *s);

#endif
