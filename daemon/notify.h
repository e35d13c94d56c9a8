/* SPDX-License-Identifier: MIT */
/* notify.h -- tell the service manager, when there is one that listens. */
#ifndef NOTIFY_H
#define NOTIFY_H

void notify_ready(void);
void notify_status(const char *status);
void notify_stopping(void);
void notify_reloading(void);

#endif
