/* SPDX-License-Identifier: MIT */
/* undo_check.c -- finds changes that were not logged first.
 *
 * The problem. A change that its author forgot to log survives a roll back. It
 * shows after the next crash, far from its cause.
 * The idea. Between transactions every page is read-only. The first write to a
 * page in a transaction faults: the handler keeps a copy of the page and where
 * the write came from, and opens the page. Before the commit decides, each
 * such page is compared with its copy. A byte that differs must be covered by
 * an entry of the log, or have been free when the transaction began (T4).
 *
 * What is found is told, put back from the copy, and the process aborts: so all
 * of the transaction is undone, there is a crash record, and the request is
 * tried again and then put aside.
 *
 * It compares blocks, slots and the desk's own words. The log and the heap's
 * metadata are the framework's own and held by tests of theirs: cells that mean
 * nothing are written there without being logged.
 *
 * Limits. A byte that is written as it was is not seen. The backtrace is that
 * of the first write to the page in this transaction, which may have been
 * another one. Pages that are written to between rf_unguarded_begin() and its
 * end, or by other threads, are not looked at any more. System calls that write
 * to the arena answer EFAULT, but where a page was written to before. Each
 * touched page splits the mapping: beyond the kernel's limit (65,530) the rest
 * of a transaction is not checked, which is logged.
 * Cost. A signal, two system calls and a copy for each page and transaction.
 */
#include "undo_check.h"
#include "guard.h"
#include "heap/pages.h"
#include "tx_log.h"
#include "verify/spot.h"
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <inttypes.h>
#include <refork/log.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SEGV_PKUERR
#define SEGV_PKUERR 4
#endif

#define TOLD_MAX    4 /* findings of a transaction that are logged */
#define SKIP_FRAMES 3 /* the handler's own */
#define TEXT_BYTES  64
#define LINE_BYTES  1024

struct touched {
	uint64_t off; /* of the page in the arena */
	int frame_count;
	void *frames[RF_STRAY_FRAMES + SKIP_FRAMES];
};

/* The private copies stand where their originals stand in the arena; so do the
 * marks. Memory is taken when a page is touched. */
static struct {
	const struct rf_segment *seg;
	pid_t thread;
	uint64_t from, end; /* checked offsets */
	size_t grain;
	uint8_t *before;  /* the old bytes */
	uint8_t *covered; /* a mark per byte that may differ */
	uint8_t *is_open; /* a mark per page: OPEN_* */
	struct touched *touched;
	size_t count, count_max;
	struct rf_range *taken;
	size_t taken_count, taken_room;
	bool blind; /* from here to the end of the transaction */
} check;

static struct rf_crash_stray found;
bool rf_tx_is_compared;

enum { OPEN_NOT, OPEN_TOUCHED, OPEN_FOR_GOOD };

static void *reserve(size_t bytes)
{
	return mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

/* The log's pages stay open: pages that it shares with nothing else. */
static struct rf_range log_range(void)
{
	uint64_t grain = check.grain;
	uint64_t from = (RF_SUPER->log_off + grain - 1) / grain * grain;
	uint64_t end = RF_SUPER->map_off / grain * grain;

	return (struct rf_range){from, end > from ? end - from : 0};
}

static int protect(uint64_t off, size_t bytes, int prot, int key)
{
	void *at = (void *)(RF_ARENA_BASE + off);

	if (bytes == 0)
		return 0;
	if (key <= 0)
		return mprotect(at, bytes, prot) == 0 ? 0 : -errno;
	return pkey_mprotect(at, bytes, prot, key) == 0 ? 0 : -errno;
}

int rf_undo_check_cover(int key)
{
	struct rf_range log = log_range();
	uint64_t behind = log.off + log.bytes;
	int error = protect(check.from, log.off - check.from, PROT_READ, key);

	if (error == 0)
		error = protect(
			log.off, log.bytes, PROT_READ | PROT_WRITE, key);
	if (error == 0)
		error = protect(behind, check.end - behind, PROT_READ, key);
	return error;
}

/* Also loads what backtrace() needs: in a handler that would allocate. */
int rf_undo_check_arm(const struct rf_segment *seg)
{
	void *frames[2];
	size_t pages;
	int error;

	check.seg = seg;
	check.grain = rf_guard_from(seg) - RF_ARENA_BASE;
	check.from = check.grain;
	check.end = seg->max_bytes;
	check.thread = (pid_t)syscall(SYS_gettid);
	check.count = check.taken_count = 0;
	pages = check.end / check.grain + 1;
	check.count_max = pages;
	check.before = reserve(check.end);
	check.covered = reserve(check.end);
	check.is_open = reserve(pages);
	check.touched = reserve(pages * sizeof *check.touched);
	if (check.before == MAP_FAILED || check.covered == MAP_FAILED ||
		check.is_open == MAP_FAILED || check.touched == MAP_FAILED)
		return -ENOMEM;
	backtrace(frames, 2);
	error = rf_undo_check_cover(0);
	if (error != 0)
		return error;
	rf_guard_by |= RF_GUARD_BY_COMPARE;
	rf_tx_is_compared = true;
	return 0;
}

/* ---- the first write to a page ---- */

static bool open_page(uint64_t off, int how)
{
	check.is_open[off / check.grain] = (uint8_t)how;
	return protect(off, check.grain, PROT_READ | PROT_WRITE, 0) == 0;
}

/* No more mappings: all is opened, in as few as there can be. */
static bool go_blind(void)
{
	check.blind = true;
	return protect(check.from, check.end - check.from,
		       PROT_READ | PROT_WRITE, 0) == 0;
}

static bool is_mine(const siginfo_t *info, uint64_t off)
{
	return (rf_guard_by & RF_GUARD_BY_COMPARE) &&
	       info->si_signo == SIGSEGV && info->si_code == SEGV_ACCERR &&
	       off >= check.from && off < check.end && !check.blind;
}

bool rf_undo_check_fault(const siginfo_t *info)
{
	uint64_t off = (uint64_t)info->si_addr - RF_ARENA_BASE;
	struct touched *page;
	int saved = errno;

	if (!is_mine(info, off))
		return false;
	off -= off % check.grain;
	if (rf_guard_is_lifted())
		return open_page(off, OPEN_FOR_GOOD);
	if (!rf_tx_is_open() || check.count == check.count_max ||
		check.thread != (pid_t)syscall(SYS_gettid))
		return false;
	rf_guard_open(); /* or the copy could not be made */
	page = &check.touched[check.count];
	page->off = off;
	page->frame_count =
		backtrace(page->frames, RF_STRAY_FRAMES + SKIP_FRAMES);
	memcpy(check.before + off, (uint8_t *)RF_ARENA_BASE + off, check.grain);
	check.count++;
	if (!open_page(off, OPEN_TOUCHED) && !go_blind())
		return false;
	errno = saved;
	return true;
}

/* ---- what may differ ---- */

static void cover_bytes(uint64_t off, uint64_t bytes)
{
	while (bytes > 0) {
		uint64_t rest = check.grain - off % check.grain;
		uint64_t n = bytes < rest ? bytes : rest;

		if (check.is_open[off / check.grain] == OPEN_TOUCHED)
			memset(check.covered + off, 1, n);
		off += n;
		bytes -= n;
	}
}

static void cover_what_is_logged(void)
{
	uint64_t tail = RF_SUPER->log_tail;
	uint64_t off;
	size_t bytes;

	while (tail > 0 && rf_tx_entry_before(tail, &tail, &off, &bytes))
		cover_bytes(off, bytes);
}

void rf_tx_compare_not(const void *at, size_t bytes)
{
	if (check.taken_count == check.taken_room) {
		size_t room = check.taken_room > 0 ? check.taken_room * 2 : 256;
		struct rf_range *all = realloc(check.taken, room * sizeof *all);

		RF_CHECK(all != NULL);
		check.taken = all;
		check.taken_room = room;
	}
	check.taken[check.taken_count++] =
		(struct rf_range){(uint64_t)at - RF_ARENA_BASE, bytes};
}

/* The log, the page map, the run entries and the heap's own words. */
static bool is_frameworks(uint64_t off)
{
	const struct rf_super *super = RF_SUPER;
	uint64_t heap = (uint64_t)&super->heap - RF_ARENA_BASE;

	return (off >= super->log_off && off < super->heap_off) ||
	       off - heap < sizeof super->heap;
}

static bool is_live(uint64_t off)
{
	uint64_t block, bytes;

	return off < RF_SUPER->heap_off ||
	       rf_spot_block(RF_ARENA_BASE + off, &block, &bytes);
}

/* ---- what was found ---- */

/* A worker is loaded by its descriptor, and a title may stand where this
 * program's name did: then the kernel knows better. */
static void module_words(const Dl_info *in, char *out, size_t bytes)
{
	const char *link = in->dli_fname;
	const char *name;
	Dl_info own;
	ssize_t n;

	if (dladdr(&rf_tx_is_compared, &own) != 0 &&
		own.dli_fbase == in->dli_fbase)
		link = "/proc/self/exe";
	n = readlink(link, out, bytes - 1);
	if (n < 0)
		n = snprintf(out, bytes, "%s", in->dli_fname);
	out[(size_t)n < bytes ? (size_t)n : bytes - 1] = '\0';
	name = strrchr(out, strncmp(out, "/memfd:", 7) == 0 ? ':' : '/');
	if (name != NULL)
		memmove(out, name + 1, strlen(name));
	out[strcspn(out, " ")] = '\0'; /* " (deleted)" */
}

/* "kv_set+0x1c4 in kv.so", or "+0x1234 in kv.so" as addr2line wants it. */
static void frame_words(const void *frame, char *out, size_t bytes)
{
	char module[256];
	const void *start;
	Dl_info in;

	if (dladdr(frame, &in) == 0 || in.dli_fname == NULL) {
		snprintf(out, bytes, "%p", frame);
		return;
	}
	module_words(&in, module, sizeof module);
	start = in.dli_sname != NULL ? in.dli_saddr : in.dli_fbase;
	snprintf(out, bytes, "%s+%#zx in %.64s",
		in.dli_sname != NULL ? in.dli_sname : "",
		(size_t)((const char *)frame - (const char *)start), module);
}

static void hex(const uint8_t *from, size_t bytes, char *out)
{
	*out = '\0';
	for (size_t i = 0; i < bytes; i++)
		out += sprintf(out, "%02x", from[i]);
}

static void describe(uint64_t off, size_t bytes, const struct touched *page)
{
	int first = page->frame_count > SKIP_FRAMES ? SKIP_FRAMES : 0;

	found = (struct rf_crash_stray){.kind = RF_STRAY_UNLOGGED,
		.address = RF_ARENA_BASE + off,
		.bytes = (uint32_t)bytes};
	found.kept =
		(uint32_t)(bytes < RF_STRAY_BYTES ? bytes : RF_STRAY_BYTES);
	memcpy(found.before, check.before + off, found.kept);
	memcpy(found.after, (uint8_t *)RF_ARENA_BASE + off, found.kept);
	for (int i = first; i < page->frame_count; i++)
		found.frames[found.frame_count++] = (uint64_t)page->frames[i];
	rf_spot_describe(&found);
	rf_spot_find_owner(&found);
}

static void tell_found(void)
{
	char before[2 * RF_STRAY_BYTES + 1], after[2 * RF_STRAY_BYTES + 1];
	char where[TEXT_BYTES] = "", trace[LINE_BYTES] = "";
	size_t at = 0;

	hex(found.before, found.kept, before);
	hex(found.after, found.kept, after);
	if (found.spot == RF_SPOT_BLOCK)
		snprintf(where, sizeof where,
			", byte %" PRIu64 " of a block of %" PRIu64,
			found.address - found.block, found.block_bytes);
	for (uint32_t i = 0; i < found.frame_count && at < sizeof trace; i++) {
		char frame[128];

		frame_words((void *)found.frames[i], frame, sizeof frame);
		at += (size_t)snprintf(trace + at, sizeof trace - at, "%s%s",
			i > 0 ? " < " : "", frame);
	}
	rf_log(RF_LOG_ERROR,
		"undo check: %u byte%s at %#" PRIx64 "%s%s%s%s changed and "
		"not logged first: %s -> %s; this process aborts, the "
		"transaction is undone; first write to that page: %s",
		found.bytes, found.bytes == 1 ? "" : "s", found.address, where,
		*found.slot ? (found.is_root ? ", the root of slot '"
					     : ", reached from slot '")
			    : "",
		found.slot, *found.slot ? "'" : "", before, after, trace);
}

/* Length of the change at `off` that nothing allows; 0: there is none. */
static size_t change_at(uint64_t off, uint64_t end)
{
	const uint8_t *now = (uint8_t *)RF_ARENA_BASE;
	uint64_t at = off;

	while (at < end && now[at] != check.before[at] && !check.covered[at])
		at++;
	return at - off;
}

static size_t compare(const struct touched *page, size_t told)
{
	uint64_t end = page->off + check.grain;
	uint64_t off = page->off;

	if (memcmp(check.before + off, (uint8_t *)RF_ARENA_BASE + off,
		    check.grain) == 0)
		return told;
	while (off < end) {
		size_t bytes = change_at(off, end);

		if (bytes > 0 && !is_frameworks(off) && is_live(off)) {
			if (told < TOLD_MAX) {
				describe(off, bytes, page);
				tell_found();
			}
			told++;
			/* No log entry will do that. */
			memcpy((uint8_t *)RF_ARENA_BASE + off,
				check.before + off, bytes);
		}
		off += bytes > 0 ? bytes : 1;
	}
	return told;
}

void rf_undo_check_commit(void)
{
	size_t told = 0;

	if (!(rf_guard_by & RF_GUARD_BY_COMPARE))
		return;
	if (check.blind)
		rf_log(RF_LOG_WARNING,
			"undo check: a transaction has touched more pages "
			"(%zu) "
			"than this process may have mappings "
			"(vm.max_map_count); the rest of it is not checked",
			check.count);
	cover_what_is_logged();
	for (size_t i = 0; i < check.taken_count; i++)
		cover_bytes(check.taken[i].off, check.taken[i].bytes);
	for (size_t i = 0; i < check.count; i++)
		told = compare(&check.touched[i], told);
	if (told > 0)
		abort();
}

void rf_undo_check_end(void)
{
	int error = 0;

	if (!(rf_guard_by & RF_GUARD_BY_COMPARE))
		return;
	for (size_t i = 0; i < check.count; i++) {
		uint64_t off = check.touched[i].off;

		memset(check.covered + off, 0, check.grain);
		check.is_open[off / check.grain] = OPEN_NOT;
		if (!check.blind && error == 0)
			error = protect(off, check.grain, PROT_READ, 0);
	}
	if (check.blind)
		error = rf_undo_check_cover(0);
	RF_CHECK(error == 0);
	check.count = check.taken_count = 0;
	check.blind = false;
}

const struct rf_crash_stray *rf_undo_check_found(void)
{
	return &found;
}
