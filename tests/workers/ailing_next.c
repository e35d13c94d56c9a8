/* SPDX-License-Identifier: MIT */
/* ailing_next.c -- the same worker with its state one version further. */
#define AILING_STATE_VERSION 2
#include "ailing.c"
