/* Start, exceptions and the panic entry of virt. The core runs in SVC mode with IRQ masked for ever; whatever exception is taken,
 * FIQ too, is fatal. Page 0 holds only the reset branch and is unmapped later, so that a NULL pointer faults. */
    .syntax unified
    .arm

#define MODE_FIQ 0x11
#define MODE_SVC 0x13
#define MODE_ABT 0x17
#define MODE_UND 0x1b

#define TRAP_UNDEFINED 0
#define TRAP_PREFETCH 1
#define TRAP_DATA 2
#define TRAP_SVC 3
#define TRAP_IRQ 4
#define TRAP_FIQ 5

#define FRAME_BYTES 72 /* struct crash_registers, kept a multiple of 8 */

    .section .reset, "ax"
    .global _start
_start:
    ldr pc, =reset
    .ltorg

    .text
    .balign 32
vectors:
    b reset
    b trap_undefined
    b trap_svc
    b trap_prefetch
    b trap_data
    b .
    b trap_irq
    b trap_fiq

reset:
    cpsid if, #MODE_SVC
    /* Whatever a boot loader left on: off, until the map is there. */
    mrc p15, 0, r0, c1, c0, 0
    bic r0, r0, #0x1000         /* I */
    bic r0, r0, #0x0005         /* C, M */
    bic r0, r0, #0x2000         /* V: vectors from VBAR */
    mcr p15, 0, r0, c1, c0, 0
    isb
    ldr r0, =vectors
    mcr p15, 0, r0, c12, c0, 0
    ldr r0, =crash_stack
    add r0, r0, #2048           /* CRASH_STACK_BYTES */
    cps #MODE_ABT
    mov sp, r0
    cps #MODE_UND
    mov sp, r0
    cps #MODE_FIQ
    mov sp, r0
    cps #MODE_SVC
    ldr sp, =main_stack_top
    /* errno is the only thread-local variable there is, and all tasks share it. */
    ldr r0, =__tls_pointer
    mcr p15, 0, r0, c13, c0, 3  /* TPIDRURO */

    ldr r0, =__data_start
    ldr r1, =__data_end
    ldr r2, =__data_load
1:  cmp r0, r1
    ldrlo r3, [r2], #4
    strlo r3, [r0], #4
    blo 1b
    ldr r0, =__bss_start
    ldr r1, =__bss_end
    mov r3, #0
2:  cmp r0, r1
    strlo r3, [r0], #4
    blo 2b
    bl board_main
    b .

/* Keeps the registers of the interrupted code on the exception mode's stack and reports. */
    .macro trap kind, pc_offset
    sub lr, lr, #\pc_offset
    sub sp, sp, #FRAME_BYTES
    stmia sp, {r0-r7}
    mov r0, #\kind
    b trap_common
    .endm

trap_undefined:
    trap TRAP_UNDEFINED, 4
trap_svc:
    cps #MODE_UND               /* its own stack may be what is wrong */
    trap TRAP_SVC, 4
trap_prefetch:
    trap TRAP_PREFETCH, 4
trap_data:
    trap TRAP_DATA, 8
trap_irq:
    cps #MODE_UND
    trap TRAP_IRQ, 4
trap_fiq:
    trap TRAP_FIQ, 4

trap_common:
    mov r1, sp
    str lr, [r1, #60]
    mrs r2, spsr
    str r2, [r1, #64]
    mrs r3, cpsr
    cps #MODE_SVC
    add r2, r1, #32
    stmia r2!, {r8-r12}
    str sp, [r2], #4
    str lr, [r2]
    msr cpsr_c, r3
    bl trap_report
    b .

/* void board_panic(const char *why) */
    .global board_panic
    .type board_panic, %function
board_panic:
    cpsid if
    ldr r12, =panic_registers
    stmia r12!, {r0-r11}
    add r12, r12, #4            /* r12 itself is anybody's to lose */
    str sp, [r12], #4
    str lr, [r12], #4
    str lr, [r12], #4
    mrs r1, cpsr
    str r1, [r12]
    ldr sp, =crash_stack
    add sp, sp, #2048
    ldr r1, =panic_registers
    bl crash_panic
    b .
    .size board_panic, . - board_panic

    .ltorg

    .bss
    .balign 8
panic_registers:
    .space FRAME_BYTES
    .section .note.GNU-stack, "", %progbits
