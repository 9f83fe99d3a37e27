# Which files of the third-party libraries are built, and how; part of the Makefile.

SRC_lwip := $(patsubst %,src/%.c,$(addprefix core/,def inet_chksum init ip mem memp netif pbuf raw stats sys tcp tcp_in \
	tcp_out timeouts udp ipv4/dhcp ipv4/etharp ipv4/icmp ipv4/ip4 ipv4/ip4_addr ipv4/ip4_frag ipv6/ethip6 ipv6/icmp6 \
	ipv6/inet6 ipv6/ip6 ipv6/ip6_addr ipv6/ip6_frag ipv6/mld6 ipv6/nd6) netif/ethernet)
SRC_mbedtls = $(patsubst $(THIRD)/mbedtls/%,%,$(wildcard $(THIRD)/mbedtls/library/*.c))
SRC_bearssl = $(patsubst $(THIRD)/bearssl/%,%,$(wildcard $(addprefix $(THIRD)/bearssl/src/,*.c codec/*.c ec/*.c hash/*.c \
	int/*.c mac/*.c rand/*.c rsa/*.c)))
SRC_cjson := cJSON.c
INC_lwip := $(LWIP_INC)
INC_mbedtls := $(MBEDTLS_INC) -isystem $(THIRD)/mbedtls/library
INC_bearssl := $(BEARSSL_INC) -I$(THIRD)/bearssl/src
INC_cjson := $(CJSON_INC)
THIRD_LIBS := mbedtls lwip bearssl cjson
# Bulk ciphers gain a third of their speed from -O2, for 1.4 KB.
FAST_FILES := library/chacha20.c library/poly1305.c library/gcm.c library/aes.c
# BearSSL's arithmetic (src/int) goes without the address sanitizer: it would be most of the time of tests that verify signatures.

DEPS_STAMPS := $(THIRD_LIBS:%=$(THIRD)/%/.stamp)
$(DEPS_STAMPS):
	@echo "$(@D): the third-party sources are missing; run 'make deps'" >&2; exit 1

# $(call third_lib,VARIANT,LIBRARY,CROSS,CC)
define third_lib
$(BUILD)/$1/lib/lib$2.a: $(THIRD)/$2/.stamp $$(SRC_$2:%.c=$(BUILD)/$1/third/$2/%.o)
	@echo "$1: $$@"
	@mkdir -p $$(@D) && rm -f $$@
	@$3ar rcsD $$@ $$(filter %.o,$$^)
$(BUILD)/$1/third/$2/%.o: $(THIRD)/$2/%.c $(THIRD)/$2/.stamp $$(CONFIG_$2) $(BUILD)/$1/.flags | $(BUILD)/$1/inc/.stamp
	@mkdir -p $$(@D)
	$(Q)$4 -std=gnu11 -w -ffunction-sections -fdata-sections $$(INC_$2) $$($1_FLAGS) \
		$$(if $$(filter $(FAST_FILES),$$*.c),-O2) $$(if $$(filter src/int/%,$$*),-fno-sanitize=address) -c -o $$@ $$<
endef
CONFIG_mbedtls := toolchain/mbedtls_config.h toolchain/psa_config.h
CONFIG_lwip := $(wildcard toolchain/lwip_port/*.h toolchain/lwip_port/arch/*.h boards/*/lwip_sizes.h)
