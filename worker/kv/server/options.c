/* SPDX-License-Identifier: MIT */
/* options.c -- every option of CONFIG, once.
 *
 * Three sorts. What changes how the worker behaves is a field of kv_settings.
 * What the ini decides can be read, and set to what it is already. The rest is
 * here because clients and their tests set it: the names of things that this
 * server does not have, or does in its own way; a value is checked, kept and
 * shown again.
 */
#include "worker/kv/server/config.h"
#include "worker/kv/server/option_kinds.h"
#include <limits.h>

static const char *const policies[] = {
	[KV_NOEVICTION] = "noeviction",
	[KV_ALLKEYS_LRU] = "allkeys-lru",
	[KV_ALLKEYS_LFU] = "allkeys-lfu",
	[KV_ALLKEYS_RANDOM] = "allkeys-random",
	[KV_VOLATILE_LRU] = "volatile-lru",
	[KV_VOLATILE_LFU] = "volatile-lfu",
	[KV_VOLATILE_RANDOM] = "volatile-random",
	[KV_VOLATILE_TTL] = "volatile-ttl",
	[KV_POLICY_COUNT] = NULL,
};
static const char *const fsyncs[] = {"everysec", "always", "no", NULL};
static const char *const sanitizes[] = {"no", "yes", "clients", NULL};
static const char *const oom_adjusts[] = {
	"no", "yes", "relative", "absolute", NULL};

#define FIELD(name) offsetof(struct kv_settings, name)
#define SET_(name, kind, field, min, max, standard, ini, words)                \
	{                                                                      \
		name, &kv_kind_##kind, KV_OF_SETTINGS, FIELD(field), min, max, \
			standard, ini, words                                   \
	}
#define NUMBER(name, field, min, max, standard)                                \
	SET_(name, number, field, min, max, standard, NULL, NULL)
#define INI(name, kind, ini, standard)                                         \
	{                                                                      \
		name, &kv_kind_##kind, KV_OF_INI, 0, 0, 0, standard, ini, NULL \
	}
#define KEPT(name, kind, min, max, standard, words)                            \
	{                                                                      \
		name, &kv_kind_##kind, KV_KEPT, 0, min, max, standard, NULL,   \
			words                                                  \
	}
#define HIDDEN(name)                                                           \
	{                                                                      \
		name, &kv_kind_number, KV_HIDDEN, 0, INT_MIN, INT_MAX, "0",    \
			NULL, NULL                                             \
	}
#define KEPT_NUMBER(name, min, max, standard)                                  \
	KEPT(name, number, min, max, standard, NULL)
#define KEPT_BYTES(name, standard)                                             \
	KEPT(name, bytes, 0, LONG_MAX, standard, NULL)
#define KEPT_BOOL(name, standard) KEPT(name, yes_no, 0, 1, standard, NULL)
#define KEPT_TEXT(name, standard) KEPT(name, text, 0, 0, standard, NULL)

const struct kv_option kv_options[] = {
	/* memory */
	SET_("maxmemory", maxmemory, maxmemory_bytes, 0, LONG_MAX, "0",
		"kv.maxmemory", NULL),
	SET_("maxmemory-policy", choice, maxmemory_policy, 0, 0, "noeviction",
		"kv.maxmemory_policy", policies),
	SET_("maxmemory-samples", number, maxmemory_samples, 1, INT_MAX, "5",
		"kv.maxmemory_samples", NULL),
	NUMBER("lfu-log-factor", lfu_log_factor, 0, INT_MAX, "10"),
	NUMBER("lfu-decay-time", lfu_decay_minutes, 0, INT_MAX, "1"),

	/* compact forms */
	NUMBER("hash-max-listpack-entries", hash_entries, 0, UINT_MAX, "512"),
	NUMBER("hash-max-ziplist-entries", hash_entries, 0, UINT_MAX, "512"),
	NUMBER("hash-max-listpack-value", hash_bytes, 0, UINT_MAX, "64"),
	NUMBER("hash-max-ziplist-value", hash_bytes, 0, UINT_MAX, "64"),
	NUMBER("zset-max-listpack-entries", zset_entries, 0, UINT_MAX, "128"),
	NUMBER("zset-max-ziplist-entries", zset_entries, 0, UINT_MAX, "128"),
	NUMBER("zset-max-listpack-value", zset_bytes, 0, UINT_MAX, "64"),
	NUMBER("zset-max-ziplist-value", zset_bytes, 0, UINT_MAX, "64"),
	NUMBER("set-max-intset-entries", set_ints, 0, UINT_MAX, "512"),
	NUMBER("list-max-listpack-size", list_size, INT_MIN, INT_MAX, "-2"),
	NUMBER("list-max-ziplist-size", list_size, INT_MIN, INT_MAX, "-2"),

	/* what is watched and told */
	SET_("notify-keyspace-events", events, notify_events, 0, 0, "",
		"kv.notify_keyspace_events", NULL),
	NUMBER("slowlog-log-slower-than", slowlog_us, -1, LONG_MAX, "10000"),
	NUMBER("slowlog-max-len", slowlog_max_len, 0, 1000000, "128"),
	NUMBER("latency-monitor-threshold", latency_ms, 0, LONG_MAX, "0"),

	/* clients */
	{"requirepass", &kv_kind_text, KV_PASSWORD, 0, 0, 0, "", NULL, NULL},
	SET_("proto-max-bulk-len", bytes, string_bytes_max, 1 << 20, LONG_MAX,
		"536870912", "network.max_request", NULL),
	INI("maxclients", number, "network.max_clients", "0"),
	INI("timeout", seconds, "network.client_idle_timeout", "0"),
	INI("tcp-keepalive", seconds, "network.tcp_keepalive", "0"),
	INI("tcp-backlog", number, "network.backlog", "0"),
	INI("port", port, "network.listen", "0"),
	INI("bind", text, "network.listen", ""),
	INI("protected-mode", yes_no, NULL, "no"),
	INI("databases", databases, "kv.databases", "16"),
	INI("loglevel", text, "log.level", "info"),
	INI("daemonize", yes_no, NULL, "no"),
	INI("cluster-enabled", yes_no, NULL, "no"),
	INI("io-threads", number, NULL, "1"),

	/* kept */
	KEPT_TEXT("save", ""),
	INI("appendonly", yes_no, NULL, "no"),
	KEPT("appendfsync", choice, 0, 0, "everysec", fsyncs),
	KEPT_BOOL("no-appendfsync-on-rewrite", "no"),
	KEPT_BOOL("aof-use-rdb-preamble", "yes"),
	KEPT_NUMBER("auto-aof-rewrite-percentage", 0, INT_MAX, "100"),
	KEPT_BYTES("auto-aof-rewrite-min-size", "67108864"),
	KEPT_BOOL("rdbcompression", "yes"),
	KEPT_BOOL("rdbchecksum", "yes"),
	HIDDEN("rdb-key-save-delay"),
	HIDDEN("key-load-delay"),
	KEPT_BOOL("stop-writes-on-bgsave-error", "yes"),
	KEPT("sanitize-dump-payload", choice, 0, 0, "no", sanitizes),
	KEPT_TEXT("dir", "/"),
	KEPT_TEXT("dbfilename", ""),

	KEPT_NUMBER("hz", 1, 500, "10"),
	KEPT_BOOL("dynamic-hz", "yes"),
	KEPT_BOOL("activerehashing", "yes"),
	KEPT_NUMBER("active-expire-effort", 1, 10, "1"),
	KEPT_NUMBER("maxmemory-eviction-tenacity", 0, 100, "10"),
	KEPT("maxmemory-clients", share, 0, LONG_MAX, "0", NULL),
	KEPT_BOOL("replica-ignore-maxmemory", "yes"),
	KEPT_BOOL("activedefrag", "no"),
	KEPT_NUMBER("active-defrag-cycle-min", 1, 99, "1"),
	KEPT_NUMBER("active-defrag-cycle-max", 1, 99, "25"),
	KEPT_NUMBER("active-defrag-threshold-lower", 0, 1000, "10"),
	KEPT_NUMBER("active-defrag-threshold-upper", 0, 1000, "100"),
	KEPT_NUMBER("active-defrag-max-scan-fields", 1, LONG_MAX, "1000"),
	KEPT_BYTES("active-defrag-ignore-bytes", "104857600"),
	KEPT_BOOL("lazyfree-lazy-eviction", "no"),
	KEPT_BOOL("lazyfree-lazy-expire", "no"),
	KEPT_BOOL("lazyfree-lazy-server-del", "no"),
	KEPT_BOOL("lazyfree-lazy-user-del", "no"),
	KEPT_BOOL("lazyfree-lazy-user-flush", "no"),
	KEPT_BOOL("replica-lazy-flush", "no"),
	KEPT_NUMBER("list-compress-depth", 0, INT_MAX, "0"),
	KEPT_NUMBER("stream-node-max-entries", 0, LONG_MAX, "100"),
	KEPT_BYTES("stream-node-max-bytes", "4096"),
	KEPT_BYTES("hll-sparse-max-bytes", "3000"),

	KEPT_BYTES("client-query-buffer-limit", "1073741824"),
	KEPT_TEXT("client-output-buffer-limit",
		"normal 0 0 0 slave 268435456 67108864 60 "
		"pubsub 33554432 8388608 60"),
	KEPT_BOOL("latency-tracking", "no"),
	KEPT_TEXT("latency-tracking-info-percentiles", "50 99 99.9"),
	KEPT_NUMBER("tracking-table-max-keys", 0, LONG_MAX, "1000000"),
	KEPT_NUMBER("acllog-max-len", 0, LONG_MAX, "128"),
	KEPT_BOOL("crash-log-enabled", "yes"),
	KEPT("oom-score-adj", choice, 0, 0, "no", oom_adjusts),
	KEPT_TEXT("oom-score-adj-values", "0 200 800"),

	KEPT_NUMBER("lua-time-limit", 0, LONG_MAX, "5000"),
	KEPT_NUMBER("busy-reply-threshold", 0, LONG_MAX, "5000"),
	KEPT_BYTES("repl-backlog-size", "1048576"),
	KEPT_NUMBER("repl-timeout", 1, INT_MAX, "60"),
	KEPT_NUMBER("repl-ping-replica-period", 1, INT_MAX, "10"),
	KEPT_NUMBER("min-replicas-to-write", 0, 0, "0"),
	KEPT_TEXT("masterauth", ""),
	KEPT_TEXT("masteruser", ""),
	INI("replicaof", text, NULL, ""),
	INI("slaveof", text, NULL, ""),
	KEPT_BOOL("replica-read-only", "yes"),
	KEPT_BOOL("slave-read-only", "yes"),
	KEPT_BOOL("replica-serve-stale-data", "yes"),
};
const size_t kv_option_count = sizeof kv_options / sizeof *kv_options;
