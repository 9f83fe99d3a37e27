/* The types of settings: one checker each, chosen by a table. Each reads the trimmed text and appends the canonical form; none knows
 * about storage or staging. */
#include "firmware/setting_value.h"

#include "firmware/password.h"
#include "hal/base/datetime.h"
#include "hal/base/domain.h"
#include "hal/base/utf8.h"
#include "net/url.h"

typedef enum rc (*checker)(const struct setting_def *def, struct span v, struct strbuf *out, struct strbuf *why);

static enum rc refuse(struct strbuf *why, const char *words)
{
    strbuf_clear(why);
    strbuf_puts(why, words);
    return RC_INVALID;
}

static enum rc check_hostname(const struct setting_def *def, struct span v, struct strbuf *out, struct strbuf *why)
{
    (void)def;
    if (domain_canonical(v, out) != RC_OK || !domain_is_hostname(strbuf_span(out)))
        return refuse(why, PACKED("is not a host name (labels of letters, digits and hyphens, at most 253 characters)"));
    return RC_OK;
}

static enum rc check_text(const struct setting_def *def, struct span v, struct strbuf *out, struct strbuf *why)
{
    uint32_t max = SETTING_VALUE_MAX;
    if (def->bounds[0] && !span_to_u32(span_of(def->bounds), &max))
        max = SETTING_VALUE_MAX;
    if (v.len > max) {
        strbuf_clear(why);
        strbuf_printf(why, "is longer than %u characters", (unsigned)max);
        return RC_INVALID;
    }
    strbuf_add(out, v);
    return RC_OK;
}

static enum rc check_password(const struct setting_def *def, struct span v, struct strbuf *out, struct strbuf *why)
{
    (void)def;
    bool kept = password_is_kept_form(v);
    if (!kept && (v.len < PASSWORD_MIN || v.len > PASSWORD_MAX))
        return refuse(why, PACKED("is not a password of 8 to 128 characters"));
    if (!kept && span_starts(v, "pbkdf2-sha256:"))
        return refuse(why, PACKED("is a damaged hash"));
    strbuf_add(out, v);
    return RC_OK;
}

static enum rc in_bounds(const struct setting_def *def, uint64_t n, struct strbuf *why)
{
    struct span rest = span_of(def->bounds);
    size_t dots = span_find(rest, 0, '.');
    uint64_t low, high;
    if (dots == SIZE_MAX || !span_to_u64(span_sub(rest, 0, dots), &low) || !span_to_u64(span_from(rest, dots + 2), &high))
        return RC_OK;
    if (n >= low && n <= high)
        return RC_OK;
    strbuf_clear(why);
    strbuf_printf(why, "is not within %llu to %llu", (unsigned long long)low, (unsigned long long)high);
    return RC_INVALID;
}

static enum rc check_number(const struct setting_def *def, struct span v, struct strbuf *out, struct strbuf *why)
{
    uint64_t n;
    if (!span_to_u64(v, &n))
        return refuse(why, PACKED("is not a whole number"));
    enum rc rc = in_bounds(def, n, why);
    if (rc == RC_OK)
        strbuf_printf(out, "%llu", (unsigned long long)n);
    return rc;
}

static enum rc check_bytes(const struct setting_def *def, struct span v, struct strbuf *out, struct strbuf *why)
{
    uint64_t unit = 1, n;
    if (v.len && (v.p[v.len - 1] == 'K' || v.p[v.len - 1] == 'k'))
        unit = 1024;
    if (v.len && (v.p[v.len - 1] == 'M' || v.p[v.len - 1] == 'm'))
        unit = 1024 * 1024;
    if (unit > 1)
        v.len--;
    if (!span_to_u64(v, &n) || n > UINT32_MAX)
        return refuse(why, PACKED("is not a number of bytes (like 20M, 512K or 1048576)"));
    enum rc rc = in_bounds(def, n * unit, why);
    if (rc == RC_OK)
        strbuf_printf(out, "%llu", (unsigned long long)(n * unit));
    return rc;
}

static enum rc check_choice(const struct setting_def *def, struct span v, struct strbuf *out, struct strbuf *why)
{
    struct span rest = span_of(def->bounds), item;
    bool more = true;
    while (span_split(&rest, &more, '|', &item))
        if (span_eq_nocase(item, v)) {
            strbuf_add(out, item);
            return RC_OK;
        }
    strbuf_clear(why);
    strbuf_printf(why, "is none of %s", def->bounds);
    return RC_INVALID;
}

static enum rc add_net(struct span v, enum ip_family family, bool host_only, struct strbuf *out, struct strbuf *why)
{
    struct ip_net net;
    if (ip_net_parse(v, &net) != RC_OK || (family != IP_NONE && net.addr.family != family))
        return refuse(why, family == IP_V6 ? PACKED("is not an IPv6 ADDRESS/BITS")
                                           : PACKED("is not an ADDRESS/BITS (like 192.0.2.7/24)"));
    if (host_only && span_find(v, 0, '/') == SIZE_MAX)
        return refuse(why, PACKED("lacks the network's /BITS (like 192.0.2.7/24)"));
    ip_format(out, &net.addr);
    strbuf_printf(out, "/%u", net.prefix_bits);
    return RC_OK;
}

/* Networks are named here to be trusted in some way: all of the Internet is not. Of the private ones of IPv6 fc00::/7 and fe80::/10 may be. */
static bool is_too_wide(const struct ip_net *n)
{
    unsigned least = n->addr.family == IP_V4         ? 8
                     : ip_is_mapped(&n->addr)        ? 96 + 8
                     : (n->addr.b[0] & 0xfe) == 0xfc ? 7
                     : n->addr.b[0] == 0xfe          ? 10
                                                     : 16;
    return n->prefix_bits < least;
}

static enum rc check_cidr(const struct setting_def *def, struct span v, struct strbuf *out, struct strbuf *why)
{
    (void)def;
    struct ip_net net;
    if (ip_net_parse(v, &net) == RC_OK && is_too_wide(&net))
        return refuse(why, PACKED("is too much of the Internet (/8 at least, of IPv6 /16)"));
    return add_net(v, IP_NONE, false, out, why);
}

static enum rc check_cidr_or_dhcp(const struct setting_def *def, struct span v, struct strbuf *out, struct strbuf *why)
{
    (void)def;
    if (!span_is_nocase(v, "dhcp"))
        return add_net(v, IP_V4, true, out, why);
    strbuf_puts(out, "dhcp");
    return RC_OK;
}

static enum rc check_cidr_or_auto_off(const struct setting_def *def, struct span v, struct strbuf *out, struct strbuf *why)
{
    (void)def;
    if (!span_is_nocase(v, "auto") && !span_is_nocase(v, "off"))
        return add_net(v, IP_V6, true, out, why);
    strbuf_puts(out, span_is_nocase(v, "auto") ? "auto" : "off");
    return RC_OK;
}

static enum rc check_address(const struct setting_def *def, struct span v, struct strbuf *out, struct strbuf *why)
{
    (void)def;
    struct ip_addr_any a;
    if (ip_parse(v, &a) != RC_OK)
        return refuse(why, PACKED("is not an IP address"));
    ip_format(out, &a);
    return RC_OK;
}

static uint16_t default_port(const struct setting_def *def)
{
    uint32_t port = 0;
    return span_to_u32(span_of(def->bounds), &port) && port <= 65535 ? (uint16_t)port : 25;
}

static enum rc check_endpoint(const struct setting_def *def, struct span v, struct strbuf *out, struct strbuf *why)
{
    struct ip_endpoint e;
    if (ip_endpoint_parse(v, default_port(def), &e) != RC_OK || e.port == 0)
        return refuse(why, PACKED("is not ADDRESS or ADDRESS:PORT ([ADDRESS]:PORT for IPv6)"));
    ip_endpoint_format(out, &e);
    return RC_OK;
}

/* A host by name or address: its canonical text. */
static enum rc add_host(struct span v, struct strbuf *out, struct strbuf *why)
{
    struct ip_addr_any a;
    char name[DOMAIN_TEXT_MAX];
    struct strbuf canonical = STRBUF(name);
    if (ip_parse(v, &a) == RC_OK) {
        ip_format(out, &a);
        return RC_OK;
    }
    if (domain_canonical(v, &canonical) != RC_OK || !domain_is_hostname(strbuf_span(&canonical)))
        return refuse(why, PACKED("is neither a host name nor an address"));
    strbuf_add(out, strbuf_span(&canonical));
    return RC_OK;
}

static enum rc check_host(const struct setting_def *def, struct span v, struct strbuf *out, struct strbuf *why)
{
    (void)def;
    return add_host(v, out, why);
}

enum rc setting_hostport_parse(struct span text, uint16_t port, struct setting_hostport *out)
{
    struct ip_addr_any bare;
    uint32_t number = port;
    out->port = port;
    out->host = text;
    if (!text.len)
        return RC_INVALID;
    if (text.p[0] == '[') {
        size_t end = span_find(text, 0, ']');
        if (end == SIZE_MAX)
            return RC_INVALID;
        out->host = span_sub(text, 1, end - 1);
        text = span_from(text, end + 1);
        if (!text.len)
            return RC_OK;
        if (text.p[0] != ':' || !span_to_u32(span_from(text, 1), &number))
            return RC_INVALID;
    } else if (ip_parse(text, &bare) != RC_OK || bare.family != IP_V6) {
        size_t colon = span_find_last(text, ':');
        if (colon == SIZE_MAX)
            return RC_OK;
        out->host = span_sub(text, 0, colon);
        if (!span_to_u32(span_from(text, colon + 1), &number))
            return RC_INVALID;
    }
    if (number == 0 || number > 65535 || !out->host.len)
        return RC_INVALID;
    out->port = (uint16_t)number;
    return RC_OK;
}

static enum rc check_hostport(const struct setting_def *def, struct span v, struct strbuf *out, struct strbuf *why)
{
    struct setting_hostport hp;
    if (setting_hostport_parse(v, default_port(def), &hp) != RC_OK)
        return refuse(why, PACKED("is not HOST or HOST:PORT"));
    bool brackets = span_find(hp.host, 0, ':') != SIZE_MAX;
    if (brackets)
        strbuf_putc(out, '[');
    enum rc rc = add_host(hp.host, out, why);
    if (brackets)
        strbuf_putc(out, ']');
    strbuf_printf(out, ":%u", hp.port);
    return rc;
}

static enum rc check_domain(const struct setting_def *def, struct span v, struct strbuf *out, struct strbuf *why)
{
    (void)def;
    char name[DOMAIN_TEXT_MAX];
    struct strbuf canonical = STRBUF(name);
    if (domain_canonical(v, &canonical) != RC_OK || !domain_is_hostname(strbuf_span(&canonical)))
        return refuse(why, PACKED("is not a domain name"));
    strbuf_add(out, strbuf_span(&canonical));
    return RC_OK;
}

static enum rc check_url(const struct setting_def *def, struct span v, struct strbuf *out, struct strbuf *why)
{
    (void)def;
    if (!span_starts_nocase(v, "https://") || url_canonical(v, out) != RC_OK)
        return refuse(why, PACKED("is not an https:// address of at most 511 characters"));
    return RC_OK;
}

static enum rc check_email(const struct setting_def *def, struct span v, struct strbuf *out, struct strbuf *why)
{
    (void)def;
    char name[DOMAIN_TEXT_MAX];
    struct strbuf canonical = STRBUF(name);
    size_t at = span_find_last(v, '@');
    if (at == SIZE_MAX || at == 0 || at > 64 || span_find(v, 0, ' ') != SIZE_MAX || span_find(v, 0, '<') != SIZE_MAX ||
        domain_canonical(span_from(v, at + 1), &canonical) != RC_OK)
        return refuse(why, PACKED("is not a mail address"));
    strbuf_add(out, span_sub(v, 0, at + 1));
    strbuf_add(out, strbuf_span(&canonical));
    return RC_OK;
}

static enum rc check_sender(const struct setting_def *def, struct span v, struct strbuf *out, struct strbuf *why)
{
    if (span_find(v, 0, '@') == SIZE_MAX)
        return check_domain(def, v, out, why);
    return check_email(def, v, out, why);
}

bool setting_exception_parse(struct span text, int64_t *until, struct span *reason)
{
    size_t blank = span_find(text, 0, ' ');
    struct span when = blank == SIZE_MAX ? text : span_sub(text, 0, blank);
    *reason = blank == SIZE_MAX ? (struct span){ "", 0 } : span_trim(span_from(text, blank));
    return rfc3339_parse(when, until) == RC_OK;
}

static enum rc check_exception(const struct setting_def *def, struct span v, struct strbuf *out, struct strbuf *why)
{
    (void)def;
    int64_t until;
    struct span reason;
    if (!setting_exception_parse(v, &until, &reason))
        return refuse(why, PACKED("does not begin with a time like 2026-12-31T00:00:00Z"));
    rfc3339_format(out, until);
    if (reason.len) {
        strbuf_putc(out, ' ');
        strbuf_add(out, reason);
    }
    return RC_OK;
}

static bool has_item(struct span list, struct span wanted)
{
    struct span item;
    bool more = list.len > 0;
    while (setting_list_next(&list, &more, &item))
        if (span_eq(item, wanted))
            return true;
    return false;
}

/* What is named twice is kept once. */
static enum rc check_list(checker each, const struct setting_def *def, struct span v, struct strbuf *out, struct strbuf *why)
{
    struct span item;
    bool more = true;
    while (setting_list_next(&v, &more, &item)) {
        if (!item.len)
            return refuse(why, PACKED("has an empty item"));
        size_t before = out->len;
        if (before)
            strbuf_putc(out, ',');
        size_t at = out->len;
        enum rc rc = each(def, item, out, why);
        if (rc == RC_OK && has_item(span_sub(strbuf_span(out), 0, before), span_from(strbuf_span(out), at)))
            strbuf_truncate(out, before);
        if (rc != RC_OK) {
            char words[160];
            struct strbuf line = STRBUF(words);
            strbuf_putc(&line, '"');
            strbuf_add_printable(&line, item, 60);
            strbuf_puts(&line, "\" ");
            strbuf_add(&line, strbuf_span(why));
            strbuf_clear(why);
            strbuf_add(why, strbuf_span(&line));
            return rc;
        }
    }
    return RC_OK;
}

static enum rc check_endpoints(const struct setting_def *def, struct span v, struct strbuf *out, struct strbuf *why)
{
    return check_list(check_endpoint, def, v, out, why);
}

static enum rc check_hostports(const struct setting_def *def, struct span v, struct strbuf *out, struct strbuf *why)
{
    return check_list(check_hostport, def, v, out, why);
}

static enum rc check_domains(const struct setting_def *def, struct span v, struct strbuf *out, struct strbuf *why)
{
    return check_list(check_domain, def, v, out, why);
}

static enum rc check_senders(const struct setting_def *def, struct span v, struct strbuf *out, struct strbuf *why)
{
    return check_list(check_sender, def, v, out, why);
}

static enum rc check_cidrs(const struct setting_def *def, struct span v, struct strbuf *out, struct strbuf *why)
{
    return check_list(check_cidr, def, v, out, why);
}

static enum rc check_cidrs_or_off(const struct setting_def *def, struct span v, struct strbuf *out, struct strbuf *why)
{
    if (!span_is_nocase(v, "off"))
        return check_cidrs(def, v, out, why);
    strbuf_puts(out, "off");
    return RC_OK;
}

static enum rc check_hosts(const struct setting_def *def, struct span v, struct strbuf *out, struct strbuf *why)
{
    return check_list(check_host, def, v, out, why);
}

static const checker checkers[] = {
    [SETTING_HOSTNAME] = check_hostname,
    [SETTING_TEXT] = check_text,
    [SETTING_SECRET] = check_text,
    [SETTING_PASSWORD] = check_password,
    [SETTING_NUMBER] = check_number,
    [SETTING_BYTES] = check_bytes,
    [SETTING_CHOICE] = check_choice,
    [SETTING_CIDR] = check_cidr,
    [SETTING_CIDR_OR_DHCP] = check_cidr_or_dhcp,
    [SETTING_CIDR_OR_AUTO_OFF] = check_cidr_or_auto_off,
    [SETTING_ADDRESS] = check_address,
    [SETTING_ENDPOINTS] = check_endpoints,
    [SETTING_HOSTPORT] = check_hostport,
    [SETTING_HOSTPORTS] = check_hostports,
    [SETTING_DOMAINS] = check_domains,
    [SETTING_CIDRS] = check_cidrs,
    [SETTING_CIDRS_OR_OFF] = check_cidrs_or_off,
    [SETTING_HOSTS] = check_hosts,
    [SETTING_URL] = check_url,
    [SETTING_EMAIL] = check_email,
    [SETTING_SENDERS] = check_senders,
    [SETTING_EXCEPTION] = check_exception,
};

/* Values are shown as they are, on terminals too: the control characters beyond ASCII (U+0080 to U+009F) count. */
static bool is_plain_text(struct span v)
{
    for (size_t at = 0; at < v.len;) {
        uint32_t c;
        size_t len = utf8_decode(v, at, &c);
        if (!len || c < 0x20 || (c >= 0x7f && c < 0xa0))
            return false;
        at += len;
    }
    return true;
}

enum rc setting_value_check(const struct setting_def *def, struct span value, struct strbuf *out, struct strbuf *why)
{
    strbuf_clear(out);
    strbuf_clear(why);
    if (!is_plain_text(value))
        return refuse(why, PACKED("holds a control character, or is not UTF-8"));
    value = span_trim(value);
    if (!value.len)
        return refuse(why, PACKED("is empty (use unset)"));
    if (value.len > SETTING_VALUE_MAX)
        return refuse(why, PACKED("is longer than 1024 characters"));
    enum rc rc = checkers[def->type](def, value, out, why);
    if (rc == RC_OK && out->overflow)
        rc = refuse(why, PACKED("is longer than 1024 characters"));
    if (rc != RC_OK)
        strbuf_clear(out);
    return rc == RC_OK ? RC_OK : RC_INVALID;
}

bool setting_list_next(struct span *rest, bool *more, struct span *item)
{
    if (!span_split(rest, more, ',', item))
        return false;
    *item = span_trim(*item);
    return true;
}

bool setting_cidrs_contain(const char *list, const struct ip_addr_any *a)
{
    struct span rest = span_of(list), item;
    struct ip_net net;
    bool more = true;
    while (setting_list_next(&rest, &more, &item))
        if (ip_net_parse(item, &net) == RC_OK && ip_net_contains(&net, a))
            return true;
    return false;
}

bool setting_domains_contain(const char *list, struct span domain)
{
    struct span rest = span_of(list), item;
    bool more = true;
    while (setting_list_next(&rest, &more, &item))
        if (item.len && span_eq(item, domain))
            return true;
    return false;
}
