/* The most that the sessions of a pool have used of their memory since start: for `stats`, and to size the plan by. */
#ifndef FIRMWARE_SLOT_USE_H
#define FIRMWARE_SLOT_USE_H

#include "hal/base/arena.h"

struct slot_use {
    size_t stack_bytes, arena_bytes; /* given to each session */
    size_t stack_peak, arena_peak;
    unsigned arena_refused; /* requests that found no room */
};

/* Called in a session's own task, before its arena is used for another connection. */
void slot_use_note(struct slot_use *u, const struct arena *a);

#endif
