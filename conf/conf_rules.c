/* SPDX-License-Identifier: MIT */
/* conf_rules.c -- what keys demand of each other. */
#include "conf/conf_rules.h"

#include <string.h>

#define HUGE_BYTES ((uint64_t)2 << 20)

static bool is_larger(const struct conf *c)
{
	return c->arena.size_bytes > c->arena.max_bytes;
}

static bool delay_is_larger(const struct conf *c)
{
	return c->restart.delay_ms > c->restart.delay_max_ms;
}

static bool maxmemory_is_larger(const struct conf *c)
{
	return c->kv.maxmemory_bytes > c->arena.max_bytes;
}

/* System V memory keeps the size that it was made with. */
static bool is_fixed(const struct conf *c)
{
	return c->arena.backend == CONF_BACKEND_SYSV;
}

static bool would_grow(const struct conf *c)
{
	return is_fixed(c) && c->arena.size_bytes < c->arena.max_bytes;
}

/* The pool of huge pages is not where /dev/shm and disks take theirs from. */
static bool has_no_pool(const struct conf *c)
{
	return c->arena.huge_pages == CONF_HUGE_REQUIRE &&
	       (c->arena.backend == CONF_BACKEND_POSIX ||
		       c->arena.backend == CONF_BACKEND_FILE);
}

static bool is_uneven(const struct conf *c)
{
	return c->arena.huge_pages == CONF_HUGE_REQUIRE &&
	       c->arena.max_bytes % HUGE_BYTES;
}

const struct conf_rule conf_rules[] = {
	{{"arena.size", "arena.max"}, is_larger,
		"arena.size (%s) is larger than arena.max (%s)"},
	{{"arena.size", "arena.max"}, would_grow,
		"arena.size (%s) is smaller than arena.max (%s): memory of "
		"arena.backend = sysv cannot grow; leave arena.max out, or "
		"set both alike"},
	{{"arena.huge_pages", "arena.backend"}, has_no_pool,
		"arena.huge_pages = %s with arena.backend = %s: only memfd "
		"and sysv take memory out of the pool of huge pages; choose "
		"one of them, or huge_pages = advise"},
	{{"arena.huge_pages", "arena.max"}, is_uneven,
		"arena.huge_pages = %s with arena.max = %s: that is no "
		"multiple of 2M"},
	{{"restart.delay", "restart.delay_max"}, delay_is_larger,
		"restart.delay (%s) is larger than restart.delay_max (%s)"},
	{{"kv.maxmemory", "arena.max"}, maxmemory_is_larger,
		"kv.maxmemory (%s) is larger than arena.max (%s)"},
};
const int conf_rule_count = sizeof(conf_rules) / sizeof(*conf_rules);

const char *conf_rule_follows(const struct conf *c, const char *section_key)
{
	if (!is_fixed(c))
		return NULL;
	if (!strcmp(section_key, "arena.size"))
		return c->arena.max_bytes ? "arena.max" : NULL;
	return !strcmp(section_key, "arena.max") ? "arena.size" : NULL;
}
