/* SPDX-License-Identifier: MIT */
/* conf_print.c -- the configuration as text again. */
#include "conf/conf.h"

#include "conf/conf_keys.h"
#include "conf/conf_text.h"
#include "conf/conf_value.h"

#include <string.h>

const char *conf_get(const struct conf *conf, const char *section_key)
{
	static char joined[CONF_LISTEN_MAX * (CONF_TEXT_MAX + 1)];
	int index = conf_key_find_dotted(section_key);
	char text[CONF_TEXT_MAX + 1];
	size_t used = 0;

	if (index < 0)
		return NULL;
	joined[0] = '\0';
	for (int i = 0; i < conf_value_count(&conf_keys[index], conf); i++) {
		conf_value_text(&conf_keys[index], conf, i, text);
		used += (size_t)snprintf(joined + used, sizeof(joined) - used,
			"%s%s", i ? " " : "", text);
	}
	return joined;
}

/* As the ini takes it. */
static void put_value(const struct conf_key *key, const struct conf *conf,
	int index, char text[CONF_STANDARD_BYTES])
{
	char plain[CONF_TEXT_MAX + 1];

	conf_value_text(key, conf, index, text);
	if (!key->path)
		return;
	memcpy(plain, text, sizeof(plain));
	conf_text_escape(plain, text, CONF_STANDARD_BYTES);
}

void conf_print(const struct conf *conf, FILE *out)
{
	char text[CONF_STANDARD_BYTES];
	const char *section = "";

	fprintf(out, "# Above each value: its default and when a change "
		     "takes effect.\n");
	for (int i = 0; i < conf_key_count; i++) {
		const struct conf_key *key = &conf_keys[i];

		if (strcmp(section, key->section))
			fprintf(out, "\n[%s]", key->section);
		section = key->section;
		conf_key_standard(key, text);
		fprintf(out, "\n# %s\n# default: %s; applied: %s\n", key->help,
			text[0] ? text : "empty",
			conf_applied_names[key->applied]);
		for (int n = 0; n < conf_value_count(key, conf); n++) {
			put_value(key, conf, n, text);
			fprintf(out, "%s =%s%s\n", key->name,
				text[0] ? " " : "", text);
		}
	}
}
