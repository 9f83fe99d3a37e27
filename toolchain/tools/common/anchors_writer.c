/* Trust anchors from DS records as IANA publishes them: ". IN DS 20326 8 2 E06D..." */
#include "hal/base/bytes.h"
#include "policy/anchors.h"
#include "toolchain/tools/common/image_writer.h"

/* The root's key signing keys, as published at data.iana.org/root-anchors: of 2017 and of 2024. */
static const char published[] = ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n"
                                ". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16\n";

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct span next_word(struct span *rest)
{
    while (rest->len > 0 && (rest->p[0] == ' ' || rest->p[0] == '\t' || rest->p[0] == '\r'))
        *rest = span_from(*rest, 1);
    size_t len = 0;
    while (len < rest->len && rest->p[len] != ' ' && rest->p[len] != '\t' && rest->p[len] != '\r')
        len++;
    struct span word = span_sub(*rest, 0, len);
    *rest = span_from(*rest, len);
    return word;
}

/* What is left of the line: the digest, perhaps in several words. */
static bool take_digest(struct span rest, uint8_t digest[32])
{
    size_t digits = 0;
    for (struct span word = next_word(&rest); word.len > 0; word = next_word(&rest)) {
        for (size_t i = 0; i < word.len; i++, digits++) {
            int value = hex_digit(word.p[i]);
            if (value < 0 || digits == 64)
                return false;
            digest[digits / 2] = (uint8_t)(digest[digits / 2] << 4 | value);
        }
    }
    return digits == 64;
}

/* RC_NOT_FOUND: a line that is none, or of another kind of digest. */
static enum rc take_line(struct span line, struct anchor *out)
{
    uint32_t tag, algorithm, type;
    struct span word = next_word(&line);
    if (word.len == 0 || word.p[0] == ';' || word.p[0] == '#')
        return RC_NOT_FOUND;
    if (!span_is(word, "."))
        return RC_INVALID;
    while (word.len > 0 && !span_is(word, "DS"))
        word = next_word(&line);
    if (!span_to_u32(next_word(&line), &tag) || !span_to_u32(next_word(&line), &algorithm) ||
        !span_to_u32(next_word(&line), &type) || tag > 0xffff || algorithm > 0xff || type > 0xff)
        return RC_INVALID;
    *out = (struct anchor){ .key_tag = (uint16_t)tag, .algorithm = (uint8_t)algorithm, .digest_type = (uint8_t)type };
    if (type != ANCHOR_SHA256)
        return RC_NOT_FOUND;
    return take_digest(line, out->digest) ? RC_OK : RC_INVALID;
}

static void write_anchor(const struct anchor *a, struct byte_buffer *out)
{
    byte_buffer_u32(out, a->key_tag | (uint32_t)a->algorithm << 16 | (uint32_t)a->digest_type << 24);
    byte_buffer_add(out, a->digest, sizeof a->digest);
}

enum rc anchors_write(struct span text, struct byte_buffer *out, struct strbuf *why)
{
    struct span line, rest = text.len > 0 ? text : span_of(published);
    size_t start = out->len;
    unsigned count = 0, number = 1;
    byte_buffer_add(out, "PANC", 4);
    byte_buffer_u32(out, ANCHORS_FORMAT);
    for (bool more = true; span_split(&rest, &more, '\n', &line); number++) {
        struct anchor a;
        enum rc rc = take_line(line, &a);
        if (rc == RC_INVALID || (rc == RC_OK && count == ANCHORS_MAX)) {
            strbuf_printf(why, "line %u: %s", number,
                          rc == RC_OK ? "more anchors than a box takes"
                                      : "not a DS record of the root (. IN DS TAG ALGORITHM 2 DIGEST)");
            return RC_INVALID;
        }
        if (rc != RC_OK)
            continue;
        write_anchor(&a, out);
        count++;
    }
    if (count == 0) {
        strbuf_puts(why, "there is no DS record with a SHA-256 digest in it");
        return RC_INVALID;
    }
    put_le16(out->p + start + 6, (uint16_t)count);
    return RC_OK;
}
