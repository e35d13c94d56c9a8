/* SPDX-License-Identifier: MIT */
/* walk.c -- all that the worker keeps, from its two slots on.
 *
 * `verify` and `walk` are the same walk. Nothing that is static in the worker
 * is used by it: neither `build` nor `start` may have run in this process.
 */
#include "worker/kv/walk.h"
#include "worker/kv/client/clients.h"
#include "worker/kv/keys/root.h"

void kv_walk(struct rf_walk *walk)
{
	const struct kv_clients *clients;
	const struct kv_root *root = rf_walk_slot(walk, "kv", "kv_root",
		KV_STATE_VERSION, sizeof(struct kv_root));

	if (root != NULL) {
		kv_keys_walk(walk, root);
		kv_server_walk(walk, root);
	} else {
		rf_walk_problem(walk, NULL, "there is no slot 'kv'");
	}
	clients = rf_walk_slot(walk, "kv_clients", "kv_clients",
		KV_STATE_VERSION, sizeof(struct kv_clients));
	if (clients != NULL)
		kv_client_walk(walk, clients);
	else
		rf_walk_problem(walk, NULL, "there is no slot 'kv_clients'");
}

int kv_verify(void)
{
	return rf_walk_check(kv_walk);
}
