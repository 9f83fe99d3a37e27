/* Roots are found by the CRC-32 of their subject in a sorted index, then by the subject itself: the CRC only saves reading. */
#include "policy/roots.h"

#include <string.h>

#include "hal/base/bytes.h"
#include "hal/base/crc32.h"
#include "hal/base/strbuf.h"
#include "hal/crypto/der_cert.h"

#define CRC_AT 16

struct line {
    uint32_t subject_crc, offset, size_bytes;
};

static enum rc get(const struct reader *r, uint64_t offset, void *out, size_t len)
{
    enum rc rc = reader_get(r, offset, out, len);
    return rc == RC_INVALID ? RC_CORRUPT : rc;
}

static enum rc get_line(const struct roots *r, uint32_t index, struct line *out)
{
    uint8_t b[ROOTS_LINE_BYTES];
    enum rc rc = get(r->reader, ROOTS_HEADER_BYTES + (uint64_t)index * sizeof b, b, sizeof b);
    if (rc == RC_OK)
        *out = (struct line){ get_le32(b), get_le32(b + 4), get_le32(b + 8) };
    return rc;
}

static enum rc check_index(const struct roots *r, const uint8_t *header, uint32_t roots_bytes)
{
    uint32_t crc = crc32_update(0, header, CRC_AT), before = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        uint8_t b[ROOTS_LINE_BYTES];
        enum rc rc = get(r->reader, ROOTS_HEADER_BYTES + (uint64_t)i * sizeof b, b, sizeof b);
        if (rc != RC_OK)
            return rc;
        uint32_t subject_crc = get_le32(b), offset = get_le32(b + 4), size_bytes = get_le32(b + 8);
        if (subject_crc < before || offset > roots_bytes || size_bytes > roots_bytes - offset || size_bytes == 0 ||
            size_bytes > ROOT_DER_MAX)
            return RC_CORRUPT;
        before = subject_crc;
        crc = crc32_update(crc, b, sizeof b);
    }
    return crc == get_le32(header + CRC_AT) ? RC_OK : RC_CORRUPT;
}

static enum rc open_checked(struct roots *r)
{
    uint8_t h[ROOTS_HEADER_BYTES];
    enum rc rc = get(r->reader, 0, h, sizeof h);
    if (rc != RC_OK)
        return rc;
    r->count = get_le32(h + 8);
    uint32_t roots_bytes = get_le32(h + 12);
    if (memcmp(h, "PRTS", 4) != 0 || get_le16(h + 4) != ROOTS_FORMAT || r->count > ROOTS_MAX ||
        ROOTS_HEADER_BYTES + (uint64_t)r->count * ROOTS_LINE_BYTES + roots_bytes != r->reader->size_bytes)
        return RC_CORRUPT;
    return check_index(r, h, roots_bytes);
}

enum rc roots_open(struct roots *r, const struct reader *reader)
{
    *r = (struct roots){ .reader = reader };
    enum rc rc = open_checked(r);
    if (rc != RC_OK)
        *r = (struct roots){ .reader = NULL };
    return rc;
}

/* The first line whose CRC is not below wanted. */
static enum rc lower_bound(const struct roots *r, uint32_t wanted, uint32_t *out)
{
    uint32_t low = 0, high = r->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct line l;
        enum rc rc = get_line(r, middle, &l);
        if (rc != RC_OK)
            return rc;
        if (l.subject_crc < wanted)
            low = middle + 1;
        else
            high = middle;
    }
    *out = low;
    return RC_OK;
}

/* --- Making a certificate --- */

#define TAG_SEQUENCE 0x30
#define ALGORITHM "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02" /* ecdsa-with-SHA256: nobody verifies it */
#define BEFORE_ISSUER "\xa0\x03\x02\x01\x02\x02\x01\x01" ALGORITHM   /* version 3, serial number 1 */
#define IS_CA "\x30\x0f\x06\x03\x55\x1d\x13\x01\x01\xff\x04\x05\x30\x03\x01\x01\xff"
#define IS_CA_OF_LENGTH "\x30\x12\x06\x03\x55\x1d\x13\x01\x01\xff\x04\x08\x30\x06\x01\x01\xff\x02\x01" /* and the length */
#define NO_SIGNATURE ALGORITHM "\x03\x02\x00\x00"

struct root {
    uint8_t path_length;
    struct span subject, validity, key, key_id;
};

static bool parse_root(struct span bytes, struct root *out)
{
    struct span body;
    if (bytes.len < ROOT_HEAD_BYTES)
        return false;
    size_t id_len = (uint8_t)bytes.p[0];
    out->path_length = (uint8_t)bytes.p[1];
    bytes = span_from(bytes, ROOT_HEAD_BYTES);
    bool ok = der_take(&bytes, TAG_SEQUENCE, &out->subject, &body) && der_take(&bytes, TAG_SEQUENCE, &out->validity, &body) &&
              der_take(&bytes, TAG_SEQUENCE, &out->key, &body);
    out->key_id = bytes;
    return ok && bytes.len == id_len && id_len <= ROOT_KEY_ID_MAX &&
           (out->path_length < 0x80 || out->path_length == ROOT_NO_PATH_LENGTH);
}

static void put_header(struct strbuf *out, uint8_t tag, size_t len)
{
    strbuf_putc(out, (char)tag);
    if (len >= 0x100)
        strbuf_putc(out, (char)0x82);
    else if (len >= 0x80)
        strbuf_putc(out, (char)0x81);
    if (len >= 0x100)
        strbuf_putc(out, (char)(len >> 8));
    strbuf_putc(out, (char)len);
}

static size_t header_bytes(size_t len)
{
    return len < 0x80 ? 2 : len < 0x100 ? 3 : 4;
}

static void put_extensions(struct strbuf *out, const struct root *r, size_t len)
{
    put_header(out, 0xa3, len + 2);
    put_header(out, TAG_SEQUENCE, len);
    if (r->path_length == ROOT_NO_PATH_LENGTH) {
        strbuf_add(out, SPAN(IS_CA));
    } else {
        strbuf_add(out, SPAN(IS_CA_OF_LENGTH));
        strbuf_putc(out, (char)r->path_length);
    }
    if (r->key_id.len == 0)
        return;
    put_header(out, TAG_SEQUENCE, 9 + r->key_id.len);
    strbuf_add(out, SPAN("\x06\x03\x55\x1d\x0e"));
    put_header(out, 0x04, 2 + r->key_id.len);
    put_header(out, 0x04, r->key_id.len);
    strbuf_add(out, r->key_id);
}

/* All lengths are known before the first byte is written. */
static enum rc make_certificate(const struct root *r, uint8_t *der, size_t cap, size_t *len)
{
    size_t extensions = (r->path_length == ROOT_NO_PATH_LENGTH ? sizeof IS_CA - 1 : sizeof IS_CA_OF_LENGTH) +
                        (r->key_id.len > 0 ? 11 + r->key_id.len : 0);
    size_t tbs = sizeof BEFORE_ISSUER - 1 + 2 * r->subject.len + r->validity.len + r->key.len + 4 + extensions;
    size_t all = header_bytes(tbs) + tbs + sizeof NO_SIGNATURE - 1;
    *len = header_bytes(all) + all;
    if (*len >= cap) /* one byte for strbuf's NUL */
        return RC_TOO_LONG;
    struct strbuf out = strbuf_on((char *)der, cap);
    put_header(&out, TAG_SEQUENCE, all);
    put_header(&out, TAG_SEQUENCE, tbs);
    strbuf_add(&out, SPAN(BEFORE_ISSUER));
    strbuf_add(&out, r->subject);
    strbuf_add(&out, r->validity);
    strbuf_add(&out, r->subject);
    strbuf_add(&out, r->key);
    put_extensions(&out, r, extensions);
    strbuf_add(&out, SPAN(NO_SIGNATURE));
    return RC_OK;
}

/* --- Searching --- */

/* The root is read to the end of the memory, and what is made of it stands at its beginning. RC_NOT_FOUND: of another name. */
static enum rc read_root(const struct roots *r, const struct line *l, struct span subject_dn, uint8_t *der, size_t cap, size_t *len)
{
    struct root root;
    if (l->size_bytes > cap)
        return RC_TOO_LONG;
    size_t room = cap - l->size_bytes;
    enum rc rc = get(r->reader, ROOTS_HEADER_BYTES + (uint64_t)r->count * ROOTS_LINE_BYTES + l->offset, der + room, l->size_bytes);
    if (rc == RC_OK && !parse_root(span_bytes(der + room, l->size_bytes), &root))
        rc = RC_CORRUPT;
    if (rc != RC_OK)
        return rc;
    return span_eq(root.subject, subject_dn) ? make_certificate(&root, der, room, len) : RC_NOT_FOUND;
}

enum rc roots_find(const struct roots *r, struct span subject_dn, uint32_t *cursor, uint8_t *der, size_t cap, size_t *len)
{
    uint32_t wanted = crc32_update(0, subject_dn.p, subject_dn.len), index = *cursor - 1;
    enum rc rc = *cursor == 0 ? lower_bound(r, wanted, &index) : RC_OK;
    for (; rc == RC_OK && index < r->count; index++) {
        struct line l;
        rc = get_line(r, index, &l);
        if (rc == RC_OK && l.subject_crc != wanted)
            break;
        if (rc == RC_OK)
            rc = read_root(r, &l, subject_dn, der, cap, len);
        if (rc == RC_OK) {
            *cursor = index + 2;
            return RC_OK;
        }
        if (rc == RC_NOT_FOUND)
            rc = RC_OK;
    }
    *cursor = r->count + 1; /* asked again, the answer stays the same */
    return rc == RC_OK ? RC_NOT_FOUND : rc;
}
