/* One transaction step by step, for a mail that is still coming in. DATA carries it, for its size is not known before its end.
 *
 * Invariant: a message whose bytes were begun is ended by smtp_client_pass_end alone; whatever else ends it cuts the connection, so that
 * the server drops what it has. */
#include "net/smtp_client_private.h"

static enum rc hear(struct smtp_client *c, const char *step)
{
    enum rc rc = smtp_client_end(c, step);
    if (rc == RC_OK)
        rc = smtp_client_reply(c, step);
    return rc == RC_OK && c->reply.code >= 300 && c->reply.code < 400 ? smtp_client_refused(c, step) : rc;
}

enum rc smtp_client_pass_mail(struct smtp_client *c, const struct smtp_message *m)
{
    smtp_client_begin(c, SMTP_CLIENT_COMMAND_MS);
    smtp_client_put_mail(c, m, m->body == SMTP_BODY_8BITMIME && (c->extensions & SMTP_8BITMIME),
                         m->utf8 && (c->extensions & SMTP_SMTPUTF8));
    return hear(c, "MAIL");
}

enum rc smtp_client_pass_rcpt(struct smtp_client *c, const struct smtp_recipient *r)
{
    smtp_client_begin(c, SMTP_CLIENT_COMMAND_MS);
    smtp_client_put_rcpt(c, r);
    return hear(c, "RCPT");
}

enum rc smtp_client_pass_data(struct smtp_client *c, struct smtp_stuff *stuff)
{
    smtp_stuff_init(stuff);
    enum rc rc = smtp_client_command(c, "DATA", "DATA");
    if (rc != RC_OK || c->reply.code == 354 || c->reply.code >= 400)
        return rc;
    return smtp_client_refused(c, "DATA");
}

static enum rc early_reply(struct smtp_client *c)
{
    smtp_client_begin(c, SMTP_CLIENT_EARLY_REPLY_MS);
    enum rc rc = smtp_client_reply(c, "end of data");
    if (rc == RC_OK)
        rc = smtp_client_refused(c, "end of data");
    c->dead = true;
    return rc;
}

enum rc smtp_client_pass_write(struct smtp_client *c, struct smtp_stuff *stuff, struct span bytes)
{
    struct span piece;
    enum smtp_data_event e;
    if (stream_readable(c->stream))
        return early_reply(c);
    smtp_client_begin(c, SMTP_CLIENT_DATA_BLOCK_MS);
    while ((e = smtp_stuff_next(stuff, &bytes, &piece)) == SMTP_DATA_BYTES) {
        enum rc rc = stream_write(c->stream, piece, c->step);
        if (rc != RC_OK)
            return smtp_client_cut_short(c, rc);
    }
    return e == SMTP_DATA_MORE ? RC_OK : smtp_client_cut_short(c, RC_INVALID);
}

enum rc smtp_client_pass_end(struct smtp_client *c, struct smtp_stuff *stuff)
{
    struct span end;
    if (smtp_stuff_finish(stuff, &end) != SMTP_DATA_END)
        return smtp_client_cut_short(c, RC_INVALID);
    smtp_client_begin(c, SMTP_CLIENT_DATA_DONE_MS);
    enum rc rc = c->put == RC_OK ? stream_write(c->stream, end, c->step) : c->put;
    if (rc == RC_OK)
        rc = smtp_client_reply(c, "end of data");
    else
        rc = smtp_client_lost(c, "message", rc);
    return rc == RC_OK && c->reply.code >= 300 && c->reply.code < 400 ? smtp_client_refused(c, "end of data") : rc;
}

enum rc smtp_client_pass_reset(struct smtp_client *c)
{
    enum rc rc = smtp_client_command(c, "RSET", "RSET");
    if (rc == RC_OK && c->reply.code != 250)
        rc = smtp_client_lost(c, "RSET", RC_PROTOCOL);
    return rc;
}

void smtp_client_cut(struct smtp_client *c)
{
    c->dead = true;
    stream_abort(c->stream);
}
