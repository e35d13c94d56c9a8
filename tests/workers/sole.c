/* SPDX-License-Identifier: MIT */
/* sole.c -- a worker that would notice another process in the same arena.
 *
 * While a request runs, a word of the arena holds the pid of the process that
 * runs it; the word is not under the undo log, so it tells of any process, also
 * of one that should be dead or asleep. A process that meets another's pid
 * there, and did not just begin, says so: SOLE is answered with the number of
 * such meetings, which must stay 0.
 */
#include <refork/log.h>
#include <refork/slot.h>
#include <refork/worker.h>
#include <stdio.h>
#include <unistd.h>

#define LOOKS 20000 /* ~20 us: most deaths fall into a request */

struct sole { /* in the arena, on purpose without the undo log */
	uint64_t holder;
	uint64_t meetings;
};

static struct sole *sole;
static bool is_new = true;

static int sole_build(const struct rf_env *env)
{
	(void)env;
	return rf_slot_open(
		"sole", "sole", 1, sizeof(*sole), (void **)&sole, NULL);
}

static uint64_t seen(void)
{
	return __atomic_load_n(&sole->holder, __ATOMIC_SEQ_CST);
}

static void meet(uint64_t other)
{
	__atomic_fetch_add(&sole->meetings, 1, __ATOMIC_SEQ_CST);
	rf_log(RF_LOG_ERROR, "sole: process %llu is here as well",
		(unsigned long long)other);
}

static void sole_request(const struct rf_request *req, struct rf_reply *reply)
{
	uint64_t mine = (uint64_t)getpid();
	uint64_t other = seen();
	char text[32];

	(void)req;
	/* What the predecessor died in the middle of is still there. */
	if (other != 0 && !is_new)
		meet(other);
	is_new = false;
	__atomic_store_n(&sole->holder, mine, __ATOMIC_SEQ_CST);
	for (int look = 0; look < LOOKS; look++) {
		other = seen();
		if (other != mine) {
			meet(other);
			break;
		}
	}
	__atomic_store_n(&sole->holder, 0, __ATOMIC_SEQ_CST);
	rf_reply_bytes(reply, text,
		(size_t)snprintf(text, sizeof(text), ":%llu\r\n",
			(unsigned long long)sole->meetings));
}

RF_API const struct rf_worker refork_worker = {
	.magic = RF_WORKER_MAGIC,
	.struct_size = sizeof(struct rf_worker),
	.abi = RF_WORKER_ABI,
	.name = "sole",
	.version = "1",
	.state_version = 1,
	.build = sole_build,
	.request = sole_request,
};
