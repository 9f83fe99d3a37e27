#include "firmware/slot_use.h"

#include "hal/task.h"

void slot_use_note(struct slot_use *u, const struct arena *a)
{
    size_t stack = task_stack_used(task_current());
    u->stack_peak = stack > u->stack_peak ? stack : u->stack_peak;
    u->arena_peak = a->held_bytes > u->arena_peak ? a->held_bytes : u->arena_peak;
    u->arena_refused += a->failures;
}
