/* SPDX-License-Identifier: MIT */
/* option_kinds.h -- the kinds of options: how each is read and shown. */
#ifndef KV_OPTION_KINDS_H
#define KV_OPTION_KINDS_H

#include "worker/kv/server/config.h"

extern const struct kv_option_kind kv_kind_number, kv_kind_bytes,
	kv_kind_maxmemory, kv_kind_share, kv_kind_yes_no, kv_kind_choice,
	kv_kind_events, kv_kind_text, kv_kind_seconds, kv_kind_port,
	kv_kind_databases;

#endif
