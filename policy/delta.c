/* A patch is a row of operations on numbers of 7 bits a byte: "n bytes follow" and "n bytes stand in the base there". */
#include "policy/delta.h"

#include <string.h>

#include "hal/base/bytes.h"

#define NUMBER_BITS_MAX 32 /* no number of a patch needs more */

void delta_init(struct delta *d, const struct reader *base, const struct delta_sink *sink)
{
    memset(d, 0, sizeof *d);
    d->base = base;
    d->sink = *sink;
}

bool delta_complete(const struct delta *d)
{
    return d->ended == RC_OK && d->state == DELTA_IN_LENGTH && d->bits == 0 && d->made == d->header.target_bytes;
}

static enum rc take_header(struct delta *d, struct span *bytes)
{
    size_t n = DELTA_HEADER_BYTES - d->pending_len;
    if (n > bytes->len)
        n = bytes->len;
    memcpy(d->pending + d->pending_len, bytes->p, n);
    d->pending_len += (uint32_t)n;
    *bytes = span_from(*bytes, n);
    if (d->pending_len < DELTA_HEADER_BYTES)
        return RC_OK;
    if (memcmp(d->pending, "PDLT", 4) != 0 || get_le32(d->pending + 4) != DELTA_FORMAT)
        return RC_CORRUPT;
    memcpy(d->header.base, d->pending + 8, sizeof d->header.base);
    memcpy(d->header.target, d->pending + 40, sizeof d->header.target);
    d->header.target_bytes = get_le64(d->pending + 72);
    d->state = DELTA_IN_LENGTH;
    return d->sink.header(d->sink.ctx, &d->header);
}

/* One more byte of a number, low bits first; *whole when it is the last. One number has one form: the last byte is not zero. */
static enum rc take_number(struct delta *d, struct span *bytes, bool *whole)
{
    uint8_t b = (uint8_t)bytes->p[0];
    *bytes = span_from(*bytes, 1);
    uint64_t part = (uint64_t)(b & 0x7f) << d->bits;
    if (d->bits >= NUMBER_BITS_MAX || part > UINT32_MAX || (b == 0 && d->bits > 0))
        return RC_CORRUPT;
    d->number = d->bits == 0 ? (uint32_t)part : d->number | (uint32_t)part;
    d->bits += 7;
    *whole = !(b & 0x80);
    if (*whole)
        d->bits = 0;
    return RC_OK;
}

static enum rc take_length(struct delta *d, struct span *bytes)
{
    bool whole;
    enum rc rc = take_number(d, bytes, &whole);
    if (rc != RC_OK || !whole)
        return rc;
    bool copy = d->number & 1;
    d->left = d->number >> 1;
    if (d->left == 0 || d->left > d->header.target_bytes - d->made)
        return RC_CORRUPT;
    d->state = copy ? DELTA_IN_PLACE : DELTA_IN_BYTES;
    return RC_OK;
}

static enum rc take_bytes(struct delta *d, struct span *bytes)
{
    struct span now = span_sub(*bytes, 0, d->left);
    *bytes = span_from(*bytes, now.len);
    d->left -= (uint32_t)now.len;
    d->made += now.len;
    if (d->left == 0)
        d->state = DELTA_IN_LENGTH;
    return d->sink.put(d->sink.ctx, now);
}

/* The place is told as the distance from where the last copy ended: even ahead, odd back. */
static bool find_place(const struct delta *d, uint64_t *from)
{
    uint64_t away = d->number >> 1;
    if (d->number & 1) {
        if (away + 1 > d->copied_to)
            return false;
        *from = d->copied_to - away - 1;
    } else {
        *from = d->copied_to + away;
    }
    return *from <= d->base->size_bytes && d->left <= d->base->size_bytes - *from;
}

static enum rc take_place(struct delta *d, struct span *bytes)
{
    bool whole;
    uint64_t from;
    enum rc rc = take_number(d, bytes, &whole);
    if (rc != RC_OK || !whole)
        return rc;
    if (!find_place(d, &from))
        return RC_CORRUPT;
    while (rc == RC_OK && d->left > 0) {
        size_t n = d->left < DELTA_COPY_BYTES ? d->left : DELTA_COPY_BYTES;
        rc = reader_get(d->base, from, d->copy, n);
        from += n;
        d->left -= (uint32_t)n;
        d->made += n;
        if (rc == RC_OK)
            rc = d->sink.put(d->sink.ctx, span_bytes(d->copy, n));
    }
    d->copied_to = from;
    d->state = DELTA_IN_LENGTH;
    return rc;
}

enum rc delta_push(struct delta *d, struct span bytes)
{
    while (d->ended == RC_OK && bytes.len > 0) {
        if (d->state == DELTA_IN_HEADER)
            d->ended = take_header(d, &bytes);
        else if (d->state == DELTA_IN_LENGTH)
            d->ended = take_length(d, &bytes);
        else if (d->state == DELTA_IN_BYTES)
            d->ended = take_bytes(d, &bytes);
        else
            d->ended = take_place(d, &bytes);
    }
    return d->ended;
}
