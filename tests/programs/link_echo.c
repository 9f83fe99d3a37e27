/* The network floor on the posix board without the firmware: services that a test talks to from Linux, and commands on stdin
 * that make the box talk to Linux. tests/e2e/test_link_posix.py is its other half.
 *
 * usage: link_echo TAP (dhcp | CIDR GATEWAY) (auto | off | CIDR6 GATEWAY6)
 * services: 7 echo; 9 counts what comes until the peer ends, then says how much and its CRC; 17 answers lines with their
 * length; 19 sends as many bytes as a line asks for; 21 says one line and closes without reading; 13 turns away with
 * the same line, a tenth of a second late; 11 refuses by its filter; 15 is never accepted; 23 reads one KiB each 100 ms and echoes nothing.
 * commands: status; connect ADDRESS PORT MS; sntp ADDRESS PORT; pool (free slots) */
#include <stdio.h>

#include "boards/posix/posix.h"
#include "hal/base/crc32.h"
#include "hal/board.h"
#include "hal/console.h"
#include "hal/random.h"
#include "net/link.h"
#include "net/sntp.h"
#include "net/tcp.h"

#define SLOTS 24
#define STACK_BYTES (128 * 1024) /* sanitized code is hungry */
#define PATIENCE_MS 30000

struct slot {
    struct task task;
    struct stream stream;
    struct tcp_conn conn;
    void (*serve)(struct stream *s);
    uint8_t ring[TCP_RING_BYTES];
    uint8_t stack[STACK_BYTES] __attribute__((aligned(16)));
};

static struct slot slots[SLOTS];
static struct task asker;
static uint8_t asker_stack[STACK_BYTES] __attribute__((aligned(16)));
static char command[200];
static struct strbuf line;

static struct deadline patience(void)
{
    return deadline_in_ms(PATIENCE_MS);
}

/* --- services --- */

static void echo(struct stream *s)
{
    char data[2000];
    size_t got;
    while (stream_read(s, data, sizeof data, &got, patience()) == RC_OK)
        if (stream_write(s, span_bytes(data, got), patience()) != RC_OK)
            return;
}

static void say(struct stream *s, const char *format, unsigned long long a, unsigned b)
{
    char text[80];
    snprintf(text, sizeof text, format, a, b);
    if (stream_write(s, span_of(text), patience()) != RC_OK)
        printf("say failed\n");
}

static void count(struct stream *s)
{
    char data[3000];
    size_t got;
    unsigned long long total = 0;
    uint32_t crc = 0;
    enum rc rc;
    while ((rc = stream_read(s, data, sizeof data, &got, patience())) == RC_OK) {
        total += got;
        crc = crc32_update(crc, data, got);
    }
    if (rc == RC_CLOSED)
        say(s, "%llu %08x\r\n", total, crc);
}

static void lines(struct stream *s)
{
    char memory[100];
    struct strbuf text = STRBUF(memory);
    bool bare;
    enum rc rc;
    while ((rc = stream_read_line(s, &text, &bare, patience())) == RC_OK || rc == RC_TOO_LONG) {
        if (span_is(strbuf_span(&text), "QUIT"))
            return say(s, "221 bye\r\n", 0, 0);
        say(s, rc == RC_OK ? "250 %llu %u\r\n" : "500 too long\r\n", text.len, bare);
    }
}

static void source(struct stream *s)
{
    char memory[20], data[1460];
    struct strbuf text = STRBUF(memory);
    uint64_t wanted;
    uint32_t value = 1;
    if (stream_read_line(s, &text, NULL, patience()) != RC_OK || !span_to_u64(strbuf_span(&text), &wanted))
        return;
    while (wanted > 0) {
        size_t n = wanted < sizeof data ? (size_t)wanted : sizeof data;
        for (size_t i = 0; i < n; i++)
            data[i] = (char)((value = value * 1664525 + 1013904223) >> 24);
        if (stream_write(s, span_bytes(data, n), patience()) != RC_OK)
            return;
        wanted -= n;
    }
}

static void busy(struct stream *s)
{
    say(s, "421 busy\r\n", 0, 0);
}

static void slow(struct stream *s)
{
    char data[1024];
    size_t got;
    while (stream_read(s, data, sizeof data, &got, patience()) == RC_OK)
        if (task_sleep_ms(100) != RC_OK)
            return;
}

static bool refuse_all(void *ctx, const struct ip_endpoint *peer)
{
    (void)ctx;
    (void)peer;
    return false;
}

static struct service {
    uint16_t port;
    void (*serve)(struct stream *s); /* NULL: not accepted */
    bool turn_away;
    struct tcp_listener listener;
} services[] = { { .port = 7, .serve = echo },    { .port = 9, .serve = count }, { .port = 17, .serve = lines },
                 { .port = 19, .serve = source }, { .port = 21, .serve = busy }, { .port = 23, .serve = slow },
                 { .port = 15, .serve = NULL },   { .port = 11, .serve = echo }, { .port = 13, .turn_away = true } };
#define SERVICES (sizeof services / sizeof services[0])

static void session(void *arg)
{
    struct slot *slot = arg;
    slot->serve(&slot->stream);
    stream_close(&slot->stream, patience());
}

/* Late, so that what a peer says at once, and its end, wait with it. */
static void turn_away(struct tcp_listener *l)
{
    static struct deadline next;
    if (tcp_pending(l) && !next.at_ms)
        next = deadline_in_ms(100);
    if (!tcp_pending(l) || !deadline_passed(next))
        return;
    next.at_ms = 0;
    while (tcp_turn_away(l, SPAN("421 busy\r\n")))
        continue;
}

static void accept_all(void)
{
    for (size_t i = 0; i < SERVICES; i++) {
        if (services[i].turn_away)
            turn_away(&services[i].listener);
        for (size_t k = 0; k < SLOTS && services[i].serve != NULL && tcp_pending(&services[i].listener); k++) {
            struct slot *slot = &slots[k];
            if (!task_done(&slot->task) || tcp_accept(&services[i].listener, &slot->stream, &slot->conn, slot->ring) != RC_OK)
                continue;
            slot->serve = services[i].serve;
            task_start(&slot->task, "session", slot->stack, sizeof slot->stack, session, slot);
        }
    }
}

/* --- commands --- */

static void show_address(const char *name, const struct ip_addr_any *a)
{
    char memory[IP_TEXT_MAX];
    struct strbuf text = STRBUF(memory);
    if (a->family == IP_NONE)
        return;
    ip_format(&text, a);
    printf(" %s=%s", name, text.p);
}

static void show_status(void)
{
    struct link_status s;
    link_status(&s);
    printf("status up=%d configured=%d bits=%u", s.up, s.configured, s.address.prefix_bits);
    show_address("ip", &s.address.addr);
    show_address("gateway", &s.gateway);
    for (unsigned i = 0; i < s.address6_count; i++)
        show_address("ip6", &s.address6[i]);
    for (unsigned i = 0; i < s.resolver_count; i++)
        show_address("resolver", &s.resolver[i]);
    show_address("ntp", &s.ntp);
    printf("\n");
}

static bool take_word(struct span *rest, struct span *word)
{
    bool more = rest->len > 0;
    return span_split(rest, &more, ' ', word) && word->len > 0;
}

static bool take_endpoint(struct span *rest, struct ip_endpoint *e)
{
    struct span address, port_text;
    uint32_t port;
    if (!take_word(rest, &address) || !take_word(rest, &port_text) || ip_parse(address, &e->addr) != RC_OK ||
        !span_to_u32(port_text, &port))
        return false;
    e->port = (uint16_t)port;
    return true;
}

/* Sends "hello" and says what came back. */
static void ask_connect(const struct ip_endpoint *peer, uint32_t ms)
{
    static struct stream s;
    static struct tcp_conn c;
    static uint8_t ring[TCP_RING_BYTES];
    char memory[100];
    struct strbuf reply = STRBUF(memory);
    struct deadline d = deadline_in_ms(ms);
    enum rc rc = tcp_stream_connect(&s, &c, ring, peer, d);
    if (rc == RC_OK)
        rc = stream_write(&s, SPAN("hello\r\n"), d);
    if (rc == RC_OK)
        rc = stream_read_line(&s, &reply, NULL, d);
    printf("connect rc=%s reply=%s\n", rc_name(rc), reply.p);
    stream_close(&s, d);
}

static void ask_sntp(const struct ip_endpoint *server)
{
    struct sntp_answer a;
    enum rc rc = sntp_query(server, &a, deadline_in_ms(2000));
    printf("sntp rc=%s time=%lld stratum=%u\n", rc_name(rc), (long long)a.unix_s, a.stratum);
}

static unsigned free_slots(void)
{
    unsigned n = 0;
    for (size_t i = 0; i < SLOTS; i++)
        n += task_done(&slots[i].task);
    return n;
}

static void obey(void *arg)
{
    (void)arg;
    struct span rest = strbuf_span(&line), word, ms_text;
    struct ip_endpoint peer;
    uint32_t ms = 0;
    if (!take_word(&rest, &word))
        return;
    if (span_is(word, "status"))
        show_status();
    else if (span_is(word, "pool"))
        printf("pool free=%u\n", free_slots());
    else if (span_is(word, "connect") && take_endpoint(&rest, &peer) && take_word(&rest, &ms_text) && span_to_u32(ms_text, &ms))
        ask_connect(&peer, ms);
    else if (span_is(word, "sntp") && take_endpoint(&rest, &peer))
        ask_sntp(&peer);
    else
        printf("what?\n");
    strbuf_clear(&line);
}

static void take_commands(void)
{
    console_poll();
    while (task_done(&asker)) {
        int c = console_getc();
        if (c < 0)
            return;
        if (c != '\n')
            strbuf_putc(&line, (char)c);
        else
            task_start(&asker, "asker", asker_stack, sizeof asker_stack, obey, NULL);
    }
}

/* --- start --- */

static bool read_arguments(char **argv, struct link_params *p)
{
    memset(p, 0, sizeof *p);
    posix_options.flash_path = "link_echo";
    posix_options.tap = *argv++;
    p->hostname = "echo";
    p->dhcp = span_is(span_of(*argv++), "dhcp");
    if (!p->dhcp && (ip_net_parse(span_of(argv[-1]), &p->address) != RC_OK || ip_parse(span_of(*argv++), &p->gateway) != RC_OK))
        return false;
    p->ipv6_auto = span_is(span_of(*argv), "auto");
    if (p->ipv6_auto || span_is(span_of(*argv), "off"))
        return true;
    return ip_net_parse(span_of(argv[0]), &p->address6) == RC_OK && ip_parse(span_of(argv[1]), &p->gateway6) == RC_OK;
}

static void listen_all(void)
{
    for (size_t i = 0; i < SERVICES; i++) {
        if (services[i].port == 11)
            services[i].listener.filter = refuse_all;
        if (tcp_listen(&services[i].listener, services[i].port) != RC_OK)
            board_panic("cannot listen");
    }
}

int main(int argc, char **argv)
{
    struct link_params params;
    if (argc < 4 || !read_arguments(argv + 1, &params))
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    line = strbuf_on(command, sizeof command);
    posix_console_init();
    if (random_init() != RC_OK || link_init(&params) != RC_OK)
        return 1;
    listen_all();
    printf("ready\n");
    for (;;) {
        link_poll();
        accept_all();
        take_commands();
        bool more = tasks_run();
        struct deadline next = deadline_earlier(tasks_next_deadline(), link_next_deadline());
        board_idle(more ? deadline_in_ms(0) : next);
    }
}
