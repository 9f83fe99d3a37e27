/* MTA-STS (RFC 8461): the TXT record that says that a policy is there (section 3.1) and the policy file itself (section 3.2). Fetching is
 * others' work. Pure: no I/O, no clock, no heap. Both texts come from strangers: what breaks a rule is refused whole, as a policy half
 * understood is worse than none. Fields that are not known are passed over, and of a field given twice (but mx) the first counts. */
#ifndef POLICY_STS_POLICY_H
#define POLICY_STS_POLICY_H

#include "hal/base/domain.h"

#define STS_ID_MAX 32
#define STS_MX_MAX 32               /* patterns of one policy, as many as the preload list has */
#define STS_MX_BYTES 1024           /* their text together, NULs included */
#define STS_MAX_AGE_S 31557600u     /* a year: what is longer counts as that (section 3.2) */
#define STS_POLICY_FILE_BYTES 65536 /* a longer file need not be read (section 3.3) */

/* What the TXT records of _mta-sts.DOMAIN say together. Zeroed: none was seen yet. */
struct sts_records {
    unsigned found; /* records that begin with "v=STSv1;" */
    bool valid;     /* the first of them keeps the rules */
    char id[STS_ID_MAX + 1];
};
/* One TXT record of the answer, its strings joined. */
void sts_records_add(struct sts_records *r, struct span txt);
/* RC_OK: there is a policy, and its id is r->id. RC_NOT_FOUND: no record of MTA-STS; RC_INVALID: more than one, or one that breaks the
 * rules. Both mean that the domain has no policy. */
enum rc sts_records_result(const struct sts_records *r) MUST_CHECK;

enum sts_mode { STS_NONE, STS_TESTING, STS_ENFORCE };

struct sts_policy {
    enum sts_mode mode;
    uint32_t max_age_s; /* 0..STS_MAX_AGE_S */
    unsigned mx_count;  /* 1..STS_MX_MAX; 0 only with STS_NONE */
    size_t text_len;
    char text[STS_MX_BYTES]; /* canonical patterns, each NUL-terminated: "mx.example.com", or ".example.com" for "*.example.com" */
};

/* RC_OK; RC_INVALID: breaks the rules, *why (may be NULL) says which, a constant; RC_TOO_LONG: more patterns than fit. On any error *out is
 * zeroed. */
enum rc sts_policy_parse(struct span file, struct sts_policy *out, const char **why) MUST_CHECK;
/* The i-th pattern as a C string; NULL past the end. */
const char *sts_policy_mx(const struct sts_policy *p, unsigned i);
bool sts_policy_allows(const struct sts_policy *p, struct span mx_host); /* mx_host canonical (section 4.1) */

/* The file must be served as text/plain; parameters may follow (section 3.2). value: the Content-Type field. */
bool sts_media_type(struct span value);

#endif
