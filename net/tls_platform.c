/* What mbedTLS asks of the platform: memory, time, randomness. Memory comes from the arena of the session that runs and
 * goes back to the arena that owns the address; time is the wall clock that the session was given. */
#include <psa/crypto.h>
#include <mbedtls/platform.h>
#include <mbedtls/platform_time.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/psa_util.h>

#include "hal/base/datetime.h"
#include "hal/random.h"
#include "net/tls_internal.h"

/* The old and the new identity while one replaces the other, each with a key of RSA-4096 and a chain that fills its message:
 * 2 x 10 KiB on 32 bits, and 3.5 KiB for the check that key and leaf belong together. Half of it is pointers and limbs of
 * structs, which grow with the word. */
#define TLS_IDENTITY_ARENA_BYTES (16u * 1024 + 2048 * sizeof(void *))

static _Alignas(16) unsigned char identity_memory[TLS_IDENTITY_ARENA_BYTES];
static struct arena identity;
static struct tls_session *running;
static struct tls_session *sessions;
static bool ready;

void tls_enter(struct tls_session *t)
{
    running = t;
}

void tls_leave(void)
{
    running = NULL;
}

bool tls_ready(void)
{
    return ready;
}

struct arena *tls_identity_arena(void)
{
    return &identity;
}

const struct arena *tls_identity_memory(void)
{
    return &identity;
}

void tls_session_link(struct tls_session *t)
{
    t->next = sessions;
    sessions = t;
}

void tls_session_unlink(struct tls_session *t)
{
    struct tls_session **at = &sessions;
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
}

bool tls_settle(struct tls_session *t)
{
    tls_key_view_forget(&t->key);
    if (t->borrowed != 0)
        tls_verify_forget(t);
    arena_note_held(t->arena);
    if (t->borrowed == 0)
        return true;
    t->arena->failures++;
    t->io_rc = RC_NO_MEMORY;
    return false;
}

static void *platform_calloc(size_t count, size_t size)
{
    if (running == NULL)
        return arena_calloc(&identity, count, size);
    unsigned failures = running->arena->failures, lender_failures = identity.failures;
    void *p = arena_calloc(running->arena, count, size);
    if (p != NULL || !running->may_borrow)
        return p;
    p = arena_calloc(&identity, count, size);
    identity.failures = lender_failures;
    if (p != NULL) {
        running->arena->failures = failures;
        running->borrowed++;
    }
    return p;
}

static void platform_free(void *p)
{
    if (p == NULL)
        return;
    if (running != NULL && arena_owns(running->arena, p)) {
        arena_free(running->arena, p);
        return;
    }
    if (arena_owns(&identity, p)) {
        if (running != NULL && running->borrowed > 0)
            running->borrowed--;
        arena_free(&identity, p);
        return;
    }
    for (struct tls_session *t = sessions; t != NULL; t = t->next) {
        if (arena_owns(t->arena, p)) {
            arena_free(t->arena, p);
            return;
        }
    }
    __builtin_trap(); /* memory of nobody: our own mistake */
}

static mbedtls_time_t platform_time(mbedtls_time_t *out)
{
    mbedtls_time_t now = running != NULL ? running->now : 0;
    if (out != NULL)
        *out = now;
    return now;
}

struct tm *mbedtls_platform_gmtime_r(const mbedtls_time_t *tt, struct tm *tm_buf)
{
    struct civil_time c;
    civil_from_unix(*tt, &c);
    *tm_buf = (struct tm){ .tm_year = c.year - 1900,
                           .tm_mon = c.month - 1,
                           .tm_mday = c.day,
                           .tm_hour = c.hour,
                           .tm_min = c.minute,
                           .tm_sec = c.second,
                           .tm_wday = c.weekday };
    return tm_buf;
}

mbedtls_ms_time_t mbedtls_ms_time(void)
{
    return (mbedtls_ms_time_t)clock_ms();
}

int tls_rng(void *ctx, unsigned char *out, size_t len)
{
    (void)ctx;
    random_bytes(out, len);
    return 0;
}

psa_status_t mbedtls_psa_external_get_random(mbedtls_psa_external_random_context_t *context, uint8_t *output, size_t output_size,
                                             size_t *output_length)
{
    (void)context;
    if (!random_ready())
        return PSA_ERROR_INSUFFICIENT_ENTROPY;
    random_bytes(output, output_size);
    *output_length = output_size;
    return PSA_SUCCESS;
}

enum rc tls_init(void)
{
    if (ready)
        return RC_OK;
    if (!random_ready())
        return RC_UNSUPPORTED;
    arena_init(&identity, identity_memory, sizeof identity_memory);
    if (mbedtls_platform_set_calloc_free(platform_calloc, platform_free) != 0 || mbedtls_platform_set_time(platform_time) != 0)
        return RC_UNSUPPORTED;
    if (psa_crypto_init() != PSA_SUCCESS)
        return RC_NO_MEMORY;
    ready = true;
    return RC_OK;
}
