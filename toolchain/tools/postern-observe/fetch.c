#include "toolchain/tools/postern-observe/fetch.h"

#include <ares.h>
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <curl/curl.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>

#include "hal/base/ipaddr.h"
#include "toolchain/tools/common/byte_buffer.h"

#define DNS_TIMEOUT_MS 3000
#define DNS_TRIES 3
#define ADDRESSES_MAX 8 /* of one policy host that are tried */
#define CONNECT_TIMEOUT_S 15L
#define POLL_MS 200
#define POLICY_HOST "mta-sts."

enum stage { IDLE, ASKING_RECORD, ASKING_ADDRESS, WAITING_TURN, TRANSFERRING, ASKING_MX, FINISHED };

struct job {
    struct fetcher *fetcher;
    enum stage stage;
    size_t index;
    const char *domain;              /* within host */
    char host[DOMAIN_TEXT_MAX + 16]; /* mta-sts.DOMAIN */
    char addresses[ADDRESSES_MAX * (IP_TEXT_MAX + 3)];
    char first_address[IP_TEXT_MAX];
    CURL *easy;
    struct curl_slist *resolve;
    char curl_error[CURL_ERROR_SIZE];
    char body[STS_POLICY_FILE_BYTES];
    size_t body_len;
    bool body_too_long;
    struct fetch_result result;
};

struct fetcher {
    const struct fetch_options *options;
    const struct fetch_work *work;
    ares_channel dns;
    CURLM *multi;
    struct curl_slist *connect_to;
    struct job *jobs;
    size_t next;
    unsigned active;
};

__attribute__((format(printf, 4, 5))) static void finish(struct job *j, enum fetch_outcome outcome, const char *step,
                                                         const char *format, ...)
{
    char text[FETCH_WORDS_MAX];
    struct strbuf b = STRBUF(text), words = STRBUF(j->result.words);
    va_list ap;
    va_start(ap, format);
    strbuf_vprintf(&b, format, ap);
    va_end(ap);
    strbuf_add_printable(&words, strbuf_span(&b), sizeof j->result.words - 1);
    j->result.outcome = outcome;
    j->result.step = step;
    j->stage = FINISHED;
}

/* --- the record --- */

static void ask_addresses(struct job *j);

static void finish_dns(struct job *j, const char *step, int status, const char *what)
{
    bool none = status == ARES_ENOTFOUND || status == ARES_ENODATA;
    if (none && j->stage == ASKING_RECORD)
        finish(j, FETCH_GONE, step, "%s: there is none", what);
    else if (none)
        finish(j, FETCH_BROKEN, step, "%s has no address", what);
    else if (status == ARES_EBADNAME)
        finish(j, FETCH_BROKEN, step, "%s: the name is too long for the DNS", what);
    else
        finish(j, FETCH_TEMPORARY, step, "%s: %s", what, ares_strerror(status));
}

static void add_records(struct sts_records *records, const struct ares_txt_ext *reply)
{
    while (reply != NULL) {
        struct byte_buffer text = { NULL, 0, 0 };
        do {
            byte_buffer_add(&text, reply->txt, reply->length);
            reply = reply->next;
        } while (reply != NULL && !reply->record_start);
        sts_records_add(records, byte_buffer_span(&text));
        byte_buffer_free(&text);
    }
}

static void on_record(void *ctx, int status, int timeouts, unsigned char *answer, int len)
{
    struct job *j = ctx;
    struct ares_txt_ext *reply = NULL;
    struct sts_records records = { 0 };
    (void)timeouts;
    if (status == ARES_SUCCESS)
        status = ares_parse_txt_reply_ext(answer, len, &reply);
    if (status != ARES_SUCCESS) {
        finish_dns(j, "record", status, "TXT record of _mta-sts");
        return;
    }
    add_records(&records, reply);
    ares_free_data(reply);
    enum rc rc = sts_records_result(&records);
    memcpy(j->result.id, records.id, sizeof j->result.id);
    if (rc == RC_OK)
        ask_addresses(j);
    else if (rc == RC_NOT_FOUND)
        finish(j, FETCH_GONE, "record", "TXT record of _mta-sts: none begins with v=STSv1;");
    else if (records.found > 1)
        finish(j, FETCH_BROKEN, "record", "%u TXT records of _mta-sts begin with v=STSv1; only one may", records.found);
    else
        finish(j, FETCH_BROKEN, "record", "the TXT record of _mta-sts breaks the grammar of RFC 8461 section 3.1");
}

/* --- the addresses of the policy host --- */

/* A stranger's policy host must not lead into our own network. */
static bool is_local(const struct ip_addr_any *a)
{
    static const char *const nets[] = { "0.0.0.0/8",      "10.0.0.0/8",    "100.64.0.0/10",  "127.0.0.0/8",
                                        "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/3",
                                        "::/127",         "fc00::/7",      "fe80::/10",      "ff00::/8" };
    for (size_t i = 0; i < sizeof nets / sizeof nets[0]; i++) {
        struct ip_net net;
        if (ip_net_parse(span_of(nets[i]), &net) == RC_OK && ip_net_contains(&net, a))
            return true;
    }
    return false;
}

static void add_address(struct job *j, struct strbuf *all, const struct sockaddr *address)
{
    char text[IP_TEXT_MAX];
    struct ip_addr_any ip;
    bool six = address->sa_family == AF_INET6;
    const void *bytes = six ? (const void *)&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr
                            : (const void *)&((const struct sockaddr_in *)(const void *)address)->sin_addr;
    if (inet_ntop(address->sa_family, bytes, text, sizeof text) == NULL || ip_parse(span_of(text), &ip) != RC_OK)
        return;
    if (!j->fetcher->options->local && is_local(&ip))
        return;
    if (all->len == 0)
        memcpy(j->first_address, text, sizeof text);
    strbuf_printf(all, "%s%s%s%s", all->len > 0 ? "," : "", six ? "[" : "", text, six ? "]" : "");
}

static void on_addresses(void *ctx, int status, int timeouts, struct ares_addrinfo *found)
{
    struct job *j = ctx;
    struct strbuf all = STRBUF(j->addresses);
    unsigned count = 0;
    (void)timeouts;
    if (status != ARES_SUCCESS) {
        finish_dns(j, "address", status, j->host);
        return;
    }
    for (struct ares_addrinfo_node *n = found->nodes; n != NULL && count < ADDRESSES_MAX; n = n->ai_next, count++)
        add_address(j, &all, n->ai_addr);
    ares_freeaddrinfo(found);
    if (all.len == 0)
        finish(j, FETCH_BROKEN, "address", "%s has %s", j->host, count > 0 ? "local addresses only" : "no address");
    else
        j->stage = WAITING_TURN;
}

static void ask_addresses(struct job *j)
{
    const struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC, .ai_flags = ARES_AI_NOSORT };
    j->stage = ASKING_ADDRESS;
    ares_getaddrinfo(j->fetcher->dns, j->host, NULL, &hints, on_addresses, j);
}

/* --- the MX hosts, when the policy is to be enforced --- */

static bool allows(const struct job *j, const char *mx_host)
{
    char memory[DOMAIN_TEXT_MAX];
    struct strbuf host = STRBUF(memory);
    return domain_canonical(span_of(mx_host), &host) == RC_OK && sts_policy_allows(&j->result.policy, strbuf_span(&host));
}

static void on_mx(void *ctx, int status, int timeouts, unsigned char *answer, int len)
{
    struct job *j = ctx;
    struct ares_mx_reply *reply = NULL;
    (void)timeouts;
    if (status == ARES_SUCCESS)
        status = ares_parse_mx_reply(answer, len, &reply);
    bool none = status == ARES_ENODATA || status == ARES_ENOTFOUND; /* then the domain's own address takes its mail */
    bool good = none && allows(j, j->domain);
    for (const struct ares_mx_reply *mx = reply; mx != NULL && !good; mx = mx->next)
        good = allows(j, mx->host);
    if (good)
        finish(j, FETCH_VALID, NULL, "%s", "");
    else if (status == ARES_SUCCESS)
        finish(j, FETCH_BROKEN, "MX", "%s%s is not one of the policy's hosts, so enforced it would stop all mail",
               reply->host[0] != '\0' ? reply->host : "the null MX", reply->next != NULL ? ", like the other MX hosts," : "");
    else if (none)
        finish(j, FETCH_BROKEN, "MX", "there is no MX record, and the domain itself is not one of the policy's hosts");
    else
        finish(j, FETCH_TEMPORARY, "MX", "MX record: %s", ares_strerror(status));
    ares_free_data(reply);
}

static void ask_mx(struct job *j)
{
    j->stage = ASKING_MX;
    ares_query(j->fetcher->dns, j->domain, ns_c_in, ns_t_mx, on_mx, j);
}

/* --- the file --- */

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
    struct job *j = ctx;
    size_t len = size * count;
    if (len > sizeof j->body - j->body_len) {
        j->body_too_long = true;
        return 0;
    }
    memcpy(j->body + j->body_len, data, len);
    j->body_len += len;
    return len;
}

static bool set_transfer(struct job *j)
{
    const struct fetch_options *o = j->fetcher->options;
    char url[sizeof j->host + 64], resolve[sizeof j->host + sizeof j->addresses + 16];
    snprintf(url, sizeof url, "https://%s/.well-known/mta-sts.txt", j->host);
    snprintf(resolve, sizeof resolve, "%s:%u:%s", j->host, o->port, j->addresses);
    j->easy = curl_easy_init();
    j->resolve = curl_slist_append(NULL, resolve);
    if (j->easy == NULL || j->resolve == NULL)
        return false;
    CURL *e = j->easy;
    bool ok = curl_easy_setopt(e, CURLOPT_URL, url) == CURLE_OK && curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK;
    ok = curl_easy_setopt(e, CURLOPT_RESOLVE, j->resolve) == CURLE_OK && ok;
    ok = curl_easy_setopt(e, CURLOPT_CONNECT_TO, j->fetcher->connect_to) == CURLE_OK && ok;
    ok = curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK && ok; /* RFC 8461 section 3.3 forbids it */
    ok = curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK && ok;
    ok = curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK && ok;
    ok = curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK && ok;
    ok = (o->cacert == NULL || curl_easy_setopt(e, CURLOPT_CAINFO, o->cacert) == CURLE_OK) && ok;
    ok = (o->cacert == NULL || curl_easy_setopt(e, CURLOPT_CAPATH, NULL) == CURLE_OK) && ok;
    ok = curl_easy_setopt(e, CURLOPT_PROXY, "") == CURLE_OK && ok; /* whatever the environment says */
    ok = curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK && ok;
    ok = curl_easy_setopt(e, CURLOPT_FORBID_REUSE, 1L) == CURLE_OK && ok;
    ok = curl_easy_setopt(e, CURLOPT_TIMEOUT, (long)o->timeout_s) == CURLE_OK && ok;
    ok = curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S) == CURLE_OK && ok;
    ok = curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) == CURLE_OK && ok;
    ok = curl_easy_setopt(e, CURLOPT_USERAGENT, "postern-observe") == CURLE_OK && ok;
    ok = curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK && ok;
    ok = curl_easy_setopt(e, CURLOPT_WRITEDATA, j) == CURLE_OK && ok;
    ok = curl_easy_setopt(e, CURLOPT_ERRORBUFFER, j->curl_error) == CURLE_OK && ok;
    ok = curl_easy_setopt(e, CURLOPT_PRIVATE, j) == CURLE_OK && ok;
    return ok;
}

static void end_transfer(struct job *j)
{
    if (j->easy != NULL) {
        (void)curl_multi_remove_handle(j->fetcher->multi, j->easy);
        curl_easy_cleanup(j->easy);
    }
    curl_slist_free_all(j->resolve);
    j->easy = NULL;
    j->resolve = NULL;
}

static void start_transfer(struct job *j)
{
    j->stage = TRANSFERRING;
    if (!set_transfer(j) || curl_multi_add_handle(j->fetcher->multi, j->easy) != CURLM_OK) {
        end_transfer(j);
        finish(j, FETCH_TEMPORARY, "connection", "libcurl has no room for one more");
    }
}

static void judge_file(struct job *j)
{
    long code = 0;
    char *type = NULL;
    const char *why;
    (void)curl_easy_getinfo(j->easy, CURLINFO_RESPONSE_CODE, &code);
    (void)curl_easy_getinfo(j->easy, CURLINFO_CONTENT_TYPE, &type);
    if (code >= 300 && code < 400)
        finish(j, FETCH_BROKEN, "HTTP", "answered with redirect %ld, which must not be followed", code);
    else if (code != 200)
        finish(j, code >= 500 || code == 429 ? FETCH_TEMPORARY : FETCH_BROKEN, "HTTP", "answered with %ld", code);
    else if (!sts_media_type(span_of(type)))
        finish(j, FETCH_BROKEN, "HTTP", "Content-Type is %.60s, not text/plain", type != NULL ? type : "missing");
    else if (sts_policy_parse(span_bytes(j->body, j->body_len), &j->result.policy, &why) != RC_OK)
        finish(j, FETCH_BROKEN, "policy", "%s", why);
    else if (j->result.policy.mode == STS_ENFORCE)
        ask_mx(j);
    else
        finish(j, FETCH_VALID, NULL, "%s", "");
}

static void judge_failure(struct job *j, CURLcode code)
{
    const char *words = j->curl_error[0] != '\0' ? j->curl_error : curl_easy_strerror(code);
    long unverified = 0; /* set when the certificate does not hold, whatever the code says */
    (void)curl_easy_getinfo(j->easy, CURLINFO_SSL_VERIFYRESULT, &unverified);
    if (j->body_too_long)
        finish(j, FETCH_BROKEN, "HTTP", "the file is longer than %d bytes", STS_POLICY_FILE_BYTES);
    else if (code == CURLE_PEER_FAILED_VERIFICATION || (unverified != 0 && code == CURLE_SSL_CONNECT_ERROR))
        finish(j, FETCH_BROKEN, "TLS", "%s", words);
    else if (code == CURLE_SSL_CONNECT_ERROR || code == CURLE_SSL_CIPHER)
        finish(j, FETCH_TEMPORARY, "TLS", "%s", words);
    else
        finish(j, FETCH_TEMPORARY, code == CURLE_COULDNT_CONNECT ? "connection" : "HTTP", "%s", words);
}

static void on_transfer(struct job *j, CURLcode code)
{
    if (code == CURLE_OK)
        judge_file(j);
    else
        judge_failure(j, code);
    end_transfer(j);
}

/* --- many at once --- */

static void start_job(struct fetcher *f, struct job *j)
{
    char name[sizeof j->host];
    const char *domain = f->work->domain(f->work->ctx, f->next);
    memset(j, 0, sizeof *j);
    j->fetcher = f;
    j->index = f->next++;
    j->stage = ASKING_RECORD;
    f->active++;
    snprintf(name, sizeof name, "_mta-sts.%s", domain);
    snprintf(j->host, sizeof j->host, POLICY_HOST "%s", domain);
    j->domain = j->host + strlen(POLICY_HOST);
    ares_query(f->dns, name, ns_c_in, ns_t_txt, on_record, j);
}

static unsigned transfers_to(const struct fetcher *f, const char *address)
{
    unsigned count = 0;
    for (unsigned i = 0; i < f->options->parallel; i++)
        count += f->jobs[i].stage == TRANSFERRING && strcmp(f->jobs[i].first_address, address) == 0;
    return count;
}

/* Each slot goes one step further where it can without waiting. */
static void push_jobs(struct fetcher *f)
{
    for (unsigned i = 0; i < f->options->parallel; i++) {
        struct job *j = &f->jobs[i];
        if (j->stage == WAITING_TURN && transfers_to(f, j->first_address) < f->options->per_address)
            start_transfer(j);
        if (j->stage == FINISHED) {
            f->work->done(f->work->ctx, j->index, &j->result);
            j->stage = IDLE;
            f->active--;
        }
        if (j->stage == IDLE && f->next < f->work->count)
            start_job(f, j);
    }
}

static void wait_and_process(struct fetcher *f)
{
    ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
    struct curl_waitfd waits[ARES_GETSOCK_MAXNUM];
    unsigned count = 0;
    int running, left;
    /* Bit i: readable, bit ARES_GETSOCK_MAXNUM + i: writable; its own macros shift into the sign. */
    unsigned mask = (unsigned)ares_getsock(f->dns, sockets, ARES_GETSOCK_MAXNUM);
    for (int i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
        bool readable = mask >> i & 1, writable = mask >> (ARES_GETSOCK_MAXNUM + i) & 1;
        if (readable || writable)
            waits[count++] = (struct curl_waitfd){
                .fd = sockets[i], .events = (short)((readable ? CURL_WAIT_POLLIN : 0) | (writable ? CURL_WAIT_POLLOUT : 0))
            };
    }
    (void)curl_multi_poll(f->multi, waits, count, POLL_MS, NULL);
    for (unsigned i = 0; i < count; i++) {
        ares_socket_t fd = waits[i].fd;
        ares_process_fd(f->dns, waits[i].revents & CURL_WAIT_POLLIN ? fd : ARES_SOCKET_BAD,
                        waits[i].revents & CURL_WAIT_POLLOUT ? fd : ARES_SOCKET_BAD);
    }
    ares_process_fd(f->dns, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* timeouts */
    (void)curl_multi_perform(f->multi, &running);
    CURLMsg *message;
    while ((message = curl_multi_info_read(f->multi, &left)) != NULL) {
        struct job *j = NULL;
        CURLcode code = message->data.result;
        if (message->msg == CURLMSG_DONE && curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &j) == CURLE_OK && j != NULL)
            on_transfer(j, code);
    }
}

static bool complain(const char *what, const char *why)
{
    fprintf(stderr, "error: %s: %s\n", what, why);
    return false;
}

static bool start(struct fetcher *f)
{
    const struct fetch_options *o = f->options;
    static char dns_only[] = "b";
    struct ares_options options = { .flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS | ARES_FLAG_NOCHECKRESP,
                                    .timeout = DNS_TIMEOUT_MS,
                                    .tries = DNS_TRIES,
                                    .lookups = dns_only };
    char port[32];
    int status = ares_init_options(&f->dns, &options, ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS);
    if (status != ARES_SUCCESS) {
        f->dns = NULL;
        return complain("resolver", ares_strerror(status));
    }
    if (o->resolver != NULL && (status = ares_set_servers_ports_csv(f->dns, o->resolver)) != ARES_SUCCESS)
        return complain(o->resolver, ares_strerror(status));
    FILE *roots = o->cacert != NULL ? fopen(o->cacert, "rb") : NULL;
    if (o->cacert != NULL && roots == NULL)
        return complain(o->cacert, "cannot be read");
    if (roots != NULL)
        fclose(roots);
    snprintf(port, sizeof port, ":::%u", o->port); /* any host and port: the same host, that port */
    f->multi = curl_multi_init();
    f->connect_to = curl_slist_append(NULL, port);
    f->jobs = tool_alloc(o->parallel, sizeof *f->jobs);
    return f->multi != NULL && f->connect_to != NULL ? true : complain("libcurl", "cannot begin");
}

bool fetch_all(const struct fetch_options *o, const struct fetch_work *work)
{
    struct fetcher f = { .options = o, .work = work };
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
        return complain("libcurl or c-ares", "cannot begin");
    bool good = start(&f);
    if (good) {
        do {
            push_jobs(&f);
            if (f.active > 0)
                wait_and_process(&f);
        } while (f.active > 0 || f.next < work->count);
    }
    if (f.dns != NULL)
        ares_destroy(f.dns);
    curl_slist_free_all(f.connect_to);
    if (f.multi != NULL)
        (void)curl_multi_cleanup(f.multi);
    free(f.jobs);
    ares_library_cleanup();
    curl_global_cleanup();
    return good;
}
