/* SPDX-License-Identifier: MIT */
/* test_channel_kept.c -- a channel that one daemon leaves to the next. */
#include "suite.h"
#include <channel.h>
#include <sys/socket.h>

#define MIB ((size_t)1 << 20)

static struct rf_channel ch;
static struct rf_channel_kept kept;
static uint64_t epoch;
static uint8_t *base;

static struct rf_front_shm *front(void)
{
	return (struct rf_front_shm *)ch.front.base;
}

static int keep(const struct rf_segment *seg)
{
	int fd;

	assert_int_equal(rf_segment_share(seg, &fd), 0);
	return fd;
}

/* The daemon that leaves it is gone afterwards. */
static int set_up(void **state)
{
	(void)state;
	assert_int_equal(rf_channel_create(&ch, "unit", 8 * MIB, MIB), 0);
	assert_int_equal(rf_lane_back(&ch, &ch.request, 1), 0);
	ch.request.large[7] = 7;
	ch.request.ring.bytes[RF_RING_BYTES + 5] = 5;
	ch.reply.ring.bytes[6] = 6;
	ch.shm->conn_serial = 77;
	ch.shm->request.head = 800;
	epoch = ch.shm->epoch;
	base = ch.front.base;
	front()->leave = 1;
	front()->afloat = 1;
	kept = (struct rf_channel_kept){
		keep(&ch.seg), keep(&ch.front), dup(ch.ferry[0])};
	rf_channel_destroy(&ch);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	rf_channel_destroy(&ch);
	close(kept.channel);
	close(kept.front);
	close(kept.ferry); /* or it was the channel's */
	return 0;
}

static void assert_refused(int error, const char *said)
{
	const char *why = "";
	int rc = rf_channel_adopt(&ch, &kept, 8 * MIB, MIB, &why);

	assert_int_equal(rc, error);
	assert_non_null(strstr(why, said));
	assert_int_equal(ch.seg.fd, -1);
	assert_int_equal(ch.front.fd, -1);
	assert_int_equal(ch.landing, -1);
	assert_null(ch.front.base);
}

static void assert_adopted(void)
{
	const char *why;

	assert_int_equal(rf_channel_adopt(&ch, &kept, 8 * MIB, MIB, &why), 0);
}

static void all_that_was_left_is_there(void **state)
{
	(void)state;
	assert_adopted();
	assert_int_equal(ch.shm->epoch, epoch);
	assert_int_equal(ch.shm->conn_serial, 77);
	assert_int_equal(ch.shm->request.head, 800);
	assert_int_equal(ch.request.large[7], 7);
	assert_int_equal(ch.request.ring.bytes[5], 5);
	assert_int_equal(ch.reply.ring.bytes[RF_RING_BYTES + 6], 6);
	assert_ptr_equal(ch.front.base, base);
	assert_int_equal(ch.landing, kept.ferry);
	assert_int_equal(front()->leave, 0);
	assert_true(rf_channel_is_afloat(&ch));
	assert_true(ch.ferry[0] >= 0 && ch.ferry[1] >= 0);
	assert_true(ch.bell_business >= 0 && ch.bell_network >= 0);
}

static void it_can_be_left_again(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_adopted();
		close(kept.channel);
		close(kept.front);
		kept = (struct rf_channel_kept){
			keep(&ch.seg), keep(&ch.front), dup(ch.ferry[0])};
		rf_channel_destroy(&ch);
	}
	assert_adopted();
	assert_ptr_equal(ch.front.base, base);
	assert_int_equal(ch.shm->epoch, epoch);
}

static void an_order_ends_with_its_giver(void **state)
{
	const uint64_t given = rf_order_word(9, RF_ORDER_GIVEN, 0);

	(void)state;
	assert_adopted();
	front()->order.word = given;
	rf_channel_destroy(&ch);
	kept.ferry = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_adopted();
	assert_int_equal(rf_order_serial(front()->order.word), 9);
	assert_false(rf_order_move(
		&front()->order, given, rf_order_word(9, RF_ORDER_TAKEN, 1)));
}

static void a_new_one_stands_where_the_next_daemon_can_have_it(void **state)
{
	struct rf_channel one, two;

	(void)state;
	assert_int_equal(rf_channel_create(&one, "unit", MIB, MIB), 0);
	assert_int_equal(rf_channel_create(&two, "unit", MIB, MIB), 0);
	assert_int_equal(((struct rf_front_shm *)one.front.base)->base,
		(uintptr_t)one.front.base);
	assert_true((uintptr_t)one.front.base >= RF_FRONT_FROM);
	assert_true((uintptr_t)one.front.base <= RF_FRONT_TO - RF_FRONT_BYTES);
	assert_false(rf_channel_is_afloat(&one));
	/* Two of them have no room there: that one cannot be left. */
	if (((struct rf_front_shm *)two.front.base)->base == 0) {
		((struct rf_front_shm *)two.front.base)->afloat = 1;
		assert_false(rf_channel_is_afloat(&two));
	}
	rf_channel_destroy(&two);
	rf_channel_destroy(&one);
}

static void what_is_not_whole_is_refused(void **state)
{
	struct rf_channel_kept whole = kept;

	(void)state;
	kept.channel = -1;
	assert_refused(-EBADMSG, "not all");
	kept = whole;
	kept.front = -1;
	assert_refused(-EBADMSG, "not all");
	kept = whole;
	kept.ferry = -1;
	assert_refused(-EBADMSG, "not all");
	kept = whole;
	kept.ferry = kept.channel;
	assert_refused(-EBADMSG, "no socket");
	kept = whole;
	kept.front = kept.channel;
	assert_refused(-EBADMSG, "format");
	kept = whole;
	kept.channel = kept.ferry;
	assert_refused(-EBADMSG, "format");
	kept = whole;
	assert_adopted();
}

static void poke(int fd, size_t off, uint64_t value)
{
	assert_int_equal(
		pwrite(fd, &value, sizeof value, (off_t)off), sizeof value);
}

static void what_has_another_form_is_refused(void **state)
{
	static const struct {
		bool front;
		size_t off;
		uint64_t value;
		const char *said;
	} flaws[] = {
		{false, offsetof(struct rf_channel_shm, marker), 1, "format"},
		{false, offsetof(struct rf_channel_shm, epoch), 0, "format"},
		{false, offsetof(struct rf_channel_shm, reply_large_bytes),
			2 * MIB, "max_reply"},
		{true, offsetof(struct rf_front_shm, base), 0, "format"},
		{true, offsetof(struct rf_front_shm, base), 4096, "format"},
		{true, offsetof(struct rf_front_shm, base), RF_FRONT_TO,
			"format"},
		{true, offsetof(struct rf_front_shm, base), RF_FRONT_FROM + 8,
			"format"},
		{true, offsetof(struct rf_front_shm, afloat), 0, "leaving"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof flaws / sizeof flaws[0]; i++) {
		int fd = flaws[i].front ? kept.front : kept.channel;
		uint64_t was;

		assert_int_equal(
			pread(fd, &was, sizeof was, (off_t)flaws[i].off),
			sizeof was);
		poke(fd, flaws[i].off, flaws[i].value);
		assert_refused(-EBADMSG, flaws[i].said);
		poke(fd, flaws[i].off, was);
	}
	assert_adopted();
}

/* In a process of its own, which dies with it. */
static int hold(void *arg)
{
	const int *fds = arg;
	struct rf_segment seg = {.backend = RF_BACKEND_MEMFD};
	uint8_t byte = 1;

	if (rf_segment_adopt(&seg, kept.front, 0) != 0)
		return 1;
	if (write(fds[1], &byte, 1) != 1)
		return 2;
	pause();
	return 0;
}

static void what_somebody_still_has_is_refused(void **state)
{
	uint8_t byte;
	int fds[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0)
		_exit(hold(fds));
	assert_int_equal(read(fds[0], &byte, 1), 1);
	assert_refused(-EWOULDBLOCK, "cannot be had");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(fds[0]);
	close(fds[1]);
	assert_adopted();
}

static void where_something_stands_already_it_is_refused(void **state)
{
	void *there = mmap(base + 4096, 4096, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	(void)state;
	assert_ptr_equal(there, base + 4096);
	assert_refused(-EEXIST, "cannot be had");
	munmap(there, 4096);
	assert_adopted();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_that_was_left_is_there),
		TEST(it_can_be_left_again),
		TEST(an_order_ends_with_its_giver),
		TEST(a_new_one_stands_where_the_next_daemon_can_have_it),
		TEST(what_is_not_whole_is_refused),
		TEST(what_has_another_form_is_refused),
		TEST(what_somebody_still_has_is_refused),
		TEST(where_something_stands_already_it_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
