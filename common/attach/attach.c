/* SPDX-License-Identifier: MIT */
/* attach.c -- read a service's arena from an unrelated process.
 *
 * The problem. A program that reads the state of another one has to find it,
 * to understand its pointers, and not to see changes half made.
 * The idea. The daemon tells where its arena is; that is mapped at the address
 * which is the same in every process, so its pointers need no translation; and
 * the daemon has its business child stand still while somebody reads
 * (worker/business/hold.c).
 *
 *   rf_attach   what? --a daemon answers--> live, or a copy (attach_map.c)
 *                     \--nobody does------> what one has kept
 *
 * No lease is taken and nothing is written: whatever this process does, the
 * service goes on after the hold that was asked for.
 */
#include "arena.h"
#include "attach_parts.h"
#include "flat.h"
#include "super.h"
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ANSWER_BYTES 8192

int rf_attach_fail(const struct rf_why *why, int error, const char *format, ...)
{
	va_list args;

	if (why->text == NULL)
		return error;
	va_start(args, format);
	vsnprintf(why->text, why->bytes, format, args);
	va_end(args);
	return error;
}

/* ---- where ---- */

/* The place in it is for rf_segment_view(). */
static void take_answer(
	struct rf_attach *a, const char *json, struct rf_segment_place *place)
{
	const struct {
		const char *key;
		char *to;
		size_t bytes;
	} texts[] = {
		{"service", a->service, sizeof a->service},
		{"backend", a->backend, sizeof a->backend},
		{"path", a->path, sizeof a->path},
		{"worker", a->worker, sizeof a->worker},
		{"worker_version", a->worker_version, sizeof a->worker_version},
		{"worker_code", a->worker_code, sizeof a->worker_code},
		{"worker_args", a->worker_args, sizeof a->worker_args},
	};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		rf_flat_text(json, texts[i].key, texts[i].to, texts[i].bytes);
	*place = (struct rf_segment_place){
		.backend = (enum rf_backend)rf_flat_number(json, "backend_id"),
		.shmid = (int)rf_flat_number(json, "shmid"),
		.max_bytes = rf_flat_number(json, "bytes"),
	};
	snprintf(place->path, sizeof place->path, "%.*s",
		(int)sizeof place->path - 1, a->path);
}

/* -ENOENT, -ECONNREFUSED: nobody is there. */
static int online(struct rf_attach *a, const char *socket, unsigned flags,
	const struct rf_why *why)
{
	struct rf_segment_place place;
	char answer[ANSWER_BYTES];
	int rc = rf_attach_ask(
		socket, "arena-where json", answer, sizeof answer);

	if (rc < 0)
		return rf_attach_fail(
			why, rc, "ask %s: %s", socket, strerror(-rc));
	if (rc > 0)
		return rf_attach_fail(why, -EAGAIN, "%s: %s", socket, answer);
	if (rf_flat_number(answer, "format") != RF_ARENA_FORMAT)
		return rf_attach_fail(why, -EPROTO,
			"the arena of %s has format %" PRIu64
			", this library reads format %d",
			socket, rf_flat_number(answer, "format"),
			RF_ARENA_FORMAT);
	take_answer(a, answer, &place);
	if (place.backend >= RF_BACKEND_COUNT)
		return rf_attach_fail(why, -EPROTO, "%s: unknown backend '%s'",
			socket, a->backend);
	snprintf(a->socket, sizeof a->socket, "%s", socket);
	a->facts.online = true;
	return (flags & RF_ATTACH_COPY ? rf_attach_copy : rf_attach_live)(
		a, &place, why);
}

static bool is_nobody(int error)
{
	return error == -ENOENT || error == -ECONNREFUSED;
}

/* In /tmp anybody can have made it. */
static bool is_mine(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && st.st_uid == geteuid();
}

/* A service's name: where this user's daemons are, and where the system's. */
static int by_name(struct rf_attach *a, const char *name, unsigned flags,
	const struct rf_why *why)
{
	const char *run = getenv("XDG_RUNTIME_DIR");
	char paths[3][256] = {"", "", ""};
	int error = -ENOENT;

	if (geteuid() != 0 && run != NULL && run[0] == '/')
		snprintf(paths[0], sizeof *paths, "%.128s/refork/%.64s.sock",
			run, name);
	snprintf(paths[1], sizeof *paths, "/tmp/refork-%u/%.64s.sock",
		(unsigned)geteuid(), name);
	if (geteuid() == 0 || !is_mine(paths[1]))
		paths[1][0] = '\0';
	snprintf(paths[2], sizeof *paths, "/run/refork/%.64s.sock", name);
	for (size_t i = 0; i < 3; i++) {
		if (paths[i][0] == '\0')
			continue;
		error = online(a, paths[i], flags, why);
		if (!is_nobody(error))
			return error;
	}
	snprintf(paths[0], sizeof *paths, "/dev/shm/refork-%.64s", name);
	if (access(paths[0], F_OK) == 0)
		return rf_attach_kept(a, paths[0], why);
	return rf_attach_fail(why, -ENOENT,
		"no daemon called '%s' answers, and no arena of it is kept in "
		"/dev/shm: give the path of its control socket, or of its "
		"arena",
		name);
}

static int find(struct rf_attach *a, const char *what, unsigned flags,
	const struct rf_why *why)
{
	struct stat st;
	int shmid;

	if (rf_arena_segment != NULL)
		return rf_attach_fail(why, -EEXIST,
			"this process has an arena already: one at a time");
	if (sscanf(what, "sysv:%d", &shmid) == 1)
		return rf_attach_kept_sysv(a, shmid, why);
	if (strchr(what, '/') == NULL)
		return by_name(a, what, flags, why);
	if (stat(what, &st) != 0)
		return rf_attach_fail(
			why, -errno, "%s: %s", what, strerror(errno));
	return S_ISSOCK(st.st_mode) ? online(a, what, flags, why)
				    : rf_attach_kept(a, what, why);
}

int rf_attach(const char *what, unsigned flags, struct rf_attach **out,
	char *why, size_t why_bytes)
{
	const struct rf_why words = {why, why_bytes};
	struct rf_attach *a = calloc(1, sizeof *a);
	int error;

	if (a == NULL)
		return rf_attach_fail(&words, -ENOMEM, "no memory");
	a->seg.fd = a->live.fd = -1;
	a->facts = (struct rf_attach_facts){
		.service = a->service,
		.backend = a->backend,
		.path = a->path,
		.worker = a->worker,
		.worker_version = a->worker_version,
		.worker_code = a->worker_code,
		.worker_args = a->worker_args,
		.held_us = -1,
	};
	error = find(a, what, flags, &words);
	if (error != 0) {
		free(a);
		return error;
	}
	*out = a;
	return 0;
}

const struct rf_attach_facts *rf_attach_facts(const struct rf_attach *a)
{
	return &a->facts;
}

void rf_detach(struct rf_attach *a)
{
	if (a == NULL)
		return;
	if (a->serial != 0)
		rf_attach_let_go(a, NULL);
	rf_arena_use(NULL);
	rf_segment_close(&a->seg);
	free(a);
}

/* ---- one instant ---- */

/* Of a live mapping, and of a copy while it is made. */
static bool changes(const struct rf_attach *a)
{
	return a->socket[0] != '\0' &&
	       (a->live.fd >= 0 || a->live.base != NULL ||
		       a->facts.copied_bytes == 0);
}

/* The last process is dead, and nobody has followed it. */
static int refuse_half_made(struct rf_attach *a, const struct rf_why *why)
{
	rf_attach_let_go(a, NULL);
	return rf_attach_fail(why, -EBUSY,
		"the service is on hold, and a change is half made: that is "
		"undone in a copy (RF_ATTACH_COPY), not here");
}

int rf_attach_hold(
	struct rf_attach *a, unsigned ms, char *why, size_t why_bytes)
{
	const struct rf_why words = {why, why_bytes};
	char request[64], answer[ANSWER_BYTES];
	int rc;

	if (!changes(a))
		return 0;
	snprintf(request, sizeof request, "arena-hold json %u", ms);
	rc = rf_attach_ask(a->socket, request, answer, sizeof answer);
	if (rc < 0)
		return rf_attach_fail(
			&words, rc, "ask %s: %s", a->socket, strerror(-rc));
	if (rc > 0)
		return rf_attach_fail(&words, -EBUSY, "%s", answer);
	a->serial = rf_flat_number(answer, "serial");
	return a->live.base != NULL || RF_SUPER->log_tail == 0
		       ? 0
		       : refuse_half_made(a, &words);
}

int rf_attach_let_go(struct rf_attach *a, int64_t *held_us)
{
	char request[64], answer[ANSWER_BYTES];
	int rc;

	if (held_us != NULL)
		*held_us = changes(a) ? -1 : 0;
	if (!changes(a))
		return 0;
	if (a->serial == 0)
		return -ESTALE;
	snprintf(request, sizeof request, "arena-go json %" PRIu64, a->serial);
	a->serial = 0;
	rc = rf_attach_ask(a->socket, request, answer, sizeof answer);
	if (rc < 0)
		return rc;
	if (rc > 0)
		return -ESTALE;
	if (held_us != NULL)
		*held_us = (int64_t)rf_flat_number(answer, "held_us");
	return rf_flat_number(answer, "lasted") == 1 ? 0 : -ESTALE;
}

/* ---- slots ---- */

int rf_slot_find(const char *name, const char *type, uint32_t version,
	size_t bytes, const void **root)
{
	const struct rf_super *super = RF_SUPER;

	for (size_t i = 0; name[0] != '\0' && i < RF_SLOT_COUNT; i++) {
		const struct rf_slot *slot = &super->slots[i];
		uint64_t off = (uint64_t)slot->root - RF_ARENA_BASE;

		if (strncmp(slot->name, name, sizeof slot->name) != 0)
			continue;
		if (strncmp(slot->type, type, sizeof slot->type) != 0 ||
			slot->bytes != bytes)
			return -EPROTOTYPE;
		if (slot->version != version)
			return -ESTALE;
		if (off >= super->segment_bytes ||
			bytes > super->segment_bytes - off)
			return -EBADMSG;
		*root = slot->root;
		return 0;
	}
	return -ENOENT;
}
