/* The table of commands, and help, which prints it. */
#include "firmware/console_commands.h"

#include "firmware/json_out.h"
#include "firmware/settings.h"

const struct command commands[] = {
#define COMMAND(name, arguments, help, run, words, takes_key) { name, run, words, takes_key },
#include "firmware/commands.def"
#undef COMMAND
};
const unsigned command_count = sizeof commands / sizeof commands[0];

#define ARGUMENTS_MAX 110
#define HELP_MAX 80
#define COMMAND(name, arguments, help, ...)                                                      \
    _Static_assert(sizeof(arguments) <= ARGUMENTS_MAX, "the arguments of " name " have an end"); \
    _Static_assert(sizeof(help) <= HELP_MAX, "the help on " name " has an end");
#include "firmware/commands.def"
#undef COMMAND
static const struct {
    char arguments[ARGUMENTS_MAX], help[HELP_MAX];
} texts[] PACKED_TABLE = {
#define COMMAND(name, arguments, help, ...) { arguments, help },
#include "firmware/commands.def"
#undef COMMAND
};

const char *command_arguments(const struct command *c)
{
    return texts[c - commands].arguments;
}

static void help_for(const struct command *c)
{
    say("%s %s", c->name, command_arguments(c));
    say("    %s", texts[c - commands].help);
    if (span_find(span_of(c->words), 0, 'J') != SIZE_MAX)
        say("    'json' as last word gives one line of JSON");
}

static bool help_for_key(struct span key)
{
    for (unsigned i = 0; i < settings_count; i++) {
        const struct setting_def *d = &settings_table[i];
        size_t stem = strlen(d->key) - 1; /* of a family: the part before its star */
        bool member = span_ends_nocase(span_of(d->key), ".*") && key.len >= stem &&
                      span_eq(span_sub(key, 0, stem), span_sub(span_of(d->key), 0, stem));
        if (!span_is(key, d->key) && !member)
            continue;
        say("%s: %s", d->key, setting_help(d));
        if (d->preset[0])
            say("    default: %s", d->preset);
        return true;
    }
    return false;
}

void command_help(const struct command_line *c)
{
    for (unsigned i = 0; i < command_count; i++) {
        if (c->count > 1 && span_is(c->word[1], commands[i].name)) {
            help_for(&commands[i]);
            return;
        }
        if (c->count == 1)
            say("%-14s %s", commands[i].name, texts[i].help);
    }
    if (c->count > 1 && !help_for_key(c->word[1]))
        say_error("no such command or setting");
    if (c->count == 1)
        say("'help COMMAND' and 'help KEY' tell more; TAB completes.");
}
