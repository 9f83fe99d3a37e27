/* When the box asks for a certificate again: by the authority's own window (RFC 9773), else by how much of the certificate's life is left; not
 * before a back-off or the server's Retry-After is over. Pure: the clock, the random number and what was kept come from the caller. Times are
 * seconds since 1970; 0 (or less): unknown. */
#ifndef POLICY_RENEWAL_H
#define POLICY_RENEWAL_H

#include <stdbool.h>
#include <stdint.h>

#define RENEWAL_SHORT_LIFE_S (10 * 86400)     /* below, half of the life is left when it is renewed, else a third */
#define RENEWAL_RETRY_AFTER_MAX_S (8 * 86400) /* the longest rate limit in use is a week; a server cannot ask for more */
#define RENEWAL_DAY_S 86400

/* Why there is a time before which nothing is tried. */
enum renewal_hold {
    RENEWAL_HOLD_NONE,
    RENEWAL_HOLD_FAILED, /* back-off */
    RENEWAL_HOLD_SERVER, /* its Retry-After */
    RENEWAL_HOLD_FRESH   /* one was just issued: whatever the clock says, no certificate is asked for twice in a row */
};
const char *renewal_hold_text(enum renewal_hold h); /* ", ...", to stand behind the reason; empty for NONE */

/* Why the time is what it is; renewal_reason_text has the words. */
enum renewal_reason {
    RENEWAL_FIRST,    /* there is none from this authority yet */
    RENEWAL_ASKED,    /* by the operator */
    RENEWAL_CHANGED,  /* names, profile or authority are not those it was asked for with */
    RENEWAL_EXPIRED,  /* or revoked */
    RENEWAL_WINDOW,   /* the authority's */
    RENEWAL_THIRD,    /* of its life is left */
    RENEWAL_HALF,     /* likewise */
    RENEWAL_NO_CLOCK, /* the time is unknown, or before the certificate's: it is the time that has to be asked for */
    RENEWAL_REASONS
};
const char *renewal_reason_text(enum renewal_reason r);

struct renewal_facts {
    bool have, asked, changed;
    int64_t not_before, not_after; /* with have */
    /* 0: none. One that makes no sense counts as none, one too late is cut to a quarter of life left. */
    int64_t window_start, window_end;
    uint32_t jitter; /* any 32 random bits, drawn once for each certificate: the point in the window, or how much earlier */
    enum renewal_hold hold;
    int64_t hold_until;
};

struct renewal_plan {
    int64_t at; /* <= now: it is due */
    enum renewal_reason reason;
    enum renewal_hold hold; /* what puts it off until at; NONE: nothing does */
};

/* A hold longer than any can be means that the clock has been set back: it is over. FRESH gives way to the operator and to changed names; the
 * others hold also what was asked for, or it would be tried without a pause until it succeeds: who asks anew takes FAILED away himself. */
void renewal_plan(const struct renewal_facts *f, int64_t now, struct renewal_plan *out);

/* Seconds until the next try after failures (>= 1) in a row: 1, 10, 100 minutes, then a day, or a sixteenth of the life (life_s; 0: unknown) if
 * that is less, but never less than 100 minutes; up to a quarter less by jitter, any 32 random bits. */
uint32_t renewal_back_off_s(unsigned failures, uint32_t life_s, uint32_t jitter);
/* How long a fresh certificate holds off the next: an eighth of its life, but 100 minutes to a day. */
uint32_t renewal_fresh_s(uint32_t life_s);
/* At most 68 years, at least 1. */
uint32_t renewal_life_s(int64_t not_before, int64_t not_after);

enum renewal_health { RENEWAL_FINE, RENEWAL_LATE /* less than a quarter of its life is left */, RENEWAL_OVER };
enum renewal_health renewal_health(int64_t not_before, int64_t not_after, int64_t now);

#endif
