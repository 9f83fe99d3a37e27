/* A read-only view of bytes. Not NUL-terminated; may hold any byte. The viewed memory belongs to somebody else and a
 * span is good only as long as that memory is. */
#ifndef HAL_BASE_SPAN_H
#define HAL_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
    const char *p;
    size_t len;
};

/* A span on a string literal, without its NUL. */
#define SPAN(literal) ((struct span){ "" literal, sizeof(literal) - 1 })

struct span span_of(const char *cstr); /* NULL gives the empty span */
struct span span_bytes(const void *p, size_t len);
bool span_eq(struct span a, struct span b);
bool span_eq_nocase(struct span a, struct span b); /* ASCII letters only */
bool span_is(struct span a, const char *cstr);
bool span_is_nocase(struct span a, const char *cstr);
bool span_starts(struct span a, const char *prefix);
bool span_starts_nocase(struct span a, const char *prefix);
bool span_ends_nocase(struct span a, const char *suffix);
int span_cmp(struct span a, struct span b);                   /* bytewise, shorter first */
struct span span_sub(struct span a, size_t from, size_t len); /* clamped to a */
struct span span_from(struct span a, size_t from);            /* clamped to a */
struct span span_trim(struct span a);                         /* SP and HTAB off both ends */
/* Index of the first c at or after from, or SIZE_MAX. */
size_t span_find(struct span a, size_t from, char c);
size_t span_find_last(struct span a, char c);
/* Takes what stands before the first sep off *rest (and the sep), or all of it. False when *rest was exhausted.
 * "a,b," gives a, b and one empty item. Start with *rest on the whole and *more = true. */
bool span_split(struct span *rest, bool *more, char sep, struct span *item);
/* Whole span is decimal digits and fits; else false and *out untouched. No sign, no blanks, at least one digit. */
bool span_to_u64(struct span a, uint64_t *out);
bool span_to_u32(struct span a, uint32_t *out);

#endif
