/* SPDX-License-Identifier: MIT */
/* quarantine.c -- requests that killed: put aside, and run again when told.
 *
 * Keeping is best effort: a full disk must not keep the service down.
 *
 * Running one again is exactly once, and it kills at most one process more. An
 * order is a serial number in the status segment, done once business' own
 * serial is the same. The steps, and what the next process finds when this one
 * dies behind one of them:
 *
 *                                 file         arena says   successor
 *      (order)                    ID           -            carries it out
 *   1  rename ID -> ID.running    ID.running   -            -EFAULT, 4b
 *   2  run, commit                ID.running   released     0, 4a
 *   3  answer the order           ID.running   -/released   4a or 4b
 *   4a unlink ID.running          none         released     nothing
 *   4b rename ID.running -> ID    ID           -            nothing
 *
 * A run that the worker answers with an error is aborted: it goes on at 4b.
 *
 * So the file's name says that it was begun, and RF_SUPER->released, which
 * commits together with what the request did, that it was done. The answer
 * goes before the clearing up: an order whose file is called ID again would be
 * carried out a second time.
 *
 * A process killed between 1 and 2 by something else counts as killed by the
 * request; the operator may order it again.
 */
#include "quarantine.h"
#include "common/quarantine.h"
#include "common/request_text.h"
#include "common/super.h"
#include "conf/conf.h"
#include "messages.h"
#include <errno.h>
#include <fcntl.h>
#include <refork/heap.h>
#include <refork/log.h>
#include <refork/tx.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A position at which no message ever stands. */
#define NO_MESSAGE (UINT64_MAX >> 8)

static int dir_open(const struct rf_child *self, bool make)
{
	return rf_quarantine_dir(self->conf->refork.state_dir,
		self->conf->refork.name, make, NULL);
}

/* ---- keeping ---- */

static bool is_same(
	const struct rf_quarantined *one, const struct rf_crash_request *two)
{
	return one->channel_epoch == two->channel_epoch &&
	       one->position == two->position;
}

static void describe(const struct rf_child *self,
	const struct rf_crash_request *what, struct rf_quarantined *out)
{
	*out = (struct rf_quarantined){
		.at_ms = rf_now_ms(),
		.generation = RF_SUPER->generation,
		.attempts = what->attempt,
		.conn_id = what->conn_id,
		.channel_epoch = what->channel_epoch,
		.position = what->position,
		.bytes = out->bytes,
		.context = out->context,
	};
	snprintf(out->service, sizeof out->service, "%s",
		self->conf->refork.name);
	snprintf(out->worker, sizeof out->worker, "%s %s", self->worker->name,
		self->worker->version);
	snprintf(out->peer, sizeof out->peer, "%.*s",
		(int)sizeof what->peer - 1, what->peer);
}

/* Written by a process that died before it could answer: only the newest file
 * can be the same request. */
static bool is_kept(int dir, const struct rf_quarantine_entry *newest,
	const struct rf_crash_request *what)
{
	struct rf_quarantined found;
	int fd = rf_quarantine_open(dir, newest->id, newest->running, &found);

	if (fd < 0)
		return false;
	close(fd);
	return is_same(&found, what);
}

static uint64_t next_id(uint64_t newest)
{
	uint64_t last = RF_SUPER->quarantine_last_id;

	return (newest > last ? newest : last) + 1;
}

static int keep_in(int dir, const struct rf_child *self,
	const struct rf_crash_request *what, struct rf_quarantined file,
	const void *payload)
{
	struct rf_quarantine_entry *entries;
	int error = 0, count = rf_quarantine_list(dir, &entries);
	bool kept;

	if (count < 0)
		return count;
	describe(self, what, &file);
	kept = count > 0 && is_kept(dir, &entries[count - 1], what);
	file.id = next_id(count > 0 ? entries[count - 1].id : 0);
	free(entries);
	if (!kept) {
		RF_SUPER->quarantine_last_id = file.id;
		error = rf_quarantine_write(dir, &file, payload);
	}
	if (error == 0 && !kept)
		rf_log(RF_LOG_NOTICE,
			"quarantine: kept request %llu of %s, %zu bytes",
			(unsigned long long)file.id, file.peer,
			(size_t)file.bytes);
	rf_quarantine_trim(dir, self->conf->quarantine.keep);
	return error;
}

int quarantine_keep(const struct rf_child *self,
	const struct rf_crash_request *what, uint64_t context,
	const void *payload, size_t bytes)
{
	const struct rf_quarantined file = {.bytes = bytes, .context = context};
	int dir, error;

	if (self->conf->quarantine.keep == 0)
		return 0;
	/* A file larger than RLIMIT_FSIZE is an error, not an end. */
	signal(SIGXFSZ, SIG_IGN);
	dir = dir_open(self, true);
	error = dir < 0 ? dir : keep_in(dir, self, what, file, payload);
	if (dir >= 0)
		close(dir);
	if (error != 0)
		rf_log(RF_LOG_WARNING,
			"quarantine: keep a request of %.*s in %s/%s: %s; it "
			"is skipped all the same, its bytes are lost",
			(int)sizeof what->peer - 1, what->peer,
			self->conf->refork.state_dir, self->conf->refork.name,
			strerror(-error));
	return error;
}

/* ---- running again ---- */

/* One request, read from its file. */
struct released {
	struct rf_quarantined file;
	void *payload;
	struct rf_bytes *argv;
	uint32_t argc;
};

static void released_free(struct released *r)
{
	free(r->payload);
	free(r->argv);
}

static int load_from(int fd, struct released *r, size_t bytes_max)
{
	int error;

	if (r->file.bytes == 0)
		return -EBADMSG;
	if (r->file.bytes > bytes_max)
		return -EMSGSIZE;
	r->payload = malloc(r->file.bytes);
	if (r->payload == NULL)
		return -ENOMEM;
	error = rf_quarantine_read(fd, r->payload, r->file.bytes);
	if (error != 0)
		return error;
	r->argc = rf_request_args(r->payload, r->file.bytes, NULL, 0);
	if (r->argc == 0)
		return -EBADMSG;
	r->argv = calloc(r->argc, sizeof *r->argv);
	if (r->argv == NULL)
		return -ENOMEM;
	rf_request_args(r->payload, r->file.bytes, r->argv, r->argc);
	return 0;
}

static int load(int dir, uint64_t id, size_t bytes_max, struct released *r)
{
	int error, fd = rf_quarantine_open(dir, id, false, &r->file);

	if (fd < 0)
		return fd;
	error = load_from(fd, r, bytes_max);
	close(fd);
	return error;
}

/* Its connection is as long as its transaction, and in no table: the network
 * child knows nothing of it. */
static struct rf_conn *make_conn(int64_t now_ms, uint64_t context)
{
	struct rf_conn *conn = rf_alloc(sizeof *conn);

	if (conn == NULL)
		return NULL;
	conn->id = UINT64_MAX;
	conn->opened_at_ms = now_ms;
	memcpy(conn->peer, "quarantine", sizeof "quarantine");
	conn->user[0] = context;
	return conn;
}

static void copy_reply(const struct desk *desk)
{
	struct rf_status_business *mine = &desk->status->business;
	const struct rf_reply *reply = &desk->reply;
	size_t bytes = reply->bytes < sizeof mine->release_reply
			       ? reply->bytes
			       : sizeof mine->release_reply;

	if (rf_tx_error() != 0)
		return;
	memcpy(mine->release_reply, reply->at, bytes);
	rf_status_set(mine->release_reply_bytes, reply->bytes);
}

static bool is_error(const struct rf_reply *reply)
{
	return reply->bytes > 0 && reply->at[0] == '-';
}

/* As the desk runs a request, but for the reply: it was written behind what
 * the network child may see, and there it is left. -ECANCELED: it is an error,
 * and nothing took effect. */
static int run_in_tx(struct desk *desk, const struct released *r)
{
	struct rf_request request = {
		.argv = r->argv,
		.argc = r->argc,
		.attempt = (uint32_t)r->file.attempts + 1,
		.released = true,
		.now_ms = rf_now_ms(),
	};

	rf_tx_begin();
	reply_begin(UINT64_MAX);
	request.conn = make_conn(request.now_ms, r->file.context);
	if (request.conn != NULL) {
		desk->worker->request(&request, &desk->reply);
		copy_reply(desk);
		if (rf_tx_error() == 0 && is_error(&desk->reply)) {
			rf_tx_abort();
			return -ECANCELED;
		}
		if (desk->worker->closed != NULL)
			desk->worker->closed(request.conn);
		rf_free(request.conn);
	}
	messages_end_closing(desk);
	reply_end_pushes();
	RF_SET(RF_SUPER->released.channel_epoch, r->file.channel_epoch);
	RF_SET(RF_SUPER->released.position, r->file.position);
	return desk_commit(desk);
}

static int run(struct desk *desk, const struct released *r)
{
	int error;

	/* Should it die, it was at no message of the ring. */
	RF_SUPER->attempt = NO_MESSAGE << 8;
	rf_status_set(desk->status->business.release_reply_bytes, 0);
	desk_work_begins(desk, RF_PHASE_REQUEST);
	error = run_in_tx(desk, r);
	desk_work_ends(desk);
	return error;
}

static int rename_file(int dir, uint64_t id, bool to_running)
{
	char from[RF_QUARANTINE_NAME_BYTES], to[RF_QUARANTINE_NAME_BYTES];

	rf_quarantine_name(id, !to_running, from);
	rf_quarantine_name(id, to_running, to);
	return renameat(dir, from, dir, to) == 0 ? 0 : -errno;
}

static void answer(const struct rf_child *self, int error)
{
	struct rf_status_business *mine = &self->status->business;
	const struct rf_status_supervisor *order = &self->status->supervisor;

	if (error != 0 && error != -ECANCELED)
		rf_status_set(mine->release_reply_bytes, 0);
	rf_status_set(mine->release_result, error);
	__atomic_store_n(&mine->release_serial,
		rf_status_get(order->release_serial), __ATOMIC_RELEASE);
	rf_bell_ring(self->bell_supervisor);
}

static int clear_up(int dir, uint64_t id, bool committed)
{
	char name[RF_QUARANTINE_NAME_BYTES];
	int error;

	if (!committed)
		error = rename_file(dir, id, false);
	else if (unlinkat(dir, rf_quarantine_name(id, true, name), 0) != 0)
		error = -errno;
	else
		error = 0;
	if (error == -ENOENT)
		return 0;
	if (error != 0)
		rf_log(RF_LOG_WARNING,
			"quarantine: request %llu, %s: %s its file: %s; the "
			"next order or process tries again",
			(unsigned long long)id,
			committed ? "run again" : "not run again",
			committed ? "remove" : "rename", strerror(-error));
	return error;
}

static const char *why_it_stays(int error)
{
	if (error == -EFAULT)
		return "it ended the process again";
	return error == -ECANCELED ? "it was answered with an error"
				   : strerror(-error);
}

static void tell(uint64_t id, int error)
{
	if (error == 0)
		rf_log(RF_LOG_NOTICE,
			"quarantine: request %llu was run again and released",
			(unsigned long long)id);
	else
		rf_log(RF_LOG_WARNING,
			"quarantine: run request %llu again: %s; it stays",
			(unsigned long long)id, why_it_stays(error));
}

/* -EINTR: asked to end while waiting for room; the successor does it. */
static int release(int dir, struct desk *desk, uint64_t id)
{
	struct released r = {0};
	int error = load(dir, id, desk->channel->request.large_max_bytes, &r);

	if (error == 0)
		error = reply_wait_room();
	if (error == 0)
		error = rename_file(dir, id, true);
	if (error == 0)
		error = run(desk, &r);
	released_free(&r);
	return error;
}

static bool is_pending(const struct rf_child *self)
{
	return __atomic_load_n(&self->status->supervisor.release_serial,
		       __ATOMIC_ACQUIRE) !=
	       rf_status_get(self->status->business.release_serial);
}

/* A file that is still called ID.running. */
static int settle_one(const struct rf_child *self, int dir, uint64_t id)
{
	struct rf_quarantined file = {0};
	int fd = rf_quarantine_open(dir, id, true, &file);
	bool committed = fd >= 0 &&
			 file.position == RF_SUPER->released.position &&
			 file.channel_epoch == RF_SUPER->released.channel_epoch;

	if (fd >= 0)
		close(fd);
	if (is_pending(self) &&
		rf_status_get(self->status->supervisor.release_id) == id) {
		answer(self, committed ? 0 : -EFAULT);
		tell(id, committed ? 0 : -EFAULT);
	}
	return clear_up(dir, id, committed);
}

/* What was left undone, by a dead process or for want of a writable disk.
 * Nothing else may be released before: the arena knows the last one only. */
static int settle(const struct rf_child *self, int dir)
{
	struct rf_quarantine_entry *entries;
	int error = 0, count = rf_quarantine_list(dir, &entries);

	for (int i = 0; i < count; i++)
		if (entries[i].running) {
			int one = settle_one(self, dir, entries[i].id);

			error = error != 0 ? error : one;
		}
	free(entries);
	return count < 0 ? count : error;
}

static void carry_out(
	const struct rf_child *self, struct desk *desk, int dir, int error)
{
	uint64_t id = rf_status_get(self->status->supervisor.release_id);

	if (error == 0)
		error = release(dir, desk, id);
	if (error != -EINTR) {
		answer(self, error);
		tell(id, error);
	}
	if (dir >= 0)
		clear_up(dir, id, error == 0);
	desk_bind(desk); /* shows what it pushed */
}

void quarantine_run(const struct rf_child *self, struct desk *desk)
{
	static bool settled;
	int dir, error;

	if (rf_likely(settled && !is_pending(self)))
		return;
	dir = dir_open(self, false);
	error = dir < 0 ? dir : settle(self, dir);
	settled = true;
	if (is_pending(self))
		carry_out(self, desk, dir, error);
	if (dir >= 0)
		close(dir);
}
