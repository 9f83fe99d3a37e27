/* A first-fit heap in fixed memory with a cap: what mbedTLS and cJSON of one session may allocate from. Running out
 * refuses that one session. Blocks are merged on free; every pointer is checked to lie in its arena. Not for our own code. */
#ifndef HAL_BASE_ARENA_H
#define HAL_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct arena {
    unsigned char *base;
    size_t size_bytes;
    size_t used_bytes;
    size_t peak_bytes;
    unsigned failures; /* requests refused since init */
};

void arena_init(struct arena *a, void *memory, size_t bytes); /* memory aligned to 16, bytes a multiple of 16 */
void *arena_calloc(struct arena *a, size_t count, size_t size); /* zeroed; NULL when there is no room or on overflow */
void arena_free(struct arena *a, void *p);                      /* p from this arena, or NULL */
bool arena_owns(const struct arena *a, const void *p);

#endif
