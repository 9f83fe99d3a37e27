/* Interrupts without interrupt handlers: the processor runs with interrupts masked, a pending one only ends its sleep, and
 * irq_service then quiets the devices from the main loop. So nothing is ever shared with an interrupt context.
 * Implemented by gicv2.c and nvic.c. */
#ifndef BOARDS_DRIVERS_IRQ_H
#define BOARDS_DRIVERS_IRQ_H

#include "hal/base/rc.h"

#define IRQ_HANDLERS_MAX 8

/* Makes the controller quiet. Call once, before irq_enable. */
void irq_init(void);
/* Lets interrupt id end the sleep. quiet() must make the device's line drop. RC_FULL: more than IRQ_HANDLERS_MAX. */
enum rc irq_enable(unsigned id, void (*quiet)(void)) MUST_CHECK;
/* Quiets every device whose interrupt is pending. Called after each sleep, else the next one ends at once. */
void irq_service(void);

/* Lets interrupt id through as FIQ, which is not masked: its exception handler never returns. gicv2.c only. */
void irq_enable_fast(unsigned id);

#endif
