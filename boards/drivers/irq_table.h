/* The devices that may end the sleep: shared by the interrupt controllers. */
#ifndef BOARDS_DRIVERS_IRQ_TABLE_H
#define BOARDS_DRIVERS_IRQ_TABLE_H

#include <stddef.h>

#include "boards/drivers/irq.h"

struct irq_table {
    size_t count;
    struct {
        unsigned id;
        void (*quiet)(void);
    } entry[IRQ_HANDLERS_MAX];
};

static inline enum rc irq_table_add(struct irq_table *t, unsigned id, void (*quiet)(void))
{
    if (t->count == IRQ_HANDLERS_MAX)
        return RC_FULL;
    t->entry[t->count].id = id;
    t->entry[t->count].quiet = quiet;
    t->count++;
    return RC_OK;
}

static inline void irq_table_quiet(const struct irq_table *t, unsigned id)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->entry[i].id == id)
            t->entry[i].quiet();
}

#endif
