/* SPDX-License-Identifier: MIT */
/* slot.h -- named roots of the recoverable managers. */
#ifndef REFORK_SLOT_H
#define REFORK_SLOT_H

#include <refork/check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RF_SLOT_NAME_MAX 31
#define RF_SLOT_TYPE_MAX 15
#define RF_SLOT_COUNT	 64

/* Find or create the root object called `name`.
 *
 * name           1 .. RF_SLOT_NAME_MAX bytes
 * type, version  what stands in it; both are compared with what was stored
 * bytes          size of the root object
 * root           the object, zeroed when just created; it never moves, but by
 *                rf_slot_migrate
 * created        may be NULL
 * Returns  0; -EPROTOTYPE another type or size under that name; -ESTALE
 *          another version (see rf_slot_version); -ENOSPC all slots taken;
 *          -ENAMETOOLONG; -ENOMEM. It has been logged what differs.
 * Needs    an open transaction */
RF_API int rf_slot_open(const char *name, const char *type, uint32_t version,
	size_t bytes, void **root, bool *created);

/* The stored version; -ENOENT when there is no such slot. */
RF_API int rf_slot_version(const char *name, uint32_t *version);

/* After a migration: record the new version and, when `root` is not NULL, a
 * new root block of `bytes` (the old one is the caller's to free). */
RF_API int rf_slot_migrate(
	const char *name, uint32_t version, void *root, size_t bytes);

/* Walk all slots: names, types, roots. Returns 0, or -EBADMSG after reporting
 * through rf_log. Needs a heap that rf_heap_check() has found whole. */
RF_API int rf_slot_check(void);

#endif
