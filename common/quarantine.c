/* SPDX-License-Identifier: MIT */
/* quarantine.c -- writes and reads the files of quarantined requests.
 *
 * A file is written under another name, brought to the disk and then renamed:
 * under its own name it is whole. Reading believes nothing all the same, since
 * anybody may have put a file there: each line must be the one that the table
 * says, and the length must be the file's.
 */
#include "quarantine.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_LINE	 "refork-quarantine 1\n"
#define NEW_NAME	 "new"
#define HEADER_BYTES_MAX 1024
#define DIGITS_MAX	 20
#define RUNNING_SUFFIX	 ".running"

/* The lines of the header. room 0: a number of 64 bits. */
static const struct line {
	const char *key;
	size_t off;
	size_t room;
} lines[] = {
#define NUMBER(key, field)                                                     \
	{                                                                      \
		key, offsetof(struct rf_quarantined, field), 0                 \
	}
#define TEXT(key, field)                                                       \
	{                                                                      \
		key, offsetof(struct rf_quarantined, field),                   \
			sizeof((struct rf_quarantined *)0)->field              \
	}
	NUMBER("id", id),
	NUMBER("time", at_ms),
	TEXT("service", service),
	TEXT("worker", worker),
	NUMBER("generation", generation),
	NUMBER("attempts", attempts),
	TEXT("peer", peer),
	NUMBER("conn", conn_id),
	NUMBER("channel", channel_epoch),
	NUMBER("position", position),
	NUMBER("bytes", bytes),
	NUMBER("context", context),
};
#define LINE_COUNT (sizeof lines / sizeof *lines)
/* The last one may be missing: older versions did not write it. */
#define LINES_NEEDED (LINE_COUNT - 1)

const char *rf_quarantine_name(
	uint64_t id, bool running, char name[RF_QUARANTINE_NAME_BYTES])
{
	snprintf(name, RF_QUARANTINE_NAME_BYTES, "%llu%s",
		(unsigned long long)id, running ? RUNNING_SUFFIX : "");
	return name;
}

/* ---- the directory ---- */

/* Each of the directories that end at these offsets of the path. */
static int make_dirs(char *path, const size_t ends[3])
{
	for (size_t i = 0; i < 3; i++) {
		char behind = path[ends[i]];
		int failed;

		path[ends[i]] = '\0';
		failed = mkdir(path, i == 0 ? 0755 : 0700);
		path[ends[i]] = behind;
		if (failed && errno != EEXIST)
			return -errno;
	}
	return 0;
}

int rf_quarantine_dir(const char *state_dir, const char *service, bool make,
	char path[RF_QUARANTINE_PATH_BYTES])
{
	char at[RF_QUARANTINE_PATH_BYTES];
	size_t bytes = (size_t)snprintf(
		at, sizeof at, "%s/%s/quarantine", state_dir, service);
	const size_t ends[] = {strlen(state_dir),
		strlen(state_dir) + 1 + strlen(service), bytes};
	int fd, error;

	if (bytes >= sizeof at)
		return -ENAMETOOLONG;
	error = make ? make_dirs(at, ends) : 0;
	if (error != 0)
		return error;
	if (path != NULL)
		memcpy(path, at, sizeof at);
	fd = open(at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* A number as this file writes it: no sign, no zeros in front. */
static bool parse_number(const char *from, size_t bytes, uint64_t *out)
{
	uint64_t number = 0;

	if (bytes == 0 || bytes > DIGITS_MAX || (from[0] == '0' && bytes > 1))
		return false;
	for (size_t i = 0; i < bytes; i++) {
		unsigned digit = (unsigned)(from[i] - '0');

		if (digit > 9 || number > (UINT64_MAX - digit) / 10)
			return false;
		number = number * 10 + digit;
	}
	*out = number;
	return true;
}

static bool parse_name(const char *name, struct rf_quarantine_entry *out)
{
	size_t digits = strspn(name, "0123456789");

	out->running = strcmp(name + digits, RUNNING_SUFFIX) == 0;
	return (out->running || name[digits] == '\0') &&
	       parse_number(name, digits, &out->id) && out->id != 0;
}

static int by_id(const void *a, const void *b)
{
	const struct rf_quarantine_entry *one = a, *two = b;

	return one->id < two->id ? -1 : one->id > two->id;
}

static int gather(DIR *dir, struct rf_quarantine_entry **entries)
{
	struct rf_quarantine_entry entry, *grown;
	struct dirent *found;
	size_t count = 0, room = 0;

	while ((found = readdir(dir)) != NULL) {
		if (!parse_name(found->d_name, &entry))
			continue;
		if (count == room) {
			room = room * 2 + 16;
			grown = realloc(*entries, room * sizeof *grown);
			if (grown == NULL)
				return -ENOMEM;
			*entries = grown;
		}
		(*entries)[count++] = entry;
	}
	if (count > 0)
		qsort(*entries, count, sizeof entry, by_id);
	return (int)count;
}

int rf_quarantine_list(int dir, struct rf_quarantine_entry **entries)
{
	int count, fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *open = fd < 0 ? NULL : fdopendir(fd);

	*entries = NULL;
	if (open == NULL) {
		count = -errno;
		if (fd >= 0)
			close(fd);
		return count;
	}
	count = gather(open, entries);
	closedir(open);
	if (count < 0) {
		free(*entries);
		*entries = NULL;
	}
	return count;
}

void rf_quarantine_trim(int dir, uint64_t keep)
{
	char name[RF_QUARANTINE_NAME_BYTES];
	struct rf_quarantine_entry *entries;
	int count = rf_quarantine_list(dir, &entries);

	for (int i = 0; i < count && (uint64_t)(count - i) > keep; i++)
		unlinkat(dir,
			rf_quarantine_name(
				entries[i].id, entries[i].running, name),
			0);
	free(entries);
}

/* ---- writing ---- */

/* One line, whatever stands in the text. */
static void put_text(FILE *out, const char *text, size_t room)
{
	for (size_t i = 0; i < room && text[i] != '\0'; i++)
		putc(text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?', out);
}

static void put_header(FILE *out, const struct rf_quarantined *what)
{
	fputs(FIRST_LINE, out);
	for (size_t i = 0; i < LINE_COUNT; i++) {
		const char *field = (const char *)what + lines[i].off;
		uint64_t number;

		fprintf(out, "%s: ", lines[i].key);
		if (lines[i].room != 0) {
			put_text(out, field, lines[i].room);
		} else {
			memcpy(&number, field, sizeof number);
			fprintf(out, "%llu", (unsigned long long)number);
		}
		putc('\n', out);
	}
	putc('\n', out);
}

static int write_all(int fd, const char *from, size_t bytes)
{
	while (bytes > 0) {
		ssize_t wrote = write(fd, from, bytes);

		if (wrote < 0 && errno != EINTR)
			return -errno;
		if (wrote > 0) {
			from += wrote;
			bytes -= (size_t)wrote;
		}
	}
	return 0;
}

static int fill(int fd, const struct rf_quarantined *what, const void *payload)
{
	char header[HEADER_BYTES_MAX];
	FILE *out = fmemopen(header, sizeof header, "w");
	int error;
	long bytes;

	if (out == NULL)
		return -errno;
	put_header(out, what);
	bytes = ftell(out);
	error = ferror(out) || bytes >= HEADER_BYTES_MAX ? -EMSGSIZE : 0;
	fclose(out);
	if (error == 0)
		error = write_all(fd, header, (size_t)bytes);
	if (error == 0)
		error = write_all(fd, payload, what->bytes);
	if (error == 0 && fsync(fd) != 0)
		error = -errno;
	return error;
}

int rf_quarantine_write(
	int dir, const struct rf_quarantined *what, const void *payload)
{
	char name[RF_QUARANTINE_NAME_BYTES];
	int error, fd;

	/* What a death has left of an earlier one; another's link, perhaps. */
	unlinkat(dir, NEW_NAME, 0);
	fd = openat(
		dir, NEW_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	error = fill(fd, what, payload);
	if (close(fd) != 0 && error == 0)
		error = -errno;
	rf_quarantine_name(what->id, false, name);
	if (error == 0 && renameat(dir, NEW_NAME, dir, name) != 0)
		error = -errno;
	if (error != 0)
		unlinkat(dir, NEW_NAME, 0);
	else
		fsync(dir);
	return error;
}

/* ---- reading ---- */

static bool take_text(char *field, size_t room, const char *value, size_t bytes)
{
	if (bytes >= room)
		return false;
	for (size_t i = 0; i < bytes; i++)
		if (value[i] < ' ' || value[i] == 0x7f)
			return false;
	memcpy(field, value, bytes);
	field[bytes] = '\0';
	return true;
}

/* What follows the line at `at`; NULL: it is not this line. */
static const char *take_line(const struct line *line, const char *at,
	const char *end, struct rf_quarantined *out)
{
	const char *newline = memchr(at, '\n', (size_t)(end - at));
	size_t key = strlen(line->key);
	char *field = (char *)out + line->off;
	size_t bytes;
	uint64_t number;

	if (newline == NULL || (size_t)(newline - at) < key + 2 ||
		memcmp(at, line->key, key) != 0 ||
		memcmp(at + key, ": ", 2) != 0)
		return NULL;
	at += key + 2;
	bytes = (size_t)(newline - at);
	if (line->room != 0)
		return take_text(field, line->room, at, bytes) ? newline + 1
							       : NULL;
	if (!parse_number(at, bytes, &number))
		return NULL;
	memcpy(field, &number, sizeof number);
	return newline + 1;
}

/* The length of the header, or -EBADMSG. */
static int parse_header(
	const char *header, size_t bytes, struct rf_quarantined *out)
{
	const char *at = header, *end = header + bytes;
	size_t first = sizeof FIRST_LINE - 1;

	if (bytes < first || memcmp(at, FIRST_LINE, first) != 0)
		return -EBADMSG;
	at += first;
	for (size_t i = 0; i < LINE_COUNT; i++) {
		const char *next = take_line(&lines[i], at, end, out);

		if (next == NULL && i < LINES_NEEDED)
			return -EBADMSG;
		at = next != NULL ? next : at;
	}
	if (at == end || *at != '\n')
		return -EBADMSG;
	return (int)(at + 1 - header);
}

static int read_header(int fd, uint64_t id, struct rf_quarantined *out)
{
	char header[HEADER_BYTES_MAX];
	struct rf_quarantined found = {0};
	ssize_t bytes = pread(fd, header, sizeof header, 0);
	struct stat st;
	int length;

	if (bytes < 0 || fstat(fd, &st) != 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADMSG;
	length = parse_header(header, (size_t)bytes, &found);
	if (length < 0)
		return length;
	if (found.id != id || found.bytes != (uint64_t)(st.st_size - length))
		return -EBADMSG;
	if (lseek(fd, length, SEEK_SET) < 0)
		return -errno;
	*out = found;
	return 0;
}

int rf_quarantine_open(
	int dir, uint64_t id, bool running, struct rf_quarantined *out)
{
	char name[RF_QUARANTINE_NAME_BYTES];
	int error;
	/* Non-blocking: it may be a pipe. */
	int fd = openat(dir, rf_quarantine_name(id, running, name),
		O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return errno == ELOOP ? -EBADMSG : -errno;
	error = read_header(fd, id, out);
	if (error == 0)
		return fd;
	close(fd);
	/* What cannot be read at an offset is no file of ours. */
	return error == -ESPIPE || error == -EISDIR ? -EBADMSG : error;
}

int rf_quarantine_read(int fd, void *payload, size_t bytes)
{
	char *to = payload;

	while (bytes > 0) {
		ssize_t got = read(fd, to, bytes);

		if (got < 0 && errno != EINTR)
			return -errno;
		if (got == 0)
			return -EBADMSG;
		if (got > 0) {
			to += got;
			bytes -= (size_t)got;
		}
	}
	return 0;
}
