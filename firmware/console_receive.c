/* list receive: an image as text over the serial line itself. There is no flow control: the slot is erased before the first byte is asked for,
 * nothing is printed while lines come, and what was lost is named by its line and sent again. */
#include "firmware/console_commands.h"
#include "firmware/list_update.h"
#include "policy/image_text.h"

#define IDLE_MS 60000 /* without a line */
#define DRAIN_MS 1500 /* silence that ends what is still being pasted after a refusal */
#define PREPARED_LEAST (512 * 1024ull)

struct receiving {
    uint32_t ticket;
    uint64_t prepared_bytes, size_bytes; /* size 0: no begin yet */
    uint32_t next;                       /* number of the line that is waited for */
    uint32_t complained;                 /* the line that was asked for again last; once is enough */
    bool ended;
};

static struct image_text_line parsed; /* too large for the stack */

static void ask_again(struct receiving *r, const char *what)
{
    if (r->complained == r->next)
        return;
    r->complained = r->next;
    say_error("%s; send the lines from number %u on again", what, (unsigned)r->next);
}

static bool fail(struct receiving *r, const char *why)
{
    list_update_abandon(r->ticket, why);
    say_error("%s", why);
    r->ended = true;
    return false;
}

static bool take_begin(struct receiving *r)
{
    if (r->size_bytes && r->size_bytes != parsed.size_bytes)
        return fail(r, PACKED("another image began before the first one had ended"));
    if (parsed.size_bytes > r->prepared_bytes) {
        char words[100];
        struct strbuf why = STRBUF(words);
        strbuf_printf(&why, "room was made for %llu bytes; say 'list receive %llu'", (unsigned long long)r->prepared_bytes,
                      (unsigned long long)parsed.size_bytes);
        return fail(r, words);
    }
    r->size_bytes = parsed.size_bytes;
    return true;
}

static bool take_data(struct receiving *r)
{
    if (!r->size_bytes)
        return fail(r, PACKED("the line that begins with 'begin' is missing"));
    if (parsed.number < r->next)
        return true; /* sent again */
    if (parsed.number > r->next) {
        ask_again(r, PACKED("a line is missing"));
        return true;
    }
    r->next++;
    if (list_update_write(r->ticket, span_bytes(parsed.data, parsed.len)) == RC_OK)
        return true;
    say_error("%s", list_update_words());
    r->ended = true;
    return false;
}

static bool take_end(struct receiving *r)
{
    if (!r->size_bytes || parsed.number != r->next - 1) {
        ask_again(r, PACKED("the end came, but lines are missing"));
        return true;
    }
    r->ended = true;
    enum rc rc = list_update_finish(r->ticket);
    if (rc == RC_INVALID)
        return fail(r, PACKED("the text ends before the image does"));
    if (rc != RC_OK)
        say_error("%s", list_update_words());
    else
        say("%s", list_update_words());
    return rc == RC_OK;
}

/* False when it went wrong for good. */
static bool take_line(struct receiving *r, struct span line)
{
    enum rc rc = image_text_parse(line, &parsed);
    if (rc != RC_OK) {
        ask_again(r, rc == RC_CORRUPT ? PACKED("a line came damaged") : PACKED("that is no line of an image"));
        return true;
    }
    if (parsed.kind == IMAGE_TEXT_BEGIN)
        return take_begin(r);
    if (parsed.kind == IMAGE_TEXT_DATA)
        return take_data(r);
    return parsed.kind == IMAGE_TEXT_NOTHING || take_end(r);
}

/* Takes what is still on its way, so that it is not read as commands. */
static void drain(void)
{
    struct span line;
    enum rc rc;
    do
        rc = console_take_line(deadline_in_ms(DRAIN_MS), &line);
    while (rc == RC_TOO_LONG || (rc == RC_OK && !span_starts(span_trim(line), "end ")));
}

static void receive_lines(struct receiving *r)
{
    bool good = true;
    while (good && !r->ended) {
        struct span line;
        enum rc rc = console_take_line(deadline_in_ms(IDLE_MS), &line);
        if (rc == RC_TOO_LONG)
            line = span_of("?");
        if (rc == RC_OK || rc == RC_TOO_LONG)
            good = span_is(span_trim(line), "abort") ? fail(r, "given up") : take_line(r, line);
        else
            good = fail(r, rc == RC_TIMEOUT ? PACKED("nothing has come for a minute: given up") : PACKED("given up (^C)"));
        if (!good && rc == RC_OK)
            drain();
    }
}

void list_receive(const struct command_line *c)
{
    struct receiving r = { .next = 1 };
    const struct image *now = list_store_image();
    r.prepared_bytes = now && now->size_bytes > PREPARED_LEAST ? now->size_bytes : PREPARED_LEAST;
    if (c->count > 2 && (!span_to_u64(c->word[2], &r.prepared_bytes) || !r.prepared_bytes)) {
        say_usage(c->command);
        return;
    }
    if (list_update_begin("serial", &r.ticket) != RC_OK) {
        say_error("another list is just coming in ('list info' shows it)");
        return;
    }
    enum rc rc = list_update_prepare(r.ticket, r.prepared_bytes);
    if (rc != RC_OK) {
        bool told = rc != RC_TOO_LONG;
        list_update_abandon(r.ticket, PACKED("the slot is not that large"));
        say_error("%s", told ? list_update_words() : PACKED("the slot is not that large"));
        return;
    }
    say("ready: send the text that 'postern-image text' made; ^C or 'abort' gives up");
    receive_lines(&r);
}
