/* UDP request and answer, see net/udp.h. Ports are random (RFC 5452); lwIP drops what is not from the peer. */
#include "hal/random.h"
#include "lwip/udp.h"
#include "net/lwip_glue.h"
#undef udp_send /* lwIP's is called lwip_udp_send here, see arch/cc.h */
#include "net/udp.h"

#define PORT_FIRST 1024u
#define PORT_TRIES 8

static void on_receive(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from, u16_t port)
{
    struct udp_socket *u = arg;
    (void)pcb;
    (void)from;
    (void)port;
    if (u->len > 0 || p->tot_len == 0)
        u->dropped++;
    else {
        u->len = pbuf_copy_partial(p, u->buf, (u16_t)(u->cap < 0xffff ? u->cap : 0xffff), 0);
        event_signal(&u->event);
    }
    pbuf_free(p);
}

static err_t bind_random_port(struct udp_pcb *pcb)
{
    err_t err = ERR_USE;
    for (unsigned i = 0; i < PORT_TRIES && err == ERR_USE; i++) {
        u16_t port = (u16_t)(PORT_FIRST + random_below(65536 - PORT_FIRST));
        err = udp_bind(pcb, IP_IS_V6(&pcb->remote_ip) ? IP6_ADDR_ANY : IP4_ADDR_ANY, port);
    }
    return err;
}

enum rc udp_open(struct udp_socket *u, const struct ip_endpoint *peer, void *buf, size_t cap)
{
    ip_addr_t address;
    *u = (struct udp_socket){ .peer = *peer, .buf = buf, .cap = cap };
    if (!lwip_addr_from_any(&address, &peer->addr))
        return RC_UNREACHABLE;
    struct udp_pcb *pcb = udp_new_ip_type(IP_GET_TYPE(&address));
    if (pcb == NULL)
        return RC_NO_MEMORY;
    ip_addr_copy(pcb->remote_ip, address);
    err_t err = bind_random_port(pcb);
    if (err == ERR_OK)
        err = udp_connect(pcb, &address, peer->port);
    if (err != ERR_OK) {
        udp_remove(pcb);
        return lwip_rc(err);
    }
    udp_recv(pcb, on_receive, u);
    u->pcb = pcb;
    return RC_OK;
}

enum rc udp_send(struct udp_socket *u, struct span datagram)
{
    if (datagram.len > 0xffff - 8)
        return RC_TOO_LONG;
    struct pbuf *p = pbuf_alloc(PBUF_TRANSPORT, (u16_t)datagram.len, PBUF_RAM);
    if (p == NULL)
        return RC_NO_MEMORY;
    pbuf_take(p, datagram.p, (u16_t)datagram.len);
    err_t err = lwip_udp_send(u->pcb, p);
    pbuf_free(p);
    return lwip_rc(err);
}

enum rc udp_receive(struct udp_socket *u, size_t *len, struct deadline d)
{
    *len = 0;
    if (u->seen) {
        u->seen = false;
        u->len = 0;
    }
    while (u->len == 0) {
        enum rc rc = task_wait(&u->event, d);
        if (rc != RC_OK)
            return rc;
    }
    u->seen = true;
    *len = u->len;
    return RC_OK;
}

void udp_close(struct udp_socket *u)
{
    if (u->pcb != NULL)
        udp_remove(u->pcb);
    u->pcb = NULL;
}
