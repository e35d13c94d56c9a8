/* SPDX-License-Identifier: MIT */
/* place.c -- where a segment stands, in the words of its backend. */
#include "place.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *const place_backends[RF_BACKEND_COUNT] = {
	[RF_BACKEND_POSIX] = "posix",
	[RF_BACKEND_MEMFD] = "memfd",
	[RF_BACKEND_SYSV] = "sysv",
	[RF_BACKEND_FILE] = "file",
};

static void posix_of(const struct rf_segment *seg, char *text)
{
	snprintf(text, PLACE_BYTES, SEGMENT_DIR "%s", seg->name);
}

static void posix_name(const struct rf_segment *seg, char *text)
{
	snprintf(text, PLACE_BYTES, "%s", seg->name + 1);
}

static void memfd_of(const struct rf_segment *seg, char *text)
{
	snprintf(text, PLACE_BYTES, "memfd %s", seg->name);
}

/* As it stands; else as it will be made. */
static uint32_t key_of(const struct rf_segment *seg, int *shmid)
{
	struct rf_segment_owner owner;

	*shmid = seg->shmid;
	if (rf_segment_owner(seg, &owner))
		return seg->key;
	*shmid = owner.shmid;
	return owner.key;
}

static void sysv_of(const struct rf_segment *seg, char *text)
{
	int shmid;
	uint32_t key = key_of(seg, &shmid);

	if (key)
		snprintf(text, PLACE_BYTES,
			"System V segment 0x%08" PRIx32 " (id %d, lock file "
			"%s)",
			key, shmid, seg->path);
	else
		snprintf(
			text, PLACE_BYTES, "System V segment of %s", seg->path);
}

static void sysv_name(const struct rf_segment *seg, char *text)
{
	int shmid;

	snprintf(text, PLACE_BYTES, "0x%08" PRIx32, key_of(seg, &shmid));
}

static void path_of(const struct rf_segment *seg, char *text)
{
	snprintf(text, PLACE_BYTES, "%s", seg->path);
}

static const struct {
	void (*of)(const struct rf_segment *seg, char *text);
	void (*name)(const struct rf_segment *seg, char *text);
	void (*file)(const struct rf_segment *seg, char *text);
} backends[RF_BACKEND_COUNT] = {
	[RF_BACKEND_POSIX] = {posix_of, posix_name, posix_of},
	[RF_BACKEND_MEMFD] = {memfd_of, memfd_of, NULL},
	[RF_BACKEND_SYSV] = {sysv_of, sysv_name, path_of},
	[RF_BACKEND_FILE] = {path_of, path_of, path_of},
};

const char *place_of(const struct rf_segment *seg, char text[PLACE_BYTES])
{
	backends[seg->backend].of(seg, text);
	return text;
}

const char *place_name(const struct rf_segment *seg, char text[PLACE_BYTES])
{
	backends[seg->backend].name(seg, text);
	return text;
}

bool place_file(const struct rf_segment *seg, char path[PLACE_BYTES])
{
	if (backends[seg->backend].file)
		backends[seg->backend].file(seg, path);
	return backends[seg->backend].file != NULL;
}

const char *place_aside(const char *file)
{
	const char *digits = strstr(file, PLACE_ASIDE_MARK);

	if (!digits)
		return NULL;
	digits += strlen(PLACE_ASIDE_MARK);
	return strlen(digits) == PLACE_ASIDE_DIGITS &&
			       strspn(digits, "0123456789") ==
				       PLACE_ASIDE_DIGITS
		       ? digits
		       : NULL;
}
