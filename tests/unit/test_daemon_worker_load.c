/* SPDX-License-Identifier: MIT */
/* test_daemon_worker_load.c -- which workers are taken, which refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/fault.c"
#include "daemon/pin.c"
#include "daemon/worker_load.c"

static void request(const struct rf_request *req, struct rf_reply *reply)
{
	(void)req;
	(void)reply;
}

static void closed(struct rf_conn *conn)
{
	(void)conn;
}

static struct rf_worker good(void)
{
	return (struct rf_worker){
		.magic = RF_WORKER_MAGIC,
		.struct_size = sizeof(struct rf_worker),
		.abi = RF_WORKER_ABI,
		.name = "test",
		.version = "1.2.3",
		.state_version = 5,
		.request = request,
		.closed = closed,
	};
}

static void check_refused(const struct rf_worker *worker, const char *word)
{
	struct rf_worker taken;
	struct fault fault;

	assert_int_equal(
		worker_accept(&taken, worker, "/x/w.so", &fault), EX_CONFIG);
	assert_non_null(strstr(fault.text, "/x/w.so"));
	assert_non_null(strstr(fault.text, word));
}

static void a_worker_of_this_abi_is_taken_whole(void **unused)
{
	struct rf_worker worker = good(), taken;
	struct fault fault;

	(void)unused;
	assert_int_equal(worker_accept(&taken, &worker, "w", &fault), 0);
	assert_memory_equal(&taken, &worker, sizeof(worker));
}

static void an_older_worker_lacks_later_hooks(void **unused)
{
	struct rf_worker worker = good(), taken;
	struct fault fault;

	(void)unused;
	worker.struct_size = offsetof(struct rf_worker, closed);
	assert_int_equal(worker_accept(&taken, &worker, "w", &fault), 0);
	assert_ptr_equal(taken.request, request);
	assert_null(taken.closed);
}

static void a_newer_worker_is_taken_as_far_as_known(void **unused)
{
	struct {
		struct rf_worker known;
		void *unknown[4];
	} worker = {.known = good()};
	struct {
		struct rf_worker worker;
		uint64_t guard;
	} taken = {.guard = 42};
	struct fault fault;

	(void)unused;
	worker.known.struct_size = sizeof(worker);
	memset(worker.unknown, 0xff, sizeof(worker.unknown));
	assert_int_equal(
		worker_accept(&taken.worker, &worker.known, "w", &fault), 0);
	assert_ptr_equal(taken.worker.closed, closed);
	assert_int_equal(taken.guard, 42);
}

static void another_abi_is_refused_naming_both(void **unused)
{
	struct rf_worker worker = good();

	(void)unused;
	worker.abi = 77;
	check_refused(&worker, "ABI 77");
	check_refused(&worker, "speaks ABI 3");
}

static void an_older_abi_is_taken_while_it_can_be(void **unused)
{
	struct rf_worker worker = good(), taken;
	struct fault fault;

	(void)unused;
	worker.abi = RF_WORKER_ABI_MIN;
	worker.struct_size = offsetof(struct rf_worker, walk);
	assert_int_equal(worker_accept(&taken, &worker, "w", &fault), 0);
	assert_null(taken.walk);
	worker.abi = RF_WORKER_ABI_MIN - 1;
	check_refused(&worker, "ABI 1");
}

static void what_is_no_worker_is_refused(void **unused)
{
	struct rf_worker worker = good();

	(void)unused;
	worker.magic = 0x464c457f;
	check_refused(&worker, "464c457f");
}

static void a_struct_too_short_to_serve_is_refused(void **unused)
{
	struct rf_worker worker = good();

	(void)unused;
	worker.struct_size = offsetof(struct rf_worker, request);
	check_refused(&worker, "struct_size");
	worker.struct_size = 0;
	check_refused(&worker, "struct_size");
}

static void a_worker_without_request_or_name_is_refused(void **unused)
{
	struct rf_worker worker = good();

	(void)unused;
	worker.request = NULL;
	check_refused(&worker, "request");
	worker = good();
	worker.name = NULL;
	check_refused(&worker, "name");
}

static void check_load_refused(const char *name, const char *word)
{
	struct worker_lib lib;
	struct fault fault;

	assert_int_equal(worker_load(&lib, name, &fault), EX_CONFIG);
	assert_non_null(strstr(fault.text, word));
	assert_null(lib.handle);
}

static void what_cannot_be_loaded_is_refused(void **unused)
{
	(void)unused;
	setenv("REFORK_WORKER_DIR", "/nonexistent/workers", 1);
	check_load_refused("none", "/nonexistent/workers");
	check_load_refused("/nonexistent/w.so", "/nonexistent/w.so");
	check_load_refused("/proc/self/cmdline", "cannot load");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_worker_of_this_abi_is_taken_whole),
		cmocka_unit_test(an_older_worker_lacks_later_hooks),
		cmocka_unit_test(a_newer_worker_is_taken_as_far_as_known),
		cmocka_unit_test(another_abi_is_refused_naming_both),
		cmocka_unit_test(an_older_abi_is_taken_while_it_can_be),
		cmocka_unit_test(what_is_no_worker_is_refused),
		cmocka_unit_test(a_struct_too_short_to_serve_is_refused),
		cmocka_unit_test(a_worker_without_request_or_name_is_refused),
		cmocka_unit_test(what_cannot_be_loaded_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
