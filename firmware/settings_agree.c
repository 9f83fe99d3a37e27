/* What no setting's own type can tell: whether the settings fit to each other, to the clock and to the box's own addresses. */
#include "firmware/settings_agree.h"

#include "firmware/network.h"
#include "firmware/setting_value.h"
#include "firmware/wallclock.h"
#include "hal/base/base64.h"

static uint32_t number_of(const char *key)
{
    uint32_t n = 0;
    return span_to_u32(span_of(settings_coming(key)), &n) ? n : 0;
}

/* The box as its own next hop: each mail would come back to it. */
static bool names_the_box(const char *key)
{
    struct span rest = span_of(settings_coming(key)), item;
    bool more = rest.len > 0;
    struct setting_hostport to;
    struct ip_addr_any a;
    struct ip_net own;
    while (setting_list_next(&rest, &more, &item))
        if (setting_hostport_parse(item, 25, &to) == RC_OK && ip_parse(to.host, &a) == RC_OK &&
            (network_is_own(&a) || (ip_net_parse(span_of(settings_coming("net.address")), &own) == RC_OK && ip_eq(&own.addr, &a))))
            return true;
    return false;
}

static bool is_forwarded(const char *name)
{
    char memory[SETTING_KEY_MAX + 1];
    struct strbuf key = STRBUF(memory);
    strbuf_printf(&key, "web.forward.%s", name);
    return name[0] && !key.overflow && settings_coming(memory)[0];
}

/* Of what is staged: an exception that is over has let nothing go, and never will. */
static bool exception_over(struct setting_view *view)
{
    int64_t until;
    struct span reason;
    for (unsigned i = 0; settings_view_at("mail.exception.", i, view); i++)
        if (view->is_staged && setting_exception_parse(span_of(view->value), &until, &reason) && until <= wallclock_now())
            return true;
    return false;
}

static bool is_base64url(struct span text)
{
    uint8_t bytes[192]; /* of 255 characters */
    size_t len;
    return base64url_decode(text, bytes, sizeof bytes, &len) == RC_OK;
}

bool settings_agree(struct strbuf *why)
{
    struct setting_view view;
    const char *hop = names_the_box("mail.inside") ? "mail.inside" : names_the_box("mail.smarthost") ? "mail.smarthost" : NULL;
    const char *key = settings_coming("acme.eab_key");
    strbuf_clear(why);
    if (number_of("mail.retry_first") > number_of("mail.retry_longest"))
        strbuf_puts(why, PACKED("mail.retry_first is more than mail.retry_longest"));
    else if (hop)
        strbuf_printf(why, "%s is the box's own address (net.address): its mail would come back to it", hop);
    else if (is_forwarded(settings_coming("host.name")))
        strbuf_puts(why, PACKED("web.forward names the box itself (host.name), which answers for its own name"));
    else if (key[0] && !is_base64url(span_of(key)))
        strbuf_puts(why, PACKED("acme.eab_key is not base64url"));
    else if (exception_over(&view))
        strbuf_printf(why, "%s is over already: its time has passed", view.key);
    return !why->len;
}
