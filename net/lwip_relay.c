/* Connections looked into before they are served, and passed on to another. Nothing is copied but from one's ring into the other's send queue:
 * while that is full, the ring is, and so the window. */
#include "net/lwip_tcp.h"

#include "net/lwip_glue.h"

enum rc tcp_peek(struct tcp_conn *c, size_t known, struct span *bytes, struct deadline d)
{
    for (;;) {
        *bytes = span_bytes(c->ring, c->ring_len); /* nothing was taken: it begins at the ring's */
        if (bytes->len > known)
            return RC_OK;
        if (c->error != RC_OK || c->pcb == NULL)
            return RC_RESET;
        if (c->peer_closed || bytes->len == TCP_RING_BYTES)
            return c->peer_closed ? RC_CLOSED : RC_FULL;
        enum rc rc = task_wait(&c->event, d);
        if (rc != RC_OK)
            return rc;
    }
}

static size_t move(struct tcp_conn *from, struct tcp_conn *to)
{
    size_t sum = 0, n = 1;
    while (n > 0 && from->ring_len > 0 && to->pcb != NULL) {
        n = lwip_tcp_queue(to->pcb, lwip_tcp_ring(from));
        lwip_tcp_ring_drop(from, n);
        sum += n;
    }
    if (sum > 0)
        lwip_tcp_want_output();
    return sum;
}

/* from's end follows its last byte. */
static void pass_end(const struct tcp_conn *from, struct tcp_conn *to)
{
    if (!from->peer_closed || from->ring_len > 0 || to->ended || to->pcb == NULL)
        return;
    to->ended = tcp_shutdown(to->pcb, 0, 1) == ERR_OK;
}

/* One that lwIP has freed after both ends were said is no error. */
static bool is_broken(const struct tcp_conn *c)
{
    return (c->error != RC_OK || c->pcb == NULL) && !(c->ended && c->peer_closed);
}

static enum rc relay(struct tcp_conn *a, struct tcp_conn *b, uint32_t idle_ms, uint64_t *active_ms)
{
    struct deadline d = deadline_in_ms(idle_ms);
    for (;;) {
        size_t moved = move(a, b) + move(b, a);
        pass_end(a, b);
        pass_end(b, a);
        if (a->ended && b->ended)
            return RC_OK;
        if (is_broken(a) || is_broken(b))
            return RC_RESET;
        if (moved > 0) {
            *active_ms = clock_ms();
            d = deadline_in_ms(idle_ms);
        }
        enum rc rc = task_wait(&a->event, d);
        if (rc != RC_OK)
            return rc;
    }
}

enum rc tcp_relay(struct tcp_conn *a, struct tcp_conn *b, uint32_t idle_ms, uint64_t *active_ms)
{
    b->wake = &a->event;
    enum rc rc = relay(a, b, idle_ms, active_ms);
    b->wake = NULL;
    return rc;
}
