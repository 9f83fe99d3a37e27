# mps2-an500: a Cortex-M7 with 512 KiB of RAM; the small board.
BOARD_CROSS := arm-none-eabi-
# Optimised as one program: 18 KB less. A function called once stays one: inlined, it would hold its frame through its caller's waits.
BOARD_CFLAGS := -mcpu=cortex-m7 -mthumb -mfloat-abi=soft -Os -flto=2 -ffat-lto-objects -fno-inline-functions-called-once -g
BOARD_LDFLAGS := -T boards/mps2-an500/mps2-an500.ld
BOARD_DRIVERS := switch_armv7m.S bare_board.c cmsdk_uart.c cmsdk_watchdog.c console_uart.c crash.c flash_queue.c fpgaio_clock.c lan9118.c \
	libc_stubs.c nvic.c reset.c semihosting.c semihosting_entropy.c semihosting_flash.c semihosting_rtc.c systick.c ticks.c
