/* A first-fit heap in fixed memory with a cap: what mbedTLS and cJSON of one session may allocate from. Running out
 * refuses that one session. Blocks are merged on free; a pointer that is not the start of a live block of the arena stops
 * the box (it is a broken heap, not bad input). Not for our own code.
 * Each block costs 16 bytes and a multiple of 16. Under the address sanitizer all that is not handed out is poisoned, so
 * that an overflow or a use after free inside an arena is seen; the memory is the arena's until arena_release. */
#ifndef HAL_BASE_ARENA_H
#define HAL_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena {
    unsigned char *base;
    size_t size_bytes;
    size_t used_bytes;
    size_t peak_bytes;
    size_t held_bytes;   /* the most that was in use at an arena_note_held */
    unsigned failures;   /* requests refused since init */
    uint32_t first_free; /* offset of the lowest free block */
};

void arena_init(struct arena *a, void *memory, size_t bytes);   /* memory aligned to 16, bytes a multiple of 16 */
void *arena_calloc(struct arena *a, size_t count, size_t size); /* zeroed; NULL when there is no room or on overflow */
void arena_free(struct arena *a, void *p);                      /* p from this arena, or NULL */
bool arena_owns(const struct arena *a, const void *p);          /* p points into its memory */
void arena_note_held(struct arena *a); /* for an owner who tells what lasts from what is needed for a moment */
void arena_release(struct arena *a);   /* ends it: the memory may be used for something else */

#endif
