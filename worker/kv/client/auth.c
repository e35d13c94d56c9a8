/* SPDX-License-Identifier: MIT */
/* auth.c -- the password of the one user, "default".
 *
 * It is the first line of kv.requirepass_file, read once, before the first
 * fork: each process is born with it, whatever becomes of the file. When CONFIG
 * SET gives another one, that stands in the arena and counts from then on.
 */
#include "worker/kv/client/clients.h"
#include <errno.h>
#include <fcntl.h>
#include <refork/log.h>
#include <unistd.h>

#define PASSWORD_BYTES_MAX 512

static struct {
	char text[PASSWORD_BYTES_MAX +
		  2]; /* a line, and whether it is longer */
	size_t bytes;
} from_file;

bool kv_auth_has_password;

struct rf_bytes kv_auth_password(void)
{
	if (kv_clients->password_is_set)
		return (struct rf_bytes){
			kv_clients->password, kv_clients->password_bytes};
	return (struct rf_bytes){from_file.text, from_file.bytes};
}

/* The first line of the file. 0 or -errno. */
static int read_first_line(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t bytes;
	int error = 0;

	if (fd < 0)
		return -errno;
	bytes = read(fd, from_file.text, sizeof from_file.text);
	if (bytes < 0)
		error = -errno;
	close(fd);
	if (error != 0)
		return error;
	from_file.bytes = 0;
	while (from_file.bytes < (size_t)bytes &&
		from_file.text[from_file.bytes] != '\n')
		from_file.bytes++;
	if (from_file.bytes > 0 && from_file.text[from_file.bytes - 1] == '\r')
		from_file.bytes--;
	if (from_file.bytes > PASSWORD_BYTES_MAX)
		return -EFBIG;
	return from_file.bytes > 0 ? 0 : -ENODATA;
}

int kv_auth_build(void)
{
	const char *path = kv_env->setting("kv.requirepass_file");
	int error = 0;

	from_file.bytes = 0;
	if (path != NULL && path[0] != '\0')
		error = read_first_line(path);
	if (error != 0)
		rf_log(RF_LOG_ERROR,
			"kv: read a password from %s (kv.requirepass_file): "
			"%s; not serving without one",
			path,
			error == -ENODATA ? "is empty" : strerror(-error));
	return error;
}

void kv_auth_start(void)
{
	kv_auth_has_password = kv_auth_password().bytes > 0;
}

/* Who is connected while there is no password has no need to give one. */
static void admit_connected(void)
{
	for (struct rf_conn *conn = rf_conn_next(NULL); conn != NULL;
		conn = rf_conn_next(conn))
		kv_state_add(conn, KV_STATE_AUTH);
}

void kv_auth_set_password(struct rf_bytes password)
{
	char *block = NULL;

	if (password.bytes > 0) {
		block = rf_alloc_uninit(password.bytes);
		if (block == NULL)
			return;
		memcpy(block, password.at, password.bytes);
	}
	if (kv_auth_password().bytes == 0)
		admit_connected();
	rf_free(kv_clients->password);
	RF_SET(kv_clients->password, block);
	RF_SET(kv_clients->password_bytes, password.bytes);
	RF_SET(kv_clients->password_is_set, 1);
	/* Should the transaction fail: the long way looks again. */
	kv_auth_has_password = true;
}

/* How long it takes tells nothing but the length of what was given. */
static bool same_secret(struct rf_bytes given, struct rf_bytes secret)
{
	size_t differ = given.bytes ^ secret.bytes;

	for (size_t i = 0; i < given.bytes; i++)
		differ |=
			(uint8_t)(given.at[i] ^
				  secret.at[secret.bytes > 0 ? i % secret.bytes
							     : 0]);
	return differ == 0;
}

bool kv_auth_check(struct rf_bytes user, struct rf_bytes password)
{
	struct rf_bytes secret = kv_auth_password();

	if (!kv_same(user, (struct rf_bytes){"default", 7}))
		return false;
	return secret.bytes == 0 || same_secret(password, secret);
}

void kv_cmd_auth(struct kv_call *call)
{
	struct rf_bytes user = {"default", 7};

	if (call->argc > 3) {
		kv_reply_syntax(call);
		return;
	}
	if (call->argc == 2 && kv_auth_password().bytes == 0) {
		rf_resp_error(call->reply,
			"ERR AUTH <password> called without any password "
			"configured for the default user. Are you sure your "
			"configuration is correct?");
		return;
	}
	if (call->argc == 3)
		user = call->argv[1];
	if (!kv_auth_check(user, call->argv[call->argc - 1])) {
		rf_resp_error(call->reply, KV_ERR_WRONGPASS);
		return;
	}
	kv_state_add(call->conn, KV_STATE_AUTH);
	kv_reply_ok(call);
}
