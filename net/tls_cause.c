/* The one place where what went wrong, or what a chain lacks, gets its name. */

#include <string.h>

#include "hal/base/datetime.h"
#include "net/tls_internal.h"

#define FLAGS_WEAK (MBEDTLS_X509_BADCERT_BAD_MD | MBEDTLS_X509_BADCERT_BAD_PK | MBEDTLS_X509_BADCERT_BAD_KEY)
/* Trust comes from the walk, and the name from our own look at it. */
#define FLAGS_JUDGED_HERE (MBEDTLS_X509_BADCERT_NOT_TRUSTED | MBEDTLS_X509_BADCERT_CN_MISMATCH)
#define FLAGS_TIME (MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE)

static const char *const cause_names[TLS_CAUSE_COUNT] = {
    [TLS_CAUSE_NONE] = "none",
    [TLS_CAUSE_SELF_SIGNED] = "self-signed",
    [TLS_CAUSE_UNTRUSTED_ROOT] = "untrusted-root",
    [TLS_CAUSE_MISSING_INTERMEDIATE] = "missing-intermediate",
    [TLS_CAUSE_EXPIRED] = "expired",
    [TLS_CAUSE_NOT_YET_VALID] = "not-yet-valid",
    [TLS_CAUSE_WRONG_NAME] = "wrong-name",
    [TLS_CAUSE_WEAK] = "weak",
    [TLS_CAUSE_BAD_CERTIFICATE] = "bad-certificate",
    [TLS_CAUSE_NO_CERTIFICATE] = "no-certificate",
    [TLS_CAUSE_CLOCK_UNKNOWN] = "clock-unknown",
    [TLS_CAUSE_NO_COMMON_VERSION] = "no-common-version",
    [TLS_CAUSE_NO_COMMON_SUITE] = "no-common-suite",
    [TLS_CAUSE_NOT_TLS] = "not-tls",
    [TLS_CAUSE_ALERT] = "alert",
    [TLS_CAUSE_CLOSED] = "closed",
    [TLS_CAUSE_CLOSED_AFTER_TICKET] = "closed-after-ticket",
    [TLS_CAUSE_TIMEOUT] = "timeout",
    [TLS_CAUSE_NO_MEMORY] = "no-memory",
    [TLS_CAUSE_NO_ENTROPY] = "no-entropy",
    [TLS_CAUSE_PROTOCOL] = "protocol",
    [TLS_CAUSE_INTERNAL] = "internal",
};
#define TEXT_MAX 80
static const char cause_texts[TLS_CAUSE_COUNT][TEXT_MAX] PACKED_TABLE = {
    [TLS_CAUSE_NONE] = "all is well",
    [TLS_CAUSE_SELF_SIGNED] = "the certificate is self-signed",
    [TLS_CAUSE_UNTRUSTED_ROOT] = "the certificate's root is not one that this box trusts",
    [TLS_CAUSE_MISSING_INTERMEDIATE] = "the server sent its certificate without the intermediate that signed it",
    [TLS_CAUSE_EXPIRED] = "the certificate has expired",
    [TLS_CAUSE_NOT_YET_VALID] = "the certificate is not valid yet",
    [TLS_CAUSE_WRONG_NAME] = "the certificate does not name the host",
    [TLS_CAUSE_WEAK] = "the certificate has a key or a signature that is too weak",
    [TLS_CAUSE_BAD_CERTIFICATE] = "the certificate is broken, wrongly signed, or not for a server",
    [TLS_CAUSE_NO_CERTIFICATE] = "the server showed no certificate",
    [TLS_CAUSE_CLOCK_UNKNOWN] = "this box does not know the time and cannot judge the certificate",
    [TLS_CAUSE_NO_COMMON_VERSION] = "the peer does not speak TLS 1.2 or newer",
    [TLS_CAUSE_NO_COMMON_SUITE] = "there is no cipher suite, group or signature that both sides accept",
    [TLS_CAUSE_NOT_TLS] = "the peer answered with something that is not TLS",
    [TLS_CAUSE_ALERT] = "the peer ended the handshake with an alert",
    [TLS_CAUSE_CLOSED] = "the peer closed the connection during the handshake",
    [TLS_CAUSE_CLOSED_AFTER_TICKET] = "the peer closed the connection right after the handshake",
    [TLS_CAUSE_TIMEOUT] = "the handshake took too long",
    [TLS_CAUSE_NO_MEMORY] = "this session's TLS memory did not suffice",
    [TLS_CAUSE_NO_ENTROPY] = "this box has no random numbers, so TLS is off",
    [TLS_CAUSE_PROTOCOL] = "the peer broke the TLS protocol",
    [TLS_CAUSE_INTERNAL] = "TLS failed on this side",
};

const char *tls_cause_name(enum tls_cause c)
{
    return (unsigned)c < TLS_CAUSE_COUNT ? cause_names[c] : "unknown";
}

const char *tls_cause_text(enum tls_cause c)
{
    return (unsigned)c < TLS_CAUSE_COUNT ? cause_texts[c] : "unknown";
}

/* --- A chain that was shown */

static enum tls_cause untrusted_cause(const struct tls_chain_seen *seen, uint32_t flags)
{
    if (seen->top_self_issued)
        return seen->length == 1 ? TLS_CAUSE_SELF_SIGNED : TLS_CAUSE_UNTRUSTED_ROOT;
    if (seen->issuer_held && (flags & MBEDTLS_X509_BADCERT_BAD_MD))
        return TLS_CAUSE_WEAK; /* signed in a way that is not even looked at */
    if (seen->issuer_held)
        return TLS_CAUSE_BAD_CERTIFICATE; /* it bears the name of a root that did not sign it */
    return seen->length == 1 ? TLS_CAUSE_MISSING_INTERMEDIATE : TLS_CAUSE_UNTRUSTED_ROOT;
}

/* flags: of the whole path; usage and curve are looked at after the walk, in the session's result. */
static enum tls_cause path_cause(const struct tls_chain_seen *seen, uint32_t flags, bool clock_known)
{
    if (!seen->trusted)
        return untrusted_cause(seen, flags);
    if (seen->bad_signature)
        return TLS_CAUSE_BAD_CERTIFICATE;
    if (clock_known && (flags & MBEDTLS_X509_BADCERT_EXPIRED))
        return TLS_CAUSE_EXPIRED;
    if (clock_known && (flags & MBEDTLS_X509_BADCERT_FUTURE))
        return TLS_CAUSE_NOT_YET_VALID;
    if (flags & FLAGS_WEAK)
        return TLS_CAUSE_WEAK;
    if (flags & ~(uint32_t)(FLAGS_TIME | FLAGS_JUDGED_HERE))
        return TLS_CAUSE_BAD_CERTIFICATE;
    return clock_known ? TLS_CAUSE_NONE : TLS_CAUSE_CLOCK_UNKNOWN;
}

static void chain_detail(const struct tls_chain_seen *seen, struct tls_facts *facts)
{
    struct strbuf detail = STRBUF(facts->detail);
    if (facts->cause == TLS_CAUSE_WRONG_NAME) {
        strbuf_puts(&detail, facts->names[0] == '\0' ? "it names no host at all" : "it names ");
        strbuf_add_printable(&detail, span_of(facts->names), TLS_DETAIL_MAX - detail.len - 1);
        return;
    }
    strbuf_printf(&detail, "%s", seen->subject);
    if (facts->cause == TLS_CAUSE_EXPIRED) {
        strbuf_puts(&detail, " ended ");
        rfc3339_format(&detail, seen->not_after);
    } else if (facts->cause == TLS_CAUSE_NOT_YET_VALID) {
        strbuf_puts(&detail, " begins ");
        rfc3339_format(&detail, seen->not_before);
    } else if (facts->cause != TLS_CAUSE_SELF_SIGNED) {
        strbuf_printf(&detail, ", issued by %s", seen->issuer);
    }
}

void tls_chain_cause(const struct tls_session *t, struct tls_facts *facts)
{
    const struct tls_chain_seen *seen = &t->seen;
    if (seen->length == 0) {
        facts->cause = TLS_CAUSE_NO_CERTIFICATE;
        return;
    }
    facts->cause = path_cause(seen, mbedtls_ssl_get_verify_result(&t->ssl), t->now != 0);
    facts->chain_valid = facts->cause == TLS_CAUSE_NONE;
    facts->name_matches = seen->name_matches;
    bool path_good = facts->cause == TLS_CAUSE_NONE || facts->cause == TLS_CAUSE_CLOCK_UNKNOWN;
    if (path_good && t->params->server_name != NULL && !facts->name_matches)
        facts->cause = TLS_CAUSE_WRONG_NAME;
    if (facts->cause != TLS_CAUSE_NONE)
        chain_detail(seen, facts);
}

/* --- A handshake that failed */

static enum tls_cause alert_cause(uint8_t alert)
{
    switch (alert) {
    case MBEDTLS_SSL_ALERT_MSG_PROTOCOL_VERSION:
        return TLS_CAUSE_NO_COMMON_VERSION;
    case MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE:
    case MBEDTLS_SSL_ALERT_MSG_INSUFFICIENT_SECURITY:
        return TLS_CAUSE_NO_COMMON_SUITE;
    default:
        return TLS_CAUSE_ALERT;
    }
}

/* mbedTLS's X.509 and PK codes carry a low part that says where in the ASN.1 it was. */
#define LOW_PART 0x7f

static bool in_range(int error, int from, int to)
{
    return -error >= -from && -error <= -to + LOW_PART;
}

static enum tls_cause error_cause(int error)
{
    switch (-(-error & ~LOW_PART)) {
    case MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION:
    case MBEDTLS_ERR_SSL_VERSION_MISMATCH:
        return TLS_CAUSE_NO_COMMON_VERSION;
    case MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE:
        return TLS_CAUSE_NO_COMMON_SUITE;
    case MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE:
        return TLS_CAUSE_NO_CERTIFICATE;
    case MBEDTLS_ERR_SSL_BAD_CERTIFICATE:
        return TLS_CAUSE_BAD_CERTIFICATE;
    case MBEDTLS_ERR_X509_UNKNOWN_SIG_ALG:
    case MBEDTLS_ERR_PK_UNKNOWN_PK_ALG:
    case MBEDTLS_ERR_PK_UNKNOWN_NAMED_CURVE:
        return TLS_CAUSE_WEAK;
    case MBEDTLS_ERR_SSL_INTERNAL_ERROR:
    case MBEDTLS_ERR_SSL_BAD_CONFIG:
    case MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL:
        return TLS_CAUSE_INTERNAL;
    default:
        return in_range(error, MBEDTLS_ERR_X509_FEATURE_UNAVAILABLE, MBEDTLS_ERR_X509_FATAL_ERROR) ||
                       in_range(error, MBEDTLS_ERR_PK_UNKNOWN_NAMED_CURVE, MBEDTLS_ERR_PK_ALLOC_FAILED)
                   ? TLS_CAUSE_BAD_CERTIFICATE
                   : TLS_CAUSE_PROTOCOL;
    }
}

/* The first byte of a TLS record is its type, the second the major version. */
static bool looks_like_tls(const struct tls_session *t)
{
    return t->first_len < 2 || (t->first[0] >= 20 && t->first[0] <= 24 && t->first[1] == 3);
}

/* OpenSSL's clients send their alert about our certificate in plaintext where TLS 1.3 wants it encrypted: mbedTLS calls it a
 * bad MAC, but left the record as it came. It is believed for the name of the failure alone. */
static bool is_plaintext_alert(const unsigned char *record, int error)
{
    static const unsigned char fatal[] = { MBEDTLS_SSL_MSG_ALERT, 3, 3, 0, 2, MBEDTLS_SSL_ALERT_LEVEL_FATAL };
    return error == MBEDTLS_ERR_SSL_INVALID_MAC && memcmp(record, fatal, sizeof fatal) == 0;
}

static bool peer_alert(const struct tls_session *t, int error, uint8_t *alert)
{
    const unsigned char *record = t->ssl.MBEDTLS_PRIVATE(in_hdr);
    if (error == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
        *alert = t->ssl.MBEDTLS_PRIVATE(in_msg)[1];
    else if (is_plaintext_alert(record, error))
        *alert = record[6];
    else
        return false;
    return true;
}

static enum tls_cause classify(const struct tls_session *t, int error)
{
    if (t->io_rc == RC_TIMEOUT)
        return TLS_CAUSE_TIMEOUT;
    if (t->io_rc == RC_CANCELLED)
        return TLS_CAUSE_INTERNAL;
    if (t->arena->failures != t->arena_failures)
        return TLS_CAUSE_NO_MEMORY;
    if (!looks_like_tls(t))
        return TLS_CAUSE_NOT_TLS;
    if (t->io_rc != RC_OK || error == MBEDTLS_ERR_SSL_CONN_EOF || error == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)
        return TLS_CAUSE_CLOSED;
    if (error == MBEDTLS_ERR_SSL_BAD_INPUT_DATA)
        return t->first_len > 0 ? TLS_CAUSE_PROTOCOL : TLS_CAUSE_INTERNAL;
    return error_cause(error);
}

void tls_failure_cause(const struct tls_session *t, int error, struct tls_facts *facts)
{
    struct strbuf detail = STRBUF(facts->detail);
    if (peer_alert(t, error, &facts->alert)) {
        facts->cause = alert_cause(facts->alert);
        strbuf_printf(&detail, "the peer sent alert %u", facts->alert);
        return;
    }
    facts->cause = classify(t, error);
    if (facts->cause == TLS_CAUSE_NOT_TLS) {
        strbuf_puts(&detail, "it sent: ");
        strbuf_add_printable(&detail, span_bytes(t->first, t->first_len), TLS_DETAIL_MAX - detail.len - 1);
    } else if (t->io_rc != RC_OK) {
        strbuf_puts(&detail, rc_name(t->io_rc));
    } else {
        strbuf_printf(&detail, "mbedTLS -0x%04x", (unsigned)-error);
    }
}

enum rc tls_failure_rc(const struct tls_session *t, const struct tls_facts *facts)
{
    if (t->io_rc == RC_TIMEOUT || t->io_rc == RC_CANCELLED)
        return t->io_rc;
    return facts->cause == TLS_CAUSE_NO_MEMORY ? RC_NO_MEMORY : RC_TLS;
}
