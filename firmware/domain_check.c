/* Invariant: in LENT_CHECK the slot is its worker's, in LENT_SEEN the console's; either may find LENT_BACK, and then leaves it alone. */
#include "firmware/domain_check.h"

#include "firmware/console.h"
#include "firmware/delivery.h"

#define SLOT_WAIT_MS 10000
#define LOOK_MS 100 /* for ^C */
#define FIND_HOP_MS 20000

static struct domain_check seen; /* of the one check that somebody follows */

/* --- the worker's side --- */

void domain_check_tell(struct delivery_slot *s, enum domain_check_step step, const struct ip_addr_any *address)
{
    if (s->lent != LENT_CHECK)
        return;
    seen.step = step;
    seen.address = address;
    s->lent = LENT_SEEN;
    event_signal(&s->opened);
    while (s->lent == LENT_SEEN && task_wait(&s->opened, deadline_never()) == RC_OK)
        continue;
}

static void close_line(struct delivery_slot *s)
{
    if (s->line_open)
        smtp_client_quit(&s->client);
    s->line_open = false;
}

void domain_check_serve(struct delivery_slot *s)
{
    if (s->lent != LENT_CHECK)
        return;
    enum rc rc = next_hop_find(&s->hop, span_of(s->domain), &s->dns, &s->client.status, deadline_in_ms(FIND_HOP_MS));
    if (rc != RC_OK)
        s->hop.count = 0;
    domain_check_tell(s, CHECK_HOP, NULL);
    for (unsigned h = 0; rc == RC_OK && h < s->hop.count && h < DOMAIN_CHECK_HOSTS && s->lent == LENT_CHECK; h++) {
        seen.host = h;
        domain_check_tell(s, CHECK_HOST, NULL);
        rc = attempt_host(s, &s->hop.host[h]);
        close_line(s);
    }
    domain_check_tell(s, CHECK_END, NULL);
}

/* --- the console's --- */

static struct delivery_slot *idle_slot(void)
{
    for (unsigned i = 0; i < PLAN_DELIVERY_SESSIONS; i++) {
        struct delivery_slot *s = delivery_slot(i);
        if (s->lent == LENT_NOT && !s->working)
            return s;
    }
    return NULL;
}

struct delivery_slot *domain_check_begin(const char *domain)
{
    struct deadline d = deadline_in_ms(SLOT_WAIT_MS);
    struct delivery_slot *s;
    while (!(s = idle_slot()))
        if (deadline_passed(d) || console_interrupted() || task_sleep_ms(LOOK_MS) != RC_OK)
            return NULL;
    memset(&s->envelope, 0, sizeof s->envelope);
    s->envelope.origin = SPOOL_OWN;
    s->entry = (struct spool_entry){ .id = 0 };
    s->count = 0;
    s->line_open = false;
    strbuf_copy(s->domain, sizeof s->domain, domain);
    attempt_own_name(s);
    s->lent = LENT_CHECK;
    event_reset(&s->opened);
    event_signal(&spool_changed);
    return s;
}

const struct domain_check *domain_check_next(struct delivery_slot *s, struct deadline d)
{
    if (s->lent == LENT_SEEN) {
        s->lent = LENT_CHECK;
        event_signal(&s->opened);
    }
    while (s->lent == LENT_CHECK) {
        bool over = deadline_passed(d) || console_interrupted();
        enum rc rc = over ? RC_CANCELLED : task_wait(&s->opened, deadline_in_ms(LOOK_MS));
        if (rc == RC_CANCELLED) {
            seen.step = CHECK_STOPPED;
            break;
        }
    }
    return &seen;
}

void domain_check_end(struct delivery_slot *s)
{
    s->lent = LENT_BACK;
    event_signal(&s->opened);
    event_signal(&spool_changed);
}
