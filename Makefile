# refork. `make help` lists the targets.
#
# Variables: CC, OPT, LDFLAGS, SAN=address (builds and tests in build-address/),
# SYSTEMD=0, DEBUG=1 (blocks in red zones, poison in freed ones; in
# build-debug/), T=60 (seconds of fuzzing), ARGS (passed on: run, bench, storm,
# leaks); PREFIX, DESTDIR and more for install: tests/install.mk.

SHELL   = /bin/bash
CC      = gcc
PYTHON  = /usr/bin/python3
SAN     =
SYSTEMD = 1
DEBUG   =
B       = build$(addprefix -,$(SAN))$(if $(DEBUG),-debug)

OPT      = -O2 -g
WARN     = -Wall -Wextra -Wshadow -Wconversion -Werror
CPPFLAGS = -D_GNU_SOURCE -Icommon -I. -I$(B)/gen -DRF_SYSTEMD=$(SYSTEMD) \
           $(if $(DEBUG),-DRF_HEAP_DEBUG=1)
CFLAGS   = -std=gnu11 $(OPT) $(WARN) -fPIC -fvisibility=hidden -MMD -MP \
           -fno-omit-frame-pointer -fstack-protector-strong \
           -fno-strict-aliasing
SAN_FLAGS = $(if $(SAN),-fsanitize=$(SAN)$(if $(filter address,$(SAN)),$(comma)undefined) -fno-sanitize-recover=all)
comma    := ,
# Addresses differ from start to start, and nothing that holds one is writable.
HARDEN   = -pie $(RELRO)
RELRO    = -Wl,-z,relro,-z,now $(LDFLAGS)
LIBS     = -lev -linih -ldw -ldl -lpthread -lm $(if $(filter 1,$(SYSTEMD)),-lsystemd)

# One short line a step; V=1 shows the commands.
Q   = $(if $(V),,@)
say = $(if $(V),,@printf '  %-4s %s\n' $(1) $@)

obj = $(patsubst %.c,$(B)/obj/%.o,$(1))

COMMON = $(call obj,$(wildcard common/*.c common/*/*.c))
CONF   = $(call obj,$(wildcard conf/*.c))
CHILD  = $(call obj,$(wildcard worker/network/*.c worker/business/*.c \
           worker/confine/*.c))
DAEMON = $(call obj,$(wildcard daemon/*.c daemon/manager/*.c daemon/supervise/*.c \
           daemon/control/*.c daemon/records/*.c))
CTL    = $(call obj,$(wildcard daemon/ctl/*.c) $(patsubst %,daemon/%.c,\
           fault figures json occupant pin place survey wire worker_load))
# What a worker may call: it is walked inside of reforkctl.
CALLED = $(call obj,$(wildcard worker/business/*.c worker/confine/*.c))
KV     = $(call obj,$(wildcard worker/kv/*.c worker/kv/*/*.c))
CRASHES = $(call obj,$(patsubst %,daemon/records/%.c,calls compose crash_words crashes \
            hook reporter ring_file symbols tell words) \
            daemon/control/facts.c daemon/control/rates.c daemon/json.c \
            daemon/directory.c daemon/title.c)
MAN    = $(patsubst daemon/man/%.scd,$(B)/man/%,$(wildcard daemon/man/*.scd))
UNIT   = $(patsubst tests/unit/%.c,$(B)/tests/%,$(wildcard tests/unit/test_*.c))
TWORK  = $(patsubst tests/workers/%.c,$(B)/workers/%.so,\
           $(wildcard tests/workers/*.c))

all: $(B)/reforkd $(B)/reforkctl $(B)/librefork.so.1 $(B)/workers/kv.so \
     $(B)/refork.catalog \
     $(if $(shell command -v scdoc),man)

## make            build reforkd, reforkctl and the kv worker
## make man        the manual pages, in build/man
## make run        install what is missing, build, serve on 127.0.0.1:6380
## make test       install what is missing, build, run every test
##                 (also test-unit, test-crash, test-system; SAN=address)
## make bench      measure, print the tables of the README (ARGS=death, ...;
##                 ARGS=picture draws tests/bench/latency.svg)
## make storm      the kill storm in its long form
## make leaks      10,000 crashes, and nothing has grown
## make fuzz       fuzz the RESP codec, the packs and the ini reader, each for T
##                 seconds
## make lint       layers, format, static analysis
## make deps       only install what the build needs
## make clean      remove what was built
help:
	@sed -n 's/^## //p' Makefile

-include tests/tests.mk tests/install.mk

$(B)/librefork.a: $(COMMON)
	@rm -f $@
	$(call say,AR)
	$(Q)ar rcs $@ $^

# What readers link: all but the replies, which are for workers and stand in
# reforkd. Its names are its ABI: they stand in the map.
$(B)/librefork.so.1: $(filter-out %/resp_reply.o,$(COMMON)) common/librefork.map
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(SAN_FLAGS) $(RELRO) -shared -o $@ $(filter %.o,$^) \
		-Wl,-soname,$(@F) -Wl,--version-script=common/librefork.map \
		-Wl,-Bsymbolic-functions $(if $(SAN),,-Wl,-z,defs) \
		-Wl,--as-needed -lpthread -lm

$(B)/reforkd: $(DAEMON) $(CHILD) $(CONF) $(B)/librefork.a daemon/exports.list
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(SAN_FLAGS) $(HARDEN) -o $@ $(DAEMON) $(CHILD) $(CONF) \
		-Wl,--whole-archive $(B)/librefork.a -Wl,--no-whole-archive \
		-Wl,--dynamic-list=daemon/exports.list $(LIBS)

$(B)/reforkctl: $(CTL) $(CALLED) $(CONF) $(B)/librefork.a daemon/exports.list
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(SAN_FLAGS) $(HARDEN) -o $@ $(CTL) $(CALLED) $(CONF) \
		-Wl,--whole-archive $(B)/librefork.a -Wl,--no-whole-archive \
		-Wl,--dynamic-list=daemon/exports.list \
		-linih -lncursesw -ldl -lpthread -lm

# The tables in the manual come out of the code.
man: $(MAN)

$(B)/man-expand: $(call obj,daemon/man/expand.c daemon/options.c) \
		$(filter-out %/ctl/main.o,$(CTL)) $(CONF) $(B)/librefork.a
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(SAN_FLAGS) -o $@ $^ -linih -lncursesw -ldl -lpthread -lm

$(B)/man/%: daemon/man/%.scd $(B)/man-expand
	@mkdir -p $(@D)
	$(call say,MAN)
	$(Q)set -o pipefail; $(B)/man-expand <$< | scdoc >$@ || { rm -f $@; false; }

# So does what `journalctl -x` says.
$(B)/catalog: $(call obj,daemon/man/catalog.c) $(B)/librefork.a
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(SAN_FLAGS) -o $@ $^ -lpthread

$(B)/refork.catalog: $(B)/catalog
	$(call say,MAN)
	$(Q)$(B)/catalog >$@ || { rm -f $@; false; }

# A worker sees the public headers only, and its one symbol is its all.
$(B)/workers/kv.so: $(KV)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(SAN_FLAGS) -shared $(RELRO) -o $@ $^ -lm

$(B)/workers/%.so: tests/workers/%.c
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(SAN_FLAGS) -shared -o $@ $<

# Say once and plainly what is missing, before the compiler says it per file.
HEADERS = stdio.h ev.h ini.h curses.h elfutils/libdwfl.h \
          $(if $(filter 1,$(SYSTEMD)),systemd/sd-daemon.h)
$(B)/headers:
	@for header in $(HEADERS); do \
		echo "#include <$$header>" | $(CC) -E -x c - >/dev/null 2>&1 || { \
			echo "$(CC) or <$$header> is missing:" \
				"'make deps' installs what the build needs" >&2; \
			exit 1; }; \
	done; mkdir -p $(@D) && touch $@

# Every system call that this machine's headers name: CALL(read) ...
$(B)/gen/calls.def: | $(B)/headers
	@mkdir -p $(@D)
	$(Q)echo '#include <sys/syscall.h>' | $(CC) -dM -E - | \
		sed -n 's/^#define SYS_\([a-z0-9_]*\) __NR.*/CALL(\1)/p' | \
		sort >$@.new && mv $@.new $@

$(call obj,worker/confine/filter.c daemon/records/calls.c): $(B)/gen/calls.def

$(B)/obj/%.o: %.c | $(B)/headers
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(SAN_FLAGS) -c -o $@ $<

$(B)/tests/%: tests/unit/%.c $(CHILD) $(CONF) $(B)/librefork.a
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(SAN_FLAGS) -o $@ $< $(filter %.o,$^) $(filter %.a,$^) \
		-lcmocka $(LIBS)

$(patsubst %,$(B)/tests/test_crash_%,records reports symbols): $(CRASHES)
$(filter $(B)/tests/test_kv_%,$(UNIT)): $(KV)

clean:
	rm -rf build build-*

.PHONY: all man help clean
.SECONDARY:
-include $(shell find $(B) -name '*.d' 2>/dev/null)
