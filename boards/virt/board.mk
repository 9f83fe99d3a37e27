# virt: QEMU's Cortex-A7 machine, executing from NOR; the reference board.
BOARD_CROSS := arm-none-eabi-
BOARD_CFLAGS := -mcpu=cortex-a7 -marm -mfloat-abi=soft -Os -g
BOARD_LDFLAGS := -T boards/virt/virt.ld
BOARD_DRIVERS := switch_arm.S
# A NOR bank is exactly 64 MiB.
BOARD_CODE_IMAGE_BYTES := 67108864
