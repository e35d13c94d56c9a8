/* SPDX-License-Identifier: MIT */
/* channel.c -- the segment that holds both rings and their large areas, and the
 * one that network children share.
 *
 *   | indices | request ring | reply ring | request large | reply large |
 *
 * Each ring's pages are mapped twice in a row in an area of their own, so that
 * no message ever has to be split (ring.h).
 */
#include "channel.h"
#include <errno.h>
#include <refork/check.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE_BYTES  4096
#define INDEX_BYTES 4096
#define RINGS_BYTES (INDEX_BYTES + 2 * RF_RING_BYTES)
/* A process of the last daemon may still be giving back its memory. */
#define ADOPT_WAIT_MS 1000
#define LARGE_STEP    ((size_t)1 << 20)

_Static_assert(sizeof(struct rf_channel_shm) <= INDEX_BYTES, "layout");

static size_t round_up(size_t n)
{
	return (n + LARGE_STEP - 1) / LARGE_STEP * LARGE_STEP;
}

/* One view of the ring's file pages, then the same again behind it. */
static void *map_twice(int fd, size_t off)
{
	uint8_t *at = mmap(NULL, 2 * RF_RING_BYTES, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
	for (int i = 0; i < 2; i++)
		if (mmap(at + (size_t)i * RF_RING_BYTES, RF_RING_BYTES,
			    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
			    (off_t)off) == MAP_FAILED) {
			munmap(at, 2 * RF_RING_BYTES);
			return NULL;
		}
	return at;
}

static int lane_init(struct rf_channel *ch, struct rf_lane *lane,
	struct rf_ring_shm *shm, size_t ring_off, size_t large_off)
{
	lane->ring.shm = shm;
	lane->ring.size = RF_RING_BYTES;
	lane->ring.bytes = map_twice(ch->seg.fd, ring_off);
	lane->large_off = large_off;
	lane->large = ch->seg.base + large_off;
	return lane->ring.bytes != NULL ? 0 : -errno;
}

static uint64_t fresh_epoch(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Its address is the same in every process: pointers into it are valid in all
 * of them, and in those of the next daemon when it can have the same one. */
static int map_front(struct rf_channel *ch)
{
	uint64_t room = RF_FRONT_TO - RF_FRONT_FROM - RF_FRONT_BYTES, base;
	struct rf_front_shm *shm;
	int error = -EIO;

	if (getrandom(&base, sizeof base, 0) == sizeof base) {
		base = RF_FRONT_FROM + base % room / PAGE_BYTES * PAGE_BYTES;
		error = rf_segment_map(&ch->front, base);
	}
	if (error != 0) {
		base = 0;
		error = rf_segment_map(&ch->front, 0);
	}
	if (error == 0)
		error = rf_segment_back(&ch->front, 0, sizeof *shm);
	if (error != 0)
		return error;
	shm = (struct rf_front_shm *)ch->front.base;
	shm->base = base;
	return 0;
}

static int make_front(struct rf_channel *ch, const char *service)
{
	int error;

	ch->front.max_bytes = RF_FRONT_BYTES;
	snprintf(ch->front.name, sizeof ch->front.name, "refork-%s-front",
		service);
	error = rf_segment_create(&ch->front);
	return error != 0 ? error : map_front(ch);
}

static int make_bells(struct rf_channel *ch)
{
	ch->bell_business = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ch->bell_network = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (ch->bell_business < 0 || ch->bell_network < 0)
		return -errno;
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ch->ferry) ==
			       0
		       ? 0
		       : -errno;
}

/* Nothing of it is open or mapped. */
static void begin(struct rf_channel *ch, size_t request_max, size_t reply_max)
{
	memset(ch, 0, sizeof *ch);
	ch->bell_business = ch->bell_network = ch->seg.fd = ch->front.fd = -1;
	ch->ferry[0] = ch->ferry[1] = ch->landing = -1;
	ch->seg.backend = ch->front.backend = RF_BACKEND_MEMFD;
	ch->request.large_max_bytes = round_up(request_max);
	ch->reply.large_max_bytes = round_up(reply_max);
	ch->seg.max_bytes = RINGS_BYTES + ch->request.large_max_bytes +
			    ch->reply.large_max_bytes;
}

/* The segment is open. */
static int map_rings(struct rf_channel *ch)
{
	int error = rf_segment_map(&ch->seg, 0);

	if (error == 0)
		error = rf_segment_back(&ch->seg, 0, RINGS_BYTES);
	if (error != 0)
		return error;
	ch->shm = (struct rf_channel_shm *)ch->seg.base;
	error = lane_init(
		ch, &ch->request, &ch->shm->request, INDEX_BYTES, RINGS_BYTES);
	if (error == 0)
		error = lane_init(ch, &ch->reply, &ch->shm->reply,
			INDEX_BYTES + RF_RING_BYTES,
			RINGS_BYTES + ch->request.large_max_bytes);
	return error;
}

static void write_head(struct rf_channel *ch)
{
	ch->shm->marker = RF_CHANNEL_MARKER;
	ch->shm->request_large_bytes = ch->request.large_max_bytes;
	ch->shm->reply_large_bytes = ch->reply.large_max_bytes;
	ch->shm->epoch = fresh_epoch();
}

int rf_channel_create(struct rf_channel *ch, const char *service,
	size_t request_max_bytes, size_t reply_max_bytes)
{
	int error;

	begin(ch, request_max_bytes, reply_max_bytes);
	snprintf(ch->seg.name, sizeof ch->seg.name, "refork-%s-channel",
		service);
	error = rf_segment_create(&ch->seg);
	if (error == 0)
		error = map_rings(ch);
	if (error == 0)
		error = make_front(ch, service);
	if (error == 0)
		error = make_bells(ch);
	if (error != 0) {
		rf_channel_destroy(ch);
		return error;
	}
	write_head(ch);
	return 0;
}

/* ---- that of another daemon: nothing of it is believed ---- */

static bool is_file_of(int fd, size_t bytes)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       (size_t)st.st_size == bytes;
}

static bool is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

static const char *channel_flaw(const struct rf_channel *ch, int fd)
{
	struct rf_channel_shm was;

	if (pread(fd, &was, sizeof was, 0) != sizeof was ||
		was.marker != RF_CHANNEL_MARKER || was.epoch == 0)
		return "their channel is of another format";
	if (was.request_large_bytes != ch->request.large_max_bytes ||
		was.reply_large_bytes != ch->reply.large_max_bytes ||
		!is_file_of(fd, ch->seg.max_bytes))
		return "network.max_reply is another now";
	return NULL;
}

static const char *front_flaw(int fd, uint64_t *base)
{
	struct rf_front_shm was;

	if (!is_file_of(fd, RF_FRONT_BYTES) ||
		pread(fd, &was, sizeof was, 0) != sizeof was ||
		was.base < RF_FRONT_FROM || was.base % PAGE_BYTES != 0 ||
		was.base > RF_FRONT_TO - RF_FRONT_BYTES)
		return "what was kept of them is of another format";
	*base = was.base;
	return was.afloat == 1 ? NULL
			       : "the last daemon did not come to the end of "
				 "leaving them";
}

static const char *kept_flaw(const struct rf_channel *ch,
	const struct rf_channel_kept *kept, uint64_t *base)
{
	const char *why;

	if (kept->channel < 0 || kept->front < 0 || kept->ferry < 0)
		return "not all that belongs to them came";
	why = channel_flaw(ch, kept->channel);
	if (why == NULL)
		why = front_flaw(kept->front, base);
	if (why == NULL && !is_socket(kept->ferry))
		why = "what should hold them is no socket";
	return why;
}

/* Afterwards nobody else has them mapped. */
static int adopt_segments(struct rf_channel *ch,
	const struct rf_channel_kept *kept, uint64_t base)
{
	int error = rf_segment_adopt(&ch->seg, kept->channel, ADOPT_WAIT_MS);

	if (error == 0)
		error = map_rings(ch);
	if (error == 0)
		error = rf_segment_adopt(
			&ch->front, kept->front, ADOPT_WAIT_MS);
	return error != 0 ? error : rf_segment_map(&ch->front, base);
}

/* Their giver has ended. One that was given and not taken, because he was
 * killed in between, would be acted on by the next vault: it would make a
 * network child that nobody knows of beside the one that is asked for. */
static void take_back_orders(struct rf_front_shm *front)
{
	front->leave = 0;
	front->order.word = rf_order_word(
		rf_order_serial(front->order.word), RF_ORDER_GIVEN_UP, 0);
}

int rf_channel_adopt(struct rf_channel *ch, const struct rf_channel_kept *kept,
	size_t request_max_bytes, size_t reply_max_bytes, const char **why)
{
	uint64_t base = 0;
	int error;

	begin(ch, request_max_bytes, reply_max_bytes);
	*why = kept_flaw(ch, kept, &base);
	if (*why != NULL)
		return -EBADMSG;
	*why = "their memory cannot be had as it was";
	error = adopt_segments(ch, kept, base);
	if (error == 0)
		error = make_bells(ch);
	if (error != 0) {
		rf_channel_destroy(ch);
		return error;
	}
	ch->landing = kept->ferry;
	take_back_orders((struct rf_front_shm *)ch->front.base);
	return 0;
}

bool rf_channel_is_afloat(const struct rf_channel *ch)
{
	const struct rf_front_shm *front =
		(const struct rf_front_shm *)ch->front.base;

	return front->base != 0 &&
	       __atomic_load_n(&front->afloat, __ATOMIC_ACQUIRE) == 1;
}

void rf_channel_reset(struct rf_channel *ch)
{
	uint64_t serial = ch->shm->conn_serial;

	memset(ch->shm, 0, sizeof *ch->shm);
	ch->shm->conn_serial = serial;
	write_head(ch);
}

void rf_channel_destroy(struct rf_channel *ch)
{
	struct rf_lane *lanes[] = {&ch->request, &ch->reply};
	int fds[] = {ch->bell_business, ch->bell_network, ch->ferry[0],
		ch->ferry[1], ch->landing};

	for (size_t i = 0; i < 2; i++)
		if (lanes[i]->ring.bytes != NULL)
			munmap(lanes[i]->ring.bytes, 2 * RF_RING_BYTES);
	for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	rf_segment_close(&ch->front);
	rf_segment_close(&ch->seg);
	begin(ch, 0, 0);
}

int rf_lane_back(struct rf_channel *ch, struct rf_lane *lane, size_t bytes)
{
	if (bytes > lane->large_max_bytes)
		return -ENOSPC;
	return rf_segment_back(&ch->seg, lane->large_off, round_up(bytes));
}

void rf_lane_trim(struct rf_channel *ch, struct rf_lane *lane, size_t keep)
{
	size_t kept = round_up(keep);

	if (kept < lane->large_max_bytes)
		rf_segment_unback(&ch->seg, lane->large_off + kept,
			lane->large_max_bytes - kept);
}

void rf_bell_ring(int bell)
{
	const uint64_t one = 1;

	/* EAGAIN: 2^64 - 2 rings unheard; the next look finds everything. */
	if (write(bell, &one, sizeof one) < 0)
		return;
}
