/* SPDX-License-Identifier: MIT */
/* target.h -- where a process's log lines go. For the daemon; workers have
 * refork/log.h. */
#ifndef RF_LOG_TARGET_H
#define RF_LOG_TARGET_H

#include <stdbool.h>

enum rf_log_target {
	RF_LOG_TO_AUTO, /* the journal when stderr leads there, else stderr */
	RF_LOG_TO_JOURNAL,
	RF_LOG_TO_STDERR
};

enum rf_log_format { RF_LOG_AS_TEXT, RF_LOG_AS_JSON };

/* From now on lines go there, in this process and those that it forks. Before
 * the first fork. Without this: to stderr.
 *
 * stderr leads to the journal when it is what $JOURNAL_STREAM names; one that
 * was redirected is not, and has the lines. A line that the journal cannot be
 * given because it is not there goes to stderr. One that it does not take at
 * once, or stderr, is lost, counted, and the count said later: no process ever
 * waits for its log. */
void rf_log_open(enum rf_log_target target);

/* The journal's socket, to be kept by those that close what they do not know;
 * -1: none is open. A line calls sendmsg(2) on it, or poll(2) and write(2) on
 * stderr, getpid(2) and clock_gettime(2). */
int rf_log_fd(void);

/* From now on lines on stderr are as stands there (enum rf_log_format), in
 * memory that may be shared. */
void rf_log_follow_format(const int *format);

/* Say how many lines were left out of a flood, or were lost, and not said yet.
 * To be called about once a second, that they are said when the process has
 * nothing more to log, and before it ends. Cost when there are none: two loads.
 *
 * ends  also of a flood that may not be over */
void rf_log_catch_up(bool ends);

/* Find a journal again that some process has found gone. By who has called
 * rf_log_open(), about once a second: the others may not connect. */
void rf_log_mend(void);

/* Before the end of a process that may have told its first line just now: the
 * journal knows whose it is only while its sender lives. Waits a second at
 * most. */
void rf_log_settle(void);

#endif
