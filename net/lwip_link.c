/* The network interface: frames between hal/ethernet.h and lwIP, lwIP's timers, and where addresses come from. It does not
 * know what they are used for.
 *
 * All of lwIP runs here (link_poll, from the main loop) or in a call of a task; there are no threads and no interrupts. */
#include "net/link.h"

#include "hal/base/log.h"
#include "hal/base/strbuf.h"
#include "hal/ethernet.h"
#include "lwip/dhcp.h"
#include "lwip/etharp.h"
#include "lwip/ethip6.h"
#include "lwip/init.h"
#include "lwip/nd6.h"
#include "lwip/netif.h"
#include "lwip/timeouts.h"
#include "net/lwip_glue.h"
#include "netif/ethernet.h"

#define FRAMES_A_ROUND 64   /* then the tasks get their turn */
#define PIECES_MAX 16       /* of a frame sent */
#define TO_SELF_MAX 4       /* packets: two windows of the smallest board */
#define CARRIER_LOOK_MS 500 /* between two looks at the carrier */

static struct netif nif;
static struct link_params in_use;
static struct pbuf *spare; /* waits for the next frame */
static uint64_t carrier_looked_ms;
static uint64_t frames_in, frames_out, drops;
static bool changed; /* addresses or carrier, not yet logged */

static bool started(void)
{
    return nif.input != NULL;
}

/* --- frames --- */

static err_t send_frame(struct netif *netif, struct pbuf *p)
{
    struct span pieces[PIECES_MAX];
    size_t count = 0;
    (void)netif;
    for (const struct pbuf *q = p; q != NULL; q = q->next) {
        if (count == PIECES_MAX)
            return ERR_BUF;
        pieces[count++] = span_bytes(q->payload, q->len);
    }
    enum rc rc = ethernet_send(pieces, count);
    if (rc == RC_OK)
        frames_out++;
    else
        drops++;
    return rc == RC_OK ? ERR_OK : rc == RC_BUSY ? ERR_MEM : ERR_IF;
}

static bool receive_frame(void)
{
    if (spare == NULL)
        spare = pbuf_alloc(PBUF_RAW, ETHERNET_FRAME_MAX, PBUF_POOL);
    if (spare == NULL) { /* the pool is empty: the frame is lost, as on a full ring */
        bool lost = ethernet_receive(NULL, ETHERNET_FRAME_MAX) > 0;
        drops += lost;
        return lost;
    }
    size_t len = ethernet_receive(spare->payload, spare->len);
    if (len == 0)
        return false;
    frames_in++;
    struct pbuf *p = spare;
    spare = NULL;
    pbuf_realloc(p, (u16_t)len);
    if (nif.input(p, &nif) != ERR_OK)
        pbuf_free(p);
    return true;
}

/* --- packets for ourselves: the box looks at its own public name, and there may be no router that would bring them back --- */

static struct pbuf *to_self[TO_SELF_MAX];
static unsigned to_self_count;

/* What finds no room is lost, as on a wire. */
static err_t loop_back(struct pbuf *p)
{
    struct pbuf *copy = to_self_count < TO_SELF_MAX ? pbuf_clone(PBUF_RAW, PBUF_RAM, p) : NULL;
    if (copy != NULL)
        to_self[to_self_count++] = copy;
    return ERR_OK;
}

static err_t output4(struct netif *netif, struct pbuf *p, const ip4_addr_t *to)
{
    return ip4_addr_eq(to, netif_ip4_addr(netif)) ? loop_back(p) : etharp_output(netif, p, to);
}

static err_t output6(struct netif *netif, struct pbuf *p, const ip6_addr_t *to)
{
    return netif_get_ip6_addr_match(netif, to) >= 0 ? loop_back(p) : ethip6_output(netif, p, to);
}

static void receive_from_self(void)
{
    for (unsigned left = to_self_count; left > 0; left--) {
        struct pbuf *p = to_self[0];
        memmove(to_self, to_self + 1, --to_self_count * sizeof to_self[0]);
        if (ip_input(p, &nif) != ERR_OK)
            pbuf_free(p);
    }
}

/* --- carrier and addresses --- */

static void look_at_carrier(void)
{
    uint64_t now_ms = clock_ms();
    if (carrier_looked_ms != 0 && now_ms - carrier_looked_ms < CARRIER_LOOK_MS)
        return;
    carrier_looked_ms = now_ms;
    bool up = ethernet_link_up();
    if (up == (netif_is_link_up(&nif) != 0))
        return;
    changed = true;
    if (up)
        netif_set_link_up(&nif);
    else
        netif_set_link_down(&nif);
}

static void note_change(struct netif *netif)
{
    (void)netif;
    changed = true;
}

static void log_change(void)
{
    struct link_status s;
    char memory[160];
    struct strbuf text = STRBUF(memory);
    changed = false;
    link_status(&s);
    strbuf_printf(&text, "carrier=%s ip=", s.up ? "up" : "down");
    if (s.address.addr.family == IP_NONE)
        strbuf_puts(&text, "none");
    else
        ip_format(&text, &s.address.addr);
    for (unsigned i = 0; i < s.address6_count && i < 2; i++) {
        strbuf_puts(&text, " ip6=");
        ip_format(&text, &s.address6[i]);
    }
    log_event(LOG_NET, "address", "%s", text.p);
}

static ip4_addr_t ip4_of(const struct ip_addr_any *a)
{
    ip_addr_t out;
    return lwip_addr_from_any(&out, a) && IP_IS_V4(&out) ? *ip_2_ip4(&out) : *IP4_ADDR_ANY4;
}

static enum rc configure_v4(const struct link_params *p)
{
    dhcp_release_and_stop(&nif);
    dhcp_cleanup(&nif);
    memset(lwip_learnt.resolver4, 0, sizeof lwip_learnt.resolver4);
    lwip_learnt.ntp.family = IP_NONE;
    if (p->dhcp) {
        netif_set_addr(&nif, IP4_ADDR_ANY4, IP4_ADDR_ANY4, IP4_ADDR_ANY4);
        return lwip_rc(dhcp_start(&nif));
    }
    ip4_addr_t address = ip4_of(&p->address.addr), gateway = ip4_of(&p->gateway), mask;
    unsigned bits = p->address.prefix_bits < 32 ? p->address.prefix_bits : 32;
    ip4_addr_set_u32(&mask, bits == 0 ? 0 : lwip_htonl(UINT32_MAX << (32 - bits)));
    netif_set_addr(&nif, &address, &mask, &gateway);
    return RC_OK;
}

static enum rc configure_v6(const struct link_params *p)
{
    ip_addr_t address, gateway;
    for (s8_t i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++)
        netif_ip6_addr_set_state(&nif, i, IP6_ADDR_INVALID);
    nd6_cleanup_netif(&nif);
    memset(lwip_learnt.resolver6, 0, sizeof lwip_learnt.resolver6);
    nif.ip6_autoconfig_enabled = p->ipv6_auto; /* lwIP's macro for this compares the address with NULL */
    bool by_hand = !p->ipv6_auto && lwip_addr_from_any(&address, &p->address6.addr) && IP_IS_V6(&address);
    if (!lwip_addr_from_any(&gateway, &p->gateway6) || !IP_IS_V6(&gateway))
        ip_addr_set_zero_ip6(&gateway);
    lwip_gateway6_set(ip_2_ip6(&gateway));
    if (!p->ipv6_auto && !by_hand)
        return RC_OK;
    netif_create_ip6_linklocal_address(&nif, 1);
    nd6_restart_netif(&nif);
    return by_hand ? lwip_rc(netif_add_ip6_address(&nif, ip_2_ip6(&address), NULL)) : RC_OK;
}

static bool same_v4(const struct link_params *a, const struct link_params *b)
{
    return a->dhcp == b->dhcp && a->address.prefix_bits == b->address.prefix_bits && ip_eq(&a->address.addr, &b->address.addr) &&
           ip_eq(&a->gateway, &b->gateway);
}

static bool same_v6(const struct link_params *a, const struct link_params *b)
{
    return a->ipv6_auto == b->ipv6_auto && ip_eq(&a->address6.addr, &b->address6.addr) && ip_eq(&a->gateway6, &b->gateway6);
}

enum rc link_reconfigure(const struct link_params *p)
{
    struct link_params before = in_use;
    if (!started())
        return RC_UNREACHABLE;
    in_use = *p;
    netif_set_hostname(&nif, p->hostname);
    enum rc rc4 = same_v4(p, &before) ? RC_OK : configure_v4(p);
    enum rc rc6 = same_v6(p, &before) ? RC_OK : configure_v6(p);
    changed = true;
    return rc4 != RC_OK ? rc4 : rc6;
}

/* --- start --- */

static err_t setup_netif(struct netif *netif)
{
    netif->name[0] = 'e';
    netif->name[1] = 'n';
    netif->mtu = 1500;
    netif->hwaddr_len = 6;
    ethernet_mac(netif->hwaddr);
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_MLD6;
    netif->output = output4;
    netif->output_ip6 = output6;
    netif->linkoutput = send_frame;
    return ERR_OK;
}

enum rc link_init(const struct link_params *p)
{
    lwip_isn_init();
    lwip_init();
    enum rc rc = ethernet_init();
    if (rc != RC_OK)
        return rc;
    if (netif_add(&nif, NULL, NULL, NULL, NULL, setup_netif, ethernet_input) == NULL)
        return RC_NO_MEMORY;
    netif_set_status_callback(&nif, note_change);
    netif_set_default(&nif);
    netif_set_up(&nif);
    look_at_carrier();
    in_use = *p;
    netif_set_hostname(&nif, p->hostname);
    rc = configure_v4(p);
    enum rc rc6 = configure_v6(p);
    return rc != RC_OK ? rc : rc6;
}

/* --- the main loop's side --- */

void link_poll(void)
{
    if (!started())
        return;
    look_at_carrier();
    for (unsigned i = 0; i < FRAMES_A_ROUND && receive_frame(); i++)
        continue;
    receive_from_self();
    PBUF_CHECK_FREE_OOSEQ();
    sys_check_timeouts();
    lwip_tcp_round();
    if (changed)
        log_change();
}

struct deadline link_next_deadline(void)
{
    if (!started())
        return deadline_never();
    if (lwip_tcp_output_wanted() || to_self_count > 0)
        return deadline_in_ms(0);
    u32_t ms = sys_timeouts_sleeptime();
    return deadline_in_ms(ms < CARRIER_LOOK_MS ? ms : CARRIER_LOOK_MS);
}

/* --- status --- */

static uint8_t prefix_bits(ip4_addr_t mask)
{
    return (uint8_t)__builtin_popcount(ip4_addr_get_u32(&mask));
}

static void collect_v6(struct link_status *out, bool link_local)
{
    for (s8_t i = 0; i < LWIP_IPV6_NUM_ADDRESSES && out->address6_count < LINK_ADDRESSES_MAX; i++) {
        if (!ip6_addr_isvalid(netif_ip6_addr_state(&nif, i)) || (ip6_addr_islinklocal(netif_ip6_addr(&nif, i)) != 0) != link_local)
            continue;
        out->address6[out->address6_count++] = lwip_addr_to_any(netif_ip_addr6(&nif, i));
    }
}

static void collect_resolvers(struct link_status *out, const struct ip_addr_any *from, size_t count)
{
    for (size_t i = 0; i < count && out->resolver_count < LINK_RESOLVERS_MAX; i++)
        if (from[i].family != IP_NONE)
            out->resolver[out->resolver_count++] = from[i];
}

void link_status(struct link_status *out)
{
    memset(out, 0, sizeof *out);
    out->up = netif_is_link_up(&nif);
    if (!ip4_addr_isany_val(*netif_ip4_addr(&nif))) {
        out->address.addr = lwip_addr_to_any(&nif.ip_addr);
        out->address.prefix_bits = prefix_bits(*netif_ip4_netmask(&nif));
    }
    if (!ip4_addr_isany_val(*netif_ip4_gw(&nif)))
        out->gateway = lwip_addr_to_any(&nif.gw);
    collect_v6(out, false);
    out->configured = out->up && (out->address.addr.family != IP_NONE || out->address6_count > 0);
    collect_v6(out, true);
    collect_resolvers(out, lwip_learnt.resolver4, LWIP_ARRAYSIZE(lwip_learnt.resolver4));
    collect_resolvers(out, lwip_learnt.resolver6, LWIP_ARRAYSIZE(lwip_learnt.resolver6));
    out->ntp = lwip_learnt.ntp;
    ethernet_mac(out->mac);
    out->frames_in = frames_in;
    out->frames_out = frames_out;
    out->drops = drops;
}
