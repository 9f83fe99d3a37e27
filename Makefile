# Postern: one non-recursive Makefile. `make help` lists the targets.

BUILD := build
THIRD := $(BUILD)/third_party

deps:
	@toolchain/install-packages toolchain/packages.build toolchain/packages.test
	@toolchain/fetch-deps $(THIRD)

.PHONY: deps
