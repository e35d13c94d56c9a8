/* SPDX-License-Identifier: MIT */
/* filter.c -- a table of system calls as a program for the kernel.
 *
 * The program is a search tree over the call's number: the numbers fall into
 * spans that are answered alike, and each node of the tree halves them.
 *
 *   wrong machine, x32    the process is killed: only an attacker comes so
 *   number not known      ENOSYS: a libc that is newer than these headers asks
 *                         for the latest call first and then for an older one
 *   refused               SIGSYS: the crash handler describes it, and the crash
 *                         record names the call; or an errno, where the table
 *                         says that libraries ask and can do without
 *
 * Cost. Since Linux 5.11 the kernel works out once, when the filter comes into
 * force, which numbers are allowed whatever their arguments, and then looks a
 * number up in a bitmap. So what is called for each request has no tests of
 * arguments, and the shape of the tree matters for older kernels only.
 */
#include "filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SPAN_MAX 1024

#if defined(__x86_64__)
#define MACHINE AUDIT_ARCH_X86_64
#define X32_BIT 0x40000000u /* 32-bit pointers, and numbers of their own */
#elif defined(__aarch64__)
#define MACHINE AUDIT_ARCH_AARCH64
#define X32_BIT 0u
#else
#define MACHINE 0u /* not known: no filter */
#define X32_BIT 0u
#endif

/* Every call that the headers of this build name. */
static const int known[] = {
#define CALL(name) SYS_##name,
#include "calls.def"
#undef CALL
};

/* Numbers from `from` on, up to the next span, are answered by rows
 * first .. first + count - 1; count 0: by `answer`. */
struct span {
	uint32_t from;
	uint32_t answer;
	size_t first, count;
};

struct build {
	struct filter *filter;
	const struct calls *calls;
	struct span spans[SPAN_MAX];
	size_t span_count;
};

static uint32_t refusal(int error)
{
	return error ? SECCOMP_RET_ERRNO | (uint32_t)error : SECCOMP_RET_TRAP;
}

/* ---- spans ---- */

/* What a row without tests answers. */
static uint32_t answer_of(const struct call *row)
{
	return row->rule == CALL_ALLOW ? SECCOMP_RET_ALLOW
				       : refusal(row->error);
}

static void add_span(struct build *b, uint32_t from, uint32_t answer,
	size_t first, size_t count)
{
	const struct span *last = NULL;

	if (b->span_count > 0 && b->spans[b->span_count - 1].from == from)
		b->span_count--; /* an empty one */
	if (b->span_count > 0)
		last = &b->spans[b->span_count - 1];
	if (last && count == 0 && last->count == 0 && last->answer == answer)
		return;
	if (b->span_count < SPAN_MAX)
		b->spans[b->span_count++] =
			(struct span){from, answer, first, count};
}

/* The rows of the lowest number above `after`; NULL: there is none. */
static const struct call *next_rows(
	const struct calls *calls, int after, size_t *count)
{
	const struct call *first = NULL;

	*count = 0;
	for (size_t i = 0; i < calls->count; i++) {
		const struct call *row = &calls->rows[i];

		if (row->number <= after)
			continue;
		if (!first || row->number < first->number) {
			first = row;
			*count = 0;
		}
		*count += row->number == first->number;
	}
	return first;
}

static uint32_t beyond_known(void)
{
	int newest = 0;

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (known[i] > newest)
			newest = known[i];
	return (uint32_t)newest + 1;
}

static int make_spans(struct build *b)
{
	const struct calls *calls = b->calls;
	uint32_t others = calls->others == CALL_ALLOW ? SECCOMP_RET_ALLOW
						      : SECCOMP_RET_TRAP;
	uint32_t beyond = beyond_known();
	const struct call *row;
	int number = -1;
	size_t count;

	add_span(b, 0, others, 0, 0);
	while ((row = next_rows(calls, number, &count))) {
		size_t first = (size_t)(row - calls->rows);

		number = row->number;
		if (first + count > calls->count ||
			row[count - 1].number != number)
			return -EINVAL;
		if ((uint32_t)number >= beyond)
			beyond = (uint32_t)number + 1;
		add_span(b, (uint32_t)number, answer_of(row), first,
			row->test_count ? count : 0);
		add_span(b, (uint32_t)number + 1, others, 0, 0);
	}
	if (others != SECCOMP_RET_ALLOW)
		add_span(b, beyond, refusal(ENOSYS), 0, 0);
	return b->span_count < SPAN_MAX ? 0 : -E2BIG;
}

/* ---- code ---- */

static size_t put(
	struct build *b, uint16_t code, uint32_t k, size_t jt, size_t jf)
{
	struct filter *f = b->filter;

	if (f->length < FILTER_LENGTH_MAX)
		f->code[f->length] =
			(struct sock_filter){code, (uint8_t)jt, (uint8_t)jf, k};
	return f->length++;
}

static void put_answer(struct build *b, uint32_t answer)
{
	put(b, BPF_RET | BPF_K, answer, 0, 0);
}

static void put_load(struct build *b, size_t offset)
{
	put(b, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

/* A row that allows: its tests one after the other, each three instructions,
 * and from the first that fails on to what stands behind. */
static void put_row(struct build *b, const struct call *row)
{
	for (size_t i = 0; i < row->test_count; i++) {
		const struct call_test *test = &row->tests[i];

		put_load(b, offsetof(struct seccomp_data, args) +
				    8 * (size_t)test->arg);
		put(b, BPF_ALU | BPF_AND | BPF_K, test->mask, 0, 0);
		put(b, BPF_JMP | BPF_JEQ | BPF_K, test->value, 0,
			3 * (row->test_count - 1 - i) + 1);
	}
	put_answer(b, SECCOMP_RET_ALLOW);
}

static void put_span(struct build *b, const struct span *span)
{
	const struct call *rows = &b->calls->rows[span->first];

	for (size_t i = 0; i < span->count; i++)
		put_row(b, &rows[i]);
	put_answer(b, span->count ? refusal(rows[span->count - 1].error)
				  : span->answer);
}

/* The jump to the upper half is one of its own: it may be a long one. */
static void put_tree(struct build *b, size_t from, size_t to)
{
	size_t middle = from + (to - from) / 2, jump;

	if (to - from == 1) {
		put_span(b, &b->spans[from]);
		return;
	}
	put(b, BPF_JMP | BPF_JGE | BPF_K, b->spans[middle].from, 0, 1);
	jump = put(b, BPF_JMP | BPF_JA, 0, 0, 0);
	put_tree(b, from, middle);
	if (b->filter->length < FILTER_LENGTH_MAX)
		b->filter->code[jump].k =
			(uint32_t)(b->filter->length - jump - 1);
	put_tree(b, middle, to);
}

static void put_program(struct build *b)
{
	put_load(b, offsetof(struct seccomp_data, arch));
	put(b, BPF_JMP | BPF_JEQ | BPF_K, MACHINE, 1, 0);
	put_answer(b, SECCOMP_RET_KILL_PROCESS);
	put_load(b, offsetof(struct seccomp_data, nr));
	if (X32_BIT) {
		put(b, BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
		put_answer(b, SECCOMP_RET_KILL_PROCESS);
	}
	put_tree(b, 0, b->span_count);
}

int filter_build(struct filter *filter, const struct calls *calls)
{
	struct build *b;
	int rc;

	if (!MACHINE)
		return -ENOSYS;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	filter->length = 0;
	b->filter = filter;
	b->calls = calls;
	rc = make_spans(b);
	if (!rc)
		put_program(b);
	free(b);
	return rc ? rc : filter->length > FILTER_LENGTH_MAX ? -E2BIG : 0;
}

int filter_enter(const struct filter *filter)
{
	struct sock_fprog program = {
		.len = (unsigned short)filter->length,
		.filter = (struct sock_filter *)filter->code,
	};

	/* Older kernels otherwise slow down the whole process, against code in
	 * it that is not trusted to read its own memory; ours is. */
	if (!syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		    SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program))
		return 0;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) ? -errno
								    : 0;
}
