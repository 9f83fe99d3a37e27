/* TCP connections as streams. lwIP's callbacks only fill the ring, set a flag and signal; everything else is done in the task
 * that owns the stream.
 *
 * Invariants: c->pcb is NULL from the moment that lwIP frees the pcb (its error callback) or we give it away (close). The ring
 * is as large as the window, and tcp_recved follows what is taken from it, so a segment always has room. A pcb that we closed
 * has no tcp_conn any more: as an orphan it sends what was written, swallows what still comes, and ends by itself. */
#include "net/lwip_tcp.h"

#include "lwip/memp.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/stats.h"
#include "net/lwip_glue.h"

_Static_assert(TCP_RING_BYTES >= TCP_WND, "the ring holds a whole window");
_Static_assert(TCP_WND <= 0xffff && TCP_SND_BUF <= 0xffff, "no window scaling");

#define KEEP_IDLE_MS 60000u  /* a silent peer is asked whether it lives after so long, */
#define KEEP_EVERY_MS 15000u /* then so often, */
#define KEEP_COUNT 4u        /* and given up after so many */

#define ORPHAN_SECONDS 60u        /* to deliver the last reply over a slow line */
#define ORPHAN_BYTES_MAX 1048576u /* that a closed connection's peer may go on sending */
#define SLOTS_SPARE 2u            /* when fewer are free, half-open connections may be pushed out */

static bool output_wanted;

void lwip_tcp_want_output(void)
{
    output_wanted = true;
}

bool lwip_tcp_output_wanted(void)
{
    return output_wanted;
}

/* A SYN can be forged: half-open connections yield to a new one, the oldest first, when slots are short. */
static void yield_half_open(void)
{
    const struct stats_mem *slots = lwip_stats.memp[MEMP_TCP_PCB];
    if (slots->used + SLOTS_SPARE < slots->avail)
        return;
    for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb != NULL; pcb = pcb->next)
        if (pcb->state == SYN_RCVD)
            tcp_setprio(pcb, pcb->prio <= LWIP_PRIORITY_YIELDING ? LWIP_PRIORITY_YIELDING_HALF_OPEN : LWIP_PRIORITY_HALF_OPEN);
}

void lwip_tcp_round(void)
{
    yield_half_open();
    if (!output_wanted)
        return;
    output_wanted = false;
    for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb != NULL; pcb = pcb->next)
        if (pcb->unsent != NULL)
            tcp_output(pcb);
}

/* --- after our close: orphans. The callback argument counts seconds (low byte) and KiB swallowed. --- */

static err_t orphan_receive(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    (void)err;
    if (p == NULL) { /* the peer's end: ours follows, or has gone out */
        tcp_close(pcb);
        return ERR_OK;
    }
    uintptr_t count = (uintptr_t)arg + ((uintptr_t)(p->tot_len + 1023u) / 1024u << 8);
    tcp_recved(pcb, p->tot_len);
    pbuf_free(p);
    if (count >> 8 > ORPHAN_BYTES_MAX / 1024u) {
        tcp_abort(pcb);
        return ERR_ABRT;
    }
    tcp_arg(pcb, (void *)count);
    return ERR_OK;
}

static err_t orphan_poll(void *arg, struct tcp_pcb *pcb)
{
    uintptr_t count = (uintptr_t)arg + 1;
    if ((count & 0xff) > ORPHAN_SECONDS) {
        tcp_abort(pcb);
        return ERR_ABRT;
    }
    tcp_arg(pcb, (void *)count);
    return ERR_OK;
}

/* Our FIN goes out behind what was written; when memory is short, lwIP tries again by itself (TF_CLOSEPEND). The receiving side
 * stays open: lwIP would answer late data with a reset, and that would throw away our last reply at the peer. */
static void make_orphan(struct tcp_pcb *pcb, uint32_t unread, bool peer_closed)
{
    tcp_arg(pcb, NULL);
    tcp_recv(pcb, orphan_receive);
    tcp_sent(pcb, NULL);
    tcp_err(pcb, NULL);
    tcp_poll(pcb, orphan_poll, POLL_HALF_SECONDS);
    tcp_setprio(pcb, LWIP_PRIORITY_ORPHAN);
    if (unread > 0)
        tcp_recved(pcb, (u16_t)unread);
    err_t err = peer_closed ? tcp_close(pcb) : tcp_shutdown(pcb, 0, 1);
    if (err != ERR_OK) /* not in a state that can end in order */
        tcp_abort(pcb);
    lwip_tcp_want_output();
}

void lwip_tcp_dismiss(struct tcp_pcb *pcb, struct span last_words)
{
    tcp_arg(pcb, NULL);
    tcp_recv(pcb, orphan_receive);
    tcp_err(pcb, NULL);
    if (last_words.len > 0)
        tcp_write(pcb, last_words.p, (u16_t)last_words.len, TCP_WRITE_FLAG_COPY); /* short of memory it ends without a word */
    /* What waits unread would turn the end into a reset; with the peer's end behind it the pcb is closed already. */
    if (pcb->refused_data != NULL && tcp_process_refused_data(pcb) == ERR_ABRT)
        return;
    make_orphan(pcb, 0, pcb->state != ESTABLISHED);
}

/* --- lwIP's callbacks --- */

static void ring_put(struct tcp_conn *c, const struct pbuf *p)
{
    for (; p != NULL; p = p->next) {
        const uint8_t *from = p->payload;
        for (uint32_t left = p->len; left > 0;) {
            uint32_t at = (c->ring_head + c->ring_len) % TCP_RING_BYTES;
            uint32_t n = TCP_RING_BYTES - at < left ? TCP_RING_BYTES - at : left;
            memcpy(c->ring + at, from, n);
            from += n;
            left -= n;
            c->ring_len += n;
        }
    }
}

static void wake(struct tcp_conn *c)
{
    event_signal(c->wake != NULL ? c->wake : &c->event);
}

/* With both ends said, lwIP frees the pcb by itself, and without a word from TIME_WAIT. */
static void let_go(struct tcp_conn *c, struct tcp_pcb *pcb)
{
    tcp_arg(pcb, NULL);
    tcp_recv(pcb, NULL);
    tcp_sent(pcb, NULL);
    tcp_err(pcb, NULL);
    tcp_poll(pcb, NULL, 0);
    c->pcb = NULL;
}

static err_t on_receive(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    struct tcp_conn *c = arg;
    (void)err;
    if (p == NULL) {
        c->peer_closed = true;
        if (c->ended)
            let_go(c, pcb);
    } else if (p->tot_len > TCP_RING_BYTES - c->ring_len) {
        return ERR_MEM; /* lwIP keeps it and asks again */
    } else {
        ring_put(c, p);
        pbuf_free(p);
    }
    wake(c);
    return ERR_OK;
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t len)
{
    struct tcp_conn *c = arg;
    (void)pcb;
    (void)len;
    wake(c);
    return ERR_OK;
}

/* Memory that a write waits for may be freed by another connection: look again each second. */
static err_t on_poll(void *arg, struct tcp_pcb *pcb)
{
    return on_sent(arg, pcb, 0);
}

static void on_error(void *arg, err_t err)
{
    struct tcp_conn *c = arg;
    c->pcb = NULL; /* freed by lwIP */
    if (c->connected)
        c->error = RC_RESET;
    else
        c->error = err == ERR_RST ? RC_REFUSED : RC_TIMEOUT;
    wake(c);
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
    struct tcp_conn *c = arg;
    (void)err;
    c->connected = true;
    return on_sent(arg, pcb, 0);
}

static void set_callbacks(struct tcp_pcb *pcb, struct tcp_conn *c)
{
    tcp_setprio(pcb, LWIP_PRIORITY_SESSION);
    tcp_arg(pcb, c);
    tcp_recv(pcb, on_receive);
    tcp_sent(pcb, on_sent);
    tcp_err(pcb, on_error);
    tcp_poll(pcb, on_poll, POLL_HALF_SECONDS);
    tcp_nagle_disable(pcb); /* the stream gathers; a reply must not wait for an acknowledgement */
    ip_set_option(pcb, SOF_KEEPALIVE);
    pcb->keep_idle = KEEP_IDLE_MS;
    pcb->keep_intvl = KEEP_EVERY_MS;
    pcb->keep_cnt = KEEP_COUNT;
}

/* --- the stream's side --- */

static bool has_input(const struct tcp_conn *c)
{
    return c->ring_len > 0 || c->peer_closed || c->error != RC_OK;
}

struct span lwip_tcp_ring(const struct tcp_conn *c)
{
    uint32_t to_end = TCP_RING_BYTES - c->ring_head;
    return span_bytes(c->ring + c->ring_head, c->ring_len < to_end ? c->ring_len : to_end);
}

void lwip_tcp_ring_drop(struct tcp_conn *c, size_t n)
{
    c->ring_head = (uint32_t)((c->ring_head + n) % TCP_RING_BYTES);
    c->ring_len -= (uint32_t)n;
    if (c->pcb != NULL)
        tcp_recved(c->pcb, (u16_t)n);
}

static size_t ring_take(struct tcp_conn *c, void *buf, size_t cap)
{
    size_t n = c->ring_len < cap ? c->ring_len : cap;
    struct span first = span_sub(lwip_tcp_ring(c), 0, n);
    memcpy(buf, first.p, first.len);
    memcpy((uint8_t *)buf + first.len, c->ring, n - first.len);
    lwip_tcp_ring_drop(c, n);
    return n;
}

/* Who waits has nothing to say that an acknowledgement could travel with; a peer that gathers small segments (Nagle) would hold its next
 * one back until lwIP's timer sends it: 200 ms a connection where a TLS server's tickets come before its reply. */
static void acknowledge(struct tcp_pcb *pcb)
{
    if (!(pcb->flags & TF_ACK_DELAY))
        return;
    tcp_ack_now(pcb);
    tcp_output(pcb);
}

static enum rc conn_read(void *ctx, void *buf, size_t cap, size_t *got, struct deadline d)
{
    struct tcp_conn *c = ctx;
    while (!has_input(c)) {
        if (c->pcb == NULL)
            return RC_RESET;
        acknowledge(c->pcb);
        enum rc rc = task_wait(&c->event, d);
        if (rc != RC_OK)
            return rc;
    }
    if (c->ring_len == 0)
        return c->error != RC_OK ? c->error : RC_CLOSED;
    *got = ring_take(c, buf, cap);
    return RC_OK;
}

size_t lwip_tcp_queue(struct tcp_pcb *pcb, struct span data)
{
    size_t n = data.len < tcp_sndbuf(pcb) ? data.len : tcp_sndbuf(pcb);
    if (n == 0)
        return 0;
    if (n > tcp_mss(pcb) && tcp_write(pcb, data.p, (u16_t)n, TCP_WRITE_FLAG_COPY) == ERR_OK)
        return n;
    n = n < tcp_mss(pcb) ? n : tcp_mss(pcb); /* short of memory a single segment may still fit */
    return tcp_write(pcb, data.p, (u16_t)n, TCP_WRITE_FLAG_COPY) == ERR_OK ? n : 0;
}

static enum rc conn_write(void *ctx, struct span data, struct deadline d)
{
    struct tcp_conn *c = ctx;
    while (data.len > 0) {
        if (c->error != RC_OK || c->pcb == NULL)
            return c->error != RC_OK ? c->error : RC_RESET;
        size_t n = lwip_tcp_queue(c->pcb, data);
        data = span_from(data, n);
        if (n > 0)
            continue;
        tcp_output(c->pcb);
        enum rc rc = deadline_passed(d) ? RC_TIMEOUT : task_wait(&c->event, d);
        if (rc != RC_OK)
            return rc;
    }
    lwip_tcp_want_output();
    return RC_OK;
}

static bool conn_readable(void *ctx)
{
    return has_input(ctx);
}

static void conn_close(void *ctx, bool abort)
{
    struct tcp_conn *c = ctx;
    struct tcp_pcb *pcb = c->pcb;
    c->pcb = NULL;
    if (pcb == NULL)
        return;
    if (abort || !c->connected) {
        tcp_arg(pcb, NULL);
        tcp_err(pcb, NULL);
        tcp_abort(pcb);
    } else
        make_orphan(pcb, c->ring_len, c->peer_closed);
}

static const struct stream_ops conn_ops = { conn_read, conn_write, conn_readable, conn_close };

void lwip_tcp_adopt(struct stream *s, struct tcp_conn *c, uint8_t *ring, struct tcp_pcb *pcb)
{
    memset(c, 0, sizeof *c);
    c->pcb = pcb;
    c->ring = ring;
    c->connected = pcb->state != CLOSED;
    stream_init(s, &conn_ops, c);
    s->peer = lwip_endpoint(&pcb->remote_ip, pcb->remote_port);
    s->local = lwip_endpoint(&pcb->local_ip, pcb->local_port);
    set_callbacks(pcb, c);
}

/* --- connecting --- */

/* lwIP takes a link-local source for a global IPv6 peer when there is nothing better; no answer would come back. */
static bool source_reaches(const struct tcp_pcb *pcb)
{
    return !IP_IS_V6(&pcb->remote_ip) || !ip6_addr_islinklocal(ip_2_ip6(&pcb->local_ip)) ||
           ip6_addr_islinklocal(ip_2_ip6(&pcb->remote_ip));
}

static enum rc start_connect(struct tcp_pcb *pcb, const ip_addr_t *address, uint16_t port)
{
    enum rc rc = lwip_rc(tcp_connect(pcb, address, port, on_connected));
    return rc == RC_OK && !source_reaches(pcb) ? RC_UNREACHABLE : rc;
}

static enum rc await_connect(struct tcp_conn *c, struct deadline d)
{
    while (!c->connected && c->error == RC_OK) {
        enum rc rc = task_wait(&c->event, d);
        if (rc != RC_OK)
            return rc;
    }
    return c->error;
}

enum rc tcp_stream_connect(struct stream *s, struct tcp_conn *c, uint8_t *ring, const struct ip_endpoint *peer, struct deadline d)
{
    ip_addr_t address;
    memset(s, 0, sizeof *s);
    if (!lwip_addr_from_any(&address, &peer->addr))
        return RC_UNREACHABLE;
    struct tcp_pcb *pcb = tcp_new_ip_type(IP_GET_TYPE(&address));
    if (pcb == NULL)
        return RC_NO_MEMORY;
    lwip_tcp_adopt(s, c, ring, pcb);
    enum rc rc = start_connect(pcb, &address, peer->port);
    if (rc == RC_OK)
        rc = await_connect(c, d);
    if (rc != RC_OK) {
        stream_abort(s);
        return rc;
    }
    s->peer = *peer;
    s->local = lwip_endpoint(&pcb->local_ip, pcb->local_port);
    return RC_OK;
}
