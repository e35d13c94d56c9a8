/* SPDX-License-Identifier: MIT */
/* conf_rules.h -- what keys demand of each other. */
#ifndef CONF_RULES_H
#define CONF_RULES_H

#include "conf/conf.h"

#define CONF_RULE_KEYS 2

struct conf_rule {
	/* "section.key": it is told at the one that was set last. */
	const char *keys[CONF_RULE_KEYS];
	bool (*broken)(const struct conf *conf);
	/* A sentence with a %s for the value of each key. */
	const char *text;
};

extern const struct conf_rule conf_rules[];
extern const int conf_rule_count;

/* The key whose value is this one's default with what is set already, such as
 * "arena.size"; NULL: it has a default of its own. */
const char *conf_rule_follows(const struct conf *conf, const char *section_key);

#endif
