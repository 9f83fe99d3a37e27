/* cert: the box's certificate and how it is renewed; what the office server must show. */
#include "firmware/cert_dialogue.h"
#include "firmware/cert_job.h"
#include "firmware/console_commands.h"
#include "firmware/delivery.h"
#include "firmware/identity.h"
#include "firmware/inside_trust.h"
#include "firmware/json_out.h"
#include "firmware/settings.h"
#include "firmware/wallclock.h"
#include "hal/base/datetime.h"

#define TIME_TEXT_MAX 24
#define PASTE_IDLE_MS 180000 /* a renewal needs the memory that it goes to */

static const char *const origins[] = { "none", "self-signed", "acme", "imported" };

/* --- info --- */

static void add_pin(struct strbuf *out, const uint8_t pin[32])
{
    strbuf_add_hex(out, span_bytes(pin, 32));
}

static void certificate_json(const struct tls_leaf_info *info, const char *hex, const char *pin, const char *next_pin)
{
    json_text("subject", info->subject);
    json_text("issuer", info->issuer);
    json_text("names", info->names);
    json_time("not_before", info->not_before);
    json_time("not_after", info->not_after);
    json_bool("self_signed", info->self_signed);
    json_text("origin", origins[identity_origin(NULL)]);
    json_number("chain", info->chain_length);
    json_text("key", info->key_type);
    json_text("sha256", hex);
    json_text("spki_sha256", pin);
    json_text("next_spki_sha256", next_pin[0] ? next_pin : NULL);
}

static void say_record(void)
{
    char text[CERT_ACCOUNT_MAX], name[DOMAIN_TEXT_MAX + 24];
    struct strbuf record = STRBUF(text), owner = STRBUF(name);
    for (unsigned i = 0; cert_wanted_record(i, &owner, &record); i++)
        say("publish  %s TXT \"%s\"", name, text);
}

static void renewal_json(const struct cert_job_view *v, const char *account)
{
    char text[CERT_ACCOUNT_MAX], name[DOMAIN_TEXT_MAX + 24];
    struct strbuf record = STRBUF(text), owner = STRBUF(name);
    json_text("account", account[0] ? account : NULL);
    json_text("record", cert_wanted_record(0, &owner, &record) ? text : NULL);
    json_object("renewal");
    json_bool("active", !v->idle);
    json_text("why", v->idle ? v->idle : renewal_reason_text(v->plan.reason));
    json_bool("running", v->running);
    json_time("next", v->idle ? 0 : v->plan.at);
    json_bool("put_off", !v->idle && v->plan.hold != RENEWAL_HOLD_NONE);
    json_number("failures", v->state->failures);
    json_time("failed_at", v->state->failed_at);
    json_text("failure", v->state->why[0] ? v->state->why : NULL);
    json_time("window_start", v->state->window_start);
    json_time("window_end", v->state->window_end);
    json_close();
}

static void say_certificate(const struct tls_leaf_info *info, const char *hex, const char *pin, const char *next_pin)
{
    char from[TIME_TEXT_MAX], until[TIME_TEXT_MAX];
    struct strbuf f = STRBUF(from), u = STRBUF(until);
    rfc3339_format(&f, info->not_before);
    rfc3339_format(&u, info->not_after);
    say("names    %s%s", info->names, info->self_signed ? " (self-signed)" : "");
    say("issuer   %s, chain of %u, key %s", info->issuer, info->chain_length, info->key_type);
    say("valid    %s to %s", from, until);
    say("sha256   %s", hex);
    say("TLSA     3 1 1 %s", pin);
    if (next_pin[0])
        say("TLSA     3 1 1 %s (next key)", next_pin);
}

static void say_renewal(const struct cert_job_view *v, const char *account)
{
    char at[TIME_TEXT_MAX], end[TIME_TEXT_MAX], when[40];
    char text[CERT_ACCOUNT_MAX];
    struct strbuf a = STRBUF(at), e = STRBUF(end), w = STRBUF(when), page = STRBUF(text);
    if (v->idle) {
        say("renewal  none: %s", v->idle);
        return;
    }
    say("account  %s%s", account[0] ? account : "none yet at ", account[0] ? "" : settings_get("acme.directory"));
    rfc3339_format(&a, v->plan.at);
    add_when(&w, v->plan.at, wallclock_now());
    if (v->running)
        say("renewal  under way: %s", renewal_reason_text(v->plan.reason));
    else
        say("renewal  %s (%s): %s%s", at, when, renewal_reason_text(v->plan.reason), renewal_hold_text(v->plan.hold));
    if (v->state->window_start) {
        strbuf_clear(&a);
        rfc3339_format(&a, v->state->window_start);
        rfc3339_format(&e, v->state->window_end);
        say("window   %s to %s, by the authority", at, end);
        if (cert_store_url(CERT_PAGE, 0, &page) == RC_OK)
            say("page     %s", text);
    }
    if (v->state->why[0]) {
        strbuf_clear(&a);
        rfc3339_format(&a, v->state->failed_at);
        say("failure  %s, %u in a row: %s", at, v->state->failures, v->state->why);
    }
    say_record();
}

static void cert_info(const struct command_line *c)
{
    struct tls_leaf_info info;
    struct cert_job_view v;
    uint8_t raw[32];
    char hex[65], pin[65], next_pin[65], account[CERT_ACCOUNT_MAX];
    struct strbuf h = STRBUF(hex), p = STRBUF(pin), n = STRBUF(next_pin), a = STRBUF(account);
    if (!identity_info(&info)) {
        say_error("there is no certificate: TLS is off");
        return;
    }
    add_pin(&h, info.sha256);
    add_pin(&p, info.spki_sha256);
    if (cert_store_next_pin(raw) == RC_OK)
        add_pin(&n, raw);
    if (cert_store_url(CERT_ACCOUNT, cert_store_directory(), &a) != RC_OK)
        strbuf_clear(&a);
    cert_job_look(&v);
    if (c->json) {
        json_begin();
        certificate_json(&info, hex, pin, next_pin);
        renewal_json(&v, account);
        json_outside();
        json_end();
    } else {
        say_certificate(&info, hex, pin, next_pin);
        say_renewal(&v, account);
        say_outside("outside  ", true);
    }
}

/* --- renew --- */

static void ask_for(unsigned flags)
{
    char words[120];
    struct strbuf why = STRBUF(words);
    if (cert_job_ask(flags, &why) != RC_OK)
        say_error("%s", words);
    else
        say("asked for; 'cert info' says what comes of it");
}

/* Without a directory there is nothing to be sure of: who asks for it is told. */
static bool sure(const struct command_line *c, const char *question)
{
    return !settings_get("acme.directory")[0] || confirm(c, question);
}

static void cert_renew(const struct command_line *c)
{
    bool new_key = c->count > 2 && span_is(c->word[2], "new-key");
    if (c->count > 2u + new_key) {
        say_usage(c->command);
        return;
    }
    if (identity_origin(NULL) == IDENTITY_IMPORTED && !sure(c, PACKED("your own certificate will be replaced: go on?")))
        return;
    if (new_key && !sure(c, PACKED("is the next key's TLSA record published?")))
        return;
    ask_for(CERT_ASKED | (new_key ? CERT_NEW_KEY : 0));
}

static void cert_revoke(const struct command_line *c)
{
    bool stolen = c->count > 2 && span_is(c->word[2], "stolen");
    if (c->count > 2u + stolen)
        say_usage(c->command);
    else if (identity_origin(NULL) != IDENTITY_ISSUED)
        say_error("the certificate in use is none that this box was issued");
    else if (sure(c, PACKED("nobody will trust this certificate and its key any more, the next key takes their place: go on?")))
        ask_for(CERT_ASKED | CERT_NEW_KEY | CERT_REVOKE | (stolen ? CERT_STOLEN : 0));
}

static void cert_account(const struct command_line *c)
{
    struct span what = c->count > 2 ? c->word[2] : SPAN("");
    if (span_is(what, "roll-over") && !c->yes)
        ask_for(CERT_ROLL_OVER);
    else if (!span_is(what, "deactivate"))
        say_usage(c->command);
    else if (sure(c, PACKED("the authority will take nothing from this account any more, and its key will be gone: go on?")))
        ask_for(CERT_CLOSE);
}

/* --- import --- */

/* Lines until one with a single dot into text. */
static bool paste(struct strbuf *text)
{
    struct span line;
    say("paste it, and end with a line of one dot");
    for (;;) {
        enum rc rc = console_more("", true, deadline_in_ms(PASTE_IDLE_MS), &line);
        if (rc != RC_OK) {
            say_error("given up (%s)", rc == RC_CANCELLED ? "^C" : rc_name(rc));
            return false;
        }
        if (span_is(span_trim(line), "."))
            break;
        strbuf_add(text, line);
        strbuf_putc(text, '\n');
    }
    if (text->overflow)
        say_error("it is longer than %u bytes", (unsigned)text->cap - 1);
    return !text->overflow;
}

static void cert_import(bool ca)
{
    char words[200], *memory = identity_pem_take();
    struct strbuf why = STRBUF(words);
    if (!memory) {
        say_error("the box is getting a certificate just now: 'cert info' says how far it is, try again then");
        return;
    }
    struct strbuf text = strbuf_on(memory, IDENTITY_PEM_BYTES);
    if (paste(&text)) {
        enum rc rc = ca ? inside_trust_import(memory, text.len, &why)
                        : identity_import(strbuf_span(&text), strbuf_span(&text), &why);
        if (rc != RC_OK)
            say_error("%s", words[0] ? words : rc_name(rc));
        else
            say("the %s is in use", ca ? "office's CA" : "certificate");
        for (unsigned i = 0; rc == RC_OK && !ca && i < IDENTITY_FAULTS; i++)
            if (identity_fault((enum identity_fault)i, &why))
                say("but %s", words);
        if (ca)
            delivery_try_all_now(); /* mail that waited for this goes at once */
    }
    identity_pem_give();
}

/* --- the command --- */

static void cert_unpin(const struct command_line *c)
{
    if (inside_pin_forget(c->word[2]) != RC_OK)
        say_error("no key of that server is pinned");
    else
        say("forgotten; the next key that it shows will be pinned");
    delivery_try_all_now(); /* mail that waited for this goes at once */
}

void command_cert(const struct command_line *c)
{
    struct span verb = c->count > 1 ? c->word[1] : SPAN("info");
    if (span_is(verb, "info"))
        cert_info(c);
    else if (span_is(verb, "renew"))
        cert_renew(c);
    else if (span_is(verb, "revoke"))
        cert_revoke(c);
    else if (span_is(verb, "account"))
        cert_account(c);
    else if (span_is(verb, "import") || span_is(verb, "import-ca"))
        cert_import(span_is(verb, "import-ca"));
    else if (span_is(verb, "unpin") && c->count > 2)
        cert_unpin(c);
    else
        say_usage(c->command);
}
