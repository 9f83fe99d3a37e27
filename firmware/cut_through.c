/* Invariants: a line (a lent delivery slot) has one owner at a time, by its state: the session while OPEN, its worker while WANTED,
 * OPENING and BACK, whoever comes first while KEPT. A message that was begun and not ended in order is cut, never closed in order. */
#include "firmware/cut_through.h"

#include "firmware/attempt.h"
#include "firmware/counters.h"
#include "firmware/delivery.h"
#include "firmware/settings.h"
#include "hal/base/log.h"

#define LINES_MAX (PLAN_DELIVERY_SESSIONS / 2)
#define LINE_WAIT_MS 3000  /* for a line that another session has */
#define OPEN_WAIT_MS 15000 /* for a connection; a sender waits 5 minutes for the answer to RCPT */
#define REPLY_MS 60000     /* for MAIL, RCPT and DATA, and for a block of the message */
#define END_MS \
    (5 * 60000)       /* for the answer to the final dot: filters take their time, a sender waits 10 minutes (RFC 5321 4.5.3.2.6) */
#define KEEP_MS 5000  /* a connection for the session's next mail */
#define DOWN_MS 30000 /* after a failure mail is spooled at once, so that not each waits for a time-out */

static struct event line_free;
static uint64_t down_until_ms; /* 0: it answered last */
static bool probing;           /* after a failure one session at a time finds out */

static bool is_on(void)
{
    return settings_get_bool("mail.cut_through") && settings_get("mail.inside")[0];
}

static bool is_down(void)
{
    return down_until_ms && (probing || clock_ms() < down_until_ms);
}

void cut_through_try_now(void)
{
    down_until_ms = 0;
}

const char *cut_through_now(void)
{
    return !is_on() ? "off" : is_down() ? "waits" : "on";
}

/* --- lines --- */

static void line_back(struct delivery_slot *s)
{
    s->lent = LENT_BACK;
    event_signal(&spool_changed); /* wakes its worker */
}

static void take_from_keeper(struct delivery_slot *s)
{
    s->keeper->line = NULL;
    line_back(s);
}

static void give_back(struct cut_through *c)
{
    if (c->line)
        line_back(c->line);
    c->line = NULL;
}

static void keep(struct cut_through *c, bool dirty)
{
    c->dirty = dirty;
    c->line->keeper = c;
    c->line->kept_until_ms = clock_ms() + KEEP_MS;
    c->line->lent = LENT_KEPT;
}

void cut_through_slot_is_idle(void)
{
    event_signal(&line_free);
}

bool cut_through_serve(struct delivery_slot *s)
{
    if (s->lent == LENT_KEPT && clock_ms() >= s->kept_until_ms)
        take_from_keeper(s);
    if (s->lent == LENT_WANTED) {
        s->lent = LENT_OPENING;
        s->line_open = false;
        bool open = attempt_open(s) == RC_OK && s->line_open;
        s->client.most_ms = REPLY_MS;
        if (s->lent == LENT_OPENING) /* the session still waits for it */
            s->lent = open ? LENT_OPEN : LENT_FAILED;
        event_signal(&s->opened);
    }
    if (s->lent == LENT_BACK) {
        if (s->line_open)
            smtp_client_quit(&s->client);
        s->line_open = false;
        s->lent = LENT_NOT;
        event_signal(&line_free);
    }
    return s->lent != LENT_NOT;
}

/* A slot that may be lent now. With none, a connection that is only kept is on its way back. */
static struct delivery_slot *find_line(void)
{
    struct delivery_slot *s = NULL, *kept = NULL;
    unsigned idle = 0, lent = 0;
    for (unsigned i = 0; i < PLAN_DELIVERY_SESSIONS; i++) {
        struct delivery_slot *each = delivery_slot(i);
        lent += each->lent != LENT_NOT;
        if (each->lent == LENT_KEPT)
            kept = each;
        if (each->lent != LENT_NOT || each->working)
            continue;
        idle++;
        s = each;
    }
    if (lent < LINES_MAX && idle > 1)
        return s;
    if (kept)
        take_from_keeper(kept);
    return NULL;
}

static struct delivery_slot *borrow(void)
{
    struct deadline d = deadline_in_ms(LINE_WAIT_MS);
    struct delivery_slot *s;
    while (!(s = find_line()))
        if (task_wait(&line_free, d) != RC_OK)
            return NULL;
    return s;
}

static void order(struct delivery_slot *s, const struct cut_mail *m, const char *domain)
{
    memset(&s->envelope, 0, sizeof s->envelope);
    s->envelope.origin = SPOOL_FROM_OUTSIDE;
    s->envelope.peer = *m->peer;
    strbuf_copy(s->envelope.helo, sizeof s->envelope.helo, m->server->helo);
    strbuf_copy(s->domain, sizeof s->domain, domain);
    strbuf_copy(s->host_name, sizeof s->host_name, m->server->params->host_name);
    s->entry = (struct spool_entry){ .id = m->id };
    s->lent = LENT_WANTED;
    event_reset(&s->opened);
    event_signal(&spool_changed);
}

/* A server that is told of its client may turn that client away in its greeting: its word on this sender, not a failure. */
static bool turned_away(const struct delivery_slot *s)
{
    return s->lent == LENT_FAILED && s->client.status.code >= 500 && !span_is(span_of(settings_get("mail.inside_client")), "none");
}

/* RC_OK: c->line is open. Else *a may have an answer all the same. */
static enum rc open_line(struct cut_through *c, const struct cut_mail *m, const char *domain, struct smtp_answer *a)
{
    struct deadline d = deadline_in_ms(OPEN_WAIT_MS);
    struct delivery_slot *s = is_down() ? NULL : borrow();
    if (!s || is_down())
        return RC_BUSY;
    enum rc rc = RC_OK;
    probing = down_until_ms != 0;
    order(s, m, domain);
    while (rc == RC_OK && (s->lent == LENT_WANTED || s->lent == LENT_OPENING))
        rc = task_wait(&s->opened, d);
    probing = false;
    if (s->lent == LENT_OPEN) {
        c->line = s;
        c->dirty = false;
        down_until_ms = 0;
        delivery_inside_answers();
        return RC_OK;
    }
    if (turned_away(s))
        smtp_answer(a, 550, "5.7.1", "%s", s->client.status.text);
    line_back(s);
    return rc == RC_CANCELLED ? rc : RC_UNREACHABLE;
}

/* --- one mail --- */

static void answer_with(struct smtp_answer *a, const struct smtp_reply *r)
{
    char memory[12];
    struct strbuf enhanced = STRBUF(memory);
    strbuf_printf(&enhanced, "%u.%u.%u", r->code / 100, r->enhanced[1], r->enhanced[2]);
    smtp_answer(a, r->code, memory, "%s", r->text);
}

/* The server cannot be asked: the spool serves this mail, and the next ones for a while. */
static void fall_back(struct cut_through *c, uint32_t id, enum rc rc)
{
    bool down = rc != RC_BUSY && rc != RC_UNSUPPORTED && rc != RC_CANCELLED;
    if (down)
        down_until_ms = clock_ms() + DOWN_MS;
    if (c->line && rc == RC_UNSUPPORTED)
        keep(c, true);
    else
        give_back(c);
    c->state = CUT_OFF;
    count(COUNT_cut_through_spooled);
    log_event(LOG_INTAKE, "spooled", "id=%08X rc=%s", (unsigned)id, rc_name(rc)); /* unsupported: another server, or an extension */
}

void cut_through_begin(struct cut_through *c, bool from_outside)
{
    bool wanted = from_outside && is_on(), now = c->line || !is_down();
    c->body_bytes = 0;
    c->state = wanted && now ? CUT_START : CUT_OFF;
    if (wanted && !now)
        count(COUNT_cut_through_spooled);
}

bool cut_through_wanted(const struct cut_through *c)
{
    return c->state != CUT_OFF;
}

bool cut_through_is_open(const struct cut_through *c)
{
    return c->state >= CUT_BODY;
}

static bool can_take(const struct smtp_client *to, const struct smtp_server_mail *m, const struct smtp_recipient *r)
{
    return (m->body != SMTP_BODY_8BITMIME || (to->extensions & SMTP_8BITMIME)) && (!m->utf8 || (to->extensions & SMTP_SMTPUTF8)) &&
           (!(r->notify & DSN_NOTIFY_SUCCESS) || (to->extensions & SMTP_DSN));
}

static enum rc say_mail(struct cut_through *c, const struct smtp_server_mail *m)
{
    struct smtp_client *to = &c->line->client;
    const struct smtp_message message = { .sender = span_of(m->sender.null ? "" : m->sender.full),
                                          .size_bytes = m->declared_bytes,
                                          .body = m->body,
                                          .utf8 = m->utf8,
                                          .envid = span_of(m->envid),
                                          .ret = m->ret };
    c->line->lent = LENT_OPEN;
    enum rc rc = c->dirty ? smtp_client_pass_reset(to) : RC_OK;
    c->dirty = false;
    return rc == RC_OK ? smtp_client_pass_mail(to, &message) : rc;
}

/* From nothing to MAIL and its answer: RC_OK, with CUT_ENVELOPE or a refusal in *a. Else the spool serves. A kept connection may have been
 * closed meanwhile: then a new one is tried. */
static enum rc start(struct cut_through *c, const struct cut_mail *m, const char *domain, const struct smtp_recipient *r,
                     struct smtp_answer *a)
{
    const struct smtp_server_mail *mail = &m->server->mail;
    enum rc rc;
    bool kept;
    if (c->line && strcmp(c->line->envelope.helo, m->server->helo) != 0)
        give_back(c);
    do {
        kept = c->line != NULL;
        rc = kept ? RC_OK : open_line(c, m, domain, a);
        if (a->code >= 400)
            return RC_OK;
        if (rc == RC_OK && !can_take(&c->line->client, mail, r))
            return RC_UNSUPPORTED;
        if (rc == RC_OK)
            rc = say_mail(c, mail);
        if (rc != RC_OK)
            give_back(c);
    } while (rc != RC_OK && kept);
    if (rc != RC_OK)
        return rc;
    if (c->line->client.reply.code >= 400)
        answer_with(a, &c->line->client.reply);
    else
        c->state = CUT_ENVELOPE;
    return RC_OK;
}

static enum rc ask_rcpt(struct cut_through *c, const struct cut_mail *m, const struct smtp_recipient *r, const char *domain,
                        struct smtp_answer *a)
{
    if (next_hop_kind_of(span_of(domain)) != HOP_INSIDE || delivery_held(span_of(domain)))
        return RC_UNSUPPORTED;
    enum rc rc = c->state == CUT_START ? start(c, m, domain, r, a) : RC_OK;
    if (rc != RC_OK || a->code >= 400)
        return rc;
    if (!can_take(&c->line->client, &m->server->mail, r))
        return RC_UNSUPPORTED;
    rc = smtp_client_pass_rcpt(&c->line->client, r);
    if (rc == RC_OK && c->line->client.reply.code >= 400)
        answer_with(a, &c->line->client.reply);
    return rc;
}

bool cut_through_rcpt(struct cut_through *c, const struct cut_mail *m, const struct smtp_recipient *r, const char *domain,
                      struct smtp_answer *a)
{
    if (c->state == CUT_OFF)
        return false;
    c->asking = true;
    enum rc rc = ask_rcpt(c, m, r, domain, a);
    c->asking = false;
    if (rc != RC_OK)
        fall_back(c, m->id, rc);
    return rc == RC_OK;
}

bool cut_through_data(struct cut_through *c, uint32_t id, struct smtp_answer *a)
{
    if (c->state != CUT_ENVELOPE)
        return false;
    c->asking = true;
    enum rc rc = smtp_client_pass_data(&c->line->client, &c->stuff);
    c->asking = false;
    if (rc != RC_OK) {
        fall_back(c, id, rc);
        return false;
    }
    if (c->line->client.reply.code == 354) {
        c->state = CUT_BODY;
        a->code = 354;
        return true;
    }
    answer_with(a, &c->line->client.reply);
    count(COUNT_cut_through_refused);
    return true;
}

void cut_through_write(struct cut_through *c, struct span bytes)
{
    c->body_bytes += bytes.len;
    if (c->state != CUT_BODY)
        return;
    c->asking = true;
    enum rc rc = smtp_client_pass_write(&c->line->client, &c->stuff, bytes);
    c->asking = false;
    if (rc != RC_OK)
        c->state = rc == RC_REFUSED ? CUT_REFUSED : CUT_BROKEN;
}

void cut_through_end(struct cut_through *c, struct smtp_answer *a)
{
    struct smtp_client *to = &c->line->client;
    enum rc rc = RC_CLOSED;
    if (c->state == CUT_BODY) {
        c->asking = true;
        to->most_ms = END_MS;
        rc = smtp_client_pass_end(to, &c->stuff);
        to->most_ms = REPLY_MS;
        c->asking = false;
    }
    bool said = (rc == RC_OK || c->state == CUT_REFUSED) && to->reply.code != 421;
    if (said && to->reply.code < 300)
        smtp_answer(a, 250, "2.0.0", "%s", to->reply.text);
    else if (said)
        answer_with(a, &to->reply);
    else
        smtp_answer(a, 451, "4.4.2", "the office's mail server gave no answer to the message, try again later");
    count(!said ? COUNT_cut_through_broken : a->code < 300 ? COUNT_cut_through : COUNT_cut_through_refused);
    if (!said && rc != RC_CANCELLED)
        down_until_ms = clock_ms() + DOWN_MS;
    if (rc == RC_OK)
        keep(c, false);
    else
        give_back(c);
    c->state = CUT_OFF;
}

void cut_through_abort(struct cut_through *c)
{
    if (c->line && c->state >= CUT_BODY) {
        smtp_client_cut(&c->line->client);
        give_back(c);
    } else if (c->line && c->line->lent == LENT_OPEN) {
        keep(c, true);
    }
    c->state = CUT_OFF;
}

void cut_through_leave(struct cut_through *c)
{
    cut_through_abort(c);
    give_back(c);
}
