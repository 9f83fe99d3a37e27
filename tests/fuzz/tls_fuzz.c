/* A whole handshake on any bytes: the first byte says whether we are the server or the client, the second how many bytes come
 * at a time. Whatever they are, it ends, says why, and all memory is back. */
#include <string.h>

#include "hal/random.h"
#include "net/memory_stream.h"
#include "net/tls.h"
#include "tests/fuzz/demand.h"

static _Alignas(16) unsigned char memory[TLS_ARENA_BYTES];
static struct tls_credentials *credentials;

static struct tls_credentials *select_credentials(void *ctx, const char *sni)
{
    (void)ctx;
    demand(sni == NULL || domain_labels(span_of(sni)) > 0);
    tls_credentials_hold(credentials);
    return credentials;
}

static void set_up(void)
{
    static const char *const names[] = { "mx.example.test" };
    char key_text[1000], cert_text[2000], why_text[200];
    struct strbuf key = STRBUF(key_text), cert = STRBUF(cert_text), why = STRBUF(why_text);
    demand(random_init() == RC_OK && tls_init() == RC_OK);
    demand(x509_self_signed(names, 1, 1780272000, 30, &key, &cert) == RC_OK);
    demand(tls_credentials_load(strbuf_span(&cert), strbuf_span(&key), &credentials, &why) == RC_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stream s;
    struct memory_stream m = { 0 };
    struct arena arena;
    struct tls_facts facts;
    if (credentials == NULL)
        set_up();
    if (size < 2)
        return 0;
    arena_init(&arena, memory, sizeof memory);
    memory_stream_init(&s, &m, span_bytes(data + 2, size - 2), NULL);
    m.chunk = data[1];
    struct tls_params params = { .role = data[0] & 1 ? TLS_CLIENT : TLS_SERVER,
                                 .server_name = "mx.example.test",
                                 .select = select_credentials,
                                 .arena = &arena,
                                 .facts = &facts,
                                 .now = 1780272000 };
    enum rc rc = stream_starttls(&s, &params, deadline_never());
    demand(rc != RC_OK && facts.cause != TLS_CAUSE_NONE && facts.cause != TLS_CAUSE_INTERNAL);
    demand(memchr(facts.detail, '\0', sizeof facts.detail) != NULL);
    stream_close(&s, deadline_never());
    demand(arena.used_bytes == 0);
    return 0;
}
