/* SPDX-License-Identifier: MIT */
/* reload.c -- a configuration read again.
 *
 * What the supervisor looks at each time it needs it changes at once; the
 * table of conf_keys.c says which keys these are.
 */
#include "reload.h"

#include "conf/conf_value.h"

#include <refork/log.h>
#include <stdlib.h>
#include <string.h>

/* Also right for lists: their texts are compared joined. */
static bool same(const struct conf *a, const struct conf *b, const char *name)
{
	char *of_a = strdup(conf_get(a, name));
	bool equal = of_a && !strcmp(of_a, conf_get(b, name));

	free(of_a);
	return equal;
}

static void take(struct service *s, const struct conf_key *key,
	const char *name, const struct conf *fresh)
{
	char why[160];
	const char *text = conf_get(fresh, name);

	if (key->applied != CONF_APPLIED_RELOAD)
		rf_log(RF_LOG_WARNING,
			"reload: %s is now %s in the configuration; takes "
			"effect at restart",
			name, text);
	else if (conf_value_set(key, s->conf, text, why, sizeof(why)))
		rf_log(RF_LOG_NOTICE, "reload: %s is now %s", name, text);
	else
		rf_log(RF_LOG_ERROR, "reload: %s: %s", name, why);
}

static void log_lines(char *text)
{
	char *rest;

	for (char *line = strtok_r(text, "\n", &rest); line;
		line = strtok_r(NULL, "\n", &rest))
		rf_log(RF_LOG_ERROR, "reload: %s", line);
}

/* The problems go to the log, whoever asked. */
static int load(const struct options *options, struct conf *fresh)
{
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);
	int problems;

	if (!out)
		return -1;
	problems = options_load(options, fresh, out);
	fclose(out);
	log_lines(text);
	free(text);
	return problems;
}

void reload(struct service *s)
{
	struct conf *fresh = calloc(1, sizeof(*fresh));
	char name[64];

	if (!fresh || load(s->options, fresh)) {
		rf_log(RF_LOG_ERROR,
			"reload: the configuration in effect stays");
		free(fresh);
		return;
	}
	for (int i = 0; i < conf_key_count; i++) {
		snprintf(name, sizeof(name), "%s.%s", conf_keys[i].section,
			conf_keys[i].name);
		if (!same(s->conf, fresh, name))
			take(s, &conf_keys[i], name, fresh);
	}
	rf_log_set_level((enum rf_log_level)s->conf->log.level);
	rf_log(RF_LOG_NOTICE, "reload: done");
	free(fresh);
}
