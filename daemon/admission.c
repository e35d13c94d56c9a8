/* SPDX-License-Identifier: MIT */
/* admission.c -- who is let in: what is open to others, and the password.
 *
 * The password itself is the worker's to read and to ask for. Here it is only
 * seen whether a start would get one.
 */
#include "admission.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PASSWORD_BYTES_MAX 512 /* what the worker takes */

static bool is_local(const char *where)
{
	static const char *const local[] = {
		"unix:", "127.", "localhost:", "[::1]:"};

	for (size_t i = 0; i < sizeof(local) / sizeof(*local); i++)
		if (!strncmp(where, local[i], strlen(local[i])))
			return true;
	return false;
}

const char *admission_open_to(
	const struct conf *conf, const struct listener *open, int count)
{
	for (int i = 0; i < conf->network.listen_count; i++)
		if (!is_local(conf->network.listen[i]) &&
			!listen_is_given(conf->network.listen[i]))
			return conf->network.listen[i];
	for (int i = 0; i < count; i++)
		if (open[i].given && !is_local(open[i].name))
			return open[i].name;
	return NULL;
}

static const char *flaw_of_line(const char *text, size_t bytes)
{
	const char *end = memchr(text, '\n', bytes);
	size_t length = end ? (size_t)(end - text) : bytes;

	if (length > 0 && text[length - 1] == '\r')
		length--;
	if (length == 0)
		return bytes > 0 ? "its first line is empty" : "is empty";
	return length > PASSWORD_BYTES_MAX
		       ? "its first line is longer than 512 bytes"
		       : NULL;
}

const char *admission_password_flaw(const char *path)
{
	char text[PASSWORD_BYTES_MAX + 2];
	const char *flaw = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return strerror(errno);
	if (fstat(fd, &st))
		flaw = strerror(errno);
	/* What a pipe holds can be read once, and not by a check. */
	if (flaw || S_ISFIFO(st.st_mode))
		goto done;
	n = read(fd, text, sizeof(text));
	flaw = n < 0 ? strerror(errno) : flaw_of_line(text, (size_t)n);
done:
	close(fd);
	return flaw;
}

bool admission_password_is_shown(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && st.st_mode & S_IROTH;
}
