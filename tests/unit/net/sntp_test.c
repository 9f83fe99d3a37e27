/* net/sntp.c over a double of net/udp.h: which answers count, and the eras. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "hal/base/bytes.h"
#include "net/sntp.h"
#include "net/udp.h"

struct datagram {
    uint8_t bytes[64];
    size_t len;
    bool echo; /* carries the question's timestamp, as a real answer does */
};

static struct datagram script[4];
static unsigned script_len, script_pos;
static uint8_t question[48];
static size_t question_len;
static unsigned open_sockets;
static enum rc send_result;

enum rc udp_open(struct udp_socket *u, const struct ip_endpoint *peer, void *buf, size_t cap)
{
    *u = (struct udp_socket){ .peer = *peer, .buf = buf, .cap = cap };
    open_sockets++;
    return RC_OK;
}

enum rc udp_send(struct udp_socket *u, struct span datagram)
{
    (void)u;
    question_len = datagram.len;
    memcpy(question, datagram.p, datagram.len);
    return send_result;
}

enum rc udp_receive(struct udp_socket *u, size_t *len, struct deadline d)
{
    (void)d;
    if (script_pos == script_len)
        return RC_TIMEOUT;
    struct datagram *g = &script[script_pos++];
    if (g->echo)
        memcpy(g->bytes + 24, question + 40, 8);
    *len = g->len < u->cap ? g->len : u->cap;
    memcpy(u->buf, g->bytes, *len);
    return RC_OK;
}

void udp_close(struct udp_socket *u)
{
    (void)u;
    open_sockets--;
}

static struct datagram answer(uint8_t first, uint8_t stratum, uint32_t seconds)
{
    struct datagram g = { .bytes = { first, stratum }, .len = 48, .echo = true };
    put_be32(g.bytes + 40, seconds);
    put_be32(g.bytes + 44, 0x80000000u);
    return g;
}

static const struct ip_endpoint server = { { .family = IP_V4, .b = { 192, 0, 2, 1 } }, 123 };
static struct sntp_answer got;

static enum rc query(void)
{
    script_pos = 0;
    enum rc rc = sntp_query(&server, &got, deadline_in_ms(1000));
    assert_int_equal(open_sockets, 0);
    assert_int_equal(question_len, 48);
    assert_int_equal(question[0], 0x23);
    return rc;
}

static enum rc query_one(struct datagram g)
{
    script[0] = g;
    script_len = 1;
    return query();
}

static void both_eras(void **state)
{
    (void)state;
    assert_int_equal(query_one(answer(0x24, 2, 2208988800u)), RC_OK);
    assert_int_equal(got.unix_s, 0);
    assert_int_equal(got.stratum, 2);
    assert_int_equal(got.fraction, 0x80000000u);
    assert_int_equal(query_one(answer(0x24, 1, 3798982800u)), RC_OK);
    assert_int_equal(got.unix_s, 1589994000); /* 2020-05-20T17:00:00Z */
    assert_int_equal(query_one(answer(0x24, 1, 0xffffffffu)), RC_OK);
    assert_int_equal(got.unix_s, 2085978495); /* 2036-02-07T06:28:15Z */
    assert_int_equal(query_one(answer(0x24, 1, 0)), RC_OK);
    assert_int_equal(got.unix_s, 2085978496);
}

static void refusals(void **state)
{
    (void)state;
    assert_int_equal(query_one(answer(0x24, 0, 3798982800u)), RC_REFUSED);  /* kiss-o'-death */
    assert_int_equal(query_one(answer(0x24, 16, 3798982800u)), RC_REFUSED); /* unsynchronised */
    assert_int_equal(query_one(answer(0xe4, 2, 3798982800u)), RC_REFUSED);  /* leap alarm */
    assert_int_equal(got.unix_s, 0);
}

static void malformed(void **state)
{
    (void)state;
    assert_int_equal(query_one(answer(0x23, 2, 3798982800u)), RC_PROTOCOL); /* a client's mode */
    struct datagram g = answer(0x24, 2, 3798982800u);
    g.len = 40;
    assert_int_equal(query_one(g), RC_PROTOCOL);
    g = answer(0x24, 2, 0);
    put_be32(g.bytes + 44, 0);
    assert_int_equal(query_one(g), RC_PROTOCOL);
}

static void forged_answers_are_passed_over(void **state)
{
    (void)state;
    script[0] = answer(0x24, 1, 1);
    script[0].echo = false;
    script[1] = script[0];
    script[1].len = 3;
    script[2] = answer(0x24, 3, 3798982800u);
    script_len = 3;
    assert_int_equal(query(), RC_OK);
    assert_int_equal(got.stratum, 3);
    script_len = 2;
    assert_int_equal(query(), RC_TIMEOUT);
}

static void questions_differ(void **state)
{
    (void)state;
    uint8_t before[48];
    assert_int_equal(query_one(answer(0x24, 1, 3798982800u)), RC_OK);
    memcpy(before, question, sizeof before);
    assert_int_equal(query(), RC_OK);
    assert_memory_not_equal(before + 40, question + 40, 8);
}

static void unreachable_server(void **state)
{
    (void)state;
    send_result = RC_UNREACHABLE;
    assert_int_equal(query_one(answer(0x24, 1, 3798982800u)), RC_UNREACHABLE);
    send_result = RC_OK;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_eras),        cmocka_unit_test(refusals),
        cmocka_unit_test(malformed),        cmocka_unit_test(forged_answers_are_passed_over),
        cmocka_unit_test(questions_differ), cmocka_unit_test(unreachable_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
