# mps2-an500: a Cortex-M7 with 512 KiB of RAM; the small board.
BOARD_CROSS := arm-none-eabi-
BOARD_CFLAGS := -mcpu=cortex-m7 -mthumb -mfloat-abi=soft -Os -g
BOARD_LDFLAGS := -T boards/mps2-an500/mps2-an500.ld
BOARD_DRIVERS := switch_armv7m.S
