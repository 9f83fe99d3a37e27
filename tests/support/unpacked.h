/* Texts that may be packed, for tests that compare them: only strbuf reads those. */
#ifndef TESTS_SUPPORT_UNPACKED_H
#define TESTS_SUPPORT_UNPACKED_H

#include "hal/base/strbuf.h"

/* A copy, good until the next call; NULL stays NULL. */
static inline const char *unpacked(const char *text)
{
    static char memory[400];
    struct strbuf copy = STRBUF(memory);
    if (text != NULL)
        strbuf_puts(&copy, text);
    return text != NULL ? memory : NULL;
}

#endif
