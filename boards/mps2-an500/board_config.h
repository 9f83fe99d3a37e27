/* ARM's MPS2 FPGA board with application note 500 (Cortex-M7), as QEMU has it: where things are, and the sizes that this
 * board chose. */
#ifndef BOARD_CONFIG_H
#define BOARD_CONFIG_H

#define BOARD_NAME "mps2-an500"

#define SYSTEM_CLOCK_HZ 25000000u

#define CODE_BASE 0x00000000u
#define RAM_BASE 0x20000000u
#define RAM_BYTES 0x80000u /* of 4 MiB: the budget of a small board */

/* There is no flash on the board: a file in the directory that QEMU was started from. */
#define FLASH_FILE "data.img"
#define FLASH_BYTES 0x1000000u
#define FLASH_BLOCK_BYTES 4096u
#define FLASH_UNIT_BYTES 4u

#define ENTROPY_FILE "/dev/urandom"

#define UART_BASE 0x40004000u
#define CONSOLE_BAUD 115200u
#define WATCHDOG_BASE 0x40008000u
#define FPGAIO_BASE 0x40028000u
#define ETHERNET_BASE 0xa0000000u

#define IRQ_UART_RX 0u
#define IRQ_ETHERNET 13u

/* The box is reset when the main loop does not come round for so long: many handshakes, also on a loaded host. */
#define WATCHDOG_PERIOD_MS 10000u

#endif
