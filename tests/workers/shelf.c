/* SPDX-License-Identifier: MIT */
/* shelf.c -- a worker with one of each container, small and large, whose
 * content follows from its number of items: for those who look from outside.
 *
 * CRASH ends it by SIGSEGV, at the first attempt; GROW takes so many MiB.
 */
#include <refork/dict.h>
#include <refork/heap.h>
#include <refork/list.h>
#include <refork/map.h>
#include <refork/pack.h>
#include <refork/set.h>
#include <refork/slot.h>
#include <refork/sorted.h>
#include <refork/string.h>
#include <refork/tx.h>
#include <refork/worker.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMALL 6
#define LARGE 1500

struct shelf {
	struct rf_string *string;
	struct rf_pack *pack;
	struct rf_list grown; /* of large blocks */
	uint64_t requests;
};

static struct shelf *shelf;

/* Text, or a number: both have forms of their own. */
static size_t item_of(char *to, size_t room, const char *word, int i)
{
	if (i % 2 != 0)
		return (size_t)snprintf(to, room, "%d", i * 1003 - 2000);
	return (size_t)snprintf(to, room, "%s-%d", word, i);
}

static void fill_list(void *root, int items)
{
	char text[128];

	for (int i = 0; i < items; i++)
		rf_list_push(root, RF_TAIL, text,
			item_of(text, sizeof text, "item", i));
}

static void fill_dict(void *root, int items)
{
	char key[64];

	for (int i = 0; i < items; i++) {
		int bytes = snprintf(key, sizeof key, "key-%d", i);
		struct rf_dict_entry *entry =
			rf_dict_put(root, key, (size_t)bytes, NULL);

		if (entry != NULL)
			entry->word = (uint64_t)i * 7;
	}
}

/* Values of each length: the short ones stand in a word. */
static void fill_map(void *root, int items)
{
	char field[64], value[128];

	for (int i = 0; i < items; i++) {
		int bytes = snprintf(field, sizeof field, "field-%d", i);

		memset(value, 'v', sizeof value);
		snprintf(value, sizeof value, "%d", i * i);
		if (i % 3 != 0)
			value[strlen(value)] = 'v';
		rf_map_put(root, field, (size_t)bytes, value,
			i % 3 != 0 ? (size_t)(i % 40 + 5) : strlen(value));
	}
}

static void fill_set(void *root, int items)
{
	char text[64];

	for (int i = 0; i < items; i++)
		rf_set_add(root, text,
			(size_t)snprintf(text, sizeof text,
				items > SMALL ? "member-%d" : "%d",
				i * 100 - 7));
}

static void fill_sorted(void *root, int items)
{
	char text[64];

	for (int i = 0; i < items; i++) {
		int bytes = snprintf(text, sizeof text, "m-%d", i);

		rf_sorted_put(root, text, (size_t)bytes, i * 0.25 - 1);
	}
}

static const struct {
	const char *type;
	size_t bytes;
	void (*fill)(void *root, int items);
} kinds[] = {
	{"list", sizeof(struct rf_list), fill_list},
	{"dict", sizeof(struct rf_dict), fill_dict},
	{"map", sizeof(struct rf_map), fill_map},
	{"set", sizeof(struct rf_set), fill_set},
	{"sorted", sizeof(struct rf_sorted), fill_sorted},
};

static int open_one(size_t kind, const char *size, int items)
{
	char name[32];
	bool created;
	void *root;
	int error;

	snprintf(name, sizeof name, "%s_%s", size, kinds[kind].type);
	error = rf_slot_open(
		name, kinds[kind].type, 1, kinds[kind].bytes, &root, &created);
	if (error == 0 && created)
		kinds[kind].fill(root, items);
	return error;
}

static int build(const struct rf_env *env)
{
	bool created;
	int error = rf_slot_open(
		"shelf", "shelf", 1, sizeof *shelf, (void **)&shelf, &created);

	(void)env;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds && error == 0;
		i++) {
		error = open_one(i, "small", SMALL);
		if (error == 0)
			error = open_one(i, "large", LARGE);
	}
	if (error != 0 || !created)
		return error;
	shelf->string = rf_string_set(NULL, "a text on the shelf", 19);
	shelf->pack = rf_pack_create(64);
	if (shelf->pack != NULL)
		shelf->pack = rf_pack_insert(
			shelf->pack, rf_pack_end(shelf->pack), "packed", 6);
	return rf_tx_error();
}

static void grow(int mib)
{
	static char bytes[1 << 20];

	for (int i = 0; i < mib; i++) {
		memset(bytes, 'a' + i % 26, sizeof bytes);
		rf_list_push(&shelf->grown, RF_TAIL, bytes, sizeof bytes);
	}
}

static void request(const struct rf_request *req, struct rf_reply *reply)
{
	char word[32] = "", digits[32] = "";

	snprintf(word, sizeof word, "%.*s", (int)req->argv[0].bytes,
		req->argv[0].at);
	if (req->argc > 1)
		snprintf(digits, sizeof digits, "%.*s", (int)req->argv[1].bytes,
			req->argv[1].at);
	RF_SET(shelf->requests, shelf->requests + 1);
	if (strcmp(word, "CRASH") == 0 && req->attempt == 1)
		raise(SIGSEGV);
	if (strcmp(word, "GROW") == 0)
		grow(atoi(digits));
	rf_reply_bytes(reply, "+OK\r\n", 5);
}

RF_API const struct rf_worker refork_worker = {
	.magic = RF_WORKER_MAGIC,
	.struct_size = sizeof(struct rf_worker),
	.abi = RF_WORKER_ABI,
	.name = "shelf",
	.version = "1",
	.state_version = 1,
	.build = build,
	.request = request,
};
