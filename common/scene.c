/* SPDX-License-Identifier: MIT */
/* scene.c -- the last words of a process.
 *
 * The problem. What a crash record needs (registers, the stack) dies with the
 * process, and whatever runs after a fatal signal runs in a process that is
 * broken in an unknown way.
 * The idea. The handler copies plain bytes into shared memory and names
 * nothing: symbols are looked up later, elsewhere.
 *
 *   H1  own stack        the other one may be what broke
 *   H2  system calls and stores only; memory whose place was computed from
 *       what broke is read by process_vm_readv(2), which fails instead of
 *       faulting
 *   H3  no second chance  every signal is blocked in the handler: a fault in
 *       it ends the process at once, as if it had not been there
 *   H4  no way back      on_fatal() ends by sending itself the same signal,
 *       now with its default action. It stays pending while it is blocked.
 *       Returning restores the mask that on_fatal() has put in place: all
 *       blocked but this one. So the kernel finds nothing else to deliver and
 *       ends the process before it runs one more instruction of the
 *       interrupted code: of a faulting one (which might succeed this time),
 *       of raise() and abort(), and of code that kill(2) has hit anywhere.
 *
 * The core dump, if there is one, shows the interrupted code's own registers
 * and stack.
 */
#include "scene.h"
#include "channel.h"
#include "status.h"
#include <errno.h>
#include <refork/check.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#define STACK_BYTES ((size_t)64 << 10)
#define PAGE_BYTES  ((uint64_t)4096)
/* Below the stack pointer a leaf function of x86-64 keeps its variables. */
#define RED_ZONE_BYTES 128
/* After a stack overflow: how far above sp its first readable page may be. */
#define GUARD_PAGES 16

static const int fatal[] = {
	SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS, SIGQUIT};

static struct {
	struct rf_crash_scene *scene;
	void (*more)(struct rf_crash_scene *scene);
	bool (*first)(const siginfo_t *info);
	int bell;
	pid_t pid;
	uint32_t taken; /* one thread describes, one time */
} self;

static _Alignas(64) uint8_t stack[STACK_BYTES];

/* Page by page: a transfer stops before the first piece that is not there. */
size_t rf_scene_copy(void *to, uint64_t from, size_t bytes)
{
	struct iovec pieces[16], whole = {to, 0};
	size_t count = 0;
	long copied;

	while (whole.iov_len < bytes && count < 16) {
		uint64_t at = from + whole.iov_len;
		size_t n = PAGE_BYTES - (at & (PAGE_BYTES - 1));

		if (n > bytes - whole.iov_len)
			n = bytes - whole.iov_len;
		pieces[count++] = (struct iovec){(void *)at, n};
		whole.iov_len += n;
	}
	copied = syscall(SYS_process_vm_readv, syscall(SYS_getpid), &whole, 1,
		pieces, count, 0);
	return copied > 0 ? (size_t)copied : 0;
}

#if defined(__x86_64__)
static void copy_registers(struct rf_crash_scene *scene, const ucontext_t *at)
{
	const greg_t *registers = at->uc_mcontext.gregs;

	_Static_assert(NGREG <= RF_CRASH_REGISTERS, "room");
	memcpy(scene->registers, registers, NGREG * sizeof *registers);
	scene->pc = (uint64_t)registers[REG_RIP];
	scene->sp = (uint64_t)registers[REG_RSP];
	scene->fp = (uint64_t)registers[REG_RBP];
}
#elif defined(__aarch64__)
static void copy_registers(struct rf_crash_scene *scene, const ucontext_t *at)
{
	const mcontext_t *registers = &at->uc_mcontext;

	memcpy(scene->registers, registers->regs, sizeof registers->regs);
	scene->registers[31] = scene->sp = registers->sp;
	scene->registers[32] = scene->pc = registers->pc;
	scene->registers[33] = registers->pstate;
	scene->fp = registers->regs[29];
}
#else
static void copy_registers(struct rf_crash_scene *scene, const ucontext_t *at)
{
	(void)scene; /* of a machine that is not known: neither they nor the */
	(void)at;    /* stack are told */
}
#endif

static void copy_stack(struct rf_crash_scene *scene)
{
	uint64_t at = scene->sp - RED_ZONE_BYTES;
	size_t copied = 0;

	for (int i = 0; i < GUARD_PAGES && copied == 0; i++) {
		copied = rf_scene_copy(scene->stack, at, RF_CRASH_STACK_BYTES);
		if (copied == 0)
			at = (at & ~(PAGE_BYTES - 1)) + PAGE_BYTES;
	}
	scene->stack_at = at;
	scene->stack_bytes = (uint32_t)copied;
}

/* By kill(2) or sigqueue(3): others may have done that. */
static bool was_sent(const siginfo_t *info)
{
	return info->si_code == SI_USER || info->si_code == SI_QUEUE;
}

static void describe(const siginfo_t *info, const ucontext_t *context)
{
	struct rf_crash_scene *scene = self.scene;

	scene->at_us = rf_monotonic_us();
	scene->tid = (int32_t)syscall(SYS_gettid);
	scene->signal = info->si_signo;
	scene->code = info->si_code;
	scene->address = (uint64_t)info->si_addr;
	scene->sender_pid = was_sent(info) ? info->si_pid : 0;
	copy_registers(scene, context);
	if (self.more != NULL)
		self.more(scene);
	copy_stack(scene);
	__atomic_store_n(&scene->complete, self.pid, __ATOMIC_RELEASE);
	if (self.bell >= 0)
		rf_bell_ring(self.bell);
}

static void on_fatal(int number, siginfo_t *info, void *interrupted)
{
	ucontext_t *context = interrupted;
	long pid = syscall(SYS_getpid);
	/* As long as the kernel's own mask. */
	uint64_t all_but_this = ~(UINT64_C(1) << (number - 1));

	if (pid == self.pid && self.first != NULL && self.first(info))
		return;
	if (pid == self.pid) {
		/* Another thread is at it, and its end is this one's. */
		while (__atomic_exchange_n(&self.taken, 1, __ATOMIC_ACQ_REL))
			syscall(SYS_ppoll, NULL, 0, NULL, NULL, 0);
		describe(info, context);
	}
	signal(number, SIG_DFL); /* H4 */
	syscall(SYS_tgkill, pid, syscall(SYS_gettid), number);
	memcpy(&context->uc_sigmask, &all_but_this, sizeof all_but_this);
}

int rf_scene_arm(struct rf_crash_scene *scene,
	void (*more)(struct rf_crash_scene *scene), int bell)
{
	const stack_t aside = {.ss_sp = stack, .ss_size = sizeof stack};
	struct sigaction action = {
		.sa_sigaction = on_fatal,
		.sa_flags = SA_SIGINFO | SA_ONSTACK,
	};

	/* Also brings its pages in: the handler is to be quick. */
	memset(scene, 0, sizeof *scene);
	self.scene = scene;
	self.more = more;
	self.first = NULL;
	self.bell = bell;
	self.pid = getpid();
	self.taken = 0;
	sigfillset(&action.sa_mask); /* H3 */
	if (sigaltstack(&aside, NULL) != 0)
		return -errno;
	for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
		if (sigaction(fatal[i], &action, NULL) != 0)
			return -errno;
	return 0;
}

void rf_scene_ask_first(bool (*first)(const siginfo_t *info))
{
	self.first = first;
}
