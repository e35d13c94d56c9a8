/* SPDX-License-Identifier: MIT */
/* walk.h -- the rooms of the worker's state, each with its walker (walk.c). */
#ifndef KV_WALK_H
#define KV_WALK_H

#include <refork/walk.h>

struct kv_root;
struct kv_clients;
struct kv_value;

/* From the roots, which are sound blocks. */
void kv_keys_walk(struct rf_walk *walk, const struct kv_root *root);
void kv_client_walk(struct rf_walk *walk, const struct kv_clients *clients);
void kv_server_walk(struct rf_walk *walk, const struct kv_root *root);

/* The hooks. */
void kv_walk(struct rf_walk *walk);
int kv_verify(void);

#endif
