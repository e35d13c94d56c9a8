/* SPDX-License-Identifier: MIT */
/* conf_text.c -- the syntax of values that stay text. */
#include "conf/conf_text.h"

#include "conf/conf.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <grp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define DIGITS "0123456789"
#define LETTERS                                                                \
	"abcdefghijklmnopqrstuvwxyz"                                           \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZ"

#define HOST_BYTES_MAX 253 /* of a DNS name */

static bool only(const char *text, const char *allowed)
{
	return text[strspn(text, allowed)] == '\0';
}

const char *conf_text_plain(const char *text)
{
	for (const char *c = text; *c; c++) {
		if (iscntrl((unsigned char)*c) && *c != '\t')
			return "holds a control character";
		if ((*c == ';' || *c == '#') &&
			(c == text || isblank((unsigned char)c[-1])))
			return "has a word that begins with `;` or `#`; a "
			       "comment stands on a line of its own";
	}
	return NULL;
}

const char *conf_text_name(const char *text)
{
	if (!only(text, LETTERS DIGITS "_.-"))
		return "holds more than letters, digits, `_`, `.` and `-`";
	if (text[0] == '.')
		return "begins with a dot";
	return NULL;
}

const char *conf_text_absolute(const char *text)
{
	return text[0] == '/' ? NULL : "is not an absolute path";
}

const char *conf_text_file(const char *text)
{
	return text[0] == '\0' ? NULL : conf_text_absolute(text);
}

const char *conf_text_key(const char *text)
{
	size_t digits;

	if (!strcmp(text, "auto"))
		return NULL;
	digits = strncmp(text, "0x", 2) ? 0 : strlen(text + 2);
	if (digits < 1 || digits > 8 || !only(text + 2, DIGITS "abcdefABCDEF"))
		return "is neither auto nor 0x and up to 8 digits";
	return strtoul(text, NULL, 16) ? NULL : "is the key of no one's memory";
}

const char *conf_text_events(const char *text)
{
	return only(text, "KEg$lshzxetdmnA")
		       ? NULL
		       : "holds more than the letters KEg$lshzxetdmnA";
}

static const char *unix_flaw(const char *path)
{
	if (path[0] != '/')
		return "needs an absolute path after `unix:`";
	if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return "has a path of more than 107 bytes, too long for a "
		       "unix socket";
	return NULL;
}

static const char *port_flaw(const char *port)
{
	int number = only(port, DIGITS) && strlen(port) <= 5 ? atoi(port) : 0;

	return number >= 1 && number <= 65535 ? NULL
					      : "needs a port of 1 .. 65535";
}

static const char *host_flaw(char *host, bool brackets)
{
	unsigned char address[sizeof(struct in6_addr)];

	if (brackets) {
		host[strcspn(host, "%")] = '\0'; /* fe80::1%eth0 */
		return inet_pton(AF_INET6, host, address) == 1
			       ? NULL
			       : "has no IPv6 address in its brackets";
	}
	if (host[0] == '\0')
		return "needs a host before the port, such as 127.0.0.1, or "
		       "0.0.0.0 for all";
	if (strchr(host, ':'))
		return "has more than one `:`; an IPv6 address needs "
		       "brackets: [::1]:6380";
	if (!only(host, LETTERS DIGITS "_.-"))
		return "is not host:port, [v6]:port, unix:/path or "
		       "systemd:NAME";
	if (only(host, DIGITS ".") && inet_pton(AF_INET, host, address) != 1)
		return "has no valid IPv4 address";
	return NULL;
}

/* As systemd's FileDescriptorName=. */
static const char *given_flaw(const char *name)
{
	if (!*name)
		return "needs the FileDescriptorName= of a socket unit";
	for (const char *at = name; *at; at++)
		if (*at <= ' ' || *at > '~' || *at == ':')
			return "holds what a FileDescriptorName= cannot";
	return strlen(name) > 255 ? "has too long a name" : NULL;
}

const char *conf_text_mode(const char *text)
{
	if (text[strspn(text, "01234567")])
		return "is not an octal mode as 0660";
	return conf_mode(text) > 0777 ? "sets more than who may connect" : NULL;
}

mode_t conf_mode(const char *text)
{
	return (mode_t)strtoul(text, NULL, 8);
}

const char *conf_text_listen(const char *text)
{
	const char *colon = strrchr(text, ':');
	size_t length = colon ? (size_t)(colon - text) : 0;
	bool brackets = length >= 2 && text[0] == '[' && colon[-1] == ']';
	char host[HOST_BYTES_MAX + 1];
	const char *flaw;

	if (text[strcspn(text, " \t")])
		return "holds a blank; write one address on each line";
	if (!strncmp(text, "unix:", 5))
		return unix_flaw(text + 5);
	if (!strncmp(text, "systemd:", 8))
		return given_flaw(text + 8);
	if (!colon)
		return "is not host:port, [v6]:port, unix:/path or "
		       "systemd:NAME";
	if (length >= sizeof(host))
		return "has too long a host";

	snprintf(host, sizeof(host), "%.*s", (int)length - (brackets ? 2 : 0),
		text + (brackets ? 1 : 0));
	flaw = host_flaw(host, brackets);
	return flaw ? flaw : port_flaw(colon + 1);
}

bool conf_group(const char *text, gid_t *gid)
{
	const struct group *group;

	if (*text && only(text, DIGITS) && strlen(text) < 10) {
		*gid = (gid_t)strtoul(text, NULL, 10);
		return true;
	}
	group = getgrnam(text);
	if (group)
		*gid = group->gr_gid;
	return group != NULL;
}

const char *conf_text_group(const char *text)
{
	gid_t gid;

	return *text == '\0' || conf_group(text, &gid)
		       ? NULL
		       : "is no group of this machine";
}

/* ---- directories of the service manager ---- */

/* Where a path begins. */
static const char *path_in(const char *text)
{
	return strncmp(text, "unix:", 5) ? text : text + 5;
}

/* The words of its unit files; the directory is the first of a list. */
static const struct place {
	char letter;
	const char *variable;
	const char *set_by;
} places[] = {
	{'d', "CREDENTIALS_DIRECTORY",
		"LoadCredential= or SetCredential= of the unit"},
	{'t', "RUNTIME_DIRECTORY", "RuntimeDirectory= of the unit"},
	{'S', "STATE_DIRECTORY", "StateDirectory= of the unit"},
};

static const struct place *place_of(const char *path)
{
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		if (path[1] == places[i].letter &&
			(path[2] == '/' || path[2] == '\0'))
			return &places[i];
	return NULL;
}

bool conf_text_expand(const char *text, char expanded[CONF_EXPANDED_BYTES],
	char *why, size_t why_bytes)
{
	const char *path = path_in(text), *dir;
	const struct place *place;
	int lead = (int)(path - text);

	if (path[0] != '%' || path[1] == '%') {
		snprintf(expanded, CONF_EXPANDED_BYTES, "%.*s%s", lead, text,
			path + (path[0] == '%'));
		return true;
	}
	place = place_of(path);
	if (!place) {
		snprintf(why, why_bytes,
			"begins with a %%: %%d/, %%t/ and %%S/ are known, and "
			"%%%% for the sign itself");
		return false;
	}
	dir = getenv(place->variable);
	if (!dir || dir[0] != '/') {
		snprintf(why, why_bytes, "needs $%s, which %s sets: it is %s",
			place->variable, place->set_by,
			dir ? "no path"
			    : "not there; it comes when the unit starts "
			      "anew, and by hand from you");
		return false;
	}
	snprintf(expanded, CONF_EXPANDED_BYTES, "%.*s%.*s%s", lead, text,
		(int)strcspn(dir, ":"), dir, path + 2);
	return true;
}

void conf_text_escape(const char *text, char *escaped, size_t bytes)
{
	const char *path = path_in(text);

	snprintf(escaped, bytes, "%.*s%s%s", (int)(path - text), text,
		path[0] == '%' ? "%" : "", path);
}
