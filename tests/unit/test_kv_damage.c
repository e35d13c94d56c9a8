/* SPDX-License-Identifier: MIT */
/* test_kv_damage.c -- the verifier of a whole arena before bits that flip
 * anywhere in it.
 *
 * A state with something of everything is verified again and again, each time
 * with one bit of it changed. The verifier may never crash nor hang. A bit that
 * it does not report must be harmless: all that can be read is as before; or
 * one of the data itself, which nobody but its owner knows; or one of a length
 * that still fits the block.
 *
 * Each process flips bits in a private copy.
 */
#include "kv_damage.h"
#include <sys/mman.h>

#define TRIALS	     10000u
#define BATCH	     500u
#define SECONDS	     5 /* no verifying takes as long */
#define REGIONS_MAX  8192
#define KINDS_MAX    64
#define REPORTED_MAX 8

/* ---- what there is to damage ---- */

struct region {
	uint8_t *at;
	size_t bytes;
	uint32_t kind;
};

static struct region regions[REGIONS_MAX];
static size_t region_count;

static struct kind {
	const char *name;
	size_t first, count; /* of the regions, sorted by kind */
} kinds[KINDS_MAX];
static uint32_t kind_count;

static uint32_t kind_of(const char *name)
{
	uint32_t i = 0;

	while (i < kind_count && strcmp(kinds[i].name, name) != 0)
		i++;
	assert_true(i < KINDS_MAX);
	if (i == kind_count)
		kinds[kind_count++] = (struct kind){.name = name};
	return i;
}

static void add_region(const char *name, const void *at, size_t bytes)
{
	if (bytes == 0 || region_count == REGIONS_MAX)
		return;
	regions[region_count++] =
		(struct region){(uint8_t *)(uintptr_t)at, bytes, kind_of(name)};
}

static void on_block(void *context, const void *block, size_t bytes,
	const char *path, const char *what)
{
	(void)context;
	(void)path;
	add_region(what, block, bytes);
}

static int by_kind(const void *a, const void *b)
{
	const struct region *x = a, *y = b;

	return (x->kind > y->kind) - (x->kind < y->kind);
}

static void find_regions(void)
{
	struct rf_super *super = RF_SUPER;
	struct rf_verify_conf verify = {
		.worker = &refork_worker, .found = on_block};
	static struct rf_verify_result found;

	region_count = kind_count = 0;
	add_region("superblock", super, offsetof(struct rf_super, lease));
	add_region("log", &super->log_tail, 16);
	add_region("desk", &super->desk, sizeof super->desk);
	add_region("heap", &super->heap, sizeof super->heap);
	add_region("slots", super->slots, sizeof *super->slots * 4);
	add_region("page map", (void *)(super->base + super->map_off),
		super->heap.page_count * 4);
	add_region("runs", (void *)(super->base + super->runs_off),
		super->heap.run_count * sizeof(struct rf_run));
	assert_int_equal(rf_verify(&verify, &found), 0);
	assert_true(found.leaks_known);
	qsort(regions, region_count, sizeof *regions, by_kind);
	for (size_t i = 0; i < region_count; i++) {
		struct kind *kind = &kinds[regions[i].kind];

		if (kind->count++ == 0)
			kind->first = i;
	}
}

/* ---- bytes that only their owner knows: [from, to) of a block ---- */

static const struct {
	const char *kind;
	size_t from, to;
} data[] = {
	{"value", sizeof(struct kv_value), SIZE_MAX},
	{"string", sizeof(struct rf_string), SIZE_MAX},
	{"map value", 1, SIZE_MAX}, {"pack", RF_PACK_OVERHEAD, SIZE_MAX},
	{"set array", 8, SIZE_MAX}, {"history entry", 8, SIZE_MAX},
	{"dict entry", offsetof(struct rf_dict_entry, word), 24},
	{"queued command", sizeof(struct kv_queued), SIZE_MAX},
	{"parked request", sizeof(struct rf_parked), SIZE_MAX},
	{"client's name", 0, SIZE_MAX}, {"password", 0, SIZE_MAX},
	{"connections", 0, SIZE_MAX}, /* ids, peers, the worker's flags */
	{"slot root", 0, SIZE_MAX},   /* settings; pause */
};

/* Of what fills its block more or less: a count of bytes or numbers. */
static const struct {
	const char *kind;
	size_t to;
} lengths[] = {
	{"value", 4},
	{"string", 4},
	{"map value", 1},
	{"set array", 4},
	{"history entry", 8},
};

static bool is_length(const char *kind, size_t off)
{
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
		if (strcmp(lengths[i].kind, kind) == 0)
			return off < lengths[i].to;
	return false;
}

static bool is_data(const char *kind, size_t off)
{
	for (size_t i = 0; i < sizeof data / sizeof *data; i++)
		if (strcmp(data[i].kind, kind) == 0)
			return off >= data[i].from && off < data[i].to;
	return false;
}

/* ---- trials ---- */

struct trial_spot {
	uint32_t kind;
	size_t off;
	uint8_t *at;
	uint8_t bit;
};

/* Shared with the processes that try. */
static struct {
	uint32_t next; /* trial */
	uint32_t tried[KINDS_MAX], told[KINDS_MAX], harmless[KINDS_MAX],
		data[KINDS_MAX], length[KINDS_MAX], unseen[KINDS_MAX];
} * tally;

/* The same for the same number. */
static struct trial_spot spot_of(uint32_t number)
{
	uint64_t chance = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
	const struct region *region;
	struct trial_spot spot;

	chance ^= chance >> 31;
	chance *= UINT64_C(0xbf58476d1ce4e5b9);
	chance ^= chance >> 27;
	spot.kind = number % kind_count;
	region = &regions[kinds[spot.kind].first +
			  (chance >> 40) % kinds[spot.kind].count];
	spot.off = (chance >> 8) % region->bytes;
	spot.at = region->at + spot.off;
	spot.bit = (uint8_t)(1u << (chance & 7));
	return spot;
}

static void become_private(void)
{
	void *base = (void *)RF_ARENA_BASE;

	if (mmap(base, scratch_segment.max_bytes, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, scratch_segment.fd,
		    0) != base)
		_exit(99);
}

/* Where a bit belongs that was not reported, and changes what is read. */
static uint32_t *class_of(const struct trial_spot *spot)
{
	const char *name = kinds[spot->kind].name;

	if (is_length(name, spot->off))
		return tally->length;
	return is_data(name, spot->off) ? tally->data : tally->unseen;
}

static void try_one(uint32_t number, uint64_t sound)
{
	static const struct rf_verify_conf verify = {.worker = &refork_worker};
	static struct rf_verify_result found;
	struct trial_spot spot = spot_of(number);
	uint32_t *to = tally->told;

	alarm(SECONDS);
	*spot.at ^= spot.bit;
	if (rf_verify(&verify, &found) == 0) {
		to = tally->harmless;
		if (read_everything() != sound)
			to = class_of(&spot);
	}
	if (to == tally->unseen)
		fprintf(stderr, "unseen: %s, offset %zu, bit %u, trial %u\n",
			kinds[spot.kind].name, spot.off, spot.bit, number);
	*spot.at ^= spot.bit;
	tally->tried[spot.kind]++;
	to[spot.kind]++;
}

/* From the next one on, to the end of the batch. */
static pid_t start_batch(uint32_t end, uint64_t sound)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	become_private();
	while (tally->next < end) {
		try_one(tally->next, sound);
		tally->next++;
	}
	_exit(0);
}

static uint32_t run_trials(uint32_t trials, uint64_t sound)
{
	uint32_t fell = 0;

	while (tally->next < trials) {
		uint32_t end = tally->next + BATCH;
		int how;
		pid_t pid = start_batch(end < trials ? end : trials, sound);

		assert_true(pid > 0);
		assert_int_equal(waitpid(pid, &how, 0), pid);
		if (how == 0)
			continue;
		if (fell++ < REPORTED_MAX) {
			struct trial_spot spot = spot_of(tally->next);

			fprintf(stderr,
				"%s %d: %s, offset %zu, bit %u, trial %u\n",
				WIFSIGNALED(how) ? "signal" : "exit",
				WIFSIGNALED(how) ? WTERMSIG(how)
						 : WEXITSTATUS(how),
				kinds[spot.kind].name, spot.off, spot.bit,
				tally->next);
		}
		tally->next++;
	}
	return fell;
}

static void print_tally(void)
{
	uint32_t told = 0, harmless = 0, data_bits = 0, length = 0, unseen = 0;

	printf("%-16s %8s %8s %8s %8s %8s %8s\n", "a bit of", "tried",
		"reported", "harmless", "data", "length", "unseen");
	for (uint32_t i = 0; i < kind_count; i++) {
		printf("%-16s %8u %8u %8u %8u %8u %8u\n", kinds[i].name,
			tally->tried[i], tally->told[i], tally->harmless[i],
			tally->data[i], tally->length[i], tally->unseen[i]);
		told += tally->told[i];
		harmless += tally->harmless[i];
		data_bits += tally->data[i];
		length += tally->length[i];
		unseen += tally->unseen[i];
	}
	printf("%-16s %8u %8u %8u %8u %8u %8u\n", "all", tally->next, told,
		harmless, data_bits, length, unseen);
	assert_int_equal(unseen, 0);
	assert_int_equal(told + harmless + data_bits + length, TRIALS);
	assert_true(told > TRIALS / 2 && length < TRIALS / 200);
}

static void a_flipped_bit_is_reported_or_harmless(void **state)
{
	uint64_t sound = read_everything();

	(void)state;
	find_regions();
	assert_int_equal(read_everything(), sound);
	tally = shared_memory(sizeof *tally);
	assert_int_equal(run_trials(TRIALS, sound), 0);
	print_tally();
	munmap(tally, sizeof *tally);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_flipped_bit_is_reported_or_harmless, make_everything,
			tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
