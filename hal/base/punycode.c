#include "hal/base/punycode.h"

enum { BASE = 36, TMIN = 1, TMAX = 26, SKEW = 38, DAMP = 700, INITIAL_BIAS = 72, INITIAL_N = 128 };

static uint32_t adapt(uint32_t delta, uint32_t points, bool first)
{
    uint32_t k = 0;
    delta = first ? delta / DAMP : delta / 2;
    delta += delta / points;
    for (; delta > ((BASE - TMIN) * TMAX) / 2; k += BASE)
        delta /= BASE - TMIN;
    return k + (BASE - TMIN + 1) * delta / (delta + SKEW);
}

static char digit(uint32_t d)
{
    return (char)(d < 26 ? 'a' + d : '0' + (d - 26));
}

/* delta as a generalised variable-length integer (section 3.3). */
static void put_delta(struct strbuf *out, uint32_t delta, uint32_t bias)
{
    for (uint32_t k = BASE;; k += BASE) {
        uint32_t t = k <= bias ? TMIN : k >= bias + TMAX ? TMAX : k - bias;
        if (delta < t)
            break;
        strbuf_putc(out, digit(t + (delta - t) % (BASE - t)));
        delta = (delta - t) / (BASE - t);
    }
    strbuf_putc(out, digit(delta));
}

static uint32_t least_at_or_above(const uint32_t *cp, size_t count, uint32_t n)
{
    uint32_t least = UINT32_MAX;
    for (size_t i = 0; i < count; i++)
        if (cp[i] >= n && cp[i] < least)
            least = cp[i];
    return least;
}

enum rc punycode_encode(const uint32_t *cp, size_t count, struct strbuf *out)
{
    uint32_t n = INITIAL_N, delta = 0, bias = INITIAL_BIAS, basic = 0;
    for (size_t i = 0; i < count; i++)
        if (cp[i] < 0x80) {
            strbuf_putc(out, (char)cp[i]);
            basic++;
        }
    if (basic > 0)
        strbuf_putc(out, '-');
    for (uint32_t done = basic; done < count; n++) {
        uint32_t next = least_at_or_above(cp, count, n);
        if (next - n > (UINT32_MAX - delta - (uint32_t)count) / (done + 1))
            return RC_TOO_LONG;
        delta += (next - n) * (done + 1);
        n = next;
        for (size_t i = 0; i < count; i++) {
            if (cp[i] < n)
                delta++;
            if (cp[i] == n) {
                put_delta(out, delta, bias);
                bias = adapt(delta, done + 1, done == basic);
                delta = 0;
                done++;
            }
        }
        delta++;
    }
    return out->overflow ? RC_TOO_LONG : RC_OK;
}
