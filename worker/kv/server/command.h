/* SPDX-License-Identifier: MIT */
/* command.h -- what the files of COMMAND share. */
#ifndef KV_COMMAND_H
#define KV_COMMAND_H

#include "worker/kv/kv.h"

/* A set of the names of enum kv_spec_flag. */
void kv_reply_spec_flags(struct kv_call *call, uint32_t flags);

size_t kv_count_children(const struct kv_command *parent);

#endif
