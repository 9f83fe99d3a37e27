/* Logins: the settings have the names, password.c the hashing, login_guard.c the memory of failures. */
#include "firmware/users.h"

#include "firmware/login_guard.h"
#include "firmware/password.h"
#include "firmware/setting_value.h"
#include "firmware/settings.h"
#include "hal/task.h"

#define FAMILY "mail.user."
#define SENDERS_FAMILY "mail.user_senders."
#define TURN_MS 20000 /* to wait for others' hashes */

static struct login_guard guard;
static bool hashing;
static struct event hash_free;

bool users_any(void)
{
    char member[USER_NAME_MAX];
    struct strbuf name = STRBUF(member);
    const char *value;
    return settings_member_at(FAMILY, 0, &name, &value);
}

/* The member that user means, or an empty *name. */
static void name_of(struct span user, struct strbuf *name)
{
    size_t at = span_find_last(user, '@');
    char memory[DOMAIN_TEXT_MAX];
    struct strbuf domain = STRBUF(memory);
    strbuf_clear(name);
    if (at != SIZE_MAX && (domain_canonical(span_from(user, at + 1), &domain) != RC_OK ||
                           !setting_domains_contain(settings_get("mail.domains"), strbuf_span(&domain))))
        return;
    if (domain_canonical(span_sub(user, 0, at), name) != RC_OK || name->overflow)
        strbuf_clear(name); /* none that is longer can be in the settings */
}

static bool take_turn(void)
{
    struct deadline d = deadline_in_ms(TURN_MS);
    while (hashing)
        if (task_wait(&hash_free, d) != RC_OK)
            return false;
    hashing = true;
    return true;
}

static enum rc hash(struct span password, const struct strbuf *name)
{
    char kept[PASSWORD_TEXT_MAX]; /* a copy: the settings may be committed anew meanwhile */
    struct strbuf copy = STRBUF(kept);
    if (!take_turn())
        return RC_BUSY;
    const char *value = name->len ? settings_get_member(FAMILY, strbuf_span(name)) : NULL;
    strbuf_puts(&copy, value ? value : "");
    enum rc rc = value ? password_check(password, strbuf_span(&copy)) : password_check_nobody(password);
    hashing = false;
    event_signal(&hash_free);
    return rc;
}

enum login users_login(const struct ip_addr_any *peer, struct span user, struct span password, struct strbuf *name,
                       uint32_t *wait_s)
{
    uint64_t shut_out_ms = login_guard_shut_out_ms(&guard, peer, clock_ms());
    *wait_s = (uint32_t)((shut_out_ms + 999) / 1000);
    if (shut_out_ms)
        return LOGIN_SHUT_OUT;
    name_of(user, name);
    enum rc rc = hash(password, name);
    if (rc == RC_OK) {
        login_guard_succeeded(&guard, peer);
        return LOGIN_OK;
    }
    if (rc == RC_BUSY || rc == RC_CANCELLED)
        return LOGIN_BUSY;
    uint32_t wait_ms = login_guard_failed(&guard, peer, clock_ms());
    return task_sleep_ms(wait_ms) == RC_OK ? LOGIN_WRONG : LOGIN_BUSY;
}

bool users_may_send_as(const char *name, struct span address)
{
    const char *list = settings_get_member(SENDERS_FAMILY, span_of(name));
    struct span rest = span_of(list), item;
    size_t at = span_find_last(address, '@');
    bool more = true;
    if (!list)
        return true;
    if (at == SIZE_MAX)
        return false;
    while (setting_list_next(&rest, &more, &item)) {
        bool whole_domain = span_find(item, 0, '@') == SIZE_MAX;
        if (span_eq_nocase(item, whole_domain ? span_from(address, at + 1) : address))
            return true;
    }
    return false;
}
