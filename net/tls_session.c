/* TLS as a layer of a stream: the handshake, and the stream operations above and below mbedTLS. The session lives in its
 * arena from tls_session_start to close. mbedTLS never sees the stream, only our two BIO callbacks; a wait below happens
 * outside tls_enter, because other sessions run meanwhile.
 *
 * A read that times out loses nothing; after a failed write nobody knows what went out, so that the stream breaks. */
#include "net/tls_session.h"

#include <string.h>

#include <mbedtls/platform.h>

#include "hal/task.h"
#include "net/tls_internal.h"

/* Waits of the box between two steps of a handshake that hold the CPU longer than this are broken up by a yield. */
#define HANDSHAKE_SLICE_US 5000
#define CLOSE_NOTIFY_MS 2000
/* Our own codes for mbedTLS from the BIO: it hands them through. */
#define ERROR_BELOW (-0x0001)

/* --- Below: mbedTLS's transport */

static int bio_send(void *ctx, const unsigned char *buf, size_t len)
{
    struct tls_session *t = ctx;
    if (t->no_wait || !tls_settle(t))
        return ERROR_BELOW;
    tls_leave();
    enum rc rc = t->inner->write(t->inner_ctx, span_bytes(buf, len), t->deadline);
    tls_enter(t);
    t->io_rc = rc;
    return rc == RC_OK ? (int)len : ERROR_BELOW;
}

static void keep_first_bytes(struct tls_session *t, const unsigned char *buf, size_t len)
{
    size_t room = sizeof t->first - t->first_len;
    if (len > room)
        len = room;
    memcpy(t->first + t->first_len, buf, len);
    t->first_len += len;
}

static int bio_recv(void *ctx, unsigned char *buf, size_t len)
{
    struct tls_session *t = ctx;
    size_t got = 0;
    if (t->no_wait && !t->inner->readable(t->inner_ctx))
        return MBEDTLS_ERR_SSL_WANT_READ;
    if (!tls_settle(t))
        return ERROR_BELOW;
    tls_leave();
    enum rc rc = t->inner->read(t->inner_ctx, buf, len, &got, t->deadline);
    tls_enter(t);
    if (rc == RC_OK) {
        if (t->params != NULL)
            keep_first_bytes(t, buf, got);
        return (int)got;
    }
    if (rc == RC_CLOSED)
        return 0;
    t->io_rc = rc;
    return rc == RC_TIMEOUT || rc == RC_CANCELLED ? MBEDTLS_ERR_SSL_WANT_READ : ERROR_BELOW;
}

static bool is_transient(int error)
{
    return error == MBEDTLS_ERR_SSL_WANT_READ || error == MBEDTLS_ERR_SSL_WANT_WRITE ||
           error == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET || error == MBEDTLS_ERR_SSL_CRYPTO_IN_PROGRESS;
}

/* --- Above: the stream's operations */

/* Nothing more will come. */
static void note_end(struct tls_session *t, int result)
{
    t->ended = true;
    if (result == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)
        t->end_rc = RC_CLOSED;
    else if (result == 0 || result == MBEDTLS_ERR_SSL_CONN_EOF)
        t->end_rc = RC_RESET; /* cut off: without close_notify an end could be an attacker's */
    else
        t->end_rc = result == ERROR_BELOW && t->io_rc != RC_OK ? t->io_rc : RC_TLS;
    if (result == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
        t->late_cause = TLS_CAUSE_ALERT;
    else if (!t->got_data)
        t->late_cause = TLS_CAUSE_CLOSED_AFTER_TICKET;
}

static enum rc tls_read(void *ctx, void *buf, size_t cap, size_t *got, struct deadline d)
{
    struct tls_session *t = ctx;
    *got = 0;
    if (t->ended)
        return t->end_rc;
    t->deadline = d;
    t->io_rc = RC_OK;
    int result;
    tls_enter(t);
    do
        result = mbedtls_ssl_read(&t->ssl, buf, cap);
    while (is_transient(result) && t->io_rc == RC_OK);
    tls_leave();
    if (result > 0) {
        *got = (size_t)result;
        t->got_data = true;
        return RC_OK;
    }
    if (is_transient(result))
        return t->io_rc;
    note_end(t, result);
    return t->end_rc;
}

/* Bytes below may be half a record, or one that carries nothing for us (a ticket): only decrypting tells. */
static bool tls_readable(void *ctx)
{
    struct tls_session *t = ctx;
    unsigned char none;
    if (t->ended || mbedtls_ssl_get_bytes_avail(&t->ssl) > 0)
        return true;
    t->no_wait = true;
    t->io_rc = RC_OK;
    t->deadline = (struct deadline){ 0 };
    int result;
    tls_enter(t);
    do
        result = mbedtls_ssl_read(&t->ssl, &none, 0);
    while (is_transient(result) && t->inner->readable(t->inner_ctx));
    tls_leave();
    t->no_wait = false;
    if (mbedtls_ssl_get_bytes_avail(&t->ssl) > 0)
        return true;
    if (!is_transient(result))
        note_end(t, result);
    return t->ended;
}

static enum rc tls_write(void *ctx, struct span data, struct deadline d)
{
    struct tls_session *t = ctx;
    t->deadline = d;
    t->io_rc = RC_OK;
    int result = 0;
    tls_enter(t);
    while (data.len > 0) {
        result = mbedtls_ssl_write(&t->ssl, (const unsigned char *)data.p, data.len);
        if (result <= 0)
            break;
        data = span_from(data, (size_t)result);
    }
    tls_leave();
    if (data.len == 0)
        return RC_OK;
    return result == ERROR_BELOW && t->io_rc != RC_OK ? t->io_rc : RC_TLS;
}

/* What only the handshake needs goes back before the session lives on. */
static void release_handshake(struct tls_session *t)
{
    tls_enter(t);
    mbedtls_ssl_session *session = t->ssl.MBEDTLS_PRIVATE(session);
    if (session != NULL && session->MBEDTLS_PRIVATE(peer_cert) != NULL) {
        mbedtls_x509_crt_free(session->MBEDTLS_PRIVATE(peer_cert));
        mbedtls_free(session->MBEDTLS_PRIVATE(peer_cert));
        session->MBEDTLS_PRIVATE(peer_cert) = NULL;
    }
    tls_key_view_close(&t->key);
    tls_leave();
    tls_credentials_release(t->credentials);
    t->credentials = NULL;
    t->params = NULL;
}

static void session_free(struct tls_session *t)
{
    tls_enter(t);
    mbedtls_ssl_free(&t->ssl);
    mbedtls_ssl_config_free(&t->conf);
    tls_key_view_close(&t->key);
    tls_leave();
    tls_credentials_release(t->credentials);
    tls_session_unlink(t);
    arena_free(t->arena, t);
}

static void tls_close(void *ctx, bool abort)
{
    struct tls_session *t = ctx;
    struct stream *s = t->stream;
    const struct stream_ops *inner = t->inner;
    void *inner_ctx = t->inner_ctx;
    if (!abort) {
        t->deadline = deadline_in_ms(CLOSE_NOTIFY_MS);
        tls_enter(t);
        (void)mbedtls_ssl_close_notify(&t->ssl);
        tls_leave();
    }
    session_free(t);
    s->tls = NULL;
    s->ops = inner;
    s->ctx = inner_ctx;
    inner->close(inner_ctx, abort);
}

static const struct stream_ops tls_ops = { tls_read, tls_write, tls_readable, tls_close };

enum tls_cause tls_late_cause(const struct stream *s)
{
    return s->tls != NULL ? s->tls->late_cause : TLS_CAUSE_NONE;
}

/* --- The handshake */

/* Yields between steps, so that two handshakes do not add up to one long slice. */
static int shake_hands(struct tls_session *t)
{
    uint64_t slice_start = clock_us();
    while (!mbedtls_ssl_is_handshake_over(&t->ssl)) {
        tls_enter(t);
        t->may_borrow = true;
        int error = mbedtls_ssl_handshake_step(&t->ssl);
        if (!tls_settle(t))
            error = MBEDTLS_ERR_SSL_ALLOC_FAILED;
        t->may_borrow = false;
        tls_leave();
        if (error != 0 && (!is_transient(error) || t->io_rc != RC_OK))
            return error;
        if (clock_us() - slice_start < HANDSHAKE_SLICE_US)
            continue;
        if (task_yield() == RC_CANCELLED) {
            t->io_rc = RC_CANCELLED;
            return MBEDTLS_ERR_SSL_WANT_READ;
        }
        slice_start = clock_us();
    }
    return 0;
}

static struct tls_session *session_new(struct stream *s, const struct tls_params *p, struct deadline d)
{
    struct tls_session *t = arena_calloc(p->arena, 1, sizeof *t);
    if (t == NULL)
        return NULL;
    t->arena = p->arena;
    t->arena_failures = p->arena->failures;
    t->stream = s;
    t->inner = s->ops;
    t->inner_ctx = s->ctx;
    t->params = p;
    t->now = p->now;
    t->deadline = d;
    tls_session_link(t);
    mbedtls_ssl_init(&t->ssl);
    mbedtls_ssl_config_init(&t->conf);
    mbedtls_ssl_set_bio(&t->ssl, t, bio_send, bio_recv, NULL);
    return t;
}

static enum rc refuse(struct tls_facts *facts, enum tls_cause cause, enum rc rc)
{
    facts->cause = cause;
    return rc;
}

/* A reply in plaintext says why by itself: the rest of its line, if it is there already. */
static void read_rest_of_garbage(struct tls_session *t)
{
    unsigned char rest[TLS_PEEK_BYTES];
    size_t got = 0;
    if (t->inner->readable(t->inner_ctx) && t->inner->read(t->inner_ctx, rest, sizeof rest, &got, (struct deadline){ 0 }) == RC_OK)
        keep_first_bytes(t, rest, got);
}

enum rc tls_session_start(struct stream *s, struct tls_params *p, struct deadline d)
{
    struct tls_facts *facts = p->facts;
    uint64_t started_us = clock_us();
    memset(facts, 0, sizeof *facts);
    if (!tls_ready())
        return refuse(facts, TLS_CAUSE_NO_ENTROPY, RC_UNSUPPORTED);
    struct tls_session *t = session_new(s, p, d);
    if (t == NULL)
        return refuse(facts, TLS_CAUSE_NO_MEMORY, RC_NO_MEMORY);
    tls_enter(t);
    int error = tls_configure(t);
    tls_leave();
    if (error == 0)
        error = shake_hands(t);
    facts->handshake_us = clock_us() - started_us;
    if (error != 0) {
        if (error == MBEDTLS_ERR_SSL_INVALID_RECORD)
            read_rest_of_garbage(t);
        tls_failure_cause(t, error, facts);
        enum rc rc = tls_failure_rc(t, facts);
        session_free(t);
        return rc;
    }
    facts->established = true;
    tls_handshake_facts(t, facts);
    if (p->role == TLS_CLIENT) {
        tls_chain_cause(t, facts);
    }
    release_handshake(t);
    s->tls = t;
    s->ops = &tls_ops;
    s->ctx = t;
    return RC_OK;
}
