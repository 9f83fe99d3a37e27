#include "hal/base/base64.h"

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void encode(struct strbuf *out, struct span bytes, const char *alphabet, bool pad)
{
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t have = bytes.len - i < 3 ? bytes.len - i : 3;
        uint32_t group = 0;
        for (size_t k = 0; k < 3; k++)
            group = group << 8 | (k < have ? (uint8_t)bytes.p[i + k] : 0);
        for (size_t k = 0; k < 4; k++) {
            if (k <= have)
                strbuf_putc(out, alphabet[group >> (18 - 6 * k) & 63]);
            else if (pad)
                strbuf_putc(out, '=');
        }
    }
}

void base64_encode(struct strbuf *out, struct span bytes)
{
    encode(out, bytes, standard, true);
}

void base64url_encode(struct strbuf *out, struct span bytes)
{
    encode(out, bytes, url_safe, false);
}

int base64_sextet(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static int url_sextet(char c)
{
    return c == '-' ? 62 : c == '_' ? 63 : base64_sextet(c);
}

/* Up to four characters to `bytes` bytes (3, or less in the last group). The bits that carry nothing must be zero, so that
 * every byte string has one text only. */
static bool decode_group(const char *text, size_t bytes, int (*sextet)(char c), uint8_t *out)
{
    uint32_t group = 0;
    for (size_t k = 0; k < 4; k++) {
        int value = k <= bytes ? sextet(text[k]) : 0;
        if (value < 0)
            return false;
        group = group << 6 | (uint32_t)value;
    }
    for (size_t k = 0; k < 3; k++) {
        uint8_t byte = (uint8_t)(group >> (16 - 8 * k));
        if (k < bytes)
            out[k] = byte;
        else if (byte != 0)
            return false;
    }
    return true;
}

static struct span without_padding(struct span text)
{
    size_t padding = 0;
    while (text.len % 4 == 0 && padding < 2 && padding < text.len && text.p[text.len - 1 - padding] == '=')
        padding++;
    return span_sub(text, 0, text.len - padding);
}

static enum rc decode(struct span text, int (*sextet)(char c), uint8_t *out, size_t cap, size_t *len)
{
    size_t total = text.len / 4 * 3 + text.len % 4 * 3 / 4;
    if (text.len % 4 == 1)
        return RC_INVALID;
    if (total > cap)
        return RC_TOO_LONG;
    for (size_t i = 0; i < text.len; i += 4) {
        size_t at = i / 4 * 3;
        if (!decode_group(text.p + i, total - at < 3 ? total - at : 3, sextet, out + at))
            return RC_INVALID;
    }
    *len = total;
    return RC_OK;
}

enum rc base64_decode(struct span text, uint8_t *out, size_t cap, size_t *len)
{
    *len = 0;
    return text.len % 4 != 0 ? RC_INVALID : decode(without_padding(text), base64_sextet, out, cap, len);
}

enum rc base64url_decode(struct span text, uint8_t *out, size_t cap, size_t *len)
{
    *len = 0;
    return decode(without_padding(text), url_sextet, out, cap, len);
}
