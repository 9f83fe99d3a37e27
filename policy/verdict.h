/* The one place that decides what TLS an MX host must show before a mail goes to it, and what an attempt's outcome means.
 * Order for one recipient domain and MX host: local exception (with expiry) > DANE > MTA-STS > preload list > opportunistic.
 * Pure: everything known comes in as plain structs; every answer carries its reason chain in words for an operator; console, web page,
 * log, bounce and report show the same chain. */
#ifndef POLICY_VERDICT_H
#define POLICY_VERDICT_H

#include "policy/list.h"

enum verdict_source {
    VERDICT_OPPORTUNISTIC,
    VERDICT_EXCEPTION,
    VERDICT_DANE,
    VERDICT_STS,
    VERDICT_LIST,
    VERDICT_LOCAL /* route, smart
    host or inside server set by the operator */
};
enum verdict_demand {
    DEMAND_NONE,     /* TLS if offered, any certificate, plaintext allowed on a new connection after a TLS failure */
    DEMAND_ENCRYPT,  /* TLS, any certificate */
    DEMAND_VERIFIED, /* TLS with valid chain and matching name */
    DEMAND_PINNED,   /* TLS with a leaf key that the operator pinned */
    DEMAND_DANE,     /* TLS with a match of a usable TLSA record */
    DEMAND_UNKNOWN,  /* cannot be decided now (temporary DNS failure, no clock...): the mail waits */
};

enum verdict_list_state {
    LIST_STATE_NONE /* no list on the box */,
    LIST_STATE_ABSENT,
    LIST_STATE_FOUND,
    LIST_STATE_EXPIRED /* found, but
    the list ended, by time that is authenticated or the operator's: no other time may end enforcement */
    ,
    LIST_STATE_DAMAGED
};

/* What is known of one recipient domain. Zeroed members mean "nothing known". */
struct verdict_domain {
    struct span domain; /* canonical */
    int64_t now; /* time that can be trusted; 0: there is none. Ends exceptions; whether a list ended is list.state's to say */
    struct {
        bool present;
        int64_t until;      /* ends then; without such time the exception is not used, for nobody can say that it holds */
        struct span reason; /* the operator's words; may be empty */
    } exception;
    struct {
        enum verdict_list_state state;
        const struct list_entry *entry; /* with FOUND and EXPIRED */
        int64_t timestamp, expires;     /* of the list; 0 with NONE and DAMAGED */
    } list;
    /* DANE and MTA-STS join here with their own structs, ahead of the list. */
    struct {
        bool present; /* the next hop was named by the operator: no MX lookup */
        struct span host;
        enum verdict_demand demand;
        bool first_hop_only; /* a smart host: only the first hop is assured */
    } local;
};

#define VERDICT_REASONS_MAX 1024

struct verdict { /* reasons points into text: pass it by pointer, don't copy it */
    enum verdict_source source;
    enum verdict_demand demand;
    bool testing;     /* a failure of the demand is logged and the mail goes all the same */
    bool mx_allowed;  /* false: the policy does not match this host; skip it */
    bool mx_mismatch; /* the policy does not match this host; with testing it is allowed all the same and counted as a failure */
    int64_t recheck;  /* when something here ends (exception, list); 0: nothing does */
    struct strbuf reasons; /* one reason a line, '\n' between, in the order of deciding; on text; cut when too long */
    char text[VERDICT_REASONS_MAX];
};

/* What TLS must show at mx_host (canonical) for this domain. Always fills *out. */
void verdict_before(struct verdict *out, const struct verdict_domain *d, struct span mx_host);
/* For the domain as a whole, without a host: for `policy DOMAIN`. mx_allowed is true. */
void verdict_for_domain(struct verdict *out, const struct verdict_domain *d);

enum verdict_tls_result {
    TLS_NOT_OFFERED,
    TLS_STRIPPED /* filler in STARTTLS's place */,
    TLS_REFUSED_BY_SERVER /* 454, 5yz to STARTTLS */,
    TLS_INJECTED /* bytes after 220 */,
    TLS_HANDSHAKE_FAILED,
    TLS_UP
};
struct verdict_attempt { /* what the attempt showed */
    enum verdict_tls_result tls;
    bool plaintext_retry; /* this connection is the new one after a TLS failure: TLS was not tried */
    bool chain_valid, name_matches, pin_matches, dane_matches;
    const char *cause_name; /* of the failure, greppable, as in net/tls.h: "wrong-name"; "" or NULL: none */
    const char *cause_text; /* for people, a constant, may be packed; "" or NULL: none */
    struct span detail;     /* printable; may be empty */
    struct span mx_host;
};
enum verdict_action {
    VERDICT_SEND,            /* go on with MAIL on this connection */
    VERDICT_RETRY_PLAINTEXT, /* close; may go on a new connection in plaintext (counted) */
    VERDICT_NEXT_HOST,       /* this host failed the demand; another may do; with none left the mail waits */
};
enum verdict_report { /* counters and TLSRPT result types (RFC 8460 section 4.3) */
                      REPORT_SUCCESS_VERIFIED,
                      REPORT_SUCCESS_ENCRYPTED,
                      REPORT_PLAINTEXT,
                      REPORT_STARTTLS_NOT_SUPPORTED,
                      REPORT_CERTIFICATE_HOST_MISMATCH,
                      REPORT_CERTIFICATE_EXPIRED,
                      REPORT_CERTIFICATE_NOT_TRUSTED,
                      REPORT_VALIDATION_FAILURE,
                      REPORT_COUNT
};
#define VERDICT_OUTCOME_MAX 768
struct verdict_outcome { /* reasons points into text: pass it by pointer, don't copy it */
    enum verdict_action action;
    bool policy_failed; /* the demand was not met (also when testing lets it go) */
    enum verdict_report report;
    struct strbuf reasons; /* one or two lines, '\n' between; set up by the callee on text, cut when too long */
    char text[VERDICT_OUTCOME_MAX];
};
/* After greeting and STARTTLS (or their failure), before MAIL. Only what is proven counts: a member left zero never meets a demand. Always
 * fills *out. */
void verdict_after(struct verdict_outcome *out, const struct verdict *v, const struct verdict_attempt *a);

const char *verdict_source_name(enum verdict_source s); /* "list", "dane", ... */
const char *verdict_demand_name(enum verdict_demand d); /* "verified", ... */
const char *verdict_report_name(enum verdict_report r); /* "certificate-host-mismatch", ... */

#endif
