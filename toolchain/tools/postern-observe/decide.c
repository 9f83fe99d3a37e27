#include "toolchain/tools/postern-observe/decide.h"

#include "hal/base/datetime.h"

static const char *mode_name(enum list_mode mode)
{
    return mode == LIST_ENFORCE ? "enforce" : "testing";
}

/* The list wants host names of two labels at least; one label's suffix would be a whole top-level domain. */
static bool to_policy(const struct sts_policy *sts, struct policy *out)
{
    const char *mx;
    memset(out, 0, sizeof *out);
    out->mode = sts->mode == STS_ENFORCE ? LIST_ENFORCE : LIST_TESTING;
    for (unsigned i = 0; (mx = sts_policy_mx(sts, i)) != NULL; i++) {
        if (domain_labels(span_of(mx[0] == '.' ? mx + 1 : mx)) < 2)
            return false;
        bool twice = false;
        for (unsigned k = 0; k < out->mx_count; k++)
            twice = twice || strcmp(out->mx[k], mx) == 0;
        if (!twice && !policy_add_mx(out, span_of(mx)))
            return false;
    }
    return true;
}

static bool has_mx(const struct policy *p, const char *mx)
{
    for (unsigned i = 0; i < p->mx_count; i++) {
        if (strcmp(p->mx[i], mx) == 0)
            return true;
    }
    return false;
}

static unsigned add_lacking(struct strbuf *b, const char *sign, const struct policy *a, const struct policy *without)
{
    unsigned count = 0;
    for (unsigned i = 0; i < a->mx_count; i++) {
        if (has_mx(without, a->mx[i]))
            continue;
        strbuf_printf(b, "%s%s%s", b->len > 0 ? " " : "", sign, a->mx[i]);
        count++;
    }
    return count;
}

/* Whether they say different things; the order of patterns says nothing. */
static bool add_difference(struct strbuf *b, const struct policy *old, const struct policy *new)
{
    if (old->mode != new->mode)
        strbuf_printf(b, "%s%s->%s", b->len > 0 ? " " : "", mode_name(old->mode), mode_name(new->mode));
    unsigned patterns = add_lacking(b, "-", old, new) + add_lacking(b, "+", new, old);
    return patterns > 0 || old->mode != new->mode;
}

static unsigned days_running(const struct memory *m, int64_t now)
{
    return m->first_valid > 0 ? (unsigned)((now - m->first_valid + DAY_S / 2) / DAY_S) : 0; /* a run a little early counts */
}

static void remember(struct memory *m, const struct fetch_result *r, int64_t now)
{
    if (r->outcome == FETCH_TEMPORARY)
        return;
    bool enforce = r->outcome == FETCH_VALID && r->policy.mode == STS_ENFORCE;
    bool running = m->first_valid > 0 && now - m->last_valid <= GAP_MAX_S;
    m->first_valid = !enforce ? 0 : running ? m->first_valid : now;
    if (r->outcome != FETCH_VALID)
        return;
    m->last_valid = now;
    m->max_age_s = r->policy.max_age_s;
    memcpy(m->id, r->id, sizeof m->id);
}

static void say_failure(struct strbuf *b, const struct fetch_result *r)
{
    strbuf_printf(b, "%s%s: %s", r->outcome == FETCH_TEMPORARY ? "for now, " : "", r->step, r->words);
}

/* --- an entry that is there --- */

static enum decision decide_followed(struct subject *s, const struct fetch_result *r, const struct policy *live,
                                     const char *id_before, struct judgement *out, struct strbuf *b)
{
    if (r->policy.mode == STS_NONE) {
        strbuf_puts(b, "its policy says mode none");
        return DECIDED_DROPPED;
    }
    if (!add_difference(b, s->policy, live)) {
        out->quiet = true;
        return DECIDED_KEPT;
    }
    strbuf_printf(b, " (%sid %s)", strcmp(id_before, s->memory.id) == 0 ? "under the same " : "", s->memory.id);
    return DECIDED_CHANGED;
}

static enum decision decide_manual(const struct subject *s, const struct fetch_result *r, const struct policy *live,
                                   struct judgement *out, struct strbuf *b)
{
    if (r->policy.mode == STS_NONE) {
        strbuf_puts(b, "written by hand; its MTA-STS policy says mode none");
        return DECIDED_KEPT;
    }
    size_t before = b->len;
    strbuf_puts(b, "written by hand; its MTA-STS policy differs:");
    if (!add_difference(b, s->policy, live)) {
        strbuf_truncate(b, before);
        out->quiet = true;
    }
    return DECIDED_KEPT;
}

static enum decision decide_unseen(struct subject *s, const struct fetch_result *r, int64_t now, struct judgement *out,
                                   struct strbuf *b)
{
    const struct memory *m = &s->memory;
    say_failure(b, r);
    if (!m->follows || s->excepted) {
        out->quiet = r->outcome == FETCH_GONE; /* an entry written by hand needs no MTA-STS */
        return DECIDED_KEPT;
    }
    int64_t hold_s = (int64_t)m->max_age_s > HOLD_MIN_S ? (int64_t)m->max_age_s : HOLD_MIN_S;
    if (r->outcome == FETCH_GONE && m->last_valid > 0 && now > m->last_valid + hold_s) {
        char time[32];
        struct strbuf t = STRBUF(time);
        rfc3339_format(&t, m->last_valid);
        strbuf_printf(b, "; its last policy, of %s, was for %u days", time, (unsigned)(m->max_age_s / DAY_S));
        return DECIDED_DROPPED;
    }
    return DECIDED_KEPT;
}

/* --- a domain that is not listed --- */

static enum decision decide_candidate(const struct subject *s, const struct fetch_result *r, int64_t now, unsigned days,
                                      struct strbuf *b)
{
    if (r->policy.mode != STS_ENFORCE) {
        strbuf_printf(b, "its policy says mode %s", r->policy.mode == STS_NONE ? "none" : "testing");
        return DECIDED_NOT_LISTED;
    }
    unsigned running = days_running(&s->memory, now);
    strbuf_printf(b, "its enforce policy was valid for %u of %u days running", running, days);
    return running >= days && !s->excepted ? DECIDED_ADDED : DECIDED_NOT_LISTED;
}

void decide(struct subject *s, const struct fetch_result *r, int64_t now, unsigned days, struct judgement *out)
{
    struct fetch_result checked = *r;
    char id_before[STS_ID_MAX + 1];
    memset(out, 0, sizeof *out);
    struct strbuf b = STRBUF(out->words);
    if (r->outcome == FETCH_VALID && !to_policy(&r->policy, &out->policy)) {
        checked.outcome = FETCH_BROKEN;
        checked.step = "policy";
        struct strbuf words = STRBUF(checked.words);
        strbuf_puts(&words, "a pattern of mx has one label, which would match whole top-level domains");
    }
    memcpy(id_before, s->memory.id, sizeof id_before);
    remember(&s->memory, &checked, now);
    if (checked.outcome == FETCH_VALID && s->listed && s->to_follow && !s->excepted)
        s->memory.follows = true;
    if (checked.outcome != FETCH_VALID && s->listed)
        out->decision = decide_unseen(s, &checked, now, out, &b);
    else if (checked.outcome != FETCH_VALID) {
        say_failure(&b, &checked);
        out->decision = DECIDED_NOT_LISTED;
    } else if (!s->listed)
        out->decision = decide_candidate(s, r, now, days, &b);
    else if (s->memory.follows && !s->excepted)
        out->decision = decide_followed(s, r, &out->policy, id_before, out, &b);
    else
        out->decision = decide_manual(s, r, &out->policy, out, &b);
    if (out->decision == DECIDED_ADDED || out->decision == DECIDED_DROPPED)
        s->memory.follows = out->decision == DECIDED_ADDED;
}
