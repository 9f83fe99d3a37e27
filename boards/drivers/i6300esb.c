/* Intel's 6300ESB watchdog, a PCI device (Intel 300641, chapter 15). Its first stage counts half of the
 * period and does nothing, its second stage the other half and then resets the box, and it remembers that it did. */
#include "boards/drivers/i6300esb.h"

#include "boards/drivers/mmio.h"
#include "board/board_config.h"

#define PCI_DEVICES 32
#define PCI_ID 0x00
#define PCI_COMMAND 0x04
#define PCI_BAR0 0x10
#define COMMAND_MEMORY 2
#define ID_6300ESB 0x25ab8086u

#define PCI_WDT_CONFIG 0x60   /* 16 bits */
#define PCI_WDT_LOCK 0x68     /* 8 bits */
#define CONFIG_NO_INTERRUPT 3 /* stage 1 is silent, 1 kHz, stage 2 resets */
#define LOCK_ENABLE 2

#define WDT_TIMER1 (WATCHDOG_PCI_ADDRESS + 0x00)
#define WDT_TIMER2 (WATCHDOG_PCI_ADDRESS + 0x04)
#define WDT_RELOAD (WATCHDOG_PCI_ADDRESS + 0x0c)
#define RELOAD_KICK 0x100
#define RELOAD_TIMED_OUT 0x200
#define UNLOCK1 0x80
#define UNLOCK2 0x86
#define TICK_HZ 1007u /* 33 MHz / 2^15 */

static bool present;

static uintptr_t config_base(unsigned device)
{
    return PCI_ECAM_BASE + device * 0x8000u;
}

/* The two writes that allow the next one to any register. */
static void unlock(void)
{
    mmio_write16(WDT_RELOAD, UNLOCK1);
    mmio_write16(WDT_RELOAD, UNLOCK2);
}

static bool find(uintptr_t *config)
{
    for (unsigned device = 0; device < PCI_DEVICES; device++) {
        *config = config_base(device);
        if (mmio_read32(*config + PCI_ID) == ID_6300ESB)
            return true;
    }
    return false;
}

static uintptr_t config;

bool i6300esb_init(void)
{
    present = find(&config);
    if (!present)
        return false;
    mmio_write32(config + PCI_BAR0, WATCHDOG_PCI_ADDRESS);
    mmio_write16(config + PCI_COMMAND, COMMAND_MEMORY);
    bool bit = mmio_read16(WDT_RELOAD) & RELOAD_TIMED_OUT;
    unlock();
    mmio_write16(WDT_RELOAD, RELOAD_TIMED_OUT);
    return bit;
}

bool i6300esb_present(void)
{
    return present;
}

void i6300esb_start(uint32_t period_ms)
{
    uint32_t stage = (uint32_t)((uint64_t)period_ms * TICK_HZ / 1000 / 2);
    if (!present)
        return;
    mmio_write16(config + PCI_WDT_CONFIG, CONFIG_NO_INTERRUPT);
    unlock();
    mmio_write32(WDT_TIMER1, stage);
    unlock();
    mmio_write32(WDT_TIMER2, stage);
    mmio_write8(config + PCI_WDT_LOCK, LOCK_ENABLE);
    i6300esb_kick();
}

void i6300esb_kick(void)
{
    if (!present)
        return;
    unlock();
    mmio_write16(WDT_RELOAD, RELOAD_KICK);
}
