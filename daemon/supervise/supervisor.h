/* SPDX-License-Identifier: MIT */
/* supervisor.h -- fork the children, and see to it that they live. */
#ifndef SUPERVISOR_H
#define SUPERVISOR_H

#include "daemon/service.h"

/* Run a service that has been built, until it is asked to stop. SIGTERM, SIGINT
 * and SIGHUP are blocked by the caller, from before the build on.
 *
 * Returns  an exit code; no child is left */
int supervisor_run(struct service *service, struct fault *fault);

#endif
