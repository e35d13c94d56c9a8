/* SPDX-License-Identifier: MIT */
/* notify.c -- keyspace notifications: events of keys as messages.
 *
 * Which are wanted is a set of letters, kept as one bit for each.
 */
#include "worker/kv/client/clients.h"
#include "worker/kv/server/server.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const char letters[] = "g$lshzxetdnKEm"; /* in the order of printing */
static const char all[] = "g$lshzxetd";		/* what A stands for */
/* Goes unsaid when A is said. */
#define UNSAID 'n'

static uint64_t bit_of(char letter)
{
	const char *at = letter != '\0' ? strchr(letters, letter) : NULL;

	return at != NULL ? (uint64_t)1 << (at - letters) : 0;
}

static uint64_t bits_of_all(void)
{
	uint64_t bits = 0;

	for (const char *at = all; *at != '\0'; at++)
		bits |= bit_of(*at);
	return bits;
}

bool kv_notify_parse(struct rf_bytes text, uint64_t *events)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < text.bytes; i++) {
		uint64_t more =
			text.at[i] == 'A' ? bits_of_all() : bit_of(text.at[i]);

		if (more == 0)
			return false;
		bits |= more;
	}
	*events = bits;
	return true;
}

void kv_notify_print(uint64_t events, char text[KV_NOTIFY_TEXT_MAX])
{
	uint64_t unsaid = 0;

	if ((events & bits_of_all()) == bits_of_all()) {
		unsaid = bits_of_all() | bit_of(UNSAID);
		*text++ = 'A';
	}
	for (const char *at = letters; *at != '\0'; at++)
		if (events & ~unsaid & bit_of(*at))
			*text++ = *at;
	*text = '\0';
}

/* "__keyspace@0__:" and what it is about. */
static void notify(struct kv_call *call, const char *about,
	struct rf_bytes subject, struct rf_bytes text)
{
	char prefix[48];
	int prefix_bytes = snprintf(prefix, sizeof prefix,
		"__%s@%llu__:", about, (unsigned long long)call->keys->db);
	size_t bytes = (size_t)prefix_bytes + subject.bytes;
	char room[256];
	char *name = bytes <= sizeof room ? room : malloc(bytes);

	if (name == NULL) {
		rf_tx_fail(-ENOMEM);
		return;
	}
	memcpy(name, prefix, (size_t)prefix_bytes);
	if (subject.bytes > 0)
		memcpy(name + prefix_bytes, subject.at, subject.bytes);
	kv_publish(call, KV_CHANNEL, (struct rf_bytes){name, bytes}, text);
	if (name != room)
		free(name);
}

void kv_notify(struct kv_call *call, struct rf_bytes key, enum kv_class class,
	const char *event)
{
	uint64_t events = kv_settings->notify_events;
	struct rf_bytes what = {event, strlen(event)};

	if (rf_likely(events == 0) || !(events & bit_of((char)class)))
		return;
	if (events & bit_of('K'))
		notify(call, "keyspace", key, what);
	if (events & bit_of('E'))
		notify(call, "keyevent", what, key);
}
