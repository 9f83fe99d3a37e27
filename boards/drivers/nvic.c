/* The nested vectored interrupt controller of ARMv7-M (B3.4). Interrupts stay masked by PRIMASK; a pending one ends the sleep. */
#include "boards/drivers/irq_table.h"
#include "boards/drivers/mmio.h"

#define NVIC_ISER(n) (0xe000e100u + 4 * (n))
#define NVIC_ICER(n) (0xe000e180u + 4 * (n))
#define NVIC_ISPR(n) (0xe000e200u + 4 * (n))
#define NVIC_ICPR(n) (0xe000e280u + 4 * (n))
#define NVIC_REGISTERS 8u

static struct irq_table table;

void irq_init(void)
{
    for (unsigned n = 0; n < NVIC_REGISTERS; n++) {
        mmio_write32(NVIC_ICER(n), 0xffffffff);
        mmio_write32(NVIC_ICPR(n), 0xffffffff);
    }
}

enum rc irq_enable(unsigned id, void (*quiet)(void))
{
    enum rc rc = irq_table_add(&table, id, quiet);
    if (rc == RC_OK)
        mmio_write32(NVIC_ISER(id / 32), 1u << id % 32);
    return rc;
}

/* Forgotten first, quieted then: what the device raises after that is pending anew. */
void irq_service(void)
{
    for (unsigned i = 0; i < table.count; i++) {
        unsigned id = table.entry[i].id;
        if (!(mmio_read32(NVIC_ISPR(id / 32)) & 1u << id % 32))
            continue;
        mmio_write32(NVIC_ICPR(id / 32), 1u << id % 32);
        table.entry[i].quiet();
    }
}
