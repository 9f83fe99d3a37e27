/* The dialogue: directory, order, waiting, authorizations, and all of it in one. An answer's views are good until the next request. */
#include "net/acme.h"

#include <string.h>

#include "hal/base/base64.h"
#include "hal/base/crc32.h"
#include "hal/base/domain.h"
#include "hal/base/ipaddr.h"
#include "hal/crypto/sha256.h"
#include "hal/task.h"
#include "net/acme_private.h"

#define POLL_FIRST_MS 500
#define POLL_MOST_MS 10000
#define STATUS_MAX 16

enum rc acme_keep_location(struct acme *a, enum acme_url i)
{
    char memory[ACME_URL_MAX + 1];
    struct strbuf url = STRBUF(memory);
    strbuf_puts(&url, acme_url(a, ACME_LOCATION));
    return acme_set_url(a, i, strbuf_span(&url));
}

/* --- directory --- */

static enum rc read_directory(struct acme *a, const struct json_view *v)
{
    static const char *const names[] = { "newNonce", "newAccount", "newOrder", "revokeCert", "renewalInfo", "keyChange" };
    struct json_view meta, flag;
    enum rc rc = RC_OK;
    for (enum acme_url i = 0; rc == RC_OK && i < sizeof names / sizeof names[0]; i++)
        rc = acme_take_url(a, v, names[i], i <= ACME_NEW_ORDER, i);
    a->binding_required = json_view_member(v, "meta", &meta) == RC_OK &&
                          json_view_member(&meta, "externalAccountRequired", &flag) == RC_OK && json_view_true(&flag);
    return rc;
}

enum rc acme_open(struct acme *a, struct http_client *http, struct span directory_url, struct span account_key, char *memory,
                  size_t bytes)
{
    struct json_view v;
    memset(a, 0, sizeof *a);
    a->http = http;
    a->account_key = account_key;
    a->memory = memory;
    a->memory_bytes = bytes;
    a->end = deadline_in_ms(ACME_DIALOGUE_MS);
    a->step = "directory";
    enum rc rc = acme_get(a, directory_url, &v);
    return rc == RC_OK ? read_directory(a, &v) : rc;
}

/* --- orders --- */

static void add_text(struct strbuf *payload, const char *name, struct span value)
{
    if (!value.len)
        return;
    strbuf_puts(payload, name);
    strbuf_add_json(payload, value);
}

static struct strbuf order_payload(struct acme *a, const struct acme_wish *w)
{
    struct strbuf payload = acme_payload(a);
    struct ip_addr_any ip;
    strbuf_puts(&payload, "{\"identifiers\":[");
    for (unsigned i = 0; i < w->count; i++) {
        bool address = ip_parse(span_of(w->names[i]), &ip) == RC_OK;
        strbuf_printf(&payload, "%s{\"type\":\"%s\",\"value\":", i ? "," : "", address ? "ip" : "dns");
        strbuf_add_json(&payload, span_of(w->names[i]));
        strbuf_putc(&payload, '}');
    }
    strbuf_putc(&payload, ']');
    add_text(&payload, ",\"profile\":", a->dropped & ACME_DROPPED_PROFILE ? SPAN("") : w->profile);
    add_text(&payload, ",\"replaces\":", a->dropped & ACME_DROPPED_REPLACES ? SPAN("") : w->replaces);
    strbuf_putc(&payload, '}');
    return payload;
}

/* After a refusal: what an order is better sent without. A refused `replaces` has many names, and none may keep us from a certificate. */
static uint8_t to_drop(const struct acme *a, const struct acme_wish *w)
{
    uint8_t drop = 0;
    if (w->profile.len && acme_problem_is(a, "invalidProfile"))
        drop = ACME_DROPPED_PROFILE;
    else if (w->replaces.len && !acme_is_busy(a) && !acme_problem_is(a, "accountDoesNotExist"))
        drop = ACME_DROPPED_REPLACES;
    return drop & (uint8_t)~a->dropped;
}

/* A server without profiles says nothing of the one it was asked for. */
static bool has_profile(const struct json_view *order, struct span profile)
{
    char memory[ACME_URL_MAX + 1];
    struct strbuf text = STRBUF(memory);
    return json_view_member_text(order, "profile", &text) == RC_OK && span_eq(strbuf_span(&text), profile);
}

enum rc acme_order(struct acme *a, const struct acme_wish *w)
{
    struct json_view v;
    uint8_t drop = 0;
    enum rc rc = RC_OK;
    a->step = "order";
    a->names = w->names;
    a->count = w->count;
    a->dropped = w->replaces.len && !acme_url(a, ACME_RENEWAL_INFO)[0] ? ACME_DROPPED_REPLACES : 0;
    if (!w->count)
        return acme_say(a, RC_INVALID, PACKED("an order without names"));
    do {
        a->dropped |= drop;
        struct strbuf payload = order_payload(a, w);
        rc = acme_post(a, ACME_NEW_ORDER, &payload, SPAN(""), &v);
        drop = rc == RC_REFUSED ? to_drop(a, w) : 0;
    } while (drop != 0);
    if (rc == RC_OK && !acme_url(a, ACME_LOCATION)[0])
        rc = acme_lacks(a, "order");
    if (rc == RC_OK && w->profile.len && !has_profile(&v, w->profile))
        a->dropped |= ACME_DROPPED_PROFILE;
    return rc == RC_OK ? acme_keep_location(a, ACME_ORDER) : rc;
}

struct span acme_order_url(const struct acme *a)
{
    return span_of(acme_url(a, ACME_ORDER));
}

/* --- waiting --- */

static enum rc take_status(struct acme *a, const struct json_view *v, struct strbuf *status)
{
    enum rc rc = json_view_member_text(v, "status", status);
    return rc == RC_OK ? RC_OK : acme_lacks(a, "status");
}

/* The words of an "error" inside an order, authorization or challenge. */
static void add_error(struct acme *a, const struct json_view *v)
{
    struct json_view error;
    if (json_view_member(v, "error", &error) == RC_OK)
        acme_add_problem(a, &error);
}

enum rc acme_wait_for(struct acme *a, enum acme_url i, enum acme_wait wait, struct json_view *out)
{
    char status[STATUS_MAX];
    struct strbuf s = STRBUF(status), why = STRBUF(a->why);
    struct deadline d = deadline_in_ms(ACME_PATIENCE_MS);
    for (uint32_t wait_ms = POLL_FIRST_MS;; wait_ms = wait_ms * 2 < POLL_MOST_MS ? wait_ms * 2 : POLL_MOST_MS) {
        enum rc rc = wait == ACME_ANSWERED ? RC_OK : acme_fetch(a, i, out);
        if (rc == RC_OK)
            rc = take_status(a, out, &s);
        if (rc != RC_OK)
            return rc;
        bool ready = strcmp(status, "ready") == 0;
        if (strcmp(status, "valid") == 0 || (ready && wait == ACME_UNTIL_READY))
            return RC_OK;
        wait = wait == ACME_ANSWERED ? ACME_UNTIL_VALID : wait;
        bool under_way = ready || strcmp(status, "pending") == 0 || strcmp(status, "processing") == 0;
        strbuf_clear(&why);
        strbuf_printf(&why, "the %s is %s", i == ACME_ORDER ? "order" : "authorization", under_way ? status : "invalid");
        if (!under_way) {
            add_error(a, out);
            return RC_REFUSED;
        }
        int64_t asked_s = a->retry_after_s;
        if (deadline_passed(d) || asked_s > ACME_PATIENCE_MS / 1000)
            return RC_TIMEOUT;
        rc = task_sleep_ms(asked_s * 1000 > wait_ms ? (uint32_t)asked_s * 1000 : wait_ms);
        if (rc != RC_OK)
            return rc;
    }
}

/* --- authorizations --- */

/* base64url without padding: it becomes part of a path and of a certificate. */
static bool is_token(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] != '-' && s.p[i] != '_' && (s.p[i] == '+' || s.p[i] == '/' || base64_sextet(s.p[i]) < 0))
            return false;
    return s.len > 0;
}

/* Which of the order's names this is; NULL: none, and then nothing is done about it. */
static const char *our_name(const struct acme *a, struct span name)
{
    struct ip_addr_any ip, ours;
    bool address = ip_parse(name, &ip) == RC_OK;
    for (unsigned i = 0; i < a->count; i++) {
        struct span own = span_of(a->names[i]);
        if (span_eq_nocase(own, name) || (address && ip_parse(own, &ours) == RC_OK && ip_eq(&ip, &ours)))
            return a->names[i];
    }
    return NULL;
}

static bool find_challenge(const struct json_view *authorization, const char *type, struct json_view *one)
{
    char memory[40];
    struct strbuf kind = STRBUF(memory);
    struct json_view list;
    size_t cursor = 0;
    if (json_view_member(authorization, "challenges", &list) != RC_OK)
        return false;
    while (json_view_each(&list, &cursor, one))
        if (json_view_member_text(one, "type", &kind) == RC_OK && strcmp(memory, type) == 0)
            return true;
    return false;
}

/* What stays in the DNS: who may certify, and for which account (draft-ietf-acme-dns-persist). */
static enum rc write_persistent(struct acme *a, const struct json_view *one, struct strbuf *record)
{
    char memory[DOMAIN_TEXT_MAX];
    struct strbuf issuer = STRBUF(memory);
    struct json_view list, first;
    size_t cursor = 0;
    if (json_view_member(one, "issuer-domain-names", &list) != RC_OK || !json_view_each(&list, &cursor, &first) ||
        !json_view_text(&first, &issuer) || issuer.overflow || !domain_is_hostname(strbuf_span(&issuer)))
        return acme_lacks(a, "issuer-domain-names");
    strbuf_printf(record, "%s; accounturi=%s", memory, acme_url(a, ACME_ACCOUNT));
    return RC_OK;
}

/* Key authorization (RFC 8555 8.1), and of it what the DNS is to show (8.4). */
static enum rc write_proof(struct acme *a, const struct json_view *one, bool dns, struct strbuf *record)
{
    char thumb[JWK_THUMBPRINT_CHARS + 1];
    uint8_t hash[SHA256_BYTES];
    struct strbuf t = STRBUF(thumb), token = STRBUF(a->token);
    if (json_view_member_text(one, "token", &token) != RC_OK || !is_token(strbuf_span(&token)))
        return acme_lacks(a, "token");
    if (jwk_thumbprint(a->account_key, &t) != RC_OK)
        return acme_say(a, RC_INVALID, PACKED("the request could not be signed"));
    strbuf_printf(record, "%s.%s", a->token, thumb);
    if (dns) {
        sha256_of(strbuf_span(record), hash);
        strbuf_clear(record);
        base64url_encode(record, span_bytes(hash, sizeof hash));
    }
    return RC_OK;
}

static enum rc take_challenge(struct acme *a, const struct json_view *one, struct acme_challenge *c, bool *started)
{
    char memory[STATUS_MAX];
    struct strbuf record = STRBUF(a->record), status = STRBUF(memory);
    bool persistent = strcmp(c->type, "dns-persist-01") == 0, dns = strcmp(c->type, "dns-01") == 0;
    *started = json_view_member_text(one, "status", &status) == RC_OK && strcmp(memory, "processing") == 0;
    enum rc rc = acme_take_url(a, one, "url", true, ACME_CHALLENGE);
    if (rc == RC_OK)
        rc = persistent ? write_persistent(a, one, &record) : write_proof(a, one, dns, &record);
    c->token = a->token;
    c->key_authorization = c->record = a->record;
    c->record_label = persistent ? "_validation-persist" : dns ? "_acme-challenge" : NULL;
    return rc;
}

static enum rc meet(struct acme *a, const struct acme_solver *solver, const struct acme_challenge *c, bool started)
{
    struct strbuf payload = acme_payload(a);
    struct json_view v;
    enum rc rc = solver->prepare(solver->ctx, c);
    if (rc != RC_OK)
        acme_say(a, rc, PACKED("the challenge could not be prepared"));
    strbuf_puts(&payload, "{}");
    if (rc == RC_OK && !started)
        rc = acme_post(a, ACME_CHALLENGE, &payload, SPAN(""), &v);
    if (rc == RC_OK && !started) /* asked at once, every server says "pending" */
        rc = task_sleep_ms(POLL_FIRST_MS);
    if (rc == RC_OK)
        rc = acme_wait_for(a, ACME_AUTHORIZATION, ACME_UNTIL_VALID, &v);
    solver->done(solver->ctx, c);
    /* The server tells why a challenge failed in the challenge, not in the authorization. */
    if (rc == RC_REFUSED && !a->problem[0] && json_view_open(strbuf_span(&a->answer), &v) == RC_OK &&
        find_challenge(&v, c->type, &v))
        add_error(a, &v);
    return rc;
}

static enum rc choose(struct acme *a, const struct json_view *authorization, const struct acme_solver *solvers, unsigned count)
{
    char memory[DOMAIN_TEXT_MAX];
    struct strbuf name = STRBUF(memory);
    struct json_view identifier, one;
    struct acme_challenge c;
    bool started;
    if (json_view_member(authorization, "identifier", &identifier) != RC_OK ||
        json_view_member_text(&identifier, "value", &name) != RC_OK || (c.identifier = our_name(a, strbuf_span(&name))) == NULL)
        return acme_say(a, RC_PROTOCOL, PACKED("an authorization for none of our names"));
    for (unsigned i = 0; i < count; i++) {
        c.type = solvers[i].type;
        if (!find_challenge(authorization, c.type, &one))
            continue;
        enum rc rc = take_challenge(a, &one, &c, &started);
        return rc == RC_OK ? meet(a, &solvers[i], &c, started) : rc;
    }
    return acme_say(a, RC_UNSUPPORTED, PACKED("the server offers no challenge that this box can meet"));
}

static enum rc authorize_one(struct acme *a, const struct acme_solver *solvers, unsigned count)
{
    struct json_view v;
    char status[STATUS_MAX];
    struct strbuf s = STRBUF(status);
    enum rc rc = acme_fetch(a, ACME_AUTHORIZATION, &v);
    if (rc == RC_OK)
        rc = take_status(a, &v, &s);
    return rc != RC_OK || strcmp(status, "valid") == 0 ? rc : choose(a, &v, solvers, count);
}

static uint32_t sum_of(const char *url)
{
    return crc32_update(0, url, strlen(url));
}

/* The address of an authorization that is not among the done ones; servers may name them in another order each time. RC_NOT_FOUND: none is
 * left. */
static enum rc next_authorization(struct acme *a, const uint32_t *done, unsigned count)
{
    struct json_view order, list, one;
    size_t cursor = 0;
    enum rc rc = acme_fetch(a, ACME_ORDER, &order);
    if (rc == RC_OK && json_view_member(&order, "authorizations", &list) != RC_OK)
        rc = acme_lacks(a, "authorizations");
    while (rc == RC_OK && json_view_each(&list, &cursor, &one)) {
        rc = acme_take_url_text(a, &one, "authorizations", ACME_AUTHORIZATION);
        unsigned i = 0;
        while (i < count && done[i] != sum_of(acme_url(a, ACME_AUTHORIZATION)))
            i++;
        if (rc == RC_OK && i == count)
            return RC_OK;
    }
    return rc == RC_OK ? RC_NOT_FOUND : rc;
}

enum rc acme_authorize(struct acme *a, const struct acme_solver *solvers, unsigned count)
{
    uint32_t done[ACME_AUTHORIZATIONS_MAX];
    a->step = "authorization";
    for (unsigned n = 0; n < ACME_AUTHORIZATIONS_MAX; n++) {
        enum rc rc = next_authorization(a, done, n);
        if (rc != RC_OK)
            return rc == RC_NOT_FOUND ? RC_OK : rc;
        rc = authorize_one(a, solvers, count);
        if (rc != RC_OK)
            return rc; /* also NOT_FOUND, of a solver */
        done[n] = sum_of(acme_url(a, ACME_AUTHORIZATION));
    }
    return acme_say(a, RC_PROTOCOL, PACKED("an order with too many authorizations"));
}

/* --- all of it --- */

/* What an earlier dialogue left. */
static enum rc take_stored(struct acme *a, enum acme_url i, struct span url)
{
    char memory[ACME_URL_MAX + 1];
    struct strbuf canonical = STRBUF(memory);
    enum rc rc = url_canonical(url, &canonical);
    return rc == RC_OK ? acme_set_url(a, i, strbuf_span(&canonical)) : rc;
}

enum rc acme_use_account(struct acme *a, struct span url)
{
    return take_stored(a, ACME_ACCOUNT, url);
}

/* An order of an earlier dialogue: RC_NOT_FOUND: nothing is left to be done with it. */
static enum rc resume(struct acme *a)
{
    char memory[STATUS_MAX];
    struct strbuf status = STRBUF(memory);
    struct json_view v;
    a->step = "order";
    enum rc rc = acme_fetch(a, ACME_ORDER, &v);
    if (rc == RC_OK)
        rc = take_status(a, &v, &status);
    bool gone = rc == RC_REFUSED && !acme_is_busy(a);
    return gone || (rc == RC_OK && strcmp(memory, "invalid") == 0) ? RC_NOT_FOUND : rc;
}

static enum rc have_order(struct acme *a, const struct acme_wish *w)
{
    bool stored = take_stored(a, ACME_ACCOUNT, w->account) == RC_OK, resumed = take_stored(a, ACME_ORDER, w->order) == RC_OK;
    enum rc rc = stored ? RC_OK : acme_account(a, w->contact, w->binding, false);
    a->names = w->names;
    a->count = w->count;
    if (rc == RC_OK)
        rc = resumed ? resume(a) : RC_NOT_FOUND;
    if (rc == RC_NOT_FOUND)
        rc = acme_order(a, w);
    if (rc != RC_REFUSED || !stored || !acme_problem_is(a, "accountDoesNotExist"))
        return rc;
    rc = acme_account(a, w->contact, w->binding, false);
    return rc == RC_OK ? acme_order(a, w) : rc;
}

enum rc acme_obtain(struct acme *a, const struct acme_wish *w, struct span *chain)
{
    *chain = SPAN("");
    enum rc rc = have_order(a, w);
    if (rc == RC_OK)
        rc = acme_authorize(a, w->solvers, w->solver_count);
    if (rc == RC_OK)
        rc = acme_finalize(a, w->key, w->issuer, chain);
    bool lost = (rc == RC_REFUSED && !acme_is_busy(a)) || rc == RC_PROTOCOL || rc == RC_TOO_LONG || rc == RC_UNSUPPORTED;
    if (rc == RC_OK || lost) /* nothing is gained by going on with it */
        acme_set_url(a, ACME_ORDER, SPAN(""));
    return rc;
}
