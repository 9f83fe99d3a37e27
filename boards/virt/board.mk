# virt: QEMU's Cortex-A7 machine, executing from NOR; the reference board.
BOARD_CROSS := arm-none-eabi-
# Optimised as one program: 18 KB less. A function called once stays one: inlined, it would hold its frame through its caller's waits.
BOARD_CFLAGS := -mcpu=cortex-a7 -mthumb -mfloat-abi=soft -Os -flto=2 -ffat-lto-objects -fno-inline-functions-called-once -g
BOARD_LDFLAGS := -T boards/virt/virt.ld
BOARD_DRIVERS := switch_arm.S bare_board.c cfi_nor.c console_uart.c crash.c flash_queue.c generic_timer.c gicv2.c i6300esb.c libc_stubs.c \
	pl011.c pl031.c reset.c ticks.c virtio_mmio.c virtio_net.c virtio_rng.c
# A NOR bank is exactly 64 MiB.
BOARD_CODE_IMAGE_BYTES := 67108864
