/* Patterns are read as they are stored, relative to the domain, and only the policy that was looked for is written out. All of it happens in
 * the caller's entry, whose size bounds it: a pattern that is written out is never shorter than as it is stored. */
#include "policy/list_policy.h"

#include <string.h>

#include "policy/list_block.h"

struct list_context list_pattern_context(unsigned flags, const uint8_t *text, size_t len)
{
    struct list_context x = { .kind = 0 };
    if (flags & PATTERN_RELATIVE)
        x = (struct list_context){ .before = SYMBOL_DOT, .kind = KIND_PATTERN };
    for (size_t i = 0; i < len; i++)
        list_pattern_context_add(&x, text[i]);
    return x;
}

bool list_pattern_next(uint8_t *text, size_t len)
{
    while (len > 0 && (text[len - 1] < SYMBOL_DIGIT_0 || text[len - 1] > SYMBOL_DIGIT_0 + 9))
        len--;
    if (len == 0 || text[len - 1] == SYMBOL_DIGIT_0 + 9)
        return false;
    text[len - 1]++;
    return true;
}

/* --- reading --- */

struct pattern {
    uint8_t *text;
    size_t len, room; /* room: for text and its end */
    unsigned flags;
    bool next; /* was the one before it with its last digit one up */
};

static enum rc read_text(struct list_coder *c, struct pattern *p)
{
    struct list_context x = list_pattern_context(p->flags, p->text, p->len);
    size_t room = (p->room < DOMAIN_MAX + 1 ? p->room : DOMAIN_MAX + 1) - p->len;
    size_t n = list_read_symbols(c, &x, true, p->text + p->len, room);
    p->len += n;
    return n < room ? RC_OK : RC_CORRUPT;
}

static enum rc copy_text(struct pattern *p, const struct pattern *from, size_t len)
{
    if (len > from->len || len >= p->room)
        return RC_CORRUPT;
    memcpy(p->text, from->text, len);
    p->len = len;
    p->flags = from->flags;
    return RC_OK;
}

/* One that begins with a known host, whose symbols lie in a block of their own, in plain text. */
static enum rc read_known(struct list_coder *c, const struct list *l, struct pattern *p)
{
    struct list_place place;
    uint32_t number = list_code_known(c, l->weights, 0);
    if (number >= l->known)
        return RC_CORRUPT;
    enum rc rc = list_find_place(l, &l->policies, l->policies.count - l->known + number, &place);
    if (rc == RC_OK && (place.len > DOMAIN_MAX || place.len >= p->room))
        rc = RC_CORRUPT;
    if (rc == RC_OK)
        rc = list_get(l, place.from, p->text, place.len);
    for (p->len = 0; rc == RC_OK && p->len < place.len; p->len++) {
        if (p->text[p->len] == SYMBOL_END || p->text[p->len] >= SYMBOLS)
            rc = RC_CORRUPT;
    }
    return rc == RC_OK ? read_text(c, p) : rc;
}

static enum rc read_fresh(struct list_coder *c, const struct list *l, struct pattern *p, unsigned before)
{
    const int8_t *own = l->weights;
    p->flags = 0;
    if (list_code_own(c, own, OWN_RELATIVE + before, 0)) {
        p->flags = PATTERN_RELATIVE;
        return list_code_own(c, own, OWN_BARE, 0) ? RC_OK : read_text(c, p);
    }
    enum rc rc;
    if (list_code_own(c, own, OWN_KNOWN + (before > 0), 0)) {
        rc = read_known(c, l, p);
    } else {
        if (list_code_own(c, own, OWN_DASHED, 0))
            p->flags = PATTERN_DASHED;
        rc = read_text(c, p);
    }
    return rc == RC_OK && p->len == 0 ? RC_CORRUPT : rc;
}

static enum rc read_pattern(struct list_coder *c, const struct list *l, struct pattern *p, const struct pattern *before)
{
    const int8_t *own = l->weights;
    enum rc rc;
    bool first = before == NULL;
    unsigned flags = first ? 0 : before->flags;
    if (!first && list_code_own(c, own, OWN_NEXT + before->next, 0)) {
        p->next = true;
        rc = copy_text(p, before, before->len);
        return rc == RC_OK && !list_pattern_next(p->text, p->len) ? RC_CORRUPT : rc;
    }
    if (!first && list_code_own(c, own, OWN_SHARED, 0)) {
        uint32_t dropped = list_code_dropped(c, own, 0);
        rc = dropped > before->len ? RC_CORRUPT : copy_text(p, before, before->len - dropped);
        if (rc == RC_OK)
            rc = read_text(c, p);
    } else {
        rc = read_fresh(c, l, p, list_pattern_before(first, flags, PATTERN_RELATIVE));
    }
    unsigned relative = (p->flags & PATTERN_RELATIVE) != 0;
    p->flags &= ~(unsigned)PATTERN_DOT;
    if (list_code_own(c, own, OWN_DOT + relative * 3 + list_pattern_before(first, flags, PATTERN_DOT), 0))
        p->flags |= PATTERN_DOT;
    return rc;
}

static bool another(struct list_coder *c, const int8_t *own, unsigned count)
{
    return count == 0 || (count < LIST_MX_MAX && list_code_own(c, own, OWN_MORE + (count < 4 ? count - 1 : 3), 0));
}

enum rc list_policy_read(struct list_coder *c, const struct list *l, struct list_entry *out)
{
    struct pattern before = { .len = 0 };
    uint8_t *text = (uint8_t *)out->text;
    out->text_len = 0;
    for (out->mx_count = 0; another(c, l->weights, out->mx_count); out->mx_count++) {
        struct pattern p = { .text = text + out->text_len, .room = sizeof out->text - out->text_len };
        enum rc rc = p.room > 0 ? read_pattern(c, l, &p, out->mx_count > 0 ? &before : NULL) : RC_CORRUPT;
        if (rc != RC_OK)
            return list_coder_told(c, rc);
        p.text[p.len] = (uint8_t)(PATTERN_END | p.flags);
        out->text_len += p.len + 1;
        before = p;
    }
    return list_coder_check(c);
}

enum rc list_policy_check(struct list_entry *out)
{
    size_t start = 0;
    out->mx_count = 0;
    for (size_t i = 0; i < out->text_len; i++) {
        uint8_t byte = (uint8_t)out->text[i];
        if (byte > SYMBOL_END && byte < SYMBOLS)
            continue;
        if (byte < PATTERN_END || byte > (PATTERN_END | PATTERN_DOT | PATTERN_RELATIVE | PATTERN_DASHED) ||
            out->mx_count == LIST_MX_MAX || (i == start && !(byte & PATTERN_RELATIVE)) ||
            (byte & PATTERN_RELATIVE && byte & PATTERN_DASHED))
            return RC_CORRUPT;
        out->mx_count++;
        start = i + 1;
    }
    return out->mx_count > 0 && start == out->text_len ? RC_OK : RC_CORRUPT;
}

/* --- writing out --- */

static size_t expanded_len(size_t len, unsigned flags, size_t domain_len)
{
    size_t dot = (flags & PATTERN_DOT) != 0;
    if (flags & PATTERN_RELATIVE)
        return dot + len + (len > 0) + domain_len;
    return dot + len + (flags & PATTERN_DASHED ? domain_len + 1 : 0);
}

/* RC_OK and the bytes that all patterns take, NULs included. */
static enum rc measure(const struct list_entry *e, size_t domain_len, size_t *all)
{
    size_t start = 0;
    *all = 0;
    for (size_t i = 0; i < e->text_len; i++) {
        uint8_t byte = (uint8_t)e->text[i];
        if (byte < PATTERN_END)
            continue;
        size_t len = expanded_len(i - start, byte, domain_len);
        if (len > DOMAIN_MAX + 1)
            return RC_CORRUPT;
        *all += len + 1;
        start = i + 1;
    }
    return *all > sizeof e->text ? RC_CORRUPT : RC_OK;
}

static void put_dashed(char *out, struct span domain)
{
    for (size_t i = 0; i < domain.len; i++)
        out[i] = domain.p[i] == '.' ? '-' : domain.p[i];
}

/* One pattern into out[0..size), NUL included. text is a copy: out may lie over where it stood. */
static void put_pattern(char *out, size_t size, const uint8_t *text, size_t len, unsigned flags, struct span domain)
{
    char *end = out + size - 1;
    *end = '\0';
    if (flags & PATTERN_RELATIVE) {
        end -= domain.len;
        memcpy(end, domain.p, domain.len);
        if (len > 0)
            *--end = '.';
    }
    list_key_text(end, text, len);
    if (flags & PATTERN_DASHED) {
        out[(flags & PATTERN_DOT) + domain.len] = '.';
        put_dashed(out + (flags & PATTERN_DOT), domain);
    }
    if (flags & PATTERN_DOT)
        *out = '.';
}

enum rc list_policy_expand(struct list_entry *out, struct span domain)
{
    uint8_t text[DOMAIN_MAX + 1];
    size_t from = out->text_len, to;
    enum rc rc = measure(out, domain.len, &to);
    if (rc != RC_OK)
        return rc;
    out->text_len = to;
    while (from > 0) {
        size_t end = --from;
        unsigned flags = (uint8_t)out->text[end] & ~(unsigned)PATTERN_END;
        while (from > 0 && (uint8_t)out->text[from - 1] < PATTERN_END)
            from--;
        memcpy(text, out->text + from, end - from);
        size_t size = expanded_len(end - from, flags, domain.len) + 1;
        to -= size;
        put_pattern(out->text + to, size, text, end - from, flags, domain);
    }
    return RC_OK;
}
