/* The commands' functions, by file: console_settings.c, console_queue.c, console_mail.c (policy), console_dns.c,
 * console_cert.c, console_check.c, console_check_domain.c, console_list.c, console_stats.c, console_box.c. */
#ifndef FIRMWARE_CONSOLE_COMMANDS_H
#define FIRMWARE_CONSOLE_COMMANDS_H

#include "firmware/console.h"
#include "firmware/next_hop.h"
#include "firmware/spool.h"
#include "policy/list.h"

/* What is too large for the stack. One command runs at a time, so they share it; a member is good for one step of one command. */
extern union command_memory {
    struct {
        struct list_entry entry;
        struct verdict verdict;
        struct next_hop hop;
    } policy;
    struct {
        struct list_entry entry;
        struct list_search search;
    } list;
    struct dns_answer answer;
    struct {
        struct spool_recipient recipient;
        struct spool_envelope envelope;
    } mail;
} command_memory;

void command_help(const struct command_line *c);
void command_show(const struct command_line *c);
void command_set(const struct command_line *c);
void command_unset(const struct command_line *c);
void command_commit(const struct command_line *c);
void command_discard(const struct command_line *c);
void command_queue(const struct command_line *c);
void command_policy(const struct command_line *c);
void command_list(const struct command_line *c);
void list_receive(const struct command_line *c); /* console_receive.c: list receive [BYTES] */
void command_cert(const struct command_line *c);
void command_check(const struct command_line *c);
void check_domain(const struct command_line *c); /* console_check_domain.c: check DOMAIN */
void command_dns(const struct command_line *c);
void command_status(const struct command_line *c);
void command_log(const struct command_line *c);
void command_trace(const struct command_line *c);
void command_stats(const struct command_line *c);
void command_time(const struct command_line *c);
void command_reboot(const struct command_line *c);
void command_factory_reset(const struct command_line *c);

/* console_check.c: how outsiders see the box, as a line behind a label, and as an object. */
void say_outside(const char *label, bool with_times);
void json_outside(void);
struct strbuf;
/* console_mail.c: what stands for a canonical domain, as lines, or as members of an object that is open. */
enum next_hop_kind show_policy(const char *domain, bool json);
/* Text of several lines: each behind indent, or as an array of strings. */
void say_lines(const char *text, const char *indent);
void json_lines(const char *key, const char *text);
/* The n-th word as a domain name in canonical form; says what is wrong if it is none. */
bool domain_word(const struct command_line *c, unsigned n, struct strbuf *domain);
/* The same, or an address literal in its one spelling. */
bool mail_domain_word(const struct command_line *c, unsigned n, struct strbuf *domain);
/* "in 3 min", "5 s ago", "never" for texts about times. Appends. */
void add_when(struct strbuf *out, int64_t unix_s, int64_t now);

#endif
