/* SPDX-License-Identifier: MIT */
/* bench_verify.c -- how long it takes to walk and verify a heap full of small
 * blocks: the state of the kv worker, of one kind of value at a time.
 *
 * Keys stand in the order of their hashes, blocks in that of their making, as
 * they would after keys have been set in any order.
 */
#include "measure.h"
#include "worker/kv/client/client.h"
#include "worker/kv/keys/root.h"
#include <errno.h>
#include <refork/heap.h>
#include <refork/worker.h>
#include <sys/wait.h>
#include <unistd.h>
#include <verify/verify.h>

#define FULL_BYTES  ((size_t)1 << 30)
#define QUICK_BYTES ((size_t)16 << 20)
#define VALUE_BYTES 64
#define BATCH	    8 /* keys in a transaction */

extern const struct rf_worker refork_worker;

static struct kv_call call;

static const char *setting(const char *section_key)
{
	(void)section_key;
	return NULL;
}

static void text_of(char *to, const char *lead, unsigned number)
{
	char digits[16];
	int bytes = snprintf(digits, sizeof digits, "%s:%u", lead, number);

	memset(to, 'v', VALUE_BYTES);
	memcpy(to, digits, (size_t)bytes);
}

static struct rf_bytes key_of(unsigned number)
{
	static char key[24];

	return (struct rf_bytes){
		key, (size_t)snprintf(key, sizeof key, "key:%012u", number)};
}

/* ---- one key of each kind ---- */

static void make_string(unsigned number)
{
	char text[VALUE_BYTES];

	text_of(text, "s", number);
	kv_set(&call, key_of(number), text, sizeof text, false);
}

static void make_list(unsigned number)
{
	struct kv_value *value = kv_create(&call, key_of(number), KV_LIST);
	char text[VALUE_BYTES];

	for (unsigned i = 0; value != NULL && i < 300; i++) {
		text_of(text, "l", i);
		rf_list_push(kv_list_of(value), RF_TAIL, text, sizeof text);
	}
}

static void fill_hash(unsigned number, unsigned fields)
{
	struct kv_value *value = kv_create(&call, key_of(number), KV_HASH);
	char field[24], text[VALUE_BYTES];

	for (unsigned i = 0; value != NULL && i < fields; i++) {
		int bytes = snprintf(field, sizeof field, "field:%u", i);

		text_of(text, "h", i);
		rf_map_put(kv_map_of(value), field, (size_t)bytes, text,
			sizeof text);
	}
}

static void make_small_hash(unsigned number)
{
	fill_hash(number, 10);
}

static void make_large_hash(unsigned number)
{
	fill_hash(number, 2000);
}

static void make_sorted(unsigned number)
{
	struct kv_value *value = kv_create(&call, key_of(number), KV_ZSET);
	char member[24];

	for (unsigned i = 0; value != NULL && i < 1000; i++) {
		int bytes = snprintf(member, sizeof member, "member:%u", i);

		rf_sorted_put(kv_sorted_of(value), member, (size_t)bytes,
			(double)(random_word() >> 40));
	}
}

static const struct kind {
	const char *name;
	void (*make)(unsigned number);
} kinds[] = {
	{"keys with values of 64 bytes", make_string},
	{"lists of 300 elements of 64 bytes", make_list},
	{"hashes of 10 fields of 64 bytes", make_small_hash},
	{"hashes of 2,000 fields of 64 bytes", make_large_hash},
	{"sorted sets of 1,000 members", make_sorted},
};

/* ---- measuring ---- */

static void fill(const struct kind *kind, size_t bytes)
{
	static const struct rf_env env = {
		.struct_size = sizeof env,
		.service = "bench",
		.worker_args = "",
		.setting = setting,
	};
	unsigned number = 0;

	make_arena(bytes * 2);
	rf_tx_begin();
	rf_arena_set_state_version(refork_worker.state_version);
	if (refork_worker.build(&env) != 0 || rf_tx_commit() != 0)
		give_up("build", -EINVAL);
	refork_worker.start(&env);
	rf_arena_publish();
	call = (struct kv_call){
		.now_ms = 1800000000000, .keys = kv_database(0)};
	while (rf_heap_used() < bytes) {
		rf_tx_begin();
		for (int i = 0; i < BATCH; i++)
			kind->make(number++);
		if (rf_tx_commit() != 0)
			give_up("fill", -ENOMEM);
	}
}

static void on_problem(void *context, const struct rf_verify_problem *problem)
{
	(void)context;
	fprintf(stderr, "%s\n", problem->text);
}

static double cpu_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void measure(const struct kind *kind, size_t bytes)
{
	struct rf_verify_conf conf = {
		.worker = &refork_worker, .problem = on_problem};
	static struct rf_verify_result found;
	double total_ms[ROUNDS] = {0}, worker_ms[ROUNDS] = {0};
	double used_ms[ROUNDS] = {0};
	size_t rounds = is_quick() ? 1 : ROUNDS;

	fill(kind, bytes);
	for (size_t i = 0; i < rounds; i++) {
		double began_ms = cpu_ms();

		if (rf_verify(&conf, &found) != 0 || !found.leaks_known)
			give_up("verify", -EBADMSG);
		used_ms[i] = cpu_ms() - began_ms;
		total_ms[i] = found.total_ms;
		worker_ms[i] = found.part_ms[RF_VERIFY_WORKER];
	}
	printf("| %s | %.0f | %.2f | %.0f | %.0f | %.0f | %.0f |\n", kind->name,
		(double)found.block_bytes / (1 << 20),
		(double)found.blocks / 1e6, median(total_ms, rounds),
		median(used_ms, rounds), median(worker_ms, rounds),
		median(used_ms, rounds) * 1e6 / (double)found.blocks);
}

/* The number of a kind: that one alone. */
int main(int argc, char **argv)
{
	size_t bytes = is_quick() ? QUICK_BYTES : FULL_BYTES;

	printf("| | MiB | million blocks | verify, ms | CPU, ms | of it the "
	       "walk | "
	       "CPU, ns a block |\n|---|---|---|---|---|---|---|\n");
	fflush(stdout);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		int status = 0;
		pid_t pid = fork();

		if (pid == 0 && argc > 1 && (size_t)atoi(argv[1]) != i)
			exit(0);
		if (pid == 0) {
			measure(&kinds[i], bytes);
			exit(0);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
			give_up(kinds[i].name, -ECHILD);
	}
	return 0;
}
