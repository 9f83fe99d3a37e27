/* Line by line over the bytes; the first fault ends it and gets its status. */
#include "net/http_request_head.h"

#include <string.h>

#include "hal/base/domain.h"
#include "hal/base/ipaddr.h"
#include "net/http_message.h"

static const char not_http[] = "that is no HTTP/1.1 request", bad_line[] = "a line of the head is none",
                  not_one_host[] = "there must be one Host";

static enum rc refuse(struct http_request_head *h, uint16_t status, const char *why)
{
    h->status = status;
    h->why = why;
    return RC_PROTOCOL;
}

/* HTAB and what is printable; beyond ASCII only where a field's value may have it. */
static bool is_text(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < ' ' && c != '\t') || c == 127)
            return false;
    }
    return true;
}

static bool is_visible_ascii(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~')
            return false;
    return s.len > 0;
}

/* The next line without its CRLF. RC_NOT_FOUND: it has not ended yet; RC_PROTOCOL: it holds what no line may. */
static enum rc next_line(struct span *rest, struct span *line)
{
    size_t end = span_find(*rest, 0, '\n');
    *line = end == SIZE_MAX ? *rest : span_sub(*rest, 0, end);
    bool crlf = line->len > 0 && line->p[line->len - 1] == '\r';
    if (crlf)
        line->len--;
    if ((end != SIZE_MAX && !crlf) || !is_text(*line))
        return RC_PROTOCOL;
    if (end == SIZE_MAX)
        return RC_NOT_FOUND;
    *rest = span_from(*rest, end + 1);
    return RC_OK;
}

/* host [":" port], of which the host is kept. */
static bool take_host(struct span text, struct span *host)
{
    struct ip_addr_any address;
    struct span port = span_of("");
    bool brackets = span_starts(text, "[");
    size_t end = brackets ? span_find(text, 0, ']') : span_find(text, 0, ':');
    if (brackets && end == SIZE_MAX)
        return false;
    *host = end == SIZE_MAX ? text : span_sub(text, brackets, end - brackets);
    if (end != SIZE_MAX)
        port = span_from(text, end + brackets);
    uint32_t number;
    if (port.len > 0 && (port.p[0] != ':' || (port.len > 1 && (!span_to_u32(span_from(port, 1), &number) || number > 65535))))
        return false;
    if (brackets)
        return ip_parse(*host, &address) == RC_OK && address.family == IP_V6;
    if (!is_visible_ascii(*host))
        return false;
    bool named = domain_is_hostname(*host);
    if (named && span_ends_nocase(*host, "."))
        host->len--;
    return named || (ip_parse(*host, &address) == RC_OK && address.family == IP_V4);
}

/* origin-form, or absolute-form, which proxies use and every server understands (RFC 9112 section 3.2). */
static bool take_target(struct http_request_head *h, struct span target)
{
    if (!is_visible_ascii(target))
        return false;
    h->target = target;
    if (target.p[0] == '/')
        return true;
    if (!span_starts_nocase(target, "http://"))
        return false;
    struct span rest = span_from(target, strlen("http://"));
    size_t slash = span_find(rest, 0, '/');
    h->target = slash == SIZE_MAX ? SPAN("/") : span_from(rest, slash);
    return take_host(span_sub(rest, 0, slash), &h->host);
}

static bool is_version(struct span v)
{
    return v.len == 8 && span_starts(v, "HTTP/") && v.p[5] >= '0' && v.p[5] <= '9' && v.p[6] == '.' && v.p[7] >= '0' &&
           v.p[7] <= '9';
}

static enum rc take_request_line(struct http_request_head *h, struct span line)
{
    size_t first = span_find(line, 0, ' '), last = span_find_last(line, ' ');
    if (first == SIZE_MAX || first == last || !is_version(span_from(line, last + 1)))
        return refuse(h, 400, not_http);
    h->method = span_sub(line, 0, first);
    if (line.p[last + 6] != '1')
        return refuse(h, 505, not_http);
    if (!http_is_token(h->method) || !take_target(h, span_sub(line, first + 1, last - first - 1)))
        return refuse(h, 400, not_http);
    return RC_OK;
}

static enum rc take_field(struct http_request_head *h, struct span line, bool *has_host)
{
    struct span host;
    size_t colon = span_find(line, 0, ':');
    if (colon == SIZE_MAX || !http_is_token(span_sub(line, 0, colon)))
        return refuse(h, 400, bad_line);
    if (!span_is_nocase(span_sub(line, 0, colon), "Host"))
        return RC_OK;
    if (*has_host)
        return refuse(h, 400, not_one_host);
    *has_host = true;
    if (!take_host(span_trim(span_from(line, colon + 1)), &host))
        return refuse(h, 400, not_one_host);
    if (h->host.len == 0)
        h->host = host; /* an absolute target's own goes first */
    return RC_OK;
}

enum rc http_request_head_look(struct span bytes, struct http_request_head *h)
{
    struct span rest = bytes, line;
    bool has_host = false;
    memset(h, 0, sizeof *h);
    for (unsigned lines = 0;; lines++) {
        enum rc rc = next_line(&rest, &line);
        if (rc != RC_OK)
            return rc == RC_NOT_FOUND ? rc : refuse(h, 400, bad_line);
        if (lines > 0 && line.len == 0)
            break;
        if (lines > HTTP_REQUEST_FIELDS_MAX)
            return refuse(h, 431, bad_line);
        rc = lines == 0 ? take_request_line(h, line) : take_field(h, line, &has_host);
        if (rc != RC_OK)
            return rc;
    }
    if (!has_host)
        return refuse(h, 400, not_one_host);
    h->bytes = bytes.len - rest.len;
    return RC_OK;
}
