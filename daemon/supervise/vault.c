/* SPDX-License-Identifier: MIT */
/* vault.c -- orders to the processes that keep the connections.
 *
 * The idea. A socket lives as long as a descriptor table that names it. The
 * vault shares the table of the network child (CLONE_FILES), so sockets outlive
 * either of them. Only a process that has the table can make another one that
 * shares it, and CLONE_PARENT makes that one the supervisor's child. So this
 * process orders, and one of the two acts.
 *
 *             give()              the new process
 *   (old) -----------> GIVEN -----------------------> TAKEN
 *                        |  \   whom it went to
 *                        |   +----------------------> FAILED
 *                        | await()
 *                        +--------------------------> GIVEN_UP
 *
 * Each arc out of GIVEN is one compare and exchange, so exactly one is gone
 * along: a process made for an order that was given up ends by itself before
 * it touches anything (and is collected with the next end of a child), and one
 * that took its order is known here.
 */
#include "vault.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct rf_order_shm *order_of(struct service *s)
{
	return &((struct rf_front_shm *)s->channel.front.base)->order;
}

static uint64_t load(const struct rf_order_shm *order)
{
	return __atomic_load_n(&order->word, __ATOMIC_SEQ_CST);
}

/* Returns the order's word as it stands now. */
static uint64_t give(
	struct service *s, enum rf_order_kind kind, const struct spawn *how)
{
	struct rf_order_shm *order = order_of(s);
	uint64_t word = rf_order_word(
		rf_order_serial(order->word) + 1, RF_ORDER_GIVEN, 0);

	order->kind = kind;
	order->scene = (uint32_t)(how->scene - s->status->scenes);
	__atomic_store_n(&order->word, word, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &order->word, FUTEX_WAKE, 2, NULL, NULL, 0);
	if (kind == RF_ORDER_VAULT)
		rf_bell_ring(s->channel.bell_network);
	return word;
}

/* What became of it, within VAULT_WAIT_MS. */
static uint64_t await(struct rf_order_shm *order, uint64_t given)
{
	int64_t until_us = rf_monotonic_us() + VAULT_WAIT_MS * 1000;
	int64_t left_us = VAULT_WAIT_MS * 1000;

	while (load(order) == given && left_us > 0) {
		struct timespec left = {.tv_nsec = left_us * 1000};

		syscall(SYS_futex, &order->word, FUTEX_WAIT, (uint32_t)given,
			&left, NULL, 0);
		left_us = until_us - rf_monotonic_us();
	}
	rf_order_move(order, given,
		rf_order_word(rf_order_serial(given), RF_ORDER_GIVEN_UP, 0));
	return load(order);
}

static int watch(pid_t child, pid_t *pid, int *pidfd)
{
	siginfo_t info;
	int fd, error;

	/* A number out of memory that others write: only a child of ours is
	 * ever watched, or killed. */
	if (child <= 0 ||
		waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT))
		return -ETIMEDOUT;
	fd = (int)syscall(SYS_pidfd_open, child, 0);
	error = errno;
	if (fd < 0) {
		/* Nobody would hear of its end. */
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		return -error;
	}
	*pid = child;
	*pidfd = fd;
	return 0;
}

static int make(struct service *s, enum rf_order_kind kind,
	const struct spawn *how, pid_t *pid, int *pidfd)
{
	uint64_t now = await(order_of(s), give(s, kind, how));
	int value = (int)(now >> 32);

	if (rf_order_state(now) == RF_ORDER_TAKEN)
		return watch(value, pid, pidfd);
	return rf_order_state(now) == RF_ORDER_FAILED ? -value : -ETIMEDOUT;
}

int vault_make_network(
	struct service *s, const struct spawn *how, pid_t *pid, int *pidfd)
{
	return make(s, RF_ORDER_NETWORK, how, pid, pidfd);
}

int vault_replace(
	struct service *s, const struct spawn *how, pid_t *pid, int *pidfd)
{
	return make(s, RF_ORDER_VAULT, how, pid, pidfd);
}
