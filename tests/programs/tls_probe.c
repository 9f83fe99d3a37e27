/* Our TLS on a real socket of 127.0.0.1, for tests/e2e/test_tls_peers.py: one session, what it learnt as one line of JSON.
 *
 * usage: tls_probe client PORT [OPTION...]     connects, shakes hands, sends a line, prints facts and the line that comes back
 *        tls_probe server CHAIN KEY [OPTION...] prints "port N", takes one connection, answers each line reversed
 *   --name HOST   client: SNI and name to check        --roots FILE  client: PEM, may be given several times
 *   --now UNIX    wall clock, 0 for unknown            --tls13       nothing older
 *   --arena BYTES of the session                       --write-max N bytes in one send
 *   --timeout MS  of the handshake                     --flood N     sends N more bytes of lines of 1000 */
#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>

#include "hal/base/pem.h"
#include "hal/crypto/der_cert.h"
#include "hal/random.h"
#include "net/tls_session.h"
#include "tests/programs/program_board.h"
#include "tests/support/socket_stream.h"

#define ROOTS_MAX 256
#define ROOT_BYTES 4096
#define ARENA_MAX (128u * 1024)
#define LINE_MAX_BYTES 4000

static void die(const char *what)
{
    fprintf(stderr, "tls_probe: %s\n", what);
    exit(2);
}

/* --- options */

static struct options {
    const char *name;
    int64_t now;
    bool tls13;
    size_t arena_bytes, write_max, flood;
    uint64_t timeout_ms;
} options = { .arena_bytes = TLS_ARENA_BYTES, .timeout_ms = 10000 };

static struct root {
    uint8_t der[ROOT_BYTES];
    size_t len;
} roots[ROOTS_MAX];
static unsigned root_count;

static char file_text[512 * 1024];

static struct span read_file(const char *path, char *memory, size_t cap)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        die(path);
    size_t n = fread(memory, 1, cap, f);
    fclose(f);
    return span_bytes(memory, n);
}

static void add_roots(const char *path)
{
    struct span pem = read_file(path, file_text, sizeof file_text);
    while (root_count < ROOTS_MAX &&
           pem_next(&pem, "CERTIFICATE", roots[root_count].der, ROOT_BYTES, &roots[root_count].len) == RC_OK)
        root_count++;
}

static uint64_t number(const char *text)
{
    uint64_t n;
    if (text == NULL || !span_to_u64(span_of(text), &n))
        die("a number is missing");
    return n;
}

static void read_options(char **argv)
{
    for (; *argv != NULL; argv++) {
        struct span option = span_of(*argv);
        if (span_is(option, "--tls13")) {
            options.tls13 = true;
            continue;
        }
        const char *value = *++argv;
        if (value == NULL)
            die("an option has no value");
        if (span_is(option, "--name"))
            options.name = value;
        else if (span_is(option, "--roots"))
            add_roots(value);
        else if (span_is(option, "--now"))
            options.now = (int64_t)number(value);
        else if (span_is(option, "--arena"))
            options.arena_bytes = number(value);
        else if (span_is(option, "--write-max"))
            options.write_max = number(value);
        else if (span_is(option, "--timeout"))
            options.timeout_ms = number(value);
        else if (span_is(option, "--flood"))
            options.flood = number(value);
        else
            die("unknown option");
    }
}

/* --- what TLS asks */

static unsigned find_root(void *ctx, struct span issuer_dn, bool (*give)(void *give_ctx, struct span der), void *give_ctx)
{
    (void)ctx;
    unsigned given = 0;
    for (unsigned i = 0; i < root_count; i++) {
        struct span der = span_bytes(roots[i].der, roots[i].len), dn;
        if (x509_subject_dn(der, &dn) != RC_OK || !span_eq(dn, issuer_dn))
            continue;
        given++;
        if (!give(give_ctx, der))
            break;
    }
    return given;
}

static struct tls_credentials *credentials;

static struct tls_credentials *select_credentials(void *ctx, const char *sni)
{
    (void)ctx;
    (void)sni;
    tls_credentials_hold(credentials);
    return credentials;
}

static void load_credentials(const char *chain_path, const char *key_path)
{
    static char key_text[TLS_PEM_MAX];
    char why_text[200];
    struct strbuf why = STRBUF(why_text);
    struct span chain = read_file(chain_path, file_text, TLS_PEM_MAX);
    if (tls_credentials_load(chain, read_file(key_path, key_text, sizeof key_text), &credentials, &why) != RC_OK)
        die(why_text);
}

/* --- the conversation */

static struct stream stream;
static struct socket_stream below;
static struct tls_facts facts;
static struct arena arena;

static struct deadline soon(void)
{
    return deadline_in_ms(10000);
}

static void print_facts(enum rc rc)
{
    char text[2048];
    struct strbuf out = STRBUF(text);
    strbuf_printf(&out, "{\"rc\":\"%s\",\"established\":%s,\"chain_valid\":%s,\"name_matches\":%s,\"cause\":\"%s\",\"alert\":%u,",
                  rc_name(rc), facts.established ? "true" : "false", facts.chain_valid ? "true" : "false",
                  facts.name_matches ? "true" : "false", tls_cause_name(facts.cause), facts.alert);
    strbuf_printf(&out, "\"version\":\"%s\",\"suite\":\"%s\",\"key_bits\":%u,\"sni\":", facts.version, facts.suite, facts.key_bits);
    strbuf_add_json(&out, span_of(facts.sni));
    strbuf_puts(&out, ",\"detail\":");
    strbuf_add_json(&out, span_of(facts.detail));
    strbuf_puts(&out, ",\"names\":");
    strbuf_add_json(&out, span_of(facts.names));
    strbuf_printf(&out, ",\"peak_bytes\":%zu,\"kept_bytes\":%zu}", arena.peak_bytes, arena.used_bytes);
    printf("%s\n", text);
    fflush(stdout);
}

static void print_end(enum rc rc)
{
    printf("{\"end\":\"%s\",\"late\":\"%s\"}\n", rc_name(rc), tls_cause_name(tls_late_cause(&stream)));
    fflush(stdout);
}

static void send_flood(void)
{
    static char line[1000];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    for (size_t left = options.flood; left > 0;) {
        size_t n = left < sizeof line ? left : sizeof line;
        if (stream_write(&stream, span_bytes(line, n), soon()) != RC_OK)
            die("flood: write failed");
        left -= n;
    }
}

static void talk_as_client(void)
{
    char text[LINE_MAX_BYTES];
    struct strbuf line = STRBUF(text);
    bool bare;
    if (stream_write(&stream, SPAN("hello from postern\n"), soon()) != RC_OK)
        die("write failed");
    send_flood();
    enum rc rc = stream_read_line(&stream, &line, &bare, soon());
    if (rc == RC_OK)
        printf("%s\n", text);
    else
        print_end(rc);
}

static void talk_as_server(void)
{
    static char text[LINE_MAX_BYTES];
    struct strbuf line = STRBUF(text);
    bool bare;
    enum rc rc;
    while ((rc = stream_read_line(&stream, &line, &bare, soon())) == RC_OK) {
        for (size_t i = 0; i < line.len / 2; i++) {
            char c = text[i];
            text[i] = text[line.len - 1 - i];
            text[line.len - 1 - i] = c;
        }
        strbuf_putc(&line, '\n');
        if (stream_write(&stream, strbuf_span(&line), soon()) != RC_OK)
            break;
    }
    print_end(rc);
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        die("cannot connect");
    return fd;
}

static int accept_one(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 1) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0)
        die("cannot listen");
    printf("port %u\n", ntohs(at.sin_port));
    fflush(stdout);
    return accept(fd, NULL, NULL);
}

int main(int argc, char **argv)
{
    static _Alignas(16) unsigned char memory[ARENA_MAX];
    static const struct tls_trust trust = { find_root, NULL };
    if (argc < 3)
        die("usage: see the top of tests/programs/tls_probe.c");
    bool server = span_is(span_of(argv[1]), "server");
    if (server && argc < 4)
        die("server: CHAIN KEY");
    (void)signal(SIGPIPE, SIG_IGN);
    read_options(argv + (server ? 4 : 3));
    if (random_init() != RC_OK || tls_init() != RC_OK)
        die("no TLS");
    if (server)
        load_credentials(argv[2], argv[3]);
    arena_init(&arena, memory, options.arena_bytes);
    struct tls_params params = { .role = server ? TLS_SERVER : TLS_CLIENT,
                                 .server_name = options.name,
                                 .select = select_credentials,
                                 .trust = &trust,
                                 .now = options.now,
                                 .tls13_only = options.tls13,
                                 .arena = &arena,
                                 .facts = &facts };
    socket_stream_init(&stream, &below, server ? accept_one() : connect_to((uint16_t)number(argv[2])));
    below.write_max = options.write_max;
    enum rc rc = stream_starttls(&stream, &params, deadline_in_ms(options.timeout_ms));
    print_facts(rc);
    if (rc == RC_OK && server)
        talk_as_server();
    else if (rc == RC_OK)
        talk_as_client();
    stream_close(&stream, soon());
    return arena.used_bytes == 0 ? 0 : 3;
}
