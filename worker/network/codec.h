/* SPDX-License-Identifier: MIT */
/* codec.h -- from a stream of bytes to requests, whatever the protocol.
 *
 * A codec is pure: no sockets, no rings, no clock. It reads what has arrived
 * of one request, remembers how far it got, and says when the request is
 * whole. The arguments stay where they arrived; it only says where they are.
 * The input is never changed: another process may have to read it again.
 */
#ifndef NETWORK_CODEC_H
#define NETWORK_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Arguments of one request. */
#define CODEC_ARGC_MAX	(UINT32_C(1) << 20)
#define CODEC_ERROR_MAX 96

struct codec_arg {
	uint32_t off; /* from the first byte of the request, or of `text` */
	uint32_t bytes;
};

enum codec_state { CODEC_AT_START, CODEC_AT_HEAD, CODEC_AT_BODY, CODEC_AT_END };

/* One request, perhaps half arrived. Zeroed memory is a fresh one. */
struct codec_request {
	/* Valid when the codec said CODEC_REQUEST: */
	uint32_t argc;	     /* 0: an empty request, to be skipped */
	uint64_t argv_bytes; /* all arguments together */
	size_t bytes;	     /* input that this request took */
	struct codec_arg *argv;
	/* Valid when it said CODEC_ERROR: "ERR Protocol error: ..." */
	char error[CODEC_ERROR_MAX];

	/* Arguments that do not stand in the input as they are; else NULL. */
	uint8_t *text;

	/* The codec's own: */
	uint8_t *text_memory;
	size_t text_room;
	uint32_t argv_room;
	uint32_t argc_declared;
	uint32_t body_bytes; /* of the argument that is arriving */
	enum codec_state state;
	size_t done; /* bytes understood */
	size_t seen; /* no end of line before here */
};

struct codec_limits {
	size_t request_bytes_max; /* of the message that will carry it */
};

enum codec_result {
	CODEC_MORE,    /* not whole yet */
	CODEC_REQUEST, /* whole; says so again until reset */
	CODEC_ERROR    /* the stream cannot be understood any more */
};

struct codec {
	const char *name;

	/* Read on. `in` is the first byte of the request, `bytes` all that has
	 * arrived since; both may differ from the last call's as long as the
	 * bytes already given are the same. The result depends on the bytes
	 * alone, not on how they were cut. */
	enum codec_result (*parse)(struct codec_request *req, const uint8_t *in,
		size_t bytes, const struct codec_limits *limits);

	/* Give an error text ("OOM out of memory") its form on the wire. `out`
	 * has room for text_bytes + CODEC_ERROR_FRAME. Returns its size. */
	size_t (*encode_error)(
		uint8_t *out, const void *text, size_t text_bytes);
};
#define CODEC_ERROR_FRAME 3

/* NULL when no codec has that name. */
const struct codec *codec_find(const char *name);
extern const struct codec codec_resp;

/* Ready for the next request; keeps the memory of argv. */
void codec_request_reset(struct codec_request *req);
void codec_request_fini(struct codec_request *req);
/* Copy a half-arrived request. 0 or -ENOMEM. */
int codec_request_copy(
	struct codec_request *to, const struct codec_request *from);

/* For codecs: room for `bytes` in req->text. 0 or -ENOMEM. */
int codec_request_text(struct codec_request *req, size_t bytes);

/* For codecs: note one more argument. 0 or -ENOMEM. */
int codec_request_add(struct codec_request *req, size_t off, size_t bytes);

/* Bytes of the RF_MSG_REQUEST payload that carries a whole request, and its
 * writing: argc, lengths, bytes. `in` as for parse. */
static inline size_t codec_payload_bytes(const struct codec_request *req)
{
	return sizeof(uint32_t) * (1 + (size_t)req->argc) + req->argv_bytes;
}
void codec_payload_write(
	uint8_t *out, const struct codec_request *req, const uint8_t *in);

#endif
