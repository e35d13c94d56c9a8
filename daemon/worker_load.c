/* SPDX-License-Identifier: MIT */
/* worker_load.c -- find, load and judge a worker.
 *
 * struct rf_worker only ever grows at its end. An older worker is shorter: the
 * hooks that it does not have are NULL here. A newer one is longer: what stands
 * beyond our struct is not for us. What neither can bridge is an ABI number of
 * its own.
 *
 * What is loaded is a sealed copy of the file (pin.c): a worker that is
 * replaced, cut short or deleted neither changes the code that runs nor keeps
 * the supervisor from forking it again. The loader is given the copy's
 * descriptor as a path, and takes a path it has seen for what it loaded then:
 * the descriptor stays open, and with it its number taken, for as long as the
 * copy is loaded. Limits: the libraries that a worker itself depends on are
 * mapped from their files, and an $ORIGIN in its run path means /proc/PID/fd.
 * Where the system forbids such memory to be run, the file itself is loaded.
 */
#include "worker_load.h"

#include "version.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <refork/log.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* From the program to the workers that were installed with it. Relative, so
 * that what is installed can be moved as a whole, or tried below a DESTDIR. */
#ifndef WORKERS_FROM_BINDIR
#define WORKERS_FROM_BINDIR "../lib/refork/workers"
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
	if (from->abi < RF_WORKER_ABI_MIN || from->abi > RF_WORKER_ABI)
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

/* The directory `from` as seen from the one of the running program; "" when it
 * cannot be told. */
static void dir_from_program(const char *from, char dir[PATH_MAX])
{
	char program[PATH_MAX], path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
	char *slash;
	int bytes;

	*dir = 0;
	if (n < 0)
		return;
	program[n] = 0;
	slash = strrchr(program, '/');
	if (!slash)
		return;
	*slash = 0;
	bytes = snprintf(path, sizeof(path), "%s/%s", program, from);
	if (bytes < PATH_MAX && !realpath(path, dir))
		memcpy(dir, path, (size_t)bytes + 1);
}

static int find(struct worker_lib *lib, const char *name, struct fault *fault)
{
	const char *env = getenv("REFORK_WORKER_DIR");
	char own[PATH_MAX], installed[PATH_MAX];
	const char *dirs[2] = {own, installed};

	if (strchr(name, '/')) {
		snprintf(lib->path, sizeof(lib->path), "%s", name);
		return 0;
	}
	dir_from_program("workers", own);
	dir_from_program(WORKERS_FROM_BINDIR, installed);
	if (env && *env)
		dirs[0] = dirs[1] = env;
	for (size_t i = 0; i < 2; i++)
		if (*dirs[i] && !join(lib->path, dirs[i], name) &&
			access(lib->path, F_OK) == 0)
			return 0;
	if (dirs[0] == dirs[1])
		return fault_set(fault, EX_CONFIG,
			"worker %s: there is no %s.so in %s", name, name,
			dirs[0]);
	return fault_set(fault, EX_CONFIG,
		"worker %s: there is no %s.so in %.300s or in %.300s; give a "
		"path, or set REFORK_WORKER_DIR",
		name, name, dirs[0], dirs[1]);
}

/* ---- pin ---- */

/* Memory that runs is not allowed here: the file itself must do. */
static bool go_without_pin(const struct worker_lib *lib, int error)
{
	if ((error != -EPERM && error != -EACCES && error != -ENOSYS) ||
		access(lib->path, R_OK))
		return false;
	rf_log(RF_LOG_WARNING,
		"worker %s: memfd_create: %s (vm.memfd_noexec?); its file is "
		"loaded itself: leave that as it is while the service runs",
		lib->path, strerror(-error));
	return true;
}

int worker_pin(struct worker_lib *lib, const char *name, struct fault *fault)
{
	char label[64];
	int rc;

	*lib = (struct worker_lib){0};
	rc = find(lib, name, fault);
	if (rc)
		return rc;
	snprintf(label, sizeof(label), "refork-worker:%.40s",
		strrchr(lib->path, '/') + 1);
	rc = pin_file(lib->path, label, &lib->pin);
	if (!rc || go_without_pin(lib, rc))
		return 0;
	fault_set(fault, EX_CONFIG, "worker %s: cannot load: %s", lib->path,
		rc == -EINVAL ? "it is no file" : strerror(-rc));
	*lib = (struct worker_lib){0};
	return EX_CONFIG;
}

/* ---- link ---- */

/* Not /proc/self: a debugger opens it as well, and would find a file of its
 * own there, or wait at a pipe for ever. */
static void loader_path(const struct worker_lib *lib, char path[PATH_MAX])
{
	if (lib->pin.fd > 0)
		snprintf(path, PATH_MAX, "/proc/%d/fd/%d", (int)getpid(),
			lib->pin.fd);
	else
		snprintf(path, PATH_MAX, "%s", lib->path);
}

/* What the loader said, without the path that it was given. */
static const char *loader_words(const char *path)
{
	const char *words = dlerror();
	size_t bytes = strlen(path);

	if (!words)
		return "the loader does not say why";
	if (!strncmp(words, path, bytes) && !strncmp(words + bytes, ": ", 2))
		words += bytes + 2;
	return words;
}

static void put_build_id(
	struct worker_lib *lib, const char *notes, size_t bytes)
{
	const ElfW(Nhdr) * note;

	while (bytes >= sizeof(*note)) {
		size_t name, all;

		note = (const void *)notes;
		name = (note->n_namesz + 3U) & ~3U;
		all = sizeof(*note) + name + ((note->n_descsz + 3U) & ~3U);
		if (all > bytes)
			return;
		notes += sizeof(*note) + name;
		if (note->n_type == NT_GNU_BUILD_ID && name == 4 &&
			note->n_descsz <= WORKER_BUILD_ID_BYTES / 2)
			for (uint32_t i = 0; i < note->n_descsz; i++)
				snprintf(lib->build_id + 2 * i, 3, "%02x",
					(unsigned char)notes[i]);
		notes += all - sizeof(*note) - name;
		bytes -= all;
	}
}

static int find_build_id(struct dl_phdr_info *info, size_t bytes, void *arg)
{
	struct worker_lib *lib = arg;
	struct link_map *map;

	(void)bytes;
	if (dlinfo(lib->handle, RTLD_DI_LINKMAP, &map) ||
		map->l_addr != info->dlpi_addr)
		return 0;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];

		if (part->p_type == PT_NOTE && part->p_align <= 4)
			put_build_id(lib,
				(const char *)info->dlpi_addr + part->p_vaddr,
				part->p_memsz);
	}
	return 1;
}

int worker_link(struct worker_lib *lib, struct fault *fault)
{
	const struct rf_worker *found;
	char path[PATH_MAX];
	int rc;

	loader_path(lib, path);
	lib->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!lib->handle) {
		rc = fault_set(fault, EX_CONFIG, "worker %s: cannot load: %s",
			lib->path, loader_words(path));
		goto err_unload;
	}
	found = dlsym(lib->handle, RF_WORKER_SYMBOL);
	if (!found) {
		rc = fault_set(fault, EX_CONFIG,
			"worker %s: it exports no symbol %s", lib->path,
			RF_WORKER_SYMBOL);
		goto err_unload;
	}
	rc = worker_accept(&lib->worker, found, lib->path, fault);
	if (rc)
		goto err_unload;
	dl_iterate_phdr(find_build_id, lib);
	return 0;

err_unload:
	worker_unload(lib);
	return rc;
}

int worker_load(struct worker_lib *lib, const char *name, struct fault *fault)
{
	int rc = worker_pin(lib, name, fault);

	return rc ? rc : worker_link(lib, fault);
}

/* Code that asks for it (a unique symbol is enough) is never unloaded. Its
 * descriptor is then not given back: another copy under its number would be
 * taken for it. */
static bool is_gone(const struct worker_lib *lib)
{
	char path[PATH_MAX];
	void *handle;

	loader_path(lib, path);
	handle = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
	if (handle)
		dlclose(handle);
	return !handle;
}

void worker_unload(struct worker_lib *lib)
{
	if (lib->handle)
		dlclose(lib->handle);
	if (lib->pin.fd > 0 && (!lib->handle || is_gone(lib)))
		close(lib->pin.fd);
	*lib = (struct worker_lib){0};
}
