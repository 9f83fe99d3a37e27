/* Slots and listeners. One task accepts for all ports; each session runs in its slot's own task, its answers are in intake_mail.c. */
#include "firmware/intake.h"

#include "firmware/counters.h"
#include "firmware/identity.h"
#include "firmware/intake_private.h"
#include "firmware/setting_value.h"
#include "firmware/turned_away.h"
#include "firmware/web.h"
#include "firmware/wallclock.h"
#include "hal/base/log.h"
#include "net/proxy_protocol.h"

#define PROXY_WAIT_MS 10000
#define ACCEPTOR_STACK_BYTES (PLAN_SESSION_STACK_BYTES / 4 + 1024)
#define BUSY_WAIT_MS 4000
#define BUSY_LOOK_MS 250
/* With all slots taken: how long a session may be idle, chat without a mail, or send a message more slowly than an ISDN line, before
 * it gives way. A hundred that take turns in 14 slots are through in less than a minute, and turned_away holds back their second turn. */
#define GIVE_WAY_IDLE_MS 2000
#define GIVE_WAY_CHAT_MS 8000
#define GIVE_WAY_DATA_MS 5000
#define GIVE_WAY_BYTES_PER_S 8000
#define SIZE_SHARE 2 /* at most half of the spool for one mail */

/* A web session that goes on for so long may give way as if it were idle: a download can be taken up again, a mail is worth more. */
#define GIVE_WAY_WEB_MS 60000
#define WEB_BEFORE_MAIL_MS (24 * 3600 * 1000u) /* so much idler counts a web session */

static const struct {
    enum smtp_service service;
    uint16_t port;
    const char *name;
} services[SERVICES] = {
    [ON_25] = { SMTP_SERVICE_MX, 25, "smtp" },
    [ON_587] = { SMTP_SERVICE_SUBMISSION, 587, "submission" },
    [ON_465] = { SMTP_SERVICE_SUBMISSIONS, 465, "submissions" },
    [ON_80] = { .port = 80, .name = "http" },
    [ON_443] = { .port = 443, .name = "https" },
};

static struct slot slots[PLAN_INTAKE_SESSIONS];
static struct slot_use use = { .stack_bytes = PLAN_SESSION_STACK_BYTES, .arena_bytes = PLAN_INTAKE_ARENA_BYTES };
static struct tcp_listener listeners[SERVICES];
static struct task acceptor;
static uint8_t acceptor_stack[ACCEPTOR_STACK_BYTES] __attribute__((aligned(16)));
static struct event slot_free, incoming;
static struct turned_away turned_away;
static uint32_t next_sid = 1;

static bool is_web(enum service_index service)
{
    return service >= ON_80;
}

uint64_t intake_size_max(void)
{
    struct spool_info spool;
    spool_info(&spool);
    uint64_t board = spool.size_bytes / SIZE_SHARE, set = settings_get_number("mail.size_max");
    return set && set < board ? set : board;
}

/* --- a session's life --- */

static const struct smtp_server_limits limits = {
    .command_ms = 5 * 60 * 1000,
    .data_block_ms = 3 * 60 * 1000,
    .session_ms = 30 * 60 * 1000,
    .least_bytes_per_s = 100,
    .grace_ms = 20 * 1000,
    .handshake_ms = 30 * 1000,
    .errors_max = 10,
    .recipients_max = SPOOL_RECIPIENTS_MAX,
    .idle_commands_max = 50,
};

static void set_up_tls(struct slot *slot)
{
    arena_init(&slot->arena, slot->tls_memory, sizeof slot->tls_memory);
    memset(&slot->facts, 0, sizeof slot->facts);
    slot->tls = (struct tls_params){
        .role = TLS_SERVER, .select = identity_select, .now = wallclock_now(), .arena = &slot->arena, .facts = &slot->facts
    };
}

static void set_up(struct slot *slot)
{
    const struct ip_addr_any *peer = &slot->stream.peer.addr;
    slot->started_ms = clock_ms();
    slot->trusted = setting_cidrs_contain(settings_get("mail.trusted"), peer);
    slot->normalise = setting_cidrs_contain(settings_get("mail.normalise"), peer);
    slot->ptr_known = false;
    slot->ptr[0] = '\0';
    slot->data_open = false;
    memset(&slot->writer, 0, sizeof slot->writer);
    memset(&slot->cut, 0, sizeof slot->cut);
    slot->submission = (struct submission){ .sid = slot->sid };
    strbuf_copy(slot->host_name, sizeof slot->host_name, settings_get("host.name"));
    if (!slot->host_name[0])
        strbuf_copy(slot->host_name, sizeof slot->host_name, "postern.invalid");
    set_up_tls(slot);
    slot->params = (struct smtp_server_params){ .service = services[slot->service].service,
                                                .host_name = slot->host_name,
                                                .limits = limits,
                                                .ops = users_any() ? &intake_dialogue_with_auth : &intake_dialogue,
                                                .ctx = slot,
                                                .tls = identity_ready() ? &slot->tls : NULL };
    slot->params.limits.size_max = intake_size_max();
    if (slot->trusted)
        slot->params.limits.errors_max *= 10;
}

static void turn_away(const struct slot *slot)
{
    turned_away_note(&turned_away, &slot->stream.peer.addr, clock_ms());
}

static bool ended_badly(const struct slot *slot, enum rc rc)
{
    return slot->server.mails_taken == 0 && (rc == RC_PROTOCOL || rc == RC_TOO_SLOW || rc == RC_TIMEOUT);
}

/* Mail's, or the web's; of one address if not NULL. */
static unsigned sessions(bool web, const struct ip_addr_any *of)
{
    unsigned n = 0;
    for (unsigned i = 0; i < PLAN_INTAKE_SESSIONS; i++)
        n += slots[i].used && is_web(slots[i].service) == web && (!of || ip_same_source(&slots[i].stream.peer.addr, of));
    return n;
}

static bool is_balancer(const struct ip_addr_any *addr)
{
    return setting_cidrs_contain(settings_get("mail.balancers"), addr);
}

/* The client behind a balancer; the same rule for it as admit's for one that comes by itself. Yields. */
static bool take_client(struct slot *slot)
{
    struct ip_addr_any balancer = slot->stream.peer.addr, *client = &slot->stream.peer.addr;
    enum rc rc = proxy_header_read(&slot->stream, deadline_in_ms(PROXY_WAIT_MS));
    if (rc == RC_OK && (ip_eq(client, &balancer) || setting_cidrs_contain(settings_get("mail.trusted"), client) ||
                        sessions(false, client) <= settings_get_number("mail.sessions_per_address")))
        return true;
    char text[IP_TEXT_MAX];
    struct strbuf peer = STRBUF(text);
    ip_format(&peer, client);
    log_event_at(LOG_WARN, LOG_INTAKE, rc == RC_OK ? "too-many" : "no-proxy-header", "sid=%u peer=%s rc=%s", (unsigned)slot->sid,
                 text, rc_name(rc));
    count(COUNT_sessions_refused);
    stream_abort(&slot->stream);
    return false;
}

static void leave(struct slot *slot)
{
    slot->used = false;
    event_signal(&slot_free);
    event_signal(&incoming);
}

static void web_main(void *arg)
{
    struct slot *slot = arg;
    struct web_session w = { slot->service == ON_443,       &slot->stream, &slot->conn, &slot->tls, slot->tls_memory,
                             &slot->server.last_activity_ms };
    set_up_tls(slot);
    web_serve(&w);
    slot_use_note(&use, &slot->arena);
    leave(slot);
}

static void session_main(void *arg)
{
    struct slot *slot = arg;
    if (is_balancer(&slot->stream.peer.addr) && !take_client(slot)) {
        leave(slot);
        return;
    }
    char peer[IP_TEXT_MAX];
    struct strbuf peer_text = STRBUF(peer);
    set_up(slot);
    ip_format(&peer_text, &slot->stream.peer.addr);
    log_event(LOG_INTAKE, "open", "sid=%u peer=%s service=%s trusted=%d", (unsigned)slot->sid, peer, services[slot->service].name,
              slot->trusted);
    enum rc rc = smtp_server_run(&slot->server, &slot->stream, &slot->params);
    cut_through_leave(&slot->cut);
    if (slot->writer.open)
        spool_abort(&slot->writer);
    if (slot->facts.established)
        count(COUNT_tls_in);
    else if (slot->facts.cause != TLS_CAUSE_NONE)
        count(COUNT_tls_in_failed);
    log_event(LOG_INTAKE, "close", "sid=%u peer=%s rc=%s mails=%u errors=%u tls=%s cause=%s", (unsigned)slot->sid, peer,
              rc_name(rc), slot->server.mails_taken, slot->server.errors, slot->facts.established ? slot->facts.version : "none",
              tls_cause_name(slot->facts.cause));
    slot_use_note(&use, &slot->arena);
    if (ended_badly(slot, rc))
        turn_away(slot);
    leave(slot);
}

static bool mail_under_way(const struct slot *slot)
{
    return slot->server.in_data || slot->data_open || slot->cut.asking;
}

/* The idlest session that may give way, or NULL; of all, or of the web's. None is pushed out before it had time for a round trip and for
 * what comes ahead of a mail; but nobody stays by chatting. */
static struct slot *idlest(bool of_web)
{
    struct slot *found = NULL;
    uint64_t most_ms = 0, now = clock_ms();
    for (unsigned i = 0; i < PLAN_INTAKE_SESSIONS; i++) {
        struct slot *slot = &slots[i];
        bool web = is_web(slot->service);
        if (!slot->used || mail_under_way(slot) || slot->task.cancelled || (of_web && !web))
            continue;
        uint64_t idle_ms = now - slot->server.last_activity_ms;
        if (idle_ms < GIVE_WAY_IDLE_MS && now - slot->renewed_ms < (web ? GIVE_WAY_WEB_MS : GIVE_WAY_CHAT_MS))
            continue;
        idle_ms += web ? WEB_BEFORE_MAIL_MS : 0;
        if (found && idle_ms <= most_ms)
            continue;
        most_ms = idle_ms;
        found = slot;
    }
    return found;
}

/* The session whose message comes in the slowest, below GIVE_WAY_BYTES_PER_S, or NULL. */
static struct slot *slowest(void)
{
    struct slot *found = NULL;
    uint64_t least = GIVE_WAY_BYTES_PER_S, waited_ms;
    for (unsigned i = 0; i < PLAN_INTAKE_SESSIONS; i++) {
        struct slot *slot = &slots[i];
        if (!slot->used || !slot->server.in_data || slot->cut.asking || slot->task.cancelled)
            continue;
        uint64_t rate = smtp_server_data_rate(&slot->server, &waited_ms);
        if (waited_ms < GIVE_WAY_DATA_MS || rate >= least)
            continue;
        least = rate;
        found = slot;
    }
    return found;
}

static bool is_free(const struct slot *slot)
{
    return !slot->used && task_done(&slot->task);
}

static struct slot *free_slot(void)
{
    for (unsigned i = 0; i < PLAN_INTAKE_SESSIONS; i++)
        if (is_free(&slots[i]))
            return &slots[i];
    return NULL;
}

static void give_way(struct slot *victim)
{
    log_event(LOG_INTAKE, "gives-way", "sid=%u in_data=%d", (unsigned)victim->sid, mail_under_way(victim));
    count(COUNT_sessions_gave_way);
    if (!is_web(victim->service))
        turn_away(victim);
    task_cancel(&victim->task);
}

/* A slot for the connection that waits: a free one, or that of a session that gives way. NULL: none within BUSY_WAIT_MS. Yields. */
static struct slot *find_slot(void)
{
    struct slot *slot;
    struct deadline patience = deadline_in_ms(BUSY_WAIT_MS);
    event_reset(&slot_free); /* of long ago: it would push out a second session before the first had time to end */
    while (!(slot = free_slot())) {
        struct slot *victim = idlest(false);
        if (!victim)
            victim = slowest();
        if (victim)
            give_way(victim);
        uint32_t wait_ms = victim ? PLAN_GIVE_WAY_MS : BUSY_LOOK_MS;
        enum rc rc = task_wait(&slot_free, deadline_earlier(patience, deadline_in_ms(wait_ms)));
        if (rc == RC_CANCELLED || deadline_passed(patience))
            return free_slot();
    }
    return slot;
}

/* Says 421 without a slot; on 465 a client waits for TLS, and only sees the end. */
static void refuse_busy(struct tcp_listener *l)
{
    bool plain = l != &listeners[ON_465];
    if (tcp_turn_away(l, plain ? SPAN("421 4.3.2 too busy now, try again soon\r\n") : span_of("")))
        count(COUNT_sessions_refused);
}

/* The same for the web: NULL at once if it is to wait. Yields for the first. */
static struct slot *find_web_slot(void)
{
    unsigned held = sessions(true, NULL);
    if (held == 0)
        return find_slot();
    if (held < PLAN_WEB_SESSIONS && intake_has_room())
        return free_slot();
    struct slot *victim = idlest(true);
    if (victim)
        give_way(victim);
    return NULL;
}

/* False: it is to wait. */
static bool take(struct tcp_listener *l, enum service_index service)
{
    bool web = is_web(service);
    struct slot *slot = web ? find_web_slot() : find_slot();
    if (!slot && !web)
        refuse_busy(l);
    if (!slot || tcp_accept(l, &slot->stream, &slot->conn, slot->ring) != RC_OK)
        return !web;
    slot->used = true;
    slot->service = service;
    slot->sid = next_sid++;
    slot->renewed_ms = clock_ms();
    memset(&slot->server, 0, sizeof slot->server);
    slot->server.last_activity_ms = slot->started_ms = clock_ms();
    slot->data_open = slot->cut.asking = false;
    if (!web)
        count(COUNT_sessions_in);
    task_start(&slot->task, web ? "web" : "intake", slot->stack, sizeof slot->stack, web ? web_main : session_main, slot);
    return true;
}

/* Asked by TCP for each new connection. */
static bool admit_web(void *listener, const struct ip_endpoint *peer)
{
    return sessions(true, &peer->addr) + tcp_waiting_of(listener, &peer->addr) < WEB_PER_ADDRESS;
}

static bool admit(void *ctx, const struct ip_endpoint *peer)
{
    (void)ctx;
    if (setting_cidrs_contain(settings_get("mail.trusted"), &peer->addr) || is_balancer(&peer->addr))
        return true;
    bool back_too_soon = !free_slot() && turned_away_is(&turned_away, &peer->addr, clock_ms());
    if (!back_too_soon && sessions(false, &peer->addr) < settings_get_number("mail.sessions_per_address"))
        return true;
    count(COUNT_sessions_refused);
    return false;
}

static void acceptor_main(void *arg)
{
    (void)arg;
    for (;;) {
        bool any = false, waits = false;
        for (unsigned i = 0; i < SERVICES; i++)
            if (tcp_pending(&listeners[i])) {
                bool taken = take(&listeners[i], (enum service_index)i);
                any = any || taken;
                waits = waits || !taken;
            }
        if (!any && task_wait(&incoming, waits ? deadline_in_ms(BUSY_LOOK_MS) : deadline_never()) == RC_CANCELLED)
            return;
    }
}

enum rc intake_init(void)
{
    for (unsigned i = 0; i < SERVICES; i++) {
        bool web = is_web((enum service_index)i);
        listeners[i].filter = web ? admit_web : admit;
        listeners[i].filter_ctx = &listeners[i];
        listeners[i].clients_first = web;
        listeners[i].news = &incoming;
        enum rc rc = tcp_listen(&listeners[i], services[i].port);
        if (rc != RC_OK)
            return rc;
    }
    task_start(&acceptor, "acceptor", acceptor_stack, sizeof acceptor_stack, acceptor_main, NULL);
    return RC_OK;
}

const struct slot_use *intake_use(void)
{
    return &use;
}

unsigned intake_slots(void)
{
    return PLAN_INTAKE_SESSIONS;
}

bool intake_has_room(void)
{
    unsigned spare = 0;
    for (unsigned i = 0; i < PLAN_INTAKE_SESSIONS; i++)
        spare += is_free(&slots[i]);
    return spare > 1;
}

bool intake_session_at(unsigned index, struct intake_session_view *out)
{
    for (unsigned i = 0; i < PLAN_INTAKE_SESSIONS; i++) {
        const struct slot *slot = &slots[i];
        if (!slot->used || index-- > 0)
            continue;
        *out = (struct intake_session_view){ slot->stream.peer,
                                             services[slot->service].name,
                                             slot->server.tls,
                                             mail_under_way(slot),
                                             slot->server.mails_taken,
                                             clock_ms() - slot->started_ms,
                                             clock_ms() - slot->server.last_activity_ms };
        return true;
    }
    return false;
}
