/* SPDX-License-Identifier: MIT */
/* config.h -- the options of CONFIG, one row each (options.c). */
#ifndef KV_CONFIG_H
#define KV_CONFIG_H

#include "worker/kv/server/records.h"

#define KV_OPTION_TEXT_MAX 1024

struct kv_option;

/* How the values of an option are read and shown. Whatever they are, they can
 * be told by a number or by a text: a kind with no `read` is of texts. */
struct kv_option_kind {
	/* NULL: this is the value. Else what is wrong with the text. */
	const char *(*read)(const struct kv_option *option,
		struct rf_bytes text, int64_t *value);
	void (*show)(const struct kv_option *option, int64_t value,
		char to[KV_OPTION_TEXT_MAX]);
	/* Into the text that CONFIG GET would show; NULL: as it stands. */
	void (*from_ini)(const char *setting, char to[KV_OPTION_TEXT_MAX]);
	/* Why the ini alone decides; NULL: in redis's words. */
	const char *refusal;
};

enum kv_option_place {
	KV_OF_SETTINGS, /* a field of kv_settings */
	KV_OF_INI,	/* not to be changed here */
	KV_KEPT,	/* remembered, and has no effect */
	KV_HIDDEN,	/* the same, shown when asked for by its name */
	KV_PASSWORD,
};

struct kv_option {
	const char *name;
	const struct kv_option_kind *kind;
	enum kv_option_place place;
	uint16_t field; /* offset in kv_settings */
	int64_t min, max;
	const char *standard;	  /* where nobody says anything else */
	const char *ini;	  /* the key in the ini that does, or NULL */
	const char *const *words; /* of a choice */
};

extern const struct kv_option kv_options[];
extern const size_t kv_option_count;

const struct kv_option *kv_option_find(struct rf_bytes name);
/* What CONFIG GET shows. */
void kv_option_show(
	const struct kv_option *option, char to[KV_OPTION_TEXT_MAX]);
/* NULL, or why it cannot become this. */
const char *kv_option_flaw(
	const struct kv_option *option, struct rf_bytes text);
/* Make it this, which has no flaw. */
void kv_option_set(const struct kv_option *option, struct rf_bytes text);

#endif
