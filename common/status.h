/* SPDX-License-Identifier: MIT */
/* status.h -- what each process says of itself; one writer per struct.
 *
 * Plain aligned words, each written by one process with relaxed stores and
 * read by any: a reader sees each number whole, not all of one instant. The
 * reader trusts none of it.
 */
#ifndef RF_STATUS_H
#define RF_STATUS_H

#include <stdint.h>

struct rf_status_supervisor { /* writer: the supervisor */
	int64_t started_at_ms;
	uint64_t generation; /* of the business child last forked */
	uint64_t crashes;    /* unplanned ends of business children */
	uint64_t network_crashes;
	int32_t pid;
	int32_t network_pid;
	int32_t business_pid;
	int32_t reserved;
};

struct rf_status_network {    /* writer: the network child */
	int64_t heartbeat_ms; /* CLOCK_MONOTONIC */
	uint64_t ready;	      /* its pid, once it serves */
	uint64_t clients;
	uint64_t clients_total;
	uint64_t clients_refused;
	uint64_t closed_output_limit;
	uint64_t bytes_in;
	uint64_t bytes_out;
};

struct rf_status_business { /* writer: the business child */
	int64_t heartbeat_ms;
	uint64_t serving; /* its generation, once it serves */
	int32_t mm_holder_pid;
	int32_t reserved;
	uint64_t requests;
	uint64_t quarantined;
	uint64_t recoveries;  /* takeovers after a death */
	uint64_t rolled_back; /* takeovers that had something to undo */
	uint64_t recovery_us; /* last: main() of the child to serving */
	uint64_t arena_used_bytes;
	uint64_t arena_size_bytes;
	uint64_t arena_max_bytes;
};

struct rf_status_shm {
	_Alignas(64) struct rf_status_supervisor supervisor;
	_Alignas(64) struct rf_status_network network;
	_Alignas(64) struct rf_status_business business;
};

#define rf_status_set(field, value)                                            \
	__atomic_store_n(&(field), (value), __ATOMIC_RELAXED)
#define rf_status_get(field)	__atomic_load_n(&(field), __ATOMIC_RELAXED)
#define rf_status_add(field, n) rf_status_set(field, (field) + (n))

/* Shared, zeroed, inherited by fork. NULL with errno. */
struct rf_status_shm *rf_status_create(void);
void rf_status_destroy(struct rf_status_shm *status);

int64_t rf_now_ms(void); /* Unix time */
int64_t rf_monotonic_ms(void);
int64_t rf_monotonic_us(void);

#endif
