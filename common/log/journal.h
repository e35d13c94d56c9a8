/* SPDX-License-Identifier: MIT */
/* journal.h -- lines to systemd's journal, by a datagram each.
 *
 * Not by libsystemd: sd_journal_send(3) opens a descriptor of its own when it
 * is first called and remembers its number. A child here closes whatever it was
 * not given, and a client's connection would then bear that number: it would
 * hear log lines. So there is one socket, opened before the first fork, known
 * by rf_log_fd() to those who close the others, and inherited by all. (And
 * common/ stands on libc alone.)
 *
 * It is connected: its peer is not named in a call, so a seccomp filter that
 * allows sendmsg(2) on it allows nothing else. When the peer is made anew the
 * process that opened the socket connects it again, for all, as they share it.
 */
#ifndef RF_LOG_JOURNAL_H
#define RF_LOG_JOURNAL_H

#include "said.h"

#define RF_JOURNAL_SOCKET "/run/systemd/journal/socket"

/* It need not be there yet.
 *
 * path     lives as long as the process
 * Returns  0; -errno: of socket(2), nothing is open, or of connect(2) */
int rf_journal_open(const char *path);
void rf_journal_close(void);

/* -1: not open */
int rf_journal_fd(void);

/* Connect it again if a line, of whomever, has found its peer gone: who opened
 * it may have nothing to say for long. For others it does nothing. */
void rf_journal_mend(void);

/* Wait until the journal has looked at all that this socket was given. It finds
 * out whose an entry is by its sender's pid: the last words of a process that
 * has ended meanwhile belong to no unit. */
void rf_journal_settle(int timeout_ms);

/* Never waits. 0; -EAGAIN: the journal does not take it now; another error:
 * there is no journal. Cost: one sendmsg(2), ~8 us. */
int rf_journal_send(const struct rf_said *said);

#endif
