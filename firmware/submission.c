/* Logins, sender rules and quotas, as answers and alerts. */
#include "firmware/submission.h"

#include "firmware/alerts.h"
#include "firmware/counters.h"
#include "firmware/quota.h"
#include "firmware/settings.h"
#include "firmware/spool.h"
#include "hal/base/log.h"

#define SHOWN_MAX 64

static struct quota quota;

static void refuse_login(enum login login, uint32_t wait_s, struct smtp_answer *a)
{
    count(COUNT_logins_failed);
    if (login == LOGIN_SHUT_OUT) {
        smtp_answer(a, 421, "4.7.0", "too many failed logins from your address, try again in %u seconds", (unsigned)wait_s);
        a->close = true;
    } else if (login == LOGIN_WRONG) {
        smtp_answer(a, 535, "5.7.8", "wrong user name or password");
    } else {
        smtp_answer(a, 454, "4.7.0", "too many logins at once, try again soon");
    }
}

void submission_login(struct submission *s, const struct ip_addr_any *peer, struct span user, struct span password,
                      struct smtp_answer *a)
{
    static const char *const words[] = { "login", "login-refused", "login-shut-out", "login-busy" };
    char given[SHOWN_MAX], from[IP_TEXT_MAX];
    struct strbuf shown = STRBUF(given), address = STRBUF(from), name = STRBUF(s->user);
    uint32_t wait_s;
    strbuf_add_printable(&shown, user, SHOWN_MAX - 1); /* before the wait: the credentials are wiped after it */
    ip_format(&address, peer);
    enum login login = users_login(peer, user, password, &name, &wait_s);
    if (login == LOGIN_OK) {
        count(COUNT_logins);
        smtp_answer(a, 235, "2.7.0", "welcome, %s", s->user);
    } else {
        s->user[0] = '\0';
        refuse_login(login, wait_s, a);
    }
    log_event_at(login == LOGIN_OK ? LOG_INFO : LOG_WARN, LOG_INTAKE, words[login], "sid=%u peer=%s user=\"%s\"", (unsigned)s->sid,
                 from, given);
}

bool submission_refuses_sender(const struct submission *s, struct span address, struct smtp_answer *a)
{
    if (!s->user[0] || users_may_send_as(s->user, address))
        return false;
    smtp_answer(a, 550, "5.7.1", "user %s may not send as this address (mail.user_senders)", s->user);
    return true;
}

bool submission_over_quota(const struct submission *s, const struct ip_addr_any *peer)
{
    char memory[USER_NAME_MAX + IP_TEXT_MAX + 8];
    struct strbuf who = STRBUF(memory);
    strbuf_puts(&who, s->user[0] ? "user " : "address ");
    if (s->user[0])
        strbuf_puts(&who, s->user);
    else
        ip_format(&who, peer);
    uint32_t per_hour = (uint32_t)settings_get_number(s->user[0] ? "mail.quota_user" : "mail.quota_address");
    if (quota_count(&quota, strbuf_span(&who), per_hour, clock_ms()))
        return false;
    alert_raise(ALERT_QUOTA, "%.80s sent to more than %u recipients in an hour: the rest is held ('queue', 'queue release ID')",
                memory, (unsigned)per_hour);
    return true;
}

void submission_check_held(void)
{
    struct spool_entry e = { .id = 0 };
    if (!alert_text(ALERT_QUOTA))
        return;
    while (spool_next(e.id, &e))
        if (e.held)
            return;
    alert_clear(ALERT_QUOTA);
}
