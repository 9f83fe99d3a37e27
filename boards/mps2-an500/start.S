/* Start, exceptions and the panic entry of mps2-an500. Thread mode runs on the main stack pointer with interrupts masked for
 * ever; whatever exception is taken is fatal. */
    .syntax unified
    .thumb

#define EXCEPTIONS 16

    .section .vectors, "a"
    .word main_stack_top
    .word reset
    .rept EXCEPTIONS - 2
    .word fault
    .endr
    .rept 64                    /* device interrupts are never taken */
    .word fault
    .endr

    .text
    .global reset
    .type reset, %function
    .thumb_func
reset:
    cpsid i
    ldr r0, =main_stack_top
    mov sp, r0
    ldr r0, =__data_start
    ldr r1, =__data_end
    ldr r2, =__data_load
    b 2f
1:  ldr r3, [r2], #4
    str r3, [r0], #4
2:  cmp r0, r1
    blo 1b
    ldr r0, =__bss_start
    ldr r1, =__bss_end
    movs r3, #0
    b 4f
3:  str r3, [r0], #4
4:  cmp r0, r1
    blo 3b
    bl board_main
    b .
    .size reset, . - reset

/* Any exception: the frame that the processor stacked is at sp, if there was a stack; r4-r11 are as they were. */
    .type fault, %function
    .thumb_func
fault:
    mov r0, sp
    ldr r1, =panic_registers
    add r2, r1, #16
    stmia r2!, {r4-r11}
    ldr r3, =crash_stack
    add r3, r3, #2048           /* CRASH_STACK_BYTES */
    mov sp, r3
    bl fault_report             /* (frame, registers) */
    b .
    .size fault, . - fault

/* void board_panic(const char *why) */
    .global board_panic
    .type board_panic, %function
    .thumb_func
board_panic:
    cpsid i
    ldr r12, =panic_registers
    stmia r12!, {r0-r11}
    add r12, r12, #4            /* r12 itself is anybody's to lose */
    mov r1, sp
    str r1, [r12], #4
    str lr, [r12], #4
    str lr, [r12], #4
    mrs r1, xpsr
    str r1, [r12]
    ldr r1, =crash_stack
    add r1, r1, #2048
    mov sp, r1
    ldr r1, =panic_registers
    bl crash_panic
    b .
    .size board_panic, . - board_panic

/* errno is the only thread-local variable there is, and all tasks share it. */
    .global __aeabi_read_tp
    .type __aeabi_read_tp, %function
    .thumb_func
__aeabi_read_tp:
    ldr r0, =__tls_pointer
    bx lr
    .size __aeabi_read_tp, . - __aeabi_read_tp

    .ltorg

    .bss
    .balign 8
panic_registers:
    .space 72                   /* struct crash_registers */
    .section .note.GNU-stack, "", %progbits
