/* A rescued message as two files: ID.eml is the message, ID.json its envelope, what became of each recipient, and what is damaged. */
#include <cJSON.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "hal/base/datetime.h"
#include "net/smtp_client.h"
#include "toolchain/tools/postern-image/commands.h"
#include "toolchain/tools/common/rescued_mail.h"

/* cJSON's, which so never fails. */
static void *allocate(size_t bytes)
{
    return tool_alloc(bytes, 1);
}

static cJSON *text_item(const char *text)
{
    char quoted[6 * SPOOL_ADDRESS_MAX + 3]; /* no text is longer, and \u00XX for each byte the longest way to write it */
    struct strbuf b = STRBUF(quoted);
    strbuf_add_json(&b, span_of(text));
    return cJSON_CreateRaw(quoted);
}

static void put_text(cJSON *object, const char *name, const char *text)
{
    if (text[0] != '\0')
        cJSON_AddItemToObject(object, name, text_item(text));
}

static void put_text_or_null(cJSON *object, const char *name, const char *text)
{
    cJSON_AddItemToObject(object, name, text != NULL ? text_item(text) : cJSON_CreateNull());
}

static void put_flag(cJSON *object, const char *name, bool value)
{
    if (value)
        cJSON_AddTrueToObject(object, name);
}

static void put_time(cJSON *object, const char *name, int64_t unix_s)
{
    char text[32];
    struct strbuf b = STRBUF(text);
    if (unix_s == 0)
        return;
    rfc3339_format(&b, unix_s);
    put_text(object, name, text);
}

static void put_notify(cJSON *object, uint8_t notify)
{
    static const struct {
        uint8_t bit;
        const char *word;
    } words[] = { { DSN_NOTIFY_NEVER, "NEVER" },
                  { DSN_NOTIFY_SUCCESS, "SUCCESS" },
                  { DSN_NOTIFY_FAILURE, "FAILURE" },
                  { DSN_NOTIFY_DELAY, "DELAY" } };
    cJSON *list = notify != 0 ? cJSON_AddArrayToObject(object, "notify") : NULL;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if ((notify & words[i].bit) != 0)
            cJSON_AddItemToArray(list, text_item(words[i].word));
    }
}

static cJSON *recipient_item(const struct rescued_recipient *r)
{
    static const char *const states[] = { "waiting", "delivered", "bounced", "dropped" };
    cJSON *o = cJSON_CreateObject();
    put_text_or_null(o, "address", r->known ? r->is.address : NULL);
    put_text(o, "state", states[r->is.state]);
    put_notify(o, r->is.notify);
    put_text(o, "orcpt", r->is.orcpt);
    if (r->is.code != 0) {
        char enhanced[16];
        struct strbuf b = STRBUF(enhanced);
        strbuf_printf(&b, "%u.%u.%u", r->is.enhanced[0], r->is.enhanced[1], r->is.enhanced[2]);
        cJSON_AddNumberToObject(o, "code", r->is.code);
        put_text(o, "enhanced", enhanced);
    }
    put_time(o, "at", r->is.at);
    put_text(o, "reply", r->is.text);
    return o;
}

static void put_damage(cJSON *object, const struct rescued_mail *m)
{
    cJSON *list = cJSON_AddArrayToObject(object, "damaged");
    const struct {
        bool is;
        const char *words;
    } faults[] = {
        { m->no_commit,
          m->kind == RESCUE_UNFINISHED ? "never accepted: its sender was not told so" : "the record of its acceptance" },
        { m->no_envelope, "sender and options" },
        { m->lost_recipients > 0, "recipients" },
        { m->missing_bytes > 0, "parts of the message are missing" },
        { m->body_differs, "the message differs from what was accepted" },
    };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        if (faults[i].is)
            cJSON_AddItemToArray(list, text_item(faults[i].words));
    }
}

static cJSON *mail_item(const struct rescued_mail *m, const char *id)
{
    static const char *const origins[] = { "outside", "inside", "own" };
    const struct spool_envelope *e = &m->envelope;
    cJSON *o = cJSON_CreateObject();
    put_text(o, "id", id);
    put_text_or_null(o, "sender", m->no_envelope ? NULL : e->sender);
    cJSON *list = cJSON_AddArrayToObject(o, "recipients");
    for (unsigned i = 0; i < m->recipient_count; i++)
        cJSON_AddItemToArray(list, recipient_item(&m->recipients[i]));
    put_time(o, "received", e->received);
    put_text(o, "origin", m->no_envelope ? "" : origins[e->origin]);
    if (e->peer.addr.family != IP_NONE) {
        char peer[64];
        struct strbuf b = STRBUF(peer);
        ip_format(&b, &e->peer.addr);
        put_text(o, "client", peer);
    }
    put_text(o, "helo", e->helo);
    put_flag(o, "8bitmime", e->body_8bit);
    put_flag(o, "smtputf8", e->utf8);
    put_flag(o, "requiretls", e->require_tls);
    put_flag(o, "tls_optional", e->tls_optional);
    put_text(o, "ret", e->ret == 'F' ? "FULL" : e->ret == 'H' ? "HDRS" : "");
    put_text(o, "envid", e->envid);
    cJSON_AddNumberToObject(o, "bytes", (double)m->body.len);
    cJSON_AddNumberToObject(o, "missing_bytes", (double)m->missing_bytes);
    cJSON_AddNumberToObject(o, "attempts", m->status.attempts);
    put_time(o, "next_try", m->status.next_try);
    put_flag(o, "held", m->held);
    put_damage(o, m);
    return o;
}

static enum rc write_in(const char *folder, const char *id, const char *ending, struct span bytes)
{
    char path[PATH_MAX];
    struct strbuf b = STRBUF(path);
    strbuf_printf(&b, "%s/%s.%s", folder, id, ending);
    return b.overflow ? fail("%s: the name is too long", folder) : file_write(path, bytes);
}

enum rc rescued_mail_write(const struct rescued_mail *m, const char *folder)
{
    char id[16];
    struct strbuf b = STRBUF(id);
    strbuf_printf(&b, "%08X", (unsigned)m->id);
    enum rc rc = write_in(folder, id, "eml", byte_buffer_span(&m->body));
    cJSON_InitHooks(&(cJSON_Hooks){ allocate, free });
    cJSON *item = mail_item(m, id);
    struct byte_buffer text = { .len = 0 };
    char *printed = cJSON_Print(item);
    byte_buffer_add(&text, printed, strlen(printed));
    byte_buffer_add(&text, "\n", 1);
    if (rc == RC_OK)
        rc = write_in(folder, id, "json", byte_buffer_span(&text));
    cJSON_free(printed);
    byte_buffer_free(&text);
    cJSON_Delete(item);
    return rc;
}
