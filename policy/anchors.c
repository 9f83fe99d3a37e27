#include "policy/anchors.h"

#include <string.h>

#include "hal/base/bytes.h"

static enum rc get(const struct reader *r, uint64_t offset, void *out, size_t len)
{
    enum rc rc = reader_get(r, offset, out, len);
    return rc == RC_INVALID ? RC_CORRUPT : rc;
}

enum rc anchors_open(struct anchors *a, const struct reader *r)
{
    uint8_t h[ANCHORS_HEADER_BYTES];
    *a = (struct anchors){ .reader = NULL };
    enum rc rc = get(r, 0, h, sizeof h);
    if (rc != RC_OK)
        return rc;
    unsigned count = get_le16(h + 6);
    if (memcmp(h, "PANC", 4) != 0 || get_le16(h + 4) != ANCHORS_FORMAT || count < 1 || count > ANCHORS_MAX ||
        r->size_bytes != ANCHORS_HEADER_BYTES + (uint64_t)count * ANCHOR_BYTES)
        return RC_CORRUPT;
    *a = (struct anchors){ r, count };
    return RC_OK;
}

enum rc anchors_get(const struct anchors *a, unsigned n, struct anchor *out)
{
    uint8_t b[ANCHOR_BYTES];
    if (n >= a->count)
        return RC_NOT_FOUND;
    enum rc rc = get(a->reader, ANCHORS_HEADER_BYTES + (uint64_t)n * sizeof b, b, sizeof b);
    if (rc != RC_OK)
        return rc;
    *out = (struct anchor){ .key_tag = get_le16(b), .algorithm = b[2], .digest_type = b[3] };
    memcpy(out->digest, b + 4, sizeof out->digest);
    return out->digest_type == ANCHOR_SHA256 ? RC_OK : RC_CORRUPT;
}
