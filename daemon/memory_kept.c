/* SPDX-License-Identifier: MIT */
/* memory_kept.c -- segments that the service manager keeps.
 *
 * A memfd has no name: who dies with its last descriptor takes it along. So the
 * service manager is given one before anything is served from it, and hands it
 * to the next start. What is stored is another open file of the same memory
 * (rf_segment_share()): the lock stays with those who have it mapped.
 *
 * Rules, and the function that keeps each:
 *   K1  stored before served     kept_store(), before the first fork; the
 *                                service manager has said that it has read it
 *   K2  a start that fails       nothing is removed before all that can fail
 *       leaves all as it was     has been done: kept_store()
 *   K3  state is never dropped   what holds some is written to a file first, or
 *       silently                 the start fails: keep_in_file()
 *   K4  one of use at a time     the old one is removed before a new one is
 *                                made: memory_cold()
 *
 * Removing goes by name, and takes all that have it. So where something else
 * stands under ours (it was sent twice, or by somebody else), the one of use is
 * first stored under a second name, and that goes last: tidy().
 *
 * If the supervisor dies
 *   before the arena is stored           it is gone, nobody was served from it
 *   once that has been sent              it is kept: messages of the dead are
 *                                        read, too
 *   in a cold start: before the old one  that is taken over, and fails again
 *   is removed; its file stands
 *   before the new one is stored         empty state, as was meant
 *   anywhere in tidy()                   one or both names have the same
 *                                        memory: the next start tidies up
 *
 * The service manager does not say whether it had room for what it was sent.
 */
#include "memory_kept.h"

#include "aside.h"
#include "common/super.h"
#include "manager/fdstore.h"
#include "memory_fault.h"
#include "place.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <refork/log.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define SETTLE_MS  5000
#define NAME_BYTES 32

/* While ours is put in order. */
static void second_name(const struct kept *kept, char name[NAME_BYTES])
{
	snprintf(name, NAME_BYTES, "%s-moving", kept->name);
}

/* ---- what was handed over ---- */

static bool is_same_file(int one, int other)
{
	struct stat a, b;

	return !fstat(one, &a) && !fstat(other, &b) && a.st_ino == b.st_ino &&
	       a.st_dev == b.st_dev;
}

static bool is_new(const struct kept *kept, int fd)
{
	for (int i = 0; i < kept->count; i++)
		if (is_same_file(kept->fds[i], fd))
			return false;
	return true;
}

/* Returns how many there were. */
static int receive_name(struct kept *kept, const char *name)
{
	int fd, received = 0;

	for (; (fd = fdstore_take(name)) >= 0; received++) {
		if (kept->count < KEPT_MAX && is_new(kept, fd)) {
			kept->fds[kept->count++] = fd;
			continue;
		}
		if (kept->count == KEPT_MAX)
			rf_log(RF_LOG_WARNING,
				"the service manager kept more than %d "
				"descriptors \"%s\": one is dropped",
				KEPT_MAX, name);
		close(fd);
	}
	return received;
}

static void receive(struct kept *kept, const char *name)
{
	char second[NAME_BYTES];
	int first;

	*kept = (struct kept){.name = name};
	second_name(kept, second);
	first = receive_name(kept, name);
	kept->stored = first > 0;
	kept->untidy = receive_name(kept, second) > 0 || first > 1;
}

void kept_receive(struct service *s)
{
	receive(&s->kept_arena, "arena");
	receive(&s->kept_status, "status");
}

/* It is looked at, and not ours any more. */
static void done_with(struct kept *kept)
{
	while (kept->count > 0)
		close(kept->fds[--kept->count]);
}

/* What is under its name, if anything, is not what this service has. */
static void not_ours(struct kept *kept)
{
	kept->untidy |= kept->stored;
	kept->stored = false;
}

static const char *why_unfit(int error)
{
	static const struct {
		int error;
		const char *text;
	} reasons[] = {
		{-EMEDIUMTYPE, "it is no memory"},
		{-EPERM, "it is another user's, or not for this one alone"},
		{-EBADMSG, "it is not sealed as ours is"},
		{-EMSGSIZE, "it has other pages than arena.huge_pages asks "
			    "for"},
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++)
		if (reasons[i].error == error)
			return reasons[i].text;
	return strerror(-error);
}

/* ---- the arena ---- */

/* Of something that cannot even be adopted: as it can be read. */
static struct rf_segment as_it_is(int fd)
{
	struct rf_segment seg = {
		.backend = RF_BACKEND_MEMFD, .fd = fd, .shmid = -1};
	struct statfs fs;
	struct stat st;

	if (!fstat(fd, &st) && S_ISREG(st.st_mode))
		seg.max_bytes = (size_t)st.st_size;
	seg.huge_require = !fstatfs(fd, &fs) && fs.f_type == HUGETLBFS_MAGIC;
	return seg;
}

/* A build that was never finished holds none. */
static bool holds_state(const struct rf_segment *seg, struct rf_super *super)
{
	if (rf_segment_read(seg, 0, super, sizeof(*super)))
		return false;
	return super->marker != 0 ||
	       !((super->format == 0 && super->base == 0) ||
		       (super->format == RF_ARENA_FORMAT &&
			       super->base == RF_ARENA_BASE));
}

/* K3. Returns 0 or an exit code. */
static int keep_in_file(const struct service *s,
	const struct rf_segment *memory, const char *why, struct fault *fault)
{
	char path[ASIDE_BYTES];
	int error = aside_write(s, memory, path);

	if (error)
		return fault_set(fault, EX_TEMPFAIL,
			"the service manager keeps an arena %s; write it to "
			"%s: %s; it stays where it is: make room and start "
			"again",
			why, path, strerror(-error));
	rf_log(RF_LOG_WARNING,
		"the service manager kept an arena %s: it is written to %s; "
		"when it is of no use: reforkctl arena release %s",
		why, path, path);
	return 0;
}

struct choice {
	struct rf_segment seg; /* fd -1: none yet */
	uint64_t generation;
	int at;
};

/* Of two that hold state. */
static int prefer(struct service *s, struct choice *best, struct choice *other,
	struct fault *fault)
{
	struct choice loser = *other;
	int rc;

	if (best->seg.fd < 0 || other->generation > best->generation) {
		loser = *best;
		*best = *other;
	}
	if (loser.seg.fd < 0)
		return 0;
	rc = keep_in_file(s, &loser.seg, "that served before another", fault);
	rf_segment_close(&loser.seg);
	return rc;
}

/* One that was handed over. */
static int consider(struct service *s, int at, int wait_ms, struct choice *best,
	struct fault *fault)
{
	struct kept *kept = &s->kept_arena;
	struct choice one = {.seg = s->arena, .at = at};
	struct rf_segment raw = as_it_is(kept->fds[at]);
	struct occupant nobody = {0};
	struct rf_super super = {0};
	bool holds = holds_state(&raw, &super);
	int rc;

	rc = rf_segment_adopt(&one.seg, kept->fds[at], wait_ms);
	if (rc == -EWOULDBLOCK)
		return memory_in_use("arena", &s->arena, &nobody, fault);
	one.generation = super.marker == RF_ARENA_MAGIC ? super.generation : 0;
	if (!rc && holds)
		return prefer(s, best, &one, fault);
	rf_segment_close(&one.seg);
	if (rc && super.marker == RF_ARENA_MAGIC)
		return kept_refuse(s, &raw, why_unfit(rc), fault);
	rf_log(RF_LOG_WARNING,
		"the service manager kept something as \"%s\" that is no "
		"arena: %s; it is dropped",
		kept->name,
		rc ? why_unfit(rc) : "nothing was ever built in it");
	kept->untidy = true;
	return 0;
}

/* Locked where it can be: those who wrote to it may still be ending. */
static int leave_one(
	struct service *s, int fd, int wait_ms, struct fault *fault)
{
	struct rf_segment raw = as_it_is(fd), locked = raw;
	struct occupant nobody = {0};
	struct rf_super super = {0};
	int rc;

	if (!holds_state(&raw, &super) || super.marker != RF_ARENA_MAGIC)
		return 0;
	rc = rf_segment_adopt(&locked, fd, wait_ms);
	if (rc == -EWOULDBLOCK)
		return memory_in_use("arena", &raw, &nobody, fault);
	rc = keep_in_file(s, rc ? &raw : &locked,
		"from when arena.backend was memfd", fault);
	rf_segment_close(&locked);
	return rc;
}

/* The service has its arena elsewhere now. */
static int leave(struct service *s, int wait_ms, struct fault *fault)
{
	struct kept *kept = &s->kept_arena;
	int rc = 0;

	for (int i = 0; !rc && i < kept->count; i++)
		rc = leave_one(s, kept->fds[i], wait_ms, fault);
	not_ours(kept);
	done_with(kept);
	return rc;
}

/* It stands in a file by now. The others have not been looked at yet, and a
 * start that is refused for good is the end of them. */
static int put_off(struct kept *kept, int *rc)
{
	int refusal = *rc;

	kept->refused = false;
	*rc = 0;
	return refusal;
}

/* Returns 0 if there is one that may do. */
static int settle_refusal(struct kept *kept, int refusal,
	const struct choice *best, struct fault *fault)
{
	if (!refusal)
		return 0;
	kept->refused = best->seg.fd < 0;
	if (kept->refused)
		return refusal;
	rf_log(RF_LOG_WARNING, "another one is taken: %s", fault->text);
	*fault = (struct fault){0};
	return 0;
}

int kept_find_arena(struct service *s, int wait_ms, struct fault *fault)
{
	struct kept *kept = &s->kept_arena;
	struct choice best = {.seg.fd = -1};
	int rc = 0, refusal = 0;

	if (s->arena.backend != RF_BACKEND_MEMFD)
		return leave(s, wait_ms, fault);
	for (int i = 0; !rc && i < kept->count; i++) {
		rc = consider(s, i, wait_ms, &best, fault);
		if (rc && kept->refused)
			refusal = put_off(kept, &rc);
	}
	if (!rc)
		rc = settle_refusal(kept, refusal, &best, fault);
	done_with(kept);
	if (rc && best.seg.fd >= 0)
		rf_segment_close(&best.seg);
	if (rc || best.seg.fd < 0) {
		not_ours(kept);
		return rc;
	}
	s->arena = best.seg;
	return 0;
}

int kept_refuse(struct service *s, const struct rf_segment *memory,
	const char *reason, struct fault *fault)
{
	char place[PLACE_BYTES], path[ASIDE_BYTES], way[ASIDE_WAY_BYTES];
	int error = aside_write(s, memory, path);

	fault->arena_refused = true;
	place_of(&s->arena, place);
	if (error)
		return fault_set(fault, EX_TEMPFAIL,
			"arena %s does not fit: %s. Write it to %s: %s. The "
			"service manager keeps it: make room there, or start "
			"a daemon that it fits",
			place, reason, path, strerror(-error));
	s->kept_arena.refused = true;
	return fault_set(fault, EX_CONFIG,
		"arena %s does not fit: %s. It is kept as %s. To use it, with "
		"a daemon that it fits: %s. When it is of no use: reforkctl "
		"arena release %s",
		place, reason, path, aside_way_back(s, path, way), path);
}

/* ---- the status segment ---- */

int kept_find_status(struct service *s, int wait_ms)
{
	bool memfd = s->arena.backend == RF_BACKEND_MEMFD;
	struct kept *kept = &s->kept_status;
	int rc = -ENOENT;

	for (int i = 0; memfd && rc && i < kept->count; i++) {
		rc = rf_status_adopt(&s->status_segment, s->conf->refork.name,
			kept->fds[i], wait_ms, &s->status);
		if (rc)
			rf_log(RF_LOG_WARNING,
				"the service manager kept something as \"%s\" "
				"that cannot be taken over: %s; crash records "
				"in it are lost",
				kept->name,
				rc == -EWOULDBLOCK ? "it is in use"
						   : why_unfit(rc));
		kept->untidy |= rc != 0;
	}
	done_with(kept);
	if (rc)
		not_ours(kept);
	return rc ? -ENOENT : 0;
}

/* ---- stored ---- */

/* All but ours is removed. */
static int tidy(const struct kept *kept, const struct rf_segment *seg)
{
	char second[NAME_BYTES];
	int rc;

	second_name(kept, second);
	rc = fdstore_put_segment(second, seg);
	if (!rc)
		rc = fdstore_remove(kept->name);
	if (!rc)
		rc = fdstore_put_segment(kept->name, seg);
	if (!rc)
		rc = fdstore_remove(second);
	return rc;
}

static void store(struct kept *kept, const struct rf_segment *seg)
{
	int rc = 0;

	if (!fdstore_is_kept())
		return;
	if (seg->backend != RF_BACKEND_MEMFD) {
		if (kept->untidy)
			kept_forget(kept);
		return;
	}
	if (kept->untidy)
		rc = tidy(kept, seg);
	else if (!kept->stored)
		rc = fdstore_put_segment(kept->name, seg);
	if (rc)
		rf_log(RF_LOG_ERROR,
			"give \"%s\" to the service manager: %s; it goes with "
			"this daemon",
			kept->name, strerror(-rc));
	kept->stored = !rc;
	kept->untidy = false;
}

void kept_store(struct service *s)
{
	int rc;

	store(&s->kept_arena, &s->arena);
	store(&s->kept_status, &s->status_segment);
	if (!fdstore_is_kept())
		return;
	rc = fdstore_settle(SETTLE_MS);
	if (rc)
		rf_log(RF_LOG_WARNING,
			"the service manager does not say that it keeps the "
			"arena: %s; going on",
			strerror(-rc));
}

void kept_forget(struct kept *kept)
{
	char second[NAME_BYTES];

	if (!kept->stored && !kept->untidy)
		return;
	second_name(kept, second);
	fdstore_remove(kept->name);
	if (kept->untidy)
		fdstore_remove(second);
	kept->stored = kept->untidy = false;
}
