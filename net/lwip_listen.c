/* Listening ports and the connections that wait in their backlogs. A waiting connection takes no data but one segment, which
 * lwIP holds for us, so that clients who talk before they are asked cost little. Where clients speak first, that segment is their turn
 * to be taken: who opens connections and keeps silent gets nobody's time. */
#include <lwip_hooks.h>

#include "lwip/memp.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/stats.h"
#include "net/lwip_glue.h"
#include "net/lwip_tcp.h"

/* How many connections lwIP lets be half-open or waiting. Half-open ones are cheap to forge, so they do not count against
 * TCP_BACKLOG_MAX; net/lwip_tcp.c lets them yield to each other. */
#define BACKLOG_OPEN 255
#define BACKLOG_FULL 1 /* any waiting one reaches it: SYNs are dropped */

static void backlog_follow(struct tcp_listener *l)
{
    struct tcp_pcb_listen *pcb = l->pcb;
    pcb->backlog = l->waiting_count < TCP_BACKLOG_MAX ? BACKLOG_OPEN : BACKLOG_FULL;
}

static void leave_backlog(struct tcp_waiting *w)
{
    struct tcp_listener *l = w->owner;
    w->pcb = NULL;
    l->waiting_count--;
    backlog_follow(l);
}

static void waiting_error(void *arg, err_t err)
{
    (void)err;
    leave_backlog(arg); /* the pcb is freed by lwIP */
}

static void tell(const struct tcp_listener *l)
{
    if (l->news != NULL)
        event_signal(l->news);
}

static err_t waiting_receive(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    const struct tcp_waiting *w = arg;
    (void)pcb;
    (void)err;
    tell(w->owner);
    return p == NULL ? ERR_OK : ERR_MEM; /* a peer that ended is told from the pcb's state when it is accepted */
}

static bool is_silent(const struct tcp_pcb *pcb)
{
    return pcb->refused_data == NULL && pcb->state == ESTABLISHED;
}

static err_t waiting_poll(void *arg, struct tcp_pcb *pcb)
{
    struct tcp_waiting *w = arg;
    if (!is_silent(pcb) || ++w->silent_s < TCP_SILENT_S)
        return ERR_OK;
    tcp_abort(pcb); /* which calls waiting_error */
    return ERR_ABRT;
}

/* A peer that takes a port again whose last connection we still keep in TIME_WAIT. With sequence numbers beyond the old ones on both
 * sides nothing of the two can be mixed up (RFC 1122 4.2.2.13); lwIP by itself would keep the peer out for ten seconds. */
static struct tcp_pcb_listen *begins_anew(const struct tcp_pcb *pcb, const struct tcp_hdr *hdr)
{
    bool syn = (TCPH_FLAGS(hdr) & (TCP_SYN | TCP_ACK | TCP_FIN | TCP_RST)) == TCP_SYN;
    if (pcb->state != TIME_WAIT || !syn || !TCP_SEQ_GT(hdr->seqno, pcb->rcv_nxt))
        return NULL;
    u32_t isn = lwip_tcp_isn(&pcb->local_ip, pcb->local_port, &pcb->remote_ip, pcb->remote_port);
    struct tcp_pcb_listen *l = TCP_SEQ_GT(isn, pcb->snd_nxt) ? tcp_listen_pcbs.listen_pcbs : NULL;
    while (l != NULL && l->local_port != pcb->local_port)
        l = l->next;
    return l;
}

/* What a waiting connection sends stays in the frame that it came in. With half of the frames in use it is dropped instead: the
 * peer sends it again, and who nobody serves cannot make the box deaf to those who are served. */
err_t lwip_tcp_admit(struct tcp_pcb *pcb, const struct tcp_hdr *hdr, struct pbuf *p, void (*listen_input)(struct tcp_pcb_listen *))
{
    struct tcp_pcb_listen *again = begins_anew(pcb, hdr);
    if (again != NULL) {
        tcp_abort(pcb); /* in TIME_WAIT: frees it, and says nothing */
        listen_input(again);
        return ERR_ABRT;
    }
    const struct stats_mem *frames = lwip_stats.memp[MEMP_PBUF_POOL];
    bool waits = pcb->state != LISTEN && (pcb->flags & TF_BACKLOGPEND) != 0;
    return waits && p->tot_len > 0 && frames->used > frames->avail / 2 ? ERR_MEM : ERR_OK;
}

static bool admitted(struct tcp_listener *l, const struct tcp_pcb *pcb)
{
    struct ip_endpoint peer = lwip_endpoint(&pcb->remote_ip, pcb->remote_port);
    return l->waiting_count < TCP_BACKLOG_MAX && (l->filter == NULL || l->filter(l->filter_ctx, &peer));
}

static struct tcp_waiting *free_place(struct tcp_listener *l)
{
    struct tcp_waiting *w = l->waiting;
    while (w->pcb != NULL)
        w++;
    return w;
}

static uint8_t waiting_priority(const struct tcp_listener *l)
{
    return l->clients_first ? LWIP_PRIORITY_YIELDING : LWIP_PRIORITY_WAITING;
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
    struct tcp_listener *l = arg;
    if (err != ERR_OK || pcb == NULL)
        return ERR_VAL;
    if (!admitted(l, pcb)) {
        tcp_abort(pcb);
        return ERR_ABRT;
    }
    struct tcp_waiting *w = free_place(l);
    *w = (struct tcp_waiting){ .pcb = pcb, .owner = l, .order = ++l->arrivals };
    l->waiting_count++;
    tcp_arg(pcb, w);
    tcp_err(pcb, waiting_error);
    tcp_recv(pcb, waiting_receive);
    tcp_backlog_delayed(pcb);
    tcp_setprio(pcb, waiting_priority(l));
    if (l->clients_first)
        tcp_poll(pcb, waiting_poll, POLL_HALF_SECONDS);
    backlog_follow(l);
    tell(l);
    return ERR_OK;
}

enum rc tcp_listen(struct tcp_listener *l, uint16_t port)
{
    *l = (struct tcp_listener){
        .port = port, .filter = l->filter, .filter_ctx = l->filter_ctx, .news = l->news, .clients_first = l->clients_first
    };
    struct tcp_pcb *pcb = tcp_new_ip_type(IPADDR_TYPE_ANY);
    if (pcb == NULL)
        return RC_NO_MEMORY;
    tcp_setprio(pcb, waiting_priority(l));
    err_t err = tcp_bind(pcb, IP_ANY_TYPE, port);
    if (err == ERR_OK)
        l->pcb = tcp_listen_with_backlog_and_err(pcb, BACKLOG_OPEN, &err);
    if (l->pcb == NULL) {
        tcp_close(pcb);
        return lwip_rc(err);
    }
    tcp_arg(l->pcb, l);
    lwip_tcp_accept(l->pcb, on_accept);
    return RC_OK;
}

/* Of those that may be taken. */
static struct tcp_waiting *oldest(struct tcp_listener *l)
{
    struct tcp_waiting *found = NULL;
    for (unsigned i = 0; i < TCP_BACKLOG_MAX; i++) {
        struct tcp_waiting *w = &l->waiting[i];
        if (w->pcb != NULL && !(l->clients_first && is_silent(w->pcb)) && (found == NULL || (int32_t)(w->order - found->order) < 0))
            found = w;
    }
    return found;
}

bool tcp_pending(struct tcp_listener *l)
{
    return oldest(l) != NULL;
}

unsigned tcp_waiting_of(const struct tcp_listener *l, const struct ip_addr_any *a)
{
    unsigned n = 0;
    for (unsigned i = 0; i < TCP_BACKLOG_MAX; i++) {
        const struct tcp_pcb *pcb = l->waiting[i].pcb;
        struct ip_endpoint peer = pcb != NULL ? lwip_endpoint(&pcb->remote_ip, 0) : (struct ip_endpoint){ .port = 0 };
        n += pcb != NULL && ip_same_source(&peer.addr, a);
    }
    return n;
}

enum rc tcp_accept(struct tcp_listener *l, struct stream *s, struct tcp_conn *c, uint8_t *ring)
{
    struct tcp_waiting *w = oldest(l);
    if (w == NULL)
        return RC_NOT_FOUND;
    struct tcp_pcb *pcb = w->pcb;
    leave_backlog(w);
    tcp_backlog_accepted(pcb);
    lwip_tcp_adopt(s, c, ring, pcb);
    if (pcb->refused_data != NULL)
        tcp_process_refused_data(pcb); /* into the ring at once, and the peer's end behind it */
    else
        c->peer_closed = pcb->state == CLOSE_WAIT;
    return RC_OK;
}

bool tcp_turn_away(struct tcp_listener *l, struct span last_words)
{
    struct tcp_waiting *w = oldest(l);
    if (w == NULL)
        return false;
    struct tcp_pcb *pcb = w->pcb;
    leave_backlog(w);
    tcp_backlog_accepted(pcb);
    lwip_tcp_dismiss(pcb, last_words);
    return true;
}
