/* The console task: bytes through the editor, lines to the command table. It owns the screen: commands print by say(). */
#include "firmware/console.h"

#include <stdarg.h>

#include "board/plan_sizes.h"
#include "firmware/console_commands.h"
#include "firmware/console_edit.h"
#include "firmware/log_ring.h"
#include "firmware/settings.h"
#include "firmware/version.h"
#include "hal/board.h"
#include "hal/console.h"

#define PROMPT "postern> "
#define CTRL_C 3

static struct task console_task;
static uint8_t stack[PLAN_CONSOLE_STACK_BYTES] __attribute__((aligned(16)));
static struct console_edit edit;

/* The console's task alone prints; what is printed comes from elsewhere. */
char console_piece[CONSOLE_PIECE_BYTES];
static void (*boot_first)(void);

/* --- output --- */

void say_raw(struct span text)
{
    console_write(text.p, text.len);
    if (task_current() && task_yield() != RC_OK)
        return; /* the console's task is never cancelled */
}

static void say_line(const char *prefix, const char *format, va_list ap)
{
    struct strbuf line = STRBUF(console_piece);
    strbuf_puts(&line, prefix);
    strbuf_vprintf(&line, format, ap);
    while (line.len && line.p[line.len - 1] == ' ')
        line.len--; /* what was to follow is empty */
    console_write(line.p, line.len);
    console_write("\r\n", 2);
    if (task_current() && task_yield() != RC_OK)
        return; /* the console's task is never cancelled */
}

void(say)(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    say_line("", format, ap);
    va_end(ap);
}

void(say_error)(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    say_line("error: ", format, ap);
    va_end(ap);
}

void say_usage(const struct command *command)
{
    say_error("usage: %s %s", command->name, command_arguments(command));
}

static void write_echo(struct console_edit *e)
{
    console_write(e->echo.p, e->echo.len);
    strbuf_clear(&e->echo);
}

static void flush_echo(void)
{
    write_echo(&edit);
}

/* --- input --- */

static int ahead = -1; /* typed while a command ran */

bool console_interrupted(void)
{
    if (ahead < 0)
        ahead = console_getc();
    if (ahead != CTRL_C)
        return false;
    ahead = -1;
    return true;
}

static enum rc wait_byte(struct deadline d, uint8_t *byte)
{
    for (;;) {
        int c = ahead >= 0 ? ahead : console_getc();
        ahead = -1;
        if (c >= 0) {
            *byte = (uint8_t)c;
            return RC_OK;
        }
        enum rc rc = task_wait(&console_input, d);
        if (rc != RC_OK)
            return rc;
    }
}

/* silent: nothing at all is echoed, not even the line's end. */
static enum rc read_line(bool hidden, bool silent, struct deadline d, struct span *line)
{
    edit_start_line(&edit);
    edit.hidden = hidden || silent;
    for (;;) {
        uint8_t byte = 0;
        enum rc rc = wait_byte(d, &byte);
        enum edit_result r = rc != RC_OK ? EDIT_CANCEL : edit_byte(&edit, byte);
        if (silent)
            strbuf_clear(&edit.echo);
        flush_echo();
        if (r == EDIT_MORE || r == EDIT_COMPLETE)
            continue;
        edit.hidden = false;
        *line = span_bytes(edit.line, edit.len);
        if (rc == RC_TIMEOUT)
            return rc;
        return r == EDIT_LINE ? RC_OK : r == EDIT_TOO_LONG ? RC_TOO_LONG : RC_CANCELLED;
    }
}

enum rc console_more(const char *prompt, bool hidden, struct deadline d, struct span *line)
{
    console_write(prompt, strlen(prompt));
    return read_line(hidden, false, d, line);
}

enum rc console_take_line(struct deadline d, struct span *line)
{
    return read_line(true, true, d, line);
}

bool confirm(const struct command_line *c, const char *question)
{
    char memory[120];
    struct strbuf prompt = STRBUF(memory);
    struct span answer;
    if (c->yes)
        return true;
    strbuf_printf(&prompt, "%s (yes/no) ", question);
    if (console_more(memory, false, deadline_never(), &answer) == RC_OK && span_is_nocase(span_trim(answer), "yes"))
        return true;
    say("nothing was done");
    return false;
}

/* --- completion --- */

static const struct command *find_command(struct span name)
{
    for (unsigned i = 0; i < command_count; i++)
        if (span_is(name, commands[i].name))
            return &commands[i];
    return NULL;
}

/* The next of command->words: the second word that it is for ("": any other), and what may follow: "3J". */
static bool next_rule(struct span *rest, struct span *word, struct span *limit)
{
    struct span rule;
    bool more = rest->len > 0;
    if (!span_split(rest, &more, ' ', &rule))
        return false;
    size_t at = 0;
    while (rule.p[at] > '9' || rule.p[at] == '-')
        at++;
    *word = span_sub(rule, 0, at);
    *limit = span_from(rule, at);
    return true;
}

struct completion {
    struct span stem;
    char common[SETTING_KEY_MAX + 1]; /* what all candidates share */
    unsigned found;
    bool listing; /* shows the candidates instead of counting them */
};

static void offer(struct completion *c, struct span word)
{
    if (word.len < c->stem.len || !span_eq(span_sub(word, 0, c->stem.len), c->stem) || word.len > SETTING_KEY_MAX)
        return;
    if (c->listing) {
        say_raw(word);
        say_raw(SPAN("  "));
        return;
    }
    struct strbuf common = STRBUF(c->common);
    if (!c->found++) {
        strbuf_add(&common, word);
        return;
    }
    size_t same = 0, had = strlen(c->common);
    common.len = had;
    while (same < had && same < word.len && c->common[same] == word.p[same])
        same++;
    strbuf_truncate(&common, same);
    c->common[same] = '\0';
}

static void offer_settings(struct completion *c)
{
    for (unsigned i = 0; i < settings_count; i++) {
        struct span key = span_of(settings_table[i].key);
        offer(c, span_ends_nocase(key, ".*") ? span_sub(key, 0, key.len - 1) : key);
    }
}

static void offer_words(struct completion *c, const struct command *command)
{
    struct span rest = span_of(command->words), word, limit;
    while (next_rule(&rest, &word, &limit))
        if (word.len)
            offer(c, word);
}

static void offer_commands(struct completion *c)
{
    for (unsigned i = 0; i < command_count; i++)
        offer(c, span_of(commands[i].name));
}

/* All that may stand at the cursor: a command, or a word of the command that the line begins with. */
static void offer_all(struct completion *c)
{
    struct span line = span_bytes(edit.line, edit.cursor);
    size_t last_blank = span_find_last(line, ' ');
    if (last_blank == SIZE_MAX) {
        c->stem = line;
        offer_commands(c);
        return;
    }
    c->stem = span_from(line, last_blank + 1);
    const struct command *command = find_command(span_sub(line, 0, span_find(line, 0, ' ')));
    if (!command || span_find(line, 0, ' ') != last_blank)
        return;
    offer_words(c, command);
    if (command->run == command_help)
        offer_commands(c);
    if (command->takes_key)
        offer_settings(c);
}

/* TAB: adds what all candidates share, else shows them. */
static void complete(void)
{
    struct completion c = { .found = 0 };
    offer_all(&c);
    if (!c.found)
        return;
    struct span more = span_from(span_of(c.common), c.stem.len);
    if (more.len)
        edit_insert(&edit, more);
    if (c.found == 1 && !span_ends_nocase(span_of(c.common), "."))
        edit_insert(&edit, SPAN(" "));
    if (!more.len && c.found > 1) {
        say_raw(SPAN("\r\n"));
        c.listing = true;
        offer_all(&c);
        say_raw(SPAN("\r\n"));
        edit_redraw(&edit, PROMPT);
    }
    flush_echo();
}

/* --- commands --- */

static void split_words(struct span line, struct command_line *c)
{
    memset(c, 0, sizeof *c);
    line = span_trim(line);
    for (size_t at = 0; at < line.len && c->count < COMMAND_WORDS_MAX;) {
        size_t end = span_find(line, at, ' ');
        if (end == SIZE_MAX)
            end = line.len;
        if (end > at) {
            if (c->count == 2)
                c->rest = span_from(line, at);
            c->word[c->count++] = span_sub(line, at, end - at);
        }
        at = end + 1;
    }
}

/* Takes off the last word that says how, not what. False if there are more words then than the command or its second word may have. */
static bool fits_rule(const struct command *command, struct command_line *c)
{
    struct span rest = span_of(command->words), word, limit, rule = rest;
    while (next_rule(&rest, &word, &limit))
        if (!word.len || (c->count > 1 && span_eq(word, c->word[1])))
            rule = limit;
    struct span last = c->word[c->count - 1];
    c->json = c->count > 1 && span_ends_nocase(rule, "J") && span_is(last, "json");
    c->yes = c->count > 1 && span_ends_nocase(rule, "Y") && span_is(last, "yes");
    c->count -= c->json || c->yes;
    return rule.p[0] == '0' || c->count <= (unsigned)(rule.p[0] - '0');
}

static void run_line(struct span line)
{
    static char copy[CONSOLE_LINE_MAX + 1]; /* the editor's line is used again by questions */
    struct strbuf text = STRBUF(copy);
    struct command_line c;
    strbuf_add(&text, line);
    split_words(strbuf_span(&text), &c);
    if (!c.count)
        return;
    const struct command *found = find_command(c.word[0]);
    if (!found) {
        char word[48];
        struct strbuf shown = STRBUF(word);
        strbuf_add_printable(&shown, c.word[0], 40);
        say_error("no such command: %s (try help)", word);
        return;
    }
    c.command = found;
    if (fits_rule(found, &c))
        found->run(&c);
    else
        say_usage(found);
}

static bool holds_secret(struct span line)
{
    return span_starts(span_trim(line), "set ") && span_find(line, 0, ' ') != SIZE_MAX && strstr(edit.line, "password") != NULL;
}

static void console_main(void *arg)
{
    (void)arg;
    boot_first();
    log_ring_quiet();
    say("%s", "");
    say("Postern %s on %s. 'help' lists the commands, 'status' tells how the box is.", FIRMWARE_VERSION, board_name());
    say_raw(SPAN(PROMPT));
    for (;;) {
        uint8_t byte;
        if (wait_byte(deadline_never(), &byte) != RC_OK)
            return;
        enum edit_result r = edit_byte(&edit, byte);
        flush_echo();
        if (r == EDIT_MORE)
            continue;
        if (r == EDIT_COMPLETE) {
            complete();
            continue;
        }
        if (r == EDIT_TOO_LONG)
            say_error("the line is longer than %d characters", CONSOLE_LINE_MAX);
        if (r == EDIT_LINE) {
            if (!holds_secret(span_bytes(edit.line, edit.len)))
                edit_remember(&edit);
            run_line(span_bytes(edit.line, edit.len));
        }
        edit_start_line(&edit);
        say_raw(SPAN(PROMPT));
    }
}

void console_start(void (*boot)(void))
{
    boot_first = boot;
    edit_init(&edit);
    edit.flush = write_echo;
    task_start(&console_task, "console", stack, sizeof stack, console_main, NULL);
}
