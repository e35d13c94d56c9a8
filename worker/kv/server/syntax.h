/* SPDX-License-Identifier: MIT */
/* syntax.h -- the column `syntax` of the table, read into a tree. */
#ifndef KV_SYNTAX_H
#define KV_SYNTAX_H

#include "worker/kv/kv.h"

#define KV_NODES_MAX 64

enum kv_node_type {
	KV_NODE_VALUE,
	KV_NODE_TOKEN,
	KV_NODE_ONEOF,
	KV_NODE_BLOCK
};

struct kv_node {
	enum kv_node_type type;
	struct rf_bytes name;  /* of a value */
	struct rf_bytes token; /* to be written before it; or all there is */
	bool optional, multiple, multiple_token;
	struct kv_node *child; /* of a choice or a block: the first */
	struct kv_node *next;
};

struct kv_tree {
	struct kv_node nodes[KV_NODES_MAX];
	size_t count;
};

/* The first node; it lives in `tree` and points into the text. The text is
 * one of the table: it is right. */
const struct kv_node *kv_syntax_read(const char *syntax, struct kv_tree *tree);

#endif
