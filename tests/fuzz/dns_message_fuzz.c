/* Any bytes as a response: opened, walked, and read as the answer to the question that they themselves carry. The first
 * byte chooses among the types that are read in ways of their own. */
#include <stdlib.h>
#include <string.h>

#include "hal/base/bytes.h"
#include "net/dns_answer.h"
#include "tests/fuzz/demand.h"

static void check_answer(const struct dns_answer *a)
{
    if (a->count > DNS_RECORDS_MAX || a->data_len > DNS_DATA_BYTES || a->ttl_s > DNS_TTL_MAX_S ||
        memchr(a->name, '\0', sizeof a->name) == NULL)
        abort();
    for (unsigned i = 0; i < a->count; i++) {
        struct ip_addr_any addr;
        if ((size_t)a->record[i].at + a->record[i].len > a->data_len)
            abort();
        (void)dns_record_addr(a, i, &addr);
    }
}

static void read_as(struct span message, struct span name, enum dns_type type)
{
    static struct dns_answer answer;
    struct dns_response response;
    bool incomplete;
    uint16_t id = get_be16((const uint8_t *)message.p);
    enum rc rc = dns_response_open(message, id, name, type, &response);
    if (rc == RC_OK && !response.truncated && dns_answer_read(&response, name, type, &answer, &incomplete) == RC_OK)
        check_answer(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum dns_type types[] = { DNS_A, DNS_AAAA, DNS_MX, DNS_TXT, DNS_TLSA, DNS_CNAME, DNS_PTR, DNS_NS, DNS_DS };
    char memory[DOMAIN_TEXT_MAX];
    struct strbuf name = STRBUF(memory);
    uint8_t copy[2048];
    size_t end;
    if (size < 1 + DNS_HEADER_BYTES || size > sizeof copy)
        return 0;
    enum dns_type type = types[data[0] % (sizeof types / sizeof *types)];
    /* Copied to the end of an array, so that the sanitizer sees the first byte beyond the message. */
    uint8_t *bytes = copy + sizeof copy - (size - 1);
    memcpy(bytes, data + 1, size - 1);
    struct span message = span_bytes(bytes, size - 1);
    if (dns_name_read(message, DNS_HEADER_BYTES, &name, &end) == RC_OK && end + 2 <= message.len) {
        put_be16(bytes + end, (uint16_t)type);
        read_as(message, strbuf_span(&name), type);
    }
    return 0;
}
