/* The answers to the SMTP dialogue, one mail after the other.
 *
 * Invariant: a slot's writer is open exactly between the first accepted recipient and done/abort; while a mail is cut through, until its
 * message goes on, so that the spool can take over up to there. What it could not keep, it never commits (write_rc). */
#include "firmware/intake_private.h"

#include "firmware/counters.h"
#include "firmware/network.h"
#include "firmware/received.h"
#include "firmware/relay_rules.h"
#include "firmware/settings.h"
#include "firmware/spool_watch.h"
#include "firmware/wallclock.h"
#include "hal/base/log.h"

#define PTR_WAIT_MS 3000

/* A failure of the spool, about a mail of so many bytes as far as known. */
static void answer_rc(struct smtp_answer *a, enum rc rc, uint64_t bytes)
{
    if (rc == RC_FULL) {
        spool_watch_refused(bytes);
        smtp_answer(a, 452, "4.3.1", "no room for this mail now, try again later");
    } else {
        smtp_answer(a, 451, "4.3.0", "the mail could not be stored (%s), try again later", rc_name(rc));
    }
}

static void on_mail(void *ctx, struct smtp_server *s, const struct smtp_server_mail *m, struct smtp_answer *a)
{
    struct slot *slot = ctx;
    struct spool_info spool;
    spool_info(&spool);
    slot->write_rc = RC_OK;
    cut_through_begin(&slot->cut, !slot->trusted && !s->authenticated);
    if (slot->service != ON_25 && !slot->trusted && !s->authenticated)
        smtp_answer(a, s->params->ops->auth ? 530 : 550, s->params->ops->auth ? "5.7.0" : "5.7.1",
                    "submission is for users with a password (AUTH over TLS) and the networks named in mail.trusted");
    else if (network_is_own(&slot->stream.peer.addr))
        smtp_answer(a, 451, "4.4.6", "the box talks to itself: mail.inside, a route or an MX leads back to it");
    else if (submission_refuses_sender(&slot->submission, span_of(m->sender.null ? "" : m->sender.full), a))
        return;
    else if (!cut_through_wanted(&slot->cut) && (spool.free_bytes == 0 || m->declared_bytes > spool.free_bytes))
        answer_rc(a, RC_FULL, m->declared_bytes);
    else
        smtp_answer(a, 250, "2.1.0", "sender ok");
}

static enum rc open_writer(struct slot *slot, const struct smtp_server *s)
{
    struct spool_envelope envelope, *e = &envelope;
    const struct smtp_server_mail *m = &s->mail;
    memset(e, 0, sizeof *e);
    strbuf_copy(e->sender, sizeof e->sender, m->sender.null ? "" : m->sender.full);
    e->received = wallclock_now();
    e->origin = slot->trusted || s->authenticated ? SPOOL_FROM_INSIDE : SPOOL_FROM_OUTSIDE;
    e->body_8bit = m->body == SMTP_BODY_8BITMIME;
    e->utf8 = m->utf8;
    e->ret = m->ret;
    strbuf_copy(e->envid, sizeof e->envid, m->envid);
    e->peer = slot->stream.peer;
    strbuf_copy(e->helo, sizeof e->helo, s->helo);
    return spool_begin(&slot->writer, slot->chunk, e, m->declared_bytes);
}

/* One recipient more for the spool. What failed once leaves a gap, so that nothing of this mail may be committed. */
static void write_recipient(struct slot *slot, const struct spool_recipient *to)
{
    if (slot->write_rc == RC_OK)
        slot->write_rc = spool_add_recipient(&slot->writer, to);
    if (slot->write_rc != RC_OK && slot->writer.open)
        spool_abort(&slot->writer);
}

/* True: the office's server has answered, in a. The session was not idle meanwhile. */
static bool ask_inside(struct slot *slot, const struct smtp_server *s, const struct spool_recipient *to, struct smtp_answer *a)
{
    const struct cut_mail mail = { s, &slot->stream.peer, slot->writer.id };
    const struct smtp_recipient r = { .address = span_of(to->address), .notify = to->notify, .orcpt = span_of(to->orcpt) };
    uint64_t since_ms = clock_ms();
    bool answered = cut_through_rcpt(&slot->cut, &mail, &r, to->domain, a);
    uint64_t waited_ms = clock_ms() - since_ms;
    slot->server.last_activity_ms += waited_ms;
    slot->renewed_ms += waited_ms;
    return answered;
}

static void take_recipient(struct slot *slot, struct smtp_server *s, const struct spool_recipient *to, struct smtp_answer *a)
{
    if (slot->write_rc == RC_OK && !slot->writer.open)
        slot->write_rc = open_writer(slot, s);
    bool passed = ask_inside(slot, s, to, a);
    if (a->code >= 400)
        return;
    write_recipient(slot, to);
    strbuf_copy(slot->recipient, sizeof slot->recipient, to->address);
    if (!passed && slot->write_rc != RC_OK)
        answer_rc(a, slot->write_rc, s->mail.declared_bytes);
}

static void on_rcpt(void *ctx, struct smtp_server *s, const struct smtp_server_rcpt *r, struct smtp_answer *a)
{
    struct slot *slot = ctx;
    const struct relay_facts facts = { slot->trusted || s->authenticated, settings_get("mail.domains"),
                                       settings_get("mail.postmaster"), settings_get("mail.inside")[0] != '\0' };
    struct spool_recipient recipient, *to = &recipient;
    memset(to, 0, sizeof *to);
    struct strbuf address = STRBUF(to->address), domain = STRBUF(to->domain);
    enum relay_decision d = relay_decide(&facts, &r->address, &address, &domain);
    relay_answer(d, &r->address, a);
    if (a->code < 400) {
        to->notify = r->notify;
        strbuf_copy(to->orcpt, sizeof to->orcpt, r->orcpt);
        take_recipient(slot, s, to, a);
        if (d == RELAY_OUT && submission_over_quota(&slot->submission, &slot->stream.peer.addr))
            slot->writer.held = true;
    }
    if (a->code >= 400) {
        count(COUNT_rcpt_refused);
        log_event(LOG_INTAKE, "rcpt-refused", "sid=%u code=%u why=\"%s\"", (unsigned)slot->sid, a->code, a->text);
    }
}

static bool plain_ascii(const char *text)
{
    for (; *text; text++)
        if (*text <= ' ' || *text > '~' || *text == '>' || *text == '<')
            return false;
    return true;
}

static enum rc write_received(struct slot *slot, const struct smtp_server *s)
{
    char memory[RECEIVED_MAX];
    struct strbuf field = STRBUF(memory);
    const struct received_facts f = {
        .helo = s->helo,
        .ptr = slot->ptr,
        .client = &slot->stream.peer,
        .by = slot->host_name,
        .tls = s->tls ? &slot->facts : NULL,
        .esmtp = s->esmtp,
        .authenticated = s->authenticated,
        .utf8 = s->mail.utf8,
        .id = slot->writer.id,
        .only_recipient = s->recipients == 1 && plain_ascii(slot->recipient) ? slot->recipient : NULL,
        .now = wallclock_now(),
    };
    received_format(&field, &f);
    if (field.overflow)
        return RC_TOO_LONG;
    if (!cut_through_is_open(&slot->cut))
        return spool_write(&slot->writer, strbuf_span(&field));
    spool_abort(&slot->writer); /* from here on there is no way back */
    cut_through_write(&slot->cut, strbuf_span(&field));
    return RC_OK;
}

static void on_data(void *ctx, struct smtp_server *s, struct smtp_answer *a)
{
    struct slot *slot = ctx;
    slot->data_open = true; /* first, for the look-up may take seconds in which no newcomer should push this mail out */
    if (!slot->ptr_known) {
        struct strbuf ptr = STRBUF(slot->ptr);
        slot->ptr_known = true;
        if (network_reverse_name(&slot->stream.peer.addr, &ptr, deadline_in_ms(PTR_WAIT_MS)) != RC_OK)
            slot->ptr[0] = '\0';
    }
    mail_scan_init(&slot->scan);
    bool passed = cut_through_data(&slot->cut, slot->writer.id, a);
    slot->renewed_ms = clock_ms();
    if (passed && a->code >= 400)
        return;
    if (passed || slot->write_rc == RC_OK)
        slot->write_rc = write_received(slot, s);
    if (slot->write_rc != RC_OK)
        answer_rc(a, slot->write_rc, s->mail.declared_bytes);
    else
        smtp_answer(a, 354, "", "go ahead, end with a line of one dot");
}

static enum rc on_write(void *ctx, struct span bytes)
{
    struct slot *slot = ctx;
    mail_scan_feed(&slot->scan, bytes);
    if (slot->write_rc == RC_OK && slot->scan.received > MAIL_HOPS_MAX)
        slot->write_rc = RC_REFUSED;
    if (cut_through_is_open(&slot->cut) && slot->write_rc == RC_OK) {
        cut_through_write(&slot->cut, bytes);
        slot->server.last_activity_ms = clock_ms(); /* it was not the sender who was slow */
    } else if (slot->write_rc == RC_OK)
        slot->write_rc = spool_write(&slot->writer, bytes);
    if (slot->write_rc == RC_FULL)
        spool_watch_refused(slot->writer.body_bytes);
    return slot->write_rc;
}

static void commit(struct slot *slot, struct smtp_answer *a)
{
    uint32_t id = 0;
    uint64_t bytes = slot->writer.body_bytes;
    enum rc rc = spool_commit(&slot->writer, &id);
    if (rc != RC_OK)
        answer_rc(a, rc, bytes);
    else
        smtp_answer(a, 250, "2.0.0", "queued as %08X", (unsigned)id);
    if (rc == RC_OK && slot->writer.held)
        count(COUNT_over_quota);
}

static void on_done(void *ctx, struct smtp_server *s, struct smtp_answer *a)
{
    struct slot *slot = ctx;
    bool through = cut_through_is_open(&slot->cut);
    slot->data_open = false;
    if (through)
        cut_through_end(&slot->cut, a);
    else
        commit(slot, a);
    count(a->code < 400 ? COUNT_mails_in : COUNT_mails_refused);
    for (unsigned i = 0; through && a->code < 400 && i < s->recipients; i++)
        count(COUNT_delivered);
    slot->renewed_ms = clock_ms();
    char from[80], to[80];
    struct strbuf sender = STRBUF(from), recipient = STRBUF(to);
    strbuf_add_printable(&sender, span_of(s->mail.sender.null ? "" : s->mail.sender.full), sizeof from - 1);
    strbuf_add_printable(&recipient, span_of(slot->recipient), sizeof to - 1);
    log_event(LOG_INTAKE,
              a->code >= 400      ? "refused"
              : through           ? "passed"
              : slot->writer.held ? "held"
                                  : "queued",
              "sid=%u id=%08X user=%s from=<%s> to=<%s> rcpts=%u bytes=%llu code=%u text=\"%.100s\"", (unsigned)slot->sid,
              (unsigned)slot->writer.id, slot->submission.user[0] ? slot->submission.user : "-", from, to, s->recipients,
              (unsigned long long)(through ? slot->cut.body_bytes : slot->writer.body_bytes), a->code, through ? a->text : "");
}

/* Also what ends a message that on_write refused. */
static void on_abort(void *ctx)
{
    struct slot *slot = ctx;
    if (slot->data_open) {
        count(COUNT_mails_refused);
        log_event(LOG_INTAKE, "not-taken", "sid=%u rc=%s bytes=%llu", (unsigned)slot->sid, rc_name(slot->write_rc),
                  (unsigned long long)slot->writer.body_bytes);
    }
    slot->data_open = false;
    cut_through_abort(&slot->cut);
    if (slot->writer.open)
        spool_abort(&slot->writer);
}

static enum smtp_line_ends on_line_ends(void *ctx)
{
    const struct slot *slot = ctx;
    return slot->normalise ? SMTP_BARE_NORMALISE : SMTP_BARE_REJECT;
}

static void on_auth(void *ctx, struct smtp_server *s, struct span user, struct span password, struct smtp_answer *a)
{
    struct slot *slot = ctx;
    (void)s;
    submission_login(&slot->submission, &slot->stream.peer.addr, user, password, a);
}

#define DIALOGUE                                                                                              \
    .mail = on_mail, .rcpt = on_rcpt, .data = on_data, .write = on_write, .done = on_done, .abort = on_abort, \
    .line_ends = on_line_ends

const struct smtp_server_ops intake_dialogue = { DIALOGUE };
const struct smtp_server_ops intake_dialogue_with_auth = { DIALOGUE, .auth = on_auth };
