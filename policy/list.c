/* The list is looked up where it lies: a binary search over the blocks' codes, then one block from its start. Every offset and length that
 * comes out of the image is checked before it is used, and every loop is bounded by a count that was checked at open. */
#include "policy/list.h"

#include <string.h>

#include "hal/base/bytes.h"
#include "hal/base/crc32.h"
#include "policy/list_block.h"

#define HEADER_CRC_AT 52
#define FORMAT 4
#define SHARED_MAX 0xfffffe
#define TIME_BITS 40 /* of a date; above the timestamp stands the number of lines, above the other that of known hosts */
#define TIME_MASK ((UINT64_C(1) << TIME_BITS) - 1)

_Static_assert((int)LIST_OWN_WEIGHTS == LIST_OWN_MAX, "the image's weights");

static const int64_t last_date = 253402300799; /* 9999-12-31T23:59:59Z */

/* --- opening --- */

static enum rc check_header(const struct list *l, const uint8_t *h, size_t author_len, const uint8_t *weights)
{
    const struct list_info *i = &l->info;
    uint32_t crc = crc32_update(crc32_update(crc32_update(0, h, HEADER_CRC_AT), i->author, author_len), weights, LIST_OWN_BYTES);
    if (memcmp(h, "PLST", 4) != 0 || h[4] != FORMAT || h[5] != LIST_MODEL || crc != get_le32(h + HEADER_CRC_AT))
        return RC_CORRUPT;
    if (l->names.usual == 0 || l->policies_a_block == 0 || l->names.bits > LIST_BITS_MAX || l->plain > LIST_PLAIN_MAX ||
        l->plain > l->shared || get_le32(h + 20) >> 8 > LIST_KNOWN_MAX)
        return RC_CORRUPT;
    if (i->timestamp <= 0 || i->expires < i->timestamp || i->expires > last_date || i->enforce > i->domains ||
        l->shared > SHARED_MAX)
        return RC_CORRUPT;
    for (size_t n = 0; n < author_len; n++) {
        if (i->author[n] < 0x20 || i->author[n] > 0x7e)
            return RC_CORRUPT;
    }
    return RC_OK;
}

static uint32_t blocks_of(uint32_t count, uint32_t each)
{
    return (uint32_t)(((uint64_t)count + each - 1) / each);
}

static enum rc lay_out(struct list *l, size_t author_len)
{
    l->policies.count = l->plain + blocks_of(l->shared - l->plain, l->policies_a_block) + l->known;
    l->names.at = LIST_HEADER_BYTES + author_len + LIST_OWN_BYTES;
    l->names.data = l->names.at + list_directory_bytes(&l->names);
    l->policies.at = l->names.data + l->names.data_bytes;
    l->policies.data = l->policies.at + list_directory_bytes(&l->policies);
    return l->policies.data + l->policies.data_bytes == l->reader->size_bytes ? RC_OK : RC_CORRUPT;
}

static void take_header(struct list *l, const uint8_t *h)
{
    uint64_t time_and_lines = get_le64(h + 8);
    l->names.usual = h[6];
    l->info.timestamp = (int64_t)(time_and_lines & TIME_MASK);
    l->names.count = (uint32_t)(time_and_lines >> TIME_BITS) * LIST_LINE_BLOCKS;
    l->info.expires = (int64_t)(get_le64(h + 16) & TIME_MASK);
    l->known = get_le16(h + 16 + TIME_BITS / 8);
    l->info.domains = get_le32(h + 24);
    l->info.enforce = get_le32(h + 28);
    l->info.testing = l->info.domains - l->info.enforce;
    l->shared = get_le32(h + 32);
    l->info.policies = l->shared + get_le32(h + 36);
    l->names.data_bytes = get_le32(h + 40);
    l->policies.data_bytes = get_le32(h + 44);
    l->policies.usual = 1; /* it has no names: any number but 0 */
    l->names.bits = h[48];
    l->policies_a_block = h[49];
    l->plain = get_le16(h + 50);
}

/* Six bits each, high ones first: a number from -32 on, in quarters of a nat. */
static void take_weights(struct list *l, const uint8_t *packed)
{
    uint32_t bits = 0;
    for (unsigned i = 0, have = 0; i < LIST_OWN_MAX; i++) {
        for (; have < 6; have += 8)
            bits = bits << 8 | *packed++;
        have -= 6;
        l->weights[i] = (int8_t)(((int)(bits >> have & 63) - 32) * 4);
    }
}

static enum rc read_header(struct list *l)
{
    uint8_t h[LIST_HEADER_BYTES], weights[LIST_OWN_BYTES];
    enum rc rc = list_get(l, 0, h, sizeof h);
    if (rc != RC_OK)
        return rc;
    size_t author_len = h[7];
    if (author_len >= LIST_AUTHOR_MAX)
        return RC_CORRUPT;
    rc = list_get(l, LIST_HEADER_BYTES, l->info.author, author_len);
    if (rc == RC_OK)
        rc = list_get(l, LIST_HEADER_BYTES + author_len, weights, sizeof weights);
    if (rc != RC_OK)
        return rc;
    l->info.author[author_len] = '\0';
    take_header(l, h);
    take_weights(l, weights);
    rc = check_header(l, h, author_len, weights);
    return rc == RC_OK ? lay_out(l, author_len) : rc;
}

enum rc list_open(struct list *l, const struct reader *r)
{
    memset(l, 0, sizeof *l);
    l->reader = r;
    enum rc rc = read_header(l);
    if (rc != RC_OK)
        memset(l, 0, sizeof *l);
    return rc;
}

/* --- searching --- */

struct sought {
    const struct list_key *key;
    const struct list_bracket *code;
    struct list_range range; /* its first bits, so many as lines have */
};

/* The first name of a block against a key, symbol by symbol. */
static __attribute__((noinline)) enum rc compare_head(const struct list *l, const struct list_place *p, const struct sought *s,
                                                      int *order)
{
    struct list_coder c;
    list_coder_read(&c, l->reader, p->from, p->len, p->prefix, l->names.bits);
    size_t same = list_coder_skip(&c, s->code);
    struct list_context x = list_context_at(s->key->symbol, same);
    for (size_t i = same;; i++) {
        int wanted = i < s->key->len ? s->key->symbol[i] : SYMBOL_END, symbol = list_code_symbol(&c, &x, -1, -1);
        *order = symbol - wanted;
        if (*order != 0 || symbol == SYMBOL_END)
            return list_coder_check(&c);
        list_context_add(&x, (unsigned)symbol);
    }
}

static enum rc order_of_line(const struct list *l, const struct sought *s, uint32_t line, int *order)
{
    struct list_place p;
    enum rc rc = list_line_prefix(l, &l->names, line, &p.prefix);
    *order = p.prefix < s->range.low ? -1 : p.prefix > s->range.high;
    if (rc != RC_OK || *order != 0)
        return rc;
    rc = list_find_place(l, &l->names, line * LIST_LINE_BLOCKS, &p);
    return rc == RC_OK ? compare_head(l, &p, s, order) : rc;
}

/* The last line that does not begin after what is sought. RC_NOT_FOUND: all do. */
static enum rc find_line(const struct list *l, const struct sought *s, uint32_t *line)
{
    uint32_t low = 0, high = (uint32_t)(list_directory_bytes(&l->names) / LIST_TABLE_BYTES);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = 0;
        enum rc rc = order_of_line(l, s, middle, &order);
        if (rc != RC_OK)
            return rc;
        if (order <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    *line = low - 1;
    return low > 0 ? RC_OK : RC_NOT_FOUND;
}

enum rc list_find_block(const struct list *l, const struct list_key *wanted, struct list_bracket *code, uint32_t *block,
                        struct list_place *place)
{
    struct sought s = { .key = wanted, .code = code };
    unsigned unit = 63u - l->names.bits;
    struct list_place next;
    uint32_t line = 0, n = 1; /* the line's first block is told by the table */
    int order = 0;
    list_bracket(code, wanted->symbol, wanted->len);
    s.range = (struct list_range){ (uint32_t)(code->low >> unit >> 1), (uint32_t)(code->high >> unit >> 1) };
    enum rc rc = find_line(l, &s, &line);
    while (rc == RC_OK && (rc = list_line_find(l, &l->names, line, s.range, &n, place, &next)) == RC_BUSY) {
        rc = compare_head(l, &next, &s, &order);
        if (order > 0)
            break;
        n++;
    }
    *block = line * LIST_LINE_BLOCKS + n - 1;
    return rc;
}

/* Whether the name, which has its first `matched` symbols in common with *wanted, stands behind it, as far as it is known. */
static bool is_past(const struct list_walk *w, const struct list_key *wanted, size_t matched)
{
    return matched < w->len && (matched == wanted->len || w->symbol[matched] > wanted->symbol[matched]);
}

struct found {
    struct list_place place;
    uint32_t index; /* of the names of the block */
};

/* Reads a block until *wanted, or past where it would stand. */
static __attribute__((noinline)) enum rc find_in_block(const struct list *l, const struct list_key *wanted,
                                                       const struct list_bracket *code, struct found *f, uint8_t *memory)
{
    struct list_walk w;
    list_walk_start(&w, l, &f->place, memory);
    size_t matched = list_coder_skip(&w.coder, code); /* symbols in common with the name at hand, which stands before *wanted */
    w.len = matched;
    memcpy(memory, wanted->symbol, matched);
    for (f->index = 0; f->index < f->place.names; f->index++) {
        size_t shared;
        enum rc rc = list_walk_next(&w, &shared);
        if (rc == RC_OK && (shared < matched || (shared == matched && is_past(&w, wanted, matched))))
            return RC_NOT_FOUND;
        if (rc == RC_OK)
            rc = list_walk_rest(&w);
        if (rc != RC_OK)
            return rc;
        if (shared > matched)
            continue;
        while (matched < w.len && matched < wanted->len && w.symbol[matched] == wanted->symbol[matched])
            matched++;
        if (matched == wanted->len && w.len == matched)
            return RC_OK;
        if (is_past(&w, wanted, matched))
            return RC_NOT_FOUND;
    }
    return RC_NOT_FOUND;
}

/* memory: LIST_KEY_BYTES. */
static __attribute__((noinline)) enum rc find_name(const struct list *l, struct span domain, struct found *f, uint8_t *memory)
{
    struct list_key wanted;
    struct list_bracket code;
    uint32_t block;
    if (!list_key_of_domain(&wanted, domain))
        return RC_NOT_FOUND;
    enum rc rc = list_find_block(l, &wanted, &code, &block, &f->place);
    return rc == RC_OK ? find_in_block(l, &wanted, &code, f, memory) : rc;
}

enum rc list_find(const struct list *l, struct span domain, struct list_entry *out)
{
    struct found f;
    enum rc rc = find_name(l, domain, &f, (uint8_t *)out->text);
    return rc == RC_OK ? list_get_entry(l, &f.place, f.index, domain, out) : rc;
}

const char *list_entry_mx(const struct list_entry *e, unsigned i)
{
    if (i >= e->mx_count)
        return NULL;
    const char *text = e->text;
    while (i-- > 0)
        text += strlen(text) + 1;
    return text;
}

bool list_entry_allows(const struct list_entry *e, struct span mx_host)
{
    const char *text = e->text;
    for (unsigned i = 0; i < e->mx_count; i++) {
        struct span pattern = span_of(text);
        if (domain_matches_pattern(mx_host, pattern))
            return true;
        text += pattern.len + 1;
    }
    return false;
}
