/* show, set, unset, commit, discard. */
#include "firmware/console_commands.h"
#include "firmware/json_out.h"
#include "firmware/settings.h"
#include "firmware/settings_agree.h"

#define SECRET_SHOWN "******"

static struct setting_view view; /* too large for the stack next to a value */

static void show_one(bool json)
{
    const char *value = view.is_secret && view.value[0] ? SECRET_SHOWN : view.value;
    if (json) {
        json_object(NULL);
        json_text("key", view.key);
        json_text("value", value);
        json_bool("default", view.is_default);
        json_bool("staged", view.is_staged);
        json_close();
    } else if (view.is_staged && view.staged_unset) {
        say("* %s (unset)", view.key);
    } else if (value[0]) {
        say("%s%s %s", view.is_staged ? "* " : "", view.key, value);
    }
}

void command_show(const struct command_line *c)
{
    char memory[SETTING_KEY_MAX + 1];
    struct strbuf prefix = STRBUF(memory);
    if (c->count > 1)
        strbuf_add(&prefix, c->word[1]);
    if (c->json) {
        json_begin();
        json_array("settings");
    }
    unsigned n = 0;
    while (!prefix.overflow && settings_view_at(memory, n, &view)) {
        show_one(c->json);
        n++;
    }
    if (c->json) {
        json_close();
        json_end();
    } else if (!n) {
        say_error("no setting begins with that");
    }
}

void command_set(const struct command_line *c)
{
    char words[300];
    struct strbuf why = STRBUF(words);
    if (c->count < 3) {
        say_usage(c->command);
        return;
    }
    if (settings_stage(c->word[1], c->rest, &why) != RC_OK)
        say_error("%s", words);
}

void command_unset(const struct command_line *c)
{
    char words[300];
    struct strbuf why = STRBUF(words);
    if (c->count != 2)
        say_usage(c->command);
    else if (settings_stage_unset(c->word[1], &why) != RC_OK)
        say_error("%s", words);
}

void command_commit(const struct command_line *c)
{
    char words[300];
    struct strbuf why = STRBUF(words);
    unsigned n = settings_staged();
    (void)c;
    if (!n)
        say("nothing is staged");
    else if (!settings_agree(&why) || settings_commit(&why) != RC_OK)
        say_error("%s", words);
    else
        say("%u change%s in use", n, n == 1 ? "" : "s");
}

void command_discard(const struct command_line *c)
{
    (void)c;
    unsigned n = settings_staged();
    settings_discard();
    say("%u change%s forgotten", n, n == 1 ? "" : "s");
}
