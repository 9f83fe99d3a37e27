/* Command lines and their parameters, see the header. What later ends up in a Received header or a bounce is made harmless
 * here: the HELO name loses everything that is no part of a name, and xtext that decodes to control characters is refused. */
#include "net/smtp_command.h"

#include <string.h>

#include "hal/base/utf8.h"

#define ORCPT_LENGTH_MAX 500 /* RFC 3461 section 4.2 */

static const struct {
    const char *word;
    enum smtp_verb verb;
} verbs[] = {
    { "EHLO", SMTP_VERB_EHLO },         { "HELO", SMTP_VERB_HELO },       { "MAIL", SMTP_VERB_MAIL },
    { "RCPT", SMTP_VERB_RCPT },         { "DATA", SMTP_VERB_DATA },       { "BDAT", SMTP_VERB_BDAT },
    { "STARTTLS", SMTP_VERB_STARTTLS }, { "AUTH", SMTP_VERB_AUTH },       { "NOOP", SMTP_VERB_NOOP },
    { "RSET", SMTP_VERB_RSET },         { "VRFY", SMTP_VERB_VRFY },       { "EXPN", SMTP_VERB_EXPN },
    { "HELP", SMTP_VERB_HELP },         { "QUIT", SMTP_VERB_QUIT },       { "GET", SMTP_VERB_FOREIGN },
    { "POST", SMTP_VERB_FOREIGN },      { "PUT", SMTP_VERB_FOREIGN },     { "HEAD", SMTP_VERB_FOREIGN },
    { "OPTIONS", SMTP_VERB_FOREIGN },   { "CONNECT", SMTP_VERB_FOREIGN }, { "PRI", SMTP_VERB_FOREIGN },
};

static bool has_control(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (((unsigned char)s.p[i] < 0x20 && s.p[i] != '\t') || s.p[i] == 0x7f)
            return true;
    return false;
}

enum rc smtp_command_parse(struct span line, struct smtp_command *out, const char **why)
{
    *why = NULL;
    *out = (struct smtp_command){ SMTP_VERB_UNKNOWN, { line.p, 0 } };
    if (has_control(line)) {
        *why = PACKED("a control character in the command");
        return RC_INVALID;
    }
    if (!utf8_valid(line)) {
        *why = PACKED("the command is neither ASCII nor UTF-8");
        return RC_INVALID;
    }
    size_t end = 0;
    while (end < line.len && line.p[end] != ' ' && line.p[end] != '\t')
        end++;
    out->args = span_trim(span_from(line, end));
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (span_is_nocase(span_sub(line, 0, end), verbs[i].word))
            out->verb = verbs[i].verb;
    return RC_OK;
}

/* One parameter of MAIL or RCPT: take gives NULL, or why the value is refused. */
struct param_rule {
    const char *keyword;
    const char *(*take)(void *target, struct span value);
};

static const char *take_size(void *target, struct span value)
{
    struct smtp_server_mail *m = target;
    if (span_to_u64(value, &m->declared_bytes))
        return NULL;
    for (size_t i = 0; i < value.len; i++)
        if (value.p[i] < '0' || value.p[i] > '9')
            return PACKED("SIZE is not a number");
    m->declared_bytes = UINT64_MAX; /* digits that do not fit: too big in any case */
    return value.len > 0 ? NULL : PACKED("SIZE is not a number");
}

static const char *take_body(void *target, struct span value)
{
    struct smtp_server_mail *m = target;
    m->body = span_is_nocase(value, "8BITMIME") ? SMTP_BODY_8BITMIME : SMTP_BODY_7BIT;
    return m->body == SMTP_BODY_8BITMIME || span_is_nocase(value, "7BIT") ? NULL : PACKED("BODY is neither 7BIT nor 8BITMIME");
}

static const char *take_smtputf8(void *target, struct span value)
{
    struct smtp_server_mail *m = target;
    m->utf8 = true;
    return value.len == 0 ? NULL : PACKED("SMTPUTF8 takes no value");
}

static const char *take_ret(void *target, struct span value)
{
    struct smtp_server_mail *m = target;
    m->ret = span_is_nocase(value, "FULL") ? 'F' : span_is_nocase(value, "HDRS") ? 'H' : 0;
    return m->ret != 0 ? NULL : PACKED("RET is neither FULL nor HDRS");
}

/* value as given into memory, once its decoded form is known to hold no control character. */
static const char *take_xtext(char *memory, size_t cap, struct span value, struct span xtext)
{
    struct strbuf b = strbuf_on(memory, cap);
    enum rc rc = xtext_decode(xtext, &b);
    if (rc == RC_INVALID || (rc == RC_OK && has_control(strbuf_span(&b)))) {
        strbuf_clear(&b);
        return PACKED("malformed xtext");
    }
    strbuf_clear(&b);
    strbuf_add(&b, value);
    if (rc == RC_OK && !b.overflow)
        return NULL;
    strbuf_clear(&b);
    return PACKED("value too long");
}

static const char *take_envid(void *target, struct span value)
{
    struct smtp_server_mail *m = target;
    return value.len == 0 ? PACKED("ENVID is empty") : take_xtext(m->envid, sizeof m->envid, value, value);
}

/* RFC 4954 section 5: what an earlier hop says of the sender. Nobody here trusts or forwards it. */
static const char *take_auth(void *target, struct span value)
{
    (void)target;
    return value.len == 0 ? PACKED("AUTH needs a value") : NULL;
}

static const char *take_notify(void *target, struct span value)
{
    struct smtp_server_rcpt *r = target;
    bool more = true;
    struct span item;
    while (span_split(&value, &more, ',', &item)) {
        if (span_is_nocase(item, "NEVER"))
            r->notify |= DSN_NOTIFY_NEVER;
        else if (span_is_nocase(item, "SUCCESS"))
            r->notify |= DSN_NOTIFY_SUCCESS;
        else if (span_is_nocase(item, "FAILURE"))
            r->notify |= DSN_NOTIFY_FAILURE;
        else if (span_is_nocase(item, "DELAY"))
            r->notify |= DSN_NOTIFY_DELAY;
        else
            return PACKED("unknown NOTIFY value");
    }
    return (r->notify & DSN_NOTIFY_NEVER) && r->notify != DSN_NOTIFY_NEVER ? PACKED("NOTIFY=NEVER stands alone") : NULL;
}

static const char *take_orcpt(void *target, struct span value)
{
    struct smtp_server_rcpt *r = target;
    size_t semicolon = span_find(value, 0, ';');
    if (semicolon == SIZE_MAX || semicolon == 0 || semicolon + 1 == value.len)
        return PACKED("ORCPT is not TYPE;ADDRESS");
    struct span address = span_from(value, semicolon + 1);
    for (size_t i = 0; i < semicolon; i++)
        if (value.p[i] == '+' || value.p[i] == '=' || (unsigned char)value.p[i] >= 0x80)
            return PACKED("malformed address type in ORCPT");
    /* RFC 6533 section 3: the type utf-8 may hold UTF-8 as it is. */
    bool raw = span_is_nocase(span_sub(value, 0, semicolon), "utf-8");
    if (value.len >= sizeof r->orcpt)
        return value.len <= ORCPT_LENGTH_MAX ? NULL : PACKED("value too long");
    return take_xtext(r->orcpt, sizeof r->orcpt, value, raw ? span_sub(address, 0, 0) : address);
}

static const struct param_rule mail_rules[] = {
    { "SIZE", take_size }, { "BODY", take_body },   { "SMTPUTF8", take_smtputf8 },
    { "RET", take_ret },   { "ENVID", take_envid }, { "AUTH", take_auth },
};
static const struct param_rule rcpt_rules[] = { { "NOTIFY", take_notify }, { "ORCPT", take_orcpt } };

static bool take_params(struct span rest, const struct param_rule *rules, unsigned count, void *target, struct smtp_answer *a)
{
    struct span keyword, value;
    bool bad;
    unsigned seen = 0;
    while (smtp_param_next(&rest, &keyword, &value, &bad)) {
        unsigned i = 0;
        while (i < count && !span_is_nocase(keyword, rules[i].keyword))
            i++;
        if (i == count) {
            smtp_answer(a, 555, "5.5.4", "parameter %.*s not recognised", (int)(keyword.len < 40 ? keyword.len : 40), keyword.p);
            return false;
        }
        const char *why = seen & 1u << i ? PACKED("given twice") : rules[i].take(target, value);
        if (why != NULL) {
            smtp_answer(a, 501, "5.5.4", "parameter %s: %s", rules[i].keyword, why);
            return false;
        }
        seen |= 1u << i;
    }
    if (bad)
        smtp_answer(a, 501, "5.5.4", "malformed parameter");
    return !bad;
}

/* "FROM:" or "TO:", then the path; blanks after the colon are common. */
static bool take_path(struct span args, const char *word, const char *enhanced, struct smtp_address *out, struct span *rest,
                      struct smtp_answer *a)
{
    if (!span_starts_nocase(args, word)) {
        smtp_answer(a, 501, "5.5.4", "%s is missing", word);
        return false;
    }
    const char *why;
    struct span path = span_trim(span_from(args, strlen(word)));
    enum rc rc = smtp_path_parse(path, out, rest, &why);
    if (rc != RC_OK)
        smtp_answer(a, rc == RC_TOO_LONG ? 553 : 501, enhanced, "%s", why);
    return rc == RC_OK;
}

bool smtp_command_mail(struct span args, struct smtp_server_mail *out, struct smtp_answer *a)
{
    struct span rest;
    memset(out, 0, sizeof *out);
    if (!take_path(args, "FROM:", "5.1.7", &out->sender, &rest, a))
        return false;
    if (!out->sender.null && out->sender.domain[0] == '\0') {
        smtp_answer(a, 553, "5.1.7", "the sender address has no domain");
        return false;
    }
    if (!take_params(rest, mail_rules, sizeof mail_rules / sizeof mail_rules[0], out, a))
        return false;
    if (out->sender.utf8 && !out->utf8) {
        smtp_answer(a, 550, "5.6.7", "a sender beyond ASCII needs SMTPUTF8");
        return false;
    }
    return true;
}

bool smtp_command_rcpt(struct span args, struct smtp_server_rcpt *out, struct smtp_answer *a)
{
    struct span rest;
    memset(out, 0, sizeof *out);
    if (!take_path(args, "TO:", "5.1.3", &out->address, &rest, a))
        return false;
    if (out->address.null) {
        smtp_answer(a, 501, "5.1.3", "the null address takes no mail");
        return false;
    }
    return take_params(rest, rcpt_rules, sizeof rcpt_rules / sizeof rcpt_rules[0], out, a);
}

/* What a name or an address literal is made of; anything else could forge a comment in the Received header. */
static bool helo_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c != '\0' && strchr("-._:[]", c) != NULL);
}

bool smtp_command_helo(struct span args, char *helo, size_t cap, struct smtp_answer *a)
{
    struct span name = span_sub(args, 0, span_find(args, 0, ' '));
    if (name.len == 0 || name.len >= cap) {
        smtp_answer(a, 501, "5.5.4", "your name is %s", name.len == 0 ? "missing" : "too long");
        return false;
    }
    struct strbuf b = strbuf_on(helo, cap);
    for (size_t i = 0; i < name.len; i++)
        strbuf_putc(&b, helo_char(name.p[i]) ? name.p[i] : '?');
    return true;
}

bool smtp_command_bdat(struct span args, uint64_t *size_bytes, bool *last)
{
    size_t end = span_find(args, 0, ' ');
    struct span word = end == SIZE_MAX ? (struct span){ "", 0 } : span_trim(span_from(args, end));
    *last = span_is_nocase(word, "LAST");
    return span_to_u64(span_sub(args, 0, end), size_bytes) && (*last || word.len == 0);
}
