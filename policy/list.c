/* The list is looked up where it lies: a binary search over the blocks' codes, then one block from its start. Every offset and length that
 * comes out of the image is checked before it is used, and every loop is bounded by a count that was checked at open. */
#include "policy/list.h"

#include <string.h>

#include "hal/base/bytes.h"
#include "hal/base/crc32.h"
#include "policy/list_block.h"

#define HEADER_BYTES 60
#define HEADER_CRC_AT 56
#define FORMAT 2
#define SHARED_MAX 0xfffffe
#define CODE_BYTES 8 /* of a block's start that are compared */
#define VALUE_BYTES 24

_Static_assert((int)LIST_OWN_WEIGHTS == LIST_OWN_MAX, "the image's weights");

static const int64_t last_date = 253402300799; /* 9999-12-31T23:59:59Z */

/* --- opening --- */

static enum rc check_header(const struct list *l, const uint8_t *h, size_t author_len)
{
    const struct list_info *i = &l->info;
    uint32_t crc = crc32_update(crc32_update(crc32_update(0, h, HEADER_CRC_AT), i->author, author_len), l->weights,
                                LIST_OWN_WEIGHTS);
    if (memcmp(h, "PLST", 4) != 0 || h[4] != FORMAT || h[5] != LIST_MODEL || h[55] != 0 || crc != get_le32(h + HEADER_CRC_AT))
        return RC_CORRUPT;
    if (l->names_a_block == 0 || l->policies_a_block == 0 || l->names.width > LIST_WIDTH_MAX || l->policies.width > LIST_WIDTH_MAX)
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
    l->names.count = blocks_of(l->info.domains, l->names_a_block);
    l->policies.count = blocks_of(l->shared, l->policies_a_block);
    l->names.at = HEADER_BYTES + author_len + LIST_OWN_WEIGHTS;
    l->names.data = l->names.at + list_directory_bytes(&l->names);
    l->policies.at = l->names.data + l->names.data_bytes;
    l->policies.data = l->policies.at + list_directory_bytes(&l->policies);
    return l->policies.data + l->policies.data_bytes == l->reader->size_bytes ? RC_OK : RC_CORRUPT;
}

static void take_header(struct list *l, const uint8_t *h)
{
    l->names_a_block = h[6];
    l->info.timestamp = (int64_t)get_le64(h + 8);
    l->info.expires = (int64_t)get_le64(h + 16);
    l->info.domains = get_le32(h + 24);
    l->info.enforce = get_le32(h + 28);
    l->info.testing = l->info.domains - l->info.enforce;
    l->shared = get_le32(h + 32);
    l->info.policies = l->shared + get_le32(h + 36);
    l->names.data_bytes = get_le32(h + 40);
    l->policies.data_bytes = get_le32(h + 44);
    l->names.least = get_le16(h + 48);
    l->policies.least = get_le16(h + 50);
    l->names.width = h[52];
    l->policies.width = h[53];
    l->policies_a_block = h[54];
}

static enum rc read_header(struct list *l)
{
    uint8_t h[HEADER_BYTES];
    enum rc rc = list_get(l, 0, h, sizeof h);
    if (rc != RC_OK)
        return rc;
    size_t author_len = h[7];
    if (author_len >= LIST_AUTHOR_MAX)
        return RC_CORRUPT;
    rc = list_get(l, HEADER_BYTES, l->info.author, author_len);
    if (rc == RC_OK)
        rc = list_get(l, HEADER_BYTES + author_len, l->weights, LIST_OWN_WEIGHTS);
    if (rc != RC_OK)
        return rc;
    l->info.author[author_len] = '\0';
    take_header(l, h);
    rc = check_header(l, h, author_len);
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

/* The first bytes of a block, as a number; zeros where the data end. */
static enum rc get_code(const struct list *l, uint64_t from, uint64_t *code)
{
    const struct list_directory *d = &l->names;
    uint64_t left = d->data + d->data_bytes - from;
    uint8_t b[CODE_BYTES] = { 0 };
    enum rc rc = list_get(l, from, b, left < sizeof b ? (size_t)left : sizeof b);
    *code = (uint64_t)get_be32(b) << 32 | get_be32(b + 4);
    return rc;
}

/* A key, and the first bytes of the least and the greatest code that begins with it: a code below or above is that of another key. */
struct sought {
    const struct list_key *key;
    uint64_t low, high;
    bool whole; /* the key is coded to its end: what lies between low and high is its own code */
};

static uint64_t first_bytes(const uint8_t *b)
{
    return (uint64_t)get_be32(b) << 32 | get_be32(b + 4);
}

/* b[] and a number that is added to its last four bytes */
static void add_at_end(uint8_t *b, size_t len, uint32_t number)
{
    uint64_t sum = number;
    for (size_t i = len; i > 0; i--) {
        sum += b[i - 1];
        b[i - 1] = (uint8_t)sum;
        sum >>= 8;
    }
}

static void code_key(struct sought *s)
{
    const struct list_key *k = s->key;
    struct list_coder c;
    struct list_context x = { .kind = 0 };
    uint8_t code[VALUE_BYTES + CODER_LEAD] = { 0 };
    size_t i = 0;
    list_coder_write(&c, code, VALUE_BYTES);
    for (; i <= k->len && c.out_len < CODE_BYTES - CODER_LEAD; i++) {
        unsigned symbol = i < k->len ? k->symbol[i] : SYMBOL_END;
        list_code_symbol(&c, &x, -1, (int)symbol);
        list_context_add(&x, symbol);
    }
    put_be32(code + c.out_len, c.value);
    s->low = first_bytes(code);
    add_at_end(code, c.out_len + CODER_LEAD, c.range - 1);
    s->high = first_bytes(code);
    s->whole = i > k->len;
}

/* The first name of a block against a key, symbol by symbol. */
static __attribute__((noinline)) enum rc compare_head(const struct list *l, uint32_t block, const struct list_key *k, int *order)
{
    struct list_walk w;
    struct list_context x = { .kind = 0 };
    enum rc rc = list_walk_start(&w, l, block);
    for (size_t i = 0; rc == RC_OK; i++) {
        int wanted = i < k->len ? k->symbol[i] : SYMBOL_END, symbol = list_code_symbol(&w.coder, &x, -1, -1);
        *order = symbol - wanted;
        if (*order != 0 || symbol == SYMBOL_END)
            return list_coder_check(&w.coder);
        list_context_add(&x, (unsigned)symbol);
    }
    return rc;
}

/* *order: how the first name of a block stands to what is sought. Its code says that, but where both are alike as far as they are compared. */
static enum rc order_of_block(const struct list *l, const struct sought *s, uint32_t block, int *order)
{
    uint64_t from, code;
    uint32_t len;
    enum rc rc = list_find_place(l, &l->names, block, &from, &len);
    if (rc == RC_OK)
        rc = get_code(l, from, &code);
    if (rc != RC_OK)
        return rc;
    *order = code < s->low ? -1 : code > s->high ? 1 : 0;
    if (*order != 0 || (s->whole && code != s->low && code != s->high))
        return RC_OK;
    return compare_head(l, block, s->key, order);
}

/* How many of the blocks from, from + step, ... do not begin after *wanted, of `count` ones. */
static enum rc count_before(const struct list *l, const struct sought *s, uint32_t from, uint32_t count, uint32_t step, uint32_t *n)
{
    uint32_t low = 0;
    while (low < count) {
        uint32_t middle = low + (count - low) / 2;
        int order = 0;
        enum rc rc = order_of_block(l, s, from + middle * step, &order);
        if (rc != RC_OK)
            return rc;
        if (order <= 0)
            low = middle + 1;
        else
            count = middle;
    }
    *n = low;
    return RC_OK;
}

/* First among the blocks that begin a line of the directory, then within the line. */
enum rc list_find_block(const struct list *l, const struct list_key *wanted, uint32_t *block)
{
    struct sought s = { .key = wanted };
    uint32_t blocks = l->names.count, lines = (blocks + LIST_GROUP - 1) / LIST_GROUP, n;
    code_key(&s);
    enum rc rc = count_before(l, &s, 0, lines, LIST_GROUP, &n);
    if (rc != RC_OK || n == 0)
        return rc == RC_OK ? RC_NOT_FOUND : rc;
    uint32_t from = (n - 1) * LIST_GROUP, left = blocks - from;
    rc = count_before(l, &s, from, left < LIST_GROUP ? left : LIST_GROUP, 1, &n);
    *block = from + n - 1;
    return rc == RC_OK && n == 0 ? RC_CORRUPT : rc;
}

uint32_t list_names_in_block(const struct list *l, uint32_t block)
{
    uint32_t left = l->info.domains - block * l->names_a_block;
    return left < l->names_a_block ? left : l->names_a_block;
}

/* Reads a block until *wanted, or past where it would stand. */
static __attribute__((noinline)) enum rc find_in_block(const struct list *l, uint32_t block, const struct list_key *wanted,
                                                       struct list_policy_place *place)
{
    struct list_walk w;
    struct list_key name = { .len = 0 };
    size_t matched = 0; /* symbols that the name, which stands before *wanted, has in common with it */
    enum rc rc = list_walk_start(&w, l, block);
    for (uint32_t i = list_names_in_block(l, block); rc == RC_OK && i > 0; i--) {
        size_t shared = list_walk_shared_with(&w, &name);
        if (shared < matched)
            return RC_NOT_FOUND;
        rc = list_walk_name(&w, &name, shared);
        if (rc == RC_OK)
            rc = list_walk_policy(&w, l);
        if (rc != RC_OK || shared > matched)
            continue;
        while (matched < name.len && matched < wanted->len && name.symbol[matched] == wanted->symbol[matched])
            matched++;
        if (matched == wanted->len)
            return name.len == matched ? list_place_of_policy(&w, l, place) : RC_NOT_FOUND;
        if (matched < name.len && name.symbol[matched] > wanted->symbol[matched])
            return RC_NOT_FOUND;
    }
    return rc == RC_OK ? RC_NOT_FOUND : rc;
}

static __attribute__((noinline)) enum rc find_policy(const struct list *l, struct span domain, struct list_policy_place *place)
{
    struct list_key wanted;
    uint32_t block;
    if (!list_key_of_domain(&wanted, domain))
        return RC_NOT_FOUND;
    enum rc rc = list_find_block(l, &wanted, &block);
    return rc == RC_OK ? find_in_block(l, block, &wanted, place) : rc;
}

enum rc list_find(const struct list *l, struct span domain, struct list_entry *out)
{
    struct list_policy_place place;
    enum rc rc = find_policy(l, domain, &place);
    return rc == RC_OK ? list_get_policy(l, &place, domain, out) : rc;
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
