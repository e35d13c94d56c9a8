/* SPDX-License-Identifier: MIT */
/* sweep.c -- one scenario: its writer, its heir, its judge.
 *
 *   test program
 *     └─ judge      sees all stages, has its own at RF_ARENA_BASE, steps both:
 *          ├─ writer  act(), over and over cut short by its death
 *          └─ heir    recovers what the writer left, and dies of it again
 *
 * The writer is never really killed: its memory at a step is all that its death
 * at that step would leave. So one pass shows every death.
 *
 * The writer first does act() in a clone of itself, at full speed: that shows
 * the state after. Then its memory is put back, and it does the same again, in
 * steps.
 *
 * The heir's sweep costs as much as the writer's, for each state it starts
 * from: it is done for a random sample of them.
 */
#include "sweep.h"
#include "clock.h"
#include "common/arena.h"
#include "stepper.h"
#include <refork/log.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATES_MAX    16
#define TIMEOUT_S     120
#define TIMEOUT_ALL_S 3600
#define NOW_MS	      INT64_C(1700000000000)

static const struct geometry small_geometry = {
	.page_max = 96,
	.heap = {{0, 96}},
};

#ifdef __SANITIZE_ADDRESS__ /* many more steps for the same */
#define SAMPLES 2
#else
#define SAMPLES 6
#endif

static struct verdict *verdict;
static const struct scenario *scenario;

static struct {
	struct stage writer, heir, own;
	struct stepper writer_stepper, heir_stepper;
	struct image *before, *after, *shadow;
	struct image *states[STATES_MAX]; /* [0] is before */
	struct {
		struct image *image;
		unsigned state; /* where a recovery of it ends */
	} * samples;
	size_t sample_count, samples_max;
	bool all; /* of the states, not only a sample */
} judge;

void tale_add(struct tale *tale, const char *format, ...)
{
	va_list args;
	size_t room = sizeof tale->text - tale->bytes;
	int n;

	va_start(args, format);
	n = vsnprintf(tale->text + tale->bytes, room, format, args);
	va_end(args);
	tale->bytes += (size_t)n < room ? (size_t)n : room - 1;
}

void condemn(const char *format, ...)
{
	va_list args;
	int n;

	if (!verdict->condemned) {
		verdict->condemned = true;
		n = snprintf(verdict->why, sizeof verdict->why,
			"at step %lu: ", verdict->steps);
		va_start(args, format);
		vsnprintf(verdict->why + n, sizeof verdict->why - (size_t)n,
			format, args);
		va_end(args);
	}
	_exit(1);
}

static const struct geometry *geometry(void)
{
	return scenario->geometry != NULL ? scenario->geometry
					  : &small_geometry;
}

/* ---- the two children ---- */

static void enter(struct stage *stage)
{
	int error = stage_enter(stage);

	if (error != 0)
		condemn("map the arena: %s", strerror(-error));
}

/* A clone does act() at full speed. */
static void rehearse(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		scenario->act(scenario);
		if (scenario->tell != NULL)
			scenario->tell(scenario, &verdict->tale);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		condemn("rehearse: fork failed");
	if (status != 0)
		condemn("when nobody interrupts it, act() %s",
			stepper_words(status));
}

static void writer_run(void *arg)
{
	int error;

	(void)arg;
	enter(&judge.writer);
	error = stage_format(geometry());
	if (error != 0)
		condemn("format the arena: %s", strerror(-error));
	scenario->prepare(scenario);
	stepper_mark();
	rehearse();
	stepper_mark();
	scenario->act(scenario);
	stepper_mark();
}

static void recover(bool rung)
{
	size_t undone = rf_tx_recover();

	if (scenario->resume != NULL)
		scenario->resume(scenario, undone, rung);
}

static void heir_run(void *arg)
{
	(void)arg;
	enter(&judge.heir);
	for (;;) {
		stepper_mark();
		recover(verdict->rung);
		stepper_mark();
	}
}

/* ---- the judge ---- */

/* No death after this one: what is outside sees the whole act, once. */
static void go_to_the_end(void)
{
	struct tale tale = {.bytes = 0};
	const char *differs;

	if (scenario->finish == NULL)
		return;
	scenario->finish(scenario);
	differs = image_differs(judge.after, &judge.own);
	if (differs != NULL)
		condemn("going on ends in another state: %s", differs);
	if (scenario->tell == NULL)
		return;
	scenario->tell(scenario, &tale);
	if (strcmp(tale.text, verdict->tale.text) != 0)
		condemn("going on tells '%s' instead of '%s'", tale.text,
			verdict->tale.text);
}

struct death {
	const struct image *left;
	unsigned state;	 /* that the roll back should leave */
	bool may_commit; /* or the one after it */
	bool of_heir;
};

/* `image` is what stands in our own stage. */
static void read_meaning(struct image *image)
{
	image_read_meaning(image);
	if (scenario->forget != NULL)
		scenario->forget(scenario, image);
}

static void judge_state(struct death *death)
{
	const char *differs =
		image_differs(judge.states[death->state], &judge.own);
	struct image *fresh;

	if (differs == NULL)
		return;
	if (!death->may_commit)
		condemn("the roll back does not restore state %u: %s",
			death->state, differs);
	if (death->state == scenario->changes)
		condemn("a change too many: %s", differs);
	fresh = image_new();
	image_capture(fresh, &judge.own);
	read_meaning(fresh);
	judge.states[++death->state] = fresh;
}

static void resume(const struct death *death, size_t undone)
{
	const char *differs;

	scenario->resume(scenario, undone, death->left->rung);
	if (scenario->resume_changes)
		return;
	differs = image_differs(judge.states[death->state], &judge.own);
	if (differs != NULL)
		condemn("resuming changes the state: %s", differs);
}

/* Do what the successor does; returns the state it found. */
static unsigned judge_death(struct death death)
{
	size_t undone;

	image_load(death.left, &judge.own);
	stage_silence(&judge.own);
	undone = rf_tx_recover();
	verdict->recoveries++;
	if (rf_arena_check() != 0)
		condemn("the arena is damaged after the roll back");
	if (scenario->check != NULL && scenario->check(scenario) != 0)
		condemn("what the scenario keeps is damaged");
	if (!(death.of_heir && scenario->resume_changes))
		judge_state(&death);
	if (scenario->resume != NULL)
		resume(&death, undone);
	go_to_the_end();
	return death.state;
}

/* Let the heir recover from an image, and die at each store it makes. */
static void interrupt_recovery(const struct image *left, unsigned state)
{
	static struct image *shadow;
	enum stepper_stop stop;

	if (shadow == NULL)
		shadow = image_new();
	if (stepper_run(&judge.heir_stepper) != STEPPER_MARK)
		condemn("the heir %s", stepper_death());
	image_copy(shadow, left);
	image_load(left, &judge.heir);
	stage_silence(&judge.heir);
	verdict->rung = left->rung;
	verdict->interrupted++;
	while ((stop = stepper_step(&judge.heir_stepper)) == STEPPER_STEPPED) {
		verdict->steps++;
		if (image_poll(shadow, &judge.heir))
			judge_death((struct death){.left = shadow,
				.state = state,
				.of_heir = true});
	}
	if (stop == STEPPER_DIED)
		condemn("a recovery %s", stepper_death());
}

/* Keep each of the points seen so far with the same chance. */
static void sample(unsigned state)
{
	size_t place = judge.sample_count;

	if (place == judge.samples_max)
		place = (size_t)random() % verdict->changed;
	else
		judge.samples[judge.sample_count++].image = image_new();
	if (place >= judge.samples_max)
		return;
	image_copy(judge.samples[place].image, judge.shadow);
	judge.samples[place].state = state;
}

/* The writer has changed something. Returns the state it is in. */
static unsigned judge_change(unsigned state, uint64_t log_tail_before)
{
	struct death death = {.left = judge.shadow, .state = state};

	verdict->changed++;
	death.may_commit =
		log_tail_before != 0 && image_log_tail(judge.shadow) == 0;
	if (death.may_commit) { /* with pages that live only now */
		image_watch(judge.shadow);
		image_poll(judge.shadow, &judge.writer);
	}
	state = judge_death(death);
	if (judge.all)
		interrupt_recovery(judge.shadow, state);
	else
		sample(state);
	return state;
}

static void sweep_writer(void)
{
	enum stepper_stop stop;
	uint64_t log_tail = 0;
	const char *differs;
	unsigned state = 0;

	while ((stop = stepper_step(&judge.writer_stepper)) ==
		STEPPER_STEPPED) {
		verdict->steps++;
		if (!image_poll(judge.shadow, &judge.writer))
			continue;
		state = judge_change(state, log_tail);
		log_tail = image_log_tail(judge.shadow);
	}
	if (stop == STEPPER_DIED)
		condemn("the writer %s", stepper_death());
	if (state != scenario->changes)
		condemn("%u changes instead of %u", state, scenario->changes);
	image_load(judge.shadow, &judge.own);
	differs = image_differs(judge.after, &judge.own);
	if (differs != NULL)
		condemn("it ends in another state than before: %s", differs);
}

/* ---- the whole ---- */

static void to_mark(struct stepper *stepper, const char *what)
{
	if (stepper_run(stepper) != STEPPER_MARK)
		condemn("%s: the writer %s", what, stepper_death());
}

/* The images before and after, the stages all as before. */
static void set_the_scene(void)
{
	to_mark(&judge.writer_stepper, "prepare");
	image_layout(&judge.writer, geometry());
	judge.before = judge.states[0] = image_new();
	judge.after = image_new();
	judge.shadow = image_new();
	image_capture(judge.before, &judge.writer);
	to_mark(&judge.writer_stepper, "rehearse");
	image_capture(judge.after, &judge.writer);
	image_restore(judge.before, &judge.writer);
	image_restore(judge.before, &judge.heir);
	stage_silence(&judge.writer);
	image_restore(judge.after, &judge.own);
	read_meaning(judge.after);
	image_restore(judge.before, &judge.own);
	read_meaning(judge.before);
	if (rf_arena_check() != 0 ||
		(scenario->check != NULL && scenario->check(scenario) != 0))
		condemn("the state before is damaged already");
	image_watch(judge.before);
	image_watch(judge.after);
	image_copy(judge.shadow, judge.before);
	if (scenario->told != NULL &&
		strcmp(scenario->told, verdict->tale.text) != 0)
		condemn("uninterrupted, it tells '%s' instead of '%s'",
			verdict->tale.text, scenario->told);
}

/* How many recoveries are interrupted. */
static void read_samples(void)
{
	const char *text = getenv("CRASH_SAMPLES");

	judge.samples_max = text != NULL ? strtoul(text, NULL, 10) : SAMPLES;
	judge.all = text != NULL && strcmp(text, "all") == 0;
	judge.samples = calloc(judge.samples_max + 1, sizeof *judge.samples);
	if (judge.samples == NULL || scenario->changes >= STATES_MAX)
		condemn("set up: too much is asked for");
	alarm(judge.all ? TIMEOUT_ALL_S : TIMEOUT_S);
}

static void make_stages(void)
{
	struct stage *stages[] = {&judge.writer, &judge.heir, &judge.own};
	int error = 0;

	for (size_t i = 0; error == 0 && i < 3; i++)
		error = stage_create(stages[i], geometry());
	if (error == 0)
		error = stepper_start(&judge.writer_stepper, writer_run, NULL);
	if (error == 0)
		error = stepper_start(&judge.heir_stepper, heir_run, NULL);
	if (error != 0)
		condemn("set up: %s", strerror(-error));
	enter(&judge.own);
}

static void judge_main(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	clock_frozen_ms = NOW_MS;
	read_samples();
	make_stages();
	set_the_scene();
	sweep_writer();
	for (size_t i = 0; i < judge.sample_count; i++)
		interrupt_recovery(
			judge.samples[i].image, judge.samples[i].state);
	stepper_end(&judge.heir_stepper);
	stepper_end(&judge.writer_stepper);
}

/* What the processes had to say, as far as it is of interest. */
static void quote(int said)
{
	char line[256];
	off_t end = lseek(said, 0, SEEK_END);
	size_t bytes = end < 255 ? (size_t)end : 255;
	ssize_t n = pread(said, line, bytes, end - (off_t)bytes);
	size_t at = strlen(verdict->why);

	if (n > 0)
		snprintf(verdict->why + at, sizeof verdict->why - at,
			" (said: ...%.*s)", (int)n, line);
}

const struct verdict *sweep(const struct scenario *the_scenario)
{
	int status, said = memfd_create("said", 0);
	pid_t pid;

	if (verdict == NULL)
		verdict = mmap(NULL, sizeof *verdict, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memset(verdict, 0, sizeof *verdict);
	scenario = the_scenario;
	stage_without_hints = scenario->finish != NULL;
	pid = fork();
	if (pid == 0) {
		dup2(said, STDERR_FILENO);
		stepper_stay();
		judge_main();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (status != 0 && !verdict->condemned) {
		verdict->condemned = true;
		snprintf(verdict->why, sizeof verdict->why,
			"at step %lu: the judge %s", verdict->steps,
			stepper_words(status));
	}
	if (verdict->condemned)
		quote(said);
	close(said);
	return verdict;
}
