/* Keeps only the nesting: whether the innermost level is an array, and whether a comma is due. */
#include "firmware/json_out.h"

#include "firmware/console.h"
#include "hal/base/datetime.h"

#define DEPTH_MAX 8

static struct {
    unsigned depth;
    bool comma[DEPTH_MAX + 1];
    char closer[DEPTH_MAX + 1];
} state;

static void put_key(struct strbuf *b, const char *key)
{
    if (state.comma[state.depth])
        strbuf_putc(b, ',');
    state.comma[state.depth] = true;
    if (key) {
        strbuf_add_json(b, span_of(key));
        strbuf_putc(b, ':');
    }
}

static void open_level(const char *key, char opener, char closer)
{
    char memory[96];
    struct strbuf b = STRBUF(memory);
    put_key(&b, key);
    strbuf_putc(&b, opener);
    say_raw(strbuf_span(&b));
    if (state.depth < DEPTH_MAX)
        state.depth++;
    state.comma[state.depth] = false;
    state.closer[state.depth] = closer;
}

void json_begin(void)
{
    memset(&state, 0, sizeof state);
    open_level(NULL, '{', '}');
}

void json_close(void)
{
    say_raw(span_bytes(&state.closer[state.depth], 1));
    if (state.depth)
        state.depth--;
}

void json_end(void)
{
    json_close();
    say("%s", "");
}

void json_object(const char *key)
{
    open_level(key, '{', '}');
}

void json_array(const char *key)
{
    open_level(key, '[', ']');
}

void json_string(const char *key, struct span value)
{
    struct strbuf b = STRBUF(console_piece);
    put_key(&b, key);
    size_t key_end = b.len;
    strbuf_add_json(&b, value);
    if (b.overflow) { /* a cut string would not be JSON */
        b.overflow = false;
        strbuf_truncate(&b, key_end);
        strbuf_puts(&b, "null");
    }
    say_raw(strbuf_span(&b));
}

void json_text(const char *key, const char *value)
{
    char memory[96];
    struct strbuf b = STRBUF(memory);
    if (value) {
        strbuf_puts(&b, text_is_packed(value) ? value : "");
        json_string(key, text_is_packed(value) ? strbuf_span(&b) : span_of(value));
        return;
    }
    put_key(&b, key);
    strbuf_puts(&b, "null");
    say_raw(strbuf_span(&b));
}

void json_number(const char *key, int64_t value)
{
    char memory[128];
    struct strbuf b = STRBUF(memory);
    put_key(&b, key);
    strbuf_printf(&b, "%lld", (long long)value);
    say_raw(strbuf_span(&b));
}

void json_bool(const char *key, bool value)
{
    char memory[128];
    struct strbuf b = STRBUF(memory);
    put_key(&b, key);
    strbuf_puts(&b, value ? "true" : "false");
    say_raw(strbuf_span(&b));
}

void json_time(const char *key, int64_t unix_s)
{
    char memory[40];
    struct strbuf b = STRBUF(memory);
    rfc3339_format(&b, unix_s);
    json_text(key, unix_s ? memory : NULL);
}
