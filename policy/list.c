/* The list is looked up where it lies: a binary search over the first names of the blocks, then one block from its start. Every offset
 * and length that comes out of the image is checked before it is used, and every loop is bounded by a count that was checked at open. */
#include "policy/list.h"

#include <string.h>

#include "hal/base/bytes.h"
#include "hal/base/crc32.h"

#define HEADER_BYTES 60
#define HEADER_CRC_AT 56
#define FORMAT 1
#define NAMES_A_BLOCK 16
#define VARINT_BYTES_MAX 5
#define CURSOR_BYTES 48

enum { W_BLOCKS, W_BLOCK_INDEX, W_NAMES, W_NAMES_BYTES, W_POLICY_INDEX, W_POLICIES, W_POLICIES_BYTES };
enum { MX_LITERAL = 0, MX_BEFORE_DOMAIN = 1 };

static const int64_t last_date = 253402300799; /* 9999-12-31T23:59:59Z */

/* A device that fails stays RC_IO; a range outside the image is the image's fault. */
static enum rc get(const struct list *l, uint64_t offset, void *out, size_t len)
{
    enum rc rc = reader_get(l->reader, offset, out, len);
    return rc == RC_INVALID ? RC_CORRUPT : rc;
}

static enum rc get_u32(const struct list *l, uint64_t offset, uint32_t *out)
{
    uint8_t b[4];
    enum rc rc = get(l, offset, b, sizeof b);
    if (rc == RC_OK)
        *out = get_le32(b);
    return rc;
}

/* --- a forward reader over one part of the image, with a small buffer so that flash is not asked for single bytes --- */

struct cursor {
    const struct list *list;
    uint64_t next, end;
    unsigned at, have;
    uint8_t buf[CURSOR_BYTES];
};

static void cursor_init(struct cursor *c, const struct list *l, uint64_t from, uint64_t end)
{
    c->list = l;
    c->next = from;
    c->end = end;
    c->at = c->have = 0;
}

static uint64_t cursor_offset(const struct cursor *c)
{
    return c->next - (c->have - c->at);
}

static enum rc cursor_u8(struct cursor *c, uint8_t *out)
{
    if (c->at == c->have) {
        if (c->next >= c->end)
            return RC_CORRUPT;
        uint64_t left = c->end - c->next;
        unsigned take = left < sizeof c->buf ? (unsigned)left : (unsigned)sizeof c->buf;
        enum rc rc = get(c->list, c->next, c->buf, take);
        if (rc != RC_OK)
            return rc;
        c->next += take;
        c->at = 0;
        c->have = take;
    }
    *out = c->buf[c->at++];
    return RC_OK;
}

/* The bytes of names and patterns: nothing else may come out of an image and into a log. */
static enum rc cursor_text(struct cursor *c, char *out, size_t len, char separator)
{
    for (size_t i = 0; i < len; i++) {
        uint8_t byte;
        enum rc rc = cursor_u8(c, &byte);
        if (rc != RC_OK)
            return rc;
        bool ok = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' || byte == separator;
        if (!ok)
            return RC_CORRUPT;
        out[i] = (char)byte;
    }
    return RC_OK;
}

static enum rc cursor_varint(struct cursor *c, uint32_t *out)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < VARINT_BYTES_MAX; i++) {
        uint8_t byte;
        enum rc rc = cursor_u8(c, &byte);
        if (rc != RC_OK)
            return rc;
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            if (value > UINT32_MAX)
                return RC_CORRUPT;
            *out = (uint32_t)value;
            return RC_OK;
        }
    }
    return RC_CORRUPT;
}

/* --- keys: labels from the TLD down, ',' between them, which sorts below every character of a label --- */

struct key {
    size_t len;
    char text[DOMAIN_MAX];
};

/* Turns the order of parts around: "mx.example.com" <-> "com,example,mx". In and out have the same length. */
static void turn_labels(char *out, const char *in, size_t len, char from, char to)
{
    size_t end = len, at = 0;
    while (at <= len) {
        size_t start = end;
        while (start > 0 && in[start - 1] != from)
            start--;
        memcpy(out + at, in + start, end - start);
        at += end - start;
        if (start == 0)
            return;
        out[at++] = to;
        end = start - 1;
    }
}

static bool key_of_domain(struct key *k, struct span domain)
{
    if (domain.len == 0 || domain.len > DOMAIN_MAX || span_find(domain, 0, ',') != SIZE_MAX)
        return false;
    k->len = domain.len;
    turn_labels(k->text, domain.p, domain.len, '.', ',');
    return true;
}

static int key_cmp(const struct key *a, const struct key *b)
{
    return span_cmp(span_bytes(a->text, a->len), span_bytes(b->text, b->len));
}

/* One entry: *k holds the name before it (or len 0 at a block's start) and gets this one. */
static enum rc next_name(struct cursor *c, struct key *k, uint32_t *policy)
{
    uint8_t shared, rest;
    enum rc rc = cursor_u8(c, &shared);
    if (rc == RC_OK)
        rc = cursor_u8(c, &rest);
    if (rc != RC_OK)
        return rc;
    if (shared > k->len || rest == 0 || (size_t)shared + rest > DOMAIN_MAX)
        return RC_CORRUPT;
    rc = cursor_text(c, k->text + shared, rest, ',');
    if (rc != RC_OK)
        return rc;
    k->len = (size_t)shared + rest;
    rc = cursor_varint(c, policy);
    if (rc == RC_OK && *policy >= c->list->info.policies)
        rc = RC_CORRUPT;
    return rc;
}

static enum rc block_cursor(const struct list *l, uint32_t block, struct cursor *c)
{
    const uint32_t *w = l->private_words;
    uint32_t offset;
    enum rc rc = get_u32(l, w[W_BLOCK_INDEX] + (uint64_t)block * 4, &offset);
    if (rc != RC_OK)
        return rc;
    if (offset >= w[W_NAMES_BYTES])
        return RC_CORRUPT;
    cursor_init(c, l, (uint64_t)w[W_NAMES] + offset, (uint64_t)w[W_NAMES] + w[W_NAMES_BYTES]);
    return RC_OK;
}

/* --- opening --- */

static enum rc check_header(const struct list *l, const uint8_t *h, const char *author, size_t author_len)
{
    uint32_t crc = crc32_update(crc32_update(0, h, HEADER_CRC_AT), author, author_len);
    if (memcmp(h, "PLST", 4) != 0 || get_le16(h + 4) != FORMAT || h[6] != NAMES_A_BLOCK || crc != get_le32(h + HEADER_CRC_AT))
        return RC_CORRUPT;
    const struct list_info *i = &l->info;
    if (i->timestamp <= 0 || i->expires < i->timestamp || i->expires > last_date || i->enforce > i->domains)
        return RC_CORRUPT;
    for (size_t n = 0; n < author_len; n++) {
        if (author[n] < 0x20 || author[n] > 0x7e)
            return RC_CORRUPT;
    }
    return RC_OK;
}

static enum rc lay_out(struct list *l, const uint8_t *h, size_t author_len)
{
    uint32_t *w = l->private_words;
    uint64_t blocks = ((uint64_t)l->info.domains + NAMES_A_BLOCK - 1) / NAMES_A_BLOCK;
    uint64_t block_index = HEADER_BYTES + author_len;
    uint64_t names = block_index + blocks * 4;
    uint64_t policy_index = names + get_le32(h + 36);
    uint64_t policies = policy_index + (uint64_t)l->info.policies * 4;
    uint64_t end = policies + get_le32(h + 40);
    if (end != l->reader->size_bytes || end > UINT32_MAX)
        return RC_CORRUPT;
    w[W_BLOCKS] = (uint32_t)blocks;
    w[W_BLOCK_INDEX] = (uint32_t)block_index;
    w[W_NAMES] = (uint32_t)names;
    w[W_NAMES_BYTES] = get_le32(h + 36);
    w[W_POLICY_INDEX] = (uint32_t)policy_index;
    w[W_POLICIES] = (uint32_t)policies;
    w[W_POLICIES_BYTES] = get_le32(h + 40);
    return RC_OK;
}

static enum rc read_header(struct list *l)
{
    uint8_t h[HEADER_BYTES];
    enum rc rc = get(l, 0, h, sizeof h);
    if (rc != RC_OK)
        return rc;
    size_t author_len = h[7];
    if (author_len >= LIST_AUTHOR_MAX)
        return RC_CORRUPT;
    rc = get(l, HEADER_BYTES, l->info.author, author_len);
    if (rc != RC_OK)
        return rc;
    l->info.author[author_len] = '\0';
    l->info.timestamp = (int64_t)get_le64(h + 8);
    l->info.expires = (int64_t)get_le64(h + 16);
    l->info.domains = get_le32(h + 24);
    l->info.enforce = get_le32(h + 28);
    l->info.policies = get_le32(h + 32);
    rc = check_header(l, h, l->info.author, author_len);
    if (rc != RC_OK)
        return rc;
    l->info.testing = l->info.domains - l->info.enforce;
    return lay_out(l, h, author_len);
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

/* --- entries --- */

static enum rc add_pattern(struct cursor *c, struct span domain, struct list_entry *out)
{
    uint8_t kind, len;
    enum rc rc = cursor_u8(c, &kind);
    if (rc == RC_OK)
        rc = cursor_u8(c, &len);
    if (rc != RC_OK)
        return rc;
    size_t tail = kind == MX_BEFORE_DOMAIN ? domain.len : 0;
    if (kind > MX_BEFORE_DOMAIN || len + tail == 0 || len + tail > DOMAIN_MAX + 1 ||
        out->text_len + len + tail + 1 > sizeof out->text)
        return RC_CORRUPT;
    char *text = out->text + out->text_len;
    rc = cursor_text(c, text, len, '.');
    if (rc != RC_OK)
        return rc;
    memcpy(text + len, domain.p, tail);
    text[len + tail] = '\0';
    out->text_len += len + tail + 1;
    out->mx_count++;
    return RC_OK;
}

static enum rc read_policy(const struct list *l, uint32_t policy, struct span domain, struct list_entry *out)
{
    const uint32_t *w = l->private_words;
    out->mx_count = 0;
    out->text_len = 0;
    uint32_t offset;
    enum rc rc = get_u32(l, w[W_POLICY_INDEX] + (uint64_t)policy * 4, &offset);
    if (rc != RC_OK)
        return rc;
    if (offset >= w[W_POLICIES_BYTES])
        return RC_CORRUPT;
    struct cursor c;
    cursor_init(&c, l, (uint64_t)w[W_POLICIES] + offset, (uint64_t)w[W_POLICIES] + w[W_POLICIES_BYTES]);
    uint8_t mode, count;
    rc = cursor_u8(&c, &mode);
    if (rc == RC_OK)
        rc = cursor_u8(&c, &count);
    if (rc != RC_OK)
        return rc;
    if (mode > LIST_ENFORCE || count == 0 || count > LIST_MX_MAX)
        return RC_CORRUPT;
    out->mode = (enum list_mode)mode;
    while (rc == RC_OK && out->mx_count < count)
        rc = add_pattern(&c, domain, out);
    return rc;
}

/* The last block whose first name is not after *wanted; RC_NOT_FOUND when all are. */
static enum rc find_block(const struct list *l, const struct key *wanted, uint32_t *block)
{
    uint32_t low = 0, high = l->private_words[W_BLOCKS];
    while (low < high) {
        uint32_t middle = low + (high - low) / 2, policy;
        struct cursor c;
        struct key head = { .len = 0 };
        enum rc rc = block_cursor(l, middle, &c);
        if (rc == RC_OK)
            rc = next_name(&c, &head, &policy);
        if (rc != RC_OK)
            return rc;
        if (key_cmp(&head, wanted) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return RC_NOT_FOUND;
    *block = low - 1;
    return RC_OK;
}

static enum rc find_policy(const struct list *l, const struct key *wanted, uint32_t *policy)
{
    uint32_t block;
    enum rc rc = find_block(l, wanted, &block);
    if (rc != RC_OK)
        return rc;
    struct cursor c;
    rc = block_cursor(l, block, &c);
    if (rc != RC_OK)
        return rc;
    uint32_t left = l->info.domains - block * NAMES_A_BLOCK;
    struct key name = { .len = 0 };
    for (unsigned i = 0; i < NAMES_A_BLOCK && i < left; i++) {
        rc = next_name(&c, &name, policy);
        if (rc != RC_OK)
            return rc;
        int order = key_cmp(&name, wanted);
        if (order >= 0)
            return order == 0 ? RC_OK : RC_NOT_FOUND;
    }
    return RC_NOT_FOUND;
}

enum rc list_find(const struct list *l, struct span domain, struct list_entry *out)
{
    struct key wanted;
    uint32_t policy;
    if (!key_of_domain(&wanted, domain))
        return RC_NOT_FOUND;
    enum rc rc = find_policy(l, &wanted, &policy);
    return rc == RC_OK ? read_policy(l, policy, domain, out) : rc;
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

/* --- walking: the name given last is the one that the next is coded against --- */

void list_iterate(struct list_iterator *it, const struct list *l)
{
    memset(it, 0, sizeof *it);
    it->list = l;
}

enum rc list_next(struct list_iterator *it, struct list_entry *out)
{
    const struct list *l = it->list;
    const uint32_t *w = l->private_words;
    if (it->position >= l->info.domains)
        return RC_NOT_FOUND;
    struct cursor c;
    struct key name = { .len = 0 };
    if (it->position % NAMES_A_BLOCK == 0) {
        enum rc rc = block_cursor(l, it->position / NAMES_A_BLOCK, &c);
        if (rc != RC_OK)
            return rc;
    } else {
        (void)key_of_domain(&name, span_of(it->name));
        cursor_init(&c, l, (uint64_t)w[W_NAMES] + it->private_words[0], (uint64_t)w[W_NAMES] + w[W_NAMES_BYTES]);
    }
    uint32_t policy;
    enum rc rc = next_name(&c, &name, &policy);
    if (rc != RC_OK)
        return rc;
    turn_labels(it->name, name.text, name.len, ',', '.');
    it->name[name.len] = '\0';
    it->private_words[0] = (uint32_t)(cursor_offset(&c) - w[W_NAMES]);
    it->position++;
    return read_policy(l, policy, span_bytes(it->name, name.len), out);
}

/* --- searching: a walk that leaves out what does not match --- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Places the walk so that the next name is the first that is not before *wanted. */
static enum rc walk_from(struct list_iterator *it, const struct key *wanted)
{
    uint32_t block;
    enum rc rc = find_block(it->list, wanted, &block);
    if (rc == RC_NOT_FOUND)
        return RC_OK;
    it->position = rc == RC_OK ? block * NAMES_A_BLOCK : 0;
    return rc;
}

enum rc list_search(struct list_search *s, const struct list *l, enum list_match match, struct span text)
{
    memset(s, 0, sizeof *s);
    list_iterate(&s->it, l);
    if (text.len == 0 || text.len > DOMAIN_MAX)
        return RC_INVALID;
    for (size_t i = 0; i < text.len; i++)
        s->text[i] = lower(text.p[i]);
    s->text_len = text.len;
    s->match = match;
    struct key wanted;
    if (match != LIST_WITHIN || !key_of_domain(&wanted, span_bytes(s->text, s->text_len)))
        return RC_OK;
    return walk_from(&s->it, &wanted);
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

/* Whether all that is within the text stands before the name at hand. */
static bool gone_by(const struct list_search *s)
{
    struct key name, text;
    return s->match == LIST_WITHIN && key_of_domain(&name, span_of(s->it.name)) &&
           key_of_domain(&text, span_bytes(s->text, s->text_len)) && key_cmp(&name, &text) > 0;
}

enum rc list_search_next(struct list_search *s, struct list_entry *out)
{
    for (unsigned i = 0; i < LIST_SEARCH_STEP; i++) {
        enum rc rc = list_next(&s->it, out);
        if (rc != RC_OK || matches(s))
            return rc;
        if (gone_by(s))
            return RC_NOT_FOUND;
    }
    return RC_BUSY;
}
