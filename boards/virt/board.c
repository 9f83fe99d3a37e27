/* virt: brings the devices up in order, sleeps, and resets through PSCI. */
#include "hal/board.h"

#include "boards/drivers/flash_device.h"
#include "boards/drivers/i6300esb.h"
#include "boards/drivers/irq.h"
#include "boards/drivers/retained.h"
#include "boards/drivers/sleep_timer.h"
#include "boards/drivers/uart.h"
#include "boards/drivers/virtio_rng.h"
#include "hal/base/span.h"
#include "hal/console.h"
#include "boards/virt/mmu.h"
#include "board/board_config.h"

#define PSCI_SYSTEM_RESET 0x84000009u

void board_main(void) __attribute__((noreturn)); /* from start.S */

void board_main(void)
{
    mmu_start();
    uart_init();
    reset_reason_init(i6300esb_init());
    firmware_main();
}

const char *board_name(void)
{
    return BOARD_NAME;
}

static void say(const char *what)
{
    struct span s = span_of(what);
    console_write(s.p, s.len);
}

static enum rc flash_up(void)
{
    enum rc rc = flash_device_init();
    if (rc == RC_OK && flash_geometry()->size_bytes != FLASH_BYTES)
        rc = RC_UNSUPPORTED;
    if (rc == RC_NOT_FOUND)
        say("flash: no second NOR bank\r\n");
    else if (rc != RC_OK)
        say("flash: the second NOR bank is not of 64 MiB in two x16 chips\r\n");
    return rc;
}

/* Without entropy or a watchdog the box still runs; both say so where it matters. */
static void report_missing(enum rc rng)
{
    if (rng != RC_OK)
        say("entropy: no usable virtio device\r\n");
    if (!i6300esb_present())
        say("watchdog: none\r\n");
}

enum rc board_init(void)
{
    irq_init();
    if (sleep_timer_init() != RC_OK || uart_irq_init(console_poll) != RC_OK) {
        say("board: timer or console failed\r\n");
        return RC_IO;
    }
    report_missing(virtio_rng_init());
    return flash_up() == RC_OK ? RC_OK : RC_IO;
}

void board_idle(struct deadline d)
{
    if (flash_busy())
        return; /* it advances in flash_poll only, without an interrupt */
    sleep_timer_arm(d);
    __asm__ volatile("dsb\n wfi" : : : "memory");
    sleep_timer_disarm();
    irq_service();
}

void board_reset(void)
{
    register uint32_t function __asm__("r0") = PSCI_SYSTEM_RESET;
    __asm__ volatile(".arch_extension virt\n hvc #0" : "+r"(function) : : "r1", "r2", "r3", "memory");
    for (;;) {
    }
}
