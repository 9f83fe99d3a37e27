/* Looks names up through the box's own network on a TAP device, for tests against real resolvers.
 *
 * usage: dns_lookup TAP ADDRESS/BITS RESOLVER[,RESOLVER...] TYPE NAME [TYPE NAME ...]
 *
 * Asks one question after another, prints a line of JSON for each, and one of counters at the end. */
#include <stdio.h>
#include <stdlib.h>

#include "boards/posix/posix.h"
#include "hal/board.h"
#include "hal/random.h"
#include "hal/task.h"
#include "net/dns.h"
#include "net/link.h"

#define LOOKUP_MS 20000

static char **questions;
static struct task task;
static _Alignas(16) uint8_t stack[64 * 1024];
static struct dns_answer answer;

static enum dns_type type_of(struct span text)
{
    static const struct {
        const char *name;
        enum dns_type type;
    } known[] = { { "A", DNS_A },       { "AAAA", DNS_AAAA }, { "MX", DNS_MX }, { "TXT", DNS_TXT },
                  { "TLSA", DNS_TLSA }, { "PTR", DNS_PTR },   { "NS", DNS_NS }, { "CNAME", DNS_CNAME } };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (span_is(text, known[i].name))
            return known[i].type;
    fprintf(stderr, "dns_lookup: no such type: %s\n", text.p);
    exit(2);
}

static void add_record(struct strbuf *line, unsigned index, enum dns_type type)
{
    struct span data = dns_record_data(&answer, index);
    struct ip_addr_any addr;
    strbuf_puts(line, index > 0 ? ", \"" : "\"");
    if (type == DNS_MX)
        strbuf_printf(line, "%u ", answer.record[index].preference);
    if ((type == DNS_A || type == DNS_AAAA) && dns_record_addr(&answer, index, &addr))
        ip_format(line, &addr);
    else if (type == DNS_TLSA)
        strbuf_add_hex(line, data);
    else
        strbuf_add(line, data);
    strbuf_putc(line, '"');
}

static void look_up(const char *type_name, const char *name)
{
    static const char *const outcomes[] = { "found", "nodata", "nxdomain" };
    static char memory[8192];
    struct strbuf line = STRBUF(memory);
    enum dns_type type = type_of(span_of(type_name));
    enum rc rc = dns_lookup(span_of(name), type, &answer, deadline_in_ms(LOOKUP_MS));
    strbuf_printf(&line, "{\"rc\": \"%s\", \"outcome\": \"%s\", \"ttl\": %u, \"truncated\": %s, \"name\": \"%s\", \"data\": [",
                  rc_name(rc), rc == RC_OK ? outcomes[answer.outcome] : "", (unsigned)answer.ttl_s,
                  answer.truncated ? "true" : "false", answer.name);
    for (unsigned i = 0; i < answer.count; i++)
        add_record(&line, i, type);
    printf("%s]}\n", memory);
}

static void ask_all(void *arg)
{
    struct dns_stats s;
    (void)arg;
    for (char **q = questions; q[0] != NULL && q[1] != NULL; q += 2)
        look_up(q[0], q[1]);
    dns_stats(&s);
    printf("{\"queries\": %llu, \"cache_hits\": %llu, \"timeouts\": %llu, \"tcp_fallbacks\": %llu, \"servfails\": %llu}\n",
           (unsigned long long)s.queries, (unsigned long long)s.cache_hits, (unsigned long long)s.timeouts,
           (unsigned long long)s.tcp_fallbacks, (unsigned long long)s.servfails);
}

static void must(enum rc rc, const char *what)
{
    if (rc == RC_OK)
        return;
    fprintf(stderr, "dns_lookup: %s: %s\n", what, rc_name(rc));
    exit(2);
}

static void configure(const char *address, const char *resolvers)
{
    static struct dns_params params;
    struct link_params link = { .hostname = "lookup" };
    struct span rest = span_of(resolvers), item;
    must(ip_net_parse(span_of(address), &link.address), "address");
    for (bool more = true; params.resolver_count < DNS_RESOLVERS_MAX && span_split(&rest, &more, ',', &item);)
        must(ip_endpoint_parse(item, 53, &params.resolver[params.resolver_count++]), "resolver");
    must(random_init(), "random");
    must(link_init(&link), "link");
    dns_configure(&params);
}

int main(int argc, char **argv)
{
    if (argc < 6) {
        fprintf(stderr, "usage: dns_lookup TAP ADDRESS/BITS RESOLVER[,RESOLVER...] TYPE NAME [TYPE NAME ...]\n");
        return 2;
    }
    posix_options.tap = posix_options.flash_path = argv[1]; /* the MAC follows from the latter */
    configure(argv[2], argv[3]);
    questions = argv + 4;
    task_start(&task, "lookup", stack, sizeof stack, ask_all, NULL);
    while (!task_done(&task)) {
        link_poll();
        if (!tasks_run())
            board_idle(deadline_earlier(tasks_next_deadline(), link_next_deadline()));
    }
    return 0;
}
