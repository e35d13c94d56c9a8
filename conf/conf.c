/* SPDX-License-Identifier: MIT */
/* conf.c -- the file, then the command line, then defaults for the rest.
 *
 * Every value comes through take(), whatever its source, and each key keeps
 * the place its value came from: a second value on another line, or two keys
 * that contradict each other, are reported where the operator can mend them.
 * No problem ends the reading; all of them are reported in one go.
 */
#include "conf/conf.h"

#include "conf/conf_keys.h"
#include "conf/conf_nearest.h"
#include "conf/conf_rules.h"
#include "conf/conf_value.h"
#include "conf/ini_read.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>

#define WHY_BYTES     160
#define MESSAGE_BYTES (2 * INI_LINE_BYTES_MAX)

/* Where a value stands. Later sources overrule earlier ones. */
struct place {
	enum { NOWHERE, FROM_DEFAULT, FROM_FILE, FROM_OVERRIDE } source;
	int number; /* the line, or which override */
};

struct load {
	struct conf *conf;
	FILE *problems; /* NULL: they have been told */
	const char *path;
	const struct conf_override *overrides;
	int problem_count;
	struct place places[CONF_KEY_MAX]; /* of the values of conf_keys[] */
	bool bad[CONF_KEY_MAX];		   /* the last one was refused */
};

/* What an operator typed may not drive the terminal that shows it. */
static void put_printable(const char *text, FILE *out)
{
	for (; *text; text++)
		putc(iscntrl((unsigned char)*text) ? '?' : *text, out);
}

static void __attribute__((format(printf, 3, 4)))
problem(struct load *load, struct place place, const char *format, ...)
{
	FILE *out = load->problems;
	char text[MESSAGE_BYTES];
	va_list args;

	load->problem_count++;
	if (!out)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);

	if (place.source == FROM_OVERRIDE) {
		fprintf(out, "-o ");
		put_printable(load->overrides[place.number].text, out);
	} else {
		fprintf(out, "%s",
			place.source == FROM_FILE ? load->path : "default");
	}
	if (place.source == FROM_FILE && place.number > 0)
		fprintf(out, ":%d", place.number);
	fprintf(out, ": error: ");
	put_printable(text, out);
	putc('\n', out);
}

static void unknown_section(
	struct load *load, struct place place, const char *section)
{
	const char *nearest = conf_nearest_section(section);

	if (nearest)
		problem(load, place, "unknown section [%s]; did you mean [%s]?",
			section, nearest);
	else
		problem(load, place, "unknown section [%s]", section);
}

static void unknown_key(struct load *load, struct place place,
	const char *section, const char *name)
{
	const struct conf_key *nearest = conf_nearest_key(section, name);

	if (section[0] == '\0')
		problem(load, place, "`%s` stands before the first [section]",
			name);
	else if (name[0] == '\0')
		problem(load, place, "a value without a key in [%s]", section);
	else if (!nearest)
		problem(load, place, "unknown key `%s` in [%s]", name, section);
	else if (strcmp(nearest->section, section))
		problem(load, place,
			"unknown key `%s` in [%s]; it belongs to [%s]", name,
			section, nearest->section);
	else
		problem(load, place,
			"unknown key `%s` in [%s]; did you mean `%s`?", name,
			section, nearest->name);
}

/* Give key `index` a value. */
static void take(
	struct load *load, struct place place, int index, const char *text)
{
	const struct conf_key *key = &conf_keys[index];
	struct place earlier = load->places[index];
	char why[WHY_BYTES];

	if (place.source == FROM_FILE && earlier.source == FROM_FILE &&
		key->type != CONF_TYPE_LIST) {
		problem(load, place, "%s.%s is already set on line %d",
			key->section, key->name, earlier.number);
		return;
	}
	if (place.source != earlier.source)
		conf_value_clear(key, load->conf);
	load->places[index] = place;
	load->bad[index] =
		!conf_value_set(key, load->conf, text, why, sizeof(why));
	if (load->bad[index])
		problem(load, place, "%s.%s: `%s` %s", key->section, key->name,
			text, why);
}

static bool on_section(void *user, int line, const char *section)
{
	if (conf_section_exists(section))
		return true;
	unknown_section(user, (struct place){FROM_FILE, line}, section);
	return false;
}

static void on_key(void *user, int line, const char *section, const char *name,
	const char *value)
{
	struct place place = {FROM_FILE, line};
	int index = conf_key_find(section, name);

	if (index < 0)
		unknown_key(user, place, section, name);
	else
		take(user, place, index, value);
}

static void on_problem(void *user, int line, const char *what)
{
	problem(user, (struct place){FROM_FILE, line}, "%s", what);
}

static void take_file(struct load *load, FILE *in)
{
	const struct ini_sink sink = {.user = load,
		.on_section = on_section,
		.on_key = on_key,
		.on_problem = on_problem};
	int error = ini_read(in, &sink);

	if (error)
		problem(load, (struct place){FROM_FILE, 0}, "cannot read: %s",
			strerror(-error));
}

/* The text without blanks around it, as inih takes a value from a line. */
static char *trimmed(char *text)
{
	char *end = text + strlen(text);

	while (end > text && isblank((unsigned char)end[-1]))
		end--;
	*end = '\0';
	return text + strspn(text, " \t");
}

static void take_override(struct load *load, int number)
{
	struct place place = {FROM_OVERRIDE, number};
	char line[INI_LINE_BYTES_MAX + 1], *name, *value;
	const char *section;
	int index;

	if ((size_t)snprintf(line, sizeof(line), "%s",
		    load->overrides[number].text) >= sizeof(line)) {
		problem(load, place, "is longer than %d bytes",
			INI_LINE_BYTES_MAX);
		return;
	}
	value = strchr(line, '=');
	if (value)
		*value++ = '\0';
	name = strchr(line, '.');
	if (!value || !name) {
		problem(load, place, "expected section.key=value");
		return;
	}
	*name++ = '\0';
	section = trimmed(line);
	name = trimmed(name);
	index = conf_key_find(section, name);
	if (index >= 0)
		take(load, place, index, trimmed(value));
	else if (conf_section_exists(section))
		unknown_key(load, place, section, name);
	else
		unknown_section(load, place, section);
}

/* In the place of a value that was refused: other checks can go on with it. */
static void stand_in(struct load *load, int index, const char *standard)
{
	char why[WHY_BYTES];

	if (conf_value_count(&conf_keys[index], load->conf) == 0 ||
		conf_keys[index].type != CONF_TYPE_LIST)
		conf_value_set(&conf_keys[index], load->conf, standard, why,
			sizeof(why));
}

/* Of a key that no source has set. */
static void standard_of(const struct load *load, const struct conf_key *key,
	char text[CONF_STANDARD_BYTES])
{
	char dotted[CONF_TEXT_MAX];
	const char *like;

	snprintf(dotted, sizeof(dotted), "%s.%s", key->section, key->name);
	like = conf_rule_follows(load->conf, dotted);
	if (like)
		conf_value_text(&conf_keys[conf_key_find_dotted(like)],
			load->conf, 0, text);
	else
		conf_key_standard(key, text);
}

/* Last, so that a default which does not fit is a problem only when used. */
static void take_defaults(struct load *load)
{
	char text[CONF_STANDARD_BYTES];

	for (int i = 0; i < conf_key_count; i++) {
		standard_of(load, &conf_keys[i], text);
		if (load->places[i].source == NOWHERE)
			take(load, (struct place){FROM_DEFAULT, 0}, i, text);
		else if (load->bad[i])
			stand_in(load, i, text);
	}
}

/* Whether `a` overrules or stands below `b`. */
static bool is_after(struct place a, struct place b)
{
	if (a.source != b.source)
		return a.source > b.source;
	return a.number > b.number;
}

static void check_rule(struct load *load, const struct conf_rule *rule)
{
	char texts[CONF_RULE_KEYS][CONF_TEXT_MAX + 1], why[MESSAGE_BYTES];
	struct place place = {.source = NOWHERE};

	if (!rule->broken(load->conf))
		return;
	for (int i = 0; i < CONF_RULE_KEYS; i++) {
		int key = conf_key_find_dotted(rule->keys[i]);

		if (load->bad[key])
			return;
		if (is_after(load->places[key], place))
			place = load->places[key];
		conf_value_text(&conf_keys[key], load->conf, 0, texts[i]);
	}
	snprintf(why, sizeof(why), rule->text, texts[0], texts[1]);
	problem(load, place, "%s", why);
}

/* All but the defaults. */
static void take_given(struct load *load, FILE *in, int override_count)
{
	memset(load->conf, 0, sizeof(*load->conf));
	if (in)
		take_file(load, in);
	for (int i = 0; i < override_count; i++)
		take_override(load, i);
}

int conf_load_stream(struct conf *conf, FILE *in, const char *name,
	const struct conf_override *overrides, int override_count,
	FILE *problems)
{
	struct load load = {.conf = conf,
		.problems = problems,
		.path = name,
		.overrides = overrides};

	take_given(&load, in, override_count);
	take_defaults(&load);
	for (int i = 0; i < conf_rule_count; i++)
		check_rule(&load, &conf_rules[i]);
	return load.problem_count;
}

struct conf *conf_create(void)
{
	void *at = mmap(NULL, sizeof(struct conf), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

int conf_load(struct conf *conf, const char *path,
	const struct conf_override *overrides, int override_count,
	FILE *problems)
{
	FILE *in = path ? fopen(path, "re") : NULL;
	int error = errno, problem_count;

	problem_count = conf_load_stream(
		conf, in, path, overrides, override_count, problems);
	if (path && !in) {
		fprintf(problems, "%s: error: cannot open: %s\n", path,
			strerror(error));
		problem_count++;
	}
	if (in)
		fclose(in);
	return problem_count;
}

int conf_line(const char *path, const struct conf_override *overrides,
	int override_count, const char *section_key)
{
	static struct conf given;
	struct load load = {
		.conf = &given, .path = path, .overrides = overrides};
	int index = conf_key_find_dotted(section_key);
	FILE *in = path ? fopen(path, "re") : NULL;

	if (!in)
		return 0;
	take_given(&load, in, override_count);
	fclose(in);
	if (index < 0 || conf_keys[index].type == CONF_TYPE_LIST ||
		load.places[index].source != FROM_FILE)
		return 0;
	return load.places[index].number;
}
