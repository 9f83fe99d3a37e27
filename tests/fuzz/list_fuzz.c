/* Any bytes as a list, as an image and as roots: opened, searched and walked. Checksums and sizes are made right first, so that what is
 * fuzzed is what they guard: somebody who means harm can compute them too. */
#include <stdlib.h>
#include <string.h>

#include "hal/base/bytes.h"
#include "hal/base/crc32.h"
#include "policy/image.h"
#include "policy/list.h"
#include "policy/roots.h"
#include "tests/fuzz/demand.h"

static void check_entry(const struct list_entry *e)
{
    demand(e->mx_count >= 1 && e->mx_count <= LIST_MX_MAX && e->text_len <= LIST_MX_BYTES);
    const char *mx;
    for (unsigned i = 0; (mx = list_entry_mx(e, i)) != NULL; i++)
        demand(strlen(mx) >= 1 && strlen(mx) <= DOMAIN_MAX + 1);
    (void)list_entry_allows(e, SPAN("mx.example.com"));
}

static uint64_t table_bytes(uint64_t blocks)
{
    return (blocks + 31) / 32 * 8;
}

static uint64_t blocks_of(uint64_t count, uint8_t each)
{
    return (count + each - 1) / each;
}

static void mend_list(uint8_t *b, size_t len)
{
    if (len < LIST_HEADER_BYTES)
        return;
    memcpy(b, "PLST\4\2", 6);
    b[7] = (uint8_t)(b[7] % 8);
    b[48] %= 32;
    uint64_t before = LIST_HEADER_BYTES + b[7] + LIST_OWN_BYTES;
    uint32_t shared = get_le32(b + 32), plain = get_le16(b + 50), known = get_le32(b + 20) >> 8;
    if (b[6] == 0 || b[49] == 0 || plain > shared || before > len)
        return;
    uint64_t lines = get_le64(b + 8) >> 40,
             tables = before + lines * 8 + table_bytes(plain + blocks_of(shared - plain, b[49]) + known);
    if (tables + get_le32(b + 44) <= len)
        put_le32(b + 40, (uint32_t)(len - tables - get_le32(b + 44)));
    put_le32(b + 52, crc32_update(crc32_update(0, b, 52), b + LIST_HEADER_BYTES, before - LIST_HEADER_BYTES));
}

static void try_search(const struct list *l, struct span wanted)
{
    struct list_search s;
    struct list_entry e;
    for (int match = LIST_CONTAINING; match <= LIST_WITHIN; match++) {
        if (list_search(&s, l, (enum list_match)match, wanted) != RC_OK)
            continue;
        enum rc rc;
        for (uint64_t steps = 0; (rc = list_search_next(&s, &e)) == RC_OK || rc == RC_BUSY; steps++) {
            demand(steps <= l->info.domains);
            if (rc == RC_OK)
                check_entry(&e);
        }
    }
}

static void try_list(const struct reader *r, struct span wanted)
{
    struct list l;
    struct list_entry e;
    if (list_open(&l, r) != RC_OK)
        return;
    if (list_find(&l, wanted, &e) == RC_OK)
        check_entry(&e);
    try_search(&l, wanted);
    struct list_iterator it;
    list_iterate(&it, &l);
    for (uint32_t steps = 0; list_next(&it, &e) == RC_OK; steps++) {
        demand(steps < l.info.domains && strlen(it.name) <= DOMAIN_MAX);
        check_entry(&e);
        enum rc rc = list_find(&l, span_of(it.name), &e);
        demand(rc == RC_OK || rc == RC_NOT_FOUND || rc == RC_CORRUPT);
    }
}

static void mend_image(uint8_t *b, size_t len)
{
    if (len < IMAGE_MANIFEST_BYTES)
        return;
    memcpy(b, "PIMG\1\0", 6);
    put_le32(b + 56, get_le32(b + 56) % (IMAGE_SECTIONS_MAX + 1));
    size_t manifest = IMAGE_MANIFEST_BYTES + (size_t)get_le32(b + 56) * IMAGE_SECTION_BYTES;
    if (manifest + IMAGE_SIGNATURE_HEAD_BYTES > len)
        return;
    memcpy(b + manifest, "PSIG", 4);
    put_le32(b + manifest + 4, crc32_update(0, b, manifest));
}

static void try_image(const struct reader *r)
{
    struct image i;
    struct image_signature s;
    if (image_open(&i, r) != RC_OK)
        return;
    for (unsigned n = 0; n < i.section_count; n++) {
        struct reader section;
        struct reader_part part;
        demand(image_section_reader(&i, (enum image_section)i.section[n].type, &section, &part) == RC_OK);
        (void)!image_section_check(&i, (enum image_section)i.section[n].type, NULL);
    }
    for (unsigned n = 0; n < i.signature_count; n++)
        demand(image_signature(&i, n, &s) == RC_OK);
}

static void mend_roots(uint8_t *b, size_t len)
{
    if (len < ROOTS_HEADER_BYTES)
        return;
    memcpy(b, "PRTS\2\0", 6);
    uint32_t count = get_le32(b + 8) % 8;
    size_t index = (size_t)count * ROOTS_LINE_BYTES;
    put_le32(b + 8, count);
    if (ROOTS_HEADER_BYTES + index > len)
        return;
    put_le32(b + 12, (uint32_t)(len - ROOTS_HEADER_BYTES - index));
    put_le32(b + 16, crc32_update(crc32_update(0, b, 16), b + ROOTS_HEADER_BYTES, index));
}

static void try_roots(const struct reader *r, struct span subject)
{
    struct roots roots;
    uint8_t der[ROOT_DER_MAX];
    uint32_t cursor = 0, given = 0;
    size_t len;
    if (roots_open(&roots, r) != RC_OK)
        return;
    while (roots_find(&roots, subject, &cursor, der, sizeof der, &len) == RC_OK)
        demand(++given <= roots.count && len <= sizeof der);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const mend[])(uint8_t *, size_t) = { mend_list, mend_image, mend_roots };
    if (size < 2)
        return 0;
    size_t wanted_len = data[1] < size - 2 ? data[1] : size - 2, len = size - 2 - wanted_len;
    struct span wanted = span_bytes(data + 2, wanted_len);
    uint8_t *copy = malloc(len + 1);
    demand(copy != NULL);
    memcpy(copy, data + 2 + wanted_len, len);
    mend[data[0] % 3](copy, len);
    struct span bytes = span_bytes(copy, len);
    struct reader r = reader_on_span(&bytes);
    if (data[0] % 3 == 0)
        try_list(&r, wanted);
    else if (data[0] % 3 == 1)
        try_image(&r);
    else
        try_roots(&r, wanted);
    free(copy);
    return 0;
}
