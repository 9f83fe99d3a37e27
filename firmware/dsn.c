/* A report in three parts: words for people, fields for programs, and the header of the mail (or all of it where RET=FULL asked and it is
 * small). Every line is short and every piece of foreign text was sanitised when it was stored. */
#include "firmware/dsn.h"

#include "hal/base/datetime.h"
#include "net/smtp_client.h"

#define FULL_MAX_BYTES (256u * 1024)
#define HEADER_MAX_BYTES (32u * 1024)
#define LINE_MAX_BYTES 700

static enum rc put(struct spool_writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

static enum rc put(struct spool_writer *w, const char *format, ...)
{
    char memory[LINE_MAX_BYTES];
    struct strbuf line = STRBUF(memory);
    va_list ap;
    va_start(ap, format);
    strbuf_vprintf(&line, format, ap);
    va_end(ap);
    strbuf_truncate(&line, LINE_MAX_BYTES - 3);
    strbuf_puts(&line, "\r\n");
    return spool_write(w, strbuf_span(&line));
}

bool dsn_wanted(enum dsn_action action, const struct spool_envelope *e, const struct spool_recipient *to, const char *postmaster)
{
    if (!e->sender[0])
        return action == DSN_FAILED && postmaster[0] && !span_eq_nocase(span_of(postmaster), span_of(to->address));
    if (to->notify & DSN_NOTIFY_NEVER)
        return false;
    if (action == DSN_RELAYED)
        return (to->notify & DSN_NOTIFY_SUCCESS) != 0;
    return !to->notify || (to->notify & DSN_NOTIFY_FAILURE) != 0;
}

static const char *addressee(const struct dsn *d)
{
    return d->envelope->sender[0] ? d->envelope->sender : d->postmaster;
}

static enum rc open_report(struct spool_writer *w, const struct dsn *d)
{
    struct spool_envelope e;
    struct spool_recipient r;
    memset(&e, 0, sizeof e);
    memset(&r, 0, sizeof r);
    e.received = d->now;
    e.origin = SPOOL_OWN;
    e.utf8 = d->envelope->utf8;
    struct strbuf address = STRBUF(r.address), domain = STRBUF(r.domain);
    strbuf_puts(&address, addressee(d));
    size_t at = span_find_last(strbuf_span(&address), '@');
    struct span text = at == SIZE_MAX ? span_of("") : span_from(strbuf_span(&address), at + 1);
    if (text.len && text.p[0] == '[')
        strbuf_add(&domain, text);
    else if (domain_canonical(text, &domain) != RC_OK)
        return RC_INVALID;
    enum rc rc = spool_begin(w, d->chunk, &e, 0);
    return rc == RC_OK ? spool_add_recipient(w, &r) : rc;
}

static enum rc write_head(struct spool_writer *w, const struct dsn *d)
{
    char memory[48];
    struct strbuf date = STRBUF(memory);
    rfc5322_date_format(&date, d->now);
    enum rc rc = put(w, "From: Mail gateway <postmaster@%s>", d->host_name);
    if (rc == RC_OK)
        rc = put(w, "To: <%s>", addressee(d));
    if (rc == RC_OK)
        rc = put(w, "Date: %s", memory);
    if (rc == RC_OK)
        rc = put(w, "Message-ID: <%08X.%08X.%lld@%s>", (unsigned)w->id, (unsigned)d->id, (long long)d->now, d->host_name);
    if (rc == RC_OK)
        rc = put(w, "Subject: %s", d->action == DSN_FAILED ? "Your mail could not be delivered" : "Your mail was passed on");
    if (rc == RC_OK)
        rc = put(w,
                 "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
                 "Content-Type: multipart/report; report-type=delivery-status; boundary=\"=_%08X\"\r\n",
                 (unsigned)w->id);
    return rc;
}

static enum rc write_words(struct spool_writer *w, const struct dsn *d)
{
    enum rc rc = put(w,
                     "--=_%08X\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
                     "This is the mail gateway %s.\r\n",
                     (unsigned)w->id, d->host_name);
    if (rc == RC_OK)
        rc = put(w, d->action == DSN_FAILED ? "Your mail could not be delivered to:"
                                            : "Your mail was passed on to a server that gives no further notice, for:");
    for (unsigned i = 0; i < d->count && rc == RC_OK; i++)
        rc = put(w, "\r\n  <%s>\r\n    %s", d->recipient[i].to->address, d->recipient[i].status->text);
    if (rc == RC_OK && d->action == DSN_FAILED)
        rc = put(w, "\r\nNothing further will be tried. The header of your mail is below.");
    return rc == RC_OK ? put(w, "%s", "") : rc;
}

static enum rc write_recipient_fields(struct spool_writer *w, const struct dsn *d, const struct dsn_recipient *r)
{
    const uint8_t *e = r->status->enhanced;
    enum rc rc = put(w, "%s", "");
    if (rc == RC_OK && r->to->orcpt[0])
        rc = put(w, "Original-Recipient: %s", r->to->orcpt);
    if (rc == RC_OK)
        rc = put(w, "Final-Recipient: %s; %s", d->envelope->utf8 ? "utf-8" : "rfc822", r->to->address);
    if (rc == RC_OK)
        rc = put(w, "Action: %s", d->action == DSN_FAILED ? "failed" : "relayed");
    if (rc == RC_OK)
        rc = e[0] ? put(w, "Status: %u.%u.%u", e[0], e[1], e[2])
                  : put(w, "Status: %s", d->action == DSN_FAILED ? "5.0.0" : "2.0.0");
    if (rc == RC_OK && d->remote_host[0])
        rc = put(w, "Remote-MTA: dns; %s", d->remote_host);
    if (rc == RC_OK && r->status->code)
        rc = put(w, "Diagnostic-Code: smtp; %u %s", r->status->code, r->status->text);
    return rc;
}

static enum rc write_fields(struct spool_writer *w, const struct dsn *d)
{
    char memory[48];
    struct strbuf date = STRBUF(memory);
    enum rc rc = put(w, "--=_%08X\r\nContent-Type: message/%sdelivery-status\r\n", (unsigned)w->id,
                     d->envelope->utf8 ? "global-" : "");
    if (rc == RC_OK)
        rc = put(w, "Reporting-MTA: dns; %s", d->host_name);
    if (rc == RC_OK && d->envelope->envid[0])
        rc = put(w, "Original-Envelope-Id: %s", d->envelope->envid);
    if (rc == RC_OK && d->envelope->received) {
        rfc5322_date_format(&date, d->envelope->received);
        rc = put(w, "Arrival-Date: %s", memory);
    }
    for (unsigned i = 0; i < d->count && rc == RC_OK; i++)
        rc = write_recipient_fields(w, d, &d->recipient[i]);
    return rc == RC_OK ? put(w, "%s", "") : rc;
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

static enum rc copy_original(struct spool_writer *w, const struct dsn *d, bool full)
{
    char buf[512];
    struct spool_reader r;
    size_t got = 0, copied = 0;
    unsigned state = 0;
    enum rc rc = spool_body_open(&r, d->id);
    while (rc == RC_OK && state < 4 && copied < (full ? FULL_MAX_BYTES : HEADER_MAX_BYTES)) {
        rc = spool_body_read(&r, buf, sizeof buf, &got);
        if (rc != RC_OK || !got)
            break;
        size_t take = full ? got : header_part(buf, got, &state);
        rc = spool_write(w, span_bytes(buf, take));
        copied += take;
    }
    return rc == RC_CORRUPT || rc == RC_NOT_FOUND ? RC_OK : rc; /* the report goes also without what cannot be read any more */
}

static enum rc write_original(struct spool_writer *w, const struct dsn *d)
{
    struct spool_entry entry;
    bool full = d->envelope->ret == 'F' && d->action == DSN_FAILED && spool_lookup(d->id, &entry) &&
                entry.size_bytes <= FULL_MAX_BYTES;
    enum rc rc = put(w, "--=_%08X\r\nContent-Type: %s\r\n", (unsigned)w->id, full ? "message/rfc822" : "text/rfc822-headers");
    if (rc == RC_OK)
        rc = copy_original(w, d, full);
    return rc == RC_OK ? put(w, "\r\n--=_%08X--", (unsigned)w->id) : rc;
}

enum rc dsn_write(const struct dsn *d, uint32_t *id)
{
    struct spool_writer w;
    memset(&w, 0, sizeof w);
    enum rc rc = open_report(&w, d);
    if (rc == RC_OK)
        rc = write_head(&w, d);
    if (rc == RC_OK)
        rc = write_words(&w, d);
    if (rc == RC_OK)
        rc = write_fields(&w, d);
    if (rc == RC_OK)
        rc = write_original(&w, d);
    if (rc == RC_OK)
        return spool_commit(&w, id);
    if (w.open)
        spool_abort(&w);
    return rc;
}
