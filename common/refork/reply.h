/* SPDX-License-Identifier: MIT */
/* reply.h -- the bytes that answer a request.
 *
 * They are written straight into the reply ring, beyond what the network
 * child can see, and become visible with the commit. A reply that outgrows
 * the ring goes on in the large-reply area. Errors stick to the transaction
 * (-EMSGSIZE above max_reply, -ENOMEM), so nothing here needs a check.
 */
#ifndef REFORK_REPLY_H
#define REFORK_REPLY_H

#include <refork/check.h>
#include <stddef.h>
#include <stdint.h>

struct rf_reply;

/* Contiguous room for `bytes` more, or NULL once an error has stuck. Follow
 * with rf_reply_took(). Pointers from earlier calls are void after this. */
RF_API char *rf_reply_room(struct rf_reply *reply, size_t bytes);
RF_API void rf_reply_took(struct rf_reply *reply, size_t bytes);
RF_API void rf_reply_bytes(
	struct rf_reply *reply, const void *from, size_t bytes);

/* Bytes written so far: a mark for the two calls below. */
RF_API size_t rf_reply_size(const struct rf_reply *reply);
RF_API void rf_reply_truncate(struct rf_reply *reply, size_t mark);
/* Slip bytes in at a mark; what follows moves. For counts known late. */
RF_API void rf_reply_insert(
	struct rf_reply *reply, size_t mark, const void *from, size_t bytes);

/* This request is answered by nothing, on purpose. A handler that writes
 * nothing and does not say so has its client told of an error. */
RF_API void rf_reply_nothing(struct rf_reply *reply);

/* Close the connection once this reply has been sent. */
RF_API void rf_reply_close(struct rf_reply *reply);

/* Send bytes to any connection, unasked (a push). Goes out with the commit,
 * after this request's reply, in the order of the calls. Ignored when that
 * connection has ended. All pushes of a transaction together are limited like
 * one reply: -EMSGSIZE above max_reply. Needs an open transaction (request,
 * tick). */
RF_API void rf_push(uint64_t conn_id, const void *from, size_t bytes);

#endif
