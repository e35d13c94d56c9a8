/* SPDX-License-Identifier: MIT */
/* vault.c -- a process that does nothing but keep descriptors.
 *
 * The problem. The sockets of a process that is killed are closed with it.
 * The idea. Sockets belong to the descriptor table, and a table lives as long
 * as one process that uses it. The vault is forked by the supervisor with the
 * listening sockets; every network child is made by the vault and shares its
 * table. What a network child accepts stands in the vault's table at once, with
 * nothing passed and nothing paid.
 *
 *   supervisor --fork--> vault --clone(FILES|PARENT)--> network child
 *                          ^                                 |
 *                          +------- the same, when the vault ended
 *
 * Rules, and the function that keeps each:
 *   K1  the vault opens and closes nothing once there is a network child: the
 *       table is that one's to change                 take_orders()
 *   K2  an order is acted on once, by a process that has taken it; the others
 *       end before they touch anything                enter()
 *   K3  everyone is the supervisor's child, and ends with it
 *                                                     enter()
 *
 * clone() and glibc. A process made by a bare clone() without CLONE_VM is what
 * fork() makes, but for glibc's own memory of its thread id, which the kernel
 * writes for us: it is asked where that stands. Its parent has one thread, so
 * no lock of glibc can be held by another.
 */
#include "vault.h"
#include "conf/conf.h"
#include "network.h"
#include "worker/confine/confine.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <refork/log.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KEPT_MAX  (RF_LISTEN_MAX + 48)
#define NAP_MS	  200 /* between two heartbeats */
#define NO_SERIAL UINT32_MAX

/* Inherited by whoever is made here. */
static struct rf_child own;
static int kept[KEPT_MAX];
static int kept_count;
static uint32_t seen = NO_SERIAL; /* serial of the last order looked at */

int vault_kept(const int **fds)
{
	*fds = kept;
	return kept_count;
}

static struct rf_order_shm *order_of(const struct rf_child *self)
{
	return &((struct rf_front_shm *)self->channel->front.base)->order;
}

static void wake(struct rf_order_shm *order)
{
	syscall(SYS_futex, &order->word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

/* ---- making a process ---- */

_Noreturn static void keep_watch(void);

static void end_asked(int number)
{
	(void)number;
	_exit(RF_CHILD_EXIT_ASKED);
}

/* The new process: it is nobody before it has taken the order. After that the
 * order's words may be the next one's. */
_Noreturn static void enter(enum rf_order_kind kind, uint32_t scene,
	uint64_t given, pid_t supervisor)
{
	struct rf_order_shm *order = order_of(&own);
	uint64_t taken = rf_order_word(rf_order_serial(given), RF_ORDER_TAKEN,
		(uint32_t)syscall(SYS_getpid));

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGTERM, SIG_DFL);
	if (getppid() != supervisor || !rf_order_move(order, given, taken))
		_exit(RF_CHILD_EXIT_START);
	wake(order);
	setpgid(0, 0);
	own.scene = &own.status->scenes[scene];
	if (own.take_role)
		own.take_role(
			&own, kind == RF_ORDER_VAULT ? "vault" : "network");
	if (kind == RF_ORDER_VAULT)
		keep_watch();
	network_main(&own);
}

/* A copy of this process, sharing its descriptors, beside it. */
static pid_t twin(void)
{
	unsigned long flags = CLONE_FILES | CLONE_PARENT | SIGCHLD;
	int *tid = NULL;

#ifdef PR_GET_TID_ADDRESS
	if (prctl(PR_GET_TID_ADDRESS, &tid) == 0 && tid)
		flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
#endif
#if defined(__x86_64__)
	return (pid_t)syscall(SYS_clone, flags, NULL, NULL, tid, 0UL);
#else
	return (pid_t)syscall(SYS_clone, flags, NULL, NULL, 0UL, tid);
#endif
}

static void act(enum rf_order_kind kind, uint64_t given)
{
	struct rf_order_shm *order = order_of(&own);
	uint32_t scene = order->scene;
	pid_t supervisor = getppid(), child;

	if (scene >= RF_CRASH_SCENES)
		return;
	child = twin();
	if (child == 0)
		enter(kind, scene, given, supervisor);
	if (child > 0)
		return;
	rf_order_move(order, given,
		rf_order_word(rf_order_serial(given), RF_ORDER_FAILED,
			(uint32_t)errno));
	wake(order);
}

/* Act on an order of that kind, once. Returns the word that was looked at. */
static uint64_t take_orders(enum rf_order_kind kind)
{
	struct rf_order_shm *order = order_of(&own);
	uint64_t word = __atomic_load_n(&order->word, __ATOMIC_SEQ_CST);

	if (rf_order_serial(word) == seen)
		return word;
	seen = rf_order_serial(word);
	if (rf_order_state(word) == RF_ORDER_GIVEN && order->kind == kind)
		act(kind, word);
	return word;
}

void vault_look(const struct rf_child *self)
{
	if (self->table != 0)
		take_orders(RF_ORDER_VAULT);
}

/* ---- the vault ---- */

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Before there is a network child: all that is open is the supervisor's. */
static int note_kept(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	if (!dir)
		return -errno;
	kept_count = 0;
	while ((entry = readdir(dir)) && kept_count < KEPT_MAX) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] != '.' && fd != dirfd(dir))
			kept[kept_count++] = fd;
	}
	closedir(dir);
	qsort(kept, (size_t)kept_count, sizeof(kept[0]), by_number);
	return kept_count < KEPT_MAX ? 0 : -EMFILE;
}

/* A table that more than one process uses grows at the cost of an RCU grace
 * period, 10 to 20 ms, at each doubling: clients would wait. So it is as large
 * as it can get to be while it is the vault's alone. Best effort. */
static void widen_table(void)
{
	struct rlimit limit;
	uint64_t size = own.conf->network.max_clients + KEPT_MAX;
	int fd;

	if (kept_count == 0 || getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	if (size > limit.rlim_cur)
		size = limit.rlim_cur;
	fd = fcntl(kept[0], F_DUPFD_CLOEXEC, (int)size - 1);
	if (fd >= 0)
		close(fd);
}

_Noreturn static void keep_watch(void)
{
	struct rf_order_shm *order = order_of(&own);
	const struct timespec nap = {.tv_nsec = NAP_MS * 1000000L};
	struct rf_status_vault *status = &own.status->vault;

	signal(SIGTERM, end_asked);
	rf_status_set(status->heartbeat_ms, rf_monotonic_ms());
	rf_status_set(status->ready, (uint64_t)getpid());
	rf_bell_ring(own.bell_supervisor);
	for (;;) {
		uint64_t word = take_orders(RF_ORDER_NETWORK);

		syscall(SYS_futex, &order->word, FUTEX_WAIT, (uint32_t)word,
			&nap, NULL, 0);
		rf_status_set(status->heartbeat_ms, rf_monotonic_ms());
	}
}

_Noreturn void vault_main(const struct rf_child *self)
{
	int rc;

	own = *self;
	rf_segment_close(own.arena);
	rc = note_kept();
	if (rc) {
		rf_log(RF_LOG_ERROR, "vault: /proc/self/fd: %s; ending",
			strerror(-rc));
		_exit(RF_CHILD_EXIT_START);
	}
	rf_status_set(own.status->vault.confined, confine_network(&own));
	widen_table();
	own.table = ++order_of(&own)->tables;
	keep_watch();
}
