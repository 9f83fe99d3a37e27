#include "toolchain/tools/common/json_split.h"

#include <errno.h>

#define DEPTH_MAX 64 /* arrays and objects within a value */
#define NEAR_MAX 24  /* bytes shown of the place of a fault */
#define NOTHING (-1) /* the end of the file */

void json_split_start(struct json_split *s, FILE *file)
{
    memset(s, 0, sizeof *s);
    s->file = file;
    s->line = s->column = 1;
}

void json_split_free(struct json_split *s)
{
    byte_buffer_free(&s->text);
}

/* --- faults --- */

static enum rc refuse_text(struct json_split *s, unsigned line, unsigned column, const char *what, struct span near)
{
    struct strbuf b = STRBUF(s->error);
    strbuf_printf(&b, "line %u, column %u: %s%s", line, column, what, near.len > 0 ? " at: " : " at the end of the file");
    strbuf_add_printable(&b, span_sub(near, 0, NEAR_MAX), 2 * NEAR_MAX);
    return RC_INVALID;
}

static bool fill(struct json_split *s)
{
    if (s->at < s->end)
        return true;
    s->at = 0;
    s->end = fread(s->block, 1, sizeof s->block, s->file);
    return s->end > 0;
}

/* A fault at the next byte. */
static enum rc refuse(struct json_split *s, const char *what)
{
    if (!fill(s) && ferror(s->file)) {
        struct strbuf b = STRBUF(s->error);
        strbuf_puts(&b, strerror(errno));
        return RC_IO;
    }
    if (s->at < s->end && s->block[s->at] == '\0')
        what = "a NUL character";
    return refuse_text(s, s->line, s->column, what, span_bytes(s->block + s->at, s->end - s->at));
}

/* --- bytes --- */

/* The ranges of RFC 3629 section 4. */
static bool utf8_begin(struct json_split *s, uint8_t c)
{
    s->utf8_low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    s->utf8_high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    s->utf8_more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc2 ? 1 : 0;
    return c < 0x80 || (c >= 0xc2 && c <= 0xf4);
}

static bool utf8_step(struct json_split *s, uint8_t c)
{
    if (s->utf8_more == 0)
        return utf8_begin(s, c);
    bool good = c >= s->utf8_low && c <= s->utf8_high;
    s->utf8_low = 0x80;
    s->utf8_high = 0xbf;
    s->utf8_more--;
    return good;
}

static int peek(struct json_split *s)
{
    return fill(s) ? s->block[s->at] : NOTHING;
}

static enum rc take(struct json_split *s)
{
    uint8_t c = s->block[s->at];
    bool within = s->utf8_more > 0;
    if (!utf8_step(s, c))
        return refuse(s, "bytes that are not UTF-8");
    s->at++;
    s->taken_bytes++;
    s->column = c == '\n' ? 1 : s->column + !within; /* a character is one column */
    s->line += c == '\n';
    return RC_OK;
}

static void skip_blanks(struct json_split *s)
{
    int c;
    while ((c = peek(s)) == ' ' || c == '\t' || c == '\n' || c == '\r')
        (void)!take(s);
}

/* Takes the next byte into the text, up to max of them; those beyond are passed over. */
static enum rc keep(struct json_split *s, size_t max)
{
    uint8_t c = s->block[s->at];
    enum rc rc = take(s);
    if (rc == RC_OK && s->text.len <= max)
        byte_buffer_u8(&s->text, c);
    return rc;
}

/* --- strings and values, as text --- */

static bool ends_in_escaped_nul(struct span text)
{
    return text.len >= 6 && span_eq(span_from(text, text.len - 6), SPAN("\\u0000"));
}

static enum rc scan_string(struct json_split *s, size_t max)
{
    bool escaped = false;
    unsigned since_escape = 0; /* bytes after a live backslash */
    enum rc rc = keep(s, max);
    while (rc == RC_OK) {
        int c = peek(s);
        if (c == NOTHING)
            return refuse(s, "a string does not end");
        if (c < ' ')
            return refuse(s, "a control character in a string");
        rc = keep(s, max);
        if (c == '"' && !escaped)
            return rc;
        since_escape = escaped ? 1 : since_escape + (since_escape > 0);
        escaped = c == '\\' && !escaped;
        if (rc == RC_OK && since_escape == 5 && ends_in_escaped_nul(byte_buffer_span(&s->text)))
            return refuse_text(s, s->line, s->column - 6, "a NUL character", SPAN("\\u0000"));
    }
    return rc;
}

static bool ends_literal(int c)
{
    return c == NOTHING || strchr(" \t\r\n,:]}[{\"", c) != NULL;
}

/* One value as text: what stands between its brackets is left to cJSON to judge. */
static enum rc scan_value(struct json_split *s)
{
    unsigned depth = 0;
    enum rc rc = RC_OK;
    do {
        int c = peek(s);
        if (c == NOTHING || (depth == 0 && (c == ',' || c == ':' || c == ']' || c == '}')))
            return refuse(s, "not JSON: a value is missing");
        if (c == '{' || c == '[') {
            if (++depth > DEPTH_MAX)
                return refuse(s, "not JSON that is wanted here: nested too deep");
        } else if (c == '}' || c == ']') {
            depth--;
        }
        if (c == '"') {
            rc = scan_string(s, JSON_VALUE_MAX);
        } else {
            rc = keep(s, JSON_VALUE_MAX);
            while (rc == RC_OK && depth == 0 && c != '}' && c != ']' && !ends_literal(peek(s)))
                rc = keep(s, JSON_VALUE_MAX);
        }
    } while (rc == RC_OK && depth > 0);
    return rc;
}

/* --- what the caller sees --- */

enum rc json_split_object(struct json_split *s)
{
    skip_blanks(s);
    int c = peek(s);
    if (c == NOTHING)
        return refuse(s, "not JSON");
    if (c != '{')
        return RC_NOT_FOUND;
    if (s->depth == JSON_OBJECTS_MAX)
        return refuse(s, "not JSON that is wanted here: nested too deep");
    s->first[s->depth++] = true;
    return take(s);
}

enum rc json_split_finish(struct json_split *s)
{
    skip_blanks(s);
    return peek(s) == NOTHING && !ferror(s->file) ? RC_OK : refuse(s, "not JSON: something follows the end");
}

/* The text that was scanned, which began at that place, as a tree. */
static enum rc parse(struct json_split *s, unsigned line, unsigned column, cJSON **value)
{
    const char *end = NULL;
    byte_buffer_u8(&s->text, 0); /* NUL-terminated, so that what follows the value is seen */
    struct span text = span_bytes(s->text.p, s->text.len - 1);
    *value = cJSON_ParseWithLengthOpts(text.p, text.len + 1, &end, true);
    if (*value != NULL)
        return RC_OK;
    size_t at = end != NULL ? (size_t)(end - text.p) : 0;
    for (size_t i = 0; i < at && i < text.len; i++) {
        column = text.p[i] == '\n' ? 1 : column + (((uint8_t)text.p[i] & 0xc0) != 0x80);
        line += text.p[i] == '\n';
    }
    return refuse_text(s, line, column, "not JSON", at < text.len ? span_from(text, at) : text);
}

enum rc json_split_member(struct json_split *s, char **name, unsigned *line)
{
    bool first = s->first[s->depth - 1];
    skip_blanks(s);
    if (peek(s) == '}') {
        s->depth--;
        enum rc rc = take(s);
        return rc == RC_OK ? RC_NOT_FOUND : rc;
    }
    if (!first && peek(s) != ',')
        return refuse(s, "not JSON: a comma or the end of the object is missing");
    enum rc rc = first ? RC_OK : take(s);
    skip_blanks(s);
    if (rc != RC_OK || peek(s) != '"')
        return rc != RC_OK ? rc : refuse(s, "not JSON: a name is missing");
    unsigned column = s->column;
    *line = s->line;
    s->text.len = 0;
    s->first[s->depth - 1] = false;
    rc = scan_string(s, JSON_NAME_MAX);
    if (rc == RC_OK && s->text.len > JSON_NAME_MAX)
        return refuse_text(s, *line, column, "a name is too long", byte_buffer_span(&s->text));
    cJSON *parsed = NULL;
    if (rc == RC_OK)
        rc = parse(s, *line, column, &parsed);
    skip_blanks(s);
    if (rc == RC_OK && peek(s) != ':')
        rc = refuse(s, "not JSON: a colon is missing");
    if (rc == RC_OK)
        rc = take(s);
    *name = rc == RC_OK ? tool_copy(span_of(parsed->valuestring)) : NULL;
    cJSON_Delete(parsed);
    return rc;
}

enum rc json_split_value(struct json_split *s, cJSON **value)
{
    skip_blanks(s);
    unsigned line = s->line, column = s->column;
    s->text.len = 0;
    *value = NULL;
    enum rc rc = scan_value(s);
    if (rc == RC_OK && s->text.len > JSON_VALUE_MAX)
        return RC_TOO_LONG;
    return rc == RC_OK ? parse(s, line, column, value) : rc;
}
