/* check: how outsiders see the box; `status` and `cert info` show it, too. */
#include "firmware/console_commands.h"
#include "firmware/json_out.h"
#include "firmware/self_check.h"
#include "hal/base/datetime.h"
#include "hal/task.h"

#define PATIENCE_MS 120000
#define STEP_MS 100

static const char *words(void)
{
    const struct self_check *s = self_check();
    return s->running ? "being looked at now" : s->finding == OWN_UNKNOWN ? "not looked at yet" : s->words;
}

static uint32_t next_s(void)
{
    return (uint32_t)(deadline_left_ms(self_check()->next) / 1000);
}

void json_outside(void)
{
    json_object("outside");
    json_text("result", own_finding_name(self_check()->finding));
    json_text("words", words());
    json_time("checked", self_check()->at);
    json_number("next_s", next_s());
    json_close();
}

void say_outside(const char *label, bool with_times)
{
    char memory[32];
    struct strbuf next = STRBUF(memory);
    duration_format(&next, next_s());
    if (with_times)
        say("%s%s (next look in %s)", label, words(), memory);
    else
        say("%s%s", label, words());
}

static void check_own_name(const struct command_line *c)
{
    const struct self_check *s = self_check();
    struct deadline patience = deadline_in_ms(PATIENCE_MS);
    unsigned wanted = s->looks + 1 + s->running; /* what began before may have seen the past */
    if (!self_check_now()) {
        say_error("there is no host.name, or no certificate");
        return;
    }
    while (s->looks != wanted && !deadline_passed(patience) && !console_interrupted() && task_sleep_ms(STEP_MS) == RC_OK)
        continue;
    if (c->json) {
        json_begin();
        json_outside();
        json_end();
    } else {
        say_outside("", true);
    }
}

void command_check(const struct command_line *c)
{
    if (c->count > 1)
        check_domain(c);
    else
        check_own_name(c);
}
