#include "net/http_message.h"

#include <string.h>

#include "hal/base/datetime.h"

#define RETRY_AFTER_MAX_S (366LL * 86400) /* longer is cut to this */
#define AGE_MAX_S 86400                   /* an older answer says nothing about the time */

#define FAULT_TEXT_MAX 80
const char *http_fault_text(enum http_fault f)
{
    static const char texts[HTTP_FAULT_COUNT][FAULT_TEXT_MAX] PACKED_TABLE = {
        [HTTP_FAULT_NONE] = "nothing is wrong",
        [HTTP_FAULT_STATUS_LINE] = "the answer is no HTTP/1 answer",
        [HTTP_FAULT_LINE_END] = "a line of the answer does not end in CRLF",
        [HTTP_FAULT_FIELD] = "a header line of the answer is malformed",
        [HTTP_FAULT_FOLDED] = "a header line of the answer is folded",
        [HTTP_FAULT_LENGTH] = "the answer's Content-Length is no number",
        [HTTP_FAULT_LENGTH_TWICE] = "the answer has two Content-Lengths",
        [HTTP_FAULT_LENGTH_AND_CODING] = "the answer has both Content-Length and Transfer-Encoding",
        [HTTP_FAULT_TRANSFER_CODING] = "the answer has a transfer coding other than chunked",
        [HTTP_FAULT_CONTENT_CODING] = "the answer is compressed, which was not asked for",
        [HTTP_FAULT_HEAD_TOO_LARGE] = "the answer's header is too large",
        [HTTP_FAULT_UNASKED] = "the server sent an answer that was not asked for",
        [HTTP_FAULT_RANGE] = "the answer's Content-Range is missing, malformed or not what was asked for",
        [HTTP_FAULT_CHUNK] = "a chunk of the answer is malformed",
        [HTTP_FAULT_TRUNCATED] = "the connection ended before the answer did",
        [HTTP_FAULT_BODY_TOO_LARGE] = "the answer is larger than allowed",
        [HTTP_FAULT_LOCATION] = "the server redirects, but not to an address",
        [HTTP_FAULT_INSECURE] = "the server redirects from https to http",
        [HTTP_FAULT_REDIRECT_LOOP] = "the server redirects in a circle",
        [HTTP_FAULT_REDIRECTS_MANY] = "the server redirects too often",
    };
    return texts[f];
}

static enum rc fault(struct http_head *h, enum http_fault f)
{
    h->fault = f;
    return f == HTTP_FAULT_HEAD_TOO_LARGE                                      ? RC_TOO_LONG
           : f == HTTP_FAULT_TRANSFER_CODING || f == HTTP_FAULT_CONTENT_CODING ? RC_UNSUPPORTED
                                                                               : RC_PROTOCOL;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool http_is_token(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.p[i];
        if (c <= ' ' || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c) != NULL)
            return false;
    }
    return text.len > 0;
}

bool http_is_value(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (((unsigned char)text.p[i] < 0x20 && text.p[i] != '\t') || text.p[i] == 0x7f)
            return false;
    return true;
}

void http_head_init(struct http_head *h, bool to_head)
{
    memset(h, 0, sizeof *h);
    h->to_head = to_head;
    h->retry_after_s = -1;
}

static enum rc status_line(struct http_head *h, struct span line)
{
    uint32_t status;
    if (!span_starts(line, "HTTP/1.") || line.len < 12 || !is_digit(line.p[7]) || line.p[8] != ' ' ||
        !span_to_u32(span_sub(line, 9, 3), &status) || status < 100 || (line.len > 12 && line.p[12] != ' '))
        return fault(h, HTTP_FAULT_STATUS_LINE);
    h->status = (uint16_t)status;
    h->minor_0 = line.p[7] == '0';
    return RC_OK;
}

static enum rc take_length(struct http_head *h, struct span value)
{
    if (h->has_length)
        return fault(h, HTTP_FAULT_LENGTH_TWICE);
    h->has_length = true;
    return span_to_u64(value, &h->length) ? RC_OK : fault(h, HTTP_FAULT_LENGTH);
}

static enum rc take_transfer_coding(struct http_head *h, struct span value)
{
    h->chunked = span_is_nocase(value, "chunked") && !h->has_coding && !h->minor_0;
    h->has_coding = true;
    return h->chunked ? RC_OK : fault(h, HTTP_FAULT_TRANSFER_CODING);
}

static enum rc take_content_coding(struct http_head *h, struct span value)
{
    return span_is_nocase(value, "identity") ? RC_OK : fault(h, HTTP_FAULT_CONTENT_CODING);
}

static enum rc take_connection(struct http_head *h, struct span value)
{
    bool more = true;
    struct span item;
    while (span_split(&value, &more, ',', &item)) {
        h->said_close = h->said_close || span_is_nocase(span_trim(item), "close");
        h->said_keep_alive = h->said_keep_alive || span_is_nocase(span_trim(item), "keep-alive");
    }
    return RC_OK;
}

/* "bytes 0-1023/146515", "bytes 0-1023/" and "*", or of a 416 "bytes *" and "/146515" (RFC 9110 14.4). */
static enum rc take_range(struct http_head *h, struct span value)
{
    size_t slash = span_find(value, 0, '/'), dash = span_find(value, 0, '-');
    struct span size = span_from(value, slash == SIZE_MAX ? value.len : slash + 1);
    h->of_size = UINT64_MAX;
    if (h->has_range || !span_starts_nocase(value, "bytes ") || (!span_is(size, "*") && !span_to_u64(size, &h->of_size)))
        return fault(h, HTTP_FAULT_RANGE);
    if (span_is(span_sub(value, 6, slash - 6), "*") && h->of_size != UINT64_MAX)
        return RC_OK;
    h->has_range = true;
    if (dash > slash || !span_to_u64(span_sub(value, 6, dash - 6), &h->range_from) ||
        !span_to_u64(span_sub(value, dash + 1, slash - dash - 1), &h->range_to) || h->range_from > h->range_to ||
        h->range_to >= h->of_size)
        return fault(h, HTTP_FAULT_RANGE);
    return RC_OK;
}

/* A date that cannot be read counts as none: nothing hangs on it but what the caller does with it. */
static enum rc take_date(struct http_head *h, struct span value)
{
    if (http_date_parse(value, &h->date) != RC_OK)
        h->date = 0;
    return RC_OK;
}

static enum rc take_age(struct http_head *h, struct span value)
{
    if (!span_to_u32(value, &h->age_s))
        h->age_s = UINT32_MAX;
    return RC_OK;
}

bool http_retry_after(struct span value, int64_t *seconds, int64_t *at)
{
    uint64_t number;
    if (!span_to_u64(value, &number))
        return http_date_parse(value, at) == RC_OK;
    *seconds = number > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : (int64_t)number;
    return true;
}

static enum rc take_retry_after(struct http_head *h, struct span value)
{
    (void)http_retry_after(value, &h->retry_after_s, &h->retry_at);
    return RC_OK;
}

static const struct {
    const char *name;
    enum rc (*take)(struct http_head *h, struct span value);
} known[] = {
    { "Content-Length", take_length },
    { "Transfer-Encoding", take_transfer_coding },
    { "Content-Encoding", take_content_coding },
    { "Connection", take_connection },
    { "Content-Range", take_range },
    { "Date", take_date },
    { "Age", take_age },
    { "Retry-After", take_retry_after },
};

static enum rc take_field(struct http_head *h, struct span name, struct span value, bool cut)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (span_is_nocase(name, known[i].name))
            return cut ? fault(h, HTTP_FAULT_HEAD_TOO_LARGE) : known[i].take(h, value);
    return RC_OK;
}

static enum rc field_line(struct http_head *h, struct span line, bool cut, http_on_field on_field, void *ctx)
{
    size_t colon = span_find(line, 0, ':');
    struct span name = span_sub(line, 0, colon), value = span_trim(span_from(line, colon == SIZE_MAX ? line.len : colon + 1));
    if (line.p[0] == ' ' || line.p[0] == '\t')
        return fault(h, HTTP_FAULT_FOLDED);
    if (span_find(line, 0, '\r') != SIZE_MAX)
        return fault(h, HTTP_FAULT_LINE_END);
    if (colon == SIZE_MAX || !http_is_token(name) || !http_is_value(value))
        return fault(h, HTTP_FAULT_FIELD);
    if (++h->fields > HTTP_FIELDS_MAX)
        return fault(h, HTTP_FAULT_HEAD_TOO_LARGE);
    if (on_field != NULL && !cut)
        on_field(ctx, name, value);
    return take_field(h, name, value, cut);
}

/* RFC 9112 6.3. */
static enum http_framing framing_of(const struct http_head *h)
{
    if (h->to_head || h->status < 200 || h->status == 204 || h->status == 304)
        return HTTP_BODY_NONE;
    if (h->chunked)
        return HTTP_BODY_CHUNKED;
    return h->has_length ? HTTP_BODY_LENGTH : HTTP_BODY_TO_CLOSE;
}

static enum rc end_of_head(struct http_head *h)
{
    if (h->has_length && h->has_coding)
        return fault(h, HTTP_FAULT_LENGTH_AND_CODING);
    if (h->status == 101)
        return fault(h, HTTP_FAULT_UNASKED);
    if (h->status == 206 && !h->has_range)
        return fault(h, HTTP_FAULT_RANGE);
    h->framing = framing_of(h);
    h->keep_alive = !h->said_close && (!h->minor_0 || h->said_keep_alive) && h->framing != HTTP_BODY_TO_CLOSE;
    if (h->retry_at != 0 && h->date != 0)
        h->retry_after_s = h->retry_at > h->date ? h->retry_at - h->date : 0;
    if (h->retry_after_s > RETRY_AFTER_MAX_S)
        h->retry_after_s = RETRY_AFTER_MAX_S;
    h->date = h->date != 0 && h->age_s <= AGE_MAX_S ? h->date + h->age_s : 0;
    h->complete = true;
    return RC_OK;
}

enum rc http_head_line(struct http_head *h, struct span line, bool cut, http_on_field on_field, void *ctx)
{
    h->bytes += (uint32_t)(line.len < HTTP_HEAD_BYTES_MAX ? line.len : HTTP_HEAD_BYTES_MAX) + 2;
    if (h->bytes > HTTP_HEAD_BYTES_MAX)
        return fault(h, HTTP_FAULT_HEAD_TOO_LARGE);
    if (h->status == 0)
        return status_line(h, line);
    if (line.len == 0)
        return end_of_head(h);
    return field_line(h, line, cut, on_field, ctx);
}

enum rc http_chunk_size(struct span line, uint64_t *size)
{
    size_t digits = 0;
    *size = 0;
    for (; digits < line.len && digits < 16; digits++) {
        char c = line.p[digits];
        unsigned value = is_digit(c) ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
        if (!is_digit(c) && ((c | 0x20) < 'a' || (c | 0x20) > 'f'))
            break;
        *size = *size * 16 + value;
    }
    struct span rest = span_trim(span_from(line, digits));
    if (digits == 0 || digits > 15 || (rest.len > 0 && rest.p[0] != ';') || !http_is_value(rest))
        return RC_PROTOCOL;
    return RC_OK;
}
