/* What an observation means for the list: which entries change, come and go. No I/O. */
#ifndef POSTERN_OBSERVE_DECIDE_H
#define POSTERN_OBSERVE_DECIDE_H

#include "toolchain/tools/common/policy_rules.h"
#include "toolchain/tools/postern-observe/fetch.h"

#define DAY_S 86400
#define GAP_MAX_S (2 * DAY_S + 3600) /* days that nobody looked at are not days of a valid policy */
#define HOLD_MIN_S \
    (14 * DAY_S) /* an entry outlives its record by the policy's max_age, which is often one day, and at least by this */

/* What is remembered of a domain from one observation to the next. Times are seconds since 1970; 0: never. */
struct memory {
    bool follows;        /* its entry is what its MTA-STS policy says; else somebody wrote it */
    int64_t first_valid; /* begin of the days running on which its policy was valid and enforce */
    int64_t last_valid;  /* when its policy was valid last, whatever the mode */
    uint32_t max_age_s;  /* of that one */
    char id[STS_ID_MAX + 1];
};

struct subject {
    char *name; /* canonical */
    bool listed, candidate;
    bool excepted;         /* the operator wants it left alone */
    bool to_follow;        /* its entry follows from the next valid policy on */
    char *alias;           /* of its entry, NULL: a policy of its own */
    struct policy *policy; /* of its entry; NULL unless listed */
    struct memory memory;
};

enum decision {
    DECIDED_KEPT,    /* the entry stays as it is */
    DECIDED_CHANGED, /* the entry says from now on what *policy says */
    DECIDED_ADDED,
    DECIDED_DROPPED,
    DECIDED_NOT_LISTED, /* no entry before, none now */
};

struct judgement { /* not to be copied: a struct policy points into itself */
    enum decision decision;
    struct policy policy; /* of an entry that was changed or added */
    bool quiet;           /* nothing that the operator needs to read */
    char words[FETCH_WORDS_MAX + 200];
};

/* Judges one observation at time now and brings s->memory up to date. days: of a valid enforce policy before a domain is added. */
void decide(struct subject *s, const struct fetch_result *r, int64_t now, unsigned days, struct judgement *out);

#endif
