/* Who may submit mail with a name and a password: the settings mail.user.NAME, each with its hash, and mail.user_senders.NAME, what
 * that user may send as. One password is hashed at a time, so that a flood of logins costs no more than one task's share. */
#ifndef FIRMWARE_USERS_H
#define FIRMWARE_USERS_H

#include "hal/base/domain.h"
#include "hal/base/ipaddr.h"
#include "hal/base/strbuf.h"

#define USER_NAME_MAX 88 /* what SETTING_KEY_MAX leaves of mail.user., NUL included */

enum login { LOGIN_OK, LOGIN_WRONG, LOGIN_SHUT_OUT, LOGIN_BUSY };

bool users_any(void);
/* user: NAME, or NAME@one of mail.domains; case does not count. LOGIN_OK: *name is NAME as it stands in the settings. A wrong user
 * takes as long as a wrong password, and both wait longer with each failure from peer. LOGIN_SHUT_OUT: too many failures from there;
 * nothing was looked at, and *wait_s says for how long. LOGIN_BUSY: others' logins took too long, or the task was cancelled. Yields. */
enum login users_login(const struct ip_addr_any *peer, struct span user, struct span password, struct strbuf *name,
                       uint32_t *wait_s);
/* Whether the user may send as address ("local@domain", "" for the null sender): true for all without mail.user_senders.NAME; with it,
 * for the addresses and whole domains it lists, and never for the null sender. */
bool users_may_send_as(const char *name, struct span address);

#endif
