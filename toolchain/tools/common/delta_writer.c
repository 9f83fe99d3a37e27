/* Greedy matching by a hash of short windows of the base. What continues where the last copy ended is preferred: its place costs one byte. */
#include "toolchain/tools/common/delta_writer.h"

#include <stdlib.h>
#include <string.h>

#include "hal/base/bytes.h"
#include "policy/delta.h"
#include "toolchain/tools/common/image_writer.h"

#define WINDOW 6       /* bytes that are hashed; a match has at least as many */
#define MATCH_FAR 12   /* a copy from elsewhere costs up to nine bytes and cuts a run of literals in two */
#define MATCH_NEAR 6   /* one from where the last ended, or close by */
#define NEAR 64        /* bytes from there that are "close by" */
#define CANDIDATES 256 /* places tried for each window */
#define HASH_BITS 18
#define NONE UINT32_MAX
#define SUMS_LEAST 3 /* numbers in a row, all greater by the same */
#define SUM_COSTS 6  /* bytes, about, more than a copy that goes on */
#define ZEROS_LEAST 8

struct matcher {
    struct span base, target;
    size_t base_from;       /* signatures may be added to the base later: its head is no source */
    uint32_t *first, *next; /* chains of base positions with the same hash, the lowest place last */
    size_t head_len;        /* of the target: no copy of anything */
    size_t literals_from, expected;
    uint32_t sum; /* that the patch adds now */
    struct byte_buffer *out;
};

static uint32_t hash_of(const char *p)
{
    uint64_t v = 0;
    memcpy(&v, p, WINDOW);
    return (uint32_t)(v * 0x9e3779b97f4a7c15u >> (64 - HASH_BITS));
}

static void index_base(struct matcher *m)
{
    m->first = tool_alloc(1u << HASH_BITS, sizeof *m->first);
    m->next = tool_alloc(m->base.len + 1, sizeof *m->next);
    memset(m->first, 0xff, sizeof *m->first << HASH_BITS);
    for (size_t i = m->base_from; i + WINDOW <= m->base.len; i++) {
        uint32_t h = hash_of(m->base.p + i);
        m->next[i] = m->first[h];
        m->first[h] = (uint32_t)i;
    }
}

static size_t common(const struct matcher *m, size_t from, size_t at)
{
    size_t n = 0;
    while (from + n < m->base.len && at + n < m->target.len && m->base.p[from + n] == m->target.p[at + n])
        n++;
    return n;
}

static bool is_near(const struct matcher *m, size_t from)
{
    return from + NEAR > m->expected && from < m->expected + NEAR;
}

struct match {
    enum delta_kind kind;
    size_t from, len; /* len 0: none */
    uint32_t sum;
};

/* --- a table's numbers, that have moved --- */

static uint32_t number_at(struct span s, size_t at)
{
    return get_le32((const uint8_t *)s.p + at);
}

/* How many bytes are those of the base but for what is added to every second number. */
static size_t common_with_sum(const struct matcher *m, size_t from, size_t at, uint32_t sum)
{
    size_t numbers = 0, n = 0;
    while (from + n + 4 <= m->base.len && at + n + 4 <= m->target.len &&
           number_at(m->target, at + n) == number_at(m->base, from + n) + sum) {
        size_t between = common(m, from + n + 4, at + n + 4);
        numbers++;
        if (between < DELTA_SUM_STEP - 4)
            break;
        n += DELTA_SUM_STEP;
    }
    return numbers < SUMS_LEAST ? 0 : n;
}

static void try_sums(const struct matcher *m, size_t at, struct match *best)
{
    size_t from = m->expected > m->base_from + NEAR ? m->expected - NEAR : m->base_from;
    if (at + 4 > m->target.len)
        return;
    for (; from < m->expected + NEAR && from + 4 <= m->base.len; from++) {
        uint32_t sum = number_at(m->target, at) - number_at(m->base, from);
        size_t n = sum == 0 ? 0 : common_with_sum(m, from, at, sum);
        if (n > best->len + SUM_COSTS)
            *best = (struct match){ DELTA_COPY_AND_ADD, from, n, sum };
    }
}

/* --- operations --- */

/* The longest worthwhile match of the target at `at`; 0: none. */
static size_t find_copy(const struct matcher *m, size_t at, size_t *from)
{
    size_t best = m->expected < m->base_from ? 0 : common(m, m->expected, at);
    *from = m->expected;
    if (best < MATCH_NEAR)
        best = 0;
    if (at + WINDOW > m->target.len)
        return best;
    uint32_t place = m->first[hash_of(m->target.p + at)];
    for (unsigned tried = 0; place != NONE && tried < CANDIDATES; tried++, place = m->next[place]) {
        size_t n = common(m, place, at);
        if (n > best && n >= (is_near(m, place) ? MATCH_NEAR : MATCH_FAR)) {
            best = n;
            *from = place;
        }
    }
    return best;
}

static void put_head(struct matcher *m, size_t n, enum delta_kind kind)
{
    byte_buffer_varint(m->out, (uint32_t)n << DELTA_KIND_BITS | kind);
}

static void put_literals(struct matcher *m, size_t to)
{
    size_t n = to - m->literals_from;
    if (n == 0)
        return;
    put_head(m, n, DELTA_BYTES);
    byte_buffer_add(m->out, m->target.p + m->literals_from, n);
}

static void put_difference(struct matcher *m, uint32_t now, uint32_t before)
{
    uint32_t up = now - before;
    byte_buffer_varint(m->out, up <= INT32_MAX ? up << 1 : ~up << 1 | 1);
}

static void put_match(struct matcher *m, const struct match *f)
{
    put_head(m, f->len, f->kind);
    if (f->kind == DELTA_ZEROS)
        return;
    put_difference(m, (uint32_t)f->from, (uint32_t)m->expected);
    m->expected = f->from + f->len;
    if (f->kind == DELTA_COPY_AND_ADD) {
        put_difference(m, f->sum, m->sum);
        m->sum = f->sum;
    }
}

static size_t zeros(const struct matcher *m, size_t at)
{
    size_t n = 0;
    while (at + n < m->target.len && m->target.p[at + n] == 0)
        n++;
    return n < ZEROS_LEAST ? 0 : n;
}

static struct match find_match(const struct matcher *m, size_t at)
{
    struct match f = { .kind = DELTA_COPY };
    if (at >= m->head_len) {
        f.len = find_copy(m, at, &f.from);
        try_sums(m, at, &f);
    }
    if (f.len == 0)
        f = (struct match){ .kind = DELTA_ZEROS, .len = zeros(m, at) };
    return f;
}

static void write_operations(struct matcher *m)
{
    for (size_t at = 0; at < m->target.len;) {
        struct match f = find_match(m, at);
        if (f.len == 0) {
            at++;
            continue;
        }
        while (f.kind == DELTA_COPY && at > m->literals_from && at > m->head_len && f.from > m->base_from &&
               m->base.p[f.from - 1] == m->target.p[at - 1])
            at--, f.from--, f.len++;
        put_literals(m, at);
        put_match(m, &f);
        at += f.len;
        m->literals_from = at;
    }
    put_literals(m, m->target.len);
}

/* --- reading back --- */

struct check {
    struct span target;
    size_t at;
};

static enum rc check_header(void *ctx, const struct delta_header *h)
{
    const struct check *c = ctx;
    return h->target_bytes == c->target.len ? RC_OK : RC_CORRUPT;
}

static enum rc check_put(void *ctx, struct span bytes)
{
    struct check *c = ctx;
    struct span want = span_sub(c->target, c->at, bytes.len);
    c->at += bytes.len;
    return span_eq(bytes, want) ? RC_OK : RC_CORRUPT;
}

static enum rc read_back(struct span base, struct span target, struct span patch)
{
    struct reader r = reader_on_span(&base);
    struct check c = { target, 0 };
    struct delta_sink sink = { check_header, check_put, &c };
    struct delta d;
    delta_init(&d, &r, &sink);
    enum rc rc = delta_push(&d, patch);
    return rc == RC_OK && delta_complete(&d) && c.at == target.len ? RC_OK : RC_CORRUPT;
}

/* --- */

static enum rc open_list(struct span bytes, struct reader *r, struct image *i)
{
    enum rc rc = image_open(i, r);
    bool good = rc == RC_OK && i->kind == IMAGE_LIST && i->size_bytes == bytes.len && bytes.len < UINT32_MAX / 2;
    return good ? RC_OK : RC_INVALID;
}

static size_t head_bytes(const struct image *i)
{
    return IMAGE_MANIFEST_BYTES + i->section_count * IMAGE_SECTION_BYTES + i->signature_room_bytes;
}

enum rc delta_write(struct span base, struct span target, struct byte_buffer *out)
{
    struct reader base_reader = reader_on_span(&base), target_reader = reader_on_span(&target);
    struct image old, new;
    uint8_t hash[32];
    struct matcher m = { .base = base, .target = target, .out = out };
    size_t start = out->len;
    if (open_list(base, &base_reader, &old) != RC_OK || open_list(target, &target_reader, &new) != RC_OK)
        return RC_INVALID;
    byte_buffer_add(out, "PDLT", 4);
    byte_buffer_u32(out, DELTA_FORMAT);
    if (image_manifest_hash(&old, hash) != RC_OK)
        return RC_INVALID;
    byte_buffer_add(out, hash, sizeof hash);
    if (image_manifest_hash(&new, hash) != RC_OK)
        return RC_INVALID;
    byte_buffer_add(out, hash, sizeof hash);
    byte_buffer_u64(out, target.len);
    m.base_from = head_bytes(&old);
    m.head_len = head_bytes(&new);
    index_base(&m);
    write_operations(&m);
    free(m.first);
    free(m.next);
    return read_back(base, target, span_bytes(out->p + start, out->len - start));
}

enum rc delta_image_write(struct span base, struct span target, struct byte_buffer *out)
{
    struct byte_buffer patch = { NULL, 0, 0 };
    struct reader r = reader_on_span(&target);
    struct image new;
    enum rc rc = delta_write(base, target, &patch);
    if (rc == RC_OK)
        rc = image_open(&new, &r);
    if (rc == RC_OK) {
        const struct image_source_section section = { IMAGE_PATCH, byte_buffer_span(&patch) };
        const struct image_source s = { .kind = IMAGE_DELTA,
                                        .board = new.board,
                                        .version = new.version,
                                        .created = new.created,
                                        .expires = new.expires,
                                        .sections = &section,
                                        .count = 1,
                                        .signatures = new.signature_count };
        rc = image_write(&s, out);
    }
    byte_buffer_free(&patch);
    return rc;
}
