/* SPDX-License-Identifier: MIT */
/* worker_load.c -- find, load and judge a worker.
 *
 * struct rf_worker only ever grows at its end. An older worker is shorter: the
 * hooks that it does not have are NULL here. A newer one is longer: what stands
 * beyond our struct is not for us. What neither can bridge is an ABI number of
 * its own.
 */
#include "worker_load.h"

#include "version.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef WORKERDIR
#define WORKERDIR "/usr/lib/refork/workers"
#endif

/* A worker without `request` could not work. */
#define STRUCT_SIZE_MIN                                                        \
	(offsetof(struct rf_worker, request) +                                 \
		sizeof(((struct rf_worker *)0)->request))

int worker_accept(struct rf_worker *to, const struct rf_worker *from,
	const char *path, struct fault *fault)
{
	size_t bytes = from->struct_size;

	if (from->magic != RF_WORKER_MAGIC)
		return fault_set(fault, EX_CONFIG,
			"worker %s: its %s starts with %08x, not with %08x: "
			"it was not built against refork's worker.h",
			path, RF_WORKER_SYMBOL, from->magic, RF_WORKER_MAGIC);
	if (from->abi != RF_WORKER_ABI)
		return fault_set(fault, EX_CONFIG,
			"worker %s speaks worker ABI %u, reforkd %s speaks ABI "
			"%u: rebuild the worker against this reforkd's headers",
			path, from->abi, VERSION, RF_WORKER_ABI);
	if (bytes < STRUCT_SIZE_MIN)
		return fault_set(fault, EX_CONFIG,
			"worker %s: struct_size is %zu, the least that can "
			"work is %zu: set it to sizeof(struct rf_worker)",
			path, bytes, STRUCT_SIZE_MIN);
	memset(to, 0, sizeof(*to));
	memcpy(to, from, bytes < sizeof(*to) ? bytes : sizeof(*to));
	if (!to->name || !*to->name || !to->version)
		return fault_set(fault, EX_CONFIG,
			"worker %s: it has no name or no version", path);
	if (!to->request)
		return fault_set(fault, EX_CONFIG,
			"worker %s (%s %s): it has no `request` hook", path,
			to->name, to->version);
	return 0;
}

static int join(char *path, const char *dir, const char *name)
{
	int n = snprintf(path, PATH_MAX, "%s/%s.so", dir, name);

	return n > 0 && n < PATH_MAX ? 0 : -1;
}

/* DIR/workers, where DIR is the directory of the running program. */
static int own_worker_dir(char dir[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", dir, PATH_MAX - 1);
	char *slash;

	if (n < 0)
		return -1;
	dir[n] = 0;
	slash = strrchr(dir, '/');
	if (!slash || (size_t)(slash - dir) + sizeof("/workers") > PATH_MAX)
		return -1;
	memcpy(slash, "/workers", sizeof("/workers"));
	return 0;
}

static int find(struct worker_lib *lib, const char *name, struct fault *fault)
{
	const char *env = getenv("REFORK_WORKER_DIR");
	char own[PATH_MAX] = "";
	const char *dirs[2] = {own, WORKERDIR};

	if (strchr(name, '/')) {
		snprintf(lib->path, sizeof(lib->path), "%s", name);
		return 0;
	}
	if (own_worker_dir(own))
		dirs[0] = WORKERDIR;
	if (env && *env)
		dirs[0] = dirs[1] = env;
	for (size_t i = 0; i < 2; i++)
		if (!join(lib->path, dirs[i], name) &&
			access(lib->path, F_OK) == 0)
			return 0;
	if (dirs[0] == dirs[1])
		return fault_set(fault, EX_CONFIG,
			"worker %s: there is no %s.so in %s", name, name,
			dirs[0]);
	return fault_set(fault, EX_CONFIG,
		"worker %s: there is no %s.so in %.300s or in %s; give a path, "
		"or set REFORK_WORKER_DIR",
		name, name, dirs[0], dirs[1]);
}

int worker_load(struct worker_lib *lib, const char *name, struct fault *fault)
{
	const struct rf_worker *found;
	int rc;

	*lib = (struct worker_lib){0};
	rc = find(lib, name, fault);
	if (rc)
		return rc;
	lib->handle = dlopen(lib->path, RTLD_NOW | RTLD_LOCAL);
	if (!lib->handle)
		return fault_set(fault, EX_CONFIG, "worker %s: cannot load: %s",
			name, dlerror());
	found = dlsym(lib->handle, RF_WORKER_SYMBOL);
	if (found)
		rc = worker_accept(&lib->worker, found, lib->path, fault);
	else
		rc = fault_set(fault, EX_CONFIG,
			"worker %s: it exports no symbol %s", lib->path,
			RF_WORKER_SYMBOL);
	if (rc)
		worker_unload(lib);
	return rc;
}

void worker_unload(struct worker_lib *lib)
{
	if (lib->handle)
		dlclose(lib->handle);
	*lib = (struct worker_lib){0};
}
