/* SPDX-License-Identifier: MIT */
/* script.c -- the moves of a script, and what they move. */
#include "script.h"
#include <refork/dict.h>
#include <refork/heap.h>
#include <refork/slot.h>
#include <refork/tx.h>
#include <stdio.h>
#include <string.h>

/* A value in the dict: its length and so many bytes. */
struct value {
	uint32_t bytes;
	char at[];
};

struct script_root *script_root(void)
{
	return RF_SUPER->slots[0].root;
}

static void open_root(void)
{
	struct script_root *root;
	void *at;

	if (rf_slot_open("script", "root", 1, sizeof *root, &at, NULL) != 0)
		condemn("there is no root");
	root = at;
	if (root->dict == NULL)
		RF_SET(root->dict, rf_alloc(sizeof *root->dict));
}

/* ---- the moves ---- */

static void commit(const struct script_move *move)
{
	int error = rf_tx_commit();

	if (error != move->bytes)
		condemn("the commit answers %d (%s)", error, strerror(-error));
	rf_tx_begin();
}

static void give_up(const struct script_move *move)
{
	(void)move;
	rf_tx_abort();
	rf_tx_begin();
}

static void take(const struct script_move *move)
{
	size_t bytes = (size_t)move->bytes;

	for (unsigned i = move->first; i < move->first + move->count; i++) {
		void *block = rf_alloc_uninit(bytes);

		RF_SET(script_root()->blocks[i], block);
		if (block != NULL)
			memset(block, (int)i + 1, bytes < 64 ? bytes : 64);
	}
}

static void try(const struct script_move *move)
{
	if (rf_try_alloc((size_t)move->bytes) != NULL)
		condemn("there is memory for %d bytes", move->bytes);
}

static void give(const struct script_move *move)
{
	for (unsigned i = move->first; i < move->first + move->count; i++) {
		rf_free(script_root()->blocks[i]);
		RF_SET(script_root()->blocks[i], NULL);
	}
}

static void resize(const struct script_move *move)
{
	void **block = &script_root()->blocks[move->first];

	RF_SET(*block, rf_realloc(*block, (size_t)move->bytes));
}

static void align(const struct script_move *move)
{
	void *block = rf_alloc_aligned((size_t)move->bytes, move->count);

	if ((uintptr_t)block % move->count != 0)
		condemn("%p is no multiple of %u", block, move->count);
	RF_SET(script_root()->blocks[move->first], block);
}

static void trim(const struct script_move *move)
{
	rf_tx_abort(); /* it is empty */
	if (rf_heap_trim((size_t)move->bytes) == 0)
		condemn("there is nothing to give back");
	rf_tx_begin();
}

static void write_block(const struct script_move *move)
{
	static const char from[8192] = "the first bytes of what is written";
	char *to = script_root()->blocks[move->first];

	rf_tx_write(to + move->count, from, (size_t)move->bytes);
}

static void set(const struct script_move *move)
{
	struct script_root *root = script_root();
	__typeof__(root->object) object = {{1, 2, 3, 4, move->first}};

	RF_SET(root->byte, (uint8_t)move->first);
	RF_SET(root->half, (uint16_t)move->first);
	RF_SET(root->word, move->first);
	RF_SET(root->wide, move->first);
	RF_SET(root->object, object);
	RF_SET(root->wide, UINT64_C(1000) + move->first);
}

static size_t key_of(unsigned i, char *key, size_t bytes)
{
	return (size_t)snprintf(key, bytes, "key%u", i);
}

static struct value *fresh_value(size_t bytes)
{
	struct value *value = rf_alloc_uninit(sizeof *value + bytes);

	if (value != NULL) {
		value->bytes = (uint32_t)bytes;
		memset(value->at, (int)bytes, bytes);
	}
	return value;
}

/* Over the old value where that has room, else in a new block. */
static void assign(struct rf_dict_entry *entry, size_t bytes)
{
	struct value *old = entry->value;

	if (old != NULL && rf_usable(old) >= sizeof *old + bytes) {
		rf_tx_log(old, sizeof *old + bytes);
		old->bytes = (uint32_t)bytes;
		memset(old->at, (int)bytes, bytes);
		return;
	}
	RF_SET(entry->value, fresh_value(bytes));
	rf_free(old);
}

static void put(const struct script_move *move)
{
	char key[16];

	for (unsigned i = move->first; i < move->first + move->count; i++) {
		struct rf_dict_entry *entry = rf_dict_put(script_root()->dict,
			key, key_of(i, key, sizeof key), NULL);

		if (entry != NULL && move->bytes > 0)
			assign(entry, (size_t)move->bytes);
	}
}

static void remove_key(struct rf_dict_entry *entry)
{
	if (entry != NULL) {
		rf_free(entry->value);
		rf_dict_remove(script_root()->dict, entry);
	} else {
		condemn("there is no such key");
	}
}

static void remove_keys(const struct script_move *move)
{
	char key[16];

	for (unsigned i = move->first; i < move->first + move->count; i++)
		remove_key(rf_dict_find(
			script_root()->dict, key, key_of(i, key, sizeof key)));
}

static void drop(struct rf_dict_entry *entry)
{
	rf_free(entry->value);
}

static void clear(const struct script_move *move)
{
	rf_dict_clear_step(script_root()->dict, move->count, drop);
}

static void slot(const struct script_move *move)
{
	char name[16];
	void *root;

	snprintf(name, sizeof name, "slot%u", move->first);
	if (rf_slot_open(name, "test", 1, (size_t)move->bytes, &root, NULL) !=
		0)
		condemn("there is no %s", name);
	memset(root, 1, (size_t)move->bytes);
}

static void migrate(const struct script_move *move)
{
	char name[16];
	void *fresh = rf_alloc((size_t)move->bytes);

	snprintf(name, sizeof name, "slot%u", move->first);
	if (rf_slot_migrate(name, 2, fresh, (size_t)move->bytes) != 0)
		condemn("%s does not migrate", name);
}

static void (*const moves[])(const struct script_move *move) = {
	[SCRIPT_COMMIT] = commit,
	[SCRIPT_COMMIT_FAILS] = commit,
	[SCRIPT_ABORT] = give_up,
	[SCRIPT_TAKE] = take,
	[SCRIPT_TRY] = try,
	[SCRIPT_GIVE] = give,
	[SCRIPT_WRITE] = write_block,
	[SCRIPT_SET] = set,
	[SCRIPT_PUT] = put,
	[SCRIPT_REMOVE] = remove_keys,
	[SCRIPT_CLEAR] = clear,
	[SCRIPT_SLOT] = slot,
	[SCRIPT_MIGRATE] = migrate,
	[SCRIPT_RESIZE] = resize,
	[SCRIPT_ALIGN] = align,
	[SCRIPT_TRIM] = trim,
};

static void play(const struct script_move *move)
{
	for (; move->verb != SCRIPT_END; move++)
		moves[move->verb](move);
}

/* ---- the hooks ---- */

void script_prepare(const struct scenario *self)
{
	const struct script *script = self->arg;

	rf_tx_begin();
	open_root();
	play(script->before);
}

void script_act(const struct scenario *self)
{
	const struct script *script = self->arg;

	play(script->act);
}

int script_check(const struct scenario *self)
{
	(void)self;
	return rf_dict_check(script_root()->dict, "script");
}
