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

struct writer {
    struct record *records;
    size_t record_count, record_cap;
    size_t *hash_heads; /* index + 1 of the first record with that hash */
    size_t hash_size;
    size_t *record_of; /* a domain's record */
    struct byte_buffer block_index, names, policy_index, policies;
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

/* The record that equals bytes, which are taken over or freed. */
static size_t intern(struct writer *w, struct byte_buffer bytes)
{
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

static void collect_policies(struct writer *w, const struct list_source *s)
{
    for (size_t i = 0; i < s->count; i++) {
        struct byte_buffer bytes = { NULL, 0, 0 };
        encode_policy(&s->domains[i], &bytes);
        w->record_of[i] = intern(w, bytes);
        w->records[w->record_of[i]].uses++;
    }
    if (s->count == 0)
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

static void encode_names(struct writer *w, const struct list_source *s)
{
    char key[DOMAIN_TEXT_MAX], before[DOMAIN_TEXT_MAX] = "";
    for (size_t i = 0; i < s->count; i++) {
        if (i % NAMES_A_BLOCK == 0) {
            byte_buffer_u32(&w->block_index, (uint32_t)w->names.len);
            before[0] = '\0';
        }
        make_key(s->domains[i].name, key);
        size_t shared = 0, len = strlen(key);
        while (shared < len && before[shared] == key[shared])
            shared++;
        byte_buffer_u8(&w->names, (uint8_t)shared);
        byte_buffer_u8(&w->names, (uint8_t)(len - shared));
        byte_buffer_add(&w->names, key + shared, len - shared);
        byte_buffer_varint(&w->names, w->records[w->record_of[i]].number);
        memcpy(before, key, len + 1);
    }
}

static void encode_header(const struct writer *w, const struct list_source *s, struct byte_buffer *out)
{
    size_t enforce = 0, author_len = strlen(s->author);
    for (size_t i = 0; i < s->count; i++)
        enforce += s->domains[i].mode == LIST_ENFORCE;
    byte_buffer_add(out, "PLST", 4);
    byte_buffer_u8(out, FORMAT);
    byte_buffer_u8(out, 0);
    byte_buffer_u8(out, NAMES_A_BLOCK);
    byte_buffer_u8(out, (uint8_t)author_len);
    byte_buffer_u64(out, (uint64_t)s->timestamp);
    byte_buffer_u64(out, (uint64_t)s->expires);
    byte_buffer_u32(out, (uint32_t)s->count);
    byte_buffer_u32(out, (uint32_t)enforce);
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

static void assemble(const struct writer *w, const struct list_source *s, struct byte_buffer *out, struct list_sizes *sizes)
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
    free(w->record_of);
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

static bool reads_back(const struct list_source *s, struct span image)
{
    struct reader r = reader_on_span(&image);
    struct list l;
    struct list_iterator it;
    struct list_entry e;
    if (list_open(&l, &r) != RC_OK)
        return false;
    list_iterate(&it, &l);
    for (size_t i = 0; i < s->count; i++) {
        const struct list_source_domain *d = &s->domains[i];
        if (list_next(&it, &e) != RC_OK || strcmp(it.name, d->name) != 0 || !same_entry(d, &e))
            return false;
        if (list_find(&l, span_of(d->name), &e) != RC_OK || !same_entry(d, &e))
            return false;
    }
    return list_next(&it, &e) == RC_NOT_FOUND;
}

enum rc list_write(struct list_source *s, struct byte_buffer *out, struct list_sizes *sizes)
{
    if (s->count > 0)
        qsort(s->domains, s->count, sizeof *s->domains, by_key);
    for (size_t i = 1; i < s->count; i++) {
        if (strcmp(s->domains[i - 1].name, s->domains[i].name) == 0)
            return RC_INVALID;
    }
    struct writer w = { .hash_size = s->count * 2 + 1 };
    struct list_sizes unwanted;
    w.hash_heads = tool_alloc(w.hash_size, sizeof *w.hash_heads);
    w.record_of = tool_alloc(s->count, sizeof *w.record_of);
    collect_policies(&w, s);
    encode_names(&w, s);
    assemble(&w, s, out, sizes != NULL ? sizes : &unwanted);
    writer_free(&w);
    return reads_back(s, byte_buffer_span(out)) ? RC_OK : RC_CORRUPT;
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
