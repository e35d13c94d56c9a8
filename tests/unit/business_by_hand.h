/* SPDX-License-Identifier: MIT */
/* business_by_hand.h -- business children, whole, of a supervisor and a network
 * side that are played by hand.
 */
#ifndef BUSINESS_BY_HAND_H
#define BUSINESS_BY_HAND_H

#include "by_hand.h"
#include <linux/futex.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#define ANN CONN(1, 0)
#define BOB CONN(2, 1)

/* What the children of a test tell it. */
static struct {
	int runs;     /* requests begun */
	int serves;   /* pid that began the last one */
	int overlaps; /* it was not alone */
	uint64_t canary;
	unsigned verified, built, migrated_from, started, stopped;
} * told;

static struct rf_worker worker;
static int bell;

/* ---- the worker's ways ---- */

static inline void count(const struct rf_request *req, struct rf_reply *reply)
{
	int me = getpid();

	__atomic_fetch_add(&told->runs, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&told->serves, me, __ATOMIC_SEQ_CST);
	trial_request(req, reply);
	if (__atomic_load_n(&told->serves, __ATOMIC_SEQ_CST) != me)
		__atomic_fetch_add(&told->overlaps, 1, __ATOMIC_SEQ_CST);
}

static inline void change_and(void (*then)(void))
{
	RF_SET(trial->number, trial->number + 100);
	then();
}

static inline void fault(void)
{
	static volatile int *volatile nowhere = (volatile int *)64;

	*nowhere = 1;
}

static inline void exit_zero(void)
{
	_exit(0);
}

static inline void spin(void)
{
	volatile int more = 1;

	while (more)
		;
}

static inline void sleep_on(void)
{
	for (;;)
		nap_us(1000000);
}

static inline void lose_the_list(void)
{
	syscall(SYS_set_robust_list, NULL, sizeof(struct robust_list_head));
	_exit(9);
}

static void (*then)(void);

static inline void do_then(const struct rf_request *req, struct rf_reply *reply)
{
	(void)req;
	reply_text(reply, "half a repl");
	change_and(then);
}

/* ---- the family ---- */

static inline int set_up_family(void **state)
{
	int error = set_up(state);

	told = shared_memory(sizeof *told);
	worker = trial_worker;
	worker.request = count;
	worker.tick = NULL;
	bell = eventfd(0, EFD_NONBLOCK);
	status->supervisor.pid = -1; /* holders end at once */
	trial_custom = do_then;
	rf_tx_begin();
	rf_arena_set_state_version(1);
	rf_tx_commit();
	rf_lease_give();
	return error;
}

static inline int tear_down_family(void **state)
{
	rf_lease_take(5000, true);
	close(bell);
	munmap(told, sizeof *told);
	return tear_down(state);
}

static inline int be_business(void *arg)
{
	business_main(arg);
}

static int scene_at; /* of status->scenes */

static inline pid_t start_child(struct rf_child how)
{
	static struct rf_child next;

	next = self;
	next.worker = &worker;
	next.arena = &scratch_segment;
	next.bell_supervisor = bell;
	next.scene = &status->scenes[scene_at++ % RF_CRASH_SCENES];
	next.standby = how.standby;
	next.predecessor = how.standby ? how.predecessor : -1;
	next.lease_orphaned = how.lease_orphaned;
	next.verify = how.verify;
	next.build_here = how.build_here;
	return fork_child(be_business, &next);
}

static inline const struct rf_crash_scene *scene_of(pid_t pid)
{
	for (int i = 0; i < RF_CRASH_SCENES; i++)
		if (status->scenes[i].complete == pid)
			return &status->scenes[i];
	return NULL;
}

#define UNTIL(condition)                                                       \
	do {                                                                   \
		int naps = 0;                                                  \
                                                                               \
		while (!(condition)) {                                         \
			nap_us(100);                                           \
			if (++naps > 100000)                                   \
				fail_msg("for ever not: %s", #condition);      \
		}                                                              \
	} while (0)

static inline pid_t start_serving(void)
{
	pid_t pid = start_child((struct rf_child){0});

	UNTIL(rf_status_get(status->business.serving_pid) == pid);
	return pid;
}

static inline pid_t start_standby(int predecessor)
{
	pid_t pid = start_child(
		(struct rf_child){.standby = true, .predecessor = predecessor});

	UNTIL(rf_status_get(status->standby.ready_pid) == pid);
	UNTIL(rf_status_get(status->standby.prefault_complete));
	return pid;
}

static inline void ask_now(uint64_t id, const char *words)
{
	ask(id, words);
	rf_bell_ring(channel.bell_business);
}

static inline void expect_soon(
	uint64_t id, enum rf_msg_type type, const char *text)
{
	uint64_t *head = &channel.reply.ring.shm->head;

	done_with_answers();
	UNTIL(__atomic_load_n(head, __ATOMIC_ACQUIRE) > reply_pos);
	expect(id, type, text);
}

static inline int end_by_leaving(pid_t pid)
{
	rf_status_set(status->supervisor.leave_pid, pid);
	rf_bell_ring(channel.bell_business);
	return wait_child(pid);
}

#define FAMILY(name)                                                           \
	cmocka_unit_test_setup_teardown(name, set_up_family, tear_down_family)

#endif
