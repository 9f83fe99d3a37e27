/* Roots are found by the CRC-32 of their subject in a sorted index, then by the subject itself: the CRC only saves reading. */
#include "policy/roots.h"

#include <string.h>

#include "hal/base/bytes.h"
#include "hal/base/crc32.h"
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

static enum rc check_index(const struct roots *r, const uint8_t *header, uint32_t certificates_bytes)
{
    uint32_t crc = crc32_update(0, header, CRC_AT), before = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        uint8_t b[ROOTS_LINE_BYTES];
        enum rc rc = get(r->reader, ROOTS_HEADER_BYTES + (uint64_t)i * sizeof b, b, sizeof b);
        if (rc != RC_OK)
            return rc;
        uint32_t subject_crc = get_le32(b), offset = get_le32(b + 4), size_bytes = get_le32(b + 8);
        if (subject_crc < before || offset > certificates_bytes || size_bytes > certificates_bytes - offset || size_bytes == 0 ||
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
    uint32_t certificates_bytes = get_le32(h + 12);
    if (memcmp(h, "PRTS", 4) != 0 || get_le16(h + 4) != ROOTS_FORMAT || r->count > ROOTS_MAX ||
        ROOTS_HEADER_BYTES + (uint64_t)r->count * ROOTS_LINE_BYTES + certificates_bytes != r->reader->size_bytes)
        return RC_CORRUPT;
    return check_index(r, h, certificates_bytes);
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

static enum rc read_certificate(const struct roots *r, const struct line *l, uint8_t *der, size_t cap, struct span *subject)
{
    if (l->size_bytes > cap)
        return RC_TOO_LONG;
    enum rc rc = get(r->reader, ROOTS_HEADER_BYTES + (uint64_t)r->count * ROOTS_LINE_BYTES + l->offset, der, l->size_bytes);
    if (rc == RC_OK && x509_subject_dn(span_bytes(der, l->size_bytes), subject) != RC_OK)
        rc = RC_CORRUPT;
    return rc;
}

enum rc roots_find(const struct roots *r, struct span subject_dn, uint32_t *cursor, uint8_t *der, size_t cap, size_t *len)
{
    uint32_t wanted = crc32_update(0, subject_dn.p, subject_dn.len), index = *cursor - 1;
    enum rc rc = *cursor == 0 ? lower_bound(r, wanted, &index) : RC_OK;
    for (; rc == RC_OK && index < r->count; index++) {
        struct line l;
        struct span subject = { NULL, 0 };
        rc = get_line(r, index, &l);
        if (rc == RC_OK && l.subject_crc != wanted)
            break;
        if (rc == RC_OK)
            rc = read_certificate(r, &l, der, cap, &subject);
        if (rc != RC_OK || !span_eq(subject, subject_dn))
            continue;
        *len = l.size_bytes;
        *cursor = index + 2;
        return RC_OK;
    }
    *cursor = r->count + 1; /* asked again, the answer stays the same */
    return rc == RC_OK ? RC_NOT_FOUND : rc;
}
