/* URLs, answers and signed requests. The memory holds a request's payload, behind it the request, and in that one's place then the answer: the
 * payload stays for another try. */
#include <string.h>

#include "hal/task.h"
#include "net/acme_private.h"

#define SUBPROBLEMS_MAX 4

_Static_assert(ACME_MEMORY_LEAST / 2 / 3 >= JWS_PROTECTED_MAX, "a header's scratch is a third of what the payload leaves");

enum rc acme_say(struct acme *a, enum rc rc, const char *words)
{
    struct strbuf why = STRBUF(a->why);
    strbuf_puts(&why, words);
    return rc;
}

enum rc acme_lacks(struct acme *a, const char *what)
{
    struct strbuf why = STRBUF(a->why);
    strbuf_printf(&why, "the server's answer has no usable \"%s\"", what);
    return RC_PROTOCOL;
}

/* --- URLs --- */

const char *acme_url(const struct acme *a, enum acme_url i)
{
    const char *p = a->urls;
    while (i-- > 0)
        p += strlen(p) + 1;
    return p;
}

enum rc acme_set_url(struct acme *a, enum acme_url i, struct span canonical)
{
    char *p = a->urls + (acme_url(a, i) - a->urls);
    size_t old = strlen(p), end = (size_t)(acme_url(a, ACME_URLS) - a->urls);
    bool fits = end - old + canonical.len <= sizeof a->urls;
    size_t len = fits ? canonical.len : 0;
    memmove(p + len, p + old, end - (size_t)(p + old - a->urls));
    memcpy(p, canonical.p, len);
    return fits ? RC_OK : acme_say(a, RC_TOO_LONG, PACKED("the server's addresses are too long for this box"));
}

static enum rc set_checked(struct acme *a, enum acme_url i, enum rc rc, const struct strbuf *url)
{
    return rc == RC_OK && span_starts(strbuf_span(url), "https:") ? acme_set_url(a, i, strbuf_span(url)) : RC_PROTOCOL;
}

enum rc acme_take_url_text(struct acme *a, const struct json_view *v, const char *name, enum acme_url i)
{
    char memory[ACME_URL_MAX + 1], canonical[ACME_URL_MAX + 1];
    struct strbuf text = STRBUF(memory), url = STRBUF(canonical);
    bool good = json_view_text(v, &text) && !text.overflow;
    enum rc rc = good ? set_checked(a, i, url_canonical(strbuf_span(&text), &url), &url) : RC_PROTOCOL;
    return rc == RC_PROTOCOL ? acme_lacks(a, name) : rc;
}

enum rc acme_take_url(struct acme *a, const struct json_view *object, const char *name, bool required, enum acme_url i)
{
    struct json_view v;
    enum rc rc = json_view_member(object, name, &v);
    if (rc == RC_NOT_FOUND && !required)
        return acme_set_url(a, i, SPAN(""));
    if (rc != RC_OK)
        v.type = JSON_NULL; /* none, or two */
    return acme_take_url_text(a, &v, name, i);
}

static void take_location(struct acme *a, struct span reference)
{
    char memory[ACME_URL_MAX + 1];
    struct strbuf url = STRBUF(memory);
    if (set_checked(a, ACME_LOCATION, url_resolve(span_of(a->http->url), reference, &url), &url) != RC_OK)
        a->why[0] = '\0'; /* the caller says what it lacks */
}

/* Link (RFC 8288): <reference>;rel="alternate", and more behind commas. */
static void take_links(struct acme *a, struct span value)
{
    struct span one, reference;
    bool more = true;
    while (span_split(&value, &more, '<', &one) && more) {
        size_t close = span_find(value, 0, '>');
        reference = span_sub(value, 0, close);
        struct span rel = span_trim(span_from(span_sub(value, 0, span_find(value, 0, '<')), close == SIZE_MAX ? close : close + 1));
        bool alternate = span_starts_nocase(rel, ";rel=\"alternate\"") || span_starts_nocase(rel, "; rel=\"alternate\"") ||
                         span_starts_nocase(rel, ";rel=alternate");
        if (alternate && ++a->links == a->alternate)
            take_location(a, reference);
    }
}

static void on_field(void *ctx, struct span name, struct span value)
{
    struct acme *a = ctx;
    if (span_is_nocase(name, "Replay-Nonce") && value.len <= ACME_NONCE_MAX) {
        struct strbuf nonce = STRBUF(a->nonce);
        strbuf_add(&nonce, value);
    }
    if (a->alternate == 0 && span_is_nocase(name, "Location"))
        take_location(a, value);
    if (a->alternate != 0 && span_is_nocase(name, "Link"))
        take_links(a, value);
}

/* --- problems --- */

static void add_detail(struct strbuf *why, const struct json_view *problem, const char *before)
{
    char memory[ACME_WHY_MAX];
    struct strbuf detail = STRBUF(memory);
    struct json_view v;
    if (json_view_member(problem, "detail", &v) != RC_OK || !json_view_text(&v, &detail) || why->len + 8 > why->cap)
        return;
    strbuf_puts(why, before);
    strbuf_add_printable(why, strbuf_span(&detail), why->cap - why->len - 1);
}

static void add_subproblems(struct strbuf *why, const struct json_view *problem)
{
    struct json_view list, one, identifier, value;
    size_t cursor = 0;
    if (json_view_member(problem, "subproblems", &list) != RC_OK)
        return;
    for (unsigned n = 0; n < SUBPROBLEMS_MAX && json_view_each(&list, &cursor, &one) && why->len + 8 < why->cap; n++) {
        char memory[80];
        struct strbuf name = STRBUF(memory);
        if (json_view_member(&one, "identifier", &identifier) == RC_OK && json_view_member(&identifier, "value", &value) == RC_OK &&
            json_view_text(&value, &name)) {
            strbuf_puts(why, "; ");
            strbuf_add_printable(why, strbuf_span(&name), why->cap - why->len - 1);
        }
        add_detail(why, &one, ": ");
    }
}

void acme_add_problem(struct acme *a, const struct json_view *problem)
{
    char memory[120];
    struct strbuf type = STRBUF(memory), name = STRBUF(a->problem);
    struct strbuf why = { a->why, strlen(a->why), sizeof a->why, false };
    if (json_view_member_text(problem, "type", &type) == RC_OK) {
        strbuf_add_printable(&name, span_from(strbuf_span(&type), span_find_last(strbuf_span(&type), ':') + 1),
                             sizeof a->problem - 1);
        strbuf_printf(&why, " (%s)", a->problem);
    }
    add_detail(&why, problem, ": ");
    add_subproblems(&why, problem);
}

bool acme_problem_is(const struct acme *a, const char *type)
{
    return strcmp(a->problem, type) == 0;
}

bool acme_is_busy(const struct acme *a)
{
    unsigned status = a->http->head.status;
    return status == 0 || status == 429 || status >= 500;
}

/* --- requests --- */

static enum rc open_answer(struct acme *a, struct json_view *out)
{
    if (json_view_open(strbuf_span(&a->answer), out) == RC_OK && out->type == JSON_OBJECT)
        return RC_OK;
    return acme_say(a, RC_PROTOCOL, PACKED("the server's answer is not JSON"));
}

static void note_refusal(struct acme *a)
{
    struct strbuf why = STRBUF(a->why);
    struct json_view v;
    strbuf_printf(&why, "the server answered %u", a->http->head.status);
    if (json_view_open(strbuf_span(&a->answer), &v) == RC_OK)
        acme_add_problem(a, &v);
}

static enum rc request(struct acme *a, struct http_request *r)
{
    a->problem[0] = '\0';
    a->links = 0;
    a->retry_after_s = -1;
    enum rc rc = acme_set_url(a, ACME_LOCATION, SPAN(""));
    if (rc == RC_OK && deadline_passed(a->end))
        return acme_say(a, RC_TIMEOUT, PACKED("the dialogue takes too long"));
    a->requests++;
    r->on_field = on_field;
    r->field_ctx = a;
    r->body_max = a->answer.cap;
    strbuf_clear(&a->answer);
    if (rc == RC_OK)
        rc = http_request(a->http, r);
    if (rc == RC_OK) {
        a->retry_after_s = a->http->head.retry_after_s;
        rc = http_read_all(a->http, &a->answer);
    }
    return rc == RC_OK ? RC_OK : acme_say(a, rc, a->http->why);
}

enum rc acme_get(struct acme *a, struct span url, struct json_view *out)
{
    struct http_request r = { .method = HTTP_GET, .url = url, .redirects = HTTP_REDIRECTS_MAX };
    a->answer = strbuf_on(a->memory, a->memory_bytes);
    a->alternate = 0;
    enum rc rc = request(a, &r);
    if (rc == RC_OK && a->http->head.status != 200) {
        note_refusal(a);
        rc = RC_REFUSED;
    }
    return rc == RC_OK ? open_answer(a, out) : rc;
}

static enum rc fresh_nonce(struct acme *a)
{
    struct http_request r = { .method = HTTP_HEAD, .url = span_of(acme_url(a, ACME_NEW_NONCE)) };
    enum rc rc = request(a, &r);
    if (rc == RC_OK && !a->nonce[0])
        rc = acme_lacks(a, "nonce");
    return rc;
}

static enum rc post_once(struct acme *a, enum acme_url i, struct span payload, struct span key)
{
    static const struct http_field type = { "Content-Type", SPAN("application/jose+json") };
    size_t third = a->answer.cap / 3;
    struct strbuf scratch = strbuf_on(a->answer.p, third), jws = strbuf_on(a->answer.p + third, a->answer.cap - third);
    enum rc rc = a->nonce[0] ? RC_OK : fresh_nonce(a);
    if (rc != RC_OK)
        return rc;
    struct span url = span_of(acme_url(a, i));
    const struct jws_header h = { key.len ? SPAN("") : span_of(acme_url(a, ACME_ACCOUNT)), span_of(a->nonce), url };
    rc = jws_sign(&h, key.len ? key : a->account_key, payload, &scratch, &jws);
    a->nonce[0] = '\0'; /* good for one request, whatever comes of it */
    if (rc != RC_OK)
        return acme_say(a, rc == RC_FULL ? RC_TOO_LONG : rc, PACKED("the request could not be signed"));
    struct http_request r = { .method = HTTP_POST, .url = url, .field = &type, .fields = 1, .body = strbuf_span(&jws) };
    return request(a, &r);
}

struct strbuf acme_payload(struct acme *a)
{
    return strbuf_on(a->memory, a->memory_bytes / 2);
}

/* After a refusal: RC_OK when the same request may be sent again now. */
static enum rc may_try_again(struct acme *a)
{
    unsigned status = a->http->head.status;
    if (acme_problem_is(a, "badNonce"))
        return RC_OK;
    if ((status != 429 && status != 503) || a->retry_after_s < 0 || a->retry_after_s > ACME_BUSY_MAX_S)
        return RC_REFUSED;
    return task_sleep_ms((uint32_t)a->retry_after_s * 1000 + 1000);
}

enum rc acme_post(struct acme *a, enum acme_url i, const struct strbuf *payload, struct span key, struct json_view *out)
{
    size_t used = payload != NULL ? payload->len : 0;
    struct span text = payload != NULL ? strbuf_span(payload) : SPAN("");
    if (payload != NULL && payload->overflow)
        return acme_say(a, RC_TOO_LONG, PACKED("the request is too long for this box"));
    a->answer = strbuf_on(a->memory + used, a->memory_bytes - used);
    enum rc rc = RC_OK;
    for (unsigned n = 0; rc == RC_OK && n < ACME_TRIES; n++) {
        rc = post_once(a, i, text, key);
        if (rc == RC_OK && a->http->head.status < 300)
            return out != NULL ? open_answer(a, out) : RC_OK;
        if (rc == RC_OK) {
            note_refusal(a);
            rc = may_try_again(a);
        }
    }
    return rc == RC_OK ? RC_REFUSED : rc;
}
