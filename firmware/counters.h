/* Plain event counters since boot, named in counters.def. */
#ifndef FIRMWARE_COUNTERS_H
#define FIRMWARE_COUNTERS_H

#include <stdint.h>

enum counter {
#define COUNTER(name, help) COUNT_##name,
#include "firmware/counters.def"
#undef COUNTER
    COUNTERS
};

void count(enum counter c);
uint64_t counter_value(enum counter c);
const char *counter_name(enum counter c); /* "mails_in" */
const char *counter_help(enum counter c); /* a packed text (hal/base/packed_text.h) */

#endif
