/* Four passes over the entries: which policies there are, how often each choice is made, the blocks, and reading all back. */
#include "toolchain/tools/common/list_writer.h"

#include <math.h>

#include "hal/base/bytes.h"
#include "hal/base/crc32.h"
#include "policy/list_block.h"
#include "toolchain/tools/common/list_policies.h"

#define FORMAT 2
/* A small list takes less room in larger blocks, and is read fast enough. */
#define SMALL_LIST 10000
#define NAMES_A_BLOCK_MAX 32
static const struct {
    uint8_t names, policies;
} block_sizes[] = { { 16, 2 }, { NAMES_A_BLOCK_MAX, 8 } };
/* What the coder takes at most: 12 bits a decision, seven decisions a symbol. */
#define NAME_CODE_MAX (DOMAIN_TEXT_MAX * 11)
#define POLICY_CODE_MAX (LIST_MX_BYTES * 11 + 512)

struct blocks { /* the blocks of one part, and where each ends */
    struct byte_buffer bytes;
    uint32_t *lengths;
    size_t count, cap;
    struct byte_buffer directory;
    uint32_t least;
    unsigned width;
};

struct check { /* the image, read back */
    struct list list;
    struct list_iterator it;
};

struct writer {
    struct policies policies;
    size_t domains, enforce, own;
    size_t done; /* entries before the one at hand, in this pass */
    char before[DOMAIN_TEXT_MAX];
    int8_t weights[LIST_OWN_WEIGHTS];
    uint32_t counts[2 * LIST_OWN_WEIGHTS];
    /* The block at hand. */
    struct list_coder names, owns;
    uint8_t *name_code, *own_code;
    struct list_key key;
    struct list_shared shared;
    uint32_t number;
    enum list_mode mode;
    struct blocks name_blocks, policy_blocks;
    struct check check;
    unsigned names_a_block, policies_a_block;
};

/* --- order --- */

int list_name_cmp(const char *a, const char *b)
{
    struct list_key key_a, key_b;
    if (!list_key_of_domain(&key_a, span_of(a)) || !list_key_of_domain(&key_b, span_of(b)))
        return strcmp(a, b);
    return list_key_cmp(&key_a, &key_b);
}

static int by_key(const void *a, const void *b)
{
    const struct list_source_domain *x = a, *y = b;
    return list_name_cmp(x->name, y->name);
}

/* --- blocks and their directory --- */

static void add_block(struct blocks *b, const struct list_coder *forwards, const struct list_coder *backwards)
{
    size_t start = b->bytes.len;
    byte_buffer_add(&b->bytes, forwards->out, forwards->out_len);
    for (size_t i = backwards != NULL ? backwards->out_len : 0; i > 0; i--)
        byte_buffer_u8(&b->bytes, backwards->out[i - 1]);
    if (b->count == b->cap) {
        b->cap = b->cap * 2 + 64;
        b->lengths = tool_resize(b->lengths, b->cap, sizeof *b->lengths);
    }
    b->lengths[b->count++] = (uint32_t)(b->bytes.len - start);
}

static void add_lengths(struct blocks *b, size_t from)
{
    uint64_t bits = 0;
    unsigned have = 0;
    for (size_t i = from; i < from + LIST_GROUP; i++) {
        bits |= (uint64_t)(i < b->count ? b->lengths[i] - b->least : 0) << have;
        for (have += b->width; have >= 8; have -= 8, bits >>= 8)
            byte_buffer_u8(&b->directory, (uint8_t)bits);
    }
}

static void make_directory(struct blocks *b)
{
    uint32_t most = 0, offset = 0;
    b->least = b->count > 0 ? UINT16_MAX : 0;
    for (size_t i = 0; i < b->count; i++) {
        b->least = b->lengths[i] < b->least ? b->lengths[i] : b->least;
        most = b->lengths[i] > most ? b->lengths[i] : most;
    }
    while (b->count > 0 && (most - b->least) >> b->width != 0)
        b->width++;
    for (size_t i = 0; i < b->count; i++) {
        if (i % LIST_GROUP == 0) {
            byte_buffer_u32(&b->directory, offset);
            add_lengths(b, i);
        }
        offset += b->lengths[i];
    }
}

static void blocks_free(struct blocks *b)
{
    byte_buffer_free(&b->bytes);
    byte_buffer_free(&b->directory);
    free(b->lengths);
}

/* --- names --- */

static void start_block(struct writer *w)
{
    list_coder_write(&w->names, w->name_code, (size_t)NAMES_A_BLOCK_MAX * NAME_CODE_MAX);
    list_coder_write(&w->owns, w->own_code, (size_t)NAMES_A_BLOCK_MAX * POLICY_CODE_MAX);
    w->names.counts = w->owns.counts = w->counts;
    w->own = 0;
    w->key.len = 0;
    w->shared = (struct list_shared){ 0, 0 };
    w->number = 1;
}

static void end_block(struct writer *w)
{
    list_coder_flush(&w->names);
    if (w->own > 0)
        list_coder_flush(&w->owns);
    add_block(&w->name_blocks, &w->names, &w->owns);
}

static void code_name(struct writer *w, const struct list_key *key, bool first)
{
    size_t shared = 0;
    int above = -1;
    if (!first) {
        while (shared < w->key.len && shared < key->len && w->key.symbol[shared] == key->symbol[shared])
            shared++;
        list_code_shared(&w->names, w->key.symbol, w->key.len, &w->shared, shared);
        list_shared_add(&w->shared, shared);
        above = shared < w->key.len ? w->key.symbol[shared] : SYMBOL_END;
    }
    struct list_context x = list_context_at(key->symbol, shared);
    for (size_t i = shared; i <= key->len; i++, above = -1) {
        unsigned symbol = i < key->len ? key->symbol[i] : SYMBOL_END;
        list_code_symbol(&w->names, &x, above, (int)symbol);
        list_context_add(&x, symbol);
    }
    w->key = *key;
}

static void code_policy(struct writer *w, const struct list_source_domain *d, bool first)
{
    const struct policy_record *r = policies_find(&w->policies, d);
    int before = w->mode;
    if (first || w->number == 0 || !list_code_own(&w->names, w->weights, OWN_SAME, r->number == w->number)) {
        list_code_number(&w->names, w->weights, r->number);
        before = -1;
    }
    list_code_own(&w->names, w->weights, list_mode_weight(r->number, before), d->mode == LIST_ENFORCE);
    w->number = r->number;
    w->mode = d->mode;
    if (r->number > 0)
        return;
    policy_record_code(&w->owns, w->weights, r);
    w->own++;
}

static enum rc code_entry(struct writer *w, const struct list_source_domain *d)
{
    struct list_key key;
    bool first = w->done % w->names_a_block == 0;
    if (!list_key_of_domain(&key, span_of(d->name)))
        return RC_INVALID;
    if (first)
        start_block(w);
    code_name(w, &key, first);
    code_policy(w, d, first);
    if (w->done % w->names_a_block == w->names_a_block - 1 || w->done + 1 == w->domains)
        end_block(w);
    return RC_OK;
}

/* --- policies --- */

static void code_shared_policies(struct writer *w)
{
    unsigned each = w->policies_a_block;
    for (size_t i = 0; i < w->policies.shared; i++) {
        if (i % each == 0) {
            list_coder_write(&w->owns, w->own_code, (size_t)NAMES_A_BLOCK_MAX * POLICY_CODE_MAX);
            w->owns.counts = w->counts;
        }
        policy_record_code(&w->owns, w->weights, w->policies.by_number[i]);
        if (i % each == each - 1 || i + 1 == w->policies.shared) {
            list_coder_flush(&w->owns);
            add_block(&w->policy_blocks, &w->owns, NULL);
        }
    }
}

/* --- passes --- */

/* Goes over the entries: RC_OK at their end. */
static enum rc each_entry(struct writer *w, const struct list_input *in,
                          enum rc (*step)(struct writer *w, const struct list_source_domain *d))
{
    struct list_source_domain d;
    enum rc rc = in->rewind(in->ctx);
    w->done = 0;
    while (rc == RC_OK && (rc = in->next(in->ctx, &d)) == RC_OK) {
        rc = step(w, &d);
        w->done++;
    }
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static enum rc count_entry(struct writer *w, const struct list_source_domain *d)
{
    if (w->done > 0 && list_name_cmp(w->before, d->name) >= 0)
        return RC_INVALID;
    memcpy(w->before, d->name, strlen(d->name) + 1);
    policies_count(&w->policies, d);
    w->domains++;
    w->enforce += d->mode == LIST_ENFORCE;
    return RC_OK;
}

/* The image's own weights, from how often each bit came. */
static void weigh(struct writer *w)
{
    for (size_t i = 0; i < LIST_OWN_WEIGHTS; i++) {
        double nats = log((w->counts[2 * i + 1] + 0.4) / (w->counts[2 * i] + 0.4)), weight = round(nats * 16);
        w->weights[i] = (int8_t)(weight > 127 ? 127 : weight < -127 ? -127 : weight);
    }
}

static void clear_blocks(struct writer *w)
{
    blocks_free(&w->name_blocks);
    blocks_free(&w->policy_blocks);
    memset(&w->name_blocks, 0, sizeof w->name_blocks);
    memset(&w->policy_blocks, 0, sizeof w->policy_blocks);
}

static enum rc code_all(struct writer *w, const struct list_input *in)
{
    clear_blocks(w);
    enum rc rc = each_entry(w, in, code_entry);
    if (rc == RC_OK)
        code_shared_policies(w);
    return rc;
}

/* --- the image --- */

static void write_header(const struct writer *w, const struct list_input *in, struct byte_buffer *out)
{
    size_t author_len = strlen(in->author);
    byte_buffer_add(out, "PLST", 4);
    byte_buffer_u8(out, FORMAT);
    byte_buffer_u8(out, LIST_MODEL);
    byte_buffer_u8(out, (uint8_t)w->names_a_block);
    byte_buffer_u8(out, (uint8_t)author_len);
    byte_buffer_u64(out, (uint64_t)in->timestamp);
    byte_buffer_u64(out, (uint64_t)in->expires);
    byte_buffer_u32(out, (uint32_t)w->domains);
    byte_buffer_u32(out, (uint32_t)w->enforce);
    byte_buffer_u32(out, (uint32_t)w->policies.shared);
    byte_buffer_u32(out, (uint32_t)(w->policies.count - w->policies.shared));
    byte_buffer_u32(out, (uint32_t)w->name_blocks.bytes.len);
    byte_buffer_u32(out, (uint32_t)w->policy_blocks.bytes.len);
    byte_buffer_u32(out, w->name_blocks.least | w->policy_blocks.least << 16);
    byte_buffer_u8(out, (uint8_t)w->name_blocks.width);
    byte_buffer_u8(out, (uint8_t)w->policy_blocks.width);
    byte_buffer_u8(out, (uint8_t)w->policies_a_block);
    byte_buffer_u8(out, 0);
    uint32_t crc = crc32_update(crc32_update(0, out->p, out->len), in->author, author_len);
    byte_buffer_u32(out, crc32_update(crc, w->weights, sizeof w->weights));
    byte_buffer_add(out, in->author, author_len);
    byte_buffer_add(out, w->weights, sizeof w->weights);
}

static void write_blocks(struct blocks *b, struct byte_buffer *out)
{
    byte_buffer_add(out, b->directory.p, b->directory.len);
    byte_buffer_add(out, b->bytes.p, b->bytes.len);
}

static enum rc write_image(struct writer *w, const struct list_input *in, struct byte_buffer *out)
{
    make_directory(&w->name_blocks);
    make_directory(&w->policy_blocks);
    if (w->name_blocks.width > LIST_WIDTH_MAX || w->policy_blocks.width > LIST_WIDTH_MAX)
        return RC_TOO_LONG;
    write_header(w, in, out);
    write_blocks(&w->name_blocks, out);
    write_blocks(&w->policy_blocks, out);
    return out->len > UINT32_MAX ? RC_TOO_LONG : RC_OK;
}

/* --- reading back --- */

bool list_source_says(const struct list_source_domain *d, const struct list_entry *e)
{
    if (e->mode != d->mode || e->mx_count != d->mx_count)
        return false;
    for (unsigned i = 0; i < d->mx_count; i++) {
        if (strcmp(list_entry_mx(e, i), d->mx[i]) != 0)
            return false;
    }
    return true;
}

static enum rc check_entry(struct writer *w, const struct list_source_domain *d)
{
    struct list_entry e;
    if (list_next(&w->check.it, &e) != RC_OK || strcmp(w->check.it.name, d->name) != 0 || !list_source_says(d, &e))
        return RC_CORRUPT;
    if (list_find(&w->check.list, span_of(d->name), &e) != RC_OK || !list_source_says(d, &e))
        return RC_CORRUPT;
    return RC_OK;
}

static enum rc read_back(struct writer *w, const struct list_input *in, struct span image)
{
    struct reader r = reader_on_span(&image);
    struct list_entry e;
    if (list_open(&w->check.list, &r) != RC_OK)
        return RC_CORRUPT;
    list_iterate(&w->check.it, &w->check.list);
    enum rc rc = each_entry(w, in, check_entry);
    return rc == RC_OK && list_next(&w->check.it, &e) != RC_NOT_FOUND ? RC_CORRUPT : rc;
}

/* --- all of it --- */

static void writer_free(struct writer *w)
{
    clear_blocks(w);
    policies_free(&w->policies);
    free(w->name_code);
    free(w->own_code);
}

static enum rc write_all(struct writer *w, const struct list_input *in, struct byte_buffer *out)
{
    enum rc rc = each_entry(w, in, count_entry);
    if (rc != RC_OK)
        return rc;
    policies_number(&w->policies);
    w->names_a_block = block_sizes[w->domains < SMALL_LIST].names;
    w->policies_a_block = block_sizes[w->domains < SMALL_LIST].policies;
    rc = code_all(w, in);
    weigh(w);
    if (rc == RC_OK)
        rc = code_all(w, in);
    if (rc == RC_OK)
        rc = write_image(w, in, out);
    return rc == RC_OK ? read_back(w, in, byte_buffer_span(out)) : rc;
}

enum rc list_write_sorted(const struct list_input *in, struct byte_buffer *out)
{
    struct writer w = { .done = 0 };
    w.name_code = tool_alloc(NAMES_A_BLOCK_MAX, NAME_CODE_MAX);
    w.own_code = tool_alloc(NAMES_A_BLOCK_MAX, POLICY_CODE_MAX);
    enum rc rc = write_all(&w, in, out);
    writer_free(&w);
    return rc;
}

/* --- entries in memory --- */

struct array_input {
    const struct list_source *source;
    size_t next;
};

static enum rc array_rewind(void *ctx)
{
    struct array_input *a = ctx;
    a->next = 0;
    return RC_OK;
}

static enum rc array_next(void *ctx, struct list_source_domain *out)
{
    struct array_input *a = ctx;
    if (a->next == a->source->count)
        return RC_NOT_FOUND;
    *out = a->source->domains[a->next++];
    return RC_OK;
}

enum rc list_write(struct list_source *s, struct byte_buffer *out)
{
    struct array_input a = { s, 0 };
    struct list_input in = { s->timestamp, s->expires, s->author, &a, array_rewind, array_next };
    if (s->count > 0)
        qsort(s->domains, s->count, sizeof *s->domains, by_key);
    return list_write_sorted(&in, out);
}

void list_source_free(struct list_source *s)
{
    for (size_t i = 0; i < s->count; i++) {
        for (unsigned m = 0; m < s->domains[i].mx_count; m++)
            free(s->domains[i].mx[m]);
        free(s->domains[i].mx);
        free(s->domains[i].name);
    }
    free(s->domains);
    memset(s, 0, sizeof *s);
}
