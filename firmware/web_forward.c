/* One connection inside for one outside; what is between them is not looked at. */
#include "board/plan_sizes.h"
#include "firmware/counters.h"
#include "firmware/network.h"
#include "firmware/setting_value.h"
#include "firmware/web.h"
#include "hal/base/log.h"
#include "net/dns.h"

#define CONNECT_MS 10000
#define CLOSE_MS 2000
/* Exchange's telephones wait so long for news. Who is needed less gives way before (firmware/intake.c), and who is gone is found out by TCP. */
#define IDLE_MS (35 * 60 * 1000)

struct leg {
    char host[DOMAIN_TEXT_MAX]; /* settings may change meanwhile */
    struct ip_endpoint to;
    struct tcp_conn conn;
    struct stream stream;
    union {
        struct dns_answer answer;
        uint8_t ring[TCP_RING_BYTES];
    };
};
_Static_assert(sizeof(struct leg) <= PLAN_INTAKE_ARENA_BYTES, "a slot's memory for TLS holds the other connection");

static enum rc open_leg(struct leg *leg, const char *where, uint16_t port)
{
    struct setting_hostport at;
    struct strbuf host = STRBUF(leg->host);
    struct deadline d = deadline_in_ms(CONNECT_MS);
    unsigned found = 0;
    if (setting_hostport_parse(span_of(where), 443, &at) != RC_OK)
        return RC_INVALID;
    strbuf_add(&host, at.host);
    leg->to.port = port ? port : at.port;
    enum rc rc = network_resolve(strbuf_span(&host), &leg->to.addr, 1, &found, &leg->answer, d);
    if (rc == RC_OK && !found)
        rc = RC_NOT_FOUND;
    return rc == RC_OK ? tcp_stream_connect(&leg->stream, &leg->conn, leg->ring, &leg->to, d) : rc;
}

enum rc web_forward(struct web_session *w, const char *where, uint16_t port)
{
    struct leg *leg = w->memory;
    arena_release(w->tls->arena);
    memset(leg, 0, sizeof *leg);
    enum rc rc = open_leg(leg, where, port);
    if (rc != RC_OK) {
        log_event_at(LOG_WARN, LOG_WEB, "inside-unreachable", "host=%s port=%u rc=%s", leg->host, leg->to.port, rc_name(rc));
        return RC_UNREACHABLE;
    }
    count(COUNT_web_forwarded);
    *w->active_ms = clock_ms();
    rc = tcp_relay(w->conn, &leg->conn, IDLE_MS, w->active_ms);
    if (rc == RC_OK) {
        stream_close(w->stream, deadline_in_ms(CLOSE_MS));
        stream_close(&leg->stream, deadline_in_ms(CLOSE_MS));
    } else {
        stream_abort(w->stream);
        stream_abort(&leg->stream);
    }
    return rc;
}
