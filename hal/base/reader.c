/* Bounds checks in one place: no backend sees a range outside its own size, and no sum of offset and length wraps. */
#include "hal/base/reader.h"

#include <string.h>

static bool within(uint64_t size_bytes, uint64_t offset, uint64_t len)
{
    return offset <= size_bytes && len <= size_bytes - offset;
}

enum rc reader_get(const struct reader *r, uint64_t offset, void *out, size_t len)
{
    if (!within(r->size_bytes, offset, len))
        return RC_INVALID;
    return len == 0 ? RC_OK : r->read(r->ctx, offset, out, len);
}

static enum rc read_part(void *ctx, uint64_t offset, void *out, size_t len)
{
    const struct reader_part *part = ctx;
    return reader_get(part->whole, part->from + offset, out, len);
}

enum rc reader_part_init(struct reader *out, struct reader_part *part, const struct reader *whole, uint64_t from,
                         uint64_t size_bytes)
{
    if (!within(whole->size_bytes, from, size_bytes))
        return RC_INVALID;
    *part = (struct reader_part){ .whole = whole, .from = from };
    *out = (struct reader){ .read = read_part, .ctx = part, .size_bytes = size_bytes };
    return RC_OK;
}

static enum rc read_span(void *ctx, uint64_t offset, void *out, size_t len)
{
    const struct span *bytes = ctx;
    if (!within(bytes->len, offset, len))
        return RC_INVALID;
    memcpy(out, bytes->p + offset, len);
    return RC_OK;
}

struct reader reader_on_span(const struct span *bytes)
{
    return (struct reader){ .read = read_span, .ctx = (void *)(uintptr_t)bytes, .size_bytes = bytes->len };
}
