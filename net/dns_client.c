#include "net/dns_client.h"

#include "board/dns_sizes.h"
#include "hal/base/bytes.h"
#include "hal/random.h"
#include "net/tcp.h"
#include "net/udp.h"

struct dns_stats dns_client_stats;

/* What TCP needs, for one query at a time. */
static struct {
    bool busy;
    struct event freed;
    struct stream stream;
    struct tcp_conn conn;
    uint8_t ring[TCP_RING_BYTES];
    uint8_t message[DNS_TCP_BYTES];
} tcp;

/* What is asked, and until when. */
struct question {
    struct span name;
    enum dns_type type;
    struct deadline d;
};

static enum rc build(struct dns_query *q, const struct question *ask, bool edns)
{
    q->id = (uint16_t)random_u32();
    enum rc rc = dns_query_build(q->id, ask->name, ask->type, edns, q->sent + 2, &q->sent_bytes);
    if (rc == RC_OK)
        put_be16(q->sent, (uint16_t)q->sent_bytes);
    return rc;
}

static enum rc open_response(struct dns_query *q, const struct question *ask, struct span message)
{
    enum rc rc = dns_response_open(message, q->id, ask->name, ask->type, &q->response);
    if (rc == RC_NOT_FOUND)
        dns_client_stats.mismatches++;
    return rc;
}

/* --- UDP --- */

/* Takes datagrams until one belongs to the question: others may be forged, or late. */
static enum rc receive_match(struct dns_query *q, struct udp_socket *u, const struct question *ask)
{
    for (;;) {
        size_t len;
        enum rc rc = udp_receive(u, &len, ask->d);
        if (rc == RC_OK)
            rc = open_response(q, ask, span_bytes(q->received, len));
        if (rc != RC_NOT_FOUND)
            return rc;
    }
}

/* Without a route now (the link just lost its carrier, DHCP is on its way), or without a socket, there may be one when the
 * try is over: a lookup must not use up its rounds in no time. */
static enum rc wait_out(const struct question *ask)
{
    struct event never = { NULL, false };
    return task_wait(&never, ask->d);
}

static enum rc ask_udp(struct dns_query *q, const struct ip_endpoint *resolver, const struct question *ask, bool edns)
{
    struct udp_socket u = { 0 };
    enum rc rc = build(q, ask, edns);
    if (rc != RC_OK)
        return rc;
    rc = udp_open(&u, resolver, q->received, sizeof q->received);
    if (rc != RC_OK)
        return wait_out(ask);
    dns_client_stats.queries++;
    rc = udp_send(&u, span_bytes(q->sent + 2, q->sent_bytes));
    rc = rc == RC_OK ? receive_match(q, &u, ask) : wait_out(ask);
    udp_close(&u);
    return rc;
}

/* --- TCP (RFC 7766): each message has its length before it --- */

static enum rc take_tcp(struct dns_query *q, struct deadline d)
{
    while (tcp.busy) {
        enum rc rc = task_wait(&tcp.freed, d);
        if (rc != RC_OK)
            return rc;
    }
    tcp.busy = q->holds_tcp = true;
    return RC_OK;
}

static enum rc exchange_tcp(struct dns_query *q, const struct question *ask)
{
    uint8_t length[2];
    enum rc rc = stream_write(&tcp.stream, span_bytes(q->sent, 2 + q->sent_bytes), ask->d);
    if (rc == RC_OK)
        rc = stream_flush(&tcp.stream, ask->d);
    if (rc == RC_OK)
        rc = stream_read_exact(&tcp.stream, length, sizeof length, ask->d);
    if (rc != RC_OK)
        return rc;
    size_t len = get_be16(length);
    if (len > sizeof tcp.message)
        return RC_PROTOCOL;
    rc = stream_read_exact(&tcp.stream, tcp.message, len, ask->d);
    if (rc != RC_OK)
        return rc;
    rc = open_response(q, ask, span_bytes(tcp.message, len));
    return rc == RC_NOT_FOUND || (rc == RC_OK && q->response.truncated) ? RC_PROTOCOL : rc;
}

/* The query that UDP sent goes out again over TCP. */
static enum rc ask_tcp(struct dns_query *q, const struct ip_endpoint *resolver, const struct question *ask)
{
    enum rc rc = take_tcp(q, ask->d);
    if (rc != RC_OK)
        return rc;
    dns_client_stats.tcp_fallbacks++;
    rc = tcp_stream_connect(&tcp.stream, &tcp.conn, tcp.ring, resolver, ask->d);
    if (rc != RC_OK)
        return rc;
    rc = exchange_tcp(q, ask);
    if (rc == RC_OK)
        stream_close(&tcp.stream, deadline_in_ms(1000));
    else
        stream_abort(&tcp.stream);
    return rc;
}

void dns_query_end(struct dns_query *q)
{
    q->response.message = (struct span){ NULL, 0 };
    if (q->holds_tcp) {
        tcp.busy = q->holds_tcp = false;
        event_signal(&tcp.freed);
    }
}

/* --- one try, and all of them --- */

static bool knows_no_edns(const struct dns_query *q)
{
    return q->response.rcode == DNS_FORMERR || q->response.rcode == DNS_NOTIMP || q->response.rcode == DNS_BADVERS;
}

static enum rc ask_resolver(struct dns_query *q, const struct ip_endpoint *resolver, const struct question *ask,
                            uint32_t patience_ms)
{
    struct question udp = *ask, over_tcp = *ask;
    udp.d = deadline_earlier(ask->d, deadline_in_ms(patience_ms));
    enum rc rc = ask_udp(q, resolver, &udp, true);
    if (rc == RC_OK && knows_no_edns(q))
        rc = ask_udp(q, resolver, &udp, false);
    if (rc == RC_OK && q->response.truncated) {
        over_tcp.d = deadline_earlier(ask->d, deadline_in_ms(DNS_TCP_MS));
        rc = ask_tcp(q, resolver, &over_tcp);
    }
    if (rc == RC_TIMEOUT)
        dns_client_stats.timeouts++;
    if (rc == RC_OK && q->response.rcode != DNS_NOERROR && q->response.rcode != DNS_NAME_ERROR) {
        dns_client_stats.servfails++;
        rc = RC_PROTOCOL;
    }
    return rc;
}

static enum rc try_resolver(struct dns_query *q, unsigned index, const struct question *ask, uint32_t patience_ms,
                            struct dns_answer *out, bool *incomplete)
{
    enum rc rc = ask_resolver(q, &q->resolver[index], ask, patience_ms);
    if (rc == RC_OK)
        rc = dns_answer_read(&q->response, ask->name, ask->type, out, incomplete);
    if (rc == RC_OK)
        q->answered_by = index;
    else
        dns_query_end(q);
    return rc;
}

enum rc dns_query_once(struct dns_query *q, const struct ip_endpoint *resolver, struct span name, enum dns_type type, bool over_tcp,
                       struct deadline d)
{
    const struct question ask = { name, type, d };
    enum rc rc = over_tcp ? build(q, &ask, true) : ask_udp(q, resolver, &ask, true);
    if (rc == RC_OK && over_tcp)
        rc = ask_tcp(q, resolver, &ask);
    if (rc != RC_OK)
        dns_query_end(q);
    return rc;
}

enum rc dns_query_run(struct dns_query *q, struct span name, enum dns_type type, struct dns_answer *out, bool *incomplete,
                      struct deadline d)
{
    const struct question ask = { name, type, d };
    unsigned useless = 0; /* a bit for each resolver that gave an error or garbage */
    unsigned all = (1u << q->resolver_count) - 1;
    dns_answer_clear(out);
    for (unsigned round = 0; round < DNS_ROUNDS; round++) {
        for (unsigned i = 0; i < q->resolver_count; i++) {
            if (useless & 1u << i)
                continue;
            enum rc rc = try_resolver(q, i, &ask, DNS_TRY_MS << round, out, incomplete);
            if (rc == RC_OK || rc == RC_CANCELLED || rc == RC_INVALID)
                return rc;
            if (rc == RC_PROTOCOL)
                useless |= 1u << i;
            if (deadline_passed(d))
                return useless == all ? RC_PROTOCOL : RC_TIMEOUT;
        }
        if (useless == all)
            return RC_PROTOCOL;
    }
    return RC_TIMEOUT;
}
