/* Any bytes as a patch, in pieces, against a base; and any bytes as lines of an image's text. The header's size is made small at times, so
 * that patches can be complete. What comes out is never more than the header says, and reads of the base stay within it. */
#include <stdlib.h>
#include <string.h>

#include "hal/base/bytes.h"
#include "policy/delta.h"
#include "policy/image_text.h"
#include "tests/fuzz/demand.h"

static struct {
    uint64_t said, made;
    unsigned headers;
} out;

static enum rc take_header(void *ctx, const struct delta_header *h)
{
    (void)ctx;
    out.said = h->target_bytes;
    out.headers++;
    return h->target_bytes <= 1 << 20 ? RC_OK : RC_TOO_LONG;
}

static enum rc take_bytes(void *ctx, struct span bytes)
{
    (void)ctx;
    demand(out.headers == 1 && bytes.len > 0);
    out.made += bytes.len;
    demand(out.made <= out.said);
    return RC_OK;
}

static void try_patch(struct span patch, struct span base, size_t step)
{
    static const struct delta_sink sink = { take_header, take_bytes, NULL };
    struct reader r = reader_on_span(&base);
    struct delta d;
    memset(&out, 0, sizeof out);
    delta_init(&d, &r, &sink);
    for (size_t at = 0; at < patch.len; at += step)
        if (delta_push(&d, span_sub(patch, at, step)) != RC_OK)
            return;
    demand(!delta_complete(&d) || out.made == out.said);
}

static void try_lines(struct span text)
{
    struct span line;
    bool more = true;
    while (span_split(&text, &more, '\n', &line)) {
        struct image_text_line parsed;
        if (image_text_parse(line, &parsed) == RC_OK && parsed.kind == IMAGE_TEXT_DATA)
            demand(parsed.len >= 1 && parsed.len <= sizeof parsed.data && parsed.number > 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 1 << 16)
        return 0;
    size_t base_len = data[0] < size - 2 ? data[0] : 0, step = data[1] + 1u;
    struct span base = span_bytes(data + 2, base_len);
    uint8_t *patch = malloc(size - 2 - base_len + 1);
    size_t len = size - 2 - base_len;
    memcpy(patch, data + 2 + base_len, len);
    try_lines(span_bytes(patch, len));
    if (len >= DELTA_HEADER_BYTES && data[1] % 2) {
        memcpy(patch, "PDLT\2\0\0\0", 8);
        put_le64(patch + 72, get_le64(patch + 72) % 5000);
    }
    try_patch(span_bytes(patch, len), base, step);
    free(patch);
    return 0;
}
