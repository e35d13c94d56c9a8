/* SPDX-License-Identifier: MIT */
/* stuck.c -- describe a process that has not described itself.
 *
 * A process that is stopped, or sleeps in the kernel, does not run its signal
 * handler. /proc says where it is, and its parent may read its memory: that is
 * enough for a backtrace.
 */
#include "member.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#define PAGE_BYTES ((uint64_t)4096)
#define PARTS	   (RF_CRASH_STACK_BYTES / PAGE_BYTES + 1)

/* "running", or the number of the system call with its six arguments, or -1
 * outside of one; then the stack pointer and the program counter. */
static bool find_registers(pid_t pid, uint64_t *sp, uint64_t *pc)
{
	char path[48], line[256] = "";
	const char *at;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	at = fgets(line, sizeof(line), file);
	fclose(file);
	if (!at)
		return false;
	line[strcspn(line, "\n")] = 0;
	/* The last two words. */
	for (int words = 0; words < 2; words++) {
		at = strrchr(line, ' ');
		if (!at)
			return false;
		if (sscanf(at, "%" SCNx64, words ? sp : pc) != 1)
			return false;
		line[at - line] = 0;
	}
	return true;
}

/* Page by page: what lies behind the end of the stack is not there. */
static uint32_t read_stack(pid_t pid, uint64_t sp, uint8_t *to)
{
	struct iovec local = {.iov_base = to, .iov_len = RF_CRASH_STACK_BYTES};
	struct iovec remote[PARTS];
	uint64_t at = sp, left = RF_CRASH_STACK_BYTES;
	unsigned long count = 0;
	ssize_t n;

	while (left > 0 && count < PARTS) {
		uint64_t part = PAGE_BYTES - at % PAGE_BYTES;

		if (part > left)
			part = left;
		remote[count++] =
			(struct iovec){.iov_base = (void *)at, .iov_len = part};
		at += part;
		left -= part;
	}
	n = process_vm_readv(pid, &local, 1, remote, count, 0);
	return n > 0 ? (uint32_t)n : 0;
}

void stuck_describe(struct process *p)
{
	const struct rf_status_business *st =
		&p->family->service->status->business;
	struct rf_crash_scene *scene = p->scene;

	if (__atomic_load_n(&scene->complete, __ATOMIC_ACQUIRE) == p->pid)
		return;
	memset(scene, 0, offsetof(struct rf_crash_scene, stack));
	scene->tid = p->pid;
	scene->at_us = rf_monotonic_us();
	if (p->role == BUSINESS) {
		scene->generation = rf_status_get(st->serving);
		scene->phase = rf_status_get(st->phase);
	}
	if (find_registers(p->pid, &scene->sp, &scene->pc)) {
		scene->stack_at = scene->sp;
		scene->stack_bytes =
			read_stack(p->pid, scene->sp, scene->stack);
	}
	__atomic_store_n(&scene->complete, p->pid, __ATOMIC_RELEASE);
}
