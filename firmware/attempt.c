/* Connect, STARTTLS, verdict, transaction. After a TLS failure opportunistic mail may go in plaintext, on a new connection only. */
#include "firmware/attempt.h"

#include "firmware/alerts.h"
#include "firmware/counters.h"
#include "firmware/delivery.h"
#include "firmware/domain_check.h"
#include "firmware/inside_trust.h"
#include "firmware/list_store.h"
#include "firmware/setting_value.h"
#include "firmware/wallclock.h"
#include "hal/base/log.h"
#include "net/proxy_protocol.h"

#define CONNECT_MS 30000
#define RESOLVE_MS 20000
#define IMPLICIT_TLS_PORT 465
#define CREDENTIAL_MAX 256
#define HANDSHAKE_MS 60000
#define LENT_STEP_MS 10000  /* a sender waits for it */
#define CHECK_STEP_MS 20000 /* the operator */
#define NAME_SHOWN 100
#define SESSION_MAILS 50 /* in one session, and how long it may take to begin the last one: others want a turn */
#define SESSION_MS 60000
#define SESSION_IDLE_MS 1000 /* it waits so long for another mail */

enum try_result { TRY_DONE /* recipients have their status */, TRY_NEXT, TRY_PLAINTEXT, TRY_CANCELLED };

void attempt_known(struct verdict_domain *v, struct list_entry *entry, struct span domain, const struct next_hop *hop)
{
    memset(v, 0, sizeof *v);
    v->domain = domain;
    v->now = wallclock_trusted();
    if (hop)
        next_hop_demand(hop, v);
    if (v->local.present || (domain.len && domain.p[0] == '['))
        return;
    const char *exception = settings_get_member("mail.exception.", domain);
    v->exception.present = exception && setting_exception_parse(span_of(exception), &v->exception.until, &v->exception.reason);
    list_store_look_up(domain, entry, v);
}

enum next_hop_kind delivery_policy(struct span domain, struct next_hop *hop, struct verdict_domain *known, struct list_entry *entry,
                                   struct verdict *v)
{
    memset(hop, 0, sizeof *hop);
    hop->kind = next_hop_kind_of(domain);
    hop->count = 1;
    const char *host = hop->kind == HOP_INSIDE      ? settings_get("mail.inside")
                       : hop->kind == HOP_SMARTHOST ? settings_get("mail.smarthost")
                       : hop->kind == HOP_ROUTE     ? settings_get_member("mail.route.", domain)
                                                    : "";
    strbuf_copy(hop->host[0].name, sizeof hop->host[0].name, host);
    attempt_known(known, entry, domain, hop);
    verdict_for_domain(v, known);
    return hop->kind;
}

void attempt_own_name(struct delivery_slot *s)
{
    const char *name = settings_get("host.name");
    strbuf_copy(s->host_name, sizeof s->host_name, name[0] ? name : "postern.invalid");
}

/* No mail is behind it: nothing is counted, nothing kept. */
static bool only_looks(const struct delivery_slot *s)
{
    return s->entry.id == 0;
}

/* --- TLS --- */

static const char *name_to_check(const struct next_hop_host *host)
{
    struct ip_addr_any a;
    return ip_parse(span_of(host->name), &a) == RC_OK ? NULL : host->name;
}

static void prepare_tls(struct delivery_slot *s, const struct next_hop_host *host)
{
    memset(&s->facts, 0, sizeof s->facts);
    arena_init(&s->arena, s->tls_memory, sizeof s->tls_memory);
    bool own_ca = s->hop.kind == HOP_INSIDE && span_is(span_of(settings_get("mail.inside_tls")), "ca");
    s->tls = (struct tls_params){ .role = TLS_CLIENT,
                                  .server_name = name_to_check(host),
                                  .now = wallclock_now(),
                                  .arena = &s->arena,
                                  .facts = &s->facts,
                                  .trust = own_ca ? inside_trust() : list_store_trust() };
    if (!s->tls.now)
        s->tls.now = wallclock_trusted();
}

static void fill_attempt(struct verdict_attempt *a, struct delivery_slot *s, const struct next_hop_host *host)
{
    const struct tls_facts *f = &s->facts;
    a->chain_valid = f->chain_valid;
    a->name_matches = f->name_matches;
    a->cause_name = f->cause == TLS_CAUSE_NONE ? "" : tls_cause_name(f->cause);
    a->cause_text = f->cause == TLS_CAUSE_NONE ? "" : tls_cause_text(f->cause);
    a->detail = span_of(f->detail);
    a->mx_host = span_of(host->name);
    if (a->tls == TLS_UP && s->verdict.demand == DEMAND_PINNED)
        a->pin_matches = inside_pin_check(host->name, f->spki_sha256, !only_looks(s));
}

enum verdict_tls_result attempt_start_tls(struct smtp_client *c, struct tls_params *tls, enum rc *rc)
{
    *rc = RC_OK;
    if (!(c->extensions & SMTP_STARTTLS))
        return c->extensions & SMTP_STRIPPED ? TLS_STRIPPED : TLS_NOT_OFFERED;
    *rc = smtp_client_starttls(c, tls);
    switch (*rc) {
    case RC_OK:
        return TLS_UP;
    case RC_REFUSED:
        return TLS_REFUSED_BY_SERVER;
    case RC_PROTOCOL:
        return tls->facts->cause == TLS_CAUSE_NONE ? TLS_INJECTED : TLS_HANDSHAKE_FAILED;
    default:
        return TLS_HANDSHAKE_FAILED;
    }
}

static void count_report(struct delivery_slot *s)
{
    enum verdict_report r = s->outcome.report;
    if (only_looks(s))
        return;
    if (s->outcome.policy_failed)
        count(s->verdict.testing ? COUNT_policy_testing : COUNT_policy_held);
    if (s->outcome.action != VERDICT_SEND)
        return;
    count(r == REPORT_SUCCESS_VERIFIED ? COUNT_out_verified : s->client.tls ? COUNT_out_encrypted : COUNT_out_plain);
}

static void log_verdict(struct delivery_slot *s, const struct next_hop_host *host)
{
    static const char *const actions[] = { "send", "retry-plaintext", "next-host" };
    size_t fact = strcspn(s->outcome.text, "\n"); /* the first line says what was seen; action= says what follows */
    log_event(LOG_DELIVERY, only_looks(s) ? "check" : "verdict",
              "id=%08X domain=%s mx=%s tls=%s verified=%d demand=%s source=%s report=%s action=%s why=\"%.*s\"",
              (unsigned)s->entry.id, s->domain, host->name, s->client.tls ? s->facts.version : "none",
              s->facts.chain_valid && s->facts.name_matches, verdict_demand_name(s->verdict.demand),
              verdict_source_name(s->verdict.source), verdict_report_name(s->outcome.report), actions[s->outcome.action], (int)fact,
              s->outcome.text);
}

/* --- statuses --- */

static bool any_open(const struct delivery_slot *s)
{
    if (s->lent)
        return !s->line_open && s->lent != LENT_BACK;
    for (unsigned i = 0; i < s->count; i++)
        if (s->batch[i].open)
            return true;
    return false;
}

static void set_all(struct delivery_slot *s, const struct delivery_status *status)
{
    for (unsigned i = 0; i < s->count; i++)
        if (s->batch[i].open)
            s->status[i] = *status;
}

static void set_policy_status(struct delivery_slot *s, const struct next_hop_host *host)
{
    struct span first = span_of(s->outcome.text);
    size_t end = span_find(first, 0, '\n'); /* what follows says what becomes of the mail */
    if (end != SIZE_MAX)
        first = span_sub(first, 0, end);
    delivery_status_set(&s->client.status, DELIVERY_WAIT, SCOPE_HOST, 0, "4.7.5", "held back, nothing was sent to %s: %.*s",
                        host->name, (int)first.len, first.p);
    set_all(s, &s->client.status);
}

/* Says which server it was: a text stands alone in queue, log and report. dsn.c takes it apart again. */
static void name_server(struct delivery_status *status, const struct next_hop_host *host)
{
    size_t name = strlen(host->name) < NAME_SHOWN ? strlen(host->name) : NAME_SHOWN;
    char *text = status->text;
    memmove(text + name + 2, text, sizeof status->text - name - 2);
    memcpy(text, host->name, name);
    memcpy(text + name, ": ", 2);
    text[sizeof status->text - 1] = '\0';
}

/* --- the transaction --- */

static enum rc read_body(void *ctx, void *buf, size_t cap, size_t *got)
{
    struct delivery_slot *s = ctx;
    return spool_body_read(&s->body, buf, cap, got);
}

static enum rc rewind_body(void *ctx)
{
    struct delivery_slot *s = ctx;
    return spool_body_open(&s->body, s->entry.id);
}

static void prepare_message(struct delivery_slot *s)
{
    const struct spool_envelope *e = &s->envelope;
    s->message = (struct smtp_message){ .sender = span_of(e->sender),
                                        .size_bytes = s->entry.size_bytes,
                                        .body = e->body_8bit ? SMTP_BODY_8BITMIME : SMTP_BODY_7BIT,
                                        .utf8 = e->utf8,
                                        .envid = span_of(e->envid),
                                        .ret = e->ret,
                                        .read = read_body,
                                        .rewind = rewind_body,
                                        .read_ctx = s };
}

static unsigned gather_open(struct delivery_slot *s, unsigned where[PLAN_DELIVERY_BATCH])
{
    unsigned n = 0;
    for (unsigned i = 0; i < s->count; i++) {
        if (!s->batch[i].open)
            continue;
        struct smtp_recipient *r = &s->wire[n];
        memset(r, 0, sizeof *r);
        r->address = span_of(s->batch[i].to.address);
        r->notify = s->batch[i].to.notify;
        r->orcpt = span_of(s->batch[i].to.orcpt);
        where[n++] = i;
    }
    return n;
}

/* True if the session is good for another one. */
static bool transact(struct delivery_slot *s, const struct next_hop_host *host)
{
    unsigned where[PLAN_DELIVERY_BATCH], n = gather_open(s, where);
    struct delivery_status *failed = &s->client.status;
    prepare_message(s);
    enum rc rc = rewind_body(s);
    if (rc != RC_OK) {
        delivery_status_set(failed, DELIVERY_WAIT, SCOPE_MESSAGE, 0, "4.3.0", "the stored mail cannot be read (%s)", rc_name(rc));
        set_all(s, failed);
        for (unsigned i = 0; i < s->count; i++)
            s->batch[i].open = false;
        return true;
    }
    rc = smtp_client_send(&s->client, &s->message, s->wire, n, s->scratch, sizeof s->scratch);
    for (unsigned i = 0; i < n; i++) {
        struct delivery_status *got = &s->wire[i].status;
        name_server(got, host);
        s->status[where[i]] = *got;
        s->batch[where[i]].open = got->result == DELIVERY_WAIT && got->scope == SCOPE_HOST;
    }
    log_event(LOG_DELIVERY, "transaction", "id=%08X domain=%s rc=%s recipients=%u code=%u text=\"%s\"", (unsigned)s->entry.id,
              s->domain, rc_name(rc), n, s->wire[0].status.code, s->wire[0].status.text);
    return rc == RC_OK;
}

static enum rc authenticate(struct delivery_slot *s)
{
    struct strbuf u = strbuf_on((char *)s->scratch, CREDENTIAL_MAX),
                  p = strbuf_on((char *)s->scratch + CREDENTIAL_MAX, CREDENTIAL_MAX);
    if (s->hop.kind != HOP_SMARTHOST || !settings_get("mail.smarthost_user")[0])
        return RC_OK;
    strbuf_puts(&u, settings_get("mail.smarthost_user"));
    strbuf_puts(&p, settings_get("mail.smarthost_password"));
    enum rc rc = smtp_client_auth(&s->client, strbuf_span(&u), strbuf_span(&p));
    memset(s->scratch, 0, 2 * CREDENTIAL_MAX);
    return rc;
}

/* --- whose mail it is: the office server may filter by the sender's address --- */

static bool inside_client_is(const struct delivery_slot *s, const char *how)
{
    return s->hop.kind == HOP_INSIDE && span_is(span_of(settings_get("mail.inside_client")), how);
}

static bool from_outside(const struct delivery_slot *s)
{
    return s->envelope.origin == SPOOL_FROM_OUTSIDE && s->envelope.peer.addr.family != IP_NONE;
}

static enum rc say_proxy_header(struct delivery_slot *s)
{
    static const struct ip_endpoint nobody;
    if (!inside_client_is(s, "proxy2"))
        return RC_OK;
    enum rc rc = proxy_header_write(&s->stream, from_outside(s) ? &s->envelope.peer : &nobody, deadline_in_ms(CONNECT_MS));
    if (rc != RC_OK)
        delivery_status_set(&s->client.status, DELIVERY_WAIT, SCOPE_HOST, 0, "4.4.2",
                            "the connection broke before the greeting (%s)", rc_name(rc));
    return rc;
}

/* A server that takes no XCLIENT from us gets the mail all the same: an alert, not a standstill. */
static enum rc say_xclient(struct delivery_slot *s, const struct next_hop_host *host)
{
    if (!inside_client_is(s, "xclient") || !from_outside(s))
        return RC_OK;
    const struct smtp_client_origin origin = { .peer = s->envelope.peer, .helo = s->envelope.helo, .proto = "ESMTP" };
    if (!(s->client.extensions & SMTP_XCLIENT)) {
        alert_raise(ALERT_INSIDE_CLIENT, "%.80s does not offer XCLIENT to this box: it filters by our address, not by the sender's",
                    host->name);
        return RC_OK;
    }
    alert_clear(ALERT_INSIDE_CLIENT);
    return smtp_client_xclient(&s->client, &origin);
}

/* --- one connection --- */

/* What is off the way to the handshake must not widen the frames on it. */
#define OFF_THE_WAY __attribute__((noinline))

static OFF_THE_WAY void host_hash(const struct delivery_slot *s, const struct next_hop_host *host, uint8_t out[SHA256_BYTES])
{
    const uint8_t more[] = { (uint8_t)host->port, (uint8_t)(host->port >> 8), (uint8_t)s->hop.kind };
    struct sha256 h;
    sha256_init(&h);
    sha256_update(&h, span_of(host->name));
    sha256_update(&h, span_bytes(more, sizeof more));
    sha256_final(&h, out);
}

void attempt_end(struct delivery_slot *s)
{
    if (s->session.up)
        smtp_client_quit(&s->client);
    s->session.up = false;
}

/* After a transaction: the session stays, or ends. What the office's server was told of one mail's sender holds for that mail alone. */
static void keep_session(struct delivery_slot *s, const struct next_hop_host *host, bool good, enum verdict_tls_result tls)
{
    bool told = s->hop.kind == HOP_INSIDE && !span_is(span_of(settings_get("mail.inside_client")), "none");
    if (!s->session.up) {
        s->session.mails = 0;
        s->session.tls = tls;
        s->session.end = deadline_in_ms(SESSION_MS);
        host_hash(s, host, s->session.host);
    }
    s->session.up = true;
    s->session.idle_end = deadline_in_ms(SESSION_IDLE_MS);
    if (!good || told || ++s->session.mails == SESSION_MAILS || deadline_passed(s->session.end) ||
        (tls != TLS_UP && tls != TLS_NOT_OFFERED))
        attempt_end(s);
}

/* Whether the session is this host's and sound: a server that has something to say between two mails says 421, or has gone. */
static OFF_THE_WAY bool session_fits(struct delivery_slot *s, const struct next_hop_host *host)
{
    uint8_t hash[SHA256_BYTES];
    if (!s->session.up || deadline_passed(s->session.end) || stream_readable(&s->stream))
        return false;
    host_hash(s, host, hash);
    return memcmp(hash, s->session.host, sizeof hash) == 0;
}

static enum try_result fail_host(struct delivery_slot *s, const struct next_hop_host *host, enum rc rc)
{
    s->client.status.scope = SCOPE_HOST;
    name_server(&s->client.status, host);
    set_all(s, &s->client.status);
    smtp_client_quit(&s->client);
    return rc == RC_CANCELLED ? TRY_CANCELLED : TRY_NEXT;
}

/* A handshake that failed for want of our own means says nothing about the peer: the mail waits, and never goes on in plaintext. */
static bool own_fault(const struct tls_facts *f)
{
    return f->cause == TLS_CAUSE_NO_MEMORY || f->cause == TLS_CAUSE_INTERNAL;
}

/* The mail goes in the session that is up if that shows what this mail's domain demands; what it did not decide stays open. */
static OFF_THE_WAY void go_on(struct delivery_slot *s, const struct next_hop_host *host)
{
    struct verdict_attempt a = { .tls = s->session.tls };
    fill_attempt(&a, s, host);
    verdict_after(&s->outcome, &s->verdict, &a);
    if (s->outcome.action != VERDICT_SEND)
        return;
    log_verdict(s, host);
    count_report(s);
    keep_session(s, host, transact(s, host), s->session.tls);
}

static enum try_result judge(struct delivery_slot *s, const struct next_hop_host *host, struct verdict_attempt *a)
{
    fill_attempt(a, s, host);
    verdict_after(&s->outcome, &s->verdict, a);
    log_verdict(s, host);
    count_report(s);
    if (s->outcome.action == VERDICT_SEND)
        return TRY_DONE;
    if (s->outcome.action == VERDICT_RETRY_PLAINTEXT)
        return TRY_PLAINTEXT;
    set_policy_status(s, host);
    return TRY_NEXT;
}

/* TLS from the first byte, for a smart host on port 465. */
static enum rc implicit_tls(struct delivery_slot *s)
{
    enum rc rc = stream_starttls(&s->stream, &s->tls, deadline_in_ms(HANDSHAKE_MS));
    s->client.tls = rc == RC_OK;
    return rc;
}

/* Of a step; 0: as long as the RFC says. */
static uint32_t most_ms_of(const struct delivery_slot *s)
{
    return s->lent == LENT_CHECK ? CHECK_STEP_MS : s->lent ? LENT_STEP_MS : s->hurried ? HURRIED_MS : 0;
}

static enum try_result talk(struct delivery_slot *s, const struct next_hop_host *host, bool plaintext)
{
    struct verdict_attempt a = { .plaintext_retry = plaintext };
    bool implicit = s->hop.kind == HOP_SMARTHOST && host->port == IMPLICIT_TLS_PORT;
    enum rc rc = RC_OK;
    memset(&s->client, 0, sizeof s->client);
    s->client.stream = &s->stream;
    s->client.most_ms = most_ms_of(s);
    prepare_tls(s, host);
    if (implicit && (rc = implicit_tls(s)) != RC_OK) {
        a.tls = TLS_HANDSHAKE_FAILED;
    } else {
        rc = say_proxy_header(s);
        if (rc == RC_OK)
            rc = smtp_client_greet(&s->client, &s->stream, s->host_name);
        if (rc != RC_OK)
            return fail_host(s, host, rc);
        s->answer = HOST_GREETED;
        s->client.tls = s->client.tls || implicit;
        a.tls = implicit ? TLS_UP : plaintext ? TLS_NOT_OFFERED : attempt_start_tls(&s->client, &s->tls, &rc);
    }
    if (rc == RC_CANCELLED)
        return fail_host(s, host, rc);
    if (own_fault(&s->facts)) {
        delivery_status_set(&s->client.status, DELIVERY_WAIT, SCOPE_HOST, 0, "4.3.0", "this box could not do TLS with it now: %s",
                            tls_cause_text(s->facts.cause));
        return fail_host(s, host, RC_TLS);
    }
    enum try_result result = judge(s, host, &a);
    /* A server that answered STARTTLS with 4yz or 5yz left the session usable in plaintext; any other failure did not. */
    bool usable = a.tls == TLS_UP || a.tls == TLS_NOT_OFFERED || a.tls == TLS_STRIPPED || a.tls == TLS_REFUSED_BY_SERVER;
    if (result == TRY_DONE && !usable)
        result = TRY_PLAINTEXT;
    if (result == TRY_DONE && ((rc = authenticate(s)) != RC_OK || (rc = say_xclient(s, host)) != RC_OK))
        return fail_host(s, host, rc);
    s->line_open = result == TRY_DONE && s->lent;
    if (s->line_open)
        return result;
    if (result == TRY_DONE)
        keep_session(s, host, transact(s, host), plaintext ? TLS_HANDSHAKE_FAILED : a.tls);
    else
        smtp_client_quit(&s->client);
    return result;
}

static enum try_result try_address(struct delivery_slot *s, const struct next_hop_host *host, const struct ip_addr_any *a,
                                   bool plaintext)
{
    struct ip_endpoint peer = { *a, host->port };
    struct delivery_status *status = &s->client.status;
    char memory[IP_ENDPOINT_TEXT_MAX];
    struct strbuf text = STRBUF(memory);
    s->answer = HOST_SILENT;
    s->outcome.text[0] = '\0';
    enum rc rc = tcp_stream_connect(&s->stream, &s->conn, s->ring, &peer,
                                    deadline_in_ms(most_ms_of(s) ? most_ms_of(s) : CONNECT_MS));
    if (rc != RC_OK) {
        ip_endpoint_format(&text, &peer);
        delivery_status_set(status, DELIVERY_WAIT, SCOPE_HOST, 0, "4.4.1", "%s [%s] could not be reached (%s)", host->name, memory,
                            rc_name(rc));
        set_all(s, status);
        log_event(LOG_DELIVERY, "no-connection", "id=%08X mx=%s peer=%s rc=%s", (unsigned)s->entry.id, host->name, memory,
                  rc_name(rc));
        return rc == RC_CANCELLED ? TRY_CANCELLED : TRY_NEXT;
    }
    enum try_result result = talk(s, host, plaintext);
    slot_use_note(&delivery_memory, &s->arena);
    return result;
}

enum rc attempt_host(struct delivery_slot *s, const struct next_hop_host *host)
{
    struct delivery_status *status = &s->client.status;
    unsigned addresses = 0;
    struct span name = span_of(host->name);
    s->answer = HOST_NOT_ASKED;
    s->outcome.text[0] = '\0';
    attempt_known(&s->known, &s->list_entry, span_of(s->domain), &s->hop);
    if (s->known.local.present)
        s->known.local.host = name; /* each host that the operator named is as good as the first */
    verdict_before(&s->verdict, &s->known, name);
    if (!s->verdict.mx_allowed) {
        delivery_status_set(status, DELIVERY_WAIT, SCOPE_HOST, 0, "4.7.5",
                            "held back: the policy for %s does not name the mail server %s that the DNS gives", s->domain,
                            host->name);
        set_all(s, status);
        if (!only_looks(s))
            count(COUNT_policy_held);
        log_event(LOG_DELIVERY, "mx-not-in-policy", "id=%08X domain=%s mx=%s", (unsigned)s->entry.id, s->domain, host->name);
        domain_check_tell(s, CHECK_TRY, NULL);
        return RC_OK;
    }
    if (session_fits(s, host))
        go_on(s, host);
    if (!any_open(s))
        return RC_OK;
    attempt_end(s);
    enum rc rc = next_hop_addresses(&s->hop, host, s->address, &addresses, &s->dns, status, deadline_in_ms(RESOLVE_MS));
    if (rc != RC_OK) {
        set_all(s, status);
        domain_check_tell(s, CHECK_TRY, NULL);
        return rc == RC_CANCELLED ? rc : RC_OK;
    }
    for (unsigned i = 0; i < addresses && any_open(s); i++) {
        enum try_result r = try_address(s, host, &s->address[i], false);
        if (r == TRY_PLAINTEXT) {
            domain_check_tell(s, CHECK_TRY, &s->address[i]);
            if (!any_open(s))
                break; /* whom it was for has gone */
            r = try_address(s, host, &s->address[i], true);
            if (r == TRY_DONE && !only_looks(s))
                count(COUNT_out_plain_after_tls_failure);
        }
        domain_check_tell(s, CHECK_TRY, &s->address[i]);
        if (r == TRY_CANCELLED)
            return RC_CANCELLED;
    }
    return RC_OK;
}

enum rc attempt_open(struct delivery_slot *s)
{
    s->count = 0;
    s->line_open = false;
    enum rc rc = next_hop_find(&s->hop, span_of(s->domain), &s->dns, &s->client.status, deadline_in_ms(RESOLVE_MS));
    for (unsigned h = 0; rc == RC_OK && h < s->hop.count && !s->line_open; h++)
        rc = attempt_host(s, &s->hop.host[h]);
    return rc;
}
