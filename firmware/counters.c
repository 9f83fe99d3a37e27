/* The counters' storage and names. */
#include "firmware/counters.h"

#include "hal/base/packed_text.h"

static uint64_t values[COUNTERS];

static const char *const names[COUNTERS] = {
#define COUNTER(name, help) #name,
#include "firmware/counters.def"
#undef COUNTER
};
#define HELP_MAX 80
#define COUNTER(name, help) _Static_assert(sizeof(help) <= HELP_MAX, "the help on " #name " has an end");
#include "firmware/counters.def"
#undef COUNTER
static const char helps[COUNTERS][HELP_MAX] PACKED_TABLE = {
#define COUNTER(name, help) help,
#include "firmware/counters.def"
#undef COUNTER
};

void count(enum counter c)
{
    values[c]++;
}

uint64_t counter_value(enum counter c)
{
    return values[c];
}

const char *counter_name(enum counter c)
{
    return names[c];
}

const char *counter_help(enum counter c)
{
    return helps[c];
}
