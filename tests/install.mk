# What is put on a system, and where. The packages (debian/) come of the same.

PREFIX     = /usr/local
bindir     = $(PREFIX)/bin
libdir     = $(PREFIX)/lib
includedir = $(PREFIX)/include
datadir    = $(PREFIX)/share
mandir     = $(datadir)/man
docdir     = $(datadir)/doc/refork
zshdir     = $(datadir)/zsh/site-functions
sysconfdir = /etc
workerdir  = $(libdir)/refork/workers
# systemd looks below /usr/lib and /usr/local/lib.
SYSTEMDDIR = $(PREFIX)/lib
UNITDIR    = $(SYSTEMDDIR)/systemd/system

# A line for each thing: how, which files, to where (a directory when it ends in
# a slash). How: a mode; `text`, with the places and numbers of this installation
# put in; `conf`, which is not overwritten; `link`, to the name in the middle.
define INSTALLED
755  $(B)/reforkd                  $(bindir)/
755  $(B)/reforkctl                $(bindir)/
644  $(B)/workers/kv.so            $(workerdir)/
644  $(B)/librefork.so.1           $(libdir)/
link librefork.so.1                $(libdir)/librefork.so
644  $(B)/librefork.a              $(libdir)/
644  common/refork/*.h             $(includedir)/refork/
text common/refork.pc.in           $(libdir)/pkgconfig/refork.pc
text $(B)/man/*.1                  $(mandir)/man1/
text $(B)/man/*.5                  $(mandir)/man5/
text $(B)/man/*.8                  $(mandir)/man8/
644  $(B)/completion/bash          $(datadir)/bash-completion/completions/reforkctl
644  $(B)/completion/zsh           $(zshdir)/_reforkctl
644  $(B)/completion/fish          $(datadir)/fish/vendor_completions.d/reforkctl.fish
644  common/gdb/refork_gdb.py      $(datadir)/gdb/auto-load$(bindir)/reforkd-gdb.py
conf conf/kv.ini                   $(sysconfdir)/refork/
text systemd/refork@.*             $(UNITDIR)/
644  systemd/drop-in/*             $(datadir)/refork/drop-in/
text systemd/refork.sysusers.conf  $(SYSTEMDDIR)/sysusers.d/refork.conf
text systemd/refork.tmpfiles.conf  $(SYSTEMDDIR)/tmpfiles.d/refork.conf
644  $(B)/refork.catalog            $(SYSTEMDDIR)/systemd/catalog/
644  README.md                     $(docdir)/
644  docs/*.md                     $(docdir)/
644  docs/examples/*               $(docdir)/examples/
endef
define PLACES
s|/usr/bin/refork|$(bindir)/refork|g
s|/etc/refork|$(sysconfdir)/refork|g
s|@prefix@|$(PREFIX)|
s|@libdir@|$(libdir)|
s|@includedir@|$(includedir)|
s|@workerdir@|$(workerdir)|
s|@abi@|$(shell awk '$$2 == "RF_WORKER_ABI" { print $$3 }' common/refork/worker.h)|
s|@version@|$(VERSION)|
endef
VERSION = $(shell sed -n 's/.*VERSION "\(.*\)"/\1/p' daemon/version.h)

install: all $(patsubst %,$(B)/completion/%,bash zsh fish)
install uninstall installed-files:
	$(Q)DESTDIR='$(DESTDIR)' PLACES="$$PLACES" \
		tests/install.sh $@ <<<"$$INSTALLED"
install uninstall installed-files: export INSTALLED := $(INSTALLED)
install: export PLACES := $(PLACES)

$(B)/completion/%: $(B)/reforkctl
	@mkdir -p $(@D)
	$(call say,GEN)
	$(Q)$< completion $* >$@ || { rm -f $@; false; }

# reforkd finds its workers from where it is itself: compiled anew when the way
# from the one to the other is another.
WORKERS_FROM_BINDIR = $(shell realpath -m --relative-to=$(bindir) $(workerdir))
$(B)/obj/daemon/worker_load.o: CPPFLAGS += \
	-DWORKERS_FROM_BINDIR='"$(WORKERS_FROM_BINDIR)"'
$(B)/obj/daemon/worker_load.o: $(B)/workers_from_bindir
$(B)/workers_from_bindir: always
	@mkdir -p $(@D)
	@echo '$(WORKERS_FROM_BINDIR)' | cmp -s - $@ || \
		echo '$(WORKERS_FROM_BINDIR)' >$@

# In $(B)/deb; nothing when they are there, of these very files.
deb:
	@tests/setup.sh deb
	@tests/make_deb.sh $(B)/deb

.PHONY: install uninstall installed-files deb always
