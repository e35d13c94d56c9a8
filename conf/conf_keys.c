/* SPDX-License-Identifier: MIT */
/* conf_keys.c -- every key of the configuration, once.
 *
 * Defaults, ranges, `--print-config`, messages and tests are read from this
 * table; a new key is a field in struct conf and an entry here.
 */
#include "conf/conf_keys.h"

#include "conf/conf_text.h"

#include <refork/log.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KIB	    UINT64_C(1024)
#define MIB	    (1024 * KIB)
#define GIB	    (1024 * MIB)
#define SECOND	    UINT64_C(1000)
#define HOUR	    (3600 * SECOND)
#define FIELD(name) .offset = offsetof(struct conf, name)

static const char *const backend_words[] = {[CONF_BACKEND_POSIX] = "posix",
	[CONF_BACKEND_MEMFD] = "memfd",
	[CONF_BACKEND_SYSV] = "sysv",
	[CONF_BACKEND_FILE] = "file",
	NULL};
static const char *const huge_words[] = {[CONF_HUGE_NEVER] = "never",
	[CONF_HUGE_ADVISE] = "advise",
	[CONF_HUGE_REQUIRE] = "require",
	NULL};
static const char *const guard_words[] = {[CONF_GUARD_OFF] = "off",
	[CONF_GUARD_PKEY] = "pkey",
	[CONF_GUARD_AUTO] = "auto",
	NULL};
static const char *const core_words[] = {
	[CONF_CORE_EXCLUDE] = "exclude", [CONF_CORE_INCLUDE] = "include", NULL};
static const char *const on_stop_words[] = {[CONF_ON_STOP_AUTO] = "auto",
	[CONF_ON_STOP_RELEASE] = "release",
	[CONF_ON_STOP_KEEP] = "keep",
	NULL};
static const char *const on_limit_words[] = {[CONF_ON_LIMIT_HOLD] = "hold",
	[CONF_ON_LIMIT_EXIT] = "exit",
	[CONF_ON_LIMIT_COLD] = "cold",
	NULL};
static const char *const crash_report_words[] = {
	[CONF_REPORT_FULL] = "full", [CONF_REPORT_BRIEF] = "brief", NULL};
static const char *const policy_words[] = {
	[CONF_POLICY_NOEVICTION] = "noeviction",
	[CONF_POLICY_ALLKEYS_LRU] = "allkeys-lru",
	[CONF_POLICY_ALLKEYS_LFU] = "allkeys-lfu",
	[CONF_POLICY_ALLKEYS_RANDOM] = "allkeys-random",
	[CONF_POLICY_VOLATILE_LRU] = "volatile-lru",
	[CONF_POLICY_VOLATILE_LFU] = "volatile-lfu",
	[CONF_POLICY_VOLATILE_RANDOM] = "volatile-random",
	[CONF_POLICY_VOLATILE_TTL] = "volatile-ttl",
	NULL};
static const char *const codec_words[] = {[CONF_CODEC_RESP] = "resp", NULL};
static const char *const level_words[RF_LOG_LEVEL_COUNT + 1] = {
	[RF_LOG_ERROR] = "error",
	[RF_LOG_WARNING] = "warning",
	[RF_LOG_NOTICE] = "notice",
	[RF_LOG_INFO] = "info",
	[RF_LOG_DEBUG] = "debug"};

static const char *const preserve_words[] = {
	[CONF_PRESERVE_NO] = "no", [CONF_PRESERVE_RESTART] = "restart", NULL};
static const char *const confine_words[] = {[CONF_CONFINE_OFF] = "off",
	[CONF_CONFINE_BASIC] = "basic",
	[CONF_CONFINE_STRICT] = "strict",
	NULL};
static const char *const target_words[] = {[CONF_LOG_AUTO] = "auto",
	[CONF_LOG_JOURNAL] = "journal",
	[CONF_LOG_STDERR] = "stderr",
	NULL};
static const char *const format_words[] = {
	[CONF_LOG_TEXT] = "text", [CONF_LOG_JSON] = "json", NULL};

const char *const conf_applied_names[CONF_APPLIED_COUNT] = {
	[CONF_APPLIED_RESTART] = "restart",
	[CONF_APPLIED_UPGRADE] = "upgrade",
	[CONF_APPLIED_FORK] = "next fork",
	[CONF_APPLIED_RELOAD] = "reload",
};

/* What the service manager has made for us; else root's directory, or one below
 * $variable, or below $HOME, or in /tmp. */
static void user_dir(char *text, const char *of_manager, const char *of_root,
	const char *variable, const char *below_home)
{
	const char *base = getenv(variable), *home = getenv("HOME");
	const char *made = getenv(of_manager);

	if (made && made[0] == '/') /* the first of a list */
		snprintf(text, CONF_STANDARD_BYTES, "%.*s",
			(int)strcspn(made, ":"), made);
	else if (geteuid() == 0)
		snprintf(text, CONF_STANDARD_BYTES, "%s", of_root);
	else if (base && base[0] == '/')
		snprintf(text, CONF_STANDARD_BYTES, "%s/refork", base);
	else if (below_home && home && home[0] == '/')
		snprintf(text, CONF_STANDARD_BYTES, "%s/%s", home, below_home);
	else
		snprintf(text, CONF_STANDARD_BYTES, "/tmp/refork-%u",
			(unsigned)geteuid());
}

static void runtime_dir_of_user(char text[CONF_STANDARD_BYTES])
{
	user_dir(text, "RUNTIME_DIRECTORY", "/run/refork", "XDG_RUNTIME_DIR",
		NULL);
}

static void state_dir_of_user(char text[CONF_STANDARD_BYTES])
{
	user_dir(text, "STATE_DIRECTORY", "/var/lib/refork", "XDG_STATE_HOME",
		".local/state/refork");
}

/* A service manager that keeps descriptors says so: see fdstore.h. */
static void backend_of_manager(char text[CONF_STANDARD_BYTES])
{
	const char *room = getenv("FDSTORE");

	snprintf(text, CONF_STANDARD_BYTES, "%s",
		room && atoi(room) > 0 && getenv("NOTIFY_SOCKET") ? "memfd"
								  : "posix");
}

const struct conf_key conf_keys[] = {
	{"refork", "name", CONF_TYPE_TEXT, CONF_APPLIED_RESTART,
		FIELD(refork.name), .standard = "kv", .min = 1, .max = 31,
		.flaw = conf_text_name,
		.help = "Names the service: its segments, socket and logs."},
	{"refork", "worker", CONF_TYPE_TEXT, CONF_APPLIED_UPGRADE,
		FIELD(refork.worker), .path = true, .standard = "kv", .min = 1,
		.max = CONF_TEXT_MAX,
		.help = "A name in the worker directory, or a path with a /."},
	{"refork", "worker_args", CONF_TYPE_TEXT, CONF_APPLIED_RESTART,
		FIELD(refork.worker_args), .standard = "", .max = CONF_TEXT_MAX,
		.help = "Handed to the worker as it is."},
	{"refork", "runtime_dir", CONF_TYPE_TEXT, CONF_APPLIED_RESTART,
		FIELD(refork.runtime_dir), .path = true,
		.standard_of_user = runtime_dir_of_user, .min = 1,
		.max = CONF_TEXT_MAX, .flaw = conf_text_absolute,
		.help = "Holds the control socket."},
	{"refork", "state_dir", CONF_TYPE_TEXT, CONF_APPLIED_RESTART,
		FIELD(refork.state_dir), .path = true,
		.standard_of_user = state_dir_of_user, .min = 1,
		.max = CONF_TEXT_MAX, .flaw = conf_text_absolute,
		.help = "Holds what outlives the machine's run."},
	{"refork", "control_mode", CONF_TYPE_TEXT, CONF_APPLIED_RESTART,
		FIELD(refork.control_mode), .standard = "0600", .min = 3,
		.max = 4, .flaw = conf_text_mode,
		.help = "Of the control socket: who may command this daemon."},
	{"refork", "control_group", CONF_TYPE_TEXT, CONF_APPLIED_RESTART,
		FIELD(refork.control_group), .standard = "", .max = 31,
		.flaw = conf_text_group,
		.help = "The control socket's group; needs control_mode = "
			"0660 to be of use."},

	{"arena", "backend", CONF_TYPE_CHOICE, CONF_APPLIED_RESTART,
		FIELD(arena.backend), .standard = "posix",
		.standard_of_user = backend_of_manager, .words = backend_words,
		.help = "posix and sysv outlive a killed supervisor, file the "
			"machine's run, too; memfd where a service manager "
			"keeps it: then that is the default."},
	{"arena", "path", CONF_TYPE_TEXT, CONF_APPLIED_RESTART,
		FIELD(arena.path), .path = true, .standard = "",
		.max = CONF_TEXT_MAX, .flaw = conf_text_file,
		.help = "The file of backend file, or what the key of sysv is "
			"made of; empty: NAME.arena in refork.state_dir."},
	{"arena", "key", CONF_TYPE_TEXT, CONF_APPLIED_RESTART, FIELD(arena.key),
		.standard = "auto", .max = 10, .flaw = conf_text_key,
		.help = "Of backend sysv, 0x and up to 8 digits; auto: made of "
			"arena.path as by ftok."},
	{"arena", "size", CONF_TYPE_SIZE, CONF_APPLIED_RESTART,
		FIELD(arena.size_bytes), .standard = "256M", .min = 16 * MIB,
		.max = 128 * GIB,
		.help = "Memory taken at the start; with sysv all "
			"there will be."},
	{"arena", "max", CONF_TYPE_SIZE, CONF_APPLIED_RESTART,
		FIELD(arena.max_bytes), .standard = "4G", .min = 16 * MIB,
		.max = 128 * GIB,
		.help = "Memory taken at most. sysv cannot grow: one of size "
			"and max is enough, or both alike."},
	{"arena", "reserve", CONF_TYPE_BOOL, CONF_APPLIED_RESTART,
		FIELD(arena.reserve), .standard = "no",
		.help = "Take all of arena.max at the start: to grow cannot "
			"fail then."},
	{"arena", "huge_pages", CONF_TYPE_CHOICE, CONF_APPLIED_RESTART,
		FIELD(arena.huge_pages), .standard = "advise",
		.words = huge_words,
		.help = "Huge pages make forks and restarts faster. require: "
			"out of the machine's pool, with memfd or sysv."},
	{"arena", "lock_memory", CONF_TYPE_BOOL, CONF_APPLIED_RESTART,
		FIELD(arena.lock_memory), .standard = "no",
		.help = "Never swap the arena; needs RLIMIT_MEMLOCK."},
	{"arena", "guard", CONF_TYPE_CHOICE, CONF_APPLIED_FORK,
		FIELD(arena.guard), .standard = "auto", .words = guard_words,
		.help = "pkey: a write to the arena outside of a transaction "
			"is a crash. auto: where the machine has such keys."},
	{"arena", "undo_check", CONF_TYPE_BOOL, CONF_APPLIED_FORK,
		FIELD(arena.undo_check), .standard = "no",
		.help = "To find bugs in a worker, slow: a change that was not "
			"logged first is a crash."},
	{"arena", "core", CONF_TYPE_CHOICE, CONF_APPLIED_FORK,
		FIELD(arena.core), .standard = "exclude", .words = core_words,
		.help = "Whether core dumps hold the arena."},
	{"arena", "sync_interval", CONF_TYPE_TIME, CONF_APPLIED_RELOAD,
		FIELD(arena.sync_interval_ms), .standard = "0",
		.max = 24 * HOUR,
		.help = "Of backend file: how often what has changed is "
			"written to the disk; 0: by the kernel, and at a "
			"stop."},
	{"arena", "on_stop", CONF_TYPE_CHOICE, CONF_APPLIED_RELOAD,
		FIELD(arena.on_stop), .standard = "auto",
		.words = on_stop_words,
		.help = "Whether the state is given up at a planned stop; "
			"auto: keep a file, leave what the service manager "
			"keeps to it (a restart keeps it, a stop does not), "
			"release everything else."},

	{"network", "listen", CONF_TYPE_LIST, CONF_APPLIED_RESTART,
		FIELD(network.listen), .path = true,
		.count_offset = offsetof(struct conf, network.listen_count),
		.standard = "127.0.0.1:6380", .min = 1, .max = CONF_TEXT_MAX,
		.flaw = conf_text_listen,
		.help = "host:port, [v6]:port, unix:/path, or systemd:NAME for "
			"the sockets of a socket unit; one a line. The mode "
			"of a unix socket is what the umask leaves."},
	{"network", "codec", CONF_TYPE_CHOICE, CONF_APPLIED_RESTART,
		FIELD(network.codec), .standard = "resp", .words = codec_words,
		.help = "The protocol: resp is that of redis."},
	{"network", "max_clients", CONF_TYPE_NUMBER, CONF_APPLIED_RELOAD,
		FIELD(network.max_clients), .standard = "10000", .min = 1,
		.max = 65535, .help = "Connections beyond it are refused."},
	{"network", "backlog", CONF_TYPE_NUMBER, CONF_APPLIED_RELOAD,
		FIELD(network.backlog), .standard = "511", .min = 1,
		.max = 65535, .help = "Connections that wait for accept()."},
	{"network", "tcp_keepalive", CONF_TYPE_TIME, CONF_APPLIED_RELOAD,
		FIELD(network.tcp_keepalive_ms), .standard = "300s",
		.min = SECOND, .max = 9 * HOUR, .zero = true,
		.help = "Silence until TCP probes the client; 0: never."},
	{"network", "client_idle_timeout", CONF_TYPE_TIME, CONF_APPLIED_RELOAD,
		FIELD(network.client_idle_timeout_ms), .standard = "0",
		.max = 8760 * HOUR,
		.help = "Silence until a client is closed; 0: never."},
	{"network", "max_request", CONF_TYPE_SIZE, CONF_APPLIED_RELOAD,
		FIELD(network.max_request_bytes), .standard = "64M", .min = MIB,
		.max = CONF_REQUEST_BYTES_MAX, .help = "The largest request."},
	{"network", "max_reply", CONF_TYPE_SIZE, CONF_APPLIED_RESTART,
		FIELD(network.max_reply_bytes), .standard = "64M", .min = MIB,
		.max = GIB,
		.help = "The largest reply, and all pushes of one PUBLISH."},
	{"network", "client_output_limit", CONF_TYPE_SIZE, CONF_APPLIED_RELOAD,
		FIELD(network.client_output_limit_bytes), .standard = "256M",
		.min = 64 * KIB, .max = 128 * GIB,
		.help = "A client that leaves more replies unread is closed."},
	{"network", "park_timeout", CONF_TYPE_TIME, CONF_APPLIED_RELOAD,
		FIELD(network.park_timeout_ms), .standard = "10s", .max = HOUR,
		.help = "How long clients wait for a business process."},
	{"network", "drain_timeout", CONF_TYPE_TIME, CONF_APPLIED_RELOAD,
		FIELD(network.drain_timeout_ms), .standard = "30s", .max = HOUR,
		.help = "How long a stop waits for what is in flight."},
	{"network", "preserve_clients", CONF_TYPE_CHOICE, CONF_APPLIED_RELOAD,
		FIELD(network.preserve_clients), .standard = "no",
		.words = preserve_words,
		.help = "restart: the service manager keeps the connections "
			"while it restarts the daemon."},
	{"network", "confine", CONF_TYPE_BOOL, CONF_APPLIED_RESTART,
		FIELD(network.confine), .standard = "yes",
		.help = "Keep the network process from all that it does not "
			"need: files, programs, other system calls."},

	{"business", "standby", CONF_TYPE_NUMBER, CONF_APPLIED_RELOAD,
		FIELD(business.standby), .standard = "1", .min = 0, .max = 1,
		.help = "Successors kept ready beside the business process."},
	{"business", "start_timeout", CONF_TYPE_TIME, CONF_APPLIED_RELOAD,
		FIELD(business.start_timeout_ms), .standard = "30s", .min = 100,
		.max = HOUR,
		.help = "A new process that is not ready by then is ended."},
	{"business", "request_timeout", CONF_TYPE_TIME, CONF_APPLIED_RELOAD,
		FIELD(business.request_timeout_ms), .standard = "0", .min = 10,
		.max = HOUR, .zero = true,
		.help = "A request that runs longer counts as a hang; 0: "
			"never."},
	{"business", "heartbeat_timeout", CONF_TYPE_TIME, CONF_APPLIED_RELOAD,
		FIELD(business.heartbeat_timeout_ms), .standard = "10s",
		.min = 500, .max = HOUR, .zero = true,
		.help = "A process silent for longer is ended; 0: never."},
	{"business", "allow_crash_test", CONF_TYPE_BOOL, CONF_APPLIED_RESTART,
		FIELD(business.allow_crash_test), .standard = "no",
		.help = "Let clients crash the business process (DEBUG)."},
	{"business", "confine", CONF_TYPE_CHOICE, CONF_APPLIED_RESTART,
		FIELD(business.confine), .standard = "basic",
		.words = confine_words,
		.help = "basic: the worker starts no programs and touches no "
			"other process; strict: nor does it write files or "
			"make sockets."},

	{"restart", "delay", CONF_TYPE_TIME, CONF_APPLIED_RELOAD,
		FIELD(restart.delay_ms), .standard = "0", .max = HOUR,
		.help = "Wait before the first re-fork; repeats wait longer."},
	{"restart", "delay_max", CONF_TYPE_TIME, CONF_APPLIED_RELOAD,
		FIELD(restart.delay_max_ms), .standard = "30s", .max = HOUR,
		.help = "Wait before a re-fork at most."},
	{"restart", "jitter", CONF_TYPE_PERCENT, CONF_APPLIED_RELOAD,
		FIELD(restart.jitter_percent), .standard = "10%", .max = 100,
		.help = "The waits differ by up to so much, at random."},
	{"restart", "window", CONF_TYPE_TIME, CONF_APPLIED_RELOAD,
		FIELD(restart.window_ms), .standard = "10min", .min = SECOND,
		.max = 24 * HOUR, .help = "Crashes older than that are over."},
	{"restart", "burst", CONF_TYPE_NUMBER, CONF_APPLIED_RELOAD,
		FIELD(restart.burst), .standard = "100", .min = 1,
		.max = 1000000,
		.help = "So many crashes in a window lead to on_limit."},
	{"restart", "on_limit", CONF_TYPE_CHOICE, CONF_APPLIED_RELOAD,
		FIELD(restart.on_limit), .standard = "hold",
		.words = on_limit_words,
		.help = "Park the clients, exit, or start with empty state."},

	{"quarantine", "attempts", CONF_TYPE_NUMBER, CONF_APPLIED_RELOAD,
		FIELD(quarantine.attempts), .standard = "2", .min = 1,
		.max = 10, .help = "Processes that one request may kill."},
	{"quarantine", "keep", CONF_TYPE_NUMBER, CONF_APPLIED_RELOAD,
		FIELD(quarantine.keep), .standard = "128", .max = 10000,
		.help = "Quarantined requests kept in state_dir; 0: none."},
	{"quarantine", "client_limit", CONF_TYPE_NUMBER, CONF_APPLIED_RELOAD,
		FIELD(quarantine.client_limit), .standard = "8", .max = 1000000,
		.help = "Such requests until an address is refused; 0: never."},
	{"quarantine", "client_ban", CONF_TYPE_TIME, CONF_APPLIED_RELOAD,
		FIELD(quarantine.client_ban_ms), .standard = "1min",
		.max = 24 * HOUR, .help = "How long it is refused."},

	{"crash", "keep", CONF_TYPE_NUMBER, CONF_APPLIED_RELOAD,
		FIELD(crash.keep), .standard = "64", .min = 1, .max = 256,
		.help = "Crash records kept."},
	{"crash", "report", CONF_TYPE_CHOICE, CONF_APPLIED_RELOAD,
		FIELD(crash.report), .standard = "full",
		.words = crash_report_words,
		.help = "full: with a backtrace; brief: without."},
	{"crash", "on_crash_exec", CONF_TYPE_TEXT, CONF_APPLIED_RELOAD,
		FIELD(crash.on_crash_exec), .path = true, .standard = "",
		.max = CONF_TEXT_MAX,
		.help = "A program that gets each record as JSON on stdin."},

	{"upgrade", "canary", CONF_TYPE_TIME, CONF_APPLIED_RELOAD,
		FIELD(upgrade.canary_ms), .standard = "30s", .max = 24 * HOUR,
		.help = "A crash so soon after an upgrade takes it back."},

	{"kv", "databases", CONF_TYPE_NUMBER, CONF_APPLIED_RESTART,
		FIELD(kv.databases), .standard = "16", .min = 1, .max = 16384,
		.help = "Databases to SELECT; state that has more keeps them."},
	{"kv", "requirepass_file", CONF_TYPE_TEXT, CONF_APPLIED_RESTART,
		FIELD(kv.requirepass_file), .path = true, .standard = "",
		.max = CONF_TEXT_MAX, .flaw = conf_text_file,
		.help = "Its first line is the password; empty: none."},
	{"kv", "maxmemory", CONF_TYPE_SIZE, CONF_APPLIED_RESTART,
		FIELD(kv.maxmemory_bytes), .standard = "0", .max = 128 * GIB,
		.help = "Memory for data; 0: as far as arena.max. This and "
			"what follows holds for a cold start; CONFIG SET "
			"changes it."},
	{"kv", "maxmemory_policy", CONF_TYPE_CHOICE, CONF_APPLIED_RESTART,
		FIELD(kv.maxmemory_policy), .standard = "noeviction",
		.words = policy_words,
		.help = "Which keys make room when memory ends."},
	{"kv", "notify_keyspace_events", CONF_TYPE_TEXT, CONF_APPLIED_RESTART,
		FIELD(kv.notify_keyspace_events), .standard = "", .max = 16,
		.flaw = conf_text_events,
		.help = "Changes that are published, by redis's letters: "
			"KEA."},

	{"log", "level", CONF_TYPE_CHOICE, CONF_APPLIED_RELOAD,
		FIELD(log.level), .standard = "info", .words = level_words,
		.help = "The least urgent lines that are written."},
	{"log", "target", CONF_TYPE_CHOICE, CONF_APPLIED_RESTART,
		FIELD(log.target), .standard = "auto", .words = target_words,
		.help = "auto: the journal when the service manager leads "
			"stderr there, else stderr."},
	{"log", "format", CONF_TYPE_CHOICE, CONF_APPLIED_RELOAD,
		FIELD(log.format), .standard = "text", .words = format_words,
		.help = "Of lines on stderr; the journal has fields."},
};

const int conf_key_count = sizeof(conf_keys) / sizeof(conf_keys[0]);
_Static_assert(sizeof(conf_keys) / sizeof(conf_keys[0]) <= CONF_KEY_MAX,
	"CONF_KEY_MAX is too small");

int conf_key_find(const char *section, const char *name)
{
	for (int i = 0; i < conf_key_count; i++)
		if (!strcmp(conf_keys[i].section, section) &&
			!strcmp(conf_keys[i].name, name))
			return i;
	return -1;
}

int conf_key_find_dotted(const char *section_key)
{
	const char *dot = strchr(section_key, '.');
	char section[32];

	if (!dot || (size_t)(dot - section_key) >= sizeof(section))
		return -1;
	snprintf(section, sizeof(section), "%.*s", (int)(dot - section_key),
		section_key);
	return conf_key_find(section, dot + 1);
}

bool conf_section_exists(const char *section)
{
	for (int i = 0; i < conf_key_count; i++)
		if (!strcmp(conf_keys[i].section, section))
			return true;
	return false;
}

void conf_key_standard(
	const struct conf_key *key, char text[CONF_STANDARD_BYTES])
{
	if (key->standard_of_user)
		key->standard_of_user(text);
	else
		snprintf(text, CONF_STANDARD_BYTES, "%s", key->standard);
}
