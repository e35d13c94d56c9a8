/* SPDX-License-Identifier: MIT */
/* preserve.c -- clients' connections, from one daemon to the next.
 *
 * At `systemctl restart` the network child puts all sockets into one, the ferry
 * (worker/network/ferry.c). With that, the rings and what is noted of each
 * connection, the next daemon can go on. They come to the store only when the
 * last child has ended: so what is there has been left whole, or is not
 * complete, and then it is dropped. A daemon that dies leaves nothing of it.
 *
 *   preserve_begin()   SIGTERM: leave, instead of finish
 *   preserve_end()     channel, front, ferry -> store
 *      ...
 *   preserve_open()    store -> channel
 *   preserve_review()  it is this arena's, or is emptied
 *   preserve_landed()  forgotten by the store: the next end brings others
 *
 * The service manager says the same for a stop and for a restart. At a stop it
 * drops the store, and the clients' connections end with it.
 */
#include "preserve.h"

#include "common/super.h"
#include "manager/fdstore.h"

#include <errno.h>
#include <refork/log.h>
#include <string.h>
#include <unistd.h>

#define SETTLE_MS 5000

static const char *const names[] = {"channel", "front", "ferry"};
#define NAME_COUNT (sizeof(names) / sizeof(*names))
_Static_assert(NAME_COUNT == PRESERVE_NAMES, "so many are planned for");

static bool came; /* the store holds some of it */

static bool is_wanted(const struct service *s)
{
	return s->conf->network.preserve_clients == CONF_PRESERVE_RESTART;
}

static void forget(void)
{
	for (size_t i = 0; i < NAME_COUNT; i++)
		fdstore_remove(names[i]);
	came = false;
}

/* ---- the beginning ---- */

/* The newest of each name. */
static void take(int fds[NAME_COUNT])
{
	for (size_t i = 0; i < NAME_COUNT; i++) {
		int older;

		fds[i] = fdstore_take(names[i]);
		came |= fds[i] >= 0;
		while ((older = fdstore_take(names[i])) >= 0)
			close(older);
	}
}

static void close_all(const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static int adopt(struct service *s, const int fds[NAME_COUNT], const char **why)
{
	const struct rf_channel_kept kept = {fds[0], fds[1], fds[2]};

	if (!is_wanted(s)) {
		*why = "network.preserve_clients is no";
		return -EPERM;
	}
	return rf_channel_adopt(&s->channel, &kept, CONF_REQUEST_BYTES_MAX,
		s->conf->network.max_reply_bytes, why);
}

/* Room for what a reload may raise max_request to: it is sparse. */
int preserve_open(struct service *s)
{
	int fds[NAME_COUNT];
	const char *why;
	int rc;

	if (is_wanted(s) && !fdstore_is_kept())
		rf_log(RF_LOG_NOTICE,
			"network.preserve_clients = restart needs a service "
			"manager that keeps descriptors, and $FDSTORE does not "
			"tell of one: connections end with this daemon");
	take(fds);
	if (came) {
		rc = adopt(s, fds, &why);
		close_all(fds, rc ? NAME_COUNT : NAME_COUNT - 1);
		if (!rc)
			return 0;
		rf_log(RF_LOG_WARNING,
			"the last daemon's connections end: %s (%s)", why,
			strerror(-rc));
		forget();
	}
	return rf_channel_create(&s->channel, s->conf->refork.name,
		CONF_REQUEST_BYTES_MAX, s->conf->network.max_reply_bytes);
}

/* The channel that the arena's positions and connections belong to. */
static uint64_t epoch_of_arena(const struct service *s)
{
	uint64_t epoch;

	if (rf_segment_read(&s->arena,
		    offsetof(struct rf_super, desk) +
			    offsetof(struct rf_desk, channel_epoch),
		    &epoch, sizeof(epoch)))
		return 0;
	return epoch;
}

void preserve_review(struct service *s)
{
	if (s->channel.landing < 0 ||
		epoch_of_arena(s) == s->channel.shm->epoch)
		return;
	rf_log(RF_LOG_WARNING,
		"the last daemon's connections end: the arena is not the one "
		"that they had to do with");
	rf_channel_reset(&s->channel);
}

void preserve_landed(void)
{
	if (came)
		forget();
}

/* ---- the end ---- */

static struct rf_front_shm *front_of(const struct service *s)
{
	return (struct rf_front_shm *)s->channel.front.base;
}

bool preserve_begin(struct service *s)
{
	if (!is_wanted(s) || !fdstore_is_kept() || !service_keeps(s))
		return false;
	if (!front_of(s)->base) {
		rf_log(RF_LOG_WARNING,
			"preserve_clients: the connections' memory has no "
			"address that another daemon could have: they end");
		return false;
	}
	__atomic_store_n(&front_of(s)->leave, 1, __ATOMIC_RELEASE);
	return true;
}

void preserve_end(struct service *s)
{
	int rc;

	/* Afloat, and not by us: they have never landed, and the store has
	 * them still. */
	if (!front_of(s)->leave || !rf_channel_is_afloat(&s->channel))
		return;
	forget();
	rc = fdstore_put_segment("channel", &s->channel.seg);
	if (!rc)
		rc = fdstore_put_segment("front", &s->channel.front);
	if (!rc)
		rc = fdstore_put("ferry", s->channel.ferry[0]);
	if (!rc)
		rc = fdstore_settle(SETTLE_MS);
	if (rc)
		rf_log(RF_LOG_ERROR,
			"have the service manager keep the connections: %s; "
			"they end",
			strerror(-rc));
}
