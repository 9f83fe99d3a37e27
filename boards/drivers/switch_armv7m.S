/* hal/task_switch.h for v7-M in Thumb state, on the main stack pointer: interrupts borrow the running task's stack.
 * No floating-point registers: all boards are built with soft floats. */
#if defined(__ARM_FP)
#error "the switch would lose the floating-point registers"
#endif
    .syntax unified
    .thumb
    .text

    .global task_switch
    .type task_switch, %function
    .thumb_func
task_switch:
    push {r4-r11, lr}
    mov r2, sp
    str r2, [r0]
    mov sp, r1
    pop {r4-r11, pc}
    .size task_switch, . - task_switch

    .global task_switch_prepare
    .type task_switch_prepare, %function
    .thumb_func
task_switch_prepare:
    add r0, r0, r1
    movs r3, #0
    str r2, [r0, #-4]!      /* pc, with the Thumb bit of a function's address */
    str r3, [r0, #-4]!      /* r11: ends the chain of frames */
    sub r0, r0, #28         /* r4-r10 may hold anything */
    bx lr
    .size task_switch_prepare, . - task_switch_prepare

    .section .note.GNU-stack, "", %progbits
