#include "firmware/list_poll.h"

#include "firmware/alerts.h"
#include "firmware/errand.h"
#include "firmware/list_update.h"
#include "firmware/settings.h"
#include "firmware/settings_log.h"
#include "firmware/time_witness.h"
#include "hal/base/bytes.h"
#include "hal/base/crc32.h"
#include "hal/base/log.h"
#include "hal/task.h"

#define EVERY_S (12 * 3600) /* less the jitter */
#define VALIDATOR_KEY "list/validator"
#define VALIDATOR_MAX 100
#define VALIDATOR_HEAD_BYTES 12
#define RECORD_BYTES (VALIDATOR_HEAD_BYTES + VALIDATOR_MAX)
#define HEAD_PIECE_BYTES 64    /* so that little more than the manifest is taken before it is judged */
#define HEAD_RANGE_BYTES 2048u /* more than LIST_UPDATE_HEAD_MAX, and a flash unit */
#define PIECE_BYTES 512
#define IMAGE_BYTES_MAX (64u * 1024 * 1024) /* the slot's size decides; this only bounds a server without end */
#define TRIES_MAX 4                         /* in a row without a byte of progress */
#define FAILURES_ALERT 3

/* What a poll's step came to. */
enum step {
    STEP_DONE,
    STEP_GO_ON,
    STEP_BROKE,   /* the connection did: worth going on at the same place */
    STEP_REFUSED, /* by list_update, whose words say why */
    STEP_FAILED   /* why has words */
};

static struct {
    struct http_client *http;
    struct strbuf *why;
    uint32_t ticket;
    uint32_t next_s;
    uint32_t resume_sum; /* of the URL whose image lies half in the slot; 0: none does */
    char url[URL_TEXT_MAX];
    char delta_url[URL_TEXT_MAX];
    char validator[VALIDATOR_MAX + 1]; /* sent: of the list in use; then received: of the one on its way */
    uint8_t piece[PIECE_BYTES];
} poll;

static struct errand errand;

/* --- what the server called the list --- */

static void load_validator(void)
{
    uint8_t raw[RECORD_BYTES];
    size_t len = 0;
    const struct image *active = list_store_image();
    struct strbuf validator = STRBUF(poll.validator);
    if (active && settings_log_get(SPAN(VALIDATOR_KEY), raw, sizeof raw, &len) == RC_OK && len > VALIDATOR_HEAD_BYTES &&
        get_le64(raw) == active->version && get_le32(raw + 8) == crc32_update(0, poll.url, span_of(poll.url).len))
        strbuf_add(&validator, span_bytes(raw + VALIDATOR_HEAD_BYTES, len - VALIDATOR_HEAD_BYTES));
}

/* For the list that is in use now, if the server gave a name for what it sent. */
static void store_validator(void)
{
    uint8_t raw[RECORD_BYTES], stored[RECORD_BYTES];
    struct span text = span_of(poll.validator);
    const struct image *active = list_store_image();
    size_t len = 0;
    if (!active || !text.len)
        return;
    put_le64(raw, active->version);
    put_le32(raw + 8, crc32_update(0, poll.url, span_of(poll.url).len));
    memcpy(raw + VALIDATOR_HEAD_BYTES, text.p, text.len);
    struct span record = span_bytes(raw, VALIDATOR_HEAD_BYTES + text.len);
    enum rc rc = settings_log_get(SPAN(VALIDATOR_KEY), stored, sizeof stored, &len);
    if (rc == RC_OK && span_eq(span_bytes(stored, len), record))
        return;
    rc = settings_log_put(SPAN(VALIDATOR_KEY), record);
    if (rc != RC_OK)
        log_event_at(LOG_WARN, LOG_LIST, "validator-not-stored", "rc=%s", rc_name(rc));
}

static bool is_tag(const char *validator)
{
    return validator[0] == '"' || strncmp(validator, "W/", 2) == 0; /* else it is a date: "Wed, ..." */
}

/* An entity tag is better than a date; what is too long to keep is none. */
static void take_validator(void *ctx, struct span name, struct span value)
{
    bool tag = span_is_nocase(name, "ETag");
    bool better = tag ? span_starts(value, "\"") || span_starts(value, "W/")
                      : span_is_nocase(name, "Last-Modified") && !is_tag(poll.validator);
    (void)ctx;
    if (!better || value.len > VALIDATOR_MAX)
        return;
    struct strbuf validator = STRBUF(poll.validator);
    strbuf_add(&validator, value);
}

/* --- requests --- */

/* The request failed before an answer; is that the connection's fault? */
static enum step broken(enum rc rc)
{
    strbuf_clear(poll.why);
    strbuf_puts(poll.why, poll.http->why);
    bool line = rc == RC_TIMEOUT || rc == RC_RESET || rc == RC_CLOSED || rc == RC_TOO_SLOW || rc == RC_REFUSED ||
                rc == RC_UNREACHABLE;
    return line && poll.http->head.fault != HTTP_FAULT_INSECURE ? STEP_BROKE : STEP_FAILED;
}

static enum step fail(const char *words)
{
    strbuf_clear(poll.why);
    strbuf_puts(poll.why, words);
    return STEP_FAILED;
}

static enum step bad_status(void)
{
    const struct http_head *h = &poll.http->head;
    strbuf_clear(poll.why);
    strbuf_printf(poll.why, "the server answered %u", h->status);
    if (h->retry_after_s > 0) {
        strbuf_printf(poll.why, " and asks to wait for %lld s", (long long)h->retry_after_s);
        poll.next_s = h->retry_after_s < ERRAND_EVERY_MAX_S ? (uint32_t)h->retry_after_s : ERRAND_EVERY_MAX_S;
    }
    return STEP_FAILED;
}

static enum step ask(const char *url, const struct http_field *field, unsigned fields, http_on_field on_field)
{
    const struct http_request r = { .method = HTTP_GET,
                                    .url = span_of(url),
                                    .field = field,
                                    .fields = fields,
                                    .redirects = HTTP_REDIRECTS_MAX,
                                    .body_max = IMAGE_BYTES_MAX,
                                    .on_field = on_field };
    enum rc rc = http_request(poll.http, &r);
    return rc == RC_OK ? STEP_GO_ON : broken(rc);
}

/* --- bytes --- */

static enum step begin(void)
{
    list_update_abandon(poll.ticket, NULL);
    if (list_update_begin(poll.url, &poll.ticket) == RC_OK)
        return STEP_GO_ON;
    return fail(PACKED("another list is being put in"));
}

/* Gives body bytes to the update until the answer ends, or until the manifest is judged. */
static enum step pump(bool head_only)
{
    struct list_update_view v;
    for (;;) {
        size_t got;
        enum rc rc = http_read(poll.http, poll.piece, head_only ? HEAD_PIECE_BYTES : sizeof poll.piece, &got);
        if (rc != RC_OK)
            return broken(rc);
        if (got == 0)
            return STEP_GO_ON;
        if (list_update_write(poll.ticket, span_bytes(poll.piece, got)) != RC_OK)
            return STEP_REFUSED;
        list_update_look(&v);
        if (head_only && v.state != LIST_UPDATE_HEAD)
            return STEP_GO_ON;
    }
}

static bool whole(void)
{
    struct list_update_view v;
    list_update_look(&v);
    return v.size_bytes && list_update_position(poll.ticket) == v.size_bytes;
}

static enum step finish(void)
{
    return list_update_finish(poll.ticket) == RC_OK ? STEP_DONE : STEP_REFUSED;
}

/* --- a delta --- */

/* STEP_GO_ON: there is none that leads anywhere; the update stands where it did, or at its beginning. */
static enum step try_delta(uint64_t from_version)
{
    struct strbuf url = STRBUF(poll.delta_url);
    strbuf_puts(&url, poll.url);
    strbuf_printf(&url, ".from-%llu", (unsigned long long)from_version);
    if (url.overflow || strcspn(poll.url, "?") < span_of(poll.url).len)
        return STEP_GO_ON; /* no file name to add to */
    enum step s = ask(poll.delta_url, NULL, 0, NULL);
    if (s == STEP_GO_ON && poll.http->head.status != 200)
        return STEP_GO_ON;
    bool begun = s == STEP_GO_ON;
    if (begun)
        s = begin();
    if (s == STEP_GO_ON)
        s = pump(false);
    if (s == STEP_GO_ON && whole())
        s = finish();
    else if (s == STEP_GO_ON)
        list_update_abandon(poll.ticket, "the delta ended too early");
    log_event(LOG_LIST, "delta", "url=%s good=%d why=\"%s\"", poll.delta_url, s == STEP_DONE,
              s == STEP_BROKE || s == STEP_FAILED ? poll.why->p : list_update_words());
    strbuf_clear(poll.why);
    return s == STEP_DONE ? s : begun ? begin() : STEP_GO_ON;
}

/* --- the full image --- */

/* The answer to a request for what follows position: is it that? */
static enum step judge_answer(uint64_t position)
{
    const struct http_head *h = &poll.http->head;
    struct list_update_view v;
    list_update_look(&v);
    if (h->status == 200) /* all of it: the file has changed, or the server knows no ranges */
        return position ? begin() : STEP_GO_ON;
    if (h->status != 206)
        return bad_status();
    if (h->range_from == position && (h->of_size == UINT64_MAX || !v.size_bytes || h->of_size == v.size_bytes))
        return STEP_GO_ON;
    return fail(http_fault_text(HTTP_FAULT_RANGE));
}

static enum step ask_for_rest(uint64_t position)
{
    char memory[40];
    struct strbuf range = STRBUF(memory);
    strbuf_printf(&range, "bytes=%llu-", (unsigned long long)position);
    const struct http_field fields[] = { { "Range", strbuf_span(&range) }, { "If-Range", span_of(poll.validator) } };
    bool strong = poll.validator[0] && !span_starts(span_of(poll.validator), "W/");
    enum step s = ask(poll.url, fields, position ? 1 + strong : 0, NULL);
    return s == STEP_GO_ON ? judge_answer(position) : s;
}

/* open: an answer is under way whose next byte is the one at position. */
static enum step fetch_all(bool open)
{
    uint64_t best = list_update_position(poll.ticket);
    for (unsigned tries = 0; tries < TRIES_MAX; tries++) {
        enum step s = open ? STEP_GO_ON : ask_for_rest(list_update_position(poll.ticket));
        if (s == STEP_GO_ON)
            s = pump(false);
        open = false;
        if (s == STEP_GO_ON && whole())
            return finish();
        if (s != STEP_GO_ON && s != STEP_BROKE)
            return s;
        uint64_t position = list_update_position(poll.ticket);
        bool progress = position > best;
        if (s == STEP_GO_ON && !progress)
            return fail(PACKED("the server's file ends before the list does"));
        if (progress) {
            best = position;
            tries = 0;
        }
        if (s == STEP_GO_ON)
            continue; /* a part of the range: it has more */
        log_event(LOG_LIST, "break", "url=%s position=%llu why=\"%s\"", poll.url, (unsigned long long)position, poll.why->p);
        if (task_sleep_ms(1000u << tries) != RC_OK)
            return STEP_FAILED;
    }
    return STEP_BROKE;
}

/* --- a poll --- */

static enum step ask_for_head(void)
{
    char memory[VALIDATOR_MAX + 1], range[32];
    struct strbuf known = STRBUF(memory), r = STRBUF(range);
    strbuf_printf(&r, "bytes=0-%u", HEAD_RANGE_BYTES - 1);
    strbuf_puts(&known, poll.validator);
    const struct http_field fields[] = { { "Range", strbuf_span(&r) },
                                         { is_tag(memory) ? "If-None-Match" : "If-Modified-Since", strbuf_span(&known) } };
    poll.validator[0] = '\0';
    enum step s = ask(poll.url, fields, 1 + (known.len > 0), take_validator);
    if (s == STEP_GO_ON)
        time_witness_heard(WITNESS_LIST, errand_verified_date(poll.http));
    if (s == STEP_GO_ON && poll.http->head.status == 304 && known.len) {
        list_update_note(poll.url, true, "nothing newer: the server's list has not changed");
        return STEP_DONE;
    }
    return s == STEP_GO_ON ? judge_answer(0) : s;
}

static enum step poll_once(void)
{
    struct list_update_view v;
    const struct image *active = list_store_image();
    uint64_t version = active ? active->version : 0;
    load_validator();
    enum step s = begin();
    if (s == STEP_GO_ON)
        s = ask_for_head();
    bool ranges = poll.http->head.status == 206;
    if (s == STEP_GO_ON)
        s = pump(true);
    list_update_look(&v);
    if (s == STEP_REFUSED && v.current) {
        store_validator();
        return STEP_DONE;
    }
    if (s != STEP_GO_ON)
        return s;
    if (ranges && version && v.state == LIST_UPDATE_WRITING && !whole()) {
        s = try_delta(version);
        return s == STEP_GO_ON ? fetch_all(false) : s;
    }
    return fetch_all(true);
}

static void alert_if_bad(enum step s, const char *words)
{
    if (s == STEP_DONE)
        alert_clear(ALERT_LIST_POLL);
    else if (s == STEP_REFUSED || errand.failures + 1 >= FAILURES_ALERT)
        alert_raise(ALERT_LIST_POLL, "no newer list could be had: %.110s", words);
}

static enum rc run(struct http_client *http, uint32_t *next_s, struct strbuf *why)
{
    struct strbuf url = STRBUF(poll.url);
    strbuf_puts(&url, settings_get(errand.setting));
    poll.http = http;
    poll.why = why;
    poll.next_s = 0;
    bool same = poll.resume_sum == crc32_update(0, poll.url, url.len) && list_update_position(poll.ticket) > 0;
    poll.resume_sum = 0;
    enum step s = same ? fetch_all(false) : poll_once();
    if (s == STEP_REFUSED)
        strbuf_puts(why, list_update_words());
    else if (s != STEP_DONE)
        list_update_note(poll.url, false, "%s", why->p);
    if (s == STEP_BROKE && poll.validator[0] && list_update_position(poll.ticket) > 0)
        poll.resume_sum = crc32_update(0, poll.url, url.len);
    else
        list_update_abandon(poll.ticket, NULL);
    alert_if_bad(s, why->p);
    *next_s = s == STEP_DONE ? EVERY_S : poll.next_s;
    if (s == STEP_DONE) {
        strbuf_clear(why);
        store_validator();
    }
    return s == STEP_DONE ? RC_OK : s == STEP_REFUSED ? RC_CORRUPT : RC_UNREACHABLE;
}

static const char *fetch(void)
{
    return errand_now(&errand) ? NULL : "list.url is not set";
}

static struct errand errand = { .name = "list", .setting = "list.url", .roots = "list.roots", .run = run };

void list_poll_init(void)
{
    errand_add(&errand);
    list_update_set_fetch(fetch);
}
