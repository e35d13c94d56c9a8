/* SPDX-License-Identifier: MIT */
/* conf.h -- the ini file, read, checked and turned into numbers.
 *
 * The only user of inih is ini_read.c. Every key stands once, in the table of
 * conf_keys.c: name, type, default, range, when it applies, help text.
 */
#ifndef CONF_H
#define CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define CONF_TEXT_MAX	       255
#define CONF_LISTEN_MAX	       16
#define CONF_REQUEST_BYTES_MAX ((uint64_t)1 << 30)

/* The same as enum rf_backend. */
enum conf_backend {
	CONF_BACKEND_POSIX,
	CONF_BACKEND_MEMFD,
	CONF_BACKEND_SYSV,
	CONF_BACKEND_FILE
};
enum conf_huge { CONF_HUGE_NEVER, CONF_HUGE_ADVISE, CONF_HUGE_REQUIRE };
enum conf_guard { CONF_GUARD_OFF, CONF_GUARD_PKEY, CONF_GUARD_AUTO };
enum conf_core { CONF_CORE_EXCLUDE, CONF_CORE_INCLUDE };
enum conf_on_stop {
	/* Keep a file; a memfd that the service manager keeps is its to drop;
	 * release everything else. */
	CONF_ON_STOP_AUTO,
	CONF_ON_STOP_RELEASE,
	CONF_ON_STOP_KEEP
};

enum conf_preserve {
	CONF_PRESERVE_NO,     /* connections end with the daemon */
	CONF_PRESERVE_RESTART /* the service manager keeps them meanwhile */
};

/* What a child is kept from doing: worker/confine/. */
enum conf_confine {
	CONF_CONFINE_OFF,
	CONF_CONFINE_BASIC, /* new programs, other processes, the system */
	CONF_CONFINE_STRICT /* and writing files, new sockets */
};

enum conf_log_target {
	CONF_LOG_AUTO, /* the journal when stderr leads there */
	CONF_LOG_JOURNAL,
	CONF_LOG_STDERR
};

enum conf_log_format { CONF_LOG_TEXT, CONF_LOG_JSON };
enum conf_codec { CONF_CODEC_RESP };
enum conf_on_limit {
	CONF_ON_LIMIT_HOLD,
	CONF_ON_LIMIT_EXIT,
	CONF_ON_LIMIT_COLD
};
/* Why keys are removed when there is no room; the words are redis's. */
enum conf_policy {
	CONF_POLICY_NOEVICTION,
	CONF_POLICY_ALLKEYS_LRU,
	CONF_POLICY_ALLKEYS_LFU,
	CONF_POLICY_ALLKEYS_RANDOM,
	CONF_POLICY_VOLATILE_LRU,
	CONF_POLICY_VOLATILE_LFU,
	CONF_POLICY_VOLATILE_RANDOM,
	CONF_POLICY_VOLATILE_TTL,
};
enum conf_crash_report { CONF_REPORT_FULL, CONF_REPORT_BRIEF };

struct conf {
	struct {
		char name[CONF_TEXT_MAX + 1];
		char worker[CONF_TEXT_MAX + 1];
		char worker_args[CONF_TEXT_MAX + 1];
		char runtime_dir[CONF_TEXT_MAX + 1];
		char state_dir[CONF_TEXT_MAX + 1];
		char control_mode[CONF_TEXT_MAX + 1];  /* "0600" */
		char control_group[CONF_TEXT_MAX + 1]; /* "": none */
	} refork;
	struct {
		int backend;		      /* enum conf_backend */
		char path[CONF_TEXT_MAX + 1]; /* "": in state_dir */
		char key[CONF_TEXT_MAX + 1];  /* of sysv; "auto": of path */
		uint64_t size_bytes, max_bytes;
		bool reserve;
		int huge_pages; /* enum conf_huge */
		bool lock_memory;
		int guard; /* enum conf_guard */
		bool undo_check;
		uint64_t sync_interval_ms; /* of file; 0: at the stop only */
		int core;		   /* enum conf_core */
		int on_stop;		   /* enum conf_on_stop */
	} arena;
	struct {
		char listen[CONF_LISTEN_MAX][CONF_TEXT_MAX + 1];
		int listen_count;
		int codec; /* enum conf_codec */
		uint64_t max_clients, backlog;
		uint64_t tcp_keepalive_ms, client_idle_timeout_ms;
		uint64_t max_request_bytes, max_reply_bytes;
		uint64_t client_output_limit_bytes;
		uint64_t park_timeout_ms, drain_timeout_ms;
		int preserve_clients; /* enum conf_preserve */
		bool confine;
	} network;
	struct {
		uint64_t standby; /* 0 or 1 */
		uint64_t start_timeout_ms;
		uint64_t request_timeout_ms, heartbeat_timeout_ms;
		bool allow_crash_test;
		int confine; /* enum conf_confine */
	} business;
	struct {
		uint64_t delay_ms, delay_max_ms, jitter_percent;
		uint64_t window_ms, burst;
		int on_limit; /* enum conf_on_limit */
	} restart;
	struct {
		uint64_t attempts, keep;
		uint64_t client_limit, client_ban_ms;
	} quarantine;
	struct {
		uint64_t keep;
		int report; /* enum conf_crash_report */
		char on_crash_exec[CONF_TEXT_MAX + 1];
	} crash;
	struct {
		uint64_t canary_ms;
	} upgrade;
	struct { /* of the worker "kv"; it reads them by name */
		uint64_t databases;
		char requirepass_file[CONF_TEXT_MAX + 1];
		uint64_t maxmemory_bytes;
		int maxmemory_policy; /* enum conf_policy */
		char notify_keyspace_events[CONF_TEXT_MAX + 1];
	} kv;
	struct {
		int level;  /* enum rf_log_level */
		int target; /* enum conf_log_target */
		int format; /* enum conf_log_format */
	} log;
};

/* One "section.key=value" from the command line. */
struct conf_override {
	const char *text;
};

/* Zeroed, in memory shared with every process forked later: a value changed by
 * a reload is seen by all at once. Texts and lists are never changed while
 * children live, but for those that only the supervisor uses. NULL with
 * errno. */
struct conf *conf_create(void);

/* The defaults, overruled by the file, overruled by the overrides: those of a
 * list replace it, of several for another key the last one counts.
 *
 * Every problem is one line in `problems`: "path:line: error: ..." or, of an
 * override, "-o section.key=value: error: ...".
 *
 * path     NULL: defaults and overrides only
 * Returns  the number of problems. Only when it is 0 *conf is what was asked
 *          for; else a default stands for each value that was refused. */
int conf_load(struct conf *conf, const char *path,
	const struct conf_override *overrides, int override_count,
	FILE *problems);

/* The same from an open file, or NULL, called `name` in messages. */
int conf_load_stream(struct conf *conf, FILE *in, const char *name,
	const struct conf_override *overrides, int override_count,
	FILE *problems);

/* The line of the file that "section.key" has its value from; 0: it has it from
 * elsewhere, or is a list. */
int conf_line(const char *path, const struct conf_override *overrides,
	int override_count, const char *section_key);

/* The value of "section.key" as text the ini would accept; NULL when unknown.
 * Lists are joined by one space. Valid until the next call. */
const char *conf_get(const struct conf *conf, const char *section_key);

/* refork.control_mode as a number. */
mode_t conf_mode(const char *text);
/* A group by its name or number; false: there is none. */
bool conf_group(const char *text, gid_t *gid);

/* The whole configuration as an ini file, with comments. */
void conf_print(const struct conf *conf, FILE *out);

#endif
