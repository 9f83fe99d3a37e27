/* One policy of the list (policy/LIST.md): read from a block, then written out for a domain. No part of the outside of policy/: for list*.c
 * and the writer. */
#ifndef POLICY_LIST_POLICY_H
#define POLICY_LIST_POLICY_H

#include "policy/list.h"
#include "policy/list_code.h"

/* A pattern relative to its domain: symbols of its labels from the TLD down, then one byte with how it stands to the domain. */
enum {
    PATTERN_END = 0x80,
    PATTERN_DOT = 1,      /* begins with a dot: exactly one more label */
    PATTERN_RELATIVE = 2, /* the domain follows the text */
    PATTERN_DASHED = 4    /* the domain stands before the text as one label, '-' in the place of '.' */
};

/* What a pattern's flag is predicted from: that of the one before. 0: there is none, 1: not set, 2: set. */
static inline unsigned list_pattern_before(bool first, unsigned flags_before, unsigned flag)
{
    return first ? 0 : flags_before & flag ? 2 : 1;
}

/* What stands before a symbol of a pattern's text. */
struct list_context list_pattern_context(unsigned flags, const uint8_t *text, size_t len);
/* Turns the last digit one up; false when there is none or it is a 9. */
bool list_pattern_next(uint8_t *text, size_t len);

/* Reads the next policy: count and, in out->text, patterns that are still relative. RC_CORRUPT, RC_IO. */
enum rc list_policy_read(struct list_coder *c, const struct list *l, struct list_entry *out) MUST_CHECK;
/* Whether text[0..text_len) is a policy as list_policy_read leaves it; counts its patterns. RC_CORRUPT. */
enum rc list_policy_check(struct list_entry *out) MUST_CHECK;
/* Writes them out for their domain, in place. RC_CORRUPT when they get too long. */
enum rc list_policy_expand(struct list_entry *out, struct span domain) MUST_CHECK;

#endif
