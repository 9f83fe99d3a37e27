/* The counters' storage and names. */
#include "firmware/counters.h"

static uint64_t values[COUNTERS];

static const struct {
    const char *name, *help;
} table[COUNTERS] = {
#define COUNTER(name, help) { #name, help },
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
    return table[c].name;
}

const char *counter_help(enum counter c)
{
    return table[c].help;
}
