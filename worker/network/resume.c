/* SPDX-License-Identifier: MIT */
/* resume.c -- going on with what a dead predecessor left.
 *
 * Its sockets are open in the descriptor table that this process shares, its
 * words stand in the front segment. Where it died does not matter:
 *
 *   in a commit              done to its end             journal_redo()
 *   behind a system call     noted now                   sock_redo()
 *   behind accept()          a connected socket that no connection names
 *                            is a new connection         resume_connections()
 *   around close()           the connection is CLOSED already, and what its
 *                            descriptor names is closed, if that is still
 *                            open: nothing was opened since
 *                                                        conn_resume()
 *   anywhere else            the words are true; what follows from them is
 *                            done (again)                conn_resume()
 *
 * So the first thing is a list of what is open, before anything is opened. What
 * neither the supervisor gave nor a connection names was the predecessor's own.
 *
 * What it left may be what killed it: after BARREN_MAX processes in a row that
 * did not get beyond it, the next one drops all connections.
 */
#include "common/log/target.h"
#include "ferry.h"
#include "loop.h"
#include "network.h"
#include "vault.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <refork/log.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BARREN_MAX     3
#define FDS_BESIDE_MAX 1024

/* Of each descriptor. */
enum fd_kind { FD_CLOSED, FD_OPEN, FD_KNOWN };

static struct {
	uint8_t *kinds; /* enum fd_kind */
	size_t count;
} fds;

/* ---- what is open ---- */

static bool note_fd(size_t fd)
{
	if (fd >= fds.count) {
		size_t count = fd * 2 + 64;
		uint8_t *kinds = realloc(fds.kinds, count);

		if (!kinds)
			return false;
		memset(kinds + fds.count, FD_CLOSED, count - fds.count);
		fds.kinds = kinds;
		fds.count = count;
	}
	fds.kinds[fd] = FD_OPEN;
	return true;
}

/* Without a descriptor to spare for that list. The lowest free one is taken
 * always, so none is far beyond the number of connections. */
static int probe_fds(void)
{
	for (size_t fd = 0; fd < CONN_SLOT_MAX + FDS_BESIDE_MAX; fd++)
		if (fcntl((int)fd, F_GETFD) >= 0 && !note_fd(fd))
			return -ENOMEM;
	return 0;
}

static int list_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	bool noted = true;

	if (!dir)
		return probe_fds();
	while (noted && (entry = readdir(dir))) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] != '.' && fd != dirfd(dir))
			noted = note_fd((size_t)fd);
	}
	closedir(dir);
	return noted ? 0 : -ENOMEM;
}

/* Is it open and not accounted for? It is now. */
static bool know_fd(int fd)
{
	if (fd < 0 || (size_t)fd >= fds.count || fds.kinds[fd] != FD_OPEN)
		return false;
	fds.kinds[fd] = FD_KNOWN;
	return true;
}

/* Accepted by the predecessor, and not yet named by it. */
static bool is_connected(int fd)
{
	struct sockaddr_storage peer;
	socklen_t bytes = sizeof(peer), int_bytes = sizeof(int);
	int listens = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &int_bytes))
		return false;
	return !listens &&
	       getpeername(fd, (struct sockaddr *)&peer, &bytes) == 0;
}

/* What is left was the predecessor's own: there may be no other descriptors to
 * begin with. But for connections. */
static void close_unknown(void)
{
	for (size_t fd = 0; fd < fds.count; fd++) {
		if (fds.kinds[fd] != FD_OPEN || is_connected((int)fd))
			continue;
		close((int)fd);
		fds.kinds[fd] = FD_CLOSED;
	}
}

static void close_all_but_kept(const int *kept, int count)
{
	unsigned int from = 0;

	for (int i = 0; i < count; i++) {
		unsigned int fd = (unsigned int)kept[i];

		if (fd > from)
			close_range(from, fd - 1, 0);
		from = fd + 1;
	}
	close_range(from, ~0U, 0);
}

/* ---- the words ---- */

/* Those of a program with another layout are no words. */
static void forget_other_layout(struct net *net)
{
	uint64_t layout = net->front->shm.layout;

	if (layout == 0 || layout == front_layout())
		return;
	rf_log(RF_LOG_WARNING,
		"the last daemon noted its connections in another form than "
		"this one: they are dropped");
	front_wipe(net->channel);
}

static void start_anew(struct net *net)
{
	struct front *front = net->front;

	front->epoch = 0;
	front_barrier();
	front->slot_fresh = 0;
	front->owes_reset = 1;
	front->request_at = net->channel->request.ring.shm->head;
	front->reply_at = net->channel->reply.ring.shm->tail;
	front->reply_sent = 0;
	front->reader = NULL;
	front->shared = (struct buffer){
		.bytes = front_shared_bytes(net->channel),
		.room = FRONT_SHARED_BYTES,
	};
	memset(&front->ledger, 0, sizeof(front->ledger));
	memset(&front->journal, 0, sizeof(front->journal));
	memset(&front->moves, 0, sizeof(front->moves));
	front->barren = 0;
	front->table = net->self->table;
	front->shm.afloat = 0;
	front->shm.layout = front_layout();
	front_barrier();
	front->epoch = net->channel->shm->epoch;
}

static void mark(struct net *net, struct conn *conn)
{
	if (conn->state == CONN_FREE)
		return;
	if (conn->in.room)
		store_mark(&net->store, conn->in.bytes);
	if (conn->out.room)
		store_mark(&net->store, conn->out.bytes);
	if (conn->owed)
		store_mark(&net->store, (void *)conn->owed);
}

static int find_memory(struct net *net)
{
	struct front *front = net->front;
	int rc = store_sweep_begin(&net->store);

	if (rc)
		return rc;
	for (uint32_t i = 0; i < front->slot_fresh; i++)
		mark(net, &front_conns(net->channel)[i]);
	store_sweep_end(&net->store);
	return 0;
}

/* What was read and not used up stands in the shared inbox: then that is the
 * truth, and its copy in an inbox of the connection is not complete. */
static int unshare_input(struct net *net)
{
	struct front *front = net->front;
	struct conn *conn = front->reader;
	size_t used = buffer_used(&front->shared);

	if (conn && used && conn->state == CONN_SERVING) {
		buffer_release(&net->store, &conn->in);
		if (buffer_append(&net->store, &conn->in,
			    front->shared.bytes + front->shared.start, used))
			return -ENOMEM;
	}
	inbound_forget_reader(front);
	return 0;
}

static bool is_unknown(size_t fd)
{
	return fds.kinds[fd] == FD_OPEN;
}

static void forget_fd(size_t fd)
{
	fds.kinds[fd] = FD_CLOSED;
}

/* They come from another daemon. What a predecessor has landed of them is in
 * the table, under numbers that are not noted anywhere. */
static int land(struct net *net)
{
	struct front *front = net->front;
	int rc;

	if (!front->shm.afloat)
		return 0;
	rc = ferry_unload(net->channel->landing, note_fd);
	if (rc == 0)
		rc = ferry_assign(net, fds.count, is_unknown, forget_fd);
	if (rc)
		return rc;
	front_barrier();
	front->table = net->self->table;
	front_barrier();
	front_store(&front->shm.afloat, 0);
	front_barrier();
	return 0;
}

static void account_for_fds(struct net *net)
{
	struct front *front = net->front;
	int refused;

	journal_redo(&front->moves);
	journal_redo(&front->journal);
	refused = sock_redo(front);
	if (know_fd(refused))
		close(refused);
	for (uint32_t i = 0; i < front->slot_fresh; i++) {
		struct conn *conn = &front_conns(net->channel)[i];

		if (conn->state != CONN_FREE && !know_fd(conn->fd)) {
			conn->fd = -1;
			conn->state = CONN_CLOSED;
		}
	}
	close_unknown();
}

static bool can_resume(const struct net *net)
{
	const struct front *front = net->front;

	if (net->self->table == 0 ||
		(front->table != net->self->table && !front->shm.afloat) ||
		front->epoch != net->channel->shm->epoch ||
		front->slot_fresh > CONN_SLOT_MAX)
		return false;
	if (front->barren < BARREN_MAX)
		return true;
	rf_log(RF_LOG_ERROR,
		"%" PRIu64 " network children in a row ended right after they "
		"took over the connections; these are dropped",
		front->barren);
	return false;
}

int resume_begin(struct net *net)
{
	const int *kept;
	int count = vault_kept(&kept);
	int rc = front_open(net->channel);

	if (rc)
		return rc;
	net->front = front_of(net->channel);
	store_init(&net->store, &net->channel->front, &net->front->moves,
		net->front->store_fresh);
	forget_other_layout(net);
	if (can_resume(net)) {
		rc = list_fds();
		net->front->barren++;
		for (int i = 0; rc == 0 && i < count; i++)
			know_fd(kept[i]);
		know_fd(rf_log_fd()); /* connected, and no client */
		if (rc == 0)
			rc = land(net);
		if (rc == 0) {
			account_for_fds(net);
			rc = find_memory(net);
			return rc ? rc : unshare_input(net);
		}
		rf_log(RF_LOG_ERROR,
			"open descriptors: %s; all connections are dropped",
			strerror(-rc));
	}
	if (count)
		close_all_but_kept(kept, count);
	ferry_sink(net->channel->landing);
	start_anew(net);
	return find_memory(net);
}

/* ---- the connections ---- */

void resume_connections(struct net *net)
{
	uint32_t known = (uint32_t)net->front->slot_fresh;

	rf_status_set(net->status->clients, 0);
	for (uint32_t i = 0; i < known; i++)
		conn_resume(net, &net->conns[i]);
	for (size_t fd = 0; fd < fds.count; fd++)
		if (fds.kinds[fd] == FD_OPEN)
			listen_admit(net, (int)fd, listen_find(net, (int)fd));
	free(fds.kinds);
	memset(&fds, 0, sizeof(fds));
	if (known)
		rf_log(RF_LOG_NOTICE,
			"went on with %" PRIu32 " connections of a predecessor",
			net->open_count);
}

void resume_end(struct net *net)
{
	net->front->barren = 0;
}
