/* SPDX-License-Identifier: MIT */
/* line.h -- clients as CLIENT LIST shows them, and choosing among them. */
#ifndef KV_LINE_H
#define KV_LINE_H

#include "worker/kv/client/clients.h"

enum kv_client_type { TYPE_NORMAL, TYPE_MASTER, TYPE_REPLICA, TYPE_PUBSUB };

/* false: the error has been replied. */
bool kv_type_parse(
	struct kv_call *call, struct rf_bytes name, enum kv_client_type *type);
enum kv_client_type kv_type_of(const struct rf_conn *conn);

/* Where the service listens, as far as it can be told: redis's laddr. */
struct rf_bytes kv_local_address(const struct rf_conn *conn);

/* NULL: none has that id. O(connections). */
struct rf_conn *kv_conn_by_serial(int64_t serial);

#endif
