/* One signed request below (post), the dialogue above it. An answer's body lies in a->body until the next request. */
#include "net/acme.h"

#include <string.h>

#include "hal/base/base64.h"
#include "hal/base/crc32.h"
#include "hal/base/ipaddr.h"
#include "hal/task.h"
#include "net/json_view.h"

#define POLL_FIRST_S 1
#define POLL_MOST_S 10
#define STATUS_MAX 16
#define BINDING_MAX 640

static enum rc say(struct acme *a, enum rc rc, const char *words)
{
    struct strbuf why = STRBUF(a->why);
    strbuf_puts(&why, words);
    return rc;
}

/* --- answers --- */

static void take_text(char *out, size_t cap, struct span value)
{
    struct strbuf b = strbuf_on(out, cap);
    strbuf_add(&b, value);
    if (b.overflow)
        strbuf_clear(&b);
}

/* A URL of the server's, checked. RC_OK also for none, unless it is required; *out is then empty. */
static enum rc take_url(struct acme *a, const struct json_view *object, const char *name, bool required, char *out)
{
    char memory[ACME_URL_MAX + 1];
    struct strbuf text = STRBUF(memory), url = strbuf_on(out, ACME_URL_MAX + 1);
    enum rc rc = json_view_member_text(object, name, &text);
    if (rc == RC_NOT_FOUND && !required)
        return RC_OK;
    if (rc == RC_OK)
        rc = url_canonical(strbuf_span(&text), &url);
    if (rc == RC_OK && span_starts(strbuf_span(&url), "https:"))
        return RC_OK;
    strbuf_clear(&url);
    struct strbuf why = STRBUF(a->why);
    strbuf_printf(&why, "the server's answer has no usable address \"%s\"", name);
    return RC_PROTOCOL;
}

static void on_field(void *ctx, struct span name, struct span value)
{
    struct acme *a = ctx;
    if (span_is_nocase(name, "Replay-Nonce"))
        take_text(a->nonce, sizeof a->nonce, value);
    if (span_is_nocase(name, "Location")) {
        struct strbuf url = STRBUF(a->location);
        if (url_resolve(span_of(a->http->url), value, &url) != RC_OK || !span_starts(strbuf_span(&url), "https:"))
            strbuf_clear(&url);
    }
}

static enum rc open_answer(struct acme *a, struct json_view *out)
{
    if (json_view_open(strbuf_span(&a->answer), out) == RC_OK && out->type == JSON_OBJECT)
        return RC_OK;
    return say(a, RC_PROTOCOL, "the server's answer is not JSON");
}

static enum rc request(struct acme *a, const struct http_request *r, struct strbuf *body)
{
    a->location[0] = a->problem[0] = '\0';
    enum rc rc = http_request(a->http, r);
    a->retry_after_s = rc == RC_OK ? a->http->head.retry_after_s : -1;
    if (rc == RC_OK)
        rc = http_read_all(a->http, body);
    return rc == RC_OK ? RC_OK : say(a, rc, a->http->why);
}

/* The words of a problem document (RFC 7807), as far as there is room. */
static void add_detail(struct strbuf *why, const struct json_view *problem)
{
    char memory[HTTP_WHY_MAX];
    struct strbuf detail = STRBUF(memory);
    struct json_view v;
    if (json_view_member(problem, "detail", &v) != RC_OK || !json_view_text(&v, &detail) || why->len + 8 > why->cap)
        return;
    strbuf_puts(why, ": ");
    strbuf_add_printable(why, strbuf_span(&detail), why->cap - why->len - 1);
}

/* What a status of 400 and above means: the problem document in words. */
static enum rc refused(struct acme *a)
{
    char type[120];
    struct strbuf t = STRBUF(type), why = STRBUF(a->why);
    struct json_view v;
    strbuf_printf(&why, "the server answered %u", a->http->head.status);
    if (json_view_open(strbuf_span(&a->answer), &v) != RC_OK || json_view_member_text(&v, "type", &t) != RC_OK)
        return RC_REFUSED;
    struct span name = span_from(strbuf_span(&t), span_find_last(strbuf_span(&t), ':') + 1);
    struct strbuf problem = STRBUF(a->problem);
    strbuf_add_printable(&problem, name, sizeof a->problem - 1);
    strbuf_puts(&why, " (");
    strbuf_puts(&why, a->problem);
    strbuf_puts(&why, ")");
    add_detail(&why, &v);
    return RC_REFUSED;
}

/* --- requests --- */

static enum rc fresh_nonce(struct acme *a)
{
    char nothing[2];
    struct strbuf none = STRBUF(nothing);
    const struct http_request r = { .method = HTTP_HEAD, .url = span_of(a->new_nonce), .on_field = on_field, .field_ctx = a };
    a->nonce[0] = '\0';
    enum rc rc = request(a, &r, &none);
    if (rc == RC_OK && !a->nonce[0])
        rc = say(a, RC_PROTOCOL, "the server gives no nonce");
    return rc;
}

static enum rc post_once(struct acme *a, const char *url, struct span payload, struct strbuf *body)
{
    static const struct http_field type = { "Content-Type", SPAN("application/jose+json") };
    struct strbuf jws = strbuf_on(a->jws, ACME_JWS_BYTES), scratch = strbuf_on(a->body, ACME_BODY_BYTES);
    const struct jws_header h = { span_of(a->account), span_of(a->nonce), span_of(url) };
    enum rc rc = a->nonce[0] ? RC_OK : fresh_nonce(a);
    if (rc != RC_OK)
        return rc;
    rc = jws_sign(&h, a->account_key, payload, &scratch, &jws);
    a->nonce[0] = '\0'; /* good for one request, whatever comes of it */
    if (rc != RC_OK)
        return say(a, rc, "the request could not be signed");
    const struct http_request r = { .method = HTTP_POST,
                                    .url = span_of(url),
                                    .field = &type,
                                    .fields = 1,
                                    .body = strbuf_span(&jws),
                                    .body_max = body->cap,
                                    .on_field = on_field,
                                    .field_ctx = a };
    strbuf_clear(body);
    return request(a, &r, body);
}

/* A signed request (RFC 8555 6.2); payload empty: POST-as-GET. The answer goes to body. */
static enum rc post_to(struct acme *a, const char *url, struct span payload, struct strbuf *body)
{
    for (unsigned i = 0; i < ACME_NONCE_TRIES; i++) {
        enum rc rc = post_once(a, url, payload, body);
        if (rc != RC_OK)
            return rc;
        if (a->http->head.status < 300)
            return RC_OK;
        a->answer = *body;
        rc = refused(a);
        if (strcmp(a->problem, "badNonce") != 0)
            return rc;
    }
    return RC_REFUSED;
}

static enum rc post(struct acme *a, const char *url, struct span payload, struct json_view *out)
{
    a->answer = strbuf_on(a->body, ACME_BODY_BYTES);
    enum rc rc = post_to(a, url, payload, &a->answer);
    return rc == RC_OK ? open_answer(a, out) : rc;
}

/* --- directory and account --- */

static enum rc read_directory(struct acme *a)
{
    struct json_view v, meta, flag;
    enum rc rc = open_answer(a, &v);
    const struct {
        const char *name;
        char *out;
        bool required;
    } entries[] = { { "newNonce", a->new_nonce, true },
                    { "newAccount", a->new_account, true },
                    { "newOrder", a->new_order, true },
                    { "revokeCert", a->revoke, false },
                    { "renewalInfo", a->renewal_info, false } };
    for (size_t i = 0; rc == RC_OK && i < sizeof entries / sizeof entries[0]; i++)
        rc = take_url(a, &v, entries[i].name, entries[i].required, entries[i].out);
    a->binding_required = rc == RC_OK && json_view_member(&v, "meta", &meta) == RC_OK &&
                          json_view_member(&meta, "externalAccountRequired", &flag) == RC_OK && json_view_true(&flag);
    return rc;
}

enum rc acme_open(struct acme *a, struct http_client *http, struct span directory_url, struct span account_key, char *body,
                  char *jws)
{
    memset(a, 0, sizeof *a);
    a->http = http;
    a->account_key = account_key;
    a->body = body;
    a->jws = jws;
    a->answer = strbuf_on(body, ACME_BODY_BYTES);
    const struct http_request r = { .method = HTTP_GET,
                                    .url = directory_url,
                                    .redirects = HTTP_REDIRECTS_MAX,
                                    .body_max = ACME_BODY_BYTES,
                                    .on_field = on_field,
                                    .field_ctx = a };
    enum rc rc = request(a, &r, &a->answer);
    if (rc == RC_OK && a->http->head.status != 200)
        rc = refused(a);
    return rc == RC_OK ? read_directory(a) : rc;
}

static enum rc add_binding(struct acme *a, const struct acme_binding *binding, struct strbuf *payload)
{
    char key[JWK_MAX], memory[BINDING_MAX];
    struct strbuf jwk = STRBUF(key), jws = STRBUF(memory), scratch = strbuf_on(a->body, ACME_BODY_BYTES);
    enum rc rc = jwk_write(a->account_key, &jwk);
    if (rc == RC_OK)
        rc = jws_bind(binding->kid, binding->mac_key, span_of(a->new_account), strbuf_span(&jwk), &scratch, &jws);
    if (rc != RC_OK)
        return say(a, rc, "the account binding could not be made");
    strbuf_puts(payload, ",\"externalAccountBinding\":");
    strbuf_add(payload, strbuf_span(&jws));
    return RC_OK;
}

enum rc acme_account(struct acme *a, struct span contact, const struct acme_binding *binding)
{
    struct strbuf payload = STRBUF(a->payload), url = STRBUF(a->account);
    struct json_view v;
    if (a->binding_required && !binding)
        return say(a, RC_REFUSED, "the server wants an external account binding");
    strbuf_puts(&payload, "{\"termsOfServiceAgreed\":true");
    if (contact.len) {
        strbuf_puts(&payload, ",\"contact\":[\"mailto:");
        strbuf_add(&payload, contact);
        strbuf_puts(&payload, "\"]");
    }
    enum rc rc = binding ? add_binding(a, binding, &payload) : RC_OK;
    strbuf_puts(&payload, "}");
    if (rc == RC_OK && (payload.overflow || span_find(contact, 0, '"') != SIZE_MAX || span_find(contact, 0, '\\') != SIZE_MAX))
        rc = say(a, RC_INVALID, "the contact is no mail address");
    if (rc == RC_OK)
        rc = post(a, a->new_account, strbuf_span(&payload), &v);
    if (rc == RC_OK && !a->location[0])
        rc = say(a, RC_PROTOCOL, "the server names no account");
    if (rc == RC_OK)
        strbuf_puts(&url, a->location);
    return rc;
}

enum rc acme_use_account(struct acme *a, struct span url)
{
    struct strbuf out = STRBUF(a->account);
    return url_canonical(url, &out);
}

/* --- orders --- */

enum rc acme_order(struct acme *a, const char *const *names, unsigned count, struct span profile)
{
    struct strbuf payload = STRBUF(a->payload), url = STRBUF(a->order);
    struct ip_addr_any ip;
    struct json_view v;
    strbuf_puts(&payload, "{\"identifiers\":[");
    for (unsigned i = 0; i < count; i++) {
        bool address = ip_parse(span_of(names[i]), &ip) == RC_OK;
        strbuf_printf(&payload, "%s{\"type\":\"%s\",\"value\":", i ? "," : "", address ? "ip" : "dns");
        strbuf_add_json(&payload, span_of(names[i]));
        strbuf_putc(&payload, '}');
    }
    strbuf_putc(&payload, ']');
    if (profile.len) {
        strbuf_puts(&payload, ",\"profile\":");
        strbuf_add_json(&payload, profile);
    }
    strbuf_putc(&payload, '}');
    if (payload.overflow || !count)
        return say(a, RC_INVALID, "too many names for one order, or none");
    enum rc rc = post(a, a->new_order, strbuf_span(&payload), &v);
    if (rc == RC_OK && !a->location[0])
        rc = say(a, RC_PROTOCOL, "the server names no order");
    if (rc == RC_OK)
        strbuf_puts(&url, a->location);
    return rc;
}

/* --- waiting --- */

/* The words of an "error" inside an order, authorization or challenge. */
static void add_error(struct acme *a, const struct json_view *v)
{
    struct strbuf why = { a->why, strlen(a->why), sizeof a->why, false };
    struct json_view error;
    if (json_view_member(v, "error", &error) == RC_OK)
        add_detail(&why, &error);
}

/* Asks for the object at url until it is valid (or ready). *out is it. RC_REFUSED: it never will be. */
static enum rc wait_for(struct acme *a, const char *url, const char *what, bool ready_will_do, struct json_view *out)
{
    char status[STATUS_MAX];
    struct strbuf s = STRBUF(status), why = STRBUF(a->why);
    struct deadline d = deadline_in_ms(ACME_PATIENCE_MS);
    for (uint32_t wait_s = POLL_FIRST_S;; wait_s = wait_s * 2 < POLL_MOST_S ? wait_s * 2 : POLL_MOST_S) {
        enum rc rc = post(a, url, SPAN(""), out);
        if (rc == RC_OK && json_view_member_text(out, "status", &s) != RC_OK)
            rc = say(a, RC_PROTOCOL, "the server's answer has no status");
        if (rc != RC_OK)
            return rc;
        bool ready = strcmp(status, "ready") == 0;
        if (strcmp(status, "valid") == 0 || (ready && ready_will_do))
            return RC_OK;
        bool under_way = ready || strcmp(status, "pending") == 0 || strcmp(status, "processing") == 0;
        strbuf_clear(&why);
        strbuf_printf(&why, "the %s is %s", what, under_way ? status : "invalid");
        if (!under_way) {
            add_error(a, out);
            return RC_REFUSED;
        }
        if (deadline_passed(d))
            return RC_TIMEOUT;
        uint32_t asked_s = a->retry_after_s > 0 && a->retry_after_s < ACME_PATIENCE_MS / 1000 ? (uint32_t)a->retry_after_s : 0;
        rc = task_sleep_ms((asked_s > wait_s ? asked_s : wait_s) * 1000);
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

static enum rc find_challenge(struct acme *a, const struct json_view *authorization, const char *type)
{
    struct json_view list, one, identifier;
    char memory[40];
    struct strbuf kind = STRBUF(memory), token = STRBUF(a->challenge.token), name = STRBUF(a->challenge.identifier);
    struct strbuf k = STRBUF(a->challenge.key_authorization);
    size_t cursor = 0;
    if (json_view_member(authorization, "identifier", &identifier) != RC_OK ||
        json_view_member_text(&identifier, "value", &name) != RC_OK ||
        json_view_member(authorization, "challenges", &list) != RC_OK)
        return say(a, RC_PROTOCOL, "an authorization without name or challenges");
    bool found = false;
    while (!found && json_view_each(&list, &cursor, &one))
        found = json_view_member_text(&one, "type", &kind) == RC_OK && strcmp(memory, type) == 0;
    if (!found)
        return say(a, RC_UNSUPPORTED, "the server offers no challenge that this box can meet");
    enum rc rc = take_url(a, &one, "url", true, a->challenge.url);
    if (rc == RC_OK && (json_view_member_text(&one, "token", &token) != RC_OK || !is_token(strbuf_span(&token))))
        rc = say(a, RC_PROTOCOL, "a challenge without a usable token");
    if (rc != RC_OK)
        return rc;
    char thumb[JWK_THUMBPRINT_CHARS + 1];
    struct strbuf t = STRBUF(thumb);
    rc = jwk_thumbprint(a->account_key, &t);
    if (rc != RC_OK)
        return say(a, rc, "the account key cannot be used");
    strbuf_printf(&k, "%s.%s", a->challenge.token, thumb);
    return RC_OK;
}

static enum rc meet(struct acme *a, const struct acme_solver *solver)
{
    const struct acme_challenge c = { solver->type, a->challenge.identifier, a->challenge.token, a->challenge.key_authorization };
    struct json_view v;
    enum rc rc = solver->prepare(solver->ctx, &c);
    if (rc != RC_OK)
        return say(a, rc, "the challenge could not be prepared");
    rc = post(a, a->challenge.url, SPAN("{}"), &v);
    if (rc == RC_OK)
        rc = wait_for(a, a->challenge.authorization, "authorization", false, &v);
    solver->done(solver->ctx, &c);
    return rc;
}

/* The server tells why a challenge failed in the challenge, not in the authorization. */
static void add_challenge_error(struct acme *a, const char *type)
{
    struct json_view v, list, one;
    char memory[40];
    struct strbuf kind = STRBUF(memory);
    size_t cursor = 0;
    if (json_view_open(strbuf_span(&a->answer), &v) != RC_OK || json_view_member(&v, "challenges", &list) != RC_OK)
        return;
    while (json_view_each(&list, &cursor, &one))
        if (json_view_member_text(&one, "type", &kind) == RC_OK && strcmp(memory, type) == 0)
            add_error(a, &one);
}

static enum rc authorize_one(struct acme *a, const struct acme_solver *solver)
{
    struct json_view v;
    char status[STATUS_MAX];
    struct strbuf s = STRBUF(status);
    enum rc rc = post(a, a->challenge.authorization, SPAN(""), &v);
    if (rc == RC_OK && json_view_member_text(&v, "status", &s) != RC_OK)
        rc = say(a, RC_PROTOCOL, "an authorization without status");
    if (rc != RC_OK || strcmp(status, "valid") == 0)
        return rc;
    rc = find_challenge(a, &v, solver->type);
    if (rc == RC_OK)
        rc = meet(a, solver);
    if (rc == RC_REFUSED && !a->problem[0])
        add_challenge_error(a, solver->type);
    return rc;
}

/* The address of an authorization that is not among the done ones; servers may name them in another order each time. RC_NOT_FOUND: none is
 * left. */
static enum rc next_authorization(struct acme *a, const uint32_t *done, unsigned count)
{
    struct json_view order, list, one;
    size_t cursor = 0;
    enum rc rc = post(a, a->order, SPAN(""), &order);
    if (rc == RC_OK && json_view_member(&order, "authorizations", &list) != RC_OK)
        rc = say(a, RC_PROTOCOL, "an order without authorizations");
    if (rc != RC_OK)
        return rc;
    while (json_view_each(&list, &cursor, &one)) {
        struct strbuf text = STRBUF(a->url), out = STRBUF(a->challenge.authorization);
        if (!json_view_text(&one, &text) || text.overflow || url_canonical(strbuf_span(&text), &out) != RC_OK)
            return say(a, RC_PROTOCOL, "an order with an authorization that has no usable address");
        unsigned i = 0;
        while (i < count && done[i] != crc32_update(0, out.p, out.len))
            i++;
        if (i == count)
            return RC_OK;
    }
    return RC_NOT_FOUND;
}

enum rc acme_authorize(struct acme *a, const struct acme_solver *solver)
{
    uint32_t done[ACME_AUTHORIZATIONS_MAX];
    for (unsigned n = 0; n < ACME_AUTHORIZATIONS_MAX; n++) {
        enum rc rc = next_authorization(a, done, n);
        if (rc == RC_OK)
            rc = authorize_one(a, solver);
        if (rc != RC_OK)
            return rc == RC_NOT_FOUND ? RC_OK : rc;
        done[n] = crc32_update(0, a->challenge.authorization, strlen(a->challenge.authorization));
    }
    return say(a, RC_PROTOCOL, "an order with too many authorizations");
}

/* --- the certificate --- */

static enum rc download(struct acme *a, const struct json_view *order, struct strbuf *chain)
{
    enum rc rc = take_url(a, order, "certificate", true, a->url);
    if (rc != RC_OK)
        return rc;
    struct strbuf part = strbuf_on(chain->p + chain->len, chain->cap - chain->len);
    rc = post_to(a, a->url, SPAN(""), &part);
    if (rc == RC_TOO_LONG)
        rc = say(a, RC_FULL, "the certificate's chain is too long for this box");
    if (rc == RC_OK && !span_starts(strbuf_span(&part), "-----BEGIN CERTIFICATE-----"))
        rc = say(a, RC_PROTOCOL, "the server's certificate is no PEM text");
    if (rc == RC_OK)
        chain->len += part.len;
    else
        chain->p[chain->len] = '\0';
    return rc;
}

enum rc acme_finalize(struct acme *a, struct span csr, struct strbuf *chain)
{
    struct strbuf payload = STRBUF(a->payload);
    struct json_view v, done;
    enum rc rc = wait_for(a, a->order, "order", true, &v);
    if (rc == RC_OK && json_view_member(&v, "certificate", &done) == RC_OK)
        return download(a, &v, chain);
    if (rc == RC_OK)
        rc = take_url(a, &v, "finalize", true, a->url);
    strbuf_puts(&payload, "{\"csr\":\"");
    base64url_encode(&payload, csr);
    strbuf_puts(&payload, "\"}");
    if (rc == RC_OK && payload.overflow)
        rc = say(a, RC_TOO_LONG, "the certificate request is too long");
    if (rc == RC_OK)
        rc = post(a, a->url, strbuf_span(&payload), &v);
    if (rc == RC_OK)
        rc = wait_for(a, a->order, "order", false, &v);
    return rc == RC_OK ? download(a, &v, chain) : rc;
}
