/* SPDX-License-Identifier: MIT */
/* test_verify.c -- damage planted in an arena is found, and never followed.
 *
 * Each fault is put in and taken out again; the walker must refuse the one
 * state and pass the other. A walker that follows a wild pointer ends this
 * process, one that goes round in circles is ended by the alarm.
 */
#include "scratch_arena.h"
#include "suite.h"
#include <refork/dict.h>
#include <super.h>

#define KEYS	  2000
#define SECONDS	  30
#define CHUNK_AT  3
#define BIG_BYTES ((size_t)100 << 10)

static struct rf_dict *dict;
static struct rf_dict_entry *entry; /* of one key, not the last in its bucket */
static void *freed, *big;

static void put_keys(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char key[16];
		int bytes = snprintf(key, sizeof key, "key:%u", i);

		rf_dict_put(dict, key, (size_t)bytes, NULL)->word = i;
	}
}

/* The first entry that another one follows. */
static void find_chain(struct rf_dict_entry *at, void *context)
{
	(void)context;
	if (entry == NULL && at->next != NULL)
		entry = at;
}

static int set_up(void **state)
{
	uint64_t cursor = 0;
	void *root;

	(void)state;
	alarm(SECONDS);
	if (scratch_arena_create((uint64_t)64 << 20) != 0)
		return -1;
	rf_tx_begin();
	if (rf_slot_open("root", "text", 1, 100, &root, NULL) != 0 ||
		rf_slot_open("keys", "dict", 2, sizeof *dict, &root, NULL) != 0)
		return -1;
	dict = root;
	put_keys(KEYS);
	freed = rf_alloc(sizeof *entry + 16);
	big = rf_alloc(BIG_BYTES);
	RF_SET(RF_SUPER->desk.conns[CHUNK_AT],
		rf_alloc(RF_CONN_CHUNK * sizeof(struct rf_conn)));
	if (rf_tx_commit() != 0)
		return -1;
	rf_tx_begin();
	rf_free(freed);
	if (rf_tx_commit() != 0)
		return -1;
	entry = NULL;
	do
		cursor = rf_dict_scan(dict, cursor, find_chain, NULL);
	while (cursor != 0);
	return entry != NULL && rf_arena_check() == 0 &&
			       rf_dict_check(dict, "keys") == 0
		       ? 0
		       : -1;
}

static int tear_down(void **state)
{
	(void)state;
	scratch_arena_destroy();
	alarm(0);
	return 0;
}

#define PLANT(check, lvalue, fault)                                            \
	do {                                                                   \
		__typeof__(lvalue) sound = (lvalue);                           \
		(lvalue) = (fault);                                            \
		assert_int_equal(check, -EBADMSG);                             \
		(lvalue) = sound;                                              \
		assert_int_equal(check, 0);                                    \
	} while (0)
#define PLANT_ARENA(lvalue, fault) PLANT(rf_arena_check(), lvalue, fault)
#define PLANT_DICT(lvalue, fault)                                              \
	PLANT(rf_dict_check(dict, "keys"), lvalue, fault)

/* ---- blocks ---- */

static void only_live_blocks_are_blocks(void **state)
{
	(void)state;
	assert_true(rf_is_block(entry, sizeof *entry));
	assert_true(rf_is_block(entry, rf_usable(entry)));
	assert_false(rf_is_block(entry, rf_usable(entry) + 1));
	assert_false(rf_is_block(entry, SIZE_MAX));
	assert_false(rf_is_block((char *)entry + 16, 1));
	assert_false(rf_is_block((char *)entry + 1, 1));
	assert_true(rf_is_block(big, BIG_BYTES));
	assert_false(rf_is_block((char *)big + 4096, 1));
	assert_false(rf_is_block(freed, 1));
	assert_false(rf_is_block(NULL, 0));
	assert_false(rf_is_block(&entry, 0));
	assert_false(rf_is_block((void *)RF_ARENA_BASE, 0));
	assert_false(rf_is_block((void *)UINT64_MAX, 0));
}

/* ---- the arena ---- */

static void the_superblock_is_walked(void **state)
{
	struct rf_super *super = RF_SUPER;

	(void)state;
	PLANT_ARENA(super->marker, 0);
	PLANT_ARENA(super->format, 7);
	PLANT_ARENA(super->base, 0);
	PLANT_ARENA(super->segment_bytes, super->segment_bytes * 2);
	PLANT_ARENA(super->max_bytes, super->max_bytes / 2);
	PLANT_ARENA(super->log_off, 0);
	PLANT_ARENA(super->log_fixed_bytes, 0);
	PLANT_ARENA(super->log_max_bytes, UINT64_MAX);
	PLANT_ARENA(super->map_off, super->map_off + 4096);
	PLANT_ARENA(super->runs_off, UINT64_MAX);
	PLANT_ARENA(super->heap_off, 0);
	PLANT_ARENA(super->log_tail, super->log_ready_bytes + 8);
	PLANT_ARENA(super->log_ready_bytes, super->log_max_bytes + 4096);
}

static struct rf_slot *slot_called(const char *name)
{
	struct rf_slot *slot = RF_SUPER->slots;

	while (strcmp(slot->name, name) != 0)
		slot++;
	return slot;
}

static void the_slots_are_walked(void **state)
{
	struct rf_slot *slot = slot_called("root");
	struct rf_slot *empty = slot_called("");
	struct rf_slot saved = *slot;

	(void)state;
	PLANT_ARENA(slot->name[0], 0);
	PLANT_ARENA(slot->name[5], 1); /* behind its end */
	PLANT_ARENA(slot->type[sizeof slot->type - 1], 'x');
	PLANT_ARENA(slot->root, NULL);
	PLANT_ARENA(slot->root, (char *)slot->root + 8);
	PLANT_ARENA(slot->root, freed);
	PLANT_ARENA(slot->root, (void *)UINT64_MAX);
	PLANT_ARENA(slot->bytes, 0);
	PLANT_ARENA(slot->bytes, 4096);
	PLANT_ARENA(slot->bytes, UINT64_MAX);
	PLANT_ARENA(empty->bytes, 1);
	PLANT_ARENA(empty->name[0], 'x');
	PLANT_ARENA(*empty, saved); /* the same name twice */
	memset(slot->name, 'n', sizeof slot->name);
	assert_int_equal(rf_arena_check(), -EBADMSG);
	*slot = saved;
	memset(slot->type, 't', sizeof slot->type);
	assert_int_equal(rf_arena_check(), -EBADMSG);
	*slot = saved;
	assert_int_equal(rf_arena_check(), 0);
}

static void the_connection_records_are_walked(void **state)
{
	(void)state;
	PLANT_ARENA(RF_SUPER->desk.conns[0], (void *)16);
	PLANT_ARENA(RF_SUPER->desk.conns[CHUNK_AT], freed);
	PLANT_ARENA(RF_SUPER->desk.conns[RF_CONN_CHUNK_COUNT - 1], big);
}

/* ---- a dict ---- */

static void no_pointer_of_a_dict_is_followed_blindly(void **state)
{
	void *const wild[] = {(void *)16, (void *)UINT64_C(0x7ffffffff000),
		(void *)(UINT64_MAX - 15), (char *)entry + 16,
		(void *)RF_ARENA_BASE, freed};

	(void)state;
	assert_true(dict->directory_slots > 1);
	for (size_t i = 0; i < sizeof wild / sizeof *wild; i++) {
		PLANT_DICT(dict->segments, wild[i]);
		PLANT_DICT(dict->segments[0], wild[i]);
		PLANT_DICT(dict->segments[2], wild[i]);
		PLANT_DICT(dict->segments[1][77], wild[i]);
		PLANT_DICT(entry->next, wild[i]);
	}
	PLANT_DICT(dict->segments, &dict->first);
	PLANT_DICT(dict->segments[0], NULL);
}

static void no_number_of_a_dict_is_counted_up_to(void **state)
{
	(void)state;
	PLANT_DICT(dict->count, UINT64_MAX);
	PLANT_DICT(dict->bucket_count, UINT64_MAX);
	PLANT_DICT(dict->bucket_count, 0);
	PLANT_DICT(dict->bucket_count, (uint64_t)1 << 32);
	PLANT_DICT(dict->directory_slots, UINT64_MAX);
	PLANT_DICT(dict->directory_slots, (uint64_t)1 << 55);
	PLANT_DICT(dict->directory_slots, 1);
	PLANT_DICT(dict->directory_slots, 0);
	PLANT_DICT(dict->mask, UINT64_MAX);
	PLANT_DICT(entry->key_bytes, UINT32_MAX);
	PLANT_DICT(entry->key_bytes, 0);
	PLANT_DICT(entry->next, entry); /* a ring */
}

static void keys_that_nobody_finds_are_told(void **state)
{
	uint64_t last = dict->bucket_count / 512;
	struct rf_dict_entry **beyond =
		&dict->segments[last][dict->bucket_count % 512];

	(void)state;
	assert_true(dict->bucket_count % 512 != 0);
	PLANT_DICT(*beyond, entry);
	PLANT_DICT(entry->hash, entry->hash + 1);
	PLANT_DICT(entry->key[4], 'x');
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(only_live_blocks_are_blocks),
		TEST(the_superblock_is_walked),
		TEST(the_slots_are_walked),
		TEST(the_connection_records_are_walked),
		TEST(no_pointer_of_a_dict_is_followed_blindly),
		TEST(no_number_of_a_dict_is_counted_up_to),
		TEST(keys_that_nobody_finds_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
