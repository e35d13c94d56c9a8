/* SPDX-License-Identifier: MIT */
/* ask.c -- what a handler asks of the framework beside its reply.
 *
 * Most of it is only noted, in words that the next transaction clears, and done
 * when the handler has returned: it may be in the middle of its own lists.
 */
#include "desk.h"
#include "parked.h"
#include <errno.h>
#include <refork/tx.h>

static struct desk *desk;

void ask_init(struct desk *the_desk)
{
	desk = the_desk;
}

/* Not one that has ended; nor one that nobody else knows: a quarantined request
 * that is run again has such a connection. */
static bool is_known(const struct rf_conn *conn)
{
	return rf_conn_find(conn->id) == conn;
}

void rf_request_park(const struct rf_request *req)
{
	if (rf_tx_error() != 0)
		return;
	if (req->conn != desk->running)
		rf_tx_fail(-EOPNOTSUPP); /* it has no client that could wait */
	else
		desk->asked |= ASK_PARK;
}

void rf_conn_resume(struct rf_conn *conn)
{
	if (conn == desk->running)
		desk->asked |= desk->asked & ASK_PARK ? ASK_RESUME : 0;
	else if (rf_tx_error() == 0 && is_known(conn))
		parked_resume(conn);
}

bool rf_conn_is_parked(const struct rf_conn *conn)
{
	if (conn == desk->running)
		return (desk->asked & (ASK_PARK | ASK_RESUME)) == ASK_PARK;
	return parked_first(conn) != NULL &&
	       !(conn->own[RF_OWN_FLAGS] & RF_CONN_READY);
}

static void set_flag(struct rf_conn *conn, enum rf_conn_flag flag, bool is_set)
{
	uint64_t flags = conn->own[RF_OWN_FLAGS] & ~(uint64_t)flag;

	RF_SET(conn->own[RF_OWN_FLAGS], is_set ? flags | flag : flags);
}

void rf_conn_close(struct rf_conn *conn)
{
	if (conn == desk->running) {
		rf_reply_close(&desk->reply);
		return;
	}
	if (rf_tx_error() != 0 || !is_known(conn))
		return;
	reply_push_flags(conn->id, RF_MSG_LAST_WORD);
	parked_suspend(conn);
	set_flag(conn, RF_CONN_CLOSING, true);
	if (!(desk->asked & ASK_CLOSE))
		desk->closing = NULL;
	RF_SET(conn->own[RF_OWN_NEXT], (uintptr_t)desk->closing);
	desk->closing = conn;
	desk->asked |= ASK_CLOSE;
}

/* Of the one whose request is run, its reply says so. */
static void note_patience(bool before)
{
	if (!(desk->asked & ASK_PATIENCE))
		desk->asked |= ASK_PATIENCE | (before ? ASK_WAS_PATIENT : 0);
}

void rf_conn_set_patient(struct rf_conn *conn, bool patient)
{
	bool before = conns_is_patient(conn);

	if (rf_tx_error() != 0 || !is_known(conn))
		return;
	set_flag(conn, RF_CONN_PATIENT, patient);
	if (conn == desk->running)
		note_patience(before);
	else if (conns_is_patient(conn) != before)
		reply_push_flags(
			conn->id, before ? RF_MSG_IMPATIENT : RF_MSG_PATIENT);
}

/* Should the transaction fail, it is called for nothing. */
void rf_tick_by(int64_t at_ms)
{
	if (at_ms < desk->tick_at_ms)
		desk->tick_at_ms = at_ms;
}

void rf_leave(void)
{
	desk->asked |= ASK_LEAVE;
}
