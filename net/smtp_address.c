/* Paths, parameters and xtext of MAIL and RCPT. Pure. What it accepts beyond the grammar, because real senders do it:
 * a path without angle brackets, empty atoms in a local part ("a..b", "a."), local parts longer than 64 octets, a trailing
 * dot on the domain. What it never accepts: control characters, NUL, invalid UTF-8, an unquoted blank. */
#include "net/smtp_address.h"

#include <string.h>

#include "hal/base/ipaddr.h"
#include "hal/base/utf8.h"

/* Why a path was refused; the first reason wins. */
struct path_reader {
    struct span text;
    size_t at;
    bool bracket;
    const char *why;
};

static int look(const struct path_reader *r)
{
    return r->at < r->text.len ? (unsigned char)r->text.p[r->at] : -1;
}

static enum rc refuse(struct path_reader *r, const char *why)
{
    if (r->why == NULL)
        r->why = why;
    return RC_INVALID;
}

static bool is_alnum(int c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_atext(int c)
{
    return is_alnum(c) || (c > 0 && c < 0x80 && strchr("!#$%&'*+-/=?^_`{|}~.", c) != NULL);
}

/* One non-ASCII character; the C1 controls are control characters too. */
static bool skip_utf8(struct path_reader *r, struct smtp_address *out)
{
    uint32_t cp;
    size_t n = utf8_decode(r->text, r->at, &cp);
    if (n == 0 || cp < 0xa0)
        return false;
    r->at += n;
    out->utf8 = true;
    return true;
}

static enum rc read_quoted(struct path_reader *r, struct smtp_address *out)
{
    for (r->at++; look(r) != '"';) {
        int c = look(r);
        if (c >= 0x80) {
            if (!skip_utf8(r, out))
                return refuse(r, PACKED("invalid UTF-8 in the local part"));
            continue;
        }
        if (c == '\\') {
            r->at++;
            c = look(r);
        }
        if (c < 0)
            return refuse(r, PACKED("unfinished quoted string"));
        if (c < 0x20 || c >= 0x7f)
            return refuse(r, PACKED("control character in the address"));
        r->at++;
    }
    r->at++;
    return RC_OK;
}

static enum rc read_atoms(struct path_reader *r, struct smtp_address *out)
{
    size_t start = r->at;
    for (;;) {
        int c = look(r);
        if (is_atext(c))
            r->at++;
        else if (c < 0x80)
            break;
        else if (!skip_utf8(r, out))
            return refuse(r, PACKED("invalid UTF-8 in the local part"));
    }
    return r->at > start ? RC_OK : refuse(r, PACKED("empty or malformed local part"));
}

static enum rc read_local(struct path_reader *r, struct smtp_address *out)
{
    size_t start = r->at;
    enum rc rc = look(r) == '"' ? read_quoted(r, out) : read_atoms(r, out);
    if (rc != RC_OK)
        return rc;
    struct strbuf local = STRBUF(out->local);
    strbuf_add(&local, span_sub(r->text, start, r->at - start));
    if (local.overflow) {
        (void)refuse(r, PACKED("local part too long"));
        return RC_TOO_LONG;
    }
    return RC_OK;
}

/* What stands up to the end of a domain: the grammar inside is domain_canonical's. */
static struct span take_domain(struct path_reader *r)
{
    size_t start = r->at;
    for (int c = look(r); is_alnum(c) || c == '-' || c == '_' || c == '.' || c >= 0x80; c = look(r))
        r->at++;
    return span_sub(r->text, start, r->at - start);
}

static enum rc read_literal(struct path_reader *r, struct smtp_address *out, struct span *raw)
{
    size_t end = span_find(r->text, r->at, ']');
    if (end == SIZE_MAX)
        return refuse(r, PACKED("unfinished address literal"));
    *raw = span_sub(r->text, r->at, end + 1 - r->at);
    struct strbuf domain = STRBUF(out->domain);
    if (ip_literal_canonical(*raw, &domain) != RC_OK)
        return refuse(r, PACKED("malformed or unknown address literal"));
    out->literal = true;
    r->at = end + 1;
    return RC_OK;
}

static enum rc read_domain(struct path_reader *r, struct smtp_address *out, struct span *raw)
{
    if (look(r) == '[')
        return read_literal(r, out, raw);
    *raw = take_domain(r);
    struct strbuf domain = STRBUF(out->domain);
    enum rc rc = domain_canonical(*raw, &domain);
    if (rc != RC_OK) {
        (void)refuse(r, rc == RC_TOO_LONG ? PACKED("domain too long") : PACKED("malformed domain"));
        return rc;
    }
    for (size_t i = 0; i < raw->len; i++)
        out->utf8 = out->utf8 || (unsigned char)raw->p[i] >= 0x80;
    if (raw->len > 0 && raw->p[raw->len - 1] == '.')
        raw->len--;
    return RC_OK;
}

/* "@a,@b:" was for routing by the sender; RFC 5321 appendix C lets a server ignore it, and so do we. */
static enum rc drop_source_route(struct path_reader *r, struct smtp_address *out)
{
    if (look(r) != '@')
        return RC_OK;
    int c;
    do {
        struct span raw;
        if (look(r) != '@')
            return refuse(r, PACKED("malformed source route"));
        r->at++;
        enum rc rc = read_domain(r, out, &raw); /* only to see that it is one */
        if (rc != RC_OK)
            return rc;
        c = look(r);
        r->at++;
    } while (c == ',');
    if (c != ':' || look(r) == '@')
        return refuse(r, PACKED("malformed source route"));
    out->source_route = true;
    out->literal = out->utf8 = false;
    out->domain[0] = '\0';
    return RC_OK;
}

static enum rc read_mailbox(struct path_reader *r, struct smtp_address *out)
{
    struct span raw = { "", 0 };
    enum rc rc = drop_source_route(r, out);
    if (rc == RC_OK)
        rc = read_local(r, out);
    if (rc != RC_OK)
        return rc;
    if (look(r) == '@') {
        r->at++;
        rc = read_domain(r, out, &raw);
        if (rc != RC_OK)
            return rc;
    } else if (out->source_route || !span_is_nocase(span_of(out->local), "postmaster")) {
        return refuse(r, PACKED("the address has no domain"));
    }
    struct strbuf full = STRBUF(out->full);
    strbuf_puts(&full, out->local);
    if (out->domain[0] != '\0')
        strbuf_putc(&full, '@');
    strbuf_add(&full, raw);
    if (full.overflow) {
        (void)refuse(r, PACKED("address too long"));
        return RC_TOO_LONG;
    }
    return RC_OK;
}

static enum rc read_path(struct path_reader *r, struct smtp_address *out)
{
    r->bracket = look(r) == '<';
    if (r->bracket)
        r->at++;
    if (r->bracket && look(r) == '>') {
        r->at++;
        out->null = true;
    } else {
        enum rc rc = read_mailbox(r, out);
        if (rc != RC_OK)
            return rc;
        if (r->bracket && look(r) != '>')
            return refuse(r, look(r) < 0 ? PACKED("no closing '>'") : PACKED("unexpected character in the address"));
        r->at += r->bracket ? 1 : 0;
    }
    if (look(r) >= 0 && look(r) != ' ')
        return refuse(r, r->bracket ? PACKED("unexpected text after the address") : PACKED("unexpected character in the address"));
    return RC_OK;
}

enum rc smtp_path_parse(struct span text, struct smtp_address *out, struct span *rest, const char **why)
{
    struct path_reader r = { .text = text };
    memset(out, 0, sizeof *out);
    *why = NULL;
    *rest = (struct span){ text.p, 0 };
    enum rc rc = read_path(&r, out);
    if (rc != RC_OK) {
        memset(out, 0, sizeof *out);
        *why = r.why != NULL ? r.why : "malformed address";
        return rc;
    }
    *rest = span_from(text, r.at);
    return RC_OK;
}

bool smtp_local_is_routing(const struct smtp_address *a)
{
    return strpbrk(a->local, "%!@") != NULL;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool smtp_local_is(const struct smtp_address *a, const char *name)
{
    const char *p = a->local;
    bool quoted = *p == '"';
    if (quoted)
        p++;
    for (; *name != '\0'; name++, p++) {
        if (quoted && *p == '\\')
            p++;
        if (*p == '\0' || lower(*p) != lower(*name))
            return false;
    }
    return quoted ? p[0] == '"' && p[1] == '\0' : *p == '\0';
}

static size_t keyword_length(struct span s)
{
    size_t n = 0;
    while (n < s.len && (is_alnum(s.p[n]) || (n > 0 && s.p[n] == '-')))
        n++;
    return n;
}

/* esmtp-value, with UTF-8 (RFC 6531 section 3.3) and a further '=', which some senders leave unencoded. */
static size_t value_length(struct span s)
{
    size_t n = 0;
    while (n < s.len && (unsigned char)s.p[n] > 0x20 && s.p[n] != 0x7f)
        n++;
    return n;
}

bool smtp_param_next(struct span *rest, struct span *keyword, struct span *value, bool *bad)
{
    *bad = false;
    *value = (struct span){ "", 0 };
    size_t blanks = 0;
    while (blanks < rest->len && rest->p[blanks] == ' ')
        blanks++;
    if (blanks == rest->len)
        return false;
    struct span s = span_from(*rest, blanks);
    size_t n = keyword_length(s);
    *keyword = span_sub(s, 0, n);
    s = span_from(s, n);
    *bad = n == 0 || blanks == 0;
    if (s.len > 0 && s.p[0] == '=') {
        s = span_from(s, 1);
        n = value_length(s);
        *value = span_sub(s, 0, n);
        *bad = *bad || n == 0 || !utf8_valid(*value);
        s = span_from(s, n);
    }
    *bad = *bad || (s.len > 0 && s.p[0] != ' ');
    *rest = s;
    return !*bad;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum rc xtext_decode(struct span text, struct strbuf *out)
{
    strbuf_clear(out);
    for (size_t i = 0; i < text.len; i++) {
        int c = (unsigned char)text.p[i];
        if (c < 0x21 || c > 0x7e || c == '=')
            return RC_INVALID;
        if (c == '+') {
            int high = i + 2 < text.len ? hex_value(text.p[i + 1]) : -1;
            int low = i + 2 < text.len ? hex_value(text.p[i + 2]) : -1;
            if (high < 0 || low < 0)
                return RC_INVALID;
            c = high * 16 + low;
            i += 2;
        }
        strbuf_putc(out, (char)c);
    }
    return out->overflow ? RC_TOO_LONG : RC_OK;
}

void xtext_encode(struct strbuf *out, struct span text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c >= 0x21 && c <= 0x7e && c != '+' && c != '=') {
            strbuf_putc(out, (char)c);
            continue;
        }
        strbuf_putc(out, '+');
        strbuf_putc(out, digits[c >> 4]);
        strbuf_putc(out, digits[c & 15]);
    }
}
