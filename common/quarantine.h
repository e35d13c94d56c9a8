/* SPDX-License-Identifier: MIT */
/* quarantine.h -- a request that killed, as a file.
 *
 *   STATE_DIR/NAME/quarantine/ID           kept
 *   STATE_DIR/NAME/quarantine/ID.running   being run again
 *   STATE_DIR/NAME/quarantine/new          being written
 *
 * A header of lines, an empty line, then the payload of the RF_MSG_REQUEST as
 * it stood in the ring. The holder of the lease writes and renames; the
 * supervisor reads and removes.
 */
#ifndef RF_QUARANTINE_H
#define RF_QUARANTINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RF_QUARANTINE_NAME_BYTES 32
#define RF_QUARANTINE_PATH_BYTES 600

struct rf_quarantined {
	uint64_t id;
	int64_t at_ms; /* Unix time */
	char service[256];
	char worker[96]; /* "kv 1.2.0" */
	uint64_t generation;
	uint64_t attempts;
	char peer[64];
	uint64_t conn_id;
	/* Which request it is: no two have both in common. */
	uint64_t channel_epoch;
	uint64_t position;
	uint64_t bytes; /* of the payload */
	/* user[0] of its connection when it was skipped. 0 also in files of
	 * versions that did not write it. */
	uint64_t context;
};

struct rf_quarantine_entry {
	uint64_t id;
	bool running;
};

/* Open the directory of a service; with `make`, make what is missing of it.
 * A descriptor, or -errno. `path` (may be NULL) gets its name. */
int rf_quarantine_dir(const char *state_dir, const char *service, bool make,
	char path[RF_QUARANTINE_PATH_BYTES]);

/* "7" or "7.running". Returns `name`. */
const char *rf_quarantine_name(
	uint64_t id, bool running, char name[RF_QUARANTINE_NAME_BYTES]);

/* What is there, oldest first. `*entries` is the caller's to free. Returns how
 * many, or -errno. Files of other names are not looked at. */
int rf_quarantine_list(int dir, struct rf_quarantine_entry **entries);

/* Remove the oldest ones until no more than `keep` are left. */
void rf_quarantine_trim(int dir, uint64_t keep);

/* Write a file: whole and on the disk, or not at all. 0 or -errno. */
int rf_quarantine_write(
	int dir, const struct rf_quarantined *what, const void *payload);

/* Open a file and read its header. The descriptor returned stands at the
 * payload, of which there are exactly out->bytes. -ENOENT, -EBADMSG (it is not
 * what it should be), -errno. */
int rf_quarantine_open(
	int dir, uint64_t id, bool running, struct rf_quarantined *out);

/* The next `bytes` of such a descriptor, or of a file cut short: -EBADMSG. */
int rf_quarantine_read(int fd, void *payload, size_t bytes);

#endif
