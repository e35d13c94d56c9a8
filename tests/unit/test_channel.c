/* SPDX-License-Identifier: MIT */
/* test_channel.c -- the segment of the two rings and their large areas. */
#include "suite.h"
#include <channel.h>
#include <poll.h>
#include <sys/stat.h>

#define MIB ((size_t)1 << 20)

static struct rf_channel ch;

static int set_up(void **state)
{
	(void)state;
	return rf_channel_create(&ch, "unit", 8 * MIB, 3 * MIB - 5);
}

static int tear_down(void **state)
{
	(void)state;
	rf_channel_destroy(&ch);
	return 0;
}

static size_t backed_bytes(void)
{
	struct stat st;

	assert_int_equal(fstat(ch.seg.fd, &st), 0);
	return (size_t)st.st_blocks * 512;
}

static size_t open_descriptors(void)
{
	size_t count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static bool is_mapped(const void *at)
{
	return msync((void *)((uintptr_t)at & ~(uintptr_t)4095), 4096,
		       MS_ASYNC) == 0;
}

static void creating_and_destroying_leaves_nothing(void **state)
{
	size_t before = open_descriptors();
	struct rf_channel other;
	void *bytes, *base;

	(void)state;
	for (int i = 0; i < 10; i++) {
		assert_int_equal(
			rf_channel_create(&other, "unit", MIB, MIB), 0);
		bytes = other.request.ring.bytes;
		base = other.seg.base;
		assert_int_equal(open_descriptors(), before + 6);
		rf_channel_destroy(&other);
		assert_int_equal(open_descriptors(), before);
		assert_false(is_mapped(bytes));
		assert_false(is_mapped(base));
		rf_channel_destroy(&other); /* may be repeated */
	}
}

static void every_byte_of_a_ring_stands_twice(void **state)
{
	struct rf_lane *lanes[] = {&ch.request, &ch.reply};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		uint8_t *bytes = lanes[i]->ring.bytes;

		assert_int_equal(lanes[i]->ring.size, RF_RING_BYTES);
		for (size_t at = 0; at < RF_RING_BYTES; at += 4093)
			bytes[at] = (uint8_t)(at % 251 + i);
		for (size_t at = 0; at < RF_RING_BYTES; at += 4093)
			assert_int_equal(bytes[at + RF_RING_BYTES],
				(uint8_t)(at % 251 + i));
	}
	/* And only there. */
	memset(ch.request.ring.bytes, 0, RF_RING_BYTES);
	assert_int_equal(ch.reply.ring.bytes[4093], 4093 % 251 + 1);
	assert_true(is_filled((uint8_t *)&ch.shm->request, 256, 0));
}

static void a_large_area_is_as_large_as_asked_for_in_whole_mib(void **state)
{
	(void)state;
	assert_int_equal(ch.request.large_max_bytes, 8 * MIB);
	assert_int_equal(ch.reply.large_max_bytes, 3 * MIB);
	assert_true(ch.request.large + 8 * MIB <= ch.reply.large);
	assert_true(ch.reply.large + 3 * MIB <= ch.seg.base + ch.seg.max_bytes);
}

static void a_large_area_takes_memory_only_while_it_is_used(void **state)
{
	size_t before = backed_bytes();

	(void)state;
	assert_int_equal(rf_lane_back(&ch, &ch.reply, 2 * MIB + 1), 0);
	assert_int_equal(backed_bytes(), before + 3 * MIB);
	memset(ch.reply.large, 7, 2 * MIB + 1);
	assert_int_equal(rf_lane_back(&ch, &ch.request, 8 * MIB), 0);
	memset(ch.request.large, 8, 8 * MIB);
	assert_int_equal(backed_bytes(), before + 11 * MIB);
	assert_true(is_filled(ch.reply.large, 2 * MIB + 1, 7));
	rf_lane_trim(&ch, &ch.request, 1);
	assert_int_equal(backed_bytes(), before + 4 * MIB);
	assert_true(is_filled(ch.request.large, MIB, 8));
	assert_true(is_filled(ch.reply.large, 2 * MIB + 1, 7));
	rf_lane_trim(&ch, &ch.request, 0);
	rf_lane_trim(&ch, &ch.reply, 0);
	assert_int_equal(backed_bytes(), before);
	rf_lane_trim(&ch, &ch.reply, 3 * MIB);
}

static void more_than_a_large_area_holds_is_refused(void **state)
{
	(void)state;
	assert_int_equal(rf_lane_back(&ch, &ch.reply, 3 * MIB), 0);
	assert_int_equal(rf_lane_back(&ch, &ch.reply, 3 * MIB + 1), -ENOSPC);
	assert_int_equal(rf_lane_back(&ch, &ch.reply, SIZE_MAX), -ENOSPC);
}

static void a_reset_empties_the_rings_under_a_new_epoch(void **state)
{
	uint64_t epoch = ch.shm->epoch;
	struct rf_msg msg;

	(void)state;
	assert_true(epoch != 0);
	for (int i = 0; i < 100; i++) {
		ch.shm->conn_serial++;
		ch.shm->request.head = ch.shm->request.tail = 4096;
		ch.shm->reply.head = 800;
		ch.shm->reply.producer_waits = 1;
		ch.shm->request.consumer_sleeps = 1;
		rf_channel_reset(&ch);
		assert_true(ch.shm->epoch != epoch);
		epoch = ch.shm->epoch;
		assert_int_equal(ch.shm->conn_serial, i + 1);
		assert_int_equal(rf_ring_peek(&ch.request.ring, 0, &msg), 0);
		assert_int_equal(rf_ring_peek(&ch.reply.ring, 0, &msg), 0);
		assert_int_equal(
			rf_ring_room(&ch.reply.ring, 0), RF_RING_BYTES);
		assert_false(rf_ring_publish(&ch.request.ring, 0, true));
	}
}

static bool rang(int bell)
{
	struct pollfd on = {.fd = bell, .events = POLLIN};

	return poll(&on, 1, 0) == 1;
}

static void a_bell_can_be_rung_for_ever(void **state)
{
	const uint64_t full = UINT64_MAX - 1;

	(void)state;
	assert_false(rang(ch.bell_business));
	rf_bell_ring(ch.bell_business);
	assert_true(rang(ch.bell_business));
	assert_false(rang(ch.bell_network));
	/* Rung and never heard: it neither blocks nor fails. */
	assert_int_equal(
		write(ch.bell_network, &full, sizeof full), sizeof full);
	rf_bell_ring(ch.bell_network);
	assert_true(rang(ch.bell_network));
}

/* The child writes a reply; what it has of the channel is what fork gave. */
static int answer(void *unused)
{
	struct rf_msg *msg = rf_ring_slot(&ch.reply.ring, 0);

	(void)unused;
	if (rf_lane_back(&ch, &ch.reply, MIB) != 0)
		return 1;
	memset(ch.reply.large, 9, MIB);
	*msg = (struct rf_msg){
		.ring_bytes = sizeof *msg,
		.type = RF_MSG_REPLY,
		.flags = RF_MSG_LARGE,
		.conn_id = 77,
		.payload_bytes = MIB,
	};
	if (rf_ring_publish(&ch.reply.ring, sizeof *msg, true))
		rf_bell_ring(ch.bell_network);
	return 0;
}

static void both_sides_of_a_fork_have_the_same_channel(void **state)
{
	struct rf_msg msg;

	(void)state;
	assert_true(rf_ring_sleep(&ch.reply.ring, 0));
	assert_int_equal(run_child(answer, NULL), 0);
	assert_true(rang(ch.bell_network));
	assert_int_equal(rf_ring_peek(&ch.reply.ring, 0, &msg), 1);
	assert_int_equal(msg.conn_id, 77);
	assert_true(is_filled(ch.reply.large, msg.payload_bytes, 9));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(creating_and_destroying_leaves_nothing),
		TEST(every_byte_of_a_ring_stands_twice),
		TEST(a_large_area_is_as_large_as_asked_for_in_whole_mib),
		TEST(a_large_area_takes_memory_only_while_it_is_used),
		TEST(more_than_a_large_area_holds_is_refused),
		TEST(a_reset_empties_the_rings_under_a_new_epoch),
		TEST(a_bell_can_be_rung_for_ever),
		TEST(both_sides_of_a_fork_have_the_same_channel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
