/* SPDX-License-Identifier: MIT */
/* slot.c -- named roots: find or create, with type and version checked. */
#include "verify/walk_form.h"
#include <errno.h>
#include <refork/heap.h>
#include <refork/log.h>
#include <refork/tx.h>
#include <stdio.h>

static struct rf_slot *find(const char *name)
{
	for (size_t i = 0; i < RF_SLOT_COUNT; i++)
		if (strncmp(RF_SUPER->slots[i].name, name,
			    RF_SLOT_NAME_MAX + 1) == 0)
			return &RF_SUPER->slots[i];
	return NULL;
}

static int create(
	const char *name, const char *type, uint32_t version, size_t bytes)
{
	struct rf_slot *slot = find("");
	struct rf_slot made = {.version = version, .bytes = bytes};

	if (slot == NULL)
		return -ENOSPC;
	made.root = rf_alloc(bytes);
	if (made.root == NULL)
		return -ENOMEM;
	snprintf(made.name, sizeof made.name, "%s", name);
	snprintf(made.type, sizeof made.type, "%s", type);
	rf_tx_write(slot, &made, sizeof made);
	return rf_tx_error();
}

static int differs(const struct rf_slot *slot, const char *type,
	uint32_t version, size_t bytes)
{
	if (strcmp(slot->type, type) != 0)
		return -EPROTOTYPE;
	if (slot->version != version)
		return -ESTALE;
	return slot->bytes != bytes ? -EPROTOTYPE : 0;
}

static void tell(const struct rf_slot *slot, const char *name, const char *type,
	uint32_t version, size_t bytes, int error)
{
	if (slot == NULL)
		rf_log(RF_LOG_ERROR, "slot '%s': create: %s", name,
			error == -ENOSPC ? "all slots are taken"
					 : strerror(-error));
	else
		rf_log(RF_LOG_ERROR,
			"slot '%s': the worker wants a '%s', version %u, of "
			"%zu bytes; what stands there is a '%.*s', version %u, "
			"of %llu",
			name, type, version, bytes, RF_SLOT_TYPE_MAX,
			slot->type, slot->version,
			(unsigned long long)slot->bytes);
}

int rf_slot_open(const char *name, const char *type, uint32_t version,
	size_t bytes, void **root, bool *created)
{
	struct rf_slot *slot;
	int error;

	if (name[0] == '\0' || strlen(name) > RF_SLOT_NAME_MAX ||
		strlen(type) > RF_SLOT_TYPE_MAX)
		return -ENAMETOOLONG;
	slot = find(name);
	if (created != NULL)
		*created = slot == NULL;
	error = slot == NULL ? create(name, type, version, bytes)
			     : differs(slot, type, version, bytes);
	if (error == 0)
		*root = find(name)->root;
	else
		tell(slot, name, type, version, bytes, error);
	return error;
}

int rf_slot_version(const char *name, uint32_t *version)
{
	const struct rf_slot *slot = name[0] != '\0' ? find(name) : NULL;

	if (slot == NULL)
		return -ENOENT;
	*version = slot->version;
	return 0;
}

int rf_slot_migrate(
	const char *name, uint32_t version, void *root, size_t bytes)
{
	struct rf_slot *slot = name[0] != '\0' ? find(name) : NULL;

	if (slot == NULL)
		return -ENOENT;
	RF_SET(slot->version, version);
	if (root != NULL) {
		RF_SET(slot->root, root);
		RF_SET(slot->bytes, bytes);
	}
	return rf_tx_error();
}

/* ---- the walker ---- */

/* Ends in a zero, and nothing stands behind it. */
static bool is_text(const char *text, size_t room)
{
	size_t at = strnlen(text, room);

	if (at == room)
		return false;
	while (at < room && text[at] == '\0')
		at++;
	return at == room;
}

static bool is_empty(const struct rf_slot *slot)
{
	static const struct rf_slot empty;

	return memcmp(slot, &empty, sizeof empty) == 0;
}

static const char *slot_fault(const struct rf_slot *slot)
{
	if (slot->name[0] == '\0')
		return "no name, but not empty";
	if (!is_text(slot->name, sizeof slot->name) ||
		!is_text(slot->type, sizeof slot->type))
		return "name or type is no text";
	if (find(slot->name) != slot)
		return "another slot has its name";
	if (slot->bytes == 0 || slot->reserved != 0)
		return "a root of no bytes, or a word that is not used";
	return NULL;
}

/* A name is said only once it is known to end. */
static void walk_slot(struct rf_walk *walk, const struct rf_slot *slot)
{
	const char *fault = slot_fault(slot);

	if (fault != NULL)
		rf_walk_problem(walk, slot, "slot %zu: %s",
			(size_t)(slot - RF_SUPER->slots), fault);
	else
		walk->slot = slot->name;
	if (slot->bytes != 0)
		rf_walk_block(walk, slot->root, slot->bytes, "slot root");
	walk->slot = "";
}

void rf_walk_slots(struct rf_walk *walk)
{
	for (size_t i = 0; i < RF_SLOT_COUNT; i++)
		if (!is_empty(&RF_SUPER->slots[i]))
			walk_slot(walk, &RF_SUPER->slots[i]);
}

int rf_slot_check(void)
{
	struct rf_walk_alone alone;
	struct rf_walk *walk = rf_walk_alone(&alone, "slots");

	rf_walk_slots(walk);
	return rf_walk_problems(walk) == 0 ? 0 : -EBADMSG;
}
