/* SPDX-License-Identifier: MIT */
/* bank.h -- accounts between which money only moves: their sum is constant. */
#ifndef BANK_H
#define BANK_H

#include <refork/dict.h>

#define BANK_ACCOUNTS 1000
#define BANK_EACH     1000
#define BANK_TOTAL    ((uint64_t)BANK_ACCOUNTS * BANK_EACH)

#define BANK_SLOT    "bank"
#define BANK_TYPE    "accounts"
#define BANK_VERSION 1

struct bank {
	struct rf_dict accounts; /* number as text -> money */
	uint64_t moves;
	uint64_t dies; /* 1: each tick ends in the middle of a move */
};

#endif
