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
	req->text = NULL;
}

void codec_request_fini(struct codec_request *req)
{
	free(req->argv);
	free(req->text_memory);
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

int codec_request_text(struct codec_request *req, size_t bytes)
{
	if (bytes > req->text_room) {
		uint8_t *memory = realloc(req->text_memory, bytes);

		if (!memory)
			return -ENOMEM;
		req->text_memory = memory;
		req->text_room = bytes;
	}
	req->text = req->text_memory;
	return 0;
}

int codec_request_copy(
	struct codec_request *to, const struct codec_request *from)
{
	struct codec_request own;

	if (to->argv_room < from->argc && grow(to, from->argv_room))
		return -ENOMEM;
	if (from->text && codec_request_text(to, from->text_room))
		return -ENOMEM;
	own = *to;
	*to = *from;
	to->argv = own.argv;
	to->argv_room = own.argv_room;
	to->text_memory = own.text_memory;
	to->text_room = own.text_room;
	to->text = from->text ? to->text_memory : NULL;
	if (from->text)
		memcpy(to->text, from->text, from->text_room);
	if (from->argc)
		memcpy(to->argv, from->argv, from->argc * sizeof(*to->argv));
	return 0;
}

void codec_payload_write(
	uint8_t *out, const struct codec_request *req, const uint8_t *in)
{
	uint8_t *to = out + sizeof(uint32_t) * (1 + (size_t)req->argc);
	const uint8_t *from = req->text ? req->text : in;

	memcpy(out, &req->argc, sizeof(uint32_t));
	for (uint32_t i = 0; i < req->argc; i++) {
		const struct codec_arg *arg = &req->argv[i];

		out += sizeof(uint32_t);
		memcpy(out, &arg->bytes, sizeof(uint32_t));
		memcpy(to, from + arg->off, arg->bytes);
		to += arg->bytes;
	}
}
