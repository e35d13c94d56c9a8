/* SPDX-License-Identifier: MIT */
/* conf_keys.h -- what the table of keys says about one key. */
#ifndef CONF_KEYS_H
#define CONF_KEYS_H

#include "conf/conf.h"

#define CONF_KEY_MAX 64

/* Room for a default that is too long to be one: it is refused, not cut. */
#define CONF_STANDARD_BYTES (2 * CONF_TEXT_MAX)

enum conf_type {
	CONF_TYPE_TEXT,	   /* char [CONF_TEXT_MAX + 1] */
	CONF_TYPE_SIZE,	   /* uint64_t, bytes */
	CONF_TYPE_TIME,	   /* uint64_t, milliseconds */
	CONF_TYPE_NUMBER,  /* uint64_t */
	CONF_TYPE_PERCENT, /* uint64_t */
	CONF_TYPE_BOOL,	   /* bool */
	CONF_TYPE_CHOICE,  /* int, the index into words */
	CONF_TYPE_LIST,	   /* texts, and an int that counts them */
	CONF_TYPE_COUNT
};

enum conf_applied {
	CONF_APPLIED_RESTART, /* of the daemon */
	CONF_APPLIED_UPGRADE, /* `reforkctl upgrade`, or a restart */
	CONF_APPLIED_FORK,    /* reload: children forked from then on */
	CONF_APPLIED_RELOAD,
	CONF_APPLIED_COUNT
};

struct conf_key {
	const char *section, *name;
	enum conf_type type;
	enum conf_applied applied;
	size_t offset;	      /* of the field in struct conf */
	size_t count_offset;  /* lists: of its count */
	const char *standard; /* the default */
	/* Or a default that depends on who starts it: the user, systemd. */
	void (*standard_of_user)(char text[CONF_STANDARD_BYTES]);
	uint64_t min, max;	  /* of a number; of a text's length */
	bool zero;		  /* 0 is allowed below min, too */
	const char *const *words; /* choices, the last one NULL */
	bool path;		  /* may begin with %d/: conf_text_expand() */
	/* What is wrong with a text; NULL: nothing. */
	const char *(*flaw)(const char *text);
	const char *help;
};

extern const struct conf_key conf_keys[];
extern const int conf_key_count;
extern const char *const conf_applied_names[CONF_APPLIED_COUNT];

/* The index of a key; -1: there is none. */
int conf_key_find(const char *section, const char *name);

/* The same for "section.key". */
int conf_key_find_dotted(const char *section_key);

bool conf_section_exists(const char *section);

/* The default as text. */
void conf_key_standard(
	const struct conf_key *key, char text[CONF_STANDARD_BYTES]);

#endif
