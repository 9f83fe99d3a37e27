/* A small table, searched whole. A failure older than LOGIN_SHUT_OUT_MS is forgotten. */
#include "firmware/login_guard.h"

/* The index of addr's entry, or LOGIN_GUARD_MAX. */
static unsigned find(const struct login_guard *g, const struct ip_addr_any *addr)
{
    unsigned i = 0;
    while (i < LOGIN_GUARD_MAX && !(g->entry[i].failures && ip_same_source(&g->entry[i].addr, addr)))
        i++;
    return i;
}

static bool is_fresh(const struct login_guard *g, unsigned i, uint64_t now_ms)
{
    return i < LOGIN_GUARD_MAX && now_ms - g->entry[i].last_ms < LOGIN_SHUT_OUT_MS;
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
    unsigned i = find(g, addr);
    if (!is_fresh(g, i, now_ms) || g->entry[i].failures < LOGIN_FAILURES_MAX)
        return 0;
    return g->entry[i].last_ms + LOGIN_SHUT_OUT_MS - now_ms;
}

uint32_t login_guard_failed(struct login_guard *g, const struct ip_addr_any *addr, uint64_t now_ms)
{
    unsigned i = find(g, addr);
    if (!is_fresh(g, i, now_ms)) {
        i = i < LOGIN_GUARD_MAX ? i : oldest(g);
        g->entry[i].addr = *addr;
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
    unsigned i = find(g, addr);
    if (i < LOGIN_GUARD_MAX)
        g->entry[i].failures = 0;
}
