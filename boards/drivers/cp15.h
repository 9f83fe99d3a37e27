/* Registers of ARMv7-A's system coprocessor. DEFINE_CP15_READ(name, op1, "CRn, CRm, op2") defines name(), which
 * reads one. */
#ifndef BOARDS_DRIVERS_CP15_H
#define BOARDS_DRIVERS_CP15_H

#include <stdint.h>

#define DEFINE_CP15_READ(name, opc1, where)                           \
    static uint32_t name(void)                                        \
    {                                                                 \
        uint32_t v;                                                   \
        __asm__ volatile("mrc p15, " #opc1 ", %0, " where : "=r"(v)); \
        return v;                                                     \
    }

#endif
