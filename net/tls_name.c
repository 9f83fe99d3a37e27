#include "net/tls_name.h"

static bool is_label_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Non-empty labels of label characters, separated by single dots. */
static bool is_plain_name(struct span name)
{
    bool label_open = false;
    for (size_t i = 0; i < name.len; i++) {
        if (name.p[i] == '.' ? !label_open : !is_label_char(name.p[i]))
            return false;
        label_open = name.p[i] != '.';
    }
    return label_open;
}

bool tls_name_matches(struct span host, struct span dns_name)
{
    if (host.len > 0 && host.p[host.len - 1] == '.')
        host.len--;
    if (!is_plain_name(host))
        return false;
    if (!span_starts(dns_name, "*."))
        return is_plain_name(dns_name) && span_eq_nocase(host, dns_name);
    struct span parent = span_from(dns_name, 2);
    size_t dot = span_find(host, 0, '.');
    return is_plain_name(parent) && span_find(parent, 0, '.') != SIZE_MAX && dot != SIZE_MAX &&
           span_eq_nocase(span_from(host, dot + 1), parent);
}
