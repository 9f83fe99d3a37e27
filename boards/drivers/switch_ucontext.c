/* hal/task_switch.h on POSIX hosts without a switch in assembler: slower (it saves the signal mask too), and about a
 * kilobyte of each stack goes to the saved context. */
#if !defined(__x86_64__)

#include "hal/task_switch.h"

#include <stdlib.h>
#include <ucontext.h>

void *task_switch_prepare(void *stack, size_t stack_bytes, void (*entry)(void))
{
    size_t reserve = (sizeof(ucontext_t) + 15) / 16 * 16;
    ucontext_t *first = (void *)((char *)stack + stack_bytes - reserve);
    if (getcontext(first) != 0)
        abort();
    first->uc_stack.ss_sp = stack;
    first->uc_stack.ss_size = stack_bytes - reserve;
    first->uc_link = NULL;
    makecontext(first, entry, 0);
    return first;
}

void task_switch(void **save, void *load)
{
    ucontext_t here;
    *save = &here;
    if (swapcontext(&here, load) != 0)
        abort();
}

#else
typedef int switch_is_in_assembler;
#endif
