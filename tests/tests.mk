# What installs, runs and checks; the Makefile says what is built.

CRASH    = $(patsubst tests/crash/%.c,$(B)/tests/%,\
             $(wildcard tests/crash/crash_*.c))
CRASHLIB = $(filter-out tests/crash/crash_%,$(wildcard tests/crash/*.c))
PRELOAD  = $(patsubst tests/preload/%.c,$(B)/preload/%.so,\
             $(wildcard tests/preload/*.c))
FUZZ     = $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
BENCH    = $(patsubst tests/bench/%.c,$(B)/bench/%,$(wildcard tests/bench/*.c)) \
           $(if $(wildcard /usr/include/libpmemobj.h),$(B)/bench/alloc_pmem) \
           $(if $(wildcard /usr/include/boost/interprocess),$(B)/bench/alloc_boost)
T        = 60

PARALLEL  = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))
SUBMAKE   = $(MAKE) --no-print-directory $(PARALLEL)
RUN_TESTS = $(PYTHON) tests/run_tests.py --build $(B)
READERS   = $(B)/readers/bank_total $(B)/readers/bank_cpp
SYSTEM    = all $(TWORK) $(PRELOAD) $(READERS)

# Everything that the build and the tests compile.
programs: $(SYSTEM) $(UNIT) $(CRASH)

# The sanitizers leave the signals alone that tests crash children with;
# what they find is fatal.
export ASAN_OPTIONS  ?= handle_segv=0:handle_abort=0:handle_sigbus=0:$\
                        handle_sigill=0:handle_sigfpe=0:$\
                        verify_asan_link_order=0
export UBSAN_OPTIONS ?= print_stacktrace=1

# `make deps GROUP=lint`; the groups are those of tests/setup.sh.
GROUP = build
deps:
	@tests/setup.sh $(GROUP)

run:
	@tests/setup.sh run
	@$(SUBMAKE) all
	exec $(B)/reforkd -c conf/kv.ini $(ARGS)

test:
	@tests/setup.sh test
	@$(SUBMAKE) programs
	@$(RUN_TESTS) unit crash lint system

test-unit test-crash test-system: test-%:
	@tests/setup.sh test
	@$(SUBMAKE) $(if $(filter system,$*),$(SYSTEM),\
		$(if $(filter unit,$*),$(UNIT),$(CRASH)))
	@$(RUN_TESTS) $*

storm:
	@tests/setup.sh test
	@$(SUBMAKE) $(SYSTEM)
	REFORK_BUILD=$(B) $(PYTHON) tests/system/storm.py --kills 1000 $(ARGS)

leaks:
	@tests/setup.sh test
	@$(SUBMAKE) $(SYSTEM)
	REFORK_BUILD=$(B) $(PYTHON) tests/system/leaks.py --crashes 10000 $(ARGS)

lint:
	@tests/setup.sh lint
	@$(RUN_TESTS) lint

bench:
	@tests/setup.sh bench
	@$(SUBMAKE) all $(BENCH)
	REFORK_BUILD=$(B) $(PYTHON) tests/bench/bench.py $(ARGS)

# Fuzzed code is compiled apart, by clang, with its own instrumentation.
fuzz:
	@tests/setup.sh fuzz
	@$(SUBMAKE) B=build-fuzz CC=clang-14 SAN=address \
		OPT='-O1 -g -fsanitize=fuzzer-no-link' \
		$(FUZZ:%=build-fuzz/fuzz/%)
	@for name in $(FUZZ); do \
		mkdir -p build-fuzz/corpus/$$name && \
		build-fuzz/fuzz/$$name -max_total_time=$(T) -timeout=10 \
			-print_final_stats=1 -verbosity=0 \
			-artifact_prefix=build-fuzz/$$name- \
			build-fuzz/corpus/$$name \
			$$(ls -d tests/fuzz/corpus_$$name 2>/dev/null) || \
			exit 1; \
	done

$(B)/fuzz/%: tests/fuzz/fuzz_%.c $(CHILD) $(CONF) $(B)/librefork.a
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(SAN_FLAGS) -fsanitize=fuzzer -o $@ \
		$(filter %.c %.o %.a,$^) $(LIBS)

$(B)/tests/crash_%: tests/crash/crash_%.c $(CRASHLIB) $(CHILD) $(KV) $(CONF) \
		$(B)/librefork.a
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(SAN_FLAGS) -o $@ \
		$(filter %.c %.o %.a,$^) -Wl,--wrap=rf_tx_begin -lcmocka $(LIBS)

$(B)/bench/%: tests/bench/%.c $(CHILD) $(CONF) $(B)/librefork.a
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(SAN_FLAGS) -o $@ \
		$(filter %.c %.o,$^) $(filter %.a,$^) $(LIBS)

# What others offer, to compare with.
$(B)/bench/alloc_pmem: tests/bench/others/alloc_pmem.c
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -o $@ $< -lpmemobj -lm

$(B)/bench/alloc_boost: tests/bench/others/alloc_boost.cpp
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CXX) $(CPPFLAGS) -O2 -g -MMD -MP -o $@ $< -lpthread -lm

# They have the public headers and the library, and nothing else of refork.
$(B)/readers/bank_total: tests/readers/bank_total.c $(B)/librefork.a
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(SAN_FLAGS) -o $@ $(filter %.c %.a,$^) -lpthread

$(B)/readers/bank_cpp: tests/readers/bank_cpp.cc $(B)/librefork.a
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CXX) $(CPPFLAGS) $(SAN_FLAGS) -std=c++17 -O2 -g -Wall -Wextra \
		-Werror -o $@ $(filter %.cc %.a,$^) -lpthread

$(B)/bench/bench_verify: $(KV)

$(B)/preload/%.so: tests/preload/%.c
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -shared -o $@ $< -ldl

.PHONY: programs deps run test test-unit test-crash test-system storm leaks lint bench fuzz
