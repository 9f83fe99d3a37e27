/* Failed logins by address: each costs its address a longer wait, and too many shut it out for a while. Of an IPv6 address the
 * network (/64) counts. Only addresses are punished, never user names: else a stranger could shut a user out. Pure. */
#ifndef FIRMWARE_LOGIN_GUARD_H
#define FIRMWARE_LOGIN_GUARD_H

#include "hal/base/ipaddr.h"

#define LOGIN_GUARD_MAX 32 /* addresses; when more fail, the one whose last failure is the oldest is forgotten */
#define LOGIN_FAILURES_MAX 6
#define LOGIN_SHUT_OUT_MS (15 * 60 * 1000)
#define LOGIN_WAIT_MAX_MS 4000

struct login_guard {
    struct {
        struct ip_addr_any addr; /* the latest of its source */
        uint64_t last_ms;
        unsigned failures; /* 0: free */
    } entry[LOGIN_GUARD_MAX];
};

/* For how many ms more addr is shut out; 0: it may try. */
uint64_t login_guard_shut_out_ms(const struct login_guard *g, const struct ip_addr_any *addr, uint64_t now_ms);
/* Notes a failure. Returns how long to wait before saying so: 1 s, doubled with each failure, at most LOGIN_WAIT_MAX_MS. */
uint32_t login_guard_failed(struct login_guard *g, const struct ip_addr_any *addr, uint64_t now_ms);
void login_guard_succeeded(struct login_guard *g, const struct ip_addr_any *addr);

#endif
