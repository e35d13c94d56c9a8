/* SPDX-License-Identifier: MIT */
/* fuzz_resp.c -- any bytes as a RESP stream.
 *
 * The first byte seeds how the rest is cut. Beyond not crashing: cut or whole,
 * the stream gives the same requests and the same error; the arguments lie
 * inside the request, do not overlap, and the payload has the announced size.
 */
#include "worker/network/codec.h"
#include <refork/check.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_BYTES 100000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

struct digest { /* of all that came out of a stream */
	uint64_t hash;
	uint64_t requests;
	size_t consumed;
	char error[CODEC_ERROR_MAX];
};

static void mix(struct digest *digest, const void *from, size_t bytes)
{
	const uint8_t *at = from;

	for (size_t i = 0; i < bytes; i++)
		digest->hash = (digest->hash ^ at[i]) * UINT64_C(1099511628211);
}

static void take(struct digest *digest, const struct codec_request *req,
	const uint8_t *in, size_t bytes)
{
	size_t payload_bytes = codec_payload_bytes(req), end = 0;
	uint8_t *payload = malloc(payload_bytes);

	RF_CHECK(req->bytes > 0 && req->bytes <= bytes);
	RF_CHECK(req->argc <= CODEC_ARGC_MAX);
	RF_CHECK(req->argc == 0 || payload_bytes <= LIMIT_BYTES);
	for (uint32_t i = 0; i < req->argc; i++) {
		RF_CHECK(req->argv[i].off >= end);
		end = (size_t)req->argv[i].off + req->argv[i].bytes;
		RF_CHECK(end <= req->bytes);
	}
	codec_payload_write(payload, req, in);
	mix(digest, payload, payload_bytes);
	free(payload);
	digest->requests++;
	digest->consumed += req->bytes;
}

static uint32_t next_piece(uint32_t *seed, size_t rest)
{
	size_t most;

	*seed = *seed * 1664525 + 1013904223;
	most = (*seed >> 28) ? 12 : 5000;
	return (uint32_t)((*seed >> 8) % (rest < most ? rest : most)) + 1;
}

/* A block of exactly that size: the sanitizer guards its end. */
static uint8_t *stretch(uint8_t *block, size_t bytes)
{
	uint8_t *longer = realloc(block, bytes);

	RF_CHECK(longer);
	return longer;
}

/* seed 0: all at once */
static void run(
	struct digest *digest, const uint8_t *data, size_t bytes, uint32_t seed)
{
	const struct codec_limits limits = {LIMIT_BYTES};
	struct codec_request req = {0};
	uint8_t *in = NULL;
	size_t count = 0;

	for (size_t at = 0; at < bytes && !digest->error[0];) {
		size_t piece =
			seed ? next_piece(&seed, bytes - at) : bytes - at;
		enum codec_result got = CODEC_REQUEST;

		in = stretch(in, count + piece);
		memcpy(in + count, data + at, piece);
		at += piece;
		count += piece;
		while (count && got == CODEC_REQUEST) {
			got = codec_resp.parse(&req, in, count, &limits);
			if (got == CODEC_ERROR)
				memcpy(digest->error, req.error,
					sizeof(req.error));
			if (got != CODEC_REQUEST)
				break;
			take(digest, &req, in, count);
			count -= req.bytes;
			memmove(in, in + req.bytes, count);
			codec_request_reset(&req);
		}
	}
	free(in);
	codec_request_fini(&req);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct digest whole = {0}, cut = {0};

	if (bytes < 2)
		return 0;
	run(&whole, data + 1, bytes - 1, 0);
	run(&cut, data + 1, bytes - 1, data[0] + 1u);
	RF_CHECK(whole.hash == cut.hash && whole.requests == cut.requests);
	RF_CHECK(whole.consumed == cut.consumed);
	RF_CHECK(strcmp(whole.error, cut.error) == 0);
	return 0;
}
