/* SPDX-License-Identifier: MIT */
/* title.h -- what ps(1) shows. */
#ifndef TITLE_H
#define TITLE_H

/* Move argv and environ to the heap, so that the memory the kernel shows as
 * the command line is free to be written. First thing in main().
 *
 * argv     replaced by the copy
 * Returns  0 or -ENOMEM (titles then stay as they are) */
int title_init(int argc, char ***argv);

/* "refork: SERVICE ROLE" */
void title_set(const char *service, const char *role);

#endif
