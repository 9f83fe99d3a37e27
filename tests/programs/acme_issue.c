/* Our ACME client alone, without a box, against an authority, for tests/e2e/test_acme*.py.
 *
 * usage: acme_issue IP PORT ROOTS DIRECTORY [NAME...] [--type CHALLENGE]... [--key FILE] [--certificate-key FILE] [--account URL] [--order URL]
 *   [--bind KID KEY] [--profile P] [--replaces ID] [--issuer CN] [--tries N] [--hurry N] [--do ACTION ARGUMENT]
 * All connections go to IP:PORT. For each challenge it prints "prepare TYPE IDENTIFIER TOKEN PROOF" (or, for the DNS, "prepare TYPE
 * LABEL.IDENTIFIER - RECORD") and waits for a line. It ends with the chain; each try ends with one line of JSON. Keys not given are made. A further try goes on with the account and
 * order of the one before, as a box would. --hurry: its clock runs so many times faster. Actions in the place of an issue: id FILE, info ID,
 * revoke FILE, revoke-by-key FILE, change-key FILE, deactivate -, find -. */
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

#define TYPES_MAX 4

static struct options {
    const char *ip, *directory, *action, *argument, *tries;
    uint16_t port;
    const char *names[X509_CSR_NAMES_MAX], *types[TYPES_MAX];
    unsigned count, type_count;
    struct acme_binding binding;
    struct span profile, replaces, issuer, account, order;
} options = { .tries = "1" };

static char root_text[8192], account_key[2048], certificate_key[2048], file_text[16384], stored[2][ACME_URL_MAX + 1];
static uint8_t root_der[3072];
static size_t root_len;

static void read_file(const char *path, char *to, size_t cap)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        die(path);
    to[fread(to, 1, cap - 1, f)] = '\0';
    fclose(f);
}

static unsigned number_of(const char *text)
{
    uint32_t n;
    if (!span_to_u32(span_of(text), &n))
        die("no number");
    return n;
}

/* Options with one argument that is kept as it is. */
static bool read_text(const char *option, const char *value)
{
    const struct {
        const char *name;
        struct span *out;
    } texts[] = { { "--profile", &options.profile },
                  { "--replaces", &options.replaces },
                  { "--issuer", &options.issuer },
                  { "--account", &options.account },
                  { "--order", &options.order } };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (span_is(span_of(option), texts[i].name)) {
            *texts[i].out = span_of(value);
            return true;
        }
    return false;
}

static void read_options(char **argv)
{
    for (; *argv != NULL; argv++) {
        struct span option = span_of(*argv);
        if (!span_starts(option, "--")) {
            options.names[options.count++ % X509_CSR_NAMES_MAX] = *argv;
            continue;
        }
        const char *value = *++argv;
        if (span_is(option, "--bind"))
            options.binding = (struct acme_binding){ span_of(value), span_of(*++argv) };
        else if (span_is(option, "--type"))
            options.types[options.type_count++ % TYPES_MAX] = value;
        else if (span_is(option, "--key"))
            read_file(value, account_key, sizeof account_key);
        else if (span_is(option, "--certificate-key"))
            read_file(value, certificate_key, sizeof certificate_key);
        else if (span_is(option, "--tries"))
            options.tries = value;
        else if (span_is(option, "--hurry"))
            clock_speed = number_of(value);
        else if (span_is(option, "--do")) {
            options.action = value;
            options.argument = *++argv;
        } else if (!read_text(option.p, value))
            die(option.p);
    }
    if (!options.type_count)
        options.types[options.type_count++] = "http-01";
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
    enum rc rc = stream_starttls(&stream, &tls, deadline_in_ms(100000));
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
    if (c->record_label != NULL)
        printf("prepare %s %s.%s - %s\n", c->type, c->record_label, c->identifier, c->record);
    else
        printf("prepare %s %s %s %s\n", c->type, c->identifier, c->token, c->key_authorization);
    fflush(stdout);
    return fgets(line, sizeof line, stdin) != NULL ? RC_OK : RC_CANCELLED;
}

static void done(void *ctx, const struct acme_challenge *c)
{
    (void)ctx;
    printf("done %s\n", c->type);
}

static struct acme acme;
static struct http_client http;
static char memory[ACME_MEMORY_LEAST];
static struct acme_renewal renewal;

static enum rc open_directory(void)
{
    static char url[URL_TEXT_MAX];
    struct strbuf directory = STRBUF(url);
    if (url_canonical(span_of(options.directory), &directory) != RC_OK)
        die("bad directory");
    return acme_open(&acme, &http, strbuf_span(&directory), span_of(account_key), memory, sizeof memory);
}

static enum rc issue(struct span *chain)
{
    struct acme_solver solvers[TYPES_MAX];
    for (unsigned i = 0; i < options.type_count; i++)
        solvers[i] = (struct acme_solver){ options.types[i], prepare, done, NULL };
    const struct acme_wish wish = { .account = options.account,
                                    .order = options.order,
                                    .contact = SPAN("admin@office.example"),
                                    .binding = options.binding.kid.len ? &options.binding : NULL,
                                    .names = options.names,
                                    .count = options.count,
                                    .key = span_of(certificate_key),
                                    .profile = options.profile,
                                    .replaces = options.replaces,
                                    .issuer = options.issuer,
                                    .solvers = solvers,
                                    .solver_count = options.type_count };
    enum rc rc = open_directory();
    return rc == RC_OK ? acme_obtain(&acme, &wish, chain) : rc;
}

static enum rc show_id(void)
{
    char text[ACME_ID_MAX];
    struct strbuf id = STRBUF(text);
    struct span pem = span_of(file_text);
    static uint8_t der[4096];
    size_t len;
    enum rc rc = pem_next(&pem, "CERTIFICATE", der, sizeof der, &len);
    if (rc == RC_OK)
        rc = acme_renewal_id(span_bytes(der, len), &id);
    printf("%s\n", text);
    return rc;
}

static enum rc act(void)
{
    struct span action = span_of(options.action), file = span_of(file_text);
    if (span_is(action, "info"))
        return acme_renewal_info(&acme, span_of(options.argument), &renewal);
    if (span_is(action, "revoke-by-key"))
        return acme_revoke(&acme, file, 1, span_of(certificate_key));
    enum rc rc = acme_account(&acme, SPAN(""), NULL, true);
    if (rc != RC_OK || span_is(action, "find"))
        return rc;
    return span_is(action, "deactivate")   ? acme_deactivate(&acme)
           : span_is(action, "change-key") ? acme_change_key(&acme, file)
           : span_is(action, "revoke")     ? acme_revoke(&acme, file, 1, SPAN(""))
                                           : RC_UNSUPPORTED;
}

static void make_key(char *text)
{
    char made_memory[X509_KEY_PEM_MAX];
    struct strbuf made = STRBUF(made_memory);
    if (!text[0] && x509_key_make(&made) == RC_OK)
        memcpy(text, made.p, made.len + 1);
}

static void show_verdict(enum rc rc)
{
    char line[4096];
    struct strbuf out = STRBUF(line);
    strbuf_printf(&out,
                  "{\"rc\":\"%s\",\"problem\":\"%s\",\"step\":\"%s\",\"connections\":%u,\"requests\":%u,\"dropped\":%u,\"why\":",
                  rc_name(rc), acme.problem, acme.step, connections, acme.requests, acme.dropped);
    strbuf_add_json(&out, span_of(rc == RC_OK ? "" : acme.why));
    strbuf_puts(&out, ",\"account\":");
    strbuf_add_json(&out, acme_account_url(&acme));
    strbuf_puts(&out, ",\"order\":");
    strbuf_add_json(&out, acme_order_url(&acme));
    printf("%s,\"retry_after\":%lld,\"start\":%lld,\"end\":%lld,\"again\":%u,\"explanation\":\"%s\"}\n", line,
           (long long)acme.retry_after_s, (long long)renewal.start, (long long)renewal.end, renewal.again_s, renewal.explanation);
    fflush(stdout);
}

static struct span keep(char to[ACME_URL_MAX + 1], struct span url)
{
    memcpy(to, url.p, url.len);
    return (struct span){ to, url.len };
}

/* One dialogue over connections of its own. */
static bool try_once(void)
{
    struct span chain = { "", 0 };
    http_client_init(&http, &stream, connect_tls, NULL, "acme_issue");
    enum rc rc = options.action == NULL ? issue(&chain) : open_directory();
    if (options.action != NULL && rc == RC_OK)
        rc = act();
    http_client_close(&http);
    printf("%.*s", (int)chain.len, chain.p);
    show_verdict(rc);
    if (!acme.count) /* it ended at the directory */
        return false;
    options.account = keep(stored[0], acme_account_url(&acme));
    options.order = keep(stored[1], acme_order_url(&acme));
    return rc == RC_OK;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc < 6)
        die("usage");
    options.ip = argv[1];
    options.port = (uint16_t)number_of(argv[2]);
    read_file(argv[3], root_text, sizeof root_text);
    struct span pem = span_of(root_text);
    if (pem_next(&pem, "CERTIFICATE", root_der, sizeof root_der, &root_len) != RC_OK)
        die("no root");
    options.directory = argv[4];
    read_options(argv + 5);
    if (random_init() != RC_OK || tls_init() != RC_OK)
        die("no TLS");
    make_key(account_key);
    make_key(certificate_key);
    if (options.action != NULL && options.argument[0] == '/')
        read_file(options.argument, file_text, sizeof file_text);
    if (options.action != NULL && span_is(span_of(options.action), "id"))
        return show_id() == RC_OK ? 0 : 1;
    for (unsigned n = number_of(options.tries); n > 0 && !try_once(); n--)
        ;
    return 0;
}
