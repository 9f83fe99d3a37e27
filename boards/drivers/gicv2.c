/* ARM GICv2 (IHI 0048B): enables what may end the sleep and acknowledges it. Those are of group 1, signalled as IRQ, and stay
 * masked in the processor; group 0 is signalled as FIQ. */
#include "boards/drivers/irq_table.h"
#include "boards/drivers/mmio.h"
#include "board/board_config.h"

#define GICD_CTLR (GICD_BASE + 0x000)
#define GICD_IGROUPR(n) (GICD_BASE + 0x080 + 4 * (n))
#define GICD_ISENABLER(n) (GICD_BASE + 0x100 + 4 * (n))
#define GICD_ICENABLER(n) (GICD_BASE + 0x180 + 4 * (n))
#define GICD_ITARGETSR(id) (GICD_BASE + 0x800 + (id))
#define GICC_CTLR (GICC_BASE + 0x000)
#define GICC_PMR (GICC_BASE + 0x004)
#define GICC_IAR (GICC_BASE + 0x00c)
#define GICC_EOIR (GICC_BASE + 0x010)

#define GICD_BOTH_GROUPS 3u
#define GICC_BOTH_GROUPS 3u
#define GICC_ACK_GROUP1 4u /* reading IAR acknowledges group 1 too */
#define GICC_GROUP0_IS_FIQ 8u
#define FIRST_SPI 32
#define SPURIOUS_MIN 1020

static struct irq_table table;

void irq_init(void)
{
    mmio_write32(GICD_CTLR, 0);
    for (unsigned n = 0; n < GIC_IRQS / 32; n++) {
        mmio_write32(GICD_ICENABLER(n), 0xffffffff);
        mmio_write32(GICD_IGROUPR(n), 0xffffffff);
    }
    mmio_write32(GICC_PMR, 0xff);
    mmio_write32(GICC_CTLR, GICC_BOTH_GROUPS | GICC_ACK_GROUP1 | GICC_GROUP0_IS_FIQ);
    mmio_write32(GICD_CTLR, GICD_BOTH_GROUPS);
}

enum rc irq_enable(unsigned id, void (*quiet)(void))
{
    enum rc rc = irq_table_add(&table, id, quiet);
    if (rc != RC_OK)
        return rc;
    if (id >= FIRST_SPI)
        mmio_write8(GICD_ITARGETSR(id), 1);
    mmio_write32(GICD_ISENABLER(id / 32), 1u << id % 32);
    return RC_OK;
}

void irq_enable_fast(unsigned id)
{
    uint32_t groups = mmio_read32(GICD_IGROUPR(id / 32));
    mmio_write32(GICD_IGROUPR(id / 32), groups & ~(1u << id % 32));
    mmio_write32(GICD_ISENABLER(id / 32), 1u << id % 32);
}

void irq_service(void)
{
    for (;;) {
        uint32_t iar = mmio_read32(GICC_IAR);
        if ((iar & 0x3ff) >= SPURIOUS_MIN)
            return;
        irq_table_quiet(&table, iar & 0x3ff);
        mmio_write32(GICC_EOIR, iar);
    }
}
