/* SPDX-License-Identifier: MIT */
/* rights.c -- what is left of root's powers. */
#include "rights.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

int rights_keep(uint64_t capabilities)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct half[2];
	uint32_t more = 0; /* than is to be kept */

	if (syscall(SYS_capget, &header, half))
		return -errno;
	for (int i = 0; i < 2; i++) {
		uint32_t keep = (uint32_t)(capabilities >> (32 * i));

		more |= (half[i].permitted & ~keep) | half[i].inheritable;
		half[i].permitted &= keep;
		half[i].effective &= keep;
		half[i].inheritable = 0;
	}
	/* Where there is nothing to give up, the call may be forbidden. */
	return more && syscall(SYS_capset, &header, half) ? -errno : 0;
}
