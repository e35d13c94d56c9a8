/* SPDX-License-Identifier: MIT */
/* log_divert.h -- errors as text, for who asks others to look for them. */
#ifndef RF_LOG_DIVERT_H
#define RF_LOG_DIVERT_H

#include <refork/log.h>

/* From now on what rf_log() is told as RF_LOG_ERROR goes there instead, in this
 * process; NULL: into the log again. */
void rf_log_divert(void (*to)(void *context, const char *text), void *context);

#endif
