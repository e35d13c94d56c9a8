/* SPDX-License-Identifier: MIT */
/* crash_words.c -- single facts of a crash record, in words. */
#include "crash_words.h"

#include "calls.h"
#include "common/request_text.h"
#include "daemon/control/facts.h"
#include "words.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#ifndef SEGV_PKUERR
#define SEGV_PKUERR 4
#endif
#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1
#endif

/* Where a system call takes its number, in rf_crash.registers. */
#ifdef __x86_64__
#define CALL_REGISTER 13
#else
#define CALL_REGISTER 8
#endif

const char *crash_role(const struct rf_crash *r)
{
	static const char *const names[RF_CRASH_ROLE_COUNT] = {
		[RF_CRASH_BUSINESS] = "business",
		[RF_CRASH_STANDBY] = "standby",
		[RF_CRASH_NETWORK] = "network",
		[RF_CRASH_VAULT] = "vault",
	};

	return names[r->role];
}

const char *crash_cause(const struct rf_crash *r)
{
	static const char *const names[RF_CRASH_CAUSE_COUNT] = {
		[RF_CRASH_ITSELF] = "itself",
		[RF_CRASH_HANG] = "hang",
		[RF_CRASH_TIMEOUT] = "timeout",
		[RF_CRASH_LATE] = "late",
	};

	return names[r->cause];
}

const char *crash_phase(const struct rf_crash *r)
{
	static const char *const names[RF_PHASE_COUNT] = {
		[RF_PHASE_NONE] = "",
		[RF_PHASE_LEASE] = "taking the lease",
		[RF_PHASE_VERIFY] = "verify",
		[RF_PHASE_MIGRATE] = "migrate",
		[RF_PHASE_BIND] = "taking up the channel",
		[RF_PHASE_START] = "start",
		[RF_PHASE_IDLE] = "nothing",
		[RF_PHASE_REQUEST] = "a request",
		[RF_PHASE_CONNECTION] = "a connection",
		[RF_PHASE_TICK] = "tick",
		[RF_PHASE_STOP] = "stop",
	};

	return names[r->phase];
}

const char *crash_rung(const struct rf_crash *r)
{
	return fact_rung_names[r->rung];
}

const char *crash_answer(const struct rf_crash *r)
{
	static const char *const words[RF_RUNG_COUNT] = {
		[RF_RUNG_NONE] = "",
		[RF_RUNG_ROLL_BACK] = "rolled back",
		[RF_RUNG_QUARANTINE] = "rolled back, request quarantined",
		[RF_RUNG_VERIFY] = "rolled back, and the state walked",
		[RF_RUNG_RESTORE] = "the state restored from its last copy",
		[RF_RUNG_COLD] = "began anew with empty state",
		[RF_RUNG_HOLD] = "held until `reforkctl resume` or `upgrade`",
		[RF_RUNG_EXIT] = "gave up: the daemon ended",
	};

	if (r->rung == RF_RUNG_ROLL_BACK && r->request.present)
		return "rolled back, request run again";
	return words[r->rung];
}

/* ---- the end ---- */

bool crash_has_address(const struct rf_crash *r)
{
	return r->has_scene && r->code > 0 && r->code != SI_KERNEL &&
	       (r->status == SIGSEGV || r->status == SIGBUS ||
		       r->status == SIGILL || r->status == SIGFPE);
}

/* Refused by what the process is confined to: worker/confine/. */
static bool is_refused_call(const struct rf_crash *r)
{
	return r->has_scene && r->status == SIGSYS && r->code == SYS_SECCOMP;
}

static void put_refused_call(
	const struct rf_crash *r, char out[CRASH_WORDS_BYTES])
{
	uint64_t number = r->registers[CALL_REGISTER];
	const char *name = call_name(number);

	if (name)
		snprintf(out, CRASH_WORDS_BYTES, "SIGSYS in system call %s",
			name);
	else
		snprintf(out, CRASH_WORDS_BYTES,
			"SIGSYS in system call %" PRIu64, number);
}

const char *crash_end(const struct rf_crash *r, char out[CRASH_WORDS_BYTES])
{
	static const char *const lead[RF_CRASH_CAUSE_COUNT] = {
		[RF_CRASH_ITSELF] = "",
		[RF_CRASH_HANG] = "hung, ",
		[RF_CRASH_TIMEOUT] = "overran request_timeout, ",
		[RF_CRASH_LATE] = "was not ready in time, ",
	};
	const char *name = sigabbrev_np(r->status);
	siginfo_t end = {.si_code = r->how};
	char words[WORDS_MAX];

	end.si_status = r->status;
	if (is_refused_call(r))
		put_refused_call(r, out);
	else if (crash_has_address(r) && name)
		snprintf(out, CRASH_WORDS_BYTES, "%sSIG%s at %#" PRIx64,
			lead[r->cause], name, r->address);
	else
		snprintf(out, CRASH_WORDS_BYTES, "%s%s", lead[r->cause],
			words_of_end(&end, words));
	return out;
}

/* Who sent it: the watchdog ends what is late, by kill(2). */
static const char *sender(const struct rf_crash *r, char out[CRASH_WORDS_BYTES])
{
	bool sent = !r->has_scene || r->code == SI_USER;

	*out = 0;
	if (r->cause != RF_CRASH_ITSELF && r->how != CLD_EXITED && sent)
		snprintf(out, CRASH_WORDS_BYTES, "by the watchdog");
	else if (r->has_scene && r->sender_pid > 0)
		snprintf(out, CRASH_WORDS_BYTES, "sent by pid %d",
			r->sender_pid);
	return out;
}

static const char *const stray_words[RF_STRAY_COUNT] = {
	[RF_STRAY_NONE] = "",
	[RF_STRAY_OUTSIDE] = "written outside of a transaction",
	[RF_STRAY_NO_RIGHT] = "read by a signal handler, which may not",
	[RF_STRAY_UNLOGGED] = "changed in a transaction, not logged first",
};

const char *crash_reason(const struct rf_crash *r, char out[CRASH_WORDS_BYTES])
{
	static const struct {
		int signal; /* 0: any */
		int code;
		const char *words;
	} reasons[] = {
		{SIGSEGV, SEGV_MAPERR, "address not mapped"},
		{SIGSEGV, SEGV_ACCERR, "access not allowed"},
		{SIGSEGV, SEGV_PKUERR, "closed by its protection key"},
		{SIGSEGV, SI_KERNEL, "no address at all, or stack overflow"},
		{SIGBUS, BUS_ADRALN, "misaligned"},
		{SIGBUS, BUS_ADRERR, "no memory behind the address"},
		{SIGFPE, FPE_INTDIV, "integer division by zero"},
		{SIGFPE, FPE_INTOVF, "integer overflow"},
		{SIGILL, ILL_ILLOPC, "illegal instruction"},
		{SIGILL, ILL_ILLOPN, "illegal instruction"},
		{0, SI_USER, "sent by a process"},
		{0, SI_QUEUE, "sent by a process"},
		{SIGABRT, SI_TKILL, "it gave up (abort)"},
		{0, SI_TKILL, "raised by itself"},
	};

	if (r->stray.kind != RF_STRAY_NONE)
		return stray_words[r->stray.kind];
	if (is_refused_call(r))
		return r->role == RF_CRASH_BUSINESS ||
				       r->role == RF_CRASH_STANDBY
			       ? "not allowed (business.confine)"
			       : "not allowed (network.confine)";
	if (*sender(r, out))
		return out;
	for (size_t i = 0;
		r->has_scene && i < sizeof(reasons) / sizeof(*reasons); i++)
		if (reasons[i].code == r->code &&
			(!reasons[i].signal || reasons[i].signal == r->status))
			return reasons[i].words;
	return "";
}

/* ---- an access that must not be ---- */

const char *crash_spot(const struct rf_crash *r, char out[CRASH_WORDS_BYTES])
{
	static const char *const names[RF_SPOT_COUNT] = {
		[RF_SPOT_NONE] = "nothing of the arena",
		[RF_SPOT_SUPER] = "the superblock",
		[RF_SPOT_SLOTS] = "the slots",
		[RF_SPOT_HEAP] = "heap metadata",
		[RF_SPOT_LOG] = "the undo log",
		[RF_SPOT_FREE] = "free memory of the heap",
	};
	const struct rf_crash_stray *stray = &r->stray;

	*out = 0;
	if (stray->kind == RF_STRAY_NONE)
		return out;
	if (stray->spot != RF_SPOT_BLOCK)
		return names[stray->spot];
	snprintf(out, CRASH_WORDS_BYTES,
		"byte %" PRIu64 " of a block of %" PRIu64 " at %#" PRIx64
		"%s%s%s",
		stray->address - stray->block, stray->block_bytes, stray->block,
		!*stray->slot	 ? ""
		: stray->is_root ? ", the root of slot '"
				 : ", reached from slot '",
		stray->slot, *stray->slot ? "'" : "");
	return out;
}

static size_t put_hex(char *out, const uint8_t *from, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		sprintf(out + 2 * i, "%02x", from[i]);
	return 2 * bytes;
}

const char *crash_change(const struct rf_crash *r, char out[CRASH_WORDS_BYTES])
{
	const struct rf_crash_stray *stray = &r->stray;
	size_t n;

	*out = 0;
	if (stray->kind != RF_STRAY_UNLOGGED)
		return out;
	n = (size_t)sprintf(out, "%" PRIu32 " byte%s: ", stray->bytes,
		stray->bytes == 1 ? "" : "s");
	n += put_hex(out + n, stray->before, stray->kept);
	n += (size_t)sprintf(out + n, " -> ");
	n += put_hex(out + n, stray->after, stray->kept);
	strcpy(out + n, stray->kept < stray->bytes ? " ..." : "");
	return out;
}

/* ---- where and what ---- */

static size_t line_bytes(const char *line)
{
	return strcspn(line, "\n");
}

static bool is_libc(const char *line)
{
	size_t bytes = line_bytes(line);
	const char *in = memmem(line, bytes, " in libc.so", 11);

	return in || memmem(line, bytes, " in libpthread", 14);
}

static const char *frame(const char *text)
{
	const char *line = text;

	while (is_libc(line)) {
		line += line_bytes(line);
		if (!*line++)
			return text;
	}
	return *line == '#' ? line : text;
}

/* Behind "#0  0x00007f12...  ". */
static const char *skip_number_and_address(const char *line)
{
	for (int words = 0; words < 2; words++) {
		line += strcspn(line, " \n");
		line += strspn(line, " ");
	}
	return line;
}

const char *crash_where(const struct rf_crash *r, char out[CRASH_WORDS_BYTES])
{
	const char *from, *in;
	size_t bytes;

	*out = 0;
	if (!__atomic_load_n(&r->text_complete, __ATOMIC_ACQUIRE) ||
		r->text[0] != '#')
		return out;
	from = skip_number_and_address(frame(r->text));
	bytes = line_bytes(from);
	in = memmem(from, bytes, " in ", 4);
	if (in && *from != '(')
		bytes = (size_t)(in - from);
	snprintf(out, CRASH_WORDS_BYTES, "%.*s", (int)bytes, from);
	return out;
}

const char *crash_request(
	const struct rf_crash *r, char out[CRASH_REQUEST_BYTES])
{
	*out = 0;
	if (r->request.present)
		rf_request_text(r->request.head, r->request.head_bytes,
			UINT32_MAX, out, CRASH_REQUEST_BYTES);
	return out;
}

const char *crash_time(const struct rf_crash *r, char out[CRASH_WORDS_BYTES])
{
	time_t seconds = (time_t)(r->at_ms / 1000);
	struct tm parts = {0};
	size_t n;

	gmtime_r(&seconds, &parts);
	n = strftime(out, CRASH_WORDS_BYTES, "%Y-%m-%d %H:%M:%S", &parts);
	snprintf(out + n, CRASH_WORDS_BYTES - n, ".%03u",
		(unsigned)((uint64_t)r->at_ms % 1000));
	return out;
}

#ifdef __x86_64__
const char *const crash_registers[RF_CRASH_REGISTERS + 1] = {"r8", "r9", "r10",
	"r11", "r12", "r13", "r14", "r15", "rdi", "rsi", "rbp", "rbx", "rdx",
	"rax", "rcx", "rsp", "rip", "eflags", "csgsfs", "err", "trapno",
	"oldmask", "cr2"};
#else
const char *const crash_registers[RF_CRASH_REGISTERS + 1] = {"x0", "x1", "x2",
	"x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",
	"x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23",
	"x24", "x25", "x26", "x27", "x28", "x29", "x30", "sp", "pc", "pstate"};
#endif
