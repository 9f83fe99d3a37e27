/* hal/task_switch.h for x86-64 (System V ABI). Empty on other processors: switch_ucontext.c serves those. */
#if defined(__x86_64__)
    .text

    .globl task_switch
    .type task_switch, @function
task_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size task_switch, . - task_switch

    /* entry is reached by ret as if called: 8 bytes off a multiple of 16. */
    .globl task_switch_prepare
    .type task_switch_prepare, @function
task_switch_prepare:
    leaq -64(%rdi,%rsi), %rax
    movq %rdx, 48(%rax)
    movq $0, 40(%rax)
    movq $0, 56(%rax)
    ret
    .size task_switch_prepare, . - task_switch_prepare
#endif

    .section .note.GNU-stack, "", @progbits
