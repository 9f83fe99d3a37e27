/* A rescued message as two files: ID.eml is the message, ID.json its envelope, what became of each recipient, and what is damaged. */
#include <cJSON.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "hal/base/datetime.h"
#include "hal/base/utf8.h"
#include "net/smtp_client.h"
#include "toolchain/tools/postern-image/commands.h"
#include "toolchain/tools/postern-image/rescued_mail.h"

static void out_of_memory(void)
{
    (void)fail("out of memory");
    exit(1);
}

static cJSON *need(cJSON *item)
{
    if (item == NULL)
        out_of_memory();
    return item;
}

/* JSON is UTF-8: bytes that are none become question marks. */
static cJSON *text_item(struct span text)
{
    char *copy = tool_copy(text);
    for (char *p = copy; !utf8_valid(text) && *p != '\0'; p++)
        *p = (unsigned char)*p < 128 ? *p : '?';
    cJSON *item = need(cJSON_CreateString(copy));
    free(copy);
    return item;
}

static void put(cJSON *object, const char *name, cJSON *item)
{
    if (!cJSON_AddItemToObject(object, name, need(item)))
        out_of_memory();
}

static void put_text(cJSON *object, const char *name, const char *text)
{
    if (text[0] != '\0')
        put(object, name, text_item(span_of(text)));
}

static void put_number(cJSON *object, const char *name, double value)
{
    put(object, name, cJSON_CreateNumber(value));
}

static void put_flag(cJSON *object, const char *name, bool value)
{
    if (value)
        put(object, name, cJSON_CreateTrue());
}

static void put_time(cJSON *object, const char *name, int64_t unix_s)
{
    char text[32];
    struct strbuf b = STRBUF(text);
    if (unix_s == 0)
        return;
    rfc3339_format(&b, unix_s);
    put(object, name, text_item(strbuf_span(&b)));
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
    cJSON *list = notify != 0 ? need(cJSON_CreateArray()) : NULL;
    for (size_t i = 0; list != NULL && i < sizeof words / sizeof words[0]; i++) {
        if ((notify & words[i].bit) != 0 && !cJSON_AddItemToArray(list, text_item(span_of(words[i].word))))
            out_of_memory();
    }
    if (list != NULL)
        put(object, "notify", list);
}

static cJSON *recipient_item(const struct rescued_recipient *r)
{
    static const char *const states[] = { "waiting", "delivered", "bounced", "dropped" };
    cJSON *o = need(cJSON_CreateObject());
    put(o, "address", r->known ? text_item(span_of(r->is.address)) : cJSON_CreateNull());
    put_text(o, "state", states[r->is.state]);
    put_notify(o, r->is.notify);
    put_text(o, "orcpt", r->is.orcpt);
    if (r->is.code != 0) {
        char enhanced[16];
        struct strbuf b = STRBUF(enhanced);
        strbuf_printf(&b, "%u.%u.%u", r->is.enhanced[0], r->is.enhanced[1], r->is.enhanced[2]);
        put_number(o, "code", r->is.code);
        put_text(o, "enhanced", enhanced);
    }
    put_time(o, "at", r->is.at);
    put_text(o, "reply", r->is.text);
    return o;
}

static void put_damage(cJSON *object, const struct rescued_mail *m)
{
    cJSON *list = need(cJSON_CreateArray());
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
        if (faults[i].is && !cJSON_AddItemToArray(list, text_item(span_of(faults[i].words))))
            out_of_memory();
    }
    put(object, "damaged", list);
}

static cJSON *mail_item(const struct rescued_mail *m, const char *id)
{
    static const char *const origins[] = { "outside", "inside", "own" };
    const struct spool_envelope *e = &m->envelope;
    cJSON *o = need(cJSON_CreateObject());
    put_text(o, "id", id);
    put(o, "sender", m->no_envelope ? cJSON_CreateNull() : text_item(span_of(e->sender)));
    cJSON *list = need(cJSON_CreateArray());
    for (unsigned i = 0; i < m->recipient_count; i++) {
        if (!cJSON_AddItemToArray(list, recipient_item(&m->recipients[i])))
            out_of_memory();
    }
    put(o, "recipients", list);
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
    put_number(o, "bytes", (double)m->body.len);
    put_number(o, "missing_bytes", (double)m->missing_bytes);
    put_number(o, "attempts", m->status.attempts);
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
    cJSON *item = mail_item(m, id);
    struct byte_buffer text = { .len = 0 };
    char *printed = cJSON_Print(item);
    if (printed != NULL)
        byte_buffer_add(&text, printed, strlen(printed));
    else
        out_of_memory();
    byte_buffer_add(&text, "\n", 1);
    if (rc == RC_OK)
        rc = write_in(folder, id, "json", byte_buffer_span(&text));
    cJSON_free(printed);
    byte_buffer_free(&text);
    cJSON_Delete(item);
    return rc;
}
