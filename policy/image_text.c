#include "policy/image_text.h"

#include <string.h>

#include "hal/base/base64.h"
#include "hal/base/crc32.h"

#define BEGIN "begin postern-image "
#define END "end "
#define CRC_DIGITS 8

static uint32_t crc_of(struct span text)
{
    return crc32_update(0, text.p, text.len);
}

/* "NUMBER BASE64 CRC": the checksum is of all that stands before its blank. */
static enum rc parse_data(struct span line, struct image_text_line *out)
{
    char memory[CRC_DIGITS + 1];
    struct strbuf crc = STRBUF(memory);
    size_t first = span_find(line, 0, ' '), last = span_find_last(line, ' ');
    if (first == SIZE_MAX || first == last || line.len - last - 1 != CRC_DIGITS)
        return RC_INVALID;
    struct span text = span_sub(line, first + 1, last - first - 1);
    if (!span_to_u32(span_sub(line, 0, first), &out->number) || out->number == 0)
        return RC_INVALID;
    strbuf_printf(&crc, "%08lx", (unsigned long)crc_of(span_sub(line, 0, last)));
    if (!span_eq_nocase(span_from(line, last + 1), strbuf_span(&crc)))
        return RC_CORRUPT;
    if (base64_decode(text, out->data, sizeof out->data, &out->len) != RC_OK || out->len == 0)
        return RC_INVALID;
    out->kind = IMAGE_TEXT_DATA;
    return RC_OK;
}

enum rc image_text_parse(struct span line, struct image_text_line *out)
{
    memset(out, 0, sizeof *out);
    line = span_trim(line);
    if (line.len == 0 || line.p[0] == '#')
        return RC_OK;
    if (span_starts(line, BEGIN)) {
        out->kind = IMAGE_TEXT_BEGIN;
        return span_to_u64(span_from(line, sizeof BEGIN - 1), &out->size_bytes) ? RC_OK : RC_INVALID;
    }
    if (span_starts(line, END)) {
        out->kind = IMAGE_TEXT_END;
        return span_to_u32(span_from(line, sizeof END - 1), &out->number) ? RC_OK : RC_INVALID;
    }
    return parse_data(line, out);
}

void image_text_begin(struct strbuf *out, uint64_t size_bytes)
{
    strbuf_printf(out, BEGIN "%llu", (unsigned long long)size_bytes);
}

void image_text_data(struct strbuf *out, uint32_t number, struct span data)
{
    size_t from = out->len;
    strbuf_printf(out, "%lu ", (unsigned long)number);
    base64_encode(out, data);
    strbuf_printf(out, " %08lx", (unsigned long)crc_of(span_from(strbuf_span(out), from)));
}

void image_text_end(struct strbuf *out, uint32_t lines)
{
    strbuf_printf(out, END "%lu", (unsigned long)lines);
}
