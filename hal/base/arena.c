#include "hal/base/arena.h"

#include <string.h>

#include "hal/base/sanitize.h"

#if defined(ADDRESS_SANITIZER)
static void shadow_poison(const void *p, size_t len)
{
    __asan_poison_memory_region(p, len);
}
static void shadow_clear(const void *p, size_t len)
{
    __asan_unpoison_memory_region(p, len);
}
#else
static void shadow_poison(const void *p, size_t len)
{
    (void)p, (void)len;
}
static void shadow_clear(const void *p, size_t len)
{
    (void)p, (void)len;
}
#endif

/* Blocks lie end to end. A free block holds its two list links behind the header; the list is in order of address,
 * so that first fit keeps the far end whole for the large buffers. */
struct block {
    uint32_t size_bytes;     /* header included */
    uint32_t previous_bytes; /* size of the block before this one, 0 for the first */
    uint32_t tag;
    uint32_t request_bytes;
    uint32_t next_free, previous_free; /* offsets; only in a free block */
};

#define HEADER_BYTES 16u
#define LEAST_BYTES 32u /* a free block must hold its links */
#define TAG_USED 0x55534544u
#define TAG_FREE 0x46524545u
#define NONE UINT32_MAX

UNCHECKED_ACCESS static struct block *at(const struct arena *a, uint32_t offset)
{
    return (struct block *)(void *)(a->base + offset);
}

UNCHECKED_ACCESS static uint32_t offset_of(const struct arena *a, const struct block *b)
{
    return (uint32_t)((const unsigned char *)b - a->base);
}

UNCHECKED_ACCESS static struct block *after(const struct arena *a, const struct block *b)
{
    uint32_t offset = offset_of(a, b) + b->size_bytes;
    return offset < a->size_bytes ? at(a, offset) : NULL;
}

UNCHECKED_ACCESS static void link_free(struct arena *a, struct block *b, uint32_t previous, uint32_t next)
{
    uint32_t self = offset_of(a, b);
    b->tag = TAG_FREE;
    b->previous_free = previous;
    b->next_free = next;
    if (previous == NONE)
        a->first_free = self;
    else
        at(a, previous)->next_free = self;
    if (next != NONE)
        at(a, next)->previous_free = self;
}

UNCHECKED_ACCESS static void unlink_free(struct arena *a, const struct block *b)
{
    if (b->previous_free == NONE)
        a->first_free = b->next_free;
    else
        at(a, b->previous_free)->next_free = b->next_free;
    if (b->next_free != NONE)
        at(a, b->next_free)->previous_free = b->previous_free;
}

UNCHECKED_ACCESS static void set_size(struct arena *a, struct block *b, uint32_t size_bytes)
{
    b->size_bytes = size_bytes;
    struct block *next = after(a, b);
    if (next != NULL)
        next->previous_bytes = size_bytes;
}

UNCHECKED_ACCESS void arena_init(struct arena *a, void *memory, size_t bytes)
{
    *a = (struct arena){ .base = memory, .size_bytes = bytes, .first_free = NONE };
    if (memory == NULL || (uintptr_t)memory % 16 != 0 || bytes % 16 != 0 || bytes < LEAST_BYTES || bytes >= NONE)
        __builtin_trap();
    struct block *whole = at(a, 0);
    shadow_clear(memory, bytes);
    whole->previous_bytes = 0;
    set_size(a, whole, (uint32_t)bytes);
    link_free(a, whole, NONE, NONE);
    shadow_poison(memory, bytes);
}

void arena_release(struct arena *a)
{
    shadow_clear(a->base, a->size_bytes);
    *a = (struct arena){ .first_free = NONE };
}

/* Marks b used and gives what it has too much back as a free block in its place in the list. */
UNCHECKED_ACCESS static void take_block(struct arena *a, struct block *b, uint32_t wanted)
{
    uint32_t previous = b->previous_free, next = b->next_free, rest_bytes = b->size_bytes - wanted;
    unlink_free(a, b);
    if (rest_bytes >= LEAST_BYTES) {
        b->size_bytes = wanted;
        struct block *rest = after(a, b);
        rest->previous_bytes = wanted;
        set_size(a, rest, rest_bytes);
        link_free(a, rest, previous, next);
    }
    b->tag = TAG_USED;
    a->used_bytes += b->size_bytes;
    if (a->used_bytes > a->peak_bytes)
        a->peak_bytes = a->used_bytes;
}

UNCHECKED_ACCESS static struct block *find_fit(const struct arena *a, uint32_t wanted)
{
    for (uint32_t offset = a->first_free; offset != NONE; offset = at(a, offset)->next_free)
        if (at(a, offset)->size_bytes >= wanted)
            return at(a, offset);
    return NULL;
}

UNCHECKED_ACCESS void *arena_calloc(struct arena *a, size_t count, size_t size)
{
    size_t request;
    if (__builtin_mul_overflow(count, size, &request) || request > a->size_bytes) {
        a->failures++;
        return NULL;
    }
    uint32_t wanted = (uint32_t)(HEADER_BYTES + (request + 15) / 16 * 16);
    struct block *b = find_fit(a, wanted < LEAST_BYTES ? LEAST_BYTES : wanted);
    if (b == NULL) {
        a->failures++;
        return NULL;
    }
    take_block(a, b, wanted < LEAST_BYTES ? LEAST_BYTES : wanted);
    b->request_bytes = (uint32_t)request;
    unsigned char *payload = (unsigned char *)b + HEADER_BYTES;
    shadow_clear(payload, request);
    memset(payload, 0, request);
    return payload;
}

/* Free block before which b belongs, and the one before that. */
UNCHECKED_ACCESS static void find_place(const struct arena *a, const struct block *b, uint32_t *previous, uint32_t *next)
{
    *previous = NONE;
    *next = a->first_free;
    while (*next != NONE && *next < offset_of(a, b)) {
        *previous = *next;
        *next = at(a, *next)->next_free;
    }
}

UNCHECKED_ACCESS void arena_free(struct arena *a, void *p)
{
    if (p == NULL)
        return;
    struct block *b = (struct block *)(void *)((unsigned char *)p - HEADER_BYTES);
    if (!arena_owns(a, b) || (uintptr_t)p % 16 != 0 || b->tag != TAG_USED)
        __builtin_trap();
    a->used_bytes -= b->size_bytes;
    shadow_poison(b, b->size_bytes);
    struct block *before = b->previous_bytes ? at(a, offset_of(a, b) - b->previous_bytes) : NULL;
    struct block *next = after(a, b);
    if (next != NULL && next->tag == TAG_FREE) {
        unlink_free(a, next);
        set_size(a, b, b->size_bytes + next->size_bytes);
        next->tag = 0;
    }
    if (before != NULL && before->tag == TAG_FREE) {
        b->tag = 0;
        set_size(a, before, before->size_bytes + b->size_bytes);
        return;
    }
    uint32_t previous_free, next_free;
    find_place(a, b, &previous_free, &next_free);
    link_free(a, b, previous_free, next_free);
}

void arena_note_held(struct arena *a)
{
    if (a->used_bytes > a->held_bytes)
        a->held_bytes = a->used_bytes;
}

bool arena_owns(const struct arena *a, const void *p)
{
    uintptr_t start = (uintptr_t)a->base, address = (uintptr_t)p;
    return address >= start && address - start < a->size_bytes;
}
