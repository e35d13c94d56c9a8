/* SPDX-License-Identifier: MIT */
/* codec.c -- the table of codecs, and what all of them share. */
#include "codec.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ARGV_ROOM_FIRST 16

static const struct codec *const codecs[] = {&codec_resp};

const struct codec *codec_find(const char *name)
{
	for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++)
		if (strcmp(codecs[i]->name, name) == 0)
			return codecs[i];
	return NULL;
}

void codec_request_reset(struct codec_request *req)
{
	req->argc = 0;
	req->argv_bytes = 0;
	req->bytes = 0;
	req->argc_declared = 0;
	req->body_bytes = 0;
	req->state = CODEC_AT_START;
	req->done = 0;
	req->seen = 0;
	req->error[0] = '\0';
}

void codec_request_fini(struct codec_request *req)
{
	free(req->argv);
	*req = (struct codec_request){0};
}

/* Memory follows the arguments that have come, not those announced. */
static int grow(struct codec_request *req, uint32_t room)
{
	struct codec_arg *argv = realloc(req->argv, room * sizeof(*argv));

	if (!argv)
		return -ENOMEM;
	req->argv = argv;
	req->argv_room = room;
	return 0;
}

int codec_request_add(struct codec_request *req, size_t off, size_t bytes)
{
	if (req->argc == req->argv_room) {
		int rc = grow(req,
			req->argv_room ? req->argv_room * 2 : ARGV_ROOM_FIRST);

		if (rc)
			return rc;
	}
	req->argv[req->argc++] = (struct codec_arg){
		.off = (uint32_t)off,
		.bytes = (uint32_t)bytes,
	};
	req->argv_bytes += bytes;
	return 0;
}

int codec_request_copy(
	struct codec_request *to, const struct codec_request *from)
{
	struct codec_arg *argv;
	uint32_t room;

	if (to->argv_room < from->argc && grow(to, from->argv_room))
		return -ENOMEM;
	argv = to->argv;
	room = to->argv_room;
	*to = *from;
	to->argv = argv;
	to->argv_room = room;
	if (from->argc)
		memcpy(argv, from->argv, from->argc * sizeof(*argv));
	return 0;
}

void codec_payload_write(
	uint8_t *out, const struct codec_request *req, const uint8_t *in)
{
	uint8_t *to = out + sizeof(uint32_t) * (1 + (size_t)req->argc);

	memcpy(out, &req->argc, sizeof(uint32_t));
	for (uint32_t i = 0; i < req->argc; i++) {
		const struct codec_arg *arg = &req->argv[i];

		out += sizeof(uint32_t);
		memcpy(out, &arg->bytes, sizeof(uint32_t));
		memcpy(to, in + arg->off, arg->bytes);
		to += arg->bytes;
	}
}
