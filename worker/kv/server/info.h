/* SPDX-License-Identifier: MIT */
/* info.h -- the sections of INFO. */
#ifndef KV_INFO_H
#define KV_INFO_H

#include "worker/kv/server/records.h"

#define KV_INFO_BYTES_MAX ((size_t)128 << 10)

struct kv_info {
	char text[KV_INFO_BYTES_MAX];
	size_t bytes;
	struct rf_stats stats;
	int64_t now_ms;
};

void kv_info_print(struct kv_info *info, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void kv_info_number(struct kv_info *info, const char *name, uint64_t value);
/* Two lines: the number, and NAME_human:1.06M. */
void kv_info_bytes(struct kv_info *info, const char *name, uint64_t bytes);

/* info_server.c */
void kv_info_server(struct kv_info *info);
void kv_info_clients(struct kv_info *info);
void kv_info_persistence(struct kv_info *info);
void kv_info_replication(struct kv_info *info);
void kv_info_cpu(struct kv_info *info);
void kv_info_cluster(struct kv_info *info);
void kv_info_refork(struct kv_info *info);
/* info_memory.c */
void kv_info_memory(struct kv_info *info);
/* info_stats.c */
void kv_info_stats(struct kv_info *info);
void kv_info_commandstats(struct kv_info *info);
void kv_info_errorstats(struct kv_info *info);
void kv_info_keyspace(struct kv_info *info);

#endif
