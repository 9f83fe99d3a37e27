/* One transaction as a client. Commands are numbered: 0 is MAIL, 1..count are the RCPTs, count + 1 is DATA; with PIPELINING
 * they go out in flights, and exactly as many replies are read as commands were sent.
 *
 * Invariants: a recipient is *undecided* (WAIT, no text), *accepted* (DONE) or *settled* with a failure of its own; whatever
 * ends the transaction is given to all that are undecided or accepted. A message whose body was begun and cannot be finished
 * ends the connection, so that the server drops it.
 *
 * BDAT is used wherever CHUNKING is offered, in one chunk: no byte sequence can end it early, a last line without CRLF stays
 * as it is, and it saves the round trip of 354. */
#include "net/smtp_client_private.h"

#include <string.h>

#include "net/smtp_data.h"

/* So many commands at most before their replies are read: 50 replies of 80 bytes fit a receive window of 4 KB, so that
 * neither side waits for the other with its buffers full (RFC 2920 section 3.1). */
#define FLIGHT_COMMANDS 50
#define FLIGHT_COMMAND_MS 20000 /* on top of SMTP_CLIENT_COMMAND_MS, for servers that look up each recipient */

struct transaction {
    struct smtp_client *c;
    struct smtp_message *m;
    struct smtp_recipient *r;
    unsigned count, accepted;
    bool mail_ok, go; /* go: 354 was said, or BDAT needs none */
    bool chunking, eightbit, utf8;
    bool deaf; /* something was readable while sending, but no reply came of it */
    struct deadline body;
};

static bool is_open(const struct smtp_recipient *r)
{
    return r->status.result == DELIVERY_DONE || r->status.text[0] == '\0';
}

static void settle(struct transaction *t, const struct delivery_status *status)
{
    for (unsigned i = 0; i < t->count; i++)
        if (is_open(&t->r[i]))
            t->r[i].status = *status;
}

static bool is_ascii(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    return true;
}

static bool has_control(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.p[i] <= 0x1f || s.p[i] == 0x7f)
            return true;
    return false;
}

static void bounce_all(struct transaction *t, uint16_t code, const char *enhanced, const char *why)
{
    struct delivery_status status;
    delivery_status_set(&status, DELIVERY_BOUNCE, SCOPE_MESSAGE, code, enhanced, "%s", why);
    settle(t, &status);
}

/* Many senders declare 8BITMIME or SMTPUTF8 for what is plain ASCII: look before refusing. Leaves the message at its start. */
static enum rc message_is_ascii(struct transaction *t, void *scratch, size_t cap, bool *ascii)
{
    struct smtp_message *m = t->m;
    size_t got;
    enum rc rc;
    *ascii = true;
    while ((rc = m->read(m->read_ctx, scratch, cap, &got)) == RC_OK && got > 0 && *ascii)
        *ascii = is_ascii(span_bytes(scratch, got));
    return rc == RC_OK ? m->rewind(m->read_ctx) : rc;
}

static enum rc choose_encoding(struct transaction *t, void *scratch, size_t cap)
{
    struct smtp_client *c = t->c;
    t->eightbit = t->m->body == SMTP_BODY_8BITMIME && (c->extensions & SMTP_8BITMIME);
    t->utf8 = t->m->utf8 && (c->extensions & SMTP_SMTPUTF8);
    bool no_eightbit = t->m->body == SMTP_BODY_8BITMIME && !t->eightbit;
    bool no_utf8 = t->m->utf8 && !t->utf8;
    if (!no_eightbit && !no_utf8)
        return RC_OK;
    bool ascii;
    enum rc rc = message_is_ascii(t, scratch, cap, &ascii);
    if (rc == RC_OK && !ascii && no_utf8)
        bounce_all(t, 0, "5.6.7", PACKED("the message needs SMTPUTF8, which the server does not offer"));
    else if (rc == RC_OK && !ascii)
        bounce_all(t, 0, "5.6.3", PACKED("the message has 8-bit content, and the server does not offer 8BITMIME"));
    return rc;
}

/* What cannot be sent at all is settled before the first command. */
static void check_envelope(struct transaction *t)
{
    const struct smtp_message *m = t->m;
    uint64_t max = t->c->extensions & SMTP_SIZE ? t->c->size_max : 0;
    if (max != 0 && m->size_bytes > max)
        bounce_all(t, 0, "5.3.4", PACKED("the message is bigger than the server takes"));
    if (has_control(m->sender) || has_control(m->envid))
        bounce_all(t, 0, "5.1.7", PACKED("the sender address cannot be sent"));
    if (!t->utf8 && !is_ascii(m->sender))
        bounce_all(t, 0, "5.6.7", PACKED("the sender address needs SMTPUTF8, which the server does not offer"));
    for (unsigned i = 0; i < t->count; i++) {
        struct smtp_recipient *r = &t->r[i];
        if (!is_open(r))
            continue;
        if (r->address.len == 0 || has_control(r->address) || has_control(r->orcpt))
            delivery_status_set(&r->status, DELIVERY_BOUNCE, SCOPE_RECIPIENT, 0, "5.1.3", "the recipient address cannot be sent");
        else if (!t->utf8 && !is_ascii(r->address))
            delivery_status_set(&r->status, DELIVERY_BOUNCE, SCOPE_RECIPIENT, 0, "5.6.7",
                                "the recipient address needs SMTPUTF8, which the server does not offer");
    }
}

static unsigned open_recipients(const struct transaction *t)
{
    unsigned n = 0;
    for (unsigned i = 0; i < t->count; i++)
        n += is_open(&t->r[i]);
    return n;
}

static const char *step_name(const struct transaction *t, unsigned command)
{
    return command == 0 ? "MAIL" : command <= t->count ? "RCPT" : "DATA";
}

void smtp_client_put_mail(struct smtp_client *c, const struct smtp_message *m, bool eightbit, bool utf8)
{
    smtp_client_puts(c, "MAIL FROM:<");
    smtp_client_put(c, m->sender);
    smtp_client_puts(c, ">");
    if ((c->extensions & SMTP_SIZE) && m->size_bytes != 0) {
        smtp_client_puts(c, " SIZE=");
        smtp_client_put_u64(c, m->size_bytes);
    }
    smtp_client_puts(c, eightbit ? " BODY=8BITMIME" : "");
    smtp_client_puts(c, utf8 ? " SMTPUTF8" : "");
    if (!(c->extensions & SMTP_DSN))
        return;
    smtp_client_puts(c, m->ret == 'F' ? " RET=FULL" : m->ret == 'H' ? " RET=HDRS" : "");
    if (m->envid.len > 0) {
        smtp_client_puts(c, " ENVID=");
        smtp_client_put(c, m->envid);
    }
}

static void put_notify(struct smtp_client *c, uint8_t notify)
{
    static const struct {
        uint8_t bit;
        const char *word;
    } words[] = {
        { DSN_NOTIFY_NEVER, "NEVER" },
        { DSN_NOTIFY_SUCCESS, "SUCCESS" },
        { DSN_NOTIFY_FAILURE, "FAILURE" },
        { DSN_NOTIFY_DELAY, "DELAY" },
    };
    const char *before = " NOTIFY=";
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (!(notify & words[i].bit))
            continue;
        smtp_client_puts(c, before);
        smtp_client_puts(c, words[i].word);
        before = ",";
    }
}

void smtp_client_put_rcpt(struct smtp_client *c, const struct smtp_recipient *r)
{
    smtp_client_puts(c, "RCPT TO:<");
    smtp_client_put(c, r->address);
    smtp_client_puts(c, ">");
    if (!(c->extensions & SMTP_DSN))
        return;
    put_notify(c, r->notify);
    if (r->orcpt.len > 0) {
        smtp_client_puts(c, " ORCPT=");
        smtp_client_put(c, r->orcpt);
    }
}

static enum rc put_command(struct transaction *t, unsigned command)
{
    if (command == 0)
        smtp_client_put_mail(t->c, t->m, t->eightbit, t->utf8);
    else if (command <= t->count)
        smtp_client_put_rcpt(t->c, &t->r[command - 1]);
    else
        smtp_client_puts(t->c, "DATA");
    return smtp_client_end(t->c, step_name(t, command));
}

static enum rc take_mail_reply(struct transaction *t)
{
    t->mail_ok = t->c->reply.code < 300;
    if (t->mail_ok)
        return RC_OK;
    enum rc rc = smtp_client_refused(t->c, "MAIL");
    return rc == RC_REFUSED ? RC_OK : rc;
}

static enum rc take_rcpt_reply(struct transaction *t, struct smtp_recipient *r)
{
    if (!t->mail_ok)
        return RC_OK;
    struct smtp_client *c = t->c;
    if (c->reply.code >= 300 && c->reply.code < 400)
        return smtp_client_refused(c, "RCPT");
    delivery_status_from_reply(&r->status, "RCPT", c->reply.code, c->reply.enhanced, span_of(c->reply.text));
    t->accepted += r->status.result == DELIVERY_DONE;
    return RC_OK;
}

static enum rc take_data_reply(struct transaction *t)
{
    t->go = t->c->reply.code == 354;
    if (t->go)
        return RC_OK;
    if (t->accepted == 0 && t->c->reply.code >= 400)
        return RC_OK;
    enum rc rc = smtp_client_refused(t->c, "DATA");
    if (rc != RC_REFUSED)
        return rc;
    settle(t, &t->c->status);
    t->accepted = 0;
    return RC_OK;
}

static enum rc take_reply(struct transaction *t, unsigned command)
{
    enum rc rc = smtp_client_reply(t->c, step_name(t, command));
    if (rc != RC_OK)
        return rc;
    if (command == 0)
        return take_mail_reply(t);
    return command <= t->count ? take_rcpt_reply(t, &t->r[command - 1]) : take_data_reply(t);
}

static bool is_skipped(const struct transaction *t, unsigned command)
{
    return command >= 1 && command <= t->count && !is_open(&t->r[command - 1]);
}

/* Commands first..end - 1, then as many replies. A recipient becomes settled by its own reply only, so both loops skip the same. */
static enum rc one_flight(struct transaction *t, unsigned first, unsigned end)
{
    smtp_client_begin(t->c, SMTP_CLIENT_COMMAND_MS + (uint64_t)(end - first - 1) * FLIGHT_COMMAND_MS);
    enum rc rc = RC_OK;
    for (unsigned i = first; i < end && rc == RC_OK; i++)
        rc = is_skipped(t, i) ? RC_OK : put_command(t, i);
    for (unsigned i = first; i < end && rc == RC_OK; i++)
        rc = is_skipped(t, i) ? RC_OK : take_reply(t, i);
    return rc;
}

/* MAIL, RCPTs and DATA, as far as they make sense. */
static enum rc send_envelope(struct transaction *t)
{
    unsigned total = t->count + (t->chunking ? 1 : 2);
    unsigned flight = t->c->extensions & SMTP_PIPELINING ? FLIGHT_COMMANDS : 1;
    for (unsigned i = 0; i < total;) {
        bool pointless = i > 0 && (!t->mail_ok || (i > t->count && t->accepted == 0));
        if (pointless)
            break;
        unsigned end = total - i > flight ? i + flight : total;
        enum rc rc = one_flight(t, i, end);
        if (rc != RC_OK)
            return rc;
        i = end;
    }
    if (t->chunking)
        t->go = t->accepted > 0;
    if (!t->mail_ok)
        settle(t, &t->c->status); /* of the refused MAIL: nothing after it has touched it */
    return RC_OK;
}

static struct deadline block_deadline(const struct transaction *t)
{
    return deadline_earlier(t->body, deadline_in_ms(SMTP_CLIENT_DATA_BLOCK_MS));
}

/* A server that speaks before the message is complete has refused it (size, content) or is closing. */
static enum rc early_reply(struct transaction *t)
{
    struct smtp_client *c = t->c;
    if (t->deaf || !stream_readable(c->stream))
        return RC_OK;
    enum rc rc = smtp_reply_read(c->stream, &c->reply, NULL, NULL, deadline_in_ms(SMTP_CLIENT_EARLY_REPLY_MS));
    t->deaf = rc == RC_TIMEOUT;
    if (t->deaf)
        return RC_OK;
    if (rc != RC_OK)
        return smtp_client_lost(c, "end of data", rc);
    c->dead = true;
    return smtp_client_refused(c, "end of data");
}

/* The encoder of DATA, or the check of BDAT, over one block. */
struct body {
    struct smtp_stuff stuff;
    struct smtp_data check;
    uint64_t sent_bytes;
};

static enum smtp_data_event body_next(const struct transaction *t, struct body *b, struct span *in, struct span *out)
{
    return t->chunking ? smtp_data_next(&b->check, in, out) : smtp_stuff_next(&b->stuff, in, out);
}

static enum rc send_block(struct transaction *t, struct body *b, struct span block)
{
    struct span piece;
    enum smtp_data_event e;
    b->sent_bytes += block.len;
    if (t->m->size_bytes != 0 && b->sent_bytes > t->m->size_bytes)
        return smtp_client_cut_short(t->c, RC_CORRUPT);
    while ((e = body_next(t, b, &block, &piece)) == SMTP_DATA_BYTES) {
        enum rc rc = stream_write(t->c->stream, piece, block_deadline(t));
        if (rc != RC_OK)
            return smtp_client_lost(t->c, "message", rc);
    }
    return e == SMTP_DATA_MORE ? RC_OK : smtp_client_cut_short(t->c, RC_INVALID);
}

static enum rc send_end(struct transaction *t, struct body *b)
{
    struct span end;
    if (t->m->size_bytes != 0 && b->sent_bytes != t->m->size_bytes)
        return smtp_client_cut_short(t->c, RC_CORRUPT);
    enum smtp_data_event e = t->chunking ? smtp_data_finish(&b->check, &end) : smtp_stuff_finish(&b->stuff, &end);
    if (e != SMTP_DATA_END)
        return smtp_client_cut_short(t->c, RC_INVALID);
    enum rc rc = t->chunking ? RC_OK : stream_write(t->c->stream, end, block_deadline(t));
    return rc == RC_OK ? RC_OK : smtp_client_lost(t->c, "message", rc);
}

static enum rc put_bdat(struct transaction *t)
{
    smtp_client_begin(t->c, SMTP_CLIENT_COMMAND_MS);
    smtp_client_puts(t->c, "BDAT ");
    smtp_client_put_u64(t->c, t->m->size_bytes);
    smtp_client_puts(t->c, " LAST");
    return smtp_client_end(t->c, "BDAT");
}

static enum rc send_body(struct transaction *t, void *scratch, size_t cap)
{
    struct body b = { .sent_bytes = 0 };
    smtp_stuff_init(&b.stuff);
    smtp_data_init(&b.check, SMTP_BARE_REJECT, false);
    t->body = deadline_in_ms(SMTP_CLIENT_DATA_DONE_MS + t->m->size_bytes / SMTP_CLIENT_LEAST_BYTES_PER_MS);
    enum rc rc = t->chunking ? put_bdat(t) : RC_OK;
    while (rc == RC_OK) {
        size_t got = 0;
        rc = t->m->read(t->m->read_ctx, scratch, cap, &got);
        if (rc != RC_OK)
            return smtp_client_cut_short(t->c, rc);
        if (got == 0)
            return send_end(t, &b);
        rc = early_reply(t);
        if (rc == RC_OK)
            rc = send_block(t, &b, span_bytes(scratch, got));
    }
    return rc;
}

/* All is sent: from here on a lost connection leaves open whether the server has the message. */
static enum rc hear_verdict(struct transaction *t)
{
    struct smtp_client *c = t->c;
    c->most_ms = 0; /* who is in a hurry now gives the message twice */
    smtp_client_begin(c, SMTP_CLIENT_DATA_DONE_MS);
    enum rc rc = smtp_client_reply(c, "end of data");
    if (rc != RC_OK && rc != RC_REFUSED)
        delivery_status_set(&c->status, DELIVERY_WAIT, SCOPE_MESSAGE, 0, "4.4.2",
                            "no reply to the end of the message (%s): it may arrive twice", rc_name(rc));
    else if (rc == RC_OK && c->reply.code < 300)
        delivery_status_from_reply(&c->status, "end of data", c->reply.code, c->reply.enhanced, span_of(c->reply.text));
    else if (rc == RC_OK && (rc = smtp_client_refused(c, "end of data")) == RC_REFUSED)
        rc = RC_OK;
    return rc;
}

/* The server waits for a message although it took no recipient: end it at once (RFC 2920 section 3.1). */
static enum rc send_nothing(struct transaction *t)
{
    enum rc rc = smtp_client_command(t->c, "end of data", ".");
    if (rc == RC_OK && t->c->reply.code >= 300 && t->c->reply.code < 400)
        rc = smtp_client_refused(t->c, "end of data");
    return rc;
}

static enum rc forget_transaction(struct transaction *t)
{
    enum rc rc = smtp_client_command(t->c, "RSET", "RSET");
    if (rc == RC_OK && t->c->reply.code != 250) {
        rc = smtp_client_refused(t->c, "RSET");
        t->c->dead = true;
    }
    return rc;
}

static enum rc run(struct transaction *t, void *scratch, size_t cap)
{
    enum rc rc = send_envelope(t);
    if (rc == RC_OK && t->go && t->accepted == 0)
        return send_nothing(t);
    if (rc == RC_OK && !t->go)
        return t->mail_ok ? forget_transaction(t) : RC_OK;
    if (rc == RC_OK)
        rc = send_body(t, scratch, cap);
    if (rc == RC_OK)
        rc = hear_verdict(t);
    settle(t, &t->c->status);
    /* After a refused BDAT the server's state is open until RSET (RFC 3030 section 2). */
    return rc == RC_OK && t->chunking && t->c->reply.code >= 400 ? forget_transaction(t) : rc;
}

enum rc smtp_client_send(struct smtp_client *c, struct smtp_message *m, struct smtp_recipient *r, unsigned count, void *scratch,
                         size_t scratch_bytes)
{
    struct transaction t = { .c = c, .m = m, .r = r, .count = count };
    t.chunking = (c->extensions & SMTP_CHUNKING) && m->size_bytes != 0;
    for (unsigned i = 0; i < count; i++)
        r[i].status = (struct delivery_status){ .result = DELIVERY_WAIT };
    if (c->dead) {
        settle(&t, &c->status);
        return RC_CLOSED;
    }
    enum rc rc = choose_encoding(&t, scratch, scratch_bytes);
    if (rc != RC_OK) {
        delivery_status_from_rc(&c->status, "message", rc);
        settle(&t, &c->status);
        return RC_OK; /* the session has seen nothing of it */
    }
    check_envelope(&t);
    return open_recipients(&t) > 0 ? run(&t, scratch, scratch_bytes) : RC_OK;
}
