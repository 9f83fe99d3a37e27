/* The processor's part of hal/task.h: one switch of stacks, a few instructions of assembler in boards/drivers/switch_*.
 * Only hal/task.c calls this. */
#ifndef HAL_TASK_SWITCH_H
#define HAL_TASK_SWITCH_H

#include <stddef.h>

/* Lays a first frame on an unused stack (aligned to 16), so that the first switch to the returned pointer calls entry
 * on that stack. entry never returns. */
void *task_switch_prepare(void *stack, size_t stack_bytes, void (*entry)(void));
/* Keeps the registers that a call must preserve on the running stack, stores where in *save, and goes on at load, which
 * prepare or an earlier switch gave. Returns when somebody switches back. */
void task_switch(void **save, void *load);

#endif
