/* SPDX-License-Identifier: MIT */
/* test_daemon_quarantine.c -- what an operator is told of quarantined
 * requests, and what an order to release one does. */
#include "daemon/json.c"
#include "daemon/records/quarantine.c"
#include "suite.h"
#include <sys/eventfd.h>

static struct service service;
static char *told;

/* SET k "\x01\xff", as it stands in the ring. */
static const char payload[] = "\3\0\0\0\3\0\0\0\1\0\0\0\2\0\0\0SETk\x01\xff";
#define PAYLOAD_BYTES (sizeof payload - 1)

static void keep(uint64_t id)
{
	const struct rf_quarantined file = {
		.id = id,
		.at_ms = 1800000000123,
		.service = "unit",
		.worker = "kv 1",
		.generation = 3,
		.attempts = 2,
		.peer = "127.0.0.1:51234",
		.conn_id = (uint64_t)5 << RF_CONN_SLOT_BITS,
		.channel_epoch = 8,
		.position = 64,
		.bytes = PAYLOAD_BYTES,
	};
	int dir = rf_quarantine_dir(
		service.conf->refork.state_dir, "unit", true, NULL);

	assert_int_equal(rf_quarantine_write(dir, &file, payload), 0);
	close(dir);
}

static int set_up(void **state)
{
	(void)state;
	memset(&service, 0, sizeof service);
	service.conf = conf_create();
	service.status = rf_status_create();
	service.channel.bell_business = eventfd(0, EFD_NONBLOCK);
	if (service.conf == NULL || service.status == NULL)
		return -1;
	strcpy(service.conf->refork.name, "unit");
	strcpy(service.conf->refork.state_dir, "/tmp/refork-unit-XXXXXX");
	return mkdtemp(service.conf->refork.state_dir) == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
	char command[CONF_TEXT_MAX + 16];

	(void)state;
	snprintf(command, sizeof command, "rm -rf '%s'",
		service.conf->refork.state_dir);
	close(service.channel.bell_business);
	rf_status_destroy(service.status);
	free(told);
	told = NULL;
	return system(command);
}

static const char *list(enum report_format f)
{
	size_t bytes;
	FILE *out;

	free(told);
	out = open_memstream(&told, &bytes);
	quarantine_list(&service, f, out);
	fclose(out);
	return told;
}

static const char *show_one(uint64_t id, enum report_format f, int result)
{
	size_t bytes;
	FILE *out;

	free(told);
	out = open_memstream(&told, &bytes);
	assert_int_equal(quarantine_show(&service, id, f, out), result);
	fclose(out);
	return told;
}

static void says(const char *text, const char *what)
{
	if (strstr(text, what) == NULL)
		fail_msg("'%s' is not in:\n%s", what, text);
}

static void damage(uint64_t id)
{
	char path[CONF_TEXT_MAX + 64];

	snprintf(path, sizeof path, "%s/unit/quarantine/%llu",
		service.conf->refork.state_dir, (unsigned long long)id);
	assert_int_equal(truncate(path, 100), 0);
}

static void an_empty_quarantine_is_said_to_be(void **state)
{
	(void)state;
	says(list(REPORT_TEXT), "no request is in quarantine");
	assert_string_equal(
		list(REPORT_JSON), "{\"schema\": 1, \"requests\": []}\n");
	show_one(1, REPORT_TEXT, -ENOENT);
	assert_int_equal(quarantine_drop(&service, 1), -ENOENT);
	assert_int_equal(quarantine_release(&service, 1), -ENOENT);
	quarantine_trim(&service);
}

static void the_list_begins_with_the_newest(void **state)
{
	(void)state;
	keep(1);
	keep(2);
	says(list(REPORT_TEXT), "SET k \"\\x01\\xff\"");
	assert_true(strstr(told, "    2  ") < strstr(told, "    1  "));
	says(list(REPORT_JSON), "[{\"id\": 2, \"state\": \"kept\"");
	says(told, "}, {\"id\": 1, \"state\": \"kept\"");
	damage(2);
	says(list(REPORT_TEXT), "    2  cannot be read");
	says(list(REPORT_JSON), "[{\"id\": 2, \"state\": \"damaged\"}, {");
}

static void one_is_shown_to_the_last_byte(void **state)
{
	(void)state;
	keep(7);
	show_one(7, REPORT_TEXT, 0);
	says(told, "quarantined request 7\n");
	says(told, "2027-01-15 08:00:00 UTC");
	says(told, "127.0.0.1:51234, connection 5");
	says(told, "SET k \"\\x01\\xff\"");
	says(told, "0010  53 45 54 6b 01 ff ");
	says(told, "SETk..\n");
	assert_null(strstr(told, "bytes more"));
	says(show_one(7, REPORT_JSON, 0), "\"bytes\": 22");
	says(told, "SETk\\u0001\\u00ff\"}");
	damage(7);
	show_one(7, REPORT_TEXT, -EBADMSG);
	assert_int_equal(quarantine_release(&service, 7), -EBADMSG);
	assert_int_equal(quarantine_drop(&service, 7), 0);
	show_one(7, REPORT_TEXT, -ENOENT);
}

static void an_order_is_given_once_until_it_is_answered(void **state)
{
	struct rf_status_supervisor *order = &service.status->supervisor;
	struct rf_status_business *answer = &service.status->business;
	uint64_t rings;

	(void)state;
	keep(3);
	keep(4);
	answer->release_serial = 41; /* of a daemon before this one */
	order->release_serial = 41;
	assert_int_equal(quarantine_release(&service, 3), 0);
	assert_int_equal(order->release_id, 3);
	assert_int_equal(order->release_serial, 42);
	assert_int_equal(read(service.channel.bell_business, &rings, 8), 8);
	assert_int_equal(quarantine_release(&service, 4), -EBUSY);
	assert_int_equal(order->release_id, 3);
	answer->release_serial = 42;
	assert_int_equal(quarantine_release(&service, 4), 0);
	assert_int_equal(order->release_serial, 43);
}

static void a_smaller_keep_trims(void **state)
{
	(void)state;
	for (uint64_t id = 1; id <= 5; id++)
		keep(id);
	service.conf->quarantine.keep = 2;
	quarantine_trim(&service);
	show_one(3, REPORT_TEXT, -ENOENT);
	show_one(4, REPORT_TEXT, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_empty_quarantine_is_said_to_be),
		TEST(the_list_begins_with_the_newest),
		TEST(one_is_shown_to_the_last_byte),
		TEST(an_order_is_given_once_until_it_is_answered),
		TEST(a_smaller_keep_trims),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
