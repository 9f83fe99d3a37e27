/* Passes over the entries: which policies there are, how often each choice is made, the blocks, and reading all back. */
#include "toolchain/tools/common/list_writer.h"

#include <math.h>

#include "hal/base/bytes.h"
#include "hal/base/crc32.h"
#include "toolchain/tools/common/list_encoder.h"
#include "toolchain/tools/common/list_plan.h"
#include "toolchain/tools/common/list_policies.h"

#define FORMAT 4
#define LINES_MAX 0xffffff
#define TIME_BITS 40 /* of a date; above the timestamp stands the number of lines, above the other that of known hosts */
/* A small list takes less room in larger blocks, and is read fast enough. */
#define SMALL_LIST 10000
static const struct {
    uint8_t names, policies;
    uint16_t plain; /* policies that are read without decoding */
} block_sizes[] = { { 9, 3, 64 }, { 10, 2, 0 } };
#define SPARE_BITS 17 /* of the codes in lines, above what it takes to number the blocks */

struct check { /* the image, read back */
    struct list list;
    struct list_iterator it;
};

struct writer {
    const struct list *before; /* NULL: none to follow */
    struct list_follower follower;
    struct list_plan plan;
    struct policies policies;
    size_t domains, enforce;
    size_t done; /* entries before the one at hand, in this pass */
    char name_before[DOMAIN_TEXT_MAX];
    int8_t weights[LIST_OWN_WEIGHTS];
    uint32_t counts[2 * LIST_OWN_WEIGHTS];
    /* The block at hand, how many of its names are done, and how many blocks of its line. */
    size_t block, in_block, line, in_line;
    struct list_encoder names, choices;
    const struct policy_record **owns; /* policies of their own */
    size_t own;
    struct list_key key;
    struct list_shared shared;
    uint32_t number;
    enum list_mode mode;
    struct list_blocks name_blocks, policy_blocks;
    struct check check;
    unsigned names_a_block, policies_a_block, plain;
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

/* --- names --- */

static void start_block(struct writer *w)
{
    list_encoder_start(&w->names, w->counts);
    list_encoder_start(&w->choices, w->counts);
    w->own = 0;
    w->key.len = 0;
    w->shared = (struct list_shared){ 0, 0 };
    w->number = 1;
}

static void end_block(struct writer *w)
{
    for (size_t i = 0; i < w->own; i++)
        policy_record_code(&w->choices.coder, w->weights, &w->policies.hosts, w->owns[i]);
    struct list_codes codes = { &w->names, &w->choices, list_encoder_end(&w->names, w->name_blocks.bits),
                                list_encoder_end(&w->choices, 0) };
    list_blocks_add(&w->name_blocks, &codes, (unsigned)w->in_block);
    w->in_block = 0;
    w->block++;
    if (++w->in_line == w->plan.lines.p[w->line]) {
        list_blocks_end(&w->name_blocks);
        w->in_line = 0;
        w->line++;
    }
}

static void code_name(struct writer *w, const struct list_key *key, bool first)
{
    size_t shared = 0;
    int above = -1;
    if (!first) {
        while (shared < w->key.len && shared < key->len && w->key.symbol[shared] == key->symbol[shared])
            shared++;
        list_code_shared(&w->names.coder, w->key.symbol, w->key.len, &w->shared, shared);
        list_shared_add(&w->shared, shared);
        above = shared < w->key.len ? w->key.symbol[shared] : SYMBOL_END;
    }
    struct list_context x = list_context_at(key->symbol, shared);
    for (size_t i = shared; i <= key->len; i++, above = -1) {
        unsigned symbol = i < key->len ? key->symbol[i] : SYMBOL_END;
        list_code_symbol(&w->names.coder, &x, above, (int)symbol);
        list_context_add(&x, symbol);
    }
    w->key = *key;
}

static void code_policy(struct writer *w, const struct list_source_domain *d, bool first)
{
    const struct policy_record *r = policies_find(&w->policies, d);
    struct list_coder *c = &w->choices.coder;
    int before = w->mode;
    if (first || w->number == 0 || !list_code_own(c, w->weights, OWN_SAME, r->number == w->number)) {
        list_code_number(c, w->weights, r->number);
        before = -1;
    }
    list_code_own(c, w->weights, list_mode_weight(r->number, before), d->mode == LIST_ENFORCE);
    w->number = r->number;
    w->mode = d->mode;
    if (r->number == 0)
        w->owns[w->own++] = r;
}

static enum rc code_entry(struct writer *w, const struct list_source_domain *d)
{
    struct list_key key;
    bool first = w->in_block == 0;
    if (!list_key_of_domain(&key, span_of(d->name)))
        return RC_INVALID;
    if (first)
        start_block(w);
    code_name(w, &key, first);
    code_policy(w, d, first);
    if (++w->in_block == w->plan.blocks.p[w->block])
        end_block(w);
    return RC_OK;
}

/* --- policies --- */

static void code_shared_policies(struct writer *w)
{
    struct list_encoder *e = &w->names; /* idle by now */
    for (size_t i = 0; i < w->plain; i++)
        list_blocks_add_plain(&w->policy_blocks, w->policies.by_number[i]->text, w->policies.by_number[i]->len);
    for (size_t i = w->plain, n; i < w->policies.shared; i += n) {
        list_encoder_start(e, w->counts);
        for (n = 0; n < w->policies_a_block && i + n < w->policies.shared; n++)
            policy_record_code(&e->coder, w->weights, &w->policies.hosts, w->policies.by_number[i + n]);
        struct list_codes codes = { e, e, list_encoder_end(e, 0), 0 };
        list_blocks_add(&w->policy_blocks, &codes, 0);
    }
    for (size_t i = 0; i < w->policies.hosts.known; i++)
        list_blocks_add_plain(&w->policy_blocks, w->policies.hosts.by_number[i]->text.p, w->policies.hosts.by_number[i]->text.len);
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
    if (w->done > 0 && list_name_cmp(w->name_before, d->name) >= 0)
        return RC_INVALID;
    memcpy(w->name_before, d->name, strlen(d->name) + 1);
    policies_count(&w->policies, d);
    w->domains++;
    w->enforce += d->mode == LIST_ENFORCE;
    return w->before != NULL ? list_follower_add(&w->follower, &w->plan, d->name) : RC_OK;
}

/* The image's own weights, from how often each bit came. */
static void weigh(struct writer *w)
{
    for (size_t i = 0; i < LIST_OWN_WEIGHTS; i++) {
        double nats = log((w->counts[2 * i + 1] + 0.4) / (w->counts[2 * i] + 0.4)), weight = round(nats * 4);
        w->weights[i] = (int8_t)(4 * (weight > 31 ? 31 : weight < -32 ? -32 : weight));
    }
}

static void clear_blocks(struct writer *w)
{
    list_blocks_free(&w->name_blocks);
    list_blocks_free(&w->policy_blocks);
}

/* So many bits that few blocks have the same. */
static unsigned line_bits(size_t blocks)
{
    unsigned bits = SPARE_BITS;
    while (blocks >> (bits - SPARE_BITS) > 1)
        bits++;
    return bits < LIST_BITS_MAX ? bits : LIST_BITS_MAX;
}

static enum rc code_all(struct writer *w, const struct list_input *in)
{
    clear_blocks(w);
    w->name_blocks.bits = w->before != NULL ? w->before->names.bits : line_bits(w->domains / w->names_a_block);
    w->name_blocks.usual = w->names_a_block;
    w->block = w->in_block = w->line = w->in_line = 0;
    enum rc rc = each_entry(w, in, code_entry);
    if (rc == RC_OK)
        code_shared_policies(w);
    list_blocks_end(&w->name_blocks);
    list_blocks_end(&w->policy_blocks);
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
    byte_buffer_u64(out, (uint64_t)in->timestamp | (uint64_t)w->plan.lines.len << TIME_BITS);
    byte_buffer_u64(out, (uint64_t)in->expires | (uint64_t)w->policies.hosts.known << TIME_BITS);
    byte_buffer_u32(out, (uint32_t)w->domains);
    byte_buffer_u32(out, (uint32_t)w->enforce);
    byte_buffer_u32(out, (uint32_t)w->policies.shared);
    byte_buffer_u32(out, (uint32_t)w->policies.own);
    byte_buffer_u32(out, (uint32_t)w->name_blocks.data.len);
    byte_buffer_u32(out, (uint32_t)w->policy_blocks.data.len);
    byte_buffer_u32(out, w->name_blocks.bits | w->policies_a_block << 8 | w->plain << 16);
    struct bit_buffer weights = { .used = 0 };
    for (size_t i = 0; i < LIST_OWN_WEIGHTS; i++)
        bit_buffer_add(&weights, (uint32_t)(w->weights[i] / 4 + 32), 6);
    uint32_t crc = crc32_update(crc32_update(0, out->p, out->len), in->author, author_len);
    byte_buffer_u32(out, crc32_update(crc, weights.bytes.p, weights.bytes.len));
    byte_buffer_add(out, in->author, author_len);
    byte_buffer_add(out, weights.bytes.p, weights.bytes.len);
    byte_buffer_free(&weights.bytes);
}

static void write_blocks(const struct list_blocks *b, struct byte_buffer *out)
{
    byte_buffer_add(out, b->table.p, b->table.len);
    byte_buffer_add(out, b->data.p, b->data.len);
}

static enum rc write_image(struct writer *w, const struct list_input *in, struct byte_buffer *out)
{
    write_header(w, in, out);
    write_blocks(&w->name_blocks, out);
    write_blocks(&w->policy_blocks, out);
    return out->len > UINT32_MAX || w->plan.lines.len > LINES_MAX ? RC_TOO_LONG : RC_OK;
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
    list_plan_free(&w->plan);
    policies_free(&w->policies);
    list_encoder_free(&w->names);
    list_encoder_free(&w->choices);
    free(w->owns);
}

static enum rc count_all(struct writer *w, const struct list_input *in)
{
    enum rc rc = RC_OK;
    if (w->before != NULL) {
        rc = list_follower_start(&w->follower, w->before);
        if (rc == RC_OK)
            rc = policies_seed(&w->policies, w->before);
    }
    if (rc == RC_OK)
        rc = each_entry(w, in, count_entry);
    if (w->before != NULL)
        list_follower_end(&w->follower, &w->plan);
    policies_number(&w->policies);
    if (rc == RC_OK && w->before != NULL)
        return policies_keep_hosts(&w->policies, w->before);
    policies_choose_hosts(&w->policies);
    return rc;
}

static void choose_sizes(struct writer *w)
{
    bool small = w->domains < SMALL_LIST;
    unsigned plain = w->before != NULL ? w->before->plain : block_sizes[small].plain;
    w->names_a_block = w->before != NULL ? w->before->names.usual : block_sizes[small].names;
    w->policies_a_block = w->before != NULL ? w->before->policies_a_block : block_sizes[small].policies;
    w->plain = (unsigned)(w->policies.shared < plain ? w->policies.shared : plain);
    if (w->before == NULL)
        list_plan_evenly(&w->plan, w->domains, w->names_a_block);
    w->owns = tool_alloc(UINT8_MAX, sizeof(struct policy_record *));
}

static enum rc find_weights(struct writer *w, const struct list_input *in)
{
    if (w->before != NULL) {
        memcpy(w->weights, w->before->weights, sizeof w->weights);
        return RC_OK;
    }
    enum rc rc = code_all(w, in);
    weigh(w);
    return rc;
}

static enum rc write_all(struct writer *w, const struct list_input *in, struct byte_buffer *out)
{
    enum rc rc = count_all(w, in);
    if (rc != RC_OK)
        return rc;
    choose_sizes(w);
    rc = find_weights(w, in);
    if (rc == RC_OK)
        rc = code_all(w, in);
    if (rc == RC_OK)
        rc = write_image(w, in, out);
    return rc == RC_OK ? read_back(w, in, byte_buffer_span(out)) : rc;
}

static enum rc write_once(const struct list_input *in, const struct list *before, struct byte_buffer *out)
{
    struct writer w = { .before = before };
    enum rc rc = write_all(&w, in, out);
    writer_free(&w);
    return rc;
}

/* A list that grows gets other sizes at some time. */
static bool has_sizes_of(const struct list *before, struct span image)
{
    struct reader r = reader_on_span(&image);
    struct list l;
    return list_open(&l, &r) == RC_OK && l.names.usual == before->names.usual && l.policies_a_block == before->policies_a_block;
}

enum rc list_write_sorted(const struct list_input *in, struct byte_buffer *out)
{
    struct byte_buffer anew = { NULL, 0, 0 }, kept = { NULL, 0, 0 };
    enum rc rc = write_once(in, NULL, &anew);
    bool follow = rc == RC_OK && in->before != NULL && has_sizes_of(in->before, byte_buffer_span(&anew));
    if (follow)
        rc = write_once(in, in->before, &kept);
    bool keep = follow && kept.len <= anew.len + anew.len / BEFORE_COSTS_AT_MOST;
    if (rc == RC_OK)
        byte_buffer_add(out, keep ? kept.p : anew.p, keep ? kept.len : anew.len);
    byte_buffer_free(&anew);
    byte_buffer_free(&kept);
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
    struct list_input in = { s->timestamp, s->expires, s->author, s->before, &a, array_rewind, array_next };
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
