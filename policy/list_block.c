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

void list_key_text(char *end, const uint8_t *symbol, size_t len)
{
    size_t label = 0;
    for (size_t i = 0; i <= len; i++) {
        if (i < len && symbol[i] != SYMBOL_DOT)
            continue;
        for (size_t n = label; n < i; n++)
            end[(ptrdiff_t)(n - i)] = alphabet[symbol[n]];
        end -= i - label;
        if (i < len)
            *--end = '.';
        label = i + 1;
    }
}

int list_key_cmp(const struct list_key *a, const struct list_key *b)
{
    return span_cmp(span_bytes(a->symbol, a->len), span_bytes(b->symbol, b->len));
}

/* --- directories: where the blocks lie --- */

#define LIST_LINE_LEAST 4

static uint32_t lines_of(const struct list_directory *d)
{
    return d->count / LIST_LINE_BLOCKS + (d->count % LIST_LINE_BLOCKS != 0);
}

uint64_t list_directory_bytes(const struct list_directory *d)
{
    return (uint64_t)lines_of(d) * LIST_TABLE_BYTES;
}

enum rc list_line_prefix(const struct list *l, const struct list_directory *d, uint32_t line, uint32_t *prefix)
{
    uint8_t b[4];
    enum rc rc = list_get(l, d->at + (uint64_t)line * LIST_TABLE_BYTES, b, sizeof b);
    *prefix = get_le32(b);
    return rc;
}

struct line {
    uint32_t from, end, prefix; /* offsets behind the table: of the line, and of the next one */
    uint8_t bytes[LIST_LINE_MAX + 4];
};

static enum rc read_line(struct line *line, const struct list *l, const struct list_directory *d, uint32_t number)
{
    uint8_t b[LIST_TABLE_BYTES + LIST_TABLE_BYTES];
    bool last = number + 1 >= lines_of(d);
    enum rc rc = list_get(l, d->at + (uint64_t)number * LIST_TABLE_BYTES, b, last ? LIST_TABLE_BYTES : sizeof b);
    if (rc != RC_OK)
        return rc;
    line->prefix = get_le32(b);
    line->from = get_le32(b + 4);
    line->end = last ? d->data_bytes : get_le32(b + 12);
    if (line->end > d->data_bytes || line->end < line->from || line->prefix >> d->bits != 0)
        return RC_CORRUPT;
    uint32_t left = line->end - line->from, take = left < LIST_LINE_MAX ? left : LIST_LINE_MAX;
    rc = list_get(l, d->data + line->from, line->bytes, take);
    if (rc != RC_OK)
        return rc;
    if (take < LIST_LINE_LEAST || line->bytes[0] < LIST_LINE_LEAST || line->bytes[0] > take)
        return RC_CORRUPT;
    memset(line->bytes + line->bytes[0], 0, 4);
    return RC_OK;
}

struct line_bits {
    uint64_t window; /* the next bits, high ones first */
    const uint8_t *next, *end;
    unsigned have;
};

/* At least 32 bits into the window; zeros behind the end. */
static inline __attribute__((always_inline)) void look(struct line_bits *b)
{
    if (b->have >= 32)
        return;
    if (b->next < b->end) {
        b->window |= (uint64_t)get_be32(b->next) << (32 - b->have);
        b->next += 4;
    }
    b->have += 32;
}

/* count: 0..31. */
static uint32_t take_bits(struct line_bits *b, unsigned count)
{
    look(b);
    uint32_t bits = (uint32_t)(b->window >> 32) >> 1 >> (31 - count);
    b->window <<= count;
    b->have -= count;
    return bits;
}

/* A number in the exponential Golomb code with so many low bits as they are. */
static inline __attribute__((always_inline)) uint32_t take_number(struct line_bits *b, unsigned low_bits)
{
    look(b);
    uint32_t ahead = (uint32_t)(b->window >> 32);
    unsigned ones = ~ahead != 0 ? (unsigned)__builtin_clz(~ahead) : 31, rest = ones + low_bits, all = ones + 1 + rest;
    if (all > 32) { /* seldom */
        (void)take_bits(b, ones);
        (void)take_bits(b, 1);
        uint32_t high = take_bits(b, ones) + (1u << ones) - 1;
        return high << low_bits | take_bits(b, low_bits);
    }
    b->window <<= all;
    b->have -= all;
    return (ahead << (ones + 1) >> 1 >> (31 - rest)) + (((1u << ones) - 1) << low_bits);
}

/* The same where it comes seldom: take_number is large. */
static __attribute__((noinline)) uint32_t take_rare_number(struct line_bits *b, unsigned low_bits)
{
    return take_number(b, low_bits);
}

/* A block has one name more than usual, one less, two more... */
static __attribute__((noinline)) uint8_t odd_names(const struct list_directory *d, struct line_bits *b, uint32_t *until_odd)
{
    uint32_t z = take_rare_number(b, 0), away = z / 2 + 1;
    *until_odd = take_rare_number(b, LIST_ODD_BITS);
    return (uint8_t)(d->usual + (z % 2 == 0 ? away : -away));
}

enum rc list_line_find(const struct list *l, const struct list_directory *d, uint32_t number, struct list_range wanted, uint32_t *n,
                       struct list_place *place, struct list_place *next)
{
    struct line line;
    enum rc rc = read_line(&line, l, d, number);
    if (rc != RC_OK)
        return rc;
    struct line_bits b = { 0, line.bytes + 1, line.bytes + line.bytes[0], 0 };
    unsigned gap_bits = take_bits(&b, 5), len_bits = take_bits(&b, 4), least = take_bits(&b, 8);
    uint32_t left = d->count - number * LIST_LINE_BLOCKS, until_odd = LIST_LINE_BLOCKS, known = *n, i;
    uint32_t from = line.from + line.bytes[0], before = from;
    uint32_t prefix = line.prefix, prefix_before = prefix, len = 0, len_before = 0;
    uint8_t names = d->usual, names_before = names;
    left = left < LIST_LINE_BLOCKS ? left : LIST_LINE_BLOCKS;
    if (d == &l->names && take_bits(&b, 1)) {
        left = take_bits(&b, 5) + 1;
        until_odd = take_rare_number(&b, LIST_ODD_BITS);
    }
    for (i = 0; i < left; i++) {
        prefix += i == 0 || d->bits == 0 ? 0 : take_number(&b, gap_bits);
        from += len;
        len = least + take_number(&b, len_bits);
        names = until_odd-- > 0 ? d->usual : odd_names(d, &b, &until_odd);
        if (len > line.end - from || names == 0)
            return RC_CORRUPT;
        if (i >= known && prefix >= wanted.low)
            break;
        before = from;
        len_before = len;
        prefix_before = prefix;
        names_before = names;
    }
    *place = (struct list_place){ d->data + before, len_before, prefix_before, names_before, i == left };
    if (next != NULL)
        *next = (struct list_place){ d->data + from, len, prefix, names, false };
    *n = i;
    return i < left && prefix <= wanted.high ? RC_BUSY : i < known ? RC_CORRUPT : RC_OK;
}

enum rc list_find_place(const struct list *l, const struct list_directory *d, uint32_t block, struct list_place *out)
{
    uint32_t n = block % LIST_LINE_BLOCKS + 1;
    enum rc rc = list_line_find(l, d, block / LIST_LINE_BLOCKS, (struct list_range){ 0, 0 }, &n, out, NULL);
    return rc == RC_BUSY ? RC_OK : rc;
}

/* --- reading one block --- */

void list_walk_start(struct list_walk *w, const struct list *l, const struct list_place *p, uint8_t *memory)
{
    list_coder_read(&w->coder, l->reader, p->from, p->len, p->prefix, l->names.bits);
    w->shared = (struct list_shared){ 0, 0 };
    w->first = true;
    w->symbol = memory;
    w->len = 0;
}

enum rc list_walk_next(struct list_walk *w, size_t *shared)
{
    *shared = w->len;
    if (w->first) {
        w->first = false;
        w->before_rest = list_context_at(w->symbol, w->len);
        return RC_OK;
    }
    size_t same = list_code_shared(&w->coder, w->symbol, w->len, &w->shared, 0);
    enum rc rc = list_read_first(&w->coder, &w->before_rest, w->symbol, same, same < w->len ? w->symbol[same] : SYMBOL_END);
    list_shared_add(&w->shared, same);
    w->len = same + 1;
    *shared = same;
    return list_coder_told(&w->coder, rc);
}

enum rc list_walk_rest(struct list_walk *w)
{
    enum rc rc = list_read_rest(&w->coder, &w->before_rest, w->symbol, &w->len);
    if (rc == RC_OK)
        rc = list_coder_check(&w->coder);
    return rc == RC_OK && w->len == 0 ? RC_CORRUPT : rc;
}

void list_choice_start(struct list_choice *c, const struct list *l, const struct list_place *p)
{
    list_coder_read_back(&c->coder, l->reader, p->from, p->len);
    c->number = 1;
    c->own = 0;
    c->mode = 0;
    c->first = true;
}

enum rc list_choice_next(struct list_choice *c, const struct list *l)
{
    int before = c->mode;
    c->own += c->number == 0;
    if (c->first || c->number == 0 || !list_code_own(&c->coder, l->weights, OWN_SAME, 0)) {
        c->number = list_code_number(&c->coder, l->weights, 0);
        before = -1;
    }
    c->mode = (uint8_t)list_code_own(&c->coder, l->weights, list_mode_weight(c->number, before), 0);
    c->first = false;
    enum rc rc = list_coder_check(&c->coder);
    return rc == RC_OK && c->number > l->shared ? RC_CORRUPT : rc;
}

/* --- policies --- */

/* The policy after `skip` others. */
static enum rc read_policies(struct list_coder *c, const struct list *l, uint32_t skip, struct list_entry *out)
{
    enum rc rc = list_policy_read(c, l, out);
    for (; rc == RC_OK && skip > 0; skip--)
        rc = list_policy_read(c, l, out);
    return rc;
}

/* That of the entry that c has come to: behind the choices of all names of the block. */
static enum rc read_own_policy(struct list_choice *c, const struct list *l, uint32_t names_left, struct list_entry *out)
{
    uint32_t skip = c->own;
    enum rc rc = RC_OK;
    for (; rc == RC_OK && names_left > 0; names_left--)
        rc = list_choice_next(c, l);
    return rc == RC_OK ? read_policies(&c->coder, l, skip, out) : rc;
}

__attribute__((noinline)) enum rc list_shared_policy(const struct list *l, uint32_t number, struct list_entry *out)
{
    struct list_place p;
    struct list_coder c;
    uint32_t at = number - 1, coded = at - l->plain;
    bool plain = at < l->plain;
    enum rc rc = list_find_place(l, &l->policies, plain ? at : l->plain + coded / l->policies_a_block, &p);
    if (rc != RC_OK)
        return rc;
    if (plain) {
        rc = p.len <= sizeof out->text ? list_get(l, p.from, out->text, p.len) : RC_CORRUPT;
        out->text_len = p.len;
        return rc == RC_OK ? list_policy_check(out) : rc;
    }
    list_coder_read(&c, l->reader, p.from, p.len, 0, 0);
    return read_policies(&c, l, coded % l->policies_a_block, out);
}

static __attribute__((noinline)) enum rc read_policy(const struct list *l, const struct list_place *p, uint32_t index,
                                                     struct list_entry *out)
{
    struct list_choice c;
    enum rc rc = RC_OK;
    list_choice_start(&c, l, p);
    for (uint32_t i = 0; rc == RC_OK && i <= index; i++)
        rc = list_choice_next(&c, l);
    if (rc != RC_OK)
        return rc;
    out->mode = c.mode ? LIST_ENFORCE : LIST_TESTING;
    return c.number > 0 ? list_shared_policy(l, c.number, out) : read_own_policy(&c, l, p->names - 1 - index, out);
}

enum rc list_get_entry(const struct list *l, const struct list_place *p, uint32_t index, struct span domain, struct list_entry *out)
{
    enum rc rc = read_policy(l, p, index, out);
    return rc == RC_OK ? list_policy_expand(out, domain) : rc;
}
