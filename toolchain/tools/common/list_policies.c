#include "toolchain/tools/common/list_policies.h"

#include "hal/base/crc32.h"
#include "policy/list_block.h"

/* --- relative to the domain --- */

struct relative { /* a policy's patterns, as list_policy.h stores them */
    uint8_t text[LIST_MX_BYTES];
    size_t len;
};

static bool begins_with_dashed(struct span host, struct span domain)
{
    if (host.len < domain.len + 2 || host.p[domain.len] != '.')
        return false;
    for (size_t i = 0; i < domain.len; i++) {
        if (host.p[i] != (domain.p[i] == '.' ? '-' : domain.p[i]))
            return false;
    }
    return true;
}

/* Patterns are canonical and together fit LIST_MX_BYTES with their NULs; so do these, which are never longer. */
static void add_pattern(struct relative *out, struct span domain, struct span mx)
{
    unsigned flags = 0;
    struct span rest = mx;
    struct list_key key = { .len = 0 };
    if (mx.len > 0 && mx.p[0] == '.') {
        flags |= PATTERN_DOT;
        rest = span_from(mx, 1);
    }
    if (domain_is_within(rest, domain)) {
        flags |= PATTERN_RELATIVE;
        rest = span_sub(rest, 0, rest.len > domain.len ? rest.len - domain.len - 1 : 0);
    } else if (begins_with_dashed(rest, domain)) {
        flags |= PATTERN_DASHED;
        rest = span_from(rest, domain.len + 1);
    }
    if (rest.len > 0)
        (void)list_key_of_domain(&key, rest);
    memcpy(out->text + out->len, key.symbol, key.len);
    out->text[out->len + key.len] = (uint8_t)(PATTERN_END | flags);
    out->len += key.len + 1;
}

static void make_relative(const struct list_source_domain *d, struct relative *out)
{
    out->len = 0;
    for (unsigned i = 0; i < d->mx_count; i++)
        add_pattern(out, span_of(d->name), span_of(d->mx[i]));
}

/* --- each once --- */

static size_t slot_of(const struct policies *p, const uint8_t *text, size_t len)
{
    return crc32_update(0, text, len) % p->hash_size;
}

static void link_record(struct policies *p, size_t i)
{
    struct policy_record *r = &p->records[i];
    size_t slot = slot_of(p, r->text, r->len);
    r->next_same_hash = p->hash_heads[slot];
    p->hash_heads[slot] = (uint32_t)(i + 1);
}

static void rehash(struct policies *p)
{
    free(p->hash_heads);
    p->hash_size = p->hash_size * 2 + 1023;
    p->hash_heads = tool_alloc(p->hash_size, sizeof *p->hash_heads);
    for (size_t i = 0; i < p->count; i++)
        link_record(p, i);
}

static struct policy_record *find(const struct policies *p, const struct relative *text)
{
    if (p->hash_size == 0)
        return NULL;
    for (size_t i = p->hash_heads[slot_of(p, text->text, text->len)]; i != 0; i = p->records[i - 1].next_same_hash) {
        struct policy_record *r = &p->records[i - 1];
        if (r->len == text->len && memcmp(r->text, text->text, text->len) == 0)
            return r;
    }
    return NULL;
}

static struct policy_record *add(struct policies *p, const struct relative *text)
{
    if (p->count == p->cap) {
        p->cap = p->cap * 2 + 64;
        p->records = tool_resize(p->records, p->cap, sizeof *p->records);
    }
    if (p->count >= p->hash_size)
        rehash(p);
    struct policy_record *r = &p->records[p->count];
    *r = (struct policy_record){ .text = tool_alloc(text->len, 1), .len = (uint32_t)text->len };
    memcpy(r->text, text->text, text->len);
    link_record(p, p->count++);
    return r;
}

void policies_count(struct policies *p, const struct list_source_domain *d)
{
    struct relative text;
    make_relative(d, &text);
    struct policy_record *r = find(p, &text);
    if (r == NULL)
        r = add(p, &text);
    r->uses++;
}

const struct policy_record *policies_find(const struct policies *p, const struct list_source_domain *d)
{
    struct relative text;
    make_relative(d, &text);
    return find(p, &text);
}

#define USES_FOR_A_PLACE 5 /* behind those of the list before */

static int by_uses(const void *a, const void *b)
{
    const struct policy_record *x = *(const struct policy_record *const *)a, *y = *(const struct policy_record *const *)b;
    if (x->uses != y->uses)
        return x->uses < y->uses ? 1 : -1;
    return span_cmp(span_bytes(x->text, x->len), span_bytes(y->text, y->len));
}

enum rc policies_seed(struct policies *p, const struct list *before)
{
    struct list_entry e;
    for (uint32_t number = 1; number <= before->shared; number++) {
        enum rc rc = list_shared_policy(before, number, &e);
        if (rc != RC_OK)
            return rc;
        struct relative text = { .len = e.text_len };
        memcpy(text.text, e.text, e.text_len);
        add(p, &text);
    }
    p->seeded = p->count;
    return RC_OK;
}

/* Those that are new in the table, the most used first. How many. */
static size_t choose_new(struct policies *p, struct policy_record **out)
{
    size_t n = 0;
    for (size_t i = p->seeded; i < p->count; i++) {
        if (p->records[i].uses > 1)
            out[n++] = &p->records[i];
    }
    if (n > 1)
        qsort(out, n, sizeof *out, by_uses);
    return n;
}

void policies_number(struct policies *p)
{
    struct policy_record **fresh = tool_alloc(p->count, sizeof *fresh);
    size_t count = choose_new(p, fresh), place = 0;
    p->by_number = tool_alloc(p->count, sizeof *p->by_number);
    for (p->shared = 0; p->shared < p->seeded; p->shared++)
        p->by_number[p->shared] = &p->records[p->shared];
    for (size_t i = 0; i < count; i++, place++) {
        while (place < p->seeded && p->by_number[place]->uses > 0)
            place++;
        if (p->seeded > 0 && place >= p->seeded && fresh[i]->uses < USES_FOR_A_PLACE)
            break;
        p->by_number[place] = fresh[i];
        p->shared += place == p->shared;
    }
    for (size_t i = 0; i < p->shared; i++)
        p->by_number[i]->number = (uint32_t)(i + 1);
    p->own = 0;
    for (size_t i = 0; i < p->count; i++)
        p->own += p->records[i].uses > 0 && p->records[i].number == 0;
    free(fresh);
}

void policies_free(struct policies *p)
{
    for (size_t i = 0; i < p->count; i++)
        free(p->records[i].text);
    free(p->records);
    free(p->hash_heads);
    free(p->by_number);
    known_hosts_free(&p->hosts);
    memset(p, 0, sizeof *p);
}

/* --- writing --- */

struct pattern {
    const uint8_t *text;
    size_t len;
    unsigned flags;
    bool next;
};

static void code_text(struct list_coder *c, const struct pattern *p, size_t from)
{
    struct list_context x = list_pattern_context(p->flags, p->text, from);
    for (size_t i = from; i < p->len; i++) {
        list_code_symbol(c, &x, -1, p->text[i]);
        list_pattern_context_add(&x, p->text[i]);
    }
    list_code_symbol(c, &x, -1, SYMBOL_END);
}

static bool is_next(const struct pattern *p, const struct pattern *before)
{
    uint8_t text[DOMAIN_MAX];
    if (p->flags != before->flags || p->len != before->len)
        return false;
    memcpy(text, before->text, before->len);
    return list_pattern_next(text, before->len) && memcmp(text, p->text, p->len) == 0;
}

static size_t shared_with(const struct pattern *p, const struct pattern *before)
{
    size_t n = 0;
    if (((p->flags ^ before->flags) & ~(unsigned)PATTERN_DOT) != 0)
        return 0;
    while (n < p->len && n < before->len && p->text[n] == before->text[n])
        n++;
    return n;
}

/* Whether naming how much is left out is cheaper than the symbols that are shared; both in bits, roughly. */
static bool pays(size_t shared, size_t dropped)
{
    unsigned gamma = 1;
    for (size_t n = dropped + 1; n > 1; n /= 2)
        gamma += 2;
    return shared * 3 > gamma;
}

static bool is_like(const struct pattern *p, const struct pattern *before)
{
    size_t shared = shared_with(p, before);
    return pays(shared, before->len - shared);
}

static void code_outside(struct list_coder *c, const int8_t *own, const struct known_hosts *hosts, const struct pattern *p,
                         bool first)
{
    const struct known_host *h = p->flags & PATTERN_DASHED ? NULL : known_hosts_find(hosts, span_bytes(p->text, p->len));
    if (list_code_own(c, own, OWN_KNOWN + !first, h != NULL))
        list_code_known(c, own, h->number);
    else
        list_code_own(c, own, OWN_DASHED, (p->flags & PATTERN_DASHED) != 0);
    code_text(c, p, h != NULL ? h->text.len : 0);
}

static void code_fresh(struct list_coder *c, const int8_t *own, const struct known_hosts *hosts, const struct pattern *p,
                       unsigned before)
{
    if (list_code_own(c, own, OWN_RELATIVE + before, (p->flags & PATTERN_RELATIVE) != 0)) {
        if (!list_code_own(c, own, OWN_BARE, p->len == 0))
            code_text(c, p, 0);
        return;
    }
    code_outside(c, own, hosts, p, before == 0);
}

static void code_pattern(struct list_coder *c, const int8_t *own, const struct known_hosts *hosts, struct pattern *p,
                         const struct pattern *before)
{
    if (before != NULL) {
        p->next = is_next(p, before);
        if (list_code_own(c, own, OWN_NEXT + before->next, p->next))
            return;
    }
    unsigned flags = before != NULL ? before->flags : 0, relative = (p->flags & PATTERN_RELATIVE) != 0;
    if (before != NULL && list_code_own(c, own, OWN_SHARED, is_like(p, before))) {
        size_t shared = shared_with(p, before);
        list_code_dropped(c, own, (uint32_t)(before->len - shared));
        code_text(c, p, shared);
    } else {
        code_fresh(c, own, hosts, p, list_pattern_before(before == NULL, flags, PATTERN_RELATIVE));
    }
    list_code_own(c, own, OWN_DOT + relative * 3 + list_pattern_before(before == NULL, flags, PATTERN_DOT), p->flags & PATTERN_DOT);
}

/* The pattern that begins at *start, which goes behind it. False: there is none. */
static bool take_pattern(const struct policy_record *r, size_t *start, struct pattern *out)
{
    size_t end = *start;
    if (end == r->len)
        return false;
    while (r->text[end] < PATTERN_END)
        end++;
    *out = (struct pattern){ r->text + *start, end - *start, r->text[end] & ~(unsigned)PATTERN_END, false };
    *start = end + 1;
    return true;
}

enum rc policies_keep_hosts(struct policies *p, const struct list *before)
{
    struct span *texts = tool_alloc(before->known, sizeof *texts);
    char *room = known_hosts_room(&p->hosts, before->known);
    enum rc rc = RC_OK;
    for (uint32_t n = 0; rc == RC_OK && n < before->known; n++, room += DOMAIN_MAX) {
        struct list_place place;
        rc = list_find_place(before, &before->policies, before->policies.count - before->known + n, &place);
        if (rc == RC_OK)
            rc = place.len <= DOMAIN_MAX ? list_get(before, place.from, room, place.len) : RC_CORRUPT;
        if (rc == RC_OK)
            texts[n] = span_bytes(room, place.len);
    }
    if (rc == RC_OK)
        known_hosts_keep(&p->hosts, texts, before->known);
    free(texts);
    return rc;
}

void policies_choose_hosts(struct policies *p)
{
    for (size_t i = 0; i < p->count; i++) {
        struct pattern now, before = { .len = 0 };
        for (size_t start = 0, n = 0; take_pattern(&p->records[i], &start, &now); n++, before = now) {
            bool fresh = n == 0 || !(is_next(&now, &before) || is_like(&now, &before));
            if (fresh && (now.flags & (PATTERN_RELATIVE | PATTERN_DASHED)) == 0)
                known_hosts_add(&p->hosts, span_bytes(now.text, now.len));
        }
    }
    known_hosts_choose(&p->hosts);
}

void policy_record_code(struct list_coder *c, const int8_t *own, const struct known_hosts *hosts, const struct policy_record *r)
{
    struct pattern p, before = { .len = 0 };
    unsigned count = 0;
    for (size_t start = 0; take_pattern(r, &start, &p); count++) {
        if (count > 0)
            list_code_own(c, own, OWN_MORE + (count < 4 ? count - 1 : 3), 1);
        code_pattern(c, own, hosts, &p, count > 0 ? &before : NULL);
        before = p;
    }
    if (count < LIST_MX_MAX)
        list_code_own(c, own, OWN_MORE + (count < 4 ? count - 1 : 3), 0);
}
