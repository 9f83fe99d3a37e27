/* A certificate by our ACME client from a real authority, for tests/e2e/test_acme.py: the dialogue alone, without a box.
 *
 * usage: acme_issue IP PORT ROOTS DIRECTORY NAME... [--bind KID KEY] [--type CHALLENGE] [--profile P] [--key FILE]
 * All connections go to IP:PORT. For each challenge it prints "prepare TYPE IDENTIFIER TOKEN KEY-AUTHORIZATION" and waits for a line. It ends with
 * the chain, and one line of JSON: rc, why, problem, account, requests. The account's key is that of --key, or a new one. */
#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>

#include "hal/base/pem.h"
#include "hal/crypto/der_cert.h"
#include "hal/random.h"
#include "net/acme.h"
#include "net/tls.h"
#include "net/x509_key.h"
#include "tests/programs/program_board.h"
#include "tests/support/socket_stream.h"

#define ARENA_BYTES (64u * 1024)

static void die(const char *what)
{
    fprintf(stderr, "acme_issue: %s\n", what);
    exit(2);
}

static struct options {
    const char *ip, *directory, *type, *profile;
    uint16_t port;
    const char *names[X509_CSR_NAMES_MAX];
    unsigned count;
    struct acme_binding binding;
} options = { .type = "http-01", .profile = "" };

static char root_text[8192], account_key[2048];
static uint8_t root_der[3072];
static size_t root_len;

static void read_file(const char *path, char *memory, size_t cap)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        die(path);
    memory[fread(memory, 1, cap - 1, f)] = '\0';
    fclose(f);
}

static void read_options(char **argv)
{
    for (; *argv != NULL; argv++) {
        struct span option = span_of(*argv);
        if (span_is(option, "--bind")) {
            options.binding = (struct acme_binding){ span_of(argv[1]), span_of(argv[2]) };
            argv += 2;
        } else if (span_is(option, "--type")) {
            options.type = *++argv;
        } else if (span_is(option, "--profile")) {
            options.profile = *++argv;
        } else if (span_is(option, "--key")) {
            read_file(*++argv, account_key, sizeof account_key);
        } else if (options.count < X509_CSR_NAMES_MAX) {
            options.names[options.count++] = *argv;
        }
    }
}

static unsigned find_root(void *ctx, struct span issuer_dn, bool (*give)(void *give_ctx, struct span der), void *give_ctx)
{
    struct span der = span_bytes(root_der, root_len), dn;
    (void)ctx;
    if (x509_subject_dn(der, &dn) != RC_OK || !span_eq(dn, issuer_dn))
        return 0;
    (void)give(give_ctx, der);
    return 1;
}

static struct stream stream;
static struct socket_stream below;
static struct arena arena;
static struct tls_facts facts;
static struct tls_params tls;
static unsigned connections;

static enum rc connect_tls(void *ctx, const struct url *to, struct strbuf *why)
{
    static uint8_t memory[ARENA_BYTES] __attribute__((aligned(16)));
    static char host[DOMAIN_TEXT_MAX];
    static const struct tls_trust trust = { find_root, NULL };
    struct strbuf name = STRBUF(host);
    struct sockaddr_in peer = { .sin_family = AF_INET, .sin_port = htons(options.port) };
    (void)ctx;
    strbuf_add(&name, to->host);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (inet_pton(AF_INET, options.ip, &peer.sin_addr) != 1 || connect(fd, (struct sockaddr *)&peer, sizeof peer) != 0)
        return RC_REFUSED;
    connections++;
    socket_stream_init(&stream, &below, fd);
    arena_init(&arena, memory, sizeof memory);
    tls = (struct tls_params){
        .role = TLS_CLIENT, .server_name = host, .trust = &trust, .now = (int64_t)time(NULL), .arena = &arena, .facts = &facts
    };
    enum rc rc = stream_starttls(&stream, &tls, deadline_in_ms(10000));
    if (rc == RC_OK && facts.chain_valid && facts.name_matches)
        return RC_OK;
    strbuf_puts(why, tls_cause_text(facts.cause));
    stream_abort(&stream);
    return rc == RC_OK ? RC_TLS : rc;
}

static enum rc prepare(void *ctx, const struct acme_challenge *c)
{
    char line[16];
    (void)ctx;
    printf("prepare %s %s %s %s\n", c->type, c->identifier, c->token, c->key_authorization);
    fflush(stdout);
    return fgets(line, sizeof line, stdin) != NULL ? RC_OK : RC_CANCELLED;
}

static void done(void *ctx, const struct acme_challenge *c)
{
    (void)ctx;
    printf("done %s\n", c->token);
}

static struct acme acme;
static struct http_client http;
static char memory[ACME_MEMORY_LEAST + 1024], certificate_key[X509_KEY_PEM_MAX];
static struct span chain;

static enum rc issue(void)
{
    static char url[URL_TEXT_MAX];
    struct strbuf directory = STRBUF(url), key = STRBUF(certificate_key);
    const struct acme_solver solver = { options.type, prepare, done, NULL };
    if (url_canonical(span_of(options.directory), &directory) != RC_OK || x509_key_make(&key) != RC_OK)
        die("bad directory");
    const struct acme_wish wish = { .contact = SPAN("admin@office.example"),
                                    .binding = options.binding.kid.len ? &options.binding : NULL,
                                    .names = options.names,
                                    .count = options.count,
                                    .key = strbuf_span(&key),
                                    .profile = span_of(options.profile),
                                    .solvers = &solver,
                                    .solver_count = 1 };
    enum rc rc = acme_open(&acme, &http, strbuf_span(&directory), span_of(account_key), memory, sizeof memory);
    return rc == RC_OK ? acme_obtain(&acme, &wish, &chain) : rc;
}

int main(int argc, char **argv)
{
    struct span pem = span_of(root_text);
    uint32_t port;
    signal(SIGPIPE, SIG_IGN);
    if (argc < 6 || !span_to_u32(span_of(argv[2]), &port))
        die("usage");
    options.ip = argv[1];
    options.port = (uint16_t)port;
    read_file(argv[3], root_text, sizeof root_text);
    pem = span_of(root_text);
    if (pem_next(&pem, "CERTIFICATE", root_der, sizeof root_der, &root_len) != RC_OK)
        die("no root");
    options.directory = argv[4];
    read_options(argv + 5);
    char made_memory[X509_KEY_PEM_MAX];
    struct strbuf made = STRBUF(made_memory);
    if (random_init() != RC_OK || tls_init() != RC_OK)
        die("no TLS");
    if (!account_key[0] && x509_key_make(&made) == RC_OK)
        memcpy(account_key, made.p, made.len + 1);
    http_client_init(&http, &stream, connect_tls, NULL, "acme_issue");
    enum rc rc = issue();
    http_client_close(&http);
    char line[1024];
    struct strbuf out = STRBUF(line);
    strbuf_printf(&out, "{\"rc\":\"%s\",\"problem\":\"%s\",\"connections\":%u,\"why\":", rc_name(rc), acme.problem, connections);
    strbuf_add_json(&out, span_of(rc == RC_OK ? "" : acme.why));
    strbuf_puts(&out, ",\"account\":");
    strbuf_add_json(&out, acme_account_url(&acme));
    printf("%.*s%s}\n", (int)chain.len, chain.p, line);
    return 0;
}
