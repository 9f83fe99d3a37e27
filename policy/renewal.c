/* All spans of time are bounded before they are multiplied: what comes in may be any server's word. */
#include "policy/renewal.h"

#include "hal/base/packed_text.h"

#define CLOCK_SLACK_S RENEWAL_DAY_S /* authorities date certificates back by an hour; a clock may be as much off */
#define JITTER_PART 30              /* up to that part of the life earlier */
#define BACK_OFF_LIFE_PART 16
#define FRESH_LIFE_PART 8
#define LEAST_S 6000

#define REASON_MAX 50
static const char reasons[RENEWAL_REASONS][REASON_MAX] PACKED_TABLE = {
    [RENEWAL_FIRST] = "there is none of this authority yet",
    [RENEWAL_ASKED] = "asked for",
    [RENEWAL_CHANGED] = "names, profile or authority have changed",
    [RENEWAL_EXPIRED] = "it has expired",
    [RENEWAL_WINDOW] = "the authority's window",
    [RENEWAL_THIRD] = "a third of its life is left then",
    [RENEWAL_HALF] = "half of its life is left then",
    [RENEWAL_NO_CLOCK] = "the time has to be learnt first",
};

const char *renewal_hold_text(enum renewal_hold h)
{
    static const char holds[][REASON_MAX] PACKED_TABLE = { "", ", put off after a failure", ", put off as the server asks",
                                                           ", one was just issued" };
    return holds[h];
}

const char *renewal_reason_text(enum renewal_reason r)
{
    return reasons[r];
}

uint32_t renewal_life_s(int64_t not_before, int64_t not_after)
{
    if (not_after <= not_before)
        return 1;
    return not_after - not_before > INT32_MAX ? INT32_MAX : (uint32_t)(not_after - not_before);
}

static uint32_t part_of(uint32_t seconds, uint32_t jitter)
{
    return (uint32_t)((uint64_t)seconds * jitter >> 32);
}

/* The time that the life of the certificate, or its authority, gives. */
static void plan_by_life(const struct renewal_facts *f, struct renewal_plan *out)
{
    uint32_t life = renewal_life_s(f->not_before, f->not_after);
    int64_t latest = f->not_after - life / 4, end = f->window_end < f->not_after ? f->window_end : f->not_after;
    if (f->window_start > 0 && f->window_start < end) {
        int64_t start = f->window_start > f->not_before ? f->window_start : f->not_before;
        out->reason = RENEWAL_WINDOW;
        out->at = start < end ? start + part_of(renewal_life_s(start, end), f->jitter) : start;
        out->at = out->at < latest ? out->at : latest;
        return;
    }
    bool is_short = life < RENEWAL_SHORT_LIFE_S;
    out->reason = is_short ? RENEWAL_HALF : RENEWAL_THIRD;
    out->at = f->not_after - life / (is_short ? 2 : 3) - part_of(life / JITTER_PART, f->jitter);
}

static bool holds(const struct renewal_facts *f, int64_t now)
{
    int64_t longest = f->hold == RENEWAL_HOLD_SERVER ? RENEWAL_RETRY_AFTER_MAX_S : RENEWAL_DAY_S;
    if (f->hold == RENEWAL_HOLD_NONE || now <= 0 || f->hold_until <= now || f->hold_until - now > longest)
        return false;
    return f->hold != RENEWAL_HOLD_FRESH || !(f->asked || f->changed);
}

void renewal_plan(const struct renewal_facts *f, int64_t now, struct renewal_plan *out)
{
    *out = (struct renewal_plan){ now, RENEWAL_FIRST, RENEWAL_HOLD_NONE };
    if (now <= 0 || (f->have && now < f->not_before - CLOCK_SLACK_S))
        out->reason = RENEWAL_NO_CLOCK;
    else if (f->asked)
        out->reason = RENEWAL_ASKED;
    else if (f->have && f->changed)
        out->reason = RENEWAL_CHANGED;
    else if (f->have && now >= f->not_after)
        out->reason = RENEWAL_EXPIRED;
    else if (f->have)
        plan_by_life(f, out);
    if (holds(f, now) && f->hold_until > out->at) {
        out->at = f->hold_until;
        out->hold = f->hold;
    }
}

uint32_t renewal_back_off_s(unsigned failures, uint32_t life_s, uint32_t jitter)
{
    static const uint32_t steps[] = { 60, 600, LEAST_S };
    uint32_t step = RENEWAL_DAY_S, part = life_s / BACK_OFF_LIFE_PART;
    if (failures <= 3)
        step = steps[failures > 0 ? failures - 1 : 0];
    else if (life_s > 0 && part < step)
        step = part > LEAST_S ? part : LEAST_S;
    return step - part_of(step / 4, jitter);
}

uint32_t renewal_fresh_s(uint32_t life_s)
{
    uint32_t part = life_s / FRESH_LIFE_PART;
    return part > RENEWAL_DAY_S ? RENEWAL_DAY_S : part < LEAST_S ? LEAST_S : part;
}

enum renewal_health renewal_health(int64_t not_before, int64_t not_after, int64_t now)
{
    if (now <= 0 || now < not_after - renewal_life_s(not_before, not_after) / 4)
        return RENEWAL_FINE;
    return now < not_after ? RENEWAL_LATE : RENEWAL_OVER;
}
