# Postern: one non-recursive Makefile; `make help` lists the targets. Each board is built in variants of its own:
# build/<variant>/, where posix also has posix-asan (SAN=1, unit tests) and posix-fuzz. toolchain/README.md is the map.

MAKEFLAGS += --no-print-directory --no-builtin-rules --no-builtin-variables
.SUFFIXES:
.DELETE_ON_ERROR:

BUILD := build
THIRD := $(BUILD)/third_party
PYTHON := /usr/bin/python3
BOARDS := posix virt mps2-an500
FLOORS := hal net policy firmware

ifdef BOARD
ifeq ($(filter $(BOARD),$(BOARDS)),)
$(error BOARD=$(BOARD): no such board; there are: $(BOARDS))
endif
endif
ifeq ($(SAN),1)
ifneq ($(or $(BOARD),posix),posix)
$(error SAN=1: the sanitizers run on the posix board only)
endif
WANTED := posix-asan
else
WANTED := $(or $(BOARD),$(BOARDS))
endif

all: $(WANTED) $(if $(BOARD),,tools)

# V=1 shows whole command lines.
ifneq ($(V),1)
Q := @
endif

# --- Flags ---------------------------------------------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wmissing-prototypes
# char is unsigned on ARM; so it is in the tests on the host. Paths of the machine stay out of the outputs.
OURS := $(WARNINGS) -funsigned-char -ffunction-sections -fdata-sections -fno-common \
	-include hal/base/poison.h
DEPFLAGS = -MD -MP
# The language of a file: ISO C above the boards; boards, tests and host tools also use the system's functions.
standard = $(if $(filter boards/% toolchain/% tests/%,$1),-std=gnu11,-std=c11)

# What a file may include: build/inc/<room>/ holds links to the folders that its floor sees, and nothing else.
ROOMS := hal-base hal-crypto hal net policy firmware boards tests toolchain
SEES_hal-base := hal/base
SEES_hal-crypto := hal/base hal/crypto
SEES_hal := hal
SEES_net := net hal
SEES_policy := policy hal/base hal/crypto
SEES_firmware := firmware net policy hal
SEES_boards := boards hal
SEES_tests := tests toolchain boards firmware net policy hal
SEES_toolchain := toolchain firmware net policy hal
room = $(or $(if $(filter hal/base/%,$1),hal-base),$(if $(filter hal/crypto/%,$1),hal-crypto),$(firstword $(subst /, ,$1)))

# Third-party headers are for these files alone.
LWIP_INC := -isystem toolchain/lwip_port -isystem $(THIRD)/lwip/src/include
MBEDTLS_INC := -isystem $(THIRD)/mbedtls/include -DMBEDTLS_CONFIG_FILE='<mbedtls_config.h>' -isystem toolchain
BEARSSL_INC := -isystem $(THIRD)/bearssl/inc
CJSON_INC := -isystem $(THIRD)/cjson
third = $(if $(filter net/lwip_%,$1),$(LWIP_INC)) \
	$(if $(filter net/tls% net/x509% hal/crypto/mbedtls%,$1),$(MBEDTLS_INC)) \
	$(if $(filter hal/crypto/bearssl%,$1),$(BEARSSL_INC)) \
	$(if $(or $(filter json%,$(notdir $1)),$(filter toolchain/tools/% tests/unit/tools/%,$1)),$(CJSON_INC))
our_flags = $(call standard,$1) $(OURS) -I$(BUILD)/inc/$(call room,$1) $(call third,$1)

INC_STAMP := $(BUILD)/inc/.stamp
$(INC_STAMP): Makefile
	@rm -rf $(BUILD)/inc
	@$(foreach r,$(ROOMS),$(foreach d,$(SEES_$r),mkdir -p $(BUILD)/inc/$r/$(dir $d) && \
		ln -sfn $(CURDIR)/$d $(BUILD)/inc/$r/$d;))
	@touch $@

# --- Sources -------------------------------------------------------------------------------------------------------------

SRC_hal := $(wildcard hal/*.c hal/base/*.c hal/crypto/*.c)
SRC_net := $(wildcard net/*.c)
SRC_policy := $(wildcard policy/*.c)
SRC_firmware := $(wildcard firmware/*.c)
SRC_tools := $(wildcard toolchain/tools/common/*.c) # what host tools share; tests use it too

include toolchain/third_party.mk

# --- One variant of one board ----------------------------------------------------------------------------------------------
# $(call variant,NAME,BOARD,CROSS,CC,CFLAGS,FLAGS OF OUR FILES): the floors' and third parties' libraries, and the board's
# own objects. The firmware's linking follows below, as it differs between ARM and the host.

define variant
$1_FLAGS := $5 -ffile-prefix-map=$(CURDIR)=. -I$(BUILD)/$1/inc
# Written only if its text changed: what was built with other flags is built anew.
$(BUILD)/$1/.flags: export TEXT := $4 $$($1_FLAGS) $6 $(OURS) $(LWIP_INC) $(MBEDTLS_INC) $(FAST_FILES)
$(BUILD)/$1/.flags: FORCE
	@mkdir -p $$(@D) && { echo "$$$$TEXT" | cmp -s - $$@ || echo "$$$$TEXT" >$$@; }
$1_BOARD_SRC := $$(wildcard boards/$2/*.c boards/$2/*.S) $$(addprefix boards/drivers/,$$(BOARD_DRIVERS))
$1_BOARD_OBJ := $$(patsubst %,$(BUILD)/$1/obj/%.o,$$(basename $$($1_BOARD_SRC)))
$1_THIRD := $$(THIRD_LIBS:%=$(BUILD)/$1/lib/lib%.a)
$1_FLOORS := $$(foreach f,$(FLOORS),$$(if $$(SRC_$$f),$(BUILD)/$1/lib/lib$$f.a))
$1_LIBS := $$($1_FLOORS) $$($1_THIRD)
$1_KEYRING := $(BUILD)/$1/obj/factory_keyring.o
$$($1_KEYRING): $(BUILD)/factory_keyring.c $(BUILD)/$1/.flags
	@mkdir -p $$(@D)
	$(Q)$4 -std=c11 $(WARNINGS) $$($1_FLAGS) $6 -c -o $$@ $$<

# A board's *_sizes.h (plans of memory, for any floor) and *_config.h (addresses, for drivers) are included as "board/...".
$(BUILD)/$1/inc/.stamp: Makefile $$(wildcard boards/$2/*_sizes.h boards/$2/*_config.h)
	@rm -rf $(BUILD)/$1/inc && mkdir -p $(BUILD)/$1/inc/board
	@for h in $$(wildcard boards/$2/*_sizes.h boards/$2/*_config.h); do ln -sfn $(CURDIR)/$$$$h $(BUILD)/$1/inc/board/; done
	@touch $$@

$(BUILD)/$1/obj/%.o: %.c $(BUILD)/$1/.flags | $(INC_STAMP) $(BUILD)/$1/inc/.stamp $(DEPS_STAMPS)
	@mkdir -p $$(@D)
	@echo "$1: $$<"
	$(Q)$4 $$(call our_flags,$$<) $$($1_FLAGS) $6 $(DEPFLAGS) -c -o $$@ $$<
$(BUILD)/$1/obj/%.o: %.S $(BUILD)/$1/.flags | $(BUILD)/$1/inc/.stamp
	@mkdir -p $$(@D)
	@echo "$1: $$<"
	$(Q)$4 $$($1_FLAGS) $(DEPFLAGS) -c -o $$@ $$<

$$(foreach l,$(FLOORS),$$(eval $$(call floor_lib,$1,$$l,$3)))
$$(foreach l,$(THIRD_LIBS),$$(eval $$(call third_lib,$1,$$l,$3,$4)))

$1: $$($1_LIBS) $$(if $$(and $$(wildcard firmware/main.c),$$($1_BOARD_SRC)),$$($1_PROGRAM))
.PHONY: $1
-include $$(patsubst %.o,%.d,$$($1_BOARD_OBJ) $$(foreach f,$(FLOORS),$$(SRC_$$f:%.c=$(BUILD)/$1/obj/%.o)))
endef

# Archives are made anew: `ar r` would keep objects whose source is gone. D: no timestamps.
define floor_lib
$(BUILD)/$1/lib/lib$2.a: $$(SRC_$2:%.c=$(BUILD)/$1/obj/%.o)
	@mkdir -p $$(@D) && rm -f $$@
	@$3ar rcsD $$@ $$^
endef

# A firmware that proves a board by hal/'s contracts, for tests/e2e.
SELFTEST_SRC := $(wildcard tests/board/*.c)

ARM_LDFLAGS := --specs=picolibc.specs -nostartfiles -Wl,--gc-sections -Wl,-z,noexecstack -Wl,--fatal-warnings \
	-Wl,--no-warn-rwx-segments

define arm_board
BOARD_CODE_IMAGE_BYTES :=
include boards/$1/board.mk
$1_CROSS := $$(BOARD_CROSS)
$1_IMAGE_BYTES := $$(BOARD_CODE_IMAGE_BYTES)
$1_PROGRAM := $(BUILD)/$1/postern.elf $$(if $$(BOARD_CODE_IMAGE_BYTES),$(BUILD)/$1/code.img)
$1_LDFLAGS := $$(BOARD_CFLAGS) $$(BOARD_LDFLAGS) $(ARM_LDFLAGS)
$$(eval $$(call variant,$1,$1,$$($1_CROSS),$$($1_CROSS)gcc,$$(BOARD_CFLAGS) --specs=picolibc.specs))
$(BUILD)/$1/postern.elf: $$($1_BOARD_OBJ) $$($1_KEYRING) $$($1_LIBS) $$(wildcard boards/$1/*.ld) toolchain/pack-texts
	@echo "$1: $$@"
	$(Q)$$($1_CROSS)gcc -o $$@ $$($1_BOARD_OBJ) $$($1_KEYRING) -Wl,--start-group $$($1_LIBS) -Wl,--end-group \
		$$($1_LDFLAGS) -Wl,-Map=$$(@:.elf=.map)
	$(Q)toolchain/pack-texts $$@
$(BUILD)/$1/selftest.elf: $$($1_BOARD_OBJ) $(SELFTEST_SRC:%.c=$(BUILD)/$1/obj/%.o) $(BUILD)/$1/lib/libpolicy.a $(BUILD)/$1/lib/libhal.a $$(wildcard boards/$1/*.ld) toolchain/pack-texts
	@echo "$1: $$@"
	$(Q)$$($1_CROSS)gcc -o $$@ $$(filter %.o %.a,$$^) $$($1_LDFLAGS)
	$(Q)toolchain/pack-texts $$@
$(BUILD)/$1/obj/tests/board/selftest_list.o: tests/vectors/list/small.list
-include $(SELFTEST_SRC:%.c=$(BUILD)/$1/obj/%.d)
selftest: $$(if $$(wildcard boards/$1/*.ld),$(BUILD)/$1/selftest.$$(if $$(BOARD_CODE_IMAGE_BYTES),img,elf))
$(BUILD)/$1/selftest.img: $(BUILD)/$1/selftest.elf
$(BUILD)/$1/code.img: $(BUILD)/$1/postern.elf
$(BUILD)/$1/selftest.img $(BUILD)/$1/code.img:
	$(Q)$$($1_CROSS)objcopy -O binary $$< $$@.part
	@[ $$$$(stat -c %s $$@.part) -le $$($1_IMAGE_BYTES) ] || { echo "$$@: larger than its flash" >&2; exit 1; }
	@truncate -s $$($1_IMAGE_BYTES) $$@.part && mv $$@.part $$@
endef

# $(call posix_variant,NAME,CC,CFLAGS,FLAGS OF OUR FILES,VARIANT WHOSE THIRD-PARTY LIBRARIES IT LINKS)
define posix_variant
include boards/posix/board.mk
$1_PROGRAM := $(BUILD)/$1/postern
$1_LDFLAGS := $$(BOARD_LDFLAGS) -Wl,--gc-sections $3 $4 -lm
$$(eval $$(call variant,$1,posix,,$2,$$(BOARD_CFLAGS) $3,$4))
$1_LIBS := $$($1_FLOORS) $$($5_THIRD)
$$(eval $$(call floor_lib,$1,tools,))
-include $$(SRC_tools:%.c=$(BUILD)/$1/obj/%.d)
$1_TEST_LIBS := $(BUILD)/$1/lib/libboard.a $$($1_LIBS)
$(BUILD)/$1/postern: $$($1_BOARD_OBJ) $$($1_KEYRING) $$($1_LIBS)
	@echo "$1: $$@"
	$(Q)$2 -o $$@ $$($1_BOARD_OBJ) $$($1_KEYRING) -Wl,--start-group $$($1_LIBS) -Wl,--end-group $$($1_LDFLAGS)
$(BUILD)/$1/lib/libboard.a: $$(filter-out %/main.o,$$($1_BOARD_OBJ))
	@mkdir -p $$(@D) && rm -f $$@
	@ar rcsD $$@ $$^
endef

ASAN := -fsanitize=address -fno-omit-frame-pointer
UBSAN := -fsanitize=undefined -fno-sanitize-recover=undefined
$(foreach b,$(filter-out posix,$(BOARDS)),$(eval $(call arm_board,$b)))
$(eval $(call posix_variant,posix,gcc,,,posix))
$(eval $(call posix_variant,posix-asan,gcc,$(ASAN),$(UBSAN),posix-asan))
$(eval $(call posix_variant,posix-fuzz,clang,$(ASAN) -fsanitize=fuzzer-no-link,$(UBSAN),posix))

# On posix too: the board's own objects with the self-test in the appliance's place.
$(BUILD)/posix/obj/tests/board/selftest_list.o: tests/vectors/list/small.list
$(BUILD)/posix/selftest: $(posix_BOARD_OBJ) $(SELFTEST_SRC:%.c=$(BUILD)/posix/obj/%.o) $(BUILD)/posix/lib/libpolicy.a $(BUILD)/posix/lib/libhal.a
	@echo "posix: $@"
	$(Q)gcc -o $@ $^ $(posix_LDFLAGS)
selftest: $(if $(wildcard boards/posix/*.c),$(BUILD)/posix/selftest)

# --- Host tools: toolchain/tools/X/*.c becomes build/tools/X ---------------------------------------------------------------

TOOLS := $(filter-out common,$(patsubst toolchain/tools/%/,%,$(sort $(dir $(wildcard toolchain/tools/*/*.c)))))
tools: $(TOOLS:%=$(BUILD)/tools/%)
# Libraries of the system, for the one tool that asks the internet; none of our names may stand in for one of theirs.
TOOL_LIBS_postern-observe := -Wl,--exclude-libs,ALL -lcurl -lcares
define tool
$(BUILD)/tools/$1: $$(patsubst %.c,$(BUILD)/posix/obj/%.o,$$(wildcard toolchain/tools/$1/*.c)) $(BUILD)/posix/lib/libtools.a $(posix_TEST_LIBS)
	@mkdir -p $$(@D)
	@echo "tool: $$@"
	$(Q)gcc -o $$@ $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $(posix_LDFLAGS) $$(TOOL_LIBS_$1)
-include $$(patsubst %.c,$(BUILD)/posix/obj/%.d,$$(wildcard toolchain/tools/$1/*.c))
endef
$(foreach t,$(TOOLS),$(eval $(call tool,$t)))

include toolchain/tests.mk

# --- Checks and reports ------------------------------------------------------------------------------------------------------

OUR_C := $(sort $(wildcard $(foreach d,hal hal/base hal/crypto net policy firmware boards/* boards/drivers tests/* tests/unit/* \
	tests/bench/cortex toolchain/tools/* toolchain/lwip_port toolchain,$d/*.c $d/*.h)))
check: $(INC_STAMP)
	@toolchain/check-style $(OUR_C)
	@toolchain/check-arrows $(BUILD)/inc
	@toolchain/check-lint $(BUILD) $(OUR_C)
format:
	@clang-format -i $(OUR_C)
size: virt mps2-an500
	@toolchain/size-report $(foreach b,virt mps2-an500,$(BUILD)/$b/postern.elf)

# --- Signing keys ----------------------------------------------------------------------------------------------------------

# The factory keyring goes into every firmware: of the keys in KEYS, made where there are none. The same keys, the same bytes.
KEYS := $(BUILD)/keys
export POSTERN_KEYS := $(abspath $(KEYS))
ifeq ($(wildcard $(KEYS)/keyring.img),)
$(KEYS)/keyring.img: $(BUILD)/tools/postern-image
	@$< keys
endif
# Written only if its text changed: KEYS may be another folder than the last time.
$(BUILD)/factory_keyring.c: $(KEYS)/keyring.img toolchain/embed-keyring FORCE
	@toolchain/embed-keyring $< $@
tools: $(KEYS)/keyring.img

# --- What people call --------------------------------------------------------------------------------------------------------

deps:
	@toolchain/install-packages toolchain/packages.build toolchain/packages.test toolchain/packages.bench
	@toolchain/fetch-deps $(THIRD)
# These start on a machine that may lack the sources which the rules above find by wildcard: hence a second make.
test:
	@$(MAKE) deps
	@toolchain/fetch-deps --verify $(THIRD)
	@$(MAKE) check
	@$(MAKE) all size
	@$(MAKE) unit vectors fuzz-short powercut
	@$(MAKE) -k -Otarget tools-test e2e
	@$(MAKE) size
demo run:
	@$(MAKE) deps
	@$(MAKE) virt tools
	@toolchain/$@
# A data.img that is there holds a box's settings, keys and mail: it is never written over.
ROOTS := /etc/ssl/certs/ca-certificates.crt
ifneq ($(and $(filter image,$(MAKECMDGOALS)),$(SETTINGS)$(LIST)),)
HAD := $(wildcard $(foreach b,$(or $(BOARD),$(BOARDS)),$(BUILD)/$b/data.img))
$(if $(HAD),$(error $(HAD): there already, and kept as it is; move it away to make one with SETTINGS or LIST))
endif
image: $(foreach b,$(or $(BOARD),$(BOARDS)),$b $(BUILD)/$b/data.img)
	@ls -l $(foreach b,$(or $(BOARD),$(BOARDS)),$($b_PROGRAM) $(BUILD)/$b/data.img)
$(BOARDS:%=$(BUILD)/%/data.img): $(BUILD)/%/data.img: | tools
	$(BUILD)/tools/postern-image data --board $* --roots $(ROOTS) $(if $(SETTINGS),--settings $(SETTINGS)) \
		$(if $(LIST),--list $(LIST)) -o $@
# Sources of the libraries, signing keys and boxes' flash are no build's to remove.
clean:
	@[ ! -d $(BUILD) ] || find $(BUILD) \( -path $(THIRD) -o -path $(BUILD)/keys \) -prune -o \
		! -type d ! -name data.img -exec rm -f {} +
	@[ ! -d $(BUILD) ] || find $(BUILD) -depth -type d -empty -delete
help:
	@sed -n 's/^| \(`make.*\) |$$/\1/p' toolchain/README.md | sed 's/`//g; s/ | /\t/' | expand -t 26

.PHONY: all deps tools selftest tests-built test-programs unit vectors powercut fuzz fuzz-short tools-test e2e bench bench-programs check format \
	size test demo run image clean help week day-cut FORCE
