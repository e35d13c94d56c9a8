/* SPDX-License-Identifier: MIT */
/* no_magic.c -- a shared object whose refork_worker is something else. */
#include <refork/worker.h>

RF_API const char refork_worker[sizeof(struct rf_worker)] = "a text";
