/* A patch is a row of operations on numbers of 7 bits a byte: "n bytes follow", "n bytes stand in the base there", the same with something
 * added, "n zeros". */
#include "policy/delta.h"

#include <string.h>

#include "hal/base/bytes.h"

#define NUMBER_BITS_MAX 32 /* no number of a patch needs more */

_Static_assert(DELTA_COPY_BYTES % DELTA_SUM_STEP == 0, "numbers stand at the same places of each piece");

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
    size_t n = DELTA_HEADER_BYTES - (size_t)d->pending_len;
    if (n > bytes->len)
        n = bytes->len;
    memcpy(d->pending + d->pending_len, bytes->p, n);
    d->pending_len = (uint8_t)(d->pending_len + n);
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
    d->bits = (uint8_t)(d->bits + 7);
    *whole = !(b & 0x80);
    if (*whole)
        d->bits = 0;
    return RC_OK;
}

/* Numbers of the target stand in the base at even distances, each greater by the same sum. */
static void add_sum(const struct delta *d, uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i + 4 <= len; i += DELTA_SUM_STEP)
        put_le32(bytes + i, get_le32(bytes + i) + d->sum);
}

/* All that an operation makes of the base, or of nothing. */
static enum rc make(struct delta *d)
{
    enum rc rc = RC_OK;
    d->state = DELTA_IN_LENGTH;
    while (rc == RC_OK && d->left > 0) {
        size_t n = d->left < DELTA_COPY_BYTES ? d->left : DELTA_COPY_BYTES;
        if (d->kind == DELTA_ZEROS) {
            memset(d->copy, 0, n);
        } else {
            rc = reader_get(d->base, d->copied_to, d->copy, n);
            d->copied_to += n;
        }
        if (d->kind == DELTA_COPY_AND_ADD)
            add_sum(d, d->copy, n);
        d->left -= (uint32_t)n;
        d->made += n;
        if (rc == RC_OK)
            rc = d->sink.put(d->sink.ctx, span_bytes(d->copy, n));
    }
    return rc;
}

static enum rc take_length(struct delta *d)
{
    d->kind = d->number & ((1u << DELTA_KIND_BITS) - 1);
    d->left = d->number >> DELTA_KIND_BITS;
    if (d->left == 0 || d->left > d->header.target_bytes - d->made)
        return RC_CORRUPT;
    if (d->kind == DELTA_ZEROS)
        return make(d);
    d->state = d->kind == DELTA_BYTES ? DELTA_IN_BYTES : DELTA_IN_PLACE;
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

/* Even: so much up; odd: down. */
static int64_t difference(uint32_t number)
{
    return number & 1 ? -(int64_t)(number >> 1) - 1 : (int64_t)(number >> 1);
}

/* The place is told as the distance from where the last copy ended. */
static enum rc take_place(struct delta *d)
{
    d->copied_to += (uint64_t)difference(d->number); /* what comes before the base's start comes round to far behind its end */
    if (d->copied_to > d->base->size_bytes || d->left > d->base->size_bytes - d->copied_to)
        return RC_CORRUPT;
    if (d->kind == DELTA_COPY)
        return make(d);
    d->state = DELTA_IN_SUM;
    return RC_OK;
}

static enum rc take_sum(struct delta *d)
{
    d->sum += (uint32_t)difference(d->number);
    return make(d);
}

static enum rc take_next(struct delta *d, struct span *bytes)
{
    bool whole;
    if (d->state == DELTA_IN_HEADER)
        return take_header(d, bytes);
    if (d->state == DELTA_IN_BYTES)
        return take_bytes(d, bytes);
    enum rc rc = take_number(d, bytes, &whole);
    if (rc != RC_OK || !whole)
        return rc;
    return d->state == DELTA_IN_LENGTH ? take_length(d) : d->state == DELTA_IN_PLACE ? take_place(d) : take_sum(d);
}

enum rc delta_push(struct delta *d, struct span bytes)
{
    while (d->ended == RC_OK && bytes.len > 0)
        d->ended = take_next(d, &bytes);
    return d->ended;
}
