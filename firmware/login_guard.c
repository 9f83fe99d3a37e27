/* A small table, searched whole. A failure older than LOGIN_SHUT_OUT_MS is forgotten. */
#include "firmware/login_guard.h"

#include <string.h>

#define IPV6_NETWORK_BYTES 8

struct network {
    uint64_t w[2];
};

static struct network network_of(const struct ip_addr_any *addr)
{
    struct network n = { { addr->family, 0 } };
    memcpy(&n.w[1], addr->b, addr->family == IP_V6 ? IPV6_NETWORK_BYTES : 4);
    return n;
}

/* The index of addr's entry, or LOGIN_GUARD_MAX. */
static unsigned find(const struct login_guard *g, const struct ip_addr_any *addr, uint64_t now_ms)
{
    struct network n = network_of(addr);
    for (unsigned i = 0; i < LOGIN_GUARD_MAX; i++)
        if (g->entry[i].failures && memcmp(g->entry[i].network, n.w, sizeof n.w) == 0)
            return now_ms - g->entry[i].last_ms < LOGIN_SHUT_OUT_MS ? i : LOGIN_GUARD_MAX;
    return LOGIN_GUARD_MAX;
}

static unsigned oldest(const struct login_guard *g)
{
    unsigned found = 0;
    for (unsigned i = 0; i < LOGIN_GUARD_MAX; i++) {
        if (!g->entry[i].failures)
            return i;
        if (g->entry[i].last_ms < g->entry[found].last_ms)
            found = i;
    }
    return found;
}

uint64_t login_guard_shut_out_ms(const struct login_guard *g, const struct ip_addr_any *addr, uint64_t now_ms)
{
    unsigned i = find(g, addr, now_ms);
    if (i == LOGIN_GUARD_MAX || g->entry[i].failures < LOGIN_FAILURES_MAX)
        return 0;
    return g->entry[i].last_ms + LOGIN_SHUT_OUT_MS - now_ms;
}

uint32_t login_guard_failed(struct login_guard *g, const struct ip_addr_any *addr, uint64_t now_ms)
{
    unsigned i = find(g, addr, now_ms);
    if (i == LOGIN_GUARD_MAX) {
        struct network n = network_of(addr);
        login_guard_succeeded(g, addr);
        i = oldest(g);
        memcpy(g->entry[i].network, n.w, sizeof n.w);
        g->entry[i].failures = 0;
    }
    g->entry[i].last_ms = now_ms;
    uint64_t wait_ms = 1000ull << g->entry[i].failures;
    if (g->entry[i].failures < LOGIN_FAILURES_MAX)
        g->entry[i].failures++;
    return wait_ms < LOGIN_WAIT_MAX_MS ? (uint32_t)wait_ms : LOGIN_WAIT_MAX_MS;
}

void login_guard_succeeded(struct login_guard *g, const struct ip_addr_any *addr)
{
    struct network n = network_of(addr);
    for (unsigned i = 0; i < LOGIN_GUARD_MAX; i++)
        if (memcmp(g->entry[i].network, n.w, sizeof n.w) == 0)
            g->entry[i].failures = 0;
}
