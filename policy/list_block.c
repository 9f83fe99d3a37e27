#include "policy/list_block.h"

#include <string.h>

#include "hal/base/bytes.h"

static const char alphabet[] = LIST_ALPHABET;

enum rc list_get(const struct list *l, uint64_t offset, void *out, size_t len)
{
    enum rc rc = reader_get(l->reader, offset, out, len);
    return rc == RC_INVALID ? RC_CORRUPT : rc;
}

/* --- keys --- */

static unsigned symbol_of(char c)
{
    if (c >= 'a' && c <= 'z')
        return SYMBOLS - 26u + (unsigned)(c - 'a');
    if (c >= '0' && c <= '9')
        return SYMBOL_DIGIT_0 + (unsigned)(c - '0');
    return c == '-' ? 2 : c == '_' ? 13 : SYMBOL_END;
}

bool list_key_of_domain(struct list_key *k, struct span domain)
{
    if (domain.len == 0 || domain.len > DOMAIN_MAX)
        return false;
    size_t end = domain.len;
    for (k->len = 0;;) {
        size_t start = end;
        while (start > 0 && domain.p[start - 1] != '.')
            start--;
        for (size_t i = start; i < end; i++) {
            unsigned symbol = symbol_of(domain.p[i]);
            if (symbol == SYMBOL_END)
                return false;
            k->symbol[k->len++] = (uint8_t)symbol;
        }
        if (start == 0)
            return true;
        k->symbol[k->len++] = SYMBOL_DOT;
        end = start - 1;
    }
}

void list_key_to_domain(char *out, const struct list_key *k)
{
    size_t label = 0, end = k->len;
    out[end] = '\0';
    for (size_t i = 0; i <= k->len; i++) {
        if (i < k->len && k->symbol[i] != SYMBOL_DOT)
            continue;
        end -= i - label;
        for (size_t n = label; n < i; n++)
            out[end + n - label] = alphabet[k->symbol[n]];
        if (i < k->len)
            out[--end] = '.';
        label = i + 1;
    }
}

int list_key_cmp(const struct list_key *a, const struct list_key *b)
{
    return span_cmp(span_bytes(a->symbol, a->len), span_bytes(b->symbol, b->len));
}

/* --- directories: where the blocks lie --- */

uint64_t list_directory_bytes(const struct list_directory *d)
{
    return ((uint64_t)d->count + LIST_GROUP - 1) / LIST_GROUP * (4 + 2u * d->width);
}

static uint64_t line_at(const struct list_directory *d, uint32_t block)
{
    return d->at + (uint64_t)(block / LIST_GROUP) * (4 + 2u * d->width);
}

enum rc list_find_place(const struct list *l, const struct list_directory *d, uint32_t block, uint64_t *from, uint32_t *len)
{
    uint8_t line[4 + 2 * LIST_WIDTH_MAX];
    enum rc rc = list_get(l, line_at(d, block), line, 4 + 2u * d->width);
    if (rc != RC_OK)
        return rc;
    uint64_t offset = get_le32(line), bits = 0;
    const uint8_t *next = line + 4;
    for (unsigned have = 0, i = 0;; i++) {
        for (; have < d->width; have += 8)
            bits |= (uint64_t)*next++ << have;
        *len = d->least + (uint32_t)(bits & (((uint64_t)1 << d->width) - 1));
        if (i == block % LIST_GROUP)
            break;
        bits >>= d->width;
        have -= d->width;
        offset += *len;
    }
    *from = d->data + offset;
    return offset + *len > d->data_bytes ? RC_CORRUPT : RC_OK;
}

/* --- reading one block --- */

enum rc list_walk_start(struct list_walk *w, const struct list *l, uint32_t block)
{
    enum rc rc = list_find_place(l, &l->names, block, &w->from, &w->len);
    if (rc != RC_OK)
        return rc;
    list_coder_read(&w->coder, l->reader, w->from, w->len, false);
    w->shared = (struct list_shared){ 0, 0 };
    w->number = 1;
    w->own = 0;
    w->mode = 0;
    w->first = true;
    return RC_OK;
}

size_t list_walk_shared_with(struct list_walk *w, const struct list_key *k)
{
    if (w->first)
        return 0;
    size_t shared = list_code_shared(&w->coder, k->symbol, k->len, &w->shared, 0);
    list_shared_add(&w->shared, shared);
    return shared;
}

enum rc list_walk_name(struct list_walk *w, struct list_key *k, size_t shared)
{
    int above = w->first ? -1 : shared < k->len ? k->symbol[shared] : SYMBOL_END;
    struct list_context x = list_context_at(k->symbol, shared);
    for (k->len = shared;; above = -1) {
        if (above == SYMBOLS - 1)
            return RC_CORRUPT; /* nothing is greater */
        int symbol = list_code_symbol(&w->coder, &x, above, -1);
        if (symbol == SYMBOL_END)
            return k->len > 0 ? RC_OK : RC_CORRUPT;
        if (k->len == DOMAIN_MAX)
            return RC_CORRUPT;
        k->symbol[k->len++] = (uint8_t)symbol;
        list_context_add(&x, (unsigned)symbol);
    }
}

enum rc list_walk_policy(struct list_walk *w, const struct list *l)
{
    int before = w->mode;
    w->own += w->number == 0;
    if (w->first || w->number == 0 || !list_code_own(&w->coder, l->weights, OWN_SAME, 0)) {
        w->number = list_code_number(&w->coder, l->weights, 0);
        before = -1;
    }
    w->mode = (uint8_t)list_code_own(&w->coder, l->weights, list_mode_weight(w->number, before), 0);
    w->first = false;
    return w->number > l->shared ? RC_CORRUPT : list_coder_check(&w->coder);
}

/* --- policies --- */

enum rc list_place_of_policy(const struct list_walk *w, const struct list *l, struct list_policy_place *p)
{
    *p = (struct list_policy_place){ w->from, w->len, w->own, true, w->mode ? LIST_ENFORCE : LIST_TESTING };
    if (w->number == 0)
        return RC_OK;
    p->backwards = false;
    p->skip = (w->number - 1) % l->policies_a_block;
    return list_find_place(l, &l->policies, (w->number - 1) / l->policies_a_block, &p->from, &p->len);
}

static __attribute__((noinline)) enum rc read_policy(const struct list *l, const struct list_policy_place *p,
                                                     struct list_entry *out)
{
    struct list_coder c;
    enum rc rc = RC_OK;
    list_coder_read(&c, l->reader, p->from, p->len, p->backwards);
    for (uint32_t i = 0; rc == RC_OK && i <= p->skip; i++)
        rc = list_policy_read(&c, l->weights, out);
    return rc;
}

enum rc list_get_policy(const struct list *l, const struct list_policy_place *p, struct span domain, struct list_entry *out)
{
    enum rc rc = read_policy(l, p, out);
    out->mode = p->mode;
    return rc == RC_OK ? list_policy_expand(out, domain) : rc;
}
