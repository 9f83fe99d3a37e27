/* One pass from left to right over scheme, authority, path and query. Whoever builds a URL from parts has the result parsed again, so that
 * nothing gets out that the grammar would refuse. */
#include "net/url.h"

#include <string.h>

#include "hal/base/domain.h"
#include "hal/base/ipaddr.h"

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static bool is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

/* pchar, "/" and, behind the first "?", also "?" (RFC 3986 3.3, 3.4). */
static bool is_target(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] == '%') {
            if (s.len - i < 3 || !is_hex(s.p[i + 1]) || !is_hex(s.p[i + 2]))
                return false;
        } else if (!is_alnum(s.p[i]) && !is_one_of(s.p[i], "-._~!$&'()*+,;=:@/?")) {
            return false;
        }
    }
    return true;
}

static bool take_scheme(struct span *rest, bool *https)
{
    *https = span_starts_nocase(*rest, "https://");
    if (!*https && !span_starts_nocase(*rest, "http://"))
        return false;
    *rest = span_from(*rest, *https ? 8 : 7);
    return true;
}

static bool parse_port(struct span text, uint16_t *out)
{
    uint32_t number;
    if (text.len > 5 || !span_to_u32(text, &number) || number == 0 || number > UINT16_MAX)
        return false;
    *out = (uint16_t)number;
    return true;
}

/* A name is checked for what domain_canonical takes, an address for its family. */
static bool check_host(struct url *u, bool brackets)
{
    struct ip_addr_any a;
    char memory[DOMAIN_TEXT_MAX];
    struct strbuf name = STRBUF(memory);
    u->host_is_address = ip_parse(u->host, &a) == RC_OK;
    if (brackets || u->host_is_address)
        return u->host_is_address && brackets == (a.family == IP_V6);
    return domain_canonical(u->host, &name) == RC_OK && domain_is_hostname(strbuf_span(&name));
}

static bool parse_authority(struct url *u)
{
    bool brackets = u->authority.len > 0 && u->authority.p[0] == '[';
    size_t end = span_find(u->authority, 0, brackets ? ']' : ':');
    if (brackets && end == SIZE_MAX)
        return false;
    u->host = brackets ? span_sub(u->authority, 1, end - 1) : span_sub(u->authority, 0, end);
    struct span rest = span_from(u->authority, brackets ? end + 1 : u->host.len);
    u->port = u->https ? 443 : 80;
    if (rest.len > 0 && (rest.p[0] != ':' || !parse_port(span_from(rest, 1), &u->port)))
        return false;
    return check_host(u, brackets);
}

enum rc url_parse(struct span text, struct url *out)
{
    struct span rest = text;
    memset(out, 0, sizeof *out);
    if (text.len > URL_MAX)
        return RC_TOO_LONG;
    if (!take_scheme(&rest, &out->https))
        return RC_INVALID;
    size_t end = 0;
    while (end < rest.len && rest.p[end] != '/' && rest.p[end] != '?' && rest.p[end] != '#')
        end++;
    out->authority = span_sub(rest, 0, end);
    out->target = span_from(rest, end);
    out->origin = span_sub(text, 0, text.len - out->target.len);
    if (parse_authority(out) && is_target(out->target))
        return RC_OK;
    memset(out, 0, sizeof *out);
    return RC_INVALID;
}

static void add_origin(struct strbuf *out, const struct url *u)
{
    struct ip_addr_any a;
    char memory[DOMAIN_TEXT_MAX];
    struct strbuf name = STRBUF(memory);
    strbuf_puts(out, u->https ? "https://" : "http://");
    if (ip_parse(u->host, &a) == RC_OK)
        ip_format(&name, &a);
    else if (domain_canonical(u->host, &name) != RC_OK)
        strbuf_clear(&name); /* cannot be: the URL was parsed */
    bool brackets = span_find(strbuf_span(&name), 0, ':') != SIZE_MAX;
    strbuf_printf(out, "%s%s%s", brackets ? "[" : "", name.p, brackets ? "]" : "");
    if (u->port != (u->https ? 443 : 80))
        strbuf_printf(out, ":%u", u->port);
}

static enum rc give_up(struct strbuf *out, enum rc rc)
{
    strbuf_clear(out);
    return rc;
}

/* Our own result, read as a stranger's. */
static enum rc check_again(struct strbuf *out)
{
    struct url u;
    enum rc rc = out->overflow ? RC_TOO_LONG : url_parse(strbuf_span(out), &u);
    return rc == RC_OK ? RC_OK : give_up(out, rc);
}

enum rc url_canonical(struct span text, struct strbuf *out)
{
    struct url u;
    strbuf_clear(out);
    enum rc rc = url_parse(text, &u);
    if (rc != RC_OK)
        return rc;
    add_origin(out, &u);
    if (u.target.len == 0 || u.target.p[0] != '/')
        strbuf_putc(out, '/');
    strbuf_add(out, u.target);
    return check_again(out);
}

/* RFC 3986 5.2.4 for an absolute path: "." falls away, ".." takes the segment before it along. from is where the path begins in out. */
static void add_path(struct strbuf *out, size_t from, struct span path)
{
    bool more = true;
    struct span segment;
    path = span_from(path, 1);
    while (span_split(&path, &more, '/', &segment)) {
        if (span_is(segment, "..")) {
            size_t slash = span_find_last(span_from(strbuf_span(out), from), '/');
            strbuf_truncate(out, slash == SIZE_MAX ? from : from + slash);
        }
        if (!span_is(segment, ".") && !span_is(segment, "..")) {
            strbuf_putc(out, '/');
            strbuf_add(out, segment);
        } else if (!more) {
            strbuf_putc(out, '/');
        }
    }
}

static bool has_scheme(struct span s)
{
    size_t colon = span_find(s, 0, ':');
    for (size_t i = 0; i < s.len && i < colon; i++)
        if (!is_alnum(s.p[i]) && !is_one_of(s.p[i], "+-."))
            return false;
    return colon != SIZE_MAX && colon > 0;
}

/* reference has neither scheme nor authority. */
static void add_relative(struct strbuf *out, struct span base_target, struct span reference)
{
    char memory[URL_TEXT_MAX];
    struct strbuf merged = STRBUF(memory);
    size_t query = span_find(base_target, 0, '?'), mark = span_find(reference, 0, '?');
    struct span base_path = span_sub(base_target, 0, query), path = span_sub(reference, 0, mark);
    if (path.len == 0) {
        strbuf_add(out, mark == SIZE_MAX ? base_target : base_path);
    } else {
        if (path.p[0] != '/')
            strbuf_add(&merged, span_sub(base_path, 0, span_find_last(base_path, '/') + 1));
        strbuf_add(&merged, path);
        add_path(out, out->len, strbuf_span(&merged));
        out->overflow = out->overflow || merged.overflow;
    }
    if (mark != SIZE_MAX)
        strbuf_add(out, span_from(reference, mark));
}

enum rc url_resolve(struct span base, struct span reference, struct strbuf *out)
{
    struct url b, r;
    char memory[URL_TEXT_MAX];
    struct strbuf whole = STRBUF(memory);
    strbuf_clear(out);
    reference = span_sub(reference, 0, span_find(reference, 0, '#'));
    enum rc rc = url_parse(base, &b);
    if (rc != RC_OK)
        return rc;
    if (!has_scheme(reference) && !span_starts(reference, "//")) {
        strbuf_add(out, b.origin);
        add_relative(out, b.target, reference);
        return check_again(out);
    }
    if (!has_scheme(reference))
        strbuf_puts(&whole, b.https ? "https:" : "http:");
    strbuf_add(&whole, reference);
    rc = whole.overflow ? RC_TOO_LONG : url_parse(strbuf_span(&whole), &r);
    if (rc != RC_OK)
        return rc;
    add_origin(out, &r);
    add_relative(out, SPAN("/"), r.target);
    return check_again(out);
}
