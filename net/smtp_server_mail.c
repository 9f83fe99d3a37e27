/* The transaction of a session: MAIL, RCPT, then DATA or BDAT, and what the owner is told of it.
 *
 * Invariants: after ops->mail accepted, the owner hears exactly one of done and abort. Message bytes go to the owner only
 * through take_piece, so size and refusal are judged in one place. A refused message is still read to its end (DATA) or to
 * the end of its chunk (BDAT), for what follows it must not be taken for commands; a bare CR or LF closes the session, for
 * there the two sides may disagree about where the message ends. */
#include "net/smtp_server_private.h"

#include "net/smtp_command.h"

/* How much of a message that is refused already is read and dropped, where no size limit says it. */
#define DROP_BYTES_MAX (64u * 1024 * 1024)
#define RCPT_COMMANDS_FACTOR 10

void smtp_server_reset(struct smtp_server *s)
{
    if (s->owner_open)
        s->params->ops->abort(s->params->ctx);
    s->owner_open = false;
    s->mail_open = false;
    s->in_data = false;
    s->chunking = false;
    s->drop = false;
    s->recipients = 0;
    s->rcpt_commands = 0;
    s->data_bytes = s->data_received = s->data_dropped = s->data_waited_ms = 0;
}

static void renew_session(struct smtp_server *s)
{
    uint32_t ms = s->params->limits.session_ms;
    s->session = ms != 0 ? deadline_in_ms(ms) : deadline_never();
}

/* An owner that fills nothing refuses for now; one that fills nonsense as well. */
static void check_answer(struct smtp_answer *a)
{
    if (a->code < 200 || a->code > 599)
        smtp_answer(a, 451, "4.3.0", "local error, try again later");
}

static void prepare_answer(struct smtp_answer *a)
{
    smtp_answer(a, 451, "4.3.0", "local error, try again later");
}

static enum rc refuse_answer(struct smtp_server *s)
{
    s->errors++;
    return smtp_server_say(s, &s->answer);
}

enum rc smtp_server_mail(struct smtp_server *s, struct span args)
{
    if (s->helo[0] == '\0')
        return smtp_server_refuse(s, 503, "5.5.1", PACKED("say EHLO first"));
    if (s->mail_open)
        return smtp_server_refuse(s, 503, "5.5.1", PACKED("a mail is under way already"));
    uint64_t size_max = s->params->limits.size_max;
    if (!smtp_command_mail(args, &s->mail, &s->answer))
        return refuse_answer(s);
    if (size_max != 0 && s->mail.declared_bytes > size_max)
        return smtp_server_refuse(s, 552, "5.3.4", PACKED("the message is bigger than this server takes"));
    prepare_answer(&s->answer);
    s->params->ops->mail(s->params->ctx, s, &s->mail, &s->answer);
    check_answer(&s->answer);
    if (s->answer.code < 400) {
        s->mail_open = s->owner_open = true;
        renew_session(s);
    } else if (s->answer.code < 500) {
        s->idle_commands++;
    } else {
        s->errors++;
    }
    return smtp_server_say(s, &s->answer);
}

enum rc smtp_server_rcpt(struct smtp_server *s, struct span args)
{
    unsigned max = s->params->limits.recipients_max;
    if (!s->mail_open || s->in_data)
        return smtp_server_refuse(s, 503, "5.5.1", s->in_data ? PACKED("the message has begun") : PACKED("say MAIL first"));
    if (s->rcpt_commands++ >= max * RCPT_COMMANDS_FACTOR)
        return smtp_server_last(s, RC_PROTOCOL, true, 421, "4.5.3", PACKED("too many recipients, far too many"));
    if (s->recipients >= max)
        return smtp_server_reply(s, 452, "4.5.3", PACKED("too many recipients, send the rest in another mail"));
    if (!smtp_command_rcpt(args, &s->rcpt, &s->answer))
        return refuse_answer(s);
    if (s->rcpt.address.utf8 && !s->mail.utf8)
        return smtp_server_refuse(s, 553, "5.6.7", PACKED("an address beyond ASCII needs SMTPUTF8 on MAIL"));
    prepare_answer(&s->answer);
    s->params->ops->rcpt(s->params->ctx, s, &s->rcpt, &s->answer);
    check_answer(&s->answer);
    if (s->answer.code < 400)
        s->recipients++;
    else if (s->answer.code >= 500)
        s->errors++;
    return smtp_server_say(s, &s->answer);
}

/* Lets the owner open the message; a refusal is in s->answer and the transaction is over. */
static bool open_message(struct smtp_server *s, bool chunking)
{
    prepare_answer(&s->answer);
    s->params->ops->data(s->params->ctx, s, &s->answer);
    check_answer(&s->answer);
    if (s->answer.code >= 400) {
        smtp_server_reset(s);
        return false;
    }
    smtp_data_init(&s->decoder, s->params->ops->line_ends(s->params->ctx), !chunking);
    s->in_data = true;
    s->chunking = chunking;
    return true;
}

/* From here on the message's bytes are dropped; s->answer waits for its end. */
static void drop_message(struct smtp_server *s, enum rc rc)
{
    if (s->owner_open)
        s->params->ops->abort(s->params->ctx);
    s->owner_open = false;
    s->drop = true;
    switch (rc) {
    case RC_FULL:
        smtp_answer(&s->answer, 452, "4.3.1", "no room for this message now");
        break;
    case RC_TOO_LONG:
        smtp_answer(&s->answer, 552, "5.3.4", "the message is bigger than this server takes");
        break;
    case RC_REFUSED:
        smtp_answer(&s->answer, 554, "5.4.6", "mail loop: too many Received lines");
        break;
    case RC_INVALID:
        smtp_answer(&s->answer, 550, "5.6.0", "malformed message");
        break;
    default:
        prepare_answer(&s->answer);
        break;
    }
}

static void take_piece(struct smtp_server *s, struct span piece)
{
    uint64_t size_max = s->params->limits.size_max;
    s->data_bytes += piece.len;
    if (s->drop) {
        s->data_dropped += piece.len;
        return;
    }
    if (size_max != 0 && s->data_bytes > size_max) {
        drop_message(s, RC_TOO_LONG);
        return;
    }
    enum rc rc = s->params->ops->write(s->params->ctx, piece);
    if (rc != RC_OK)
        drop_message(s, rc);
}

static uint64_t drop_bytes_max(const struct smtp_server *s)
{
    uint64_t size_max = s->params->limits.size_max;
    return size_max != 0 ? size_max + 65536 : DROP_BYTES_MAX;
}

/* Feeds bytes to the decoder. SMTP_DATA_MORE, SMTP_DATA_END with what is left in *in, or a refusal. */
static enum smtp_data_event feed(struct smtp_server *s, struct span *in)
{
    struct span piece;
    enum smtp_data_event e;
    while ((e = smtp_data_next(&s->decoder, in, &piece)) == SMTP_DATA_BYTES)
        take_piece(s, piece);
    return e;
}

static enum rc refuse_bytes(struct smtp_server *s, enum smtp_data_event e)
{
    const char *why = e == SMTP_DATA_BARE_LF   ? PACKED("a bare LF in the message: lines end in CRLF")
                      : e == SMTP_DATA_BARE_CR ? PACKED("a bare CR in the message: lines end in CRLF")
                                               : PACKED("a NUL in the message");
    return smtp_server_last(s, RC_PROTOCOL, true, 550, "5.6.0", why);
}

/* The whole message is in: the owner's word on it, or our refusal. */
static enum rc finish_message(struct smtp_server *s)
{
    if (!s->drop) {
        prepare_answer(&s->answer);
        s->params->ops->done(s->params->ctx, s, &s->answer);
        check_answer(&s->answer);
        s->owner_open = false;
    }
    if (s->answer.code >= 500) {
        s->errors++;
    } else if (s->answer.code >= 300) {
        s->idle_commands++;
    } else {
        s->mails_taken++;
        s->idle_commands = 0;
    }
    smtp_server_reset(s);
    renew_session(s);
    return smtp_server_say(s, &s->answer);
}

static enum rc wait_for_bytes(struct smtp_server *s)
{
    uint64_t since_ms = clock_ms();
    enum rc rc = stream_fill(s->stream, smtp_server_patience(s, s->params->limits.data_block_ms));
    smtp_server_waited(s, since_ms);
    return smtp_server_wait_result(s, rc);
}

static enum rc receive_data(struct smtp_server *s)
{
    enum smtp_data_event e;
    do {
        enum rc rc = wait_for_bytes(s);
        if (rc != RC_OK)
            return smtp_server_gone(s, rc);
        struct span have = stream_peek(s->stream);
        struct span left = have;
        e = feed(s, &left);
        s->data_received += have.len - left.len;
        stream_skip(s->stream, have.len - left.len);
        if (e == SMTP_DATA_MORE && s->data_dropped > drop_bytes_max(s))
            return smtp_server_last(s, RC_PROTOCOL, true, 552, "5.3.4", PACKED("the message does not end"));
    } while (e == SMTP_DATA_MORE);
    return e == SMTP_DATA_END ? finish_message(s) : refuse_bytes(s, e);
}

enum rc smtp_server_data(struct smtp_server *s, struct span args)
{
    if (args.len > 0)
        return smtp_server_refuse(s, 501, "5.5.4", PACKED("DATA takes no parameters"));
    if (!s->mail_open || s->in_data)
        return smtp_server_refuse(s, 503, "5.5.1", s->in_data ? PACKED("BDAT has begun") : PACKED("say MAIL first"));
    if (s->recipients == 0)
        return smtp_server_refuse(s, 554, "5.5.1", PACKED("no valid recipients"));
    bool open = open_message(s, false);
    enum rc rc = smtp_server_say(s, &s->answer);
    return rc == RC_OK && open && !s->ending ? receive_data(s) : rc;
}

/* Reads a chunk; its bytes go to the message, or nowhere. */
static enum rc receive_chunk(struct smtp_server *s, uint64_t size_bytes, bool keep, enum smtp_data_event *e)
{
    *e = SMTP_DATA_MORE;
    while (size_bytes > 0 && *e == SMTP_DATA_MORE) {
        enum rc rc = wait_for_bytes(s);
        if (rc != RC_OK)
            return rc;
        struct span have = stream_peek(s->stream);
        struct span piece = size_bytes < have.len ? span_sub(have, 0, (size_t)size_bytes) : have;
        struct span left = piece;
        if (keep)
            *e = feed(s, &left);
        s->data_received += piece.len;
        stream_skip(s->stream, piece.len);
        size_bytes -= piece.len;
    }
    return RC_OK;
}

/* A chunk that cannot be part of a message: read and dropped, then refused with s->answer (RFC 3030 section 2). */
static enum rc refuse_chunk(struct smtp_server *s, uint64_t size_bytes)
{
    s->errors++;
    if (size_bytes > drop_bytes_max(s)) {
        s->answer.close = s->linger = true;
        s->end = RC_PROTOCOL;
        return smtp_server_say(s, &s->answer);
    }
    enum smtp_data_event unused;
    s->in_data = true; /* the least data rate holds for these bytes too */
    enum rc rc = receive_chunk(s, size_bytes, false, &unused);
    s->in_data = false;
    s->data_received = s->data_waited_ms = 0;
    return rc == RC_OK ? smtp_server_say(s, &s->answer) : smtp_server_gone(s, rc);
}

/* True when a chunk may come now; the first one opens the message. Else the refusal is in s->answer. */
static bool chunk_allowed(struct smtp_server *s, uint64_t size_bytes)
{
    uint64_t size_max = s->params->limits.size_max;
    if (!s->mail_open) {
        smtp_answer(&s->answer, 503, "5.5.1", "say MAIL first");
    } else if (s->recipients == 0) {
        smtp_answer(&s->answer, 554, "5.5.1", "no valid recipients");
    } else if (size_max != 0 && (size_bytes > size_max || s->data_bytes > size_max - size_bytes)) {
        smtp_server_reset(s);
        smtp_answer(&s->answer, 552, "5.3.4", "the message is bigger than this server takes");
    } else {
        return s->in_data || open_message(s, true);
    }
    return false;
}

static enum smtp_data_event finish_chunks(struct smtp_server *s)
{
    struct span piece;
    enum smtp_data_event e;
    while ((e = smtp_data_finish(&s->decoder, &piece)) == SMTP_DATA_BYTES)
        take_piece(s, piece);
    return e;
}

enum rc smtp_server_bdat(struct smtp_server *s, struct span args)
{
    uint64_t size_bytes;
    bool last;
    if (!smtp_command_bdat(args, &size_bytes, &last))
        return smtp_server_last(s, RC_PROTOCOL, true, 501, "5.5.4", PACKED("malformed BDAT"));
    if (!chunk_allowed(s, size_bytes))
        return refuse_chunk(s, size_bytes);
    if (size_bytes == 0 && !last)
        s->idle_commands++;
    enum smtp_data_event e;
    enum rc rc = receive_chunk(s, size_bytes, true, &e);
    if (rc != RC_OK)
        return smtp_server_gone(s, rc);
    if (e == SMTP_DATA_MORE && last)
        e = finish_chunks(s);
    if (e != SMTP_DATA_MORE && e != SMTP_DATA_END)
        return refuse_bytes(s, e);
    if (e == SMTP_DATA_END || s->drop)
        return finish_message(s);
    return smtp_server_reply(s, 250, "2.0.0", PACKED("chunk taken"));
}
