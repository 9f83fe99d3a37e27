/* Asks domains for their MTA-STS policies (RFC 8461 section 3): the TXT record, the addresses of the policy host, the file over HTTPS, and of one
 * that is to be enforced whether it allows any of the domain's MX hosts. Many at
 * once, within bounds, and no more than a few connections to one address, as large providers serve many domains from one. DNS by c-ares, HTTPS by
 * libcurl: the certificate must hold for mta-sts.DOMAIN, redirects are not followed, and what is read and waited for is bounded. */
#ifndef POSTERN_OBSERVE_FETCH_H
#define POSTERN_OBSERVE_FETCH_H

#include "policy/sts_policy.h"

#define FETCH_WORDS_MAX 300

struct fetch_options {
    const char *resolver; /* ADDRESS or ADDRESS:PORT, several with commas; NULL: the system's */
    const char *cacert;   /* PEM file of roots; NULL: the system's */
    unsigned port;        /* of the policy hosts, 443 but in tests */
    unsigned parallel;    /* domains at once, 1..FETCH_PARALLEL_MAX */
    unsigned per_address; /* connections to one address at once, at least 1 */
    unsigned timeout_s;   /* for one file, all in all; also bounds the DNS */
    bool local;           /* policy hosts may have loopback, private and link-local addresses */
};
#define FETCH_PARALLEL_MAX 256

enum fetch_outcome {
    FETCH_VALID,     /* id and policy say what the domain wants */
    FETCH_GONE,      /* the DNS says that there is no record of MTA-STS */
    FETCH_BROKEN,    /* there is one, and it or what it leads to breaks the rules */
    FETCH_TEMPORARY, /* nobody knows: a server did not answer, or not sensibly */
};

struct fetch_result {
    enum fetch_outcome outcome;
    char id[STS_ID_MAX + 1];
    struct sts_policy policy;
    const char *step; /* that failed: "record", "address", "connection", "TLS", "HTTP", "policy", "MX"; NULL when VALID */
    char words[FETCH_WORDS_MAX]; /* what was wrong, printable */
};

struct fetch_work {
    void *ctx;
    size_t count;
    const char *(*domain)(void *ctx, size_t i);                      /* canonical; good until done(i) */
    void (*done)(void *ctx, size_t i, const struct fetch_result *r); /* once for each i, in any order */
};

/* false: it could not begin (libraries, options, file of roots): said on stderr. */
bool fetch_all(const struct fetch_options *o, const struct fetch_work *work);

#endif
