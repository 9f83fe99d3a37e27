/* virt: brings the devices up in order and resets through PSCI. */
#include "hal/board.h"

#include "boards/drivers/bare_board.h"
#include "boards/drivers/flash_device.h"
#include "boards/drivers/i6300esb.h"
#include "boards/drivers/retained.h"
#include "boards/drivers/uart.h"
#include "boards/drivers/virtio_rng.h"
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

static enum rc flash_up(void)
{
    enum rc rc = flash_device_init();
    if (rc == RC_OK && flash_geometry()->size_bytes != FLASH_BYTES)
        rc = RC_UNSUPPORTED;
    if (rc == RC_NOT_FOUND)
        bare_say("flash: no second NOR bank\r\n");
    else if (rc != RC_OK)
        bare_say("flash: the second NOR bank is not of 64 MiB in two x16 chips\r\n");
    return rc;
}

/* Without entropy or a watchdog the box still runs; both say so where it matters. */
static void report_missing(enum rc rng)
{
    if (rng != RC_OK)
        bare_say("entropy: no usable virtio device\r\n");
    if (!i6300esb_present())
        bare_say("watchdog: none\r\n");
}

enum rc board_init(void)
{
    if (bare_start() != RC_OK)
        return RC_IO;
    report_missing(virtio_rng_init());
    return flash_up() == RC_OK ? RC_OK : RC_IO;
}

void board_reset(void)
{
    register uint32_t function __asm__("r0") = PSCI_SYSTEM_RESET;
    __asm__ volatile(".arch_extension virt\n hvc #0" : "+r"(function) : : "r1", "r2", "r3", "memory");
    for (;;) {
    }
}
