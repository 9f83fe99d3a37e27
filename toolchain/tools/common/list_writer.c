#include "toolchain/tools/common/list_writer.h"

#include "hal/base/bytes.h"
#include "hal/base/crc32.h"

#define FORMAT 1
#define NAMES_A_BLOCK 16

struct record { /* a policy, relative to its domain */
    struct byte_buffer bytes;
    uint32_t uses;
    uint32_t number;       /* place in the table */
    size_t next_same_hash; /* index + 1; 0: none */
};

struct check { /* the image, read back */
    struct list list;
    struct list_iterator it;
};

struct writer {
    struct record *records;
    size_t record_count, record_cap;
    size_t *hash_heads; /* index + 1 of the first record with that hash */
    size_t hash_size;
    size_t domains, enforce;
    size_t done; /* entries before the one at hand, in this pass */
    char before[DOMAIN_TEXT_MAX];
    struct byte_buffer block_index, names, policy_index, policies;
    struct check check;
};

/* --- order --- */

static void make_key(const char *name, char *key)
{
    size_t end = strlen(name), at = 0;
    for (;;) {
        size_t start = end;
        while (start > 0 && name[start - 1] != '.')
            start--;
        memcpy(key + at, name + start, end - start);
        at += end - start;
        if (start == 0)
            break;
        key[at++] = ',';
        end = start - 1;
    }
    key[at] = '\0';
}

int list_name_cmp(const char *a, const char *b)
{
    char key_a[DOMAIN_TEXT_MAX], key_b[DOMAIN_TEXT_MAX];
    make_key(a, key_a);
    make_key(b, key_b);
    return strcmp(key_a, key_b);
}

static int by_key(const void *a, const void *b)
{
    const struct list_source_domain *x = a, *y = b;
    return list_name_cmp(x->name, y->name);
}

/* --- policies --- */

static void encode_policy(const struct list_source_domain *d, struct byte_buffer *out)
{
    struct span domain = span_of(d->name);
    byte_buffer_u8(out, (uint8_t)d->mode);
    byte_buffer_u8(out, (uint8_t)d->mx_count);
    for (unsigned i = 0; i < d->mx_count; i++) {
        struct span mx = span_of(d->mx[i]);
        struct span host = mx.len > 0 && mx.p[0] == '.' ? span_from(mx, 1) : mx;
        bool relative = domain_is_within(host, domain);
        size_t len = relative ? mx.len - domain.len : mx.len;
        byte_buffer_u8(out, relative);
        byte_buffer_u8(out, (uint8_t)len);
        byte_buffer_add(out, mx.p, len);
    }
}

static void rehash(struct writer *w, size_t size)
{
    free(w->hash_heads);
    w->hash_heads = tool_alloc(size, sizeof *w->hash_heads);
    w->hash_size = size;
    for (size_t i = 0; i < w->record_count; i++) {
        size_t slot = crc32_update(0, w->records[i].bytes.p, w->records[i].bytes.len) % size;
        w->records[i].next_same_hash = w->hash_heads[slot];
        w->hash_heads[slot] = i + 1;
    }
}

/* The record that equals bytes, which are taken over or freed. */
static size_t intern(struct writer *w, struct byte_buffer bytes)
{
    if (w->record_count >= w->hash_size)
        rehash(w, w->hash_size * 2 + 1023);
    size_t slot = crc32_update(0, bytes.p, bytes.len) % w->hash_size;
    for (size_t i = w->hash_heads[slot]; i != 0; i = w->records[i - 1].next_same_hash) {
        if (span_eq(byte_buffer_span(&w->records[i - 1].bytes), byte_buffer_span(&bytes))) {
            byte_buffer_free(&bytes);
            return i - 1;
        }
    }
    if (w->record_count == w->record_cap) {
        w->record_cap = w->record_cap * 2 + 64;
        w->records = tool_resize(w->records, w->record_cap, sizeof *w->records);
    }
    w->records[w->record_count] = (struct record){ .bytes = bytes, .next_same_hash = w->hash_heads[slot] };
    w->hash_heads[slot] = ++w->record_count;
    return w->record_count - 1;
}

static int by_uses(const void *a, const void *b)
{
    const struct record *x = *(const struct record *const *)a, *y = *(const struct record *const *)b;
    if (x->uses != y->uses)
        return x->uses < y->uses ? 1 : -1;
    return span_cmp(byte_buffer_span(&x->bytes), byte_buffer_span(&y->bytes));
}

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

static size_t record_of(struct writer *w, const struct list_source_domain *d)
{
    struct byte_buffer bytes = { NULL, 0, 0 };
    encode_policy(d, &bytes);
    return intern(w, bytes);
}

static enum rc count_entry(struct writer *w, const struct list_source_domain *d)
{
    if (w->done > 0 && list_name_cmp(w->before, d->name) >= 0)
        return RC_INVALID;
    memcpy(w->before, d->name, strlen(d->name) + 1);
    size_t record = record_of(w, d);
    w->records[record].uses++;
    w->domains++;
    w->enforce += d->mode == LIST_ENFORCE;
    return RC_OK;
}

static void number_policies(struct writer *w)
{
    if (w->record_count == 0)
        return;
    struct record **sorted = tool_alloc(w->record_count, sizeof *sorted);
    for (size_t i = 0; i < w->record_count; i++)
        sorted[i] = &w->records[i];
    qsort(sorted, w->record_count, sizeof *sorted, by_uses);
    for (size_t i = 0; i < w->record_count; i++) {
        sorted[i]->number = (uint32_t)i;
        byte_buffer_u32(&w->policy_index, (uint32_t)w->policies.len);
        byte_buffer_add(&w->policies, sorted[i]->bytes.p, sorted[i]->bytes.len);
    }
    free(sorted);
}

/* --- names --- */

static enum rc write_entry(struct writer *w, const struct list_source_domain *d)
{
    char key[DOMAIN_TEXT_MAX];
    if (w->done % NAMES_A_BLOCK == 0) {
        byte_buffer_u32(&w->block_index, (uint32_t)w->names.len);
        w->before[0] = '\0';
    }
    make_key(d->name, key);
    size_t shared = 0, len = strlen(key);
    while (shared < len && w->before[shared] == key[shared])
        shared++;
    byte_buffer_u8(&w->names, (uint8_t)shared);
    byte_buffer_u8(&w->names, (uint8_t)(len - shared));
    byte_buffer_add(&w->names, key + shared, len - shared);
    byte_buffer_varint(&w->names, w->records[record_of(w, d)].number);
    memcpy(w->before, key, len + 1);
    return RC_OK;
}

static void encode_header(const struct writer *w, const struct list_input *s, struct byte_buffer *out)
{
    size_t author_len = strlen(s->author);
    byte_buffer_add(out, "PLST", 4);
    byte_buffer_u8(out, FORMAT);
    byte_buffer_u8(out, 0);
    byte_buffer_u8(out, NAMES_A_BLOCK);
    byte_buffer_u8(out, (uint8_t)author_len);
    byte_buffer_u64(out, (uint64_t)s->timestamp);
    byte_buffer_u64(out, (uint64_t)s->expires);
    byte_buffer_u32(out, (uint32_t)w->domains);
    byte_buffer_u32(out, (uint32_t)w->enforce);
    byte_buffer_u32(out, (uint32_t)w->record_count);
    byte_buffer_u32(out, (uint32_t)w->names.len);
    byte_buffer_u32(out, (uint32_t)w->policies.len);
    byte_buffer_fill(out, 0, 12);
    uint32_t crc = crc32_update(crc32_update(0, out->p, out->len), s->author, author_len);
    byte_buffer_u32(out, crc);
    byte_buffer_add(out, s->author, author_len);
}

static void append(struct byte_buffer *out, const struct byte_buffer *part, size_t *size)
{
    byte_buffer_add(out, part->p, part->len);
    *size = part->len;
}

static void assemble(const struct writer *w, const struct list_input *s, struct byte_buffer *out, struct list_sizes *sizes)
{
    encode_header(w, s, out);
    sizes->header = out->len;
    append(out, &w->block_index, &sizes->block_index);
    append(out, &w->names, &sizes->names);
    append(out, &w->policy_index, &sizes->policy_index);
    append(out, &w->policies, &sizes->policies);
    sizes->all = out->len;
}

static void writer_free(struct writer *w)
{
    for (size_t i = 0; i < w->record_count; i++)
        byte_buffer_free(&w->records[i].bytes);
    free(w->records);
    free(w->hash_heads);
    byte_buffer_free(&w->block_index);
    byte_buffer_free(&w->names);
    byte_buffer_free(&w->policy_index);
    byte_buffer_free(&w->policies);
}

/* --- reading back --- */

static bool same_entry(const struct list_source_domain *d, const struct list_entry *e)
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
    if (list_next(&w->check.it, &e) != RC_OK || strcmp(w->check.it.name, d->name) != 0 || !same_entry(d, &e))
        return RC_CORRUPT;
    if (list_find(&w->check.list, span_of(d->name), &e) != RC_OK || !same_entry(d, &e))
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

enum rc list_write_sorted(const struct list_input *in, struct byte_buffer *out, struct list_sizes *sizes)
{
    struct list_sizes unwanted;
    struct writer w = { .hash_size = 0 };
    enum rc rc = each_entry(&w, in, count_entry);
    if (rc == RC_OK) {
        number_policies(&w);
        rc = each_entry(&w, in, write_entry);
    }
    if (rc == RC_OK) {
        assemble(&w, in, out, sizes != NULL ? sizes : &unwanted);
        rc = read_back(&w, in, byte_buffer_span(out));
    }
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

enum rc list_write(struct list_source *s, struct byte_buffer *out, struct list_sizes *sizes)
{
    struct array_input a = { s, 0 };
    struct list_input in = { s->timestamp, s->expires, s->author, &a, array_rewind, array_next };
    if (s->count > 0)
        qsort(s->domains, s->count, sizeof *s->domains, by_key);
    return list_write_sorted(&in, out, sizes);
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
