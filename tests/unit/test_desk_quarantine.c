/* SPDX-License-Identifier: MIT */
/* test_desk_quarantine.c -- requests that killed are kept, and run again once.
 *
 * The business side runs in forked children, each of which begins as a
 * successor does. The system calls that move the files are this test's own, so
 * that a child can be made to die before or behind any of them.
 */
#include "by_hand.h"
#include <conf/conf.h>
#include <quarantine.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <worker/business/quarantine.h>

#define ANN CONN(1, 0)
#define BOB CONN(2, 1)

/* What a child shall do, and what came of it. Shared. */
static struct plan {
	bool kills;	  /* the request does */
	int die_before;	  /* this move of a file, counted from 1; 0: none */
	int die_behind;	  /* the same */
	int moves;	  /* so far, of this child */
	int refuse;	  /* all moves, with this error */
	bool errs;	  /* the request is answered with an error */
	uint64_t number;  /* of runs that were begun */
	uint64_t context; /* that the last one saw */
	bool released;	  /* it was */
} * plan;

static int move_file(long result)
{
	if (result != 0) {
		errno = (int)-result;
		return -1;
	}
	return 0;
}

static bool is_move(void)
{
	if (++plan->moves == plan->die_before)
		_exit(8);
	return plan->refuse == 0;
}

static void has_moved(void)
{
	if (plan->moves == plan->die_behind)
		_exit(8);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	long result = -plan->refuse;

	if (is_move())
		result = syscall(SYS_renameat2, from_dir, from, to_dir, to, 0)
				 ? -errno
				 : 0;
	has_moved();
	return move_file(result);
}

int unlinkat(int dir, const char *name, int flags)
{
	long result = -plan->refuse;

	if (strcmp(name, "new") == 0) /* before it is written */
		return (int)syscall(SYS_unlinkat, dir, name, flags);
	if (is_move())
		result = syscall(SYS_unlinkat, dir, name, flags) ? -errno : 0;
	has_moved();
	return move_file(result);
}

/* ---- the business side ---- */

static void poison(const struct rf_request *req, struct rf_reply *reply)
{
	plan->number++;
	plan->context = req->conn->user[0];
	plan->released = req->released;
	RF_SET(req->conn->user[0], 1);
	RF_SET(trial->number, trial->number + 1);
	rf_push(BOB, "pushed", 6);
	reply_text(reply, plan->errs ? "-ERR half" : "half");
	if (plan->kills)
		_exit(9);
	reply_text(reply, " and whole");
}

static int serve(void *arg)
{
	(void)arg;
	plan->moves = 0;
	if (rf_lease_take(5000, false) < 0)
		return 1;
	init_desk();
	if (desk_open(&desk, 1024) != 0)
		return 2;
	while (desk_round(&desk) > 0)
		;
	quarantine_run(&self, &desk);
	quarantine_run(&self, &desk); /* nothing is left to do */
	rf_lease_give();
	return 0;
}

static int run_serve(void)
{
	return exit_of(run_child(serve, NULL));
}

static int set_up_quarantine(void **state)
{
	int error = set_up(state);

	plan = shared_memory(sizeof *plan);
	trial_custom = poison;
	strcpy(conf.refork.name, "unit");
	strcpy(conf.refork.state_dir, "/tmp/refork-unit-XXXXXX");
	conf.quarantine.keep = 4;
	if (mkdtemp(conf.refork.state_dir) == NULL)
		return -1;
	open_conn(ANN);
	open_conn(BOB);
	assert_int_equal(run_desk(), 0);
	rf_lease_give();
	return error;
}

static int tear_down_quarantine(void **state)
{
	char command[CONF_TEXT_MAX + 16];

	snprintf(command, sizeof command, "rm -rf '%s'", conf.refork.state_dir);
	rf_lease_take(5000, true);
	return system(command) | tear_down(state);
}

/* ---- what stands in the directory ---- */

/* Like "1 2 3r": IDs, and those being run. */
static const char *files(void)
{
	static char text[256];
	struct rf_quarantine_entry *entries = NULL;
	int dir = rf_quarantine_dir(
		conf.refork.state_dir, conf.refork.name, false, NULL);
	int count = dir < 0 ? 0 : rf_quarantine_list(dir, &entries);
	size_t at = 0;

	text[0] = '\0';
	for (int i = 0; i < count; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, "%s%llu%s",
			i > 0 ? " " : "", (unsigned long long)entries[i].id,
			entries[i].running ? "r" : "");
	free(entries);
	if (dir >= 0)
		close(dir);
	return text;
}

/* ANN sends it, and it kills twice. */
static void poison_once(void)
{
	plan->kills = true;
	ask(ANN, "custom a b");
	assert_int_equal(run_serve(), 9);
	assert_int_equal(run_serve(), 9);
	assert_int_equal(run_serve(), 0);
	expect(ANN, RF_MSG_ERROR, "CRASHED ");
	expect_no_answer();
	plan->number = 0;
}

static void order(uint64_t id)
{
	status->supervisor.release_id = id;
	status->supervisor.release_serial++;
}

static void expect_released(int result)
{
	const char *reply = result == 0 ? "half and whole" : "";

	if (result == -ECANCELED)
		reply = "-ERR half and whole";
	assert_int_equal(status->business.release_serial,
		status->supervisor.release_serial);
	assert_int_equal(status->business.release_result, result);
	assert_int_equal(status->business.release_reply_bytes, strlen(reply));
	assert_memory_equal(
		status->business.release_reply, reply, strlen(reply));
}

/* It took effect so often; its connection has ended as often. */
static void expect_effect(uint64_t times)
{
	assert_int_equal(trial->number, times);
	assert_int_equal(trial->closed, times);
	for (uint64_t i = 0; i < times; i++)
		expect(BOB, RF_MSG_PUSH, "pushed");
	expect_no_answer();
}

/* ---- keeping ---- */

static void a_request_that_killed_twice_is_kept_as_it_was(void **state)
{
	struct rf_quarantined file;
	uint8_t payload[64];
	int dir, fd;

	(void)state;
	poison_once();
	assert_string_equal(files(), "1");
	dir = rf_quarantine_dir(conf.refork.state_dir, "unit", false, NULL);
	fd = rf_quarantine_open(dir, 1, false, &file);
	assert_true(fd >= 0);
	assert_string_equal(file.peer, "unit:1234");
	assert_string_equal(file.service, "unit");
	assert_string_equal(file.worker, "trial 1");
	assert_int_equal(file.attempts, 2);
	assert_int_equal(file.conn_id, ANN);
	assert_true(file.channel_epoch == channel.shm->epoch);
	assert_int_equal(file.bytes, 4 + 3 * 4 + 8);
	assert_int_equal(rf_quarantine_read(fd, payload, file.bytes), 0);
	assert_memory_equal(payload + 16, "customab", 8);
	close(fd);
	close(dir);
}

static void a_death_while_it_is_kept_makes_no_second_file(void **state)
{
	(void)state;
	plan->kills = true;
	ask(ANN, "custom a b");
	assert_int_equal(run_serve(), 9);
	assert_int_equal(run_serve(), 9);
	plan->die_behind = 1; /* its name is there, the answer is not */
	assert_int_equal(run_serve(), 8);
	assert_string_equal(files(), "1");
	plan->die_behind = 0;
	assert_int_equal(run_serve(), 0);
	expect(ANN, RF_MSG_ERROR, "CRASHED ");
	assert_string_equal(files(), "1");
	poison_once();
	assert_string_equal(files(), "1 2");
}

static void no_more_are_kept_than_configured(void **state)
{
	(void)state;
	for (int i = 0; i < 6; i++)
		poison_once();
	assert_string_equal(files(), "3 4 5 6");
	conf.quarantine.keep = 2;
	poison_once();
	assert_string_equal(files(), "6 7");
	conf.quarantine.keep = 0;
	poison_once();
	assert_string_equal(files(), "6 7");
}

static void without_a_disk_it_is_skipped_all_the_same(void **state)
{
	char real[sizeof conf.refork.state_dir];

	(void)state;
	plan->refuse = ENOSPC;
	poison_once();
	assert_string_equal(files(), "");
	plan->refuse = 0;
	strcpy(real, conf.refork.state_dir);
	strcpy(conf.refork.state_dir, "/nonexistent/at/all");
	poison_once();
	strcpy(conf.refork.state_dir, real);
	poison_once();
	assert_string_equal(files(), "2"); /* 1 was lost */
}

/* ---- running again ---- */

static void a_released_request_runs_once_and_its_file_goes(void **state)
{
	(void)state;
	poison_once();
	plan->kills = false;
	order(1);
	assert_int_equal(run_serve(), 0);
	expect_released(0);
	assert_string_equal(files(), "");
	expect_effect(1);
	assert_int_equal(run_serve(), 0);
	order(1);
	assert_int_equal(run_serve(), 0);
	expect_released(-ENOENT);
	assert_int_equal(plan->number, 1);
	assert_int_equal(trial->number, 1);
}

static void a_released_one_sees_a_word_of_its_connection(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		ask(ANN, "peer"); /* counts there */
	assert_int_equal(run_serve(), 0);
	for (int i = 0; i < 3; i++)
		assert_true(take_answer(&(struct answer){0}));
	poison_once();
	assert_int_equal(plan->context, 3);
	assert_false(plan->released);
	plan->kills = false;
	plan->context = 0;
	order(1);
	assert_int_equal(run_serve(), 0);
	expect_released(0);
	assert_int_equal(plan->context, 3);
	assert_true(plan->released);
	expect_effect(1);
}

static void one_answered_with_an_error_takes_no_effect_and_stays(void **state)
{
	(void)state;
	poison_once();
	plan->kills = false;
	plan->errs = true;
	for (int dies = 0; dies < 2; dies++) {
		order(1);
		plan->die_before = dies ? 2 : 0; /* it is called 1 again */
		assert_int_equal(run_serve(), dies ? 8 : 0);
		plan->die_before = 0;
		assert_int_equal(run_serve(), 0);
		expect_released(-ECANCELED);
		assert_string_equal(files(), "1");
		assert_int_equal(plan->number, (uint64_t)dies + 1);
		expect_effect(0);
	}
	plan->errs = false;
	order(1);
	assert_int_equal(run_serve(), 0);
	expect_released(0);
	expect_effect(1);
}

static void one_that_kills_again_stays_and_is_not_tried_again(void **state)
{
	(void)state;
	poison_once();
	order(1);
	assert_int_equal(run_serve(), 9);
	assert_string_equal(files(), "1r");
	assert_int_equal(run_serve(), 0);
	expect_released(-EFAULT);
	assert_string_equal(files(), "1");
	assert_int_equal(run_serve(), 0);
	assert_int_equal(plan->number, 1);
	expect_effect(0);
	/* The operator may insist. */
	plan->kills = false;
	order(1);
	assert_int_equal(run_serve(), 0);
	expect_released(0);
	expect_effect(1);
}

/* Moves of a release that goes well: 1 to ID.running, 2 away. */
static void a_death_at_any_move_runs_it_once(void **state)
{
	enum { BEFORE_IT_BEGAN, AS_IT_BEGAN, AFTER_THE_COMMIT, AT_THE_END };

	(void)state;
	for (int point = BEFORE_IT_BEGAN; point <= AT_THE_END; point++) {
		poison_once();
		plan->kills = false;
		*(point % 2 == 0 ? &plan->die_before : &plan->die_behind) =
			point / 2 + 1;
		order((uint64_t)point + 1);
		assert_int_equal(run_serve(), 8);
		plan->die_before = plan->die_behind = 0;
		if (point == AFTER_THE_COMMIT) /* and before the answer */
			status->business.release_serial--;
		assert_int_equal(run_serve(), 0);
		if (point == AS_IT_BEGAN) { /* it may have killed */
			expect_released(-EFAULT);
			expect_effect(0);
			order((uint64_t)point + 1);
			assert_int_equal(run_serve(), 0);
		}
		expect_released(0);
		assert_int_equal(plan->number, 1);
		assert_string_equal(files(), "");
		expect_effect(1);
		trial->number = trial->closed = 0;
	}
}

static void a_death_while_it_is_put_back_changes_nothing(void **state)
{
	(void)state;
	for (int point = 0; point < 2; point++) {
		plan->kills = true;
		if (point == 0)
			poison_once();
		order(1);
		assert_int_equal(run_serve(), 9);
		*(point == 0 ? &plan->die_before : &plan->die_behind) = 1;
		assert_int_equal(run_serve(), 8);
		plan->die_before = plan->die_behind = 0;
		assert_int_equal(run_serve(), 0);
		expect_released(-EFAULT);
		assert_string_equal(files(), "1");
		assert_int_equal(plan->number, (uint64_t)point + 1);
	}
	expect_effect(0);
}

static void what_cannot_be_moved_is_not_run(void **state)
{
	(void)state;
	poison_once();
	plan->kills = false;
	plan->refuse = EROFS;
	order(1);
	assert_int_equal(run_serve(), 0);
	expect_released(-EROFS);
	expect_effect(0);
	assert_string_equal(files(), "1");
}

static void what_is_no_request_is_not_run(void **state)
{
	static const struct {
		uint64_t bytes;
		int result;
	} odd[] = {{0, -EBADMSG}, {3, -EBADMSG}, {4096, -EBADMSG},
		{REQUEST_BYTES + 1, -EMSGSIZE}};
	static const uint8_t junk[REQUEST_BYTES + 1] = {9, 0, 0, 0, 1};
	int dir = rf_quarantine_dir(conf.refork.state_dir, "unit", true, NULL);

	(void)state;
	for (uint64_t id = 1; id <= sizeof odd / sizeof *odd; id++) {
		struct rf_quarantined file = {
			.id = id, .bytes = odd[id - 1].bytes};

		assert_int_equal(rf_quarantine_write(dir, &file, junk), 0);
		order(id);
		assert_int_equal(run_serve(), 0);
		expect_released(odd[id - 1].result);
	}
	close(dir);
	assert_string_equal(files(), "1 2 3 4");
	expect_effect(0);
}

static void what_cannot_commit_stays(void **state)
{
	(void)state;
	plan->kills = true;
	ask(ANN, "fail 12 custom"); /* ENOMEM */
	rf_lease_take(0, false);
	RF_SUPER->attempt = RF_SUPER->desk.request_pos << 8 | 2;
	rf_lease_give();
	assert_int_equal(run_serve(), 0);
	expect(ANN, RF_MSG_ERROR, "CRASHED ");
	order(1);
	assert_int_equal(run_serve(), 0);
	expect_released(-ENOMEM);
	assert_string_equal(files(), "1");
	expect_no_answer();
	assert_int_equal(trial->number, 0);
}

#define QTEST(name)                                                            \
	cmocka_unit_test_setup_teardown(                                       \
		name, set_up_quarantine, tear_down_quarantine)

int main(void)
{
	const struct CMUnitTest tests[] = {
		QTEST(a_request_that_killed_twice_is_kept_as_it_was),
		QTEST(a_death_while_it_is_kept_makes_no_second_file),
		QTEST(no_more_are_kept_than_configured),
		QTEST(without_a_disk_it_is_skipped_all_the_same),
		QTEST(a_released_request_runs_once_and_its_file_goes),
		QTEST(a_released_one_sees_a_word_of_its_connection),
		QTEST(one_answered_with_an_error_takes_no_effect_and_stays),
		QTEST(one_that_kills_again_stays_and_is_not_tried_again),
		QTEST(a_death_at_any_move_runs_it_once),
		QTEST(a_death_while_it_is_put_back_changes_nothing),
		QTEST(what_cannot_be_moved_is_not_run),
		QTEST(what_is_no_request_is_not_run),
		QTEST(what_cannot_commit_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
