/* The table of commands, and help, which prints it. */
#include "firmware/console_commands.h"

#include "firmware/json_out.h"
#include "firmware/settings.h"

const struct command commands[] = {
    { "help", "[COMMAND]", "lists the commands, or tells more about one", command_help, "", 2, false, true },
    { "status", "", "how the box is: alerts, mail, certificate, list, network", command_status, "", 1, true, false },
    { "show", "[PREFIX]", "settings as 'set' takes them; changes that wait for commit begin with *", command_show, "", 2, true,
      true },
    { "set", "KEY VALUE", "stages a change of a setting", command_set, "", 0, false, true },
    { "unset", "KEY", "stages the return to the default", command_unset, "", 2, false, true },
    { "commit", "", "makes the staged changes durable and puts them to use", command_commit, "", 1, false, false },
    { "discard", "", "forgets the staged changes", command_discard, "", 1, false, false },
    { "policy", "DOMAIN", "what mail to this domain must be shown, and why", command_policy, "", 2, true, false },
    { "queue", "[show ID|retry [ID]|drop ID|hold DOMAIN|ID|release DOMAIN|ID]", "mail that waits, and why", command_queue,
      "show retry drop hold release", 4, true, false },
    { "list", "[info|find TEXT|find .DOMAIN|update|receive [BYTES]]", "the preload list in flash; how a newer one gets in",
      command_list, "info find update receive", 3, true, false },
    { "cert", "[info|renew [new-key]|revoke [stolen]|account roll-over|account deactivate|import|import-ca|unpin HOST]",
      "the box's certificate and its renewal, the office server's CA and pinned key", command_cert,
      "info renew revoke account import import-ca unpin", 4, true, false },
    { "check", "", "looks at the box's own name as an outsider would: DNS, port 25, certificate", command_check, "", 1, true,
      false },
    { "dns", "[NAME [TYPE]|records|check]", "resolvers and their answers; the records to publish, and whether they are live",
      command_dns, "records check", 3, true, false },
    { "log", "[N]", "the last N lines of the log", command_log, "", 2, true, false },
    { "trace", "ADDRESS|ID", "log lines about one mail or address", command_trace, "", 2, true, false },
    { "stats", "", "counters, tasks and memory", command_stats, "", 1, true, false },
    { "time", "[set RFC3339]", "the clock and how far it is trusted", command_time, "set", 3, true, false },
    { "reboot", "[yes]", "restarts the box; queued mail stays", command_reboot, "", 2, false, false },
    { "factory-reset", "[all] [yes]", "erases all settings and keys; with 'all' the queued mail too", command_factory_reset, "all",
      3, false, false },
};
const unsigned command_count = sizeof commands / sizeof commands[0];

static void help_for(const struct command *c)
{
    say("%s %s", c->name, c->arguments);
    say("    %s", c->help);
    if (c->shows)
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
            say("%-14s %s", commands[i].name, commands[i].help);
    }
    if (c->count > 1 && !help_for_key(c->word[1]))
        say_error("no such command or setting");
    if (c->count == 1)
        say("'help COMMAND' and 'help KEY' tell more; TAB completes.");
}
