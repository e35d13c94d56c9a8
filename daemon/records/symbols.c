/* SPDX-License-Identifier: MIT */
/* symbols.c -- the stack of a dead process, with names.
 *
 * The dead process and this one were forked by the same parent: the same code
 * is mapped at the same addresses. So libdwfl is shown the modules of this
 * process, and told that the thread's registers and stack are those that the
 * scene holds. Only the bytes saved there are stack: where they end, so does
 * the walk.
 *
 *   a pc in no module           a call through a bad pointer: the frame is
 *                               named as such, its caller is what the call
 *                               left behind (on the stack or in x30)
 *   no unwind information       the frame pointers are followed from there
 *   nor a frame pointer         of a process that was described from outside
 *                               only pc and sp are known: the first pair on
 *                               its stack that looks like a saved frame
 *                               pointer and a return address is taken for one
 *   a module without a file     worker code lives in sealed memory: its
 *                               descriptor is open here, and is found by what
 *                               the mapping says of it
 */
#include "symbols.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define FRAMES_MAX 64

#ifdef __x86_64__
#define DWARF_REGISTERS 17
#define DWARF_FP	6
#define DWARF_SP	7
#else
#define DWARF_REGISTERS 32
#define DWARF_FP	29
#define DWARF_LR	30
#define DWARF_SP	31
#endif

struct walk {
	const struct rf_crash_scene *scene;
	Dwfl *dwfl;
	uint64_t pc;
	Dwarf_Word registers[DWARF_REGISTERS]; /* by their DWARF numbers */
	uint64_t fp, sp;		       /* of the last frame told */
	int count;
	char *at, *end;
};

/* ---- the dead process ---- */

static bool read_stack(
	const struct rf_crash_scene *scene, uint64_t address, uint64_t *word)
{
	uint64_t off = address - scene->stack_at;
	uint64_t bytes = scene->stack_bytes < RF_CRASH_STACK_BYTES
				 ? scene->stack_bytes
				 : RF_CRASH_STACK_BYTES;

	if (bytes < sizeof(*word) || off > bytes - sizeof(*word))
		return false;
	memcpy(word, scene->stack + off, sizeof(*word));
	return true;
}

#ifdef __x86_64__
static void take_registers(struct walk *w)
{
	/* Where each register of DWARF's order stands in gregs. */
	static const uint8_t from[DWARF_REGISTERS] = {
		13, 14, 12, 11, 9, 8, 10, 15, 0, 1, 2, 3, 4, 5, 6, 7, 16};

	for (int i = 0; i < DWARF_REGISTERS; i++)
		w->registers[i] = w->scene->registers[from[i]];
	w->registers[DWARF_SP] = w->scene->sp;
	w->registers[DWARF_REGISTERS - 1] = w->scene->pc;
}

/* As if the callee had returned at once. */
static bool leave_callee(struct walk *w)
{
	uint64_t *sp = &w->registers[DWARF_SP];

	if (!read_stack(w->scene, *sp, &w->pc))
		return false;
	*sp += sizeof(*sp);
	w->registers[DWARF_REGISTERS - 1] = w->pc;
	return true;
}
#else
static void take_registers(struct walk *w)
{
	memcpy(w->registers, w->scene->registers, sizeof(w->registers));
	w->registers[DWARF_SP] = w->scene->sp;
}

static bool leave_callee(struct walk *w)
{
	w->pc = w->registers[DWARF_LR];
	return true;
}
#endif

static bool memory_read(
	Dwfl *dwfl, Dwarf_Addr address, Dwarf_Word *word, void *arg)
{
	struct walk *w = arg;

	(void)dwfl;
	return read_stack(w->scene, address, word);
}

static pid_t next_thread(Dwfl *dwfl, void *arg, void **thread_arg)
{
	(void)dwfl;
	if (*thread_arg)
		return 0;
	*thread_arg = arg;
	return getpid();
}

static bool get_thread(Dwfl *dwfl, pid_t tid, void *arg, void **thread_arg)
{
	(void)dwfl;
	(void)tid;
	*thread_arg = arg;
	return true;
}

static bool set_registers(Dwfl_Thread *thread, void *arg)
{
	struct walk *w = arg;

	dwfl_thread_state_register_pc(thread, w->pc);
	return dwfl_thread_state_registers(
		thread, 0, DWARF_REGISTERS, w->registers);
}

/* ---- modules ---- */

/* Device and inode of what is mapped at an address. */
static bool mapped_file(uint64_t address, dev_t *dev, ino_t *ino)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char *line = NULL;
	size_t room = 0;
	bool found = false;
	unsigned int high, low;
	uint64_t from, to, inode;

	while (maps && !found && getline(&line, &room, maps) > 0)
		found = sscanf(line,
				"%" SCNx64 "-%" SCNx64 " %*s %*s %x:%x "
				"%" SCNu64,
				&from, &to, &high, &low, &inode) == 5 &&
			from <= address && address < to && inode;
	free(line);
	if (maps)
		fclose(maps);
	if (!found)
		return false;
	*dev = makedev(high, low);
	*ino = inode;
	return true;
}

/* A descriptor of our own of the file that is mapped there; -1: none is open.
 */
static int open_mapped(uint64_t address)
{
	long limit = sysconf(_SC_OPEN_MAX);
	char path[64];
	struct stat st;
	dev_t dev;
	ino_t ino;

	if (!mapped_file(address, &dev, &ino))
		return -1;
	for (int fd = 0; fd < limit && fd < 65536; fd++) {
		if (fstat(fd, &st) || st.st_ino != ino || st.st_dev != dev)
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		return open(path, O_RDONLY | O_CLOEXEC);
	}
	return -1;
}

static int find_elf(Dwfl_Module *module, void **user, const char *name,
	Dwarf_Addr base, char **file, Elf **elf)
{
	struct stat st;
	int fd;

	if (name[0] == '/' && stat(name, &st)) {
		fd = open_mapped(base);
		if (fd >= 0) {
			*file = strdup(name);
			return fd;
		}
	}
	return dwfl_linux_proc_find_elf(module, user, name, base, file, elf);
}

/* "kv.so" of "/path/kv.so" and of "/memfd:refork-worker:kv.so (deleted)". */
static int module_name(Dwfl_Module *module, const char **name)
{
	static const char deleted[] = " (deleted)";
	const char *path = dwfl_module_info(
		module, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
	const char *slash = path ? strrchr(path, '/') : NULL;
	size_t bytes;

	*name = slash ? slash + 1 : path ? path : "?";
	if (!strncmp(*name, "memfd:", 6))
		*name = strrchr(*name, ':') + 1;
	bytes = strlen(*name);
	if (bytes > sizeof(deleted) - 1 &&
		!strcmp(*name + bytes - (sizeof(deleted) - 1), deleted))
		bytes -= sizeof(deleted) - 1;
	return (int)bytes;
}

static Dwfl *open_modules(void)
{
	static const Dwfl_Callbacks callbacks = {
		.find_elf = find_elf,
		.find_debuginfo = dwfl_standard_find_debuginfo,
	};
	Dwfl *dwfl;

	unsetenv("DEBUGINFOD_URLS"); /* nothing is asked of the network */
	dwfl = dwfl_begin(&callbacks);
	if (!dwfl)
		return NULL;
	if (dwfl_linux_proc_report(dwfl, getpid()) ||
		dwfl_report_end(dwfl, NULL, NULL)) {
		dwfl_end(dwfl);
		return NULL;
	}
	return dwfl;
}

/* ---- telling ---- */

__attribute__((format(printf, 2, 3))) static void say(
	struct walk *w, const char *format, ...)
{
	size_t room = (size_t)(w->end - w->at);
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(w->at, room, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= room)
		n = (int)room - 1; /* finish_line() takes it back */
	w->at += n;
}

/* A line that does not fit is taken back. */
static bool finish_line(struct walk *w, char *began)
{
	if (w->end - w->at >= 2) {
		*w->at++ = '\n';
		*w->at = 0;
		return true;
	}
	w->at = w->end = began;
	*began = 0;
	return false;
}

struct source {
	const char *file, *dir;
	int line;
};

/* clang writes no index of addresses: each unit is asked. */
static bool search_source(
	Dwfl_Module *module, uint64_t pc, struct source *source)
{
	Dwarf_Die *unit = NULL;
	Dwarf_Attribute dir;
	Dwarf_Line *line;
	Dwarf_Addr bias;

	do
		unit = dwfl_module_nextcu(module, unit, &bias);
	while (unit && dwarf_haspc(unit, pc - bias) <= 0);
	line = unit ? dwarf_getsrc_die(unit, pc - bias) : NULL;
	if (!line || dwarf_lineno(line, &source->line))
		return false;
	source->file = dwarf_linesrc(line, NULL, NULL);
	source->dir = dwarf_formstring(dwarf_attr(unit, DW_AT_comp_dir, &dir));
	return source->file != NULL;
}

static bool find_source(Dwfl_Module *module, uint64_t pc, struct source *source)
{
	Dwfl_Line *line = dwfl_module_getsrc(module, pc);

	if (!line)
		return search_source(module, pc, source);
	source->file =
		dwfl_lineinfo(line, NULL, &source->line, NULL, NULL, NULL);
	source->dir = dwfl_line_comp_dir(line);
	return source->file != NULL;
}

static void say_source(struct walk *w, Dwfl_Module *module, uint64_t pc)
{
	struct source source = {0};
	size_t bytes;

	if (!find_source(module, pc, &source))
		return;
	bytes = source.dir ? strlen(source.dir) : 0;
	if (bytes && !strncmp(source.file, source.dir, bytes) &&
		source.file[bytes] == '/')
		source.file += bytes + 1;
	say(w, " (%s:%d)", source.file, source.line);
}

/* `pc` is shown; `inside` stands in the instruction that it came from. */
static bool tell_frame(struct walk *w, uint64_t pc, uint64_t inside)
{
	Dwfl_Module *module = dwfl_addrmodule(w->dwfl, inside);
	char *began = w->at;
	const char *name, *file;
	GElf_Off off = 0;
	Dwarf_Addr start = 0;
	GElf_Sym symbol;
	int bytes;

	say(w, "#%-2d 0x%016" PRIx64 " ", w->count, pc);
	if (!module) {
		say(w, "(in pc outside of any module)");
		w->count++;
		return finish_line(w, began);
	}
	name = dwfl_module_addrinfo(
		module, inside, &off, &symbol, NULL, NULL, NULL);
	if (name) {
		say(w, "%s+0x%" PRIx64, name, off + (pc - inside));
	} else { /* as addr2line would want it */
		dwfl_module_info(
			module, NULL, &start, NULL, NULL, NULL, NULL, NULL);
		say(w, "??+0x%" PRIx64, pc - start);
	}
	say_source(w, module, inside);
	bytes = module_name(module, &file);
	say(w, " in %.*s", bytes, file);
	w->count++;
	return finish_line(w, began);
}

static int on_frame(Dwfl_Frame *frame, void *arg)
{
	struct walk *w = arg;
	Dwarf_Word fp, sp;
	Dwarf_Addr pc;
	bool activation;

	if (!dwfl_frame_pc(frame, &pc, &activation))
		return DWARF_CB_ABORT;
	/* After a fault that was in no module the first is a caller, too. */
	if (w->count > 0 && pc == w->pc)
		activation = false;
	w->pc = pc;
	w->fp = dwfl_frame_reg(frame, DWARF_FP, &fp) ? 0 : fp;
	w->sp = dwfl_frame_reg(frame, DWARF_SP, &sp) ? 0 : sp;
	if (pc == 0 || !tell_frame(w, pc, activation ? pc : pc - 1) ||
		w->count >= FRAMES_MAX)
		return DWARF_CB_ABORT;
	return DWARF_CB_OK;
}

/* ---- walking ---- */

/* Where a frame pointer that is not known must have pointed; 0: nowhere. */
static uint64_t search_frame(const struct walk *w)
{
	uint64_t at = w->sp, end = w->scene->stack_at + w->scene->stack_bytes;
	uint64_t above, pc;

	for (; read_stack(w->scene, at, &above) &&
		read_stack(w->scene, at + sizeof(pc), &pc);
		at += sizeof(at))
		if (above > at && above < end && above % sizeof(at) == 0 &&
			dwfl_addrmodule(w->dwfl, pc - 1))
			return at;
	return 0;
}

/* Each frame pointer points to the caller's, behind which the return address
 * stands; callers are further up. */
static void follow_frame_pointers(struct walk *w)
{
	uint64_t pc, above;

	if (!w->fp)
		w->fp = search_frame(w);
	while (w->count < FRAMES_MAX && read_stack(w->scene, w->fp, &above) &&
		read_stack(w->scene, w->fp + sizeof(pc), &pc) &&
		dwfl_addrmodule(w->dwfl, pc - 1) && tell_frame(w, pc, pc - 1)) {
		if (above <= w->fp)
			break;
		w->fp = above;
	}
}

static void walk(struct walk *w)
{
	static const Dwfl_Thread_Callbacks thread = {
		.next_thread = next_thread,
		.get_thread = get_thread,
		.memory_read = memory_read,
		.set_initial_registers = set_registers,
	};

	w->pc = w->scene->pc;
	take_registers(w);
	w->fp = w->registers[DWARF_FP];
	w->sp = w->scene->sp;
	if (!w->pc && !w->sp) {
		say(w, "(its stack could not be read)\n");
		return;
	}
	if (!dwfl_addrmodule(w->dwfl, w->pc)) {
		tell_frame(w, w->pc, w->pc);
		if (!leave_callee(w) || !dwfl_addrmodule(w->dwfl, w->pc - 1)) {
			follow_frame_pointers(w);
			return;
		}
	}
	if (!dwfl_attach_state(w->dwfl, NULL, getpid(), &thread, w)) {
		say(w, "(no unwinding: %s)\n", dwfl_errmsg(-1));
		return;
	}
	/* -1: the unwind information ends before the stack does. */
	if (dwfl_getthread_frames(w->dwfl, getpid(), on_frame, w) < 0)
		follow_frame_pointers(w);
}

/* Kept when it was written, found at the commit: the stack of the first write
 * comes first. Of its addresses the first is the instruction's own. */
static void tell_first_write(struct walk *w)
{
	const struct rf_crash_stray *stray = &w->scene->stray;

	for (uint32_t i = 0; i < stray->frame_count && i < RF_STRAY_FRAMES; i++)
		tell_frame(w, stray->frames[i],
			i == 0 ? stray->frames[i] : stray->frames[i] - 1);
	if (w->count > 0)
		say(w, "(so far the first write to that page; its transaction "
		       "ended in:)\n");
	w->count = 0;
}

void symbols_write(const struct rf_crash_scene *scene, char *text, size_t bytes)
{
	struct walk w = {.scene = scene, .at = text, .end = text + bytes};

	*text = 0;
	w.dwfl = open_modules();
	if (!w.dwfl) {
		say(&w, "(no names: the modules of this process: %s)\n",
			dwfl_errmsg(-1));
		return;
	}
	tell_first_write(&w);
	walk(&w);
	dwfl_end(w.dwfl);
}
