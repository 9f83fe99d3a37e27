# Tests, fuzzers and what runs them; part of the Makefile.

# Each *_test.c is a cmocka program on the sanitized libraries of its floor and those below, and on the posix
# board without its main. What they use of tests/support is linked in and goes before the board; in programs the
# board goes first, and tests of the boards, which are about the real devices, have none of it.
# ONLY=word picks the tests with that word in their path.
UNDER_hal := hal
UNDER_net := hal net
UNDER_policy := hal policy
UNDER_boards := hal
test_floors = $(or $(UNDER_$(word 2,$(subst /, ,$1))),$(FLOORS))
test_libs = $(BUILD)/posix-asan/lib/libboard.a $(BUILD)/posix-asan/lib/libtools.a $(posix-asan_THIRD) \
	$(foreach f,$(call test_floors,$1),$(if $(SRC_$f),$(BUILD)/posix-asan/lib/lib$f.a))
TEST_SRC := $(foreach t,$(wildcard tests/unit/*/*_test.c tests/vectors/*_test.c tests/powercut/*_test.c),\
	$(if $(or $(if $(ONLY),,all),$(findstring $(ONLY),$t)),$t))
TEST_PROGRAMS := $(TEST_SRC:tests/%.c=$(BUILD)/tests/%)
SUPPORT_OBJ := $(patsubst %.c,$(BUILD)/posix-asan/obj/%.o,$(wildcard tests/support/*.c))
SUPPORT_LIB := $(BUILD)/posix-asan/lib/libsupport.a
$(SUPPORT_LIB): $(SUPPORT_OBJ)
	@mkdir -p $(@D) && rm -f $@
	@ar rcsD $@ $^
group = -Wl,--start-group $1 -Wl,--end-group
# Programs take from tests/support only what the libraries do not have: theirs is the real board.
link_libs = $(if $(filter unit/boards/%,$1),$(call group,$(call test_libs,$1)),$(if $(filter programs/%,$1),\
	$(call group,$(call test_libs,$1)) $(call group,$(SUPPORT_LIB) $(call test_libs,$1)),\
	$(call group,$(SUPPORT_LIB) $(call test_libs,$1))))
define test_program
$(BUILD)/tests/$1: $(BUILD)/posix-asan/obj/tests/$1.o $(if $(filter unit/boards/%,$1),,$(SUPPORT_LIB)) $(call test_libs,$1)
	@mkdir -p $$(@D)
	@echo "test: $$@"
	$(Q)gcc -o $$@ $$(filter %.o,$$^) $(call link_libs,$1) $(posix-asan_LDFLAGS) -lcmocka
endef
$(foreach t,$(TEST_SRC:tests/%.c=%),$(eval $(call test_program,$t)))
# Programs that end-to-end tests run beside the firmware.
PROGRAM_SRC := $(wildcard tests/programs/*.c)
$(foreach t,$(PROGRAM_SRC:tests/%.c=%),$(eval $(call test_program,$t)))
-include $(SUPPORT_OBJ:.o=.d) $(TEST_SRC:%.c=$(BUILD)/posix-asan/obj/%.d) $(PROGRAM_SRC:%.c=$(BUILD)/posix-asan/obj/%.d)

$(BUILD)/posix-asan/obj/tests/unit/hal/packed_text_test.o: tests/vectors/texts/lines.packed

# Certificates with one fault each, for the tests of TLS.
PKI := $(BUILD)/tests/pki
$(PKI)/.stamp: tests/support/make_pki.py
	$(Q)rm -rf $(@D) && $(PYTHON) -W ignore $< $(@D) && touch $@
$(filter $(BUILD)/tests/unit/net/tls% %/identity_test %/cert_job_test %/cert_cut_test,$(TEST_PROGRAMS)): | $(PKI)/.stamp

test-programs: $(PROGRAM_SRC:tests/%.c=$(BUILD)/tests/%)
tests-built: $(TEST_PROGRAMS) test-programs
unit: $(filter $(BUILD)/tests/unit/%,$(TEST_PROGRAMS))
	@toolchain/run-unit $^
vectors: $(filter $(BUILD)/tests/vectors/%,$(TEST_PROGRAMS))
	@toolchain/run-unit $^
powercut: $(filter $(BUILD)/tests/powercut/%,$(TEST_PROGRAMS))
	@toolchain/run-unit $^

FUZZERS := $(patsubst tests/fuzz/%_fuzz.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/*_fuzz.c))
FUZZ_LIBS := $(BUILD)/posix-fuzz/lib/libtools.a $(posix-fuzz_TEST_LIBS)
$(FUZZERS): $(BUILD)/fuzz/%: $(BUILD)/posix-fuzz/obj/tests/fuzz/%_fuzz.o $(FUZZ_LIBS)
	@mkdir -p $(@D)
	@echo "fuzz: $@"
	$(Q)clang -fsanitize=fuzzer -o $@ $< -Wl,--start-group $(FUZZ_LIBS) -Wl,--end-group \
		$(filter-out -fsanitize=fuzzer-no-link,$(posix-fuzz_LDFLAGS))
-include $(FUZZERS:$(BUILD)/fuzz/%=$(BUILD)/posix-fuzz/obj/tests/fuzz/%_fuzz.d)
fuzz-short: $(FUZZERS)
	@toolchain/run-fuzz 5 $^
FUZZ_SECONDS := 600
fuzz: $(FUZZERS)
	@toolchain/run-fuzz $(FUZZ_SECONDS) $^

tools-test: tools bench-programs
	@toolchain/run-pytest tests/tools
# Each file in a process of its own: a namespace and servers of its own, so that none inherits what another left, and
# as many at a time as make has jobs. `make -k` goes on after one that failed.
E2E := $(patsubst tests/e2e/%.py,e2e-%,$(wildcard tests/e2e/test_*.py))
.PHONY: $(E2E)
$(E2E): e2e-%: all posix-asan selftest test-programs $(PKI)/.stamp
	@toolchain/run-pytest tests/e2e/$*.py
e2e: $(E2E)
# Programs of the measurements: the posix board's own flags and libraries, no sanitizers.
BENCH := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(wildcard tests/bench/*.c))
$(BENCH): $(BUILD)/bench/%: $(BUILD)/posix/obj/tests/bench/%.o $(BUILD)/posix/lib/libtools.a $(posix_TEST_LIBS)
	@mkdir -p $(@D)
	@echo "bench: $@"
	$(Q)gcc -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(posix_LDFLAGS)
-include $(BENCH:$(BUILD)/bench/%=$(BUILD)/posix/obj/tests/bench/%.d)
# What measures the small board's processor: its own objects, and this in the appliance's place.
CORTEX := $(BUILD)/bench/cortex.elf
CORTEX_SRC := $(wildcard tests/bench/cortex/*.c) tests/board/say.c
$(CORTEX): $(mps2-an500_BOARD_OBJ) $(CORTEX_SRC:%.c=$(BUILD)/mps2-an500/obj/%.o) \
		$(addprefix $(BUILD)/mps2-an500/lib/,libpolicy.a libhal.a libbearssl.a) $(wildcard boards/mps2-an500/*.ld) toolchain/pack-texts
	@mkdir -p $(@D)
	@echo "bench: $@"
	$(Q)$(mps2-an500_CROSS)gcc -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(mps2-an500_LDFLAGS)
	$(Q)toolchain/pack-texts $@
-include $(CORTEX_SRC:%.c=$(BUILD)/mps2-an500/obj/%.d)
bench-programs: posix tools $(BENCH) $(CORTEX)
bench: bench-programs
	@tests/bench/run
# Long forms want speed, and check by themselves: no sanitizers.
LONG := $(patsubst %,$(BUILD)/bench/%,day_cut spool_cut week)
LONG_OBJ := $(patsubst %.c,$(BUILD)/posix/obj/%.o,$(wildcard tests/support/*.c))
$(BUILD)/posix/lib/libsupport.a: $(LONG_OBJ)
	@mkdir -p $(@D) && rm -f $@
	@ar rcsD $@ $^
$(LONG): $(BUILD)/bench/%: $(BUILD)/posix/obj/tests/powercut/%_test.o $(BUILD)/posix/lib/libsupport.a $(BUILD)/posix/lib/libtools.a $(posix_TEST_LIBS)
	@mkdir -p $(@D)
	@echo "bench: $@"
	$(Q)gcc -o $@ $< $(call group,$(filter %.a,$^)) $(posix_LDFLAGS) -lcmocka
-include $(LONG_OBJ:.o=.d) $(LONG:$(BUILD)/bench/%=$(BUILD)/posix/obj/tests/powercut/%_test.d)
week: $(BUILD)/bench/week
	@WEEK_LONG=1 $<
day-cut: $(BUILD)/bench/day_cut
	@POWERCUT_LONG=1 $<
