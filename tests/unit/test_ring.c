/* SPDX-License-Identifier: MIT */
/* test_ring.c -- whole messages, in order, and no wake-up lost.
 *
 * First in one process, against a list of what must come out; then between two,
 * with random naps wherever a wake-up could fall through; then with bytes in
 * the ring that no producer of ours has written.
 */
#include "suite.h"
#include <poll.h>
#include <ring.h>
#include <sched.h>
#include <sys/eventfd.h>

#define SMALL_RING ((size_t)1 << 14)
#define BIG_RING   ((size_t)1 << 16)

static struct rf_ring ring;

/* As channel.c does it: the same pages twice in a row. */
static void make_ring(size_t size)
{
	int fd = memfd_create("refork-unit-ring", MFD_CLOEXEC);
	uint8_t *at = mmap(
		NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	for (size_t i = 0; i < 2; i++)
		assert_ptr_equal(
			mmap(at + i * size, size, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_FIXED, fd, 0),
			at + i * size);
	close(fd);
	ring.bytes = at;
	ring.size = size;
	ring.shm = shared_memory(sizeof *ring.shm);
	assert_non_null(ring.shm);
}

static int unmake_ring(void **state)
{
	(void)state;
	munmap(ring.bytes, 2 * ring.size);
	munmap(ring.shm, sizeof *ring.shm);
	return 0;
}

/* Message number `serial`: everything about it follows from that. */
static size_t put(uint64_t pos, uint64_t serial, size_t payload_bytes)
{
	struct rf_msg *msg = rf_ring_slot(&ring, pos);
	size_t need = rf_ring_need(payload_bytes);

	*msg = (struct rf_msg){
		.ring_bytes = (uint32_t)need,
		.type = (uint16_t)(1 + serial % (RF_MSG_TYPE_COUNT - 1)),
		.conn_id = serial,
		.payload_bytes = payload_bytes,
	};
	memset(msg + 1, (int)(serial & 255), payload_bytes);
	return need;
}

static bool is_message(
	const struct rf_msg *msg, const uint8_t *payload, uint64_t serial)
{
	return msg->conn_id == serial &&
	       msg->type == 1 + serial % (RF_MSG_TYPE_COUNT - 1) &&
	       msg->ring_bytes == rf_ring_need(msg->payload_bytes) &&
	       (msg->payload_bytes == 0 ||
		       is_filled(payload, msg->payload_bytes,
			       (uint8_t)(serial & 255)));
}

/* ---- one process ---- */

static void an_empty_ring_has_all_its_room_and_no_message(void **state)
{
	struct rf_msg msg;

	(void)state;
	make_ring(SMALL_RING);
	assert_int_equal(rf_ring_room(&ring, 0), SMALL_RING);
	assert_int_equal(rf_ring_peek(&ring, 0, &msg), 0);
	assert_true(rf_ring_sleep(&ring, 0));
}

/* Both sides keep private positions and publish them when they like. */
static void what_goes_in_comes_out_in_order_once_it_is_published(void **state)
{
	uint64_t head = 0, shown = 0, next_in = 0, next_shown = 0;
	uint64_t pos = 0, released = 0, next_out = 0;
	struct rf_msg msg;

	(void)state;
	make_ring(SMALL_RING);
	for (int step = 0; step < 500000; step++) {
		size_t bytes = random_below(step % 100 == 0 ? 4096 : 100);

		switch (random_below(5)) {
		case 0:
		case 1:
			assert_int_equal(rf_ring_room(&ring, head),
				SMALL_RING - (head - released));
			if (rf_ring_room(&ring, head) >= rf_ring_need(bytes))
				head += put(head, next_in++, bytes);
			break;
		case 2:
			shown = head;
			next_shown = next_in;
			rf_ring_publish(&ring, shown, random_below(2));
			break;
		case 3:
			if (next_out == next_shown) {
				assert_int_equal(
					rf_ring_peek(&ring, pos, &msg), 0);
				break;
			}
			assert_int_equal(rf_ring_peek(&ring, pos, &msg), 1);
			assert_true(is_message(
				&msg, rf_ring_payload(&ring, pos), next_out++));
			pos += msg.ring_bytes;
			break;
		default:
			released = pos;
			rf_ring_release(&ring, released);
		}
	}
	assert_true(head > 100 * SMALL_RING);
}

static void a_sleeper_is_rung_once(void **state)
{
	(void)state;
	make_ring(SMALL_RING);
	assert_false(rf_ring_publish(&ring, 0, true));
	assert_true(rf_ring_sleep(&ring, 0));
	assert_false(rf_ring_publish(&ring, put(0, 0, 8), false));
	assert_true(rf_ring_publish(&ring, 32, true));
	assert_false(rf_ring_publish(&ring, 32, true));
	assert_false(rf_ring_sleep(&ring, 0)); /* there is more */
	rf_ring_awake(&ring);
	assert_false(rf_ring_publish(&ring, 32, true));
}

static void a_producer_that_waits_for_room_is_rung_once(void **state)
{
	(void)state;
	make_ring(SMALL_RING);
	rf_ring_publish(&ring, SMALL_RING, false);
	assert_int_equal(rf_ring_room(&ring, SMALL_RING), 0);
	assert_false(rf_ring_release(&ring, 0));
	assert_true(rf_ring_wait_room(&ring, SMALL_RING, 64));
	assert_true(rf_ring_release(&ring, 32));
	assert_false(rf_ring_release(&ring, 64));
	assert_false(rf_ring_wait_room(&ring, SMALL_RING, 64));
	assert_true(rf_ring_wait_room(&ring, SMALL_RING, SIZE_MAX));
}

static void a_tail_that_makes_no_sense_is_no_room(void **state)
{
	(void)state;
	make_ring(SMALL_RING);
	ring.shm->tail = 1000;
	assert_int_equal(rf_ring_room(&ring, 0), 0);
	ring.shm->tail = 0;
	assert_int_equal(rf_ring_room(&ring, SMALL_RING + 8), 0);
	ring.shm->tail = UINT64_MAX - 7;
	assert_int_equal(rf_ring_room(&ring, 0), SMALL_RING - 8);
}

/* ---- two processes ---- */

#define STREAM	    ((uint64_t)1500000)
#define WAIT_MS_MAX 10000

static int bell_consumer, bell_producer;

/* Somewhere between two steps, rarely. */
static void maybe_nap(void)
{
	size_t dice = random_below(20000);

	if (dice == 0)
		nap_us(50);
	else if (dice < 20)
		sched_yield();
}

/* 0, or -ETIMEDOUT: a wake-up was lost. */
static int wait_bell(int bell)
{
	struct pollfd on = {.fd = bell, .events = POLLIN};
	uint64_t rings;

	if (poll(&on, 1, WAIT_MS_MAX) != 1)
		return -ETIMEDOUT;
	return read(bell, &rings, sizeof rings) == sizeof rings ? 0 : -errno;
}

static void ring_bell(int bell)
{
	const uint64_t one = 1;

	if (write(bell, &one, sizeof one) != sizeof one)
		_exit(5);
}

static int produce(void *unused)
{
	uint64_t pos = 0;

	(void)unused;
	for (uint64_t serial = 0; serial < STREAM; serial++) {
		size_t bytes = random_below(serial % 1000 == 0 ? 8192 : 200);
		size_t need = rf_ring_need(bytes);

		while (rf_ring_room(&ring, pos) < need) {
			if (rf_ring_publish(&ring, pos, true))
				ring_bell(bell_consumer);
			maybe_nap();
			if (!rf_ring_wait_room(&ring, pos, need))
				break;
			maybe_nap();
			if (wait_bell(bell_producer) != 0)
				return 1;
		}
		pos += put(pos, serial, bytes);
		maybe_nap();
		if (random_below(16) == 0 && rf_ring_publish(&ring, pos, true))
			ring_bell(bell_consumer);
	}
	if (rf_ring_publish(&ring, pos, true))
		ring_bell(bell_consumer);
	return 0;
}

static int consume(void *unused)
{
	uint64_t pos = 0, serial = 0;

	(void)unused;
	while (serial < STREAM) {
		struct rf_msg msg;
		int found = rf_ring_peek(&ring, pos, &msg);

		if (found < 0)
			return 2;
		if (found == 1) {
			if (!is_message(&msg, rf_ring_payload(&ring, pos),
				    serial++))
				return 3;
			pos += msg.ring_bytes;
		}
		if ((found == 0 || random_below(8) == 0) &&
			rf_ring_release(&ring, pos))
			ring_bell(bell_producer);
		maybe_nap();
		if (found == 0 && rf_ring_sleep(&ring, pos)) {
			maybe_nap();
			if (wait_bell(bell_consumer) != 0)
				return 4;
		}
		if (found == 0)
			rf_ring_awake(&ring);
	}
	return 0;
}

static void two_processes_lose_neither_message_nor_wake_up(void **state)
{
	pid_t producer, consumer;

	(void)state;
	make_ring(BIG_RING);
	bell_consumer = eventfd(0, EFD_CLOEXEC);
	bell_producer = eventfd(0, EFD_CLOEXEC);
	producer = fork_child(produce, NULL);
	random_word();
	consumer = fork_child(consume, NULL);
	assert_int_equal(exit_of(wait_child(consumer)), 0);
	assert_int_equal(exit_of(wait_child(producer)), 0);
	close(bell_consumer);
	close(bell_producer);
}

/* The consumer goes to sleep at the very moment the producer publishes, again
 * and again: one of the two must see the other. A bell is a word here, so that
 * the two stay as close as they can be. */
#define DUELS 1000000

static struct {
	uint64_t rings;
	uint64_t acks;
} * duel;

/* 0, or -ETIMEDOUT: a wake-up was lost. */
static int await(const uint64_t *word, uint64_t value)
{
	time_t until = time(NULL) + WAIT_MS_MAX / 1000;

	while (time(NULL) < until) {
		for (int i = 0; i < 500; i++)
			if (__atomic_load_n(word, __ATOMIC_ACQUIRE) >= value)
				return 0;
		sched_yield();
	}
	return -ETIMEDOUT;
}

static void linger(void)
{
	for (volatile size_t i = random_below(32); i > 0; i--)
		;
}

static int publish_one_by_one(void *unused)
{
	uint64_t pos = 0, rings = 0;

	(void)unused;
	for (uint64_t serial = 0; serial < DUELS; serial++) {
		pos += put(pos, serial, 0);
		linger();
		if (rf_ring_publish(&ring, pos, true))
			__atomic_store_n(
				&duel->rings, ++rings, __ATOMIC_RELEASE);
		if (await(&duel->acks, serial + 1) != 0)
			return 1;
	}
	return 0;
}

static int sleep_before_each(void *unused)
{
	uint64_t pos = 0;

	(void)unused;
	for (uint64_t serial = 0; serial < DUELS; serial++) {
		struct rf_msg msg;

		linger();
		while (rf_ring_peek(&ring, pos, &msg) == 0) {
			uint64_t heard =
				__atomic_load_n(&duel->rings, __ATOMIC_ACQUIRE);

			if (rf_ring_sleep(&ring, pos) &&
				await(&duel->rings, heard + 1) != 0)
				return 2;
			rf_ring_awake(&ring);
		}
		pos += msg.ring_bytes;
		rf_ring_release(&ring, pos);
		__atomic_store_n(&duel->acks, serial + 1, __ATOMIC_RELEASE);
	}
	return 0;
}

static void who_sleeps_and_who_publishes_never_miss_each_other(void **state)
{
	pid_t producer, consumer;

	(void)state;
	make_ring(SMALL_RING);
	duel = shared_memory(sizeof *duel);
	producer = fork_child(publish_one_by_one, NULL);
	random_word();
	consumer = fork_child(sleep_before_each, NULL);
	assert_int_equal(exit_of(wait_child(consumer)), 0);
	assert_int_equal(exit_of(wait_child(producer)), 0);
	munmap(duel, sizeof *duel);
}

/* ---- bytes that are no message ---- */

static void assert_in_bounds(uint64_t pos, const struct rf_msg *msg)
{
	uint64_t head = ring.shm->head;

	assert_true(head - pos <= ring.size);
	assert_true(msg->ring_bytes >= sizeof *msg);
	assert_true(msg->ring_bytes % 8 == 0);
	assert_true(msg->ring_bytes <= head - pos);
	assert_in_range(msg->type, 1, RF_MSG_TYPE_COUNT - 1);
	if (!(msg->flags & RF_MSG_LARGE))
		assert_true(
			msg->payload_bytes <= msg->ring_bytes - sizeof *msg);
}

/* Small, huge, or near something that matters. */
static uint64_t random_nonsense(void)
{
	const uint64_t edges[] = {0, 1, 7, 8, 23, 24, 25, SMALL_RING,
		UINT32_MAX, (uint64_t)UINT32_MAX + 1, UINT64_MAX};
	uint64_t edge = edges[random_below(sizeof edges / sizeof *edges)];

	return random_below(3) == 0 ? random_word()
				    : edge + random_below(64) - 32;
}

static void nonsense(uint64_t pos)
{
	struct rf_msg *msg = rf_ring_slot(&ring, pos);

	switch (random_below(6)) {
	case 0:
		msg->ring_bytes = (uint32_t)random_nonsense();
		break;
	case 1:
		msg->type = (uint16_t)random_nonsense();
		break;
	case 2:
		msg->flags = (uint16_t)random_nonsense();
		break;
	case 3:
		msg->payload_bytes = random_nonsense();
		break;
	case 4:
		ring.shm->head += random_nonsense();
		break;
	default:
		random_fill(msg, sizeof *msg);
	}
}

static void nonsense_is_told_from_messages_at_every_bound(void **state)
{
	unsigned refused = 0, passed = 0;

	(void)state;
	make_ring(SMALL_RING);
	for (int round = 0; round < 300000; round++) {
		uint64_t pos = random_below(4 * SMALL_RING) & ~(uint64_t)7;
		uint64_t head = pos;
		struct rf_msg msg;
		int found;

		while (head - pos < 1000)
			head += put(head, head, random_below(300));
		rf_ring_publish(&ring, head, false);
		for (size_t i = random_below(3); i > 0; i--)
			nonsense(pos);
		found = rf_ring_peek(&ring, pos, &msg);
		if (found == 1)
			assert_in_bounds(pos, &msg);
		else
			assert_int_equal(
				found, ring.shm->head == pos ? 0 : -EBADMSG);
		refused += found < 0;
		passed += found == 1;
	}
	assert_true(refused > 1000);
	assert_true(passed > 1000);
}

#define TEST(name) cmocka_unit_test_teardown(name, unmake_ring)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_empty_ring_has_all_its_room_and_no_message),
		TEST(what_goes_in_comes_out_in_order_once_it_is_published),
		TEST(a_sleeper_is_rung_once),
		TEST(a_producer_that_waits_for_room_is_rung_once),
		TEST(a_tail_that_makes_no_sense_is_no_room),
		TEST(two_processes_lose_neither_message_nor_wake_up),
		TEST(who_sleeps_and_who_publishes_never_miss_each_other),
		TEST(nonsense_is_told_from_messages_at_every_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
