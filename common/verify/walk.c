/* SPDX-License-Identifier: MIT */
/* walk.c -- a walk through what is reached, block by block.
 *
 * The problem. State is damaged, or is it? Whoever looks must survive whatever
 * stands there: pointers to anywhere, lists that bite their tail, trees whose
 * branches grow together, counts of 2^60.
 * The idea. Before the walk, each live block of the heap has one bit. The walk
 * takes the bit of each block that it comes to, and goes into it only then:
 *
 *   - what is no live block has no bit: no wild pointer is followed
 *   - what has been reached has none any more: a walk does as many steps as
 *     there are blocks, then it ends
 *   - the bits that are left are what nobody reaches: leaks
 *
 * The bits are private to the walking process; the arena is only read.
 *
 * A walk without such bits takes the heap's word for what is a block. The
 * _check functions of the containers are such: they must bound their steps by
 * themselves, by what the heap has room for.
 */
#include "walk_form.h"
#include <errno.h>
#include <refork/heap.h>
#include <refork/log.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TEXT_BYTES 320

/* ---- where it is ---- */

void rf_walk_enter(struct rf_walk *walk, struct rf_walk_scope *scope,
	const char *what, const void *name, size_t bytes)
{
	scope->what = what;
	scope->name = (struct rf_bytes){name, bytes};
	scope->outer = (struct rf_walk_scope *)walk->scope;
	walk->scope = scope;
}

void rf_walk_leave(struct rf_walk *walk)
{
	walk->scope = walk->scope->outer;
}

struct path {
	char *to;
	size_t at, room; /* without the zero */
};

static void put(struct path *path, char byte)
{
	if (path->at < path->room)
		path->to[path->at++] = byte;
}

static void put_text(struct path *path, const char *text)
{
	while (*text != '\0')
		put(path, *text++);
}

#define NAME_MAX_BYTES 64u

static void put_name(struct path *path, struct rf_bytes name)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < name.bytes && i < NAME_MAX_BYTES; i++) {
		uint8_t byte = (uint8_t)name.at[i];

		if (byte >= ' ' && byte < 127 && byte != '\\') {
			put(path, (char)byte);
			continue;
		}
		put_text(path, "\\x");
		put(path, digits[byte >> 4]);
		put(path, digits[byte & 15]);
	}
	if (name.bytes > NAME_MAX_BYTES)
		put_text(path, "...");
}

static void put_scope(struct path *path, const struct rf_walk_scope *scope)
{
	if (scope == NULL)
		return;
	put_scope(path, scope->outer);
	if (path->at > 0)
		put_text(path, ": ");
	put_text(path, scope->what);
	if (scope->name.bytes == 0)
		return;
	if (scope->what[0] == '\0') {
		put_name(path, scope->name);
		return;
	}
	put_text(path, " '");
	put_name(path, scope->name);
	put(path, '\'');
}

void rf_walk_path(const struct rf_walk *walk, char to[RF_WALK_PATH_BYTES])
{
	struct path path = {to, 0, RF_WALK_PATH_BYTES - 1};

	put_text(&path, walk->slot);
	put_scope(&path, walk->scope);
	to[path.at] = '\0';
}

/* ---- problems ---- */

static void log_problem(
	const struct rf_walk *walk, const void *at, const char *text)
{
	char path[RF_WALK_PATH_BYTES];

	rf_walk_path(walk, path);
	rf_log(RF_LOG_ERROR, "check: %s at %p: %s", path, at, text);
}

struct rf_walk *rf_walk_alone(struct rf_walk_alone *alone, const char *name)
{
	memset(&alone->walk, 0, offsetof(struct rf_walk, tallies));
	alone->walk.slot = "";
	alone->walk.report = log_problem;
	rf_walk_enter(&alone->walk, &alone->scope, "", name, strlen(name));
	return &alone->walk;
}

void rf_walk_problem(
	struct rf_walk *walk, const void *at, const char *format, ...)
{
	char text[TEXT_BYTES];
	va_list args;

	walk->problems++;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	walk->report(walk, at, text);
}

uint64_t rf_walk_problems(const struct rf_walk *walk)
{
	return walk->problems;
}

void rf_walk_thing(
	struct rf_walk *walk, const void *at, const char *kind, uint64_t items)
{
	char path[RF_WALK_PATH_BYTES];

	if (walk->thing == NULL)
		return;
	rf_walk_path(walk, path);
	walk->thing(walk->context, at, path, kind, items);
}

/* ---- blocks ---- */

static void count(struct rf_walk *walk, const char *what, size_t bytes)
{
	uint64_t hash = ((uint64_t)what ^ (uint64_t)walk->slot * 7) *
			UINT64_C(0x9e3779b97f4a7c15);
	uint32_t at = (uint32_t)(hash >> 58);
	struct rf_walk_tally *tally = &walk->tallies[at];

	_Static_assert(RF_WALK_TALLIES == 1 << (64 - 58), "by the top bits");
	for (uint32_t i = 0; tally->what != what || tally->slot != walk->slot;
		tally = &walk->tallies[(at + ++i) % RF_WALK_TALLIES]) {
		if (tally->what != NULL && i < RF_WALK_TALLIES)
			continue;
		if (tally->what != NULL)
			return; /* more kinds than anybody has */
		tally->what = what;
		tally->slot = walk->slot;
		break;
	}
	tally->blocks++;
	tally->bytes += bytes;
}

static bool is_not(struct rf_walk *walk, const void *at, size_t bytes,
	const char *what, const char *why)
{
	rf_walk_problem(
		walk, at, "%s of %zu bytes or more: %s", what, bytes, why);
	return false;
}

static void tell_found(const struct rf_walk *walk, const void *at, size_t bytes,
	const char *what)
{
	char path[RF_WALK_PATH_BYTES];

	rf_walk_path(walk, path);
	walk->found(walk->context, at, bytes, path, what);
}

bool rf_walk_block(
	struct rf_walk *walk, const void *at, size_t bytes, const char *what)
{
	struct rf_walk_index *index = walk->index;
	uint64_t off, bit, *left;
	size_t size;

	if (index == NULL)
		return rf_is_block(at, bytes) ||
		       is_not(walk, at, bytes, what, "no such block");
	off = (uint64_t)at - index->base;
	if (rf_unlikely(off >= index->heap_bytes || off % 8 != 0))
		return is_not(walk, at, bytes, what, "outside of the heap");
	left = &index->left[off >> 9];
	bit = UINT64_C(1) << (off >> 3 & 63);
	if (rf_unlikely((*left & bit) == 0))
		return is_not(walk, at, bytes, what,
			rf_walk_index_holds(index, at, 0)
				? "reached a second time"
				: "no live block begins there");
	*left &= ~bit;
	size = rf_walk_index_size(index, off);
	walk->reached++;
	count(walk, what, size);
	if (rf_unlikely(walk->found != NULL) &&
		(walk->wanted == 0 || walk->wanted - (uint64_t)at < size))
		tell_found(walk, at, size, what);
	if (rf_unlikely(rf_walk_index_usable(index, off) < bytes))
		return is_not(walk, at, bytes, what, "its block is shorter");
	return true;
}

bool rf_walk_holds(struct rf_walk *walk, const void *at, size_t bytes)
{
	if (walk->index == NULL)
		return rf_is_block(at, bytes);
	return rf_walk_index_holds(walk->index, at, bytes);
}

size_t rf_walk_usable(struct rf_walk *walk, const void *at)
{
	uint64_t off;

	if (walk->index == NULL)
		return rf_is_block(at, 0) ? rf_usable(at) : 0;
	off = (uint64_t)at - walk->index->base;
	return off < walk->index->heap_bytes
		       ? rf_walk_index_usable(walk->index, off)
		       : 0;
}

size_t rf_walk_bytes_max(const struct rf_walk *walk)
{
	if (walk->index == NULL)
		return rf_heap_used();
	return walk->index->block_bytes;
}

void rf_walk_prefetch(const struct rf_walk *walk, const void *at)
{
	const struct rf_walk_index *index = walk->index;
	uint64_t off;

	__builtin_prefetch(at);
	if (index == NULL)
		return;
	off = (uint64_t)at - index->base;
	if (off < index->heap_bytes)
		__builtin_prefetch(&index->left[off >> 9], 1);
}

/* ---- a worker's own check ---- */

int rf_walk_check(void (*hook)(struct rf_walk *walk))
{
	struct rf_walk_alone alone;
	struct rf_walk *walk = rf_walk_alone(&alone, "");
	struct rf_walk_index index;
	uint64_t problems;

	walk->scope = NULL;
	memset(walk->tallies, 0, sizeof walk->tallies);
	if (rf_walk_index_make(&index, walk) != 0) {
		rf_log(RF_LOG_ERROR,
			"check: no memory for an index of %u "
			"pages",
			RF_SUPER->heap.page_count);
		return -ENOMEM;
	}
	walk->index = &index;
	hook(walk);
	problems = walk->problems;
	rf_walk_index_free(&index);
	return problems == 0 ? 0 : -EBADMSG;
}

/* ---- slots ---- */

void *rf_walk_slot(struct rf_walk *walk, const char *name, const char *type,
	uint32_t version, size_t bytes)
{
	const struct rf_slot *slot = RF_SUPER->slots;
	size_t i = 0;

	walk->scope = NULL;
	while (i < RF_SLOT_COUNT &&
		strncmp(slot[i].name, name, sizeof slot->name) != 0)
		i++;
	if (name[0] == '\0' || i == RF_SLOT_COUNT)
		return NULL;
	slot += i;
	walk->slot = slot->name;
	if (strncmp(slot->type, type, sizeof slot->type) != 0 ||
		slot->version != version || slot->bytes != bytes) {
		rf_walk_problem(walk, slot,
			"the worker has a '%s', version %u, of %zu bytes; what "
			"stands there is a '%.*s', version %u, of %llu",
			type, version, bytes, RF_SLOT_TYPE_MAX, slot->type,
			slot->version, (unsigned long long)slot->bytes);
		return NULL;
	}
	return rf_walk_holds(walk, slot->root, bytes) ? slot->root : NULL;
}
