/* What an attempt means: proof first, then whether the mail may go without it. Anything not proven counts as not shown. */
#include "policy/verdict.h"

#define DETAIL_SHOWN_MAX 160

const char *verdict_report_name(enum verdict_report r)
{
    switch (r) {
    case REPORT_SUCCESS_VERIFIED:
        return "success-verified";
    case REPORT_SUCCESS_ENCRYPTED:
        return "success-encrypted";
    case REPORT_PLAINTEXT:
        return "plaintext";
    case REPORT_STARTTLS_NOT_SUPPORTED:
        return "starttls-not-supported";
    case REPORT_CERTIFICATE_HOST_MISMATCH:
        return "certificate-host-mismatch";
    case REPORT_CERTIFICATE_EXPIRED:
        return "certificate-expired";
    case REPORT_CERTIFICATE_NOT_TRUSTED:
        return "certificate-not-trusted";
    case REPORT_VALIDATION_FAILURE:
        return "validation-failure";
    case REPORT_COUNT:
        break;
    }
    return "unknown";
}

static bool tls_is_up(const struct verdict_attempt *a)
{
    return a->tls == TLS_UP && !a->plaintext_retry;
}

static bool shows_verified(const struct verdict_attempt *a)
{
    return tls_is_up(a) && a->chain_valid && a->name_matches;
}

static bool shows_demanded(enum verdict_demand demand, const struct verdict_attempt *a)
{
    switch (demand) {
    case DEMAND_NONE:
        return true;
    case DEMAND_ENCRYPT:
        return tls_is_up(a);
    case DEMAND_VERIFIED:
        return shows_verified(a);
    case DEMAND_PINNED:
        return tls_is_up(a) && a->pin_matches;
    case DEMAND_DANE:
        return tls_is_up(a) && a->dane_matches;
    case DEMAND_UNKNOWN:
        break;
    }
    return false;
}

/* The causes' names are those of net/tls.h; one that is not named here is a failure without a category of its own. */
static enum verdict_report report_of_cause(const struct verdict_attempt *a)
{
    static const struct {
        const char *cause;
        enum verdict_report report;
    } known[] = {
        { "wrong-name", REPORT_CERTIFICATE_HOST_MISMATCH },         { "expired", REPORT_CERTIFICATE_EXPIRED },
        { "self-signed", REPORT_CERTIFICATE_NOT_TRUSTED },          { "untrusted-root", REPORT_CERTIFICATE_NOT_TRUSTED },
        { "missing-intermediate", REPORT_CERTIFICATE_NOT_TRUSTED }, { "weak", REPORT_CERTIFICATE_NOT_TRUSTED },
        { "bad-certificate", REPORT_CERTIFICATE_NOT_TRUSTED },      { "no-certificate", REPORT_CERTIFICATE_NOT_TRUSTED },
    };
    struct span cause = span_of(a->cause_name);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (span_is(cause, known[i].cause))
            return known[i].report;
    }
    if (tls_is_up(a) && a->chain_valid && !a->name_matches)
        return REPORT_CERTIFICATE_HOST_MISMATCH;
    return REPORT_VALIDATION_FAILURE;
}

static enum verdict_report report_of_tls_up(const struct verdict *v, const struct verdict_attempt *a)
{
    bool proven = shows_demanded(v->demand, a);
    if (v->mx_mismatch && (proven || shows_verified(a)))
        return REPORT_VALIDATION_FAILURE;
    if (!proven)
        return v->demand == DEMAND_PINNED ? REPORT_CERTIFICATE_NOT_TRUSTED : report_of_cause(a);
    if (v->demand == DEMAND_PINNED || v->demand == DEMAND_DANE)
        return REPORT_SUCCESS_VERIFIED;
    return shows_verified(a) ? REPORT_SUCCESS_VERIFIED : REPORT_SUCCESS_ENCRYPTED;
}

/* A failure is reported for the connection on which it was seen; its second connection in plaintext is counted as that. */
static enum verdict_report report_of_plaintext(const struct verdict *v, const struct verdict_attempt *a)
{
    if (a->plaintext_retry)
        return REPORT_PLAINTEXT;
    switch (a->tls) {
    case TLS_NOT_OFFERED:
    case TLS_STRIPPED:
    case TLS_REFUSED_BY_SERVER:
        return v->demand == DEMAND_NONE ? REPORT_PLAINTEXT : REPORT_STARTTLS_NOT_SUPPORTED;
    case TLS_HANDSHAKE_FAILED:
        return report_of_cause(a);
    case TLS_INJECTED:
    case TLS_UP:
        break;
    }
    return REPORT_VALIDATION_FAILURE;
}

static enum verdict_action action_without_demand(const struct verdict_attempt *a)
{
    if (tls_is_up(a) || a->plaintext_retry)
        return VERDICT_SEND;
    switch (a->tls) {
    case TLS_NOT_OFFERED:
    case TLS_STRIPPED:
    case TLS_REFUSED_BY_SERVER:
        return VERDICT_SEND; /* the session is in order and simply has no TLS */
    case TLS_UP:
    case TLS_INJECTED:
    case TLS_HANDSHAKE_FAILED:
        break;
    }
    return VERDICT_RETRY_PLAINTEXT;
}

static void add_host(struct strbuf *b, const struct verdict_attempt *a)
{
    strbuf_add_printable(b, a->mx_host, DOMAIN_MAX);
}

static void add_cause(struct strbuf *b, const struct verdict_attempt *a)
{
    struct span name = span_of(a->cause_name);
    if (a->cause_text != NULL && text_length(a->cause_text, 1) > 0)
        strbuf_printf(b, ": %s", a->cause_text);
    if (name.len == 0 && a->detail.len == 0)
        return;
    strbuf_puts(b, " (");
    strbuf_add_printable(b, name, DETAIL_SHOWN_MAX);
    strbuf_puts(b, name.len > 0 && a->detail.len > 0 ? "; " : "");
    strbuf_add_printable(b, a->detail, DETAIL_SHOWN_MAX);
    strbuf_puts(b, ")");
}

static void explain_tls_up(struct strbuf *b, const struct verdict *v, const struct verdict_attempt *a)
{
    add_host(b, a);
    if (shows_verified(a))
        strbuf_puts(b, PACKED(" uses TLS and showed a valid certificate for its name"));
    else
        strbuf_puts(b, PACKED(" uses TLS"));
    if (v->demand == DEMAND_PINNED)
        strbuf_puts(b, a->pin_matches ? PACKED(", with the key that was pinned")
                                      : PACKED(", but not with the key that was pinned for it"));
    else if (v->demand == DEMAND_DANE)
        strbuf_puts(b, a->dane_matches ? PACKED(", as its TLSA records say")
                                       : PACKED(", but its certificate is not one that its TLSA records name"));
    else if (!shows_verified(a)) {
        strbuf_puts(b, PACKED(", but its certificate proves nothing"));
        add_cause(b, a);
    }
}

static void explain_attempt(struct strbuf *b, const struct verdict *v, const struct verdict_attempt *a)
{
    if (a->plaintext_retry) {
        strbuf_puts(b, PACKED("this is a second connection to "));
        add_host(b, a);
        strbuf_puts(b, PACKED(", without TLS, after TLS failed on the first"));
        return;
    }
    switch (a->tls) {
    case TLS_NOT_OFFERED:
        add_host(b, a);
        strbuf_puts(b, PACKED(" offers no STARTTLS"));
        return;
    case TLS_STRIPPED:
        add_host(b, a);
        strbuf_puts(b, PACKED(" offers no STARTTLS, and filler stands in its place: a device on the way seems to strip it"));
        return;
    case TLS_REFUSED_BY_SERVER:
        add_host(b, a);
        strbuf_puts(b, PACKED(" offers STARTTLS but refused it when asked"));
        break;
    case TLS_INJECTED:
        strbuf_puts(b, PACKED("unencrypted bytes came from "));
        add_host(b, a);
        strbuf_puts(b, PACKED(" together with its answer to STARTTLS: somebody on the way may have put them there"));
        return;
    case TLS_HANDSHAKE_FAILED:
        strbuf_puts(b, PACKED("the TLS handshake with "));
        add_host(b, a);
        strbuf_puts(b, PACKED(" failed"));
        break;
    case TLS_UP:
        explain_tls_up(b, v, a);
        return;
    }
    add_cause(b, a);
}

static void explain_consequence(struct strbuf *b, const struct verdict_outcome *o, const struct verdict *v,
                                const struct verdict_attempt *a)
{
    if (o->action == VERDICT_NEXT_HOST) {
        strbuf_puts(b, PACKED("\nthe mail does not go through "));
        add_host(b, a);
        strbuf_puts(b, v->mx_allowed ? PACKED(": it waits unless another host of the domain will do")
                                     : PACKED(", which the policy does not name: it waits unless another host will do"));
        return;
    }
    if (o->policy_failed) {
        strbuf_puts(b, v->mx_mismatch ? PACKED("\nthe policy does not name this host") : PACKED("\nthe policy is not met"));
        strbuf_puts(b, PACKED(", but it is only being tested: this is recorded and the mail goes all the same"));
    }
    if (o->action == VERDICT_RETRY_PLAINTEXT)
        strbuf_puts(b, PACKED("\na new connection will be tried without TLS"));
    else if (!tls_is_up(a))
        strbuf_puts(b, PACKED("\nthe mail goes without encryption"));
}

void verdict_after(struct verdict_outcome *out, const struct verdict *v, const struct verdict_attempt *a)
{
    *out = (struct verdict_outcome){ .action = VERDICT_NEXT_HOST };
    out->reasons = STRBUF(out->text);
    out->policy_failed = !v->mx_allowed || v->mx_mismatch || !shows_demanded(v->demand, a);
    out->report = tls_is_up(a) ? report_of_tls_up(v, a) : report_of_plaintext(v, a);

    bool may_go_unproven = v->testing && v->mx_allowed && v->demand != DEMAND_UNKNOWN;
    if (!out->policy_failed || may_go_unproven)
        out->action = v->demand == DEMAND_NONE || out->policy_failed ? action_without_demand(a) : VERDICT_SEND;

    explain_attempt(&out->reasons, v, a);
    explain_consequence(&out->reasons, out, v, a);
}
