/* Secrets in memory. */
#ifndef HAL_BASE_SECRET_H
#define HAL_BASE_SECRET_H

#include <stddef.h>

/* Zeros that the compiler does not leave out, though nobody reads them. */
static inline void secret_wipe(void *memory, size_t len)
{
    volatile unsigned char *p = memory;
    while (len-- > 0)
        *p++ = 0;
}

#endif
