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

/* 32 bits from where the line is at; zeros where its bytes end. */
static inline uint32_t peek(const struct list_line *line)
{
    if (line->bit >= line->bits)
        return 0;
    uint64_t five = (uint64_t)get_be32(line->bytes + line->bit / 8) << 8 | line->bytes[line->bit / 8 + 4];
    return (uint32_t)(five >> (8 - line->bit % 8));
}

static uint32_t take_bits(struct list_line *line, unsigned count)
{
    uint32_t bits = count > 0 ? peek(line) >> (32 - count) : 0;
    line->bit += count;
    return bits;
}

/* A number in the exponential Golomb code with so many low bits as they are. */
static uint32_t take_number(struct list_line *line, unsigned low_bits)
{
    uint32_t ahead = peek(line);
    unsigned ones = ~ahead != 0 ? (unsigned)__builtin_clz(~ahead) : 31, bits = ones + low_bits;
    line->bit += ones + 1;
    if (ones + 1 + bits > 32 || bits == 0) {
        uint32_t high = take_bits(line, ones) + (1u << ones) - 1;
        return high << low_bits | take_bits(line, low_bits);
    }
    line->bit += bits;
    return (ahead << (ones + 1) >> (32 - bits)) + (((1u << ones) - 1) << low_bits);
}

enum rc list_line_start(struct list_line *line, const struct list *l, const struct list_directory *d, uint32_t number)
{
    uint8_t b[LIST_TABLE_BYTES + LIST_TABLE_BYTES];
    bool last = number + 1 >= lines_of(d);
    enum rc rc = list_get(l, d->at + (uint64_t)number * LIST_TABLE_BYTES, b, last ? LIST_TABLE_BYTES : sizeof b);
    if (rc != RC_OK)
        return rc;
    uint32_t from = get_le32(b + 4), end = last ? d->data_bytes : get_le32(b + 12);
    if (end > d->data_bytes || end < from || end - from < LIST_LINE_LEAST)
        return RC_CORRUPT;
    uint32_t left = d->count - number * LIST_LINE_BLOCKS, take = end - from < LIST_LINE_MAX ? end - from : LIST_LINE_MAX;
    rc = list_get(l, d->data + from, line->bytes, take);
    uint8_t own = line->bytes[0];
    if (rc != RC_OK || own < LIST_LINE_LEAST || own > take)
        return rc == RC_OK ? RC_CORRUPT : rc;
    line->end = d->data + end;
    line->place = (struct list_place){ d->data + from + own, 0, get_le32(b) };
    line->left = left < LIST_LINE_BLOCKS ? left : LIST_LINE_BLOCKS;
    line->bit = 8;
    line->bits = 8u * own;
    memset(line->bytes + own, 0, 4);
    line->gap_bits = take_bits(line, 5);
    line->len_bits = take_bits(line, 4);
    line->least = take_bits(line, 8);
    line->first = true;
    line->prefixed = d->bits > 0;
    return line->place.prefix >> d->bits == 0 ? RC_OK : RC_CORRUPT;
}

enum rc list_line_next(struct list_line *line)
{
    struct list_place *p = &line->place;
    if (line->left-- == 0)
        return RC_NOT_FOUND;
    p->prefix += line->first || !line->prefixed ? 0 : take_number(line, line->gap_bits);
    p->from += p->len;
    p->len = line->least + take_number(line, line->len_bits);
    line->first = false;
    return p->from + p->len > line->end ? RC_CORRUPT : RC_OK;
}

enum rc list_find_place(const struct list *l, const struct list_directory *d, uint32_t block, struct list_place *out)
{
    struct list_line line;
    enum rc rc = list_line_start(&line, l, d, block / LIST_LINE_BLOCKS);
    for (uint32_t i = 0; rc == RC_OK && i <= block % LIST_LINE_BLOCKS; i++)
        rc = list_line_next(&line);
    *out = line.place;
    return rc == RC_NOT_FOUND ? RC_CORRUPT : rc;
}

/* --- reading one block --- */

void list_walk_start(struct list_walk *w, const struct list *l, const struct list_place *p)
{
    list_coder_read(&w->coder, l->reader, p->from, p->len, p->prefix, l->names.bits);
    w->shared = (struct list_shared){ 0, 0 };
    w->first = true;
}

enum rc list_walk_next(struct list_walk *w, struct list_key *k, size_t *shared)
{
    *shared = 0;
    if (w->first) {
        w->first = false;
        k->len = 0;
        return RC_OK;
    }
    *shared = list_code_shared(&w->coder, k->symbol, k->len, &w->shared, 0);
    list_shared_add(&w->shared, *shared);
    enum rc rc = list_read_first(&w->coder, k->symbol, *shared, *shared < k->len ? k->symbol[*shared] : SYMBOL_END);
    k->len = *shared + 1;
    return rc;
}

enum rc list_walk_rest(struct list_walk *w, struct list_key *k)
{
    enum rc rc = list_read_rest(&w->coder, k->symbol, &k->len);
    if (rc == RC_OK)
        rc = list_coder_check(&w->coder);
    return rc == RC_OK && k->len == 0 ? RC_CORRUPT : rc;
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
    return c->number > l->shared ? RC_CORRUPT : list_coder_check(&c->coder);
}

/* --- policies --- */

/* The policy after `skip` others. */
static enum rc read_policies(struct list_coder *c, const struct list *l, uint32_t skip, struct list_entry *out)
{
    enum rc rc = list_policy_read(c, l->weights, out);
    for (; rc == RC_OK && skip > 0; skip--)
        rc = list_policy_read(c, l->weights, out);
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

static __attribute__((noinline)) enum rc read_shared_policy(const struct list *l, uint32_t number, struct list_entry *out)
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
                                                     uint32_t count, struct list_entry *out)
{
    struct list_choice c;
    enum rc rc = RC_OK;
    list_choice_start(&c, l, p);
    for (uint32_t i = 0; rc == RC_OK && i <= index; i++)
        rc = list_choice_next(&c, l);
    if (rc != RC_OK)
        return rc;
    out->mode = c.mode ? LIST_ENFORCE : LIST_TESTING;
    return c.number > 0 ? read_shared_policy(l, c.number, out) : read_own_policy(&c, l, count - 1 - index, out);
}

enum rc list_get_entry(const struct list *l, const struct list_place *p, uint32_t index, uint32_t count, struct span domain,
                       struct list_entry *out)
{
    enum rc rc = read_policy(l, p, index, count, out);
    return rc == RC_OK ? list_policy_expand(out, domain) : rc;
}
