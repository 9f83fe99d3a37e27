/* QEMU's virt machine (highmem=off) with a Cortex-A7: where things are, and the sizes that this board chose. */
#ifndef BOARD_CONFIG_H
#define BOARD_CONFIG_H

#define BOARD_NAME "virt"

#define RAM_BASE 0x40000000u
#define RAM_BYTES 0x200000u

/* The second NOR bank; the first holds the code. */
#define FLASH_BASE 0x04000000u
#define FLASH_BYTES 0x04000000u

#define GICD_BASE 0x08000000u
#define GICC_BASE 0x08010000u
#define GIC_IRQS 128u

#define UART_BASE 0x09000000u
#define UART_CLOCK_HZ 24000000u
#define CONSOLE_BAUD 115200u
#define RTC_BASE 0x09010000u

#define VIRTIO_BASE 0x0a000000u
#define VIRTIO_STRIDE 0x200u
#define VIRTIO_SLOTS 32u

#define PCI_ECAM_BASE 0x3f000000u
#define WATCHDOG_PCI_ADDRESS 0x10000000u /* ours to choose, inside the window for PCI memory */

#define IRQ_TIMER 27u      /* virtual timer: PPI 11 */
#define IRQ_HANG_WATCH 30u /* physical timer: PPI 14 */
#define IRQ_UART 33u       /* SPI 1 */
#define IRQ_VIRTIO(slot) (48u + (slot))

/* The box is reset when the main loop does not come round for so long: many handshakes, also on a loaded host. */
#define WATCHDOG_PERIOD_MS 10000u

#endif
