/* What lwIP asks for by name (time, sequence numbers, places to report servers to), and the translation of addresses. */
#include "net/lwip_glue.h"

#include "hal/clock.h"
#include "hal/crypto/sha256.h"
#include "hal/random.h"
#include "lwip/dhcp.h"
#include "lwip/sys.h"
#include <lwip_hooks.h>

struct lwip_learnt lwip_learnt;

static uint8_t isn_secret[32];
static ip6_addr_t gateway6;

bool lwip_addr_from_any(ip_addr_t *out, const struct ip_addr_any *a)
{
    ip_addr_set_zero(out);
    if (a->family == IP_V4) {
        IP_SET_TYPE_VAL(*out, IPADDR_TYPE_V4);
        memcpy(&ip_2_ip4(out)->addr, a->b, 4);
        return true;
    }
    if (a->family != IP_V6)
        return false;
    IP_SET_TYPE_VAL(*out, IPADDR_TYPE_V6);
    memcpy(ip_2_ip6(out)->addr, a->b, 16); /* no zones: there is one interface */
    return true;
}

struct ip_addr_any lwip_addr_to_any(const ip_addr_t *a)
{
    struct ip_addr_any out = { .family = IP_IS_V6(a) ? IP_V6 : IP_V4 };
    if (IP_IS_V6(a))
        memcpy(out.b, ip_2_ip6(a)->addr, 16);
    else
        memcpy(out.b, &ip_2_ip4(a)->addr, 4);
    return out;
}

struct ip_endpoint lwip_endpoint(const ip_addr_t *a, uint16_t port)
{
    return (struct ip_endpoint){ lwip_addr_to_any(a), port };
}

enum rc lwip_rc(err_t err)
{
    switch (err) {
    case ERR_OK:
        return RC_OK;
    case ERR_MEM:
    case ERR_BUF:
        return RC_NO_MEMORY;
    case ERR_RTE:
    case ERR_IF:
        return RC_UNREACHABLE;
    case ERR_USE:
        return RC_BUSY;
    case ERR_VAL:
    case ERR_ARG:
        return RC_INVALID;
    case ERR_TIMEOUT:
        return RC_TIMEOUT;
    default:
        return RC_RESET;
    }
}

u32_t sys_now(void)
{
    return (u32_t)clock_ms();
}

/* --- initial sequence numbers, RFC 6528: a clock plus a keyed hash of the four-tuple. The clock is Linux's, 64 ns: 16 MB a second are seldom
 * outrun: a peer that takes a port again at once then begins beyond the numbers of its last connection, and is not refused. --- */

void lwip_isn_init(void)
{
    random_bytes(isn_secret, sizeof isn_secret);
}

u32_t lwip_tcp_isn(const ip_addr_t *local_ip, u16_t local_port, const ip_addr_t *remote_ip, u16_t remote_port)
{
    const struct ip_endpoint ends[2] = { lwip_endpoint(local_ip, local_port), lwip_endpoint(remote_ip, remote_port) };
    uint8_t digest[SHA256_BYTES];
    struct sha256 h;
    sha256_init(&h);
    sha256_update(&h, span_bytes(isn_secret, sizeof isn_secret));
    for (unsigned i = 0; i < 2; i++) {
        sha256_update(&h, span_bytes(ends[i].addr.b, sizeof ends[i].addr.b));
        sha256_update(&h, span_bytes(&ends[i].port, sizeof ends[i].port));
    }
    sha256_final(&h, digest);
    u32_t offset;
    memcpy(&offset, digest, sizeof offset);
    return offset + (u32_t)(clock_us() * 16);
}

/* --- servers learnt from the network --- */

static bool is_resolver_slot(u8_t number, bool v6)
{
    return number < (v6 ? LWIP_ARRAYSIZE(lwip_learnt.resolver6) : LWIP_ARRAYSIZE(lwip_learnt.resolver4));
}

/* A lease names its resolvers from 0 on: the first of a new lease ends the list of the old one. */
void dns_setserver(u8_t number, const ip_addr_t *server)
{
    bool v6 = server == NULL || IP_IS_V6(server);
    if (!is_resolver_slot(number, v6))
        return;
    struct ip_addr_any *list = v6 ? lwip_learnt.resolver6 : lwip_learnt.resolver4;
    if (!v6 && number == 0)
        memset(lwip_learnt.resolver4, 0, sizeof lwip_learnt.resolver4);
    if (server == NULL || ip_addr_isany_val(*server))
        list[number] = (struct ip_addr_any){ .family = IP_NONE };
    else
        list[number] = lwip_addr_to_any(server);
}

const ip_addr_t *dns_getserver(u8_t number)
{
    static ip_addr_t server;
    if (!is_resolver_slot(number, true) || !lwip_addr_from_any(&server, &lwip_learnt.resolver6[number]))
        return IP6_ADDR_ANY;
    return &server;
}

void dhcp_set_ntp_servers(u8_t count, const ip4_addr_t *servers)
{
    lwip_learnt.ntp = (struct ip_addr_any){ .family = IP_NONE };
    if (count == 0 || ip4_addr_isany_val(servers[0]))
        return;
    lwip_learnt.ntp.family = IP_V4;
    memcpy(lwip_learnt.ntp.b, &servers[0].addr, 4);
}

/* --- the IPv6 router when it is set by hand --- */

void lwip_gateway6_set(const ip6_addr_t *gateway)
{
    gateway6 = *gateway;
}

const ip6_addr_t *lwip_nd6_gateway(void)
{
    return ip6_addr_isany_val(gateway6) ? NULL : &gateway6;
}
