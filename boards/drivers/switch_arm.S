/* hal/task_switch.h for v7-A in ARM state. No floating-point registers: all boards are built with soft floats. */
#if defined(__ARM_FP)
#error "the switch would lose the floating-point registers"
#endif
    .syntax unified
    .arm
    .text

    .global task_switch
    .type task_switch, %function
task_switch:
    push {r4-r11, lr}
    str sp, [r0]
    mov sp, r1
    pop {r4-r11, pc}
    .size task_switch, . - task_switch

    .global task_switch_prepare
    .type task_switch_prepare, %function
task_switch_prepare:
    add r0, r0, r1
    mov r3, #0
    str r2, [r0, #-4]!      /* pc */
    str r3, [r0, #-4]!      /* r11: ends the chain of frames */
    sub r0, r0, #28         /* r4-r10 may hold anything */
    bx lr
    .size task_switch_prepare, . - task_switch_prepare

    .section .note.GNU-stack, "", %progbits
