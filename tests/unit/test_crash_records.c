/* SPDX-License-Identifier: MIT */
/* test_crash_records.c -- crash records: composed, kept, told. */
#include "crash_stage.h"

#include "daemon/records/compose.h"
#include "daemon/records/crash_words.h"
#include "daemon/records/ring.h"
#include "daemon/records/tell.h"

#include <sys/stat.h>

static struct rf_crash record;

static const char *line(void)
{
	FILE *out = fmemopen(said, sizeof(said) - 1, "w");

	tell_line(&record, out);
	fclose(out);
	return said;
}

/* ---- composition ---- */

static void a_record_says_what_happened_and_how_it_went_on(void **unused)
{
	struct death death = death_by_segv(812);
	struct rf_takeover takeover = takeover_at(1999020);
	char text[CRASH_WORDS_BYTES];

	(void)unused;
	set_scene(812);
	compose(&record, &death, &takeover);
	record.id = 6;
	assert_string_equal(line(),
		"crash 6: business pid 812 (generation 7) SIGSEGV at 0x18 in "
		"\"GET \"two words\"\" from 127.0.0.1:51234; the standby took "
		"over, serving again after 0.08 ms, 3 changes rolled back; "
		"reforkctl crash show 6");
	assert_int_equal(record.to_lease_us, 20);
	assert_int_equal(record.rollback_us, 20);
	assert_int_equal(record.to_serving_us, 1080 - 1000);
	assert_string_equal(crash_reason(&record, text), "address not mapped");
}

static void who_sent_the_signal_is_named(void **unused)
{
	struct death death = death_by_segv(812);
	char text[CRASH_WORDS_BYTES];

	(void)unused;
	set_scene(812);
	scene->code = SI_USER;
	scene->sender_pid = 4711;
	compose(&record, &death, NULL);
	assert_string_equal(crash_reason(&record, text), "sent by pid 4711");
	death.cause = RF_CRASH_HANG;
	compose(&record, &death, NULL);
	assert_string_equal(crash_reason(&record, text), "by the watchdog");
	death.scene = &service.status->scenes[1];
	compose(&record, &death, NULL);
	assert_string_equal(crash_reason(&record, text), "by the watchdog");
	death.cause = RF_CRASH_ITSELF;
	compose(&record, &death, NULL);
	assert_string_equal(crash_reason(&record, text), "");
}

static void what_became_of_the_request_is_told(void **unused)
{
	struct death death = death_by_segv(812);

	(void)unused;
	set_scene(812);
	death.rung = RF_RUNG_ROLL_BACK;
	compose(&record, &death, NULL);
	assert_string_equal(
		crash_answer(&record), "rolled back, request run again");
	record.rung = RF_RUNG_QUARANTINE;
	assert_string_equal(
		crash_answer(&record), "rolled back, request quarantined");
	assert_string_equal(crash_rung(&record), "quarantine");
}

static void without_a_scene_time_counts_from_when_it_was_noticed(void **unused)
{
	struct death death = death_by_segv(812);
	struct rf_takeover takeover = takeover_at(2000300);

	(void)unused;
	set_scene(811); /* of another process */
	put_request(&takeover.request, "k", "1.2.3.4:5");
	compose(&record, &death, &takeover);
	assert_int_equal(record.has_scene, 0);
	assert_int_equal(record.to_lease_us, 300);
	assert_int_equal(record.to_serving_us, 360);
	check(line(), "killed by SIGSEGV in \"GET k\" from 1.2.3.4:5;");
}

static void a_standby_faster_than_the_news_has_no_time_to_the_lease(
	void **unused)
{
	struct death death = death_by_segv(812);
	struct rf_takeover takeover = takeover_at(1999990);

	(void)unused;
	memset(scene, 0, sizeof(*scene));
	compose(&record, &death, &takeover);
	assert_int_equal(record.to_lease_us, -1);
	assert_int_equal(record.to_serving_us, 60);
}

static void nobody_took_over(void **unused)
{
	struct death death = death_by_segv(5);

	(void)unused;
	memset(scene, 0, sizeof(*scene));
	death.role = RF_CRASH_NETWORK;
	death.generation = 0;
	death.cause = RF_CRASH_HANG;
	death.end.si_status = SIGKILL;
	compose(&record, &death, NULL);
	record.id = 1;
	assert_string_equal(line(),
		"crash 1: network pid 5 hung, killed by SIGKILL; "
		"reforkctl crash show 1");
}

static void check_printable(const char *text)
{
	for (; *text; text++)
		assert_true(*text == '\n' || (*text >= ' ' && *text <= '~'));
}

/* What another process left is only ever measured and printed. */
static void noise_is_told_without_harm(void **unused)
{
	(void)unused;
	service.conf->crash.report = CONF_REPORT_BRIEF;
	for (uint64_t id = 1; id <= 500; id++) {
		struct death death = death_by_segv(812);
		struct rf_takeover takeover;

		random_fill(scene, sizeof(*scene));
		random_fill(&takeover, sizeof(takeover));
		scene->complete = 812;
		crashes_add(crashes, &death, &takeover);
		assert_int_equal(scene->complete, 0);
		check_printable(show(id, REPORT_JSON));
		check_printable(show(id, REPORT_TEXT));
	}
	check_printable(list(REPORT_TEXT));
	check_printable(list(REPORT_JSON));
}

/* ---- the ring ---- */

static unsigned count_rows(void)
{
	unsigned rows = 0;

	for (const char *c = list(REPORT_TEXT); *c; c++)
		rows += *c == '\n';
	return rows - 1; /* the head */
}

static void ids_grow_and_the_oldest_go(void **unused)
{
	(void)unused;
	service.conf->crash.keep = 5;
	for (int i = 1; i <= 3 * RF_CRASH_KEEP_MAX; i++) {
		crash(1000 + i);
		assert_int_equal(count_rows(), i < 5 ? i : 5);
	}
	assert_int_equal(service.status->crashes.last_id, 768);
	assert_int_equal(
		crashes_show(crashes, 763, REPORT_TEXT, stderr), -ENOENT);
	check(show(764, REPORT_TEXT), "crash 764: business, pid 1764, at 20");
	assert_int_equal(
		crashes_show(crashes, 769, REPORT_TEXT, stderr), -ENOENT);
	assert_int_equal(
		crashes_show(crashes, 0, REPORT_TEXT, stderr), -ENOENT);
	service.conf->crash.keep = RF_CRASH_KEEP_MAX;
	for (int i = 0; i < 2 * RF_CRASH_KEEP_MAX; i++)
		crash(1);
	assert_int_equal(count_rows(), RF_CRASH_KEEP_MAX);
}

static void records_outlive_a_planned_end(void **unused)
{
	char path[RING_FILE_PATH_BYTES];
	struct stat st;

	(void)unused;
	for (int i = 1; i <= 300; i++)
		crash(1000 + i);
	restart_fresh();
	assert_int_equal(count_rows(), 64);
	check(show(300, REPORT_TEXT), "pid 1300");
	crash(7);
	check(show(301, REPORT_TEXT), "pid 7");
	ring_file_path(service.conf, path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(service.conf->refork.state_dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

static void change_byte(const char *path, off_t off, uint8_t bits)
{
	int fd = open(path, O_RDWR);
	uint8_t byte;

	assert_int_equal(pread(fd, &byte, 1, off), 1);
	byte ^= bits;
	assert_int_equal(pwrite(fd, &byte, 1, off), 1);
	close(fd);
}

static void load_refused(void)
{
	struct rf_crash_ring *ring = &service.status->crashes;

	memset(ring, 0, sizeof(*ring));
	assert_int_equal(ring_file_load(service.conf, ring), -EBADMSG);
	assert_int_equal(ring->last_id, 0);
}

static void a_file_that_is_damaged_is_not_believed(void **unused)
{
	static const off_t sizes[] = {9000, 20, 0};
	char path[RING_FILE_PATH_BYTES];

	(void)unused;
	crash(1);
	crash(2);
	restart_fresh();
	assert_int_equal(count_rows(), 2);
	ring_file_path(service.conf, path);
	change_byte(path, 12, 1); /* the size of a record */
	load_refused();
	change_byte(path, 12, 1);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		assert_int_equal(truncate(path, sizes[i]), 0);
		load_refused();
	}
}

static void an_adopted_ring_is_measured(void **unused)
{
	struct rf_crash_ring *ring = &service.status->crashes;

	(void)unused;
	crash(1);
	crash(2);
	ring_slot(ring, 1)->role = 77;
	ring_slot(ring, 2)->text_complete = 0;
	memset(ring_slot(ring, 2)->text, 'x', RF_CRASH_TEXT_BYTES);
	ring->records[200].id = 3;
	crashes_close(crashes);
	crashes = crashes_open(&service, loop);
	assert_int_equal(count_rows(), 1);
	check(show(2, REPORT_TEXT), "pid 2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_record_says_what_happened_and_how_it_went_on),
		TEST(who_sent_the_signal_is_named),
		TEST(what_became_of_the_request_is_told),
		TEST(without_a_scene_time_counts_from_when_it_was_noticed),
		TEST(a_standby_faster_than_the_news_has_no_time_to_the_lease),
		TEST(nobody_took_over),
		TEST(noise_is_told_without_harm),
		TEST(ids_grow_and_the_oldest_go),
		TEST(records_outlive_a_planned_end),
		TEST(a_file_that_is_damaged_is_not_believed),
		TEST(an_adopted_ring_is_measured),
	};

	return RUN_TESTS(tests);
}
