/* SPDX-License-Identifier: MIT */
/* attach_parts.h -- what the files of attach share; see attach.c. */
#ifndef RF_ATTACH_PARTS_H
#define RF_ATTACH_PARTS_H

#include "segment.h"
#include <refork/attach.h>
#include <sys/un.h>

#define RF_ATTACH_TEXT 512

struct rf_attach {
	struct rf_segment seg;	/* what is mapped at the base */
	struct rf_segment live; /* of which `seg` is a copy; fd -1: none */
	char socket[sizeof(((struct sockaddr_un *)0)->sun_path)];
	uint64_t serial; /* of the hold; 0: none */
	char service[64], backend[16], path[RF_ATTACH_TEXT];
	char worker[64], worker_version[64], worker_code[RF_ATTACH_TEXT];
	char worker_args[RF_ATTACH_TEXT];
	struct rf_attach_facts facts;
};

/* Say why, and hand the error on. */
struct rf_why {
	char *text;
	size_t bytes;
};
int rf_attach_fail(const struct rf_why *why, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- attach_ask.c ---- */

/* One request to the daemon: "VERB json ARGUMENT", the body of its answer.
 * Returns 0; 1 refused, `body` says why; -errno. */
int rf_attach_ask(
	const char *socket, const char *request, char *body, size_t bytes);

/* ---- attach_map.c ---- */

/* Each maps its segment at the base and fills in what it knows of it. */
int rf_attach_live(struct rf_attach *a, const struct rf_segment_place *place,
	const struct rf_why *why);
int rf_attach_copy(struct rf_attach *a, const struct rf_segment_place *place,
	const struct rf_why *why);
int rf_attach_kept(
	struct rf_attach *a, const char *path, const struct rf_why *why);
int rf_attach_kept_sysv(
	struct rf_attach *a, int shmid, const struct rf_why *why);

#endif
