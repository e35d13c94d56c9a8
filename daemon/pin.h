/* SPDX-License-Identifier: MIT */
/* pin.h -- a copy of a file that nobody can change. See pin.c. */
#ifndef PIN_H
#define PIN_H

#include <stdint.h>

#define PIN_BYTES_MAX ((int64_t)1 << 30)

/* What the file was when it was copied. */
struct pin {
	int fd; /* of the copy; the caller's to close */
	int64_t bytes;
	int64_t changed_at_ms; /* Unix time: its mtime */
};

/* Copy a regular file into sealed memory that shows as `name` in
 * /proc/PID/maps. 0, or -errno and nothing is left: -EINVAL not a regular file,
 * -EFBIG larger than PIN_BYTES_MAX, -EPERM (a system that forbids executable
 * memory without a file: vm.memfd_noexec = 2). */
int pin_file(const char *path, const char *name, struct pin *pin);

#endif
