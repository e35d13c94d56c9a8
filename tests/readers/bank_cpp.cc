// SPDX-License-Identifier: MIT
// bank_cpp.cc -- the public headers in a C++ program: a copy of a bank's
// accounts, read at leisure.
#include <refork/attach.h>
#include <refork/dict.h>
#include <refork/heap.h>
#include <refork/list.h>
#include <refork/map.h>
#include <refork/pack.h>
#include <refork/set.h>
#include <refork/sorted.h>
#include <refork/string.h>
#include <refork/timers.h>
#include <refork/history.h>

#include "../workers/bank.h"

#include <cstdio>
#include <cstring>
#include <string>

int main(int argc, char **argv)
{
	struct rf_attach *attach;
	const void *root;
	char why[512];
	uint64_t sum = 0;

	if (argc != 2)
		return 2;
	if (rf_attach(argv[1], RF_ATTACH_COPY, &attach, why, sizeof why) ||
		rf_slot_find(BANK_SLOT, BANK_TYPE, BANK_VERSION,
			sizeof(bank), &root)) {
		std::fprintf(stderr, "%s\n", why);
		return 1;
	}
	const bank *it = static_cast<const bank *>(root);
	for (int n = 0; n < BANK_ACCOUNTS; n++) {
		std::string key = std::to_string(n);
		const rf_dict_entry *entry =
			rf_dict_find(&it->accounts, key.data(), key.size());

		sum += entry ? entry->word : 0;
	}
	std::printf("%s\n", sum == BANK_TOTAL ? "balanced" : "wrong");
	rf_detach(attach);
	return 0;
}
