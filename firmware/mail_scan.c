/* A small state machine over CRLF lines. */
#include "firmware/mail_scan.h"

#define SKIP 255

static const char field[] = "received:";

void mail_scan_init(struct mail_scan *m)
{
    *m = (struct mail_scan){ .line_empty = true };
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static void header_byte(struct mail_scan *m, char c)
{
    if (c == '\n') {
        m->in_body = m->line_empty;
        m->column = 0;
        m->line_empty = true;
        return;
    }
    if (c == '\r')
        return;
    m->line_empty = false;
    if (m->column == SKIP)
        return;
    m->column = lower(c) == field[m->column] ? (uint8_t)(m->column + 1) : SKIP;
    if (m->column == sizeof field - 1) {
        m->received++;
        m->column = SKIP;
    }
}

void mail_scan_feed(struct mail_scan *m, struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        m->eight_bit = m->eight_bit || (unsigned char)bytes.p[i] > 127;
        if (!m->in_body)
            header_byte(m, bytes.p[i]);
        else if (m->eight_bit)
            return;
    }
}
