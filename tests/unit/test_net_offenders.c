/* SPDX-License-Identifier: MIT */
/* test_net_offenders.c -- who kills too often is kept out, and nobody else. */
#include "suite.h"
#include "worker/network/offenders.h"
#include <arpa/inet.h>
#include <refork/log.h>
#include <sys/socket.h>

#define LIMIT  3
#define BAN_MS 60000

static struct offenders table;
static struct sockaddr_storage fake; /* what getpeername() says */
static socklen_t fake_bytes;
static uid_t fake_uid;
static unsigned lookups;

int getpeername(int fd, struct sockaddr *peer, socklen_t *bytes)
{
	lookups++;
	if (fd < 0) {
		errno = ENOTCONN;
		return -1;
	}
	memcpy(peer, &fake, fake_bytes < *bytes ? fake_bytes : *bytes);
	*bytes = fake_bytes;
	return 0;
}

int getsockopt(int fd, int level, int option, void *value, socklen_t *bytes)
{
	struct ucred *who = value;

	(void)fd;
	assert_int_equal(level, SOL_SOCKET);
	assert_int_equal(option, SO_PEERCRED);
	assert_int_equal(*bytes, sizeof *who);
	who->uid = fake_uid;
	return 0;
}

static void come_from(const char *address)
{
	struct sockaddr_in *ipv4 = (struct sockaddr_in *)&fake;
	struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)&fake;

	memset(&fake, 0, sizeof fake);
	if (inet_pton(AF_INET, address, &ipv4->sin_addr) == 1) {
		fake.ss_family = AF_INET;
		fake_bytes = sizeof *ipv4;
		ipv4->sin_port = (in_port_t)random_word();
		return;
	}
	assert_int_equal(inet_pton(AF_INET6, address, &ipv6->sin6_addr), 1);
	fake.ss_family = AF_INET6;
	fake_bytes = sizeof *ipv6;
	ipv6->sin6_port = (in_port_t)random_word();
}

static void come_as_user(uid_t uid)
{
	memset(&fake, 0, sizeof fake);
	fake.ss_family = AF_UNIX;
	fake_bytes = sizeof fake.ss_family;
	fake_uid = uid;
}

static bool offend(int64_t now_ms)
{
	return offenders_count(&table, 1, LIMIT, BAN_MS, now_ms);
}

static bool is_banned(int64_t now_ms)
{
	return offenders_is_banned(&table, 1, now_ms);
}

static int set_up(void **state)
{
	(void)state;
	memset(&table, 0, sizeof table);
	return 0;
}

static void the_last_one_allowed_bans_for_a_while(void **state)
{
	(void)state;
	come_from("192.0.2.1");
	for (int i = 0; i < LIMIT - 1; i++)
		assert_false(offend(i));
	assert_false(is_banned(10));
	assert_true(offend(10));
	come_from("192.0.2.1");
	assert_true(is_banned(10));
	assert_true(is_banned(10 + BAN_MS - 1));
	assert_false(is_banned(10 + BAN_MS));
	/* Then all of it again. */
	assert_false(offend(10 + BAN_MS));
	assert_false(is_banned(10 + BAN_MS));
}

static void neighbours_are_not_banned(void **state)
{
	static const char *const others[] = {
		"192.0.2.2", "2001:db8:0:2::1", "2001:db8::", "::1"};

	(void)state;
	come_from("2001:db8:0:1::1");
	offend(0);
	come_from("2001:db8:0:1::2");
	offend(0);
	come_from("2001:db8:0:1:ffff::");
	assert_true(offend(0)); /* one /64 */
	assert_true(is_banned(1));
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		come_from(others[i]);
		assert_false(is_banned(1));
	}
	come_as_user(0);
	assert_false(is_banned(1));
}

static void a_mapped_address_is_the_same_client(void **state)
{
	(void)state;
	come_from("::ffff:192.0.2.1");
	for (int i = 0; i < LIMIT; i++)
		offend(0);
	come_from("192.0.2.1");
	assert_true(is_banned(1));
	come_from("::ffff:192.0.2.2");
	assert_false(is_banned(1));
}

static void users_of_a_unix_socket_are_told_apart(void **state)
{
	(void)state;
	come_as_user(1000);
	for (int i = 0; i < LIMIT; i++)
		offend(0);
	assert_true(is_banned(1));
	come_as_user(1001);
	assert_false(is_banned(1));
}

static void old_offences_are_forgotten(void **state)
{
	(void)state;
	come_from("192.0.2.1");
	for (int64_t i = 0; i < 10; i++) {
		int64_t now_ms = i * (OFFENDERS_WINDOW_MS + 1);

		for (int n = 0; n < LIMIT - 1; n++)
			assert_false(offend(now_ms));
	}
}

static void no_limit_bans_nobody(void **state)
{
	(void)state;
	come_from("192.0.2.1");
	for (int i = 0; i < 1000; i++)
		assert_false(offenders_count(&table, 1, 0, BAN_MS, 0));
	assert_false(is_banned(1));
}

static void whoever_has_no_address_is_let_in(void **state)
{
	(void)state;
	come_from("192.0.2.1");
	for (int i = 0; i < LIMIT; i++)
		offend(0);
	assert_false(offenders_is_banned(&table, -1, 1));
	assert_false(offenders_count(&table, -1, 1, BAN_MS, 1));
}

static void nobody_is_asked_while_nobody_is_banned(void **state)
{
	(void)state;
	come_from("192.0.2.1");
	offend(0);
	lookups = 0;
	assert_false(is_banned(1));
	assert_int_equal(lookups, 0);
}

static void a_crowd_does_not_wash_a_ban_away(void **state)
{
	char address[32];

	(void)state;
	come_from("192.0.2.1");
	for (int i = 0; i < LIMIT; i++)
		offend(0);
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(address, sizeof address, "10.0.%u.%u", i / 250,
			i % 250);
		come_from(address);
		offend(i + 1);
	}
	come_from("192.0.2.1");
	assert_true(is_banned(5001));
	/* The last ones of the crowd are remembered, too. */
	come_from("10.0.19.249");
	offend(5001);
	assert_true(offend(5001));
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_last_one_allowed_bans_for_a_while),
		TEST(neighbours_are_not_banned),
		TEST(a_mapped_address_is_the_same_client),
		TEST(users_of_a_unix_socket_are_told_apart),
		TEST(old_offences_are_forgotten),
		TEST(no_limit_bans_nobody),
		TEST(whoever_has_no_address_is_let_in),
		TEST(nobody_is_asked_while_nobody_is_banned),
		TEST(a_crowd_does_not_wash_a_ban_away),
	};

	rf_log_set_level(RF_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
