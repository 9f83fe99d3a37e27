/* A report in three parts: words for people, fields for programs, and the header of the mail (or all of it where RET=FULL asked and it is
 * small). Every line is short and every piece of foreign text was sanitised when it was stored. */
#include "firmware/dsn.h"

#include "hal/base/datetime.h"
#include "hal/random.h"
#include "net/smtp_address.h"
#include "net/smtp_client.h"

#define FULL_MAX_BYTES (256u * 1024)
#define HEADER_MAX_BYTES (32u * 1024)
#define LINE_MAX_BYTES 700

struct report {
    struct spool_writer w;
    const struct dsn *d;
    enum rc rc; /* the first failure: nothing is written after it */
    bool full;  /* the whole mail goes back, not its header alone */
    uint32_t mark[2];
};

static const struct {
    char action[8], subject[40], words[70];
} kinds[] PACKED_TABLE = {
    [DSN_FAILED] = { "failed", "Your mail could not be delivered", "Your mail could not be delivered to:" },
    [DSN_RELAYED] = { "relayed", "Your mail was passed on", "It was passed on to a server that gives no further notice, for:" },
    [DSN_DELAYED] = { "delayed", "Your mail is delayed", "Your mail could not be delivered yet to:" },
};
static const uint8_t classes[] = { [DSN_FAILED] = 5, [DSN_RELAYED] = 2, [DSN_DELAYED] = 4 };

static void put(struct report *r, const char *format, ...)
{
    char memory[LINE_MAX_BYTES];
    struct strbuf line = STRBUF(memory);
    va_list ap;
    va_start(ap, format);
    strbuf_vprintf(&line, format, ap);
    va_end(ap);
    strbuf_truncate(&line, LINE_MAX_BYTES - 3);
    strbuf_puts(&line, "\r\n");
    if (r->rc == RC_OK)
        r->rc = spool_write(&r->w, strbuf_span(&line));
}
#define put(r, ...) put(r, PACKED_FORMAT(__VA_ARGS__))

static void put_date(struct report *r, const char *name, int64_t at)
{
    char memory[48];
    struct strbuf date = STRBUF(memory);
    rfc5322_date_format(&date, at);
    if (at > 0)
        put(r, "%s: %s", name, memory);
}

static void put_boundary(struct report *r, const char *end)
{
    put(r, "--=_%08X%08X%s", (unsigned)r->mark[0], (unsigned)r->mark[1], end);
}

/* A field that came as xtext; what does not decode is left out. */
static void put_decoded(struct report *r, const char *name, const char *xtext)
{
    char memory[324];
    struct strbuf text = STRBUF(memory);
    if (xtext[0] && xtext_decode(span_of(xtext), &text) == RC_OK)
        put(r, "%s: %s", name, memory);
}

bool dsn_wanted(enum dsn_action action, const struct spool_envelope *e, const struct spool_recipient *to, const char *postmaster)
{
    if (!e->sender[0])
        return action == DSN_FAILED && postmaster[0] && !span_eq_nocase(span_of(postmaster), span_of(to->address));
    if (to->notify & DSN_NOTIFY_NEVER)
        return false;
    if (action == DSN_RELAYED)
        return (to->notify & DSN_NOTIFY_SUCCESS) != 0;
    if (action == DSN_DELAYED)
        return to->notify ? (to->notify & DSN_NOTIFY_DELAY) != 0 : e->origin == SPOOL_FROM_INSIDE;
    return !to->notify || (to->notify & DSN_NOTIFY_FAILURE) != 0;
}

static const char *addressee(const struct dsn *d)
{
    return d->envelope->sender[0] ? d->envelope->sender : d->postmaster;
}

static enum rc open_report(struct report *r)
{
    const struct dsn *d = r->d;
    struct spool_envelope e;
    struct spool_recipient to;
    memset(&e, 0, sizeof e);
    memset(&to, 0, sizeof to);
    e.received = d->now;
    e.origin = SPOOL_OWN;
    e.utf8 = d->envelope->utf8;
    e.body_8bit = e.utf8 || (r->full && d->envelope->body_8bit);
    struct strbuf address = STRBUF(to.address), domain = STRBUF(to.domain);
    strbuf_puts(&address, addressee(d));
    size_t at = span_find_last(strbuf_span(&address), '@');
    struct span text = at == SIZE_MAX ? span_of("") : span_from(strbuf_span(&address), at + 1);
    if (text.len && text.p[0] == '[')
        strbuf_add(&domain, text);
    else if (domain_canonical(text, &domain) != RC_OK)
        return RC_INVALID;
    enum rc rc = spool_begin(&r->w, d->chunk, &e, 0);
    return rc == RC_OK ? spool_add_recipient(&r->w, &to) : rc;
}

static void write_head(struct report *r)
{
    const struct dsn *d = r->d;
    put(r, "From: Mail gateway <postmaster@%s>\r\nTo: <%s>", d->host_name, addressee(d));
    put_date(r, "Date", d->now);
    put(r, "Message-ID: <%08X.%08X.%lld@%s>", (unsigned)r->w.id, (unsigned)d->id, (long long)d->now, d->host_name);
    put(r, "Subject: %s\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0", kinds[d->action].subject);
    put(r, "Content-Type: multipart/report; report-type=%sdelivery-status;\r\n boundary=\"=_%08X%08X\"\r\n",
        d->envelope->utf8 ? "global-" : "", (unsigned)r->mark[0], (unsigned)r->mark[1]);
}

/* What a person can do about a status, or NULL. */
static const char *advice(const uint8_t enhanced[3])
{
    uint8_t subject = enhanced[1], detail = enhanced[2];
    if (subject == 1)
        return PACKED("Please check the address for typing errors.");
    if (subject == 2 && detail == 2)
        return PACKED("The mailbox is full: tell its owner.");
    if (subject == 3 && detail == 4)
        return PACKED("The mail is too big for that server: send less at a time.");
    if (subject == 4 && detail == 7)
        return PACKED("Ask the recipient by other means.");
    if (subject == 7 && detail == 5)
        return PACKED("That domain has promised encryption that its server did not show, so nothing was sent to it unprotected. "
                      "Its postmaster has to mend that; who runs this gateway may make an exception.");
    return subject == 7 ? PACKED("That server has rules of its own; its words say why.") : NULL;
}

static void write_words(struct report *r)
{
    const struct dsn *d = r->d;
    put_boundary(r, "");
    put(r, "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: %s\r\n", d->envelope->utf8 ? "8bit" : "7bit");
    put(r, "This is the mail gateway %s.\r\n\r\n%s", d->host_name, kinds[d->action].words);
    for (unsigned i = 0; i < d->count; i++) {
        put(r, "\r\n  <%s>\r\n    %s", d->recipient[i].to->address, d->recipient[i].status->text);
        const char *words = d->action == DSN_RELAYED ? NULL : advice(d->recipient[i].status->enhanced);
        if (words)
            put(r, "    %s", words);
    }
    if (d->action == DSN_DELAYED) {
        put_date(r, PACKED("\r\nYou need not send it again. It is tried until"), d->until);
    } else if (d->action == DSN_FAILED) {
        put(r, "\r\nNothing further will be tried.");
    }
    put(r, "\r\n%s of your mail follows.\r\n", r->full ? PACKED("The whole") : PACKED("The header"));
}

/* What attempt.c's texts hold: "HOST: at STEP the server said: REPLY". */
static void put_reply(struct report *r, const char *text)
{
    const char *at = strstr(text, ": at "), *said = strstr(text, " the server said: ");
    const char *host = at;
    if (!at || !said || said < at)
        return;
    while (host > text && host[-1] != ' ')
        host--;
    put(r, "Remote-MTA: dns; %.*s", (int)(at - host), host);
    put(r, "Diagnostic-Code: smtp; %s", said + sizeof " the server said: " - 1);
}

static void write_recipient_fields(struct report *r, const struct dsn_recipient *to)
{
    const uint8_t *e = to->status->enhanced;
    put(r, "%s", "");
    put_decoded(r, PACKED("Original-Recipient"), to->to->orcpt);
    put(r, "Final-Recipient: %s; %s", r->d->envelope->utf8 ? "utf-8" : "rfc822", to->to->address);
    put(r, "Action: %s\r\nStatus: %u.%u.%u", kinds[r->d->action].action, classes[r->d->action], e[1], e[2]);
    put_reply(r, to->status->text);
    put_date(r, PACKED("Last-Attempt-Date"), r->d->now);
    if (r->d->action == DSN_DELAYED)
        put_date(r, PACKED("Will-Retry-Until"), r->d->until);
}

static void write_fields(struct report *r)
{
    const struct dsn *d = r->d;
    put_boundary(r, "");
    put(r, "Content-Type: message/%sdelivery-status\r\n", d->envelope->utf8 ? "global-" : "");
    put(r, "Reporting-MTA: dns; %s", d->host_name);
    put_decoded(r, PACKED("Original-Envelope-Id"), d->envelope->envid);
    put_date(r, PACKED("Arrival-Date"), d->envelope->received);
    for (unsigned i = 0; i < d->count; i++)
        write_recipient_fields(r, &d->recipient[i]);
    put(r, "%s", "");
}

/* Length of the header in buf, its last line end included, or len when the empty line is not in it. *state: matched bytes of CRLFCRLF. */
static size_t header_part(const char *buf, size_t len, unsigned *state)
{
    static const char end[] = "\r\n\r\n";
    for (size_t i = 0; i < len; i++) {
        *state = buf[i] == end[*state] ? *state + 1 : buf[i] == '\r' ? 1 : 0;
        if (*state == 4)
            return i + 1;
    }
    return len;
}

static void hide_8bit(char *buf, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)buf[i] >= 0x80)
            buf[i] = '?';
}

static enum rc copy_original(struct report *r)
{
    char buf[512];
    struct spool_reader body;
    size_t got = 0, copied = 0;
    unsigned state = 0;
    enum rc rc = spool_body_open(&body, r->d->id);
    while (rc == RC_OK && state < 4 && copied < (r->full ? FULL_MAX_BYTES : HEADER_MAX_BYTES)) {
        rc = spool_body_read(&body, buf, sizeof buf, &got);
        if (rc != RC_OK || !got)
            break;
        size_t take = r->full ? got : header_part(buf, got, &state);
        if (!r->full && !r->d->envelope->utf8)
            hide_8bit(buf, take); /* raw 8-bit text in a header has no meaning, and must not keep the report from its way */
        rc = spool_write(&r->w, span_bytes(buf, take));
        copied += take;
    }
    return rc == RC_CORRUPT || rc == RC_NOT_FOUND ? RC_OK : rc; /* the report goes also without what cannot be read any more */
}

static void write_original(struct report *r)
{
    static const char types[2][2][24] PACKED_TABLE = { { "text/rfc822-headers", "message/rfc822" },
                                                       { "message/global-headers", "message/global" } };
    bool utf8 = r->d->envelope->utf8;
    put_boundary(r, "");
    put(r, "Content-Type: %s\r\nContent-Transfer-Encoding: %s\r\n", types[utf8][r->full],
        utf8 || (r->full && r->d->envelope->body_8bit) ? "8bit" : "7bit");
    if (r->rc == RC_OK)
        r->rc = copy_original(r);
    put(r, "%s", "");
    put_boundary(r, "--");
}

static bool goes_back_whole(const struct dsn *d)
{
    struct spool_entry entry;
    return d->envelope->ret == 'F' && d->action == DSN_FAILED && spool_lookup(d->id, &entry) && entry.size_bytes <= FULL_MAX_BYTES;
}

enum rc dsn_write(const struct dsn *d, uint32_t *id)
{
    struct report report, *r = &report;
    memset(r, 0, sizeof *r);
    r->d = d;
    r->full = goes_back_whole(d);
    r->mark[0] = random_u32();
    r->mark[1] = random_u32();
    r->rc = open_report(r);
    if (r->rc == RC_OK) {
        write_head(r);
        write_words(r);
        write_fields(r);
        write_original(r);
    }
    if (r->rc == RC_OK)
        return spool_commit(&r->w, id);
    if (r->w.open)
        spool_abort(&r->w);
    return r->rc;
}
