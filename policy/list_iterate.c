/* Walking and searching the list: the iterator keeps where the coder stood, and the name that the next one is coded against. */
#include <string.h>

#include "policy/list_block.h"

enum { S_RANGE, S_CODE_HIGH, S_CODE_LOW, S_CONSUMED, S_AHEAD, S_SHARED, S_BLOCK, S_FROM, S_LEN, S_WORDS };
_Static_assert(S_WORDS == LIST_ITERATOR_WORDS, "what an iterator keeps");

void list_iterate(struct list_iterator *it, const struct list *l)
{
    memset(it, 0, sizeof *it);
    it->list = l;
}

/* index: of the name in its block, counted from 1. */
static void keep(struct list_iterator *it, const struct list_walk *w, const struct list_place *place, uint32_t index)
{
    uint32_t *s = it->private_words;
    const struct list_coder *c = &w->coder;
    s[S_RANGE] = c->range;
    s[S_CODE_HIGH] = (uint32_t)(c->code >> 32);
    s[S_CODE_LOW] = (uint32_t)c->code;
    s[S_CONSUMED] = c->next - (c->have - c->at);
    s[S_AHEAD] = (uint32_t)c->ahead << 8 | c->overrun;
    s[S_SHARED] = (uint32_t)w->shared.last | w->shared.trend << 8 | index << 16 | (uint32_t)place->names << 24;
    s[S_FROM] = (uint32_t)(c->from - it->list->names.data);
    s[S_LEN] = c->len;
}

static __attribute__((noinline)) enum rc resume(const struct list_iterator *it, struct list_walk *w, uint8_t *memory)
{
    struct list_key before;
    const uint32_t *s = it->private_words;
    w->coder = (struct list_coder){ .range = s[S_RANGE],
                                    .ahead = (uint8_t)(s[S_AHEAD] >> 8),
                                    .code = (uint64_t)s[S_CODE_HIGH] << 32 | s[S_CODE_LOW],
                                    .reader = it->list->reader,
                                    .from = it->list->names.data + s[S_FROM],
                                    .len = s[S_LEN],
                                    .next = s[S_CONSUMED],
                                    .overrun = (uint8_t)s[S_AHEAD] };
    w->shared = (struct list_shared){ s[S_SHARED] & 0xff, s[S_SHARED] >> 8 & 0xff };
    w->first = false;
    w->symbol = memory;
    if (!list_key_of_domain(&before, span_of(it->name)))
        return RC_CORRUPT;
    memcpy(memory, before.symbol, before.len);
    w->len = before.len;
    return RC_OK;
}

/* The next name into it->name, and the place of its block. */
static enum rc next_name(struct list_iterator *it, struct list_place *place)
{
    const struct list *l = it->list;
    struct list_walk w;
    uint8_t memory[LIST_KEY_BYTES];
    enum rc rc = RC_OK;
    uint32_t *s = it->private_words, index = s[S_SHARED] >> 16 & 0xff, names = s[S_SHARED] >> 24;
    if (it->position >= l->info.domains || (index == names && s[S_BLOCK] >= l->names.count))
        return RC_NOT_FOUND;
    if (index == names) {
        index = 0;
        rc = list_find_place(l, &l->names, s[S_BLOCK], place);
        if (rc == RC_OK)
            list_walk_start(&w, l, place, memory);
    } else {
        rc = resume(it, &w, memory);
        *place = (struct list_place){ w.coder.from, w.coder.len, 0, (uint8_t)names, false };
    }
    if (rc == RC_OK)
        rc = list_walk_name(&w);
    if (rc != RC_OK)
        return rc;
    it->name[w.len] = '\0';
    list_key_text(it->name + w.len, w.symbol, w.len);
    if (index == 0)
        s[S_BLOCK] = (place->last ? s[S_BLOCK] | (LIST_LINE_BLOCKS - 1) : s[S_BLOCK]) + 1;
    keep(it, &w, place, index + 1);
    it->position++;
    return RC_OK;
}

/* The entry of the name that next_name has given. */
static enum rc entry_of(const struct list_iterator *it, const struct list_place *place, struct list_entry *out)
{
    uint32_t index = it->private_words[S_SHARED] >> 16 & 0xff;
    return list_get_entry(it->list, place, index - 1, span_of(it->name), out);
}

enum rc list_next(struct list_iterator *it, struct list_entry *out)
{
    struct list_place place;
    enum rc rc = next_name(it, &place);
    return rc == RC_OK ? entry_of(it, &place, out) : rc;
}

/* --- searching: a walk that leaves out what does not match --- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Places the walk so that the next name is the first of the block where *wanted would stand. */
static enum rc walk_from(struct list_iterator *it, const struct list_key *wanted, uint32_t *names)
{
    struct list_bracket code;
    struct list_place place = { .names = 0 };
    uint32_t block;
    enum rc rc = list_find_block(it->list, wanted, &code, &block, &place);
    if (rc == RC_NOT_FOUND)
        return RC_OK;
    if (rc == RC_OK)
        it->private_words[S_BLOCK] = block;
    *names = place.names;
    return rc;
}

enum rc list_search(struct list_search *s, const struct list *l, enum list_match match, struct span text)
{
    struct list_key wanted;
    memset(s, 0, sizeof *s);
    list_iterate(&s->it, l);
    if (text.len == 0 || text.len > DOMAIN_MAX)
        return RC_INVALID;
    for (size_t i = 0; i < text.len; i++)
        s->text[i] = lower(text.p[i]);
    s->text_len = text.len;
    s->match = match;
    if (match != LIST_WITHIN || !list_key_of_domain(&wanted, span_bytes(s->text, s->text_len)))
        return RC_OK;
    return walk_from(&s->it, &wanted, &s->first);
}

static bool matches(const struct list_search *s)
{
    struct span name = span_of(s->it.name), text = span_bytes(s->text, s->text_len);
    if (s->match == LIST_WITHIN)
        return domain_is_within(name, text);
    size_t places = s->match == LIST_STARTING ? 1 : name.len;
    for (size_t i = 0; i < places && i + text.len <= name.len; i++) {
        if (memcmp(name.p + i, text.p, text.len) == 0)
            return true;
    }
    return false;
}

/* What is within a domain stands together, and begins in the block where the walk did or with the first name after it. */
static bool gone_by(const struct list_search *s)
{
    return s->match == LIST_WITHIN && (s->found || s->it.position > s->first);
}

enum rc list_search_next(struct list_search *s, struct list_entry *out)
{
    for (unsigned i = 0; i < LIST_SEARCH_STEP; i++) {
        struct list_place place;
        enum rc rc = next_name(&s->it, &place);
        if (rc != RC_OK)
            return rc;
        if (matches(s)) {
            s->found = true;
            return entry_of(&s->it, &place, out);
        }
        if (gone_by(s))
            return RC_NOT_FOUND;
    }
    return RC_BUSY;
}
