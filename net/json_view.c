/* One recursive walk checks a text; lookups then walk it again and need not be careful. */
#include "net/json_view.h"

#include <string.h>

#include "hal/base/utf8.h"

struct reader {
    struct span text;
    size_t at;
};

static int peek(const struct reader *r)
{
    return r->at < r->text.len ? (unsigned char)r->text.p[r->at] : -1;
}

static bool take(struct reader *r, char c)
{
    if (peek(r) != (unsigned char)c)
        return false;
    r->at++;
    return true;
}

static void skip_blanks(struct reader *r)
{
    while (peek(r) == ' ' || peek(r) == '\t' || peek(r) == '\n' || peek(r) == '\r')
        r->at++;
}

static bool take_word(struct reader *r, const char *word)
{
    if (!span_starts(span_from(r->text, r->at), word))
        return false;
    r->at += strlen(word);
    return true;
}

static bool take_digits(struct reader *r)
{
    size_t from = r->at;
    while (peek(r) >= '0' && peek(r) <= '9')
        r->at++;
    return r->at > from;
}

static bool take_number(struct reader *r)
{
    (void)take(r, '-');
    if (!take(r, '0') && !take_digits(r))
        return false;
    if (take(r, '.') && !take_digits(r))
        return false;
    if (!take(r, 'e') && !take(r, 'E'))
        return true;
    if (!take(r, '+'))
        (void)take(r, '-');
    return take_digits(r);
}

/* Four hex digits, or -1. */
static int32_t take_hex4(struct reader *r)
{
    int32_t value = 0;
    for (unsigned i = 0; i < 4; i++) {
        int c = peek(r), low = c | 0x20;
        int digit = c >= '0' && c <= '9' ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
        r->at++;
    }
    return value;
}

/* What follows a backslash: a code point above 0, or 0 when it is none. A surrogate must have its other half. */
static uint32_t take_escape(struct reader *r)
{
    static const char plain[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    int c = peek(r);
    const char *found = c > 0 ? strchr(plain, c) : NULL;
    r->at += c >= 0;
    if (found != NULL)
        return (unsigned char)meant[found - plain];
    int32_t high = c == 'u' ? take_hex4(r) : -1;
    if (high < 0 || (high >= 0xdc00 && high < 0xe000))
        return 0;
    if (high < 0xd800 || high >= 0xe000)
        return (uint32_t)high;
    int32_t low = take_word(r, "\\u") ? take_hex4(r) : -1;
    return low >= 0xdc00 && low < 0xe000 ? 0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00) : 0;
}

static void add_code_point(struct strbuf *out, uint32_t c)
{
    if (c < 0x80) {
        strbuf_putc(out, (char)c);
        return;
    }
    static const uint8_t lead[] = { 0, 0xc0, 0xe0, 0xf0 };
    unsigned more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    strbuf_putc(out, (char)(lead[more] | c >> (6 * more)));
    while (more-- > 0)
        strbuf_putc(out, (char)(0x80 | (c >> (6 * more) & 0x3f)));
}

/* A string with its quotes; its text goes to out unless that is NULL. */
static bool take_string(struct reader *r, struct strbuf *out)
{
    if (!take(r, '"'))
        return false;
    for (;;) {
        uint32_t c;
        if (take(r, '"'))
            return true;
        size_t len = utf8_decode(r->text, r->at, &c);
        if (len == 0 || c < 0x20)
            return false;
        r->at += len;
        if (c == '\\' && (c = take_escape(r)) == 0)
            return false;
        if (out != NULL)
            add_code_point(out, c);
    }
}

static enum rc take_value(struct reader *r, unsigned depth);

/* Members or items up to the closing bracket. */
static enum rc take_all(struct reader *r, bool object, unsigned depth)
{
    char close = object ? '}' : ']';
    r->at++;
    skip_blanks(r);
    if (take(r, close))
        return RC_OK;
    do {
        skip_blanks(r);
        if (object) {
            if (!take_string(r, NULL))
                return RC_INVALID;
            skip_blanks(r);
            if (!take(r, ':'))
                return RC_INVALID;
        }
        enum rc rc = take_value(r, depth + 1);
        if (rc != RC_OK)
            return rc;
        skip_blanks(r);
    } while (take(r, ','));
    return take(r, close) ? RC_OK : RC_INVALID;
}

static enum rc take_value(struct reader *r, unsigned depth)
{
    if (depth > JSON_DEPTH_MAX)
        return RC_TOO_LONG;
    skip_blanks(r);
    int c = peek(r);
    if (c == '{' || c == '[')
        return take_all(r, c == '{', depth);
    bool good = c == '"' ? take_string(r, NULL)
                         : take_word(r, "true") || take_word(r, "false") || take_word(r, "null") || take_number(r);
    return good ? RC_OK : RC_INVALID;
}

static struct json_view view_of(struct span text)
{
    char c = text.p[0];
    return (struct json_view){ c == '{'               ? JSON_OBJECT
                               : c == '['             ? JSON_ARRAY
                               : c == '"'             ? JSON_STRING
                               : c == 't' || c == 'f' ? JSON_BOOL
                               : c == 'n'             ? JSON_NULL
                                                      : JSON_NUMBER,
                               text };
}

enum rc json_view_open(struct span text, struct json_view *out)
{
    struct reader r = { text, 0 };
    memset(out, 0, sizeof *out);
    skip_blanks(&r);
    size_t from = r.at;
    enum rc rc = take_value(&r, 1);
    struct span value = span_sub(text, from, r.at - from);
    skip_blanks(&r);
    if (rc == RC_OK && r.at < text.len)
        rc = RC_INVALID;
    if (rc == RC_OK)
        *out = view_of(value);
    return rc;
}

/* The next item or member behind *cursor; a member's name is written to *name, quotes included. */
static bool next(const struct json_view *v, size_t *cursor, struct span *name, struct json_view *out)
{
    struct reader r = { v->text, *cursor == 0 ? 1 : *cursor };
    skip_blanks(&r);
    (void)take(&r, ',');
    skip_blanks(&r);
    size_t from = r.at;
    if (v->type == JSON_OBJECT && take_string(&r, NULL)) {
        *name = span_sub(v->text, from, r.at - from);
        skip_blanks(&r);
        (void)take(&r, ':');
        skip_blanks(&r);
        from = r.at;
    }
    if (take_value(&r, 0) != RC_OK)
        return false;
    *out = view_of(span_sub(v->text, from, r.at - from));
    *cursor = r.at;
    return true;
}

enum rc json_view_member(const struct json_view *object, const char *name, struct json_view *out)
{
    size_t cursor = 0;
    struct span found = { "", 0 };
    struct json_view v;
    enum rc rc = RC_NOT_FOUND;
    while (object->type == JSON_OBJECT && next(object, &cursor, &found, &v)) {
        if (!span_is(span_sub(found, 1, found.len - 2), name))
            continue;
        if (rc == RC_OK)
            return RC_INVALID;
        *out = v;
        rc = RC_OK;
    }
    return rc;
}

bool json_view_each(const struct json_view *array, size_t *cursor, struct json_view *out)
{
    struct span none;
    return array->type == JSON_ARRAY && next(array, cursor, &none, out);
}

bool json_view_text(const struct json_view *v, struct strbuf *out)
{
    struct reader r = { v->text, 0 };
    return v->type == JSON_STRING && take_string(&r, out);
}

enum rc json_view_member_text(const struct json_view *object, const char *name, struct strbuf *out)
{
    struct json_view v;
    strbuf_clear(out);
    enum rc rc = json_view_member(object, name, &v);
    if (rc == RC_OK && !json_view_text(&v, out))
        rc = RC_INVALID;
    if (rc == RC_OK && out->overflow)
        rc = RC_TOO_LONG;
    if (rc != RC_OK)
        strbuf_clear(out);
    return rc;
}

bool json_view_u64(const struct json_view *v, uint64_t *out)
{
    return v->type == JSON_NUMBER && span_to_u64(v->text, out);
}

bool json_view_true(const struct json_view *v)
{
    return v->type == JSON_BOOL && v->text.p[0] == 't';
}
