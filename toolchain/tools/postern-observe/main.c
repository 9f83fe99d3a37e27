/* postern-observe, run as `postern-list observe`: looks at the MTA-STS policies of a list's domains and of candidates, and writes the next
 * list for the operator to review, sign and publish. It is a program of its own so that what compiles and checks lists links neither TLS
 * nor HTTP. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <time.h>
#include <unistd.h>

#include "hal/base/datetime.h"
#include "toolchain/tools/common/command_line.h"
#include "toolchain/tools/common/progress.h"
#include "toolchain/tools/postern-observe/publish.h"
#include "toolchain/tools/postern-observe/state.h"

static const char usage[] =
    "usage: postern-list observe LIST.json --state FILE -o NEW.json [OPTION...]\n"
    "  --state FILE         what is remembered between observations; made when it is not there\n"
    "  -o NEW.json          the next list; may be LIST.json itself\n"
    "  --candidates FILE    domains, one a line, that are added after enough days of a valid enforce policy\n"
    "  --days N             so many days running (14)\n"
    "  --follow all|FILE    entries of the list that came from MTA-STS, and follow it from the next valid policy on\n"
    "  --except FILE        domains that are left alone: not added, changed or dropped\n"
    "  --valid DAYS         how long the new list holds (14)\n"
    "  --author TEXT        the new list's author (as before)\n"
    "  --report FILE        the report goes there instead of to the standard output\n"
    "  --parallel N, --per-address N   domains at once (32), connections to one address at once (2)\n"
    "  --timeout S          for one policy file (60)\n"
    "  --resolver ADDRESS:PORT, --cacert FILE, --connect-port N, --local-addresses, --now TIME   for trials\n";

struct options {
    const char *list, *out, *state, *candidates, *follow, *except, *author, *report;
    unsigned days, valid_days;
    int64_t now;
    struct fetch_options fetch;
};

struct outcome {
    enum decision decision;
    char *words; /* NULL: nothing that the operator needs to read */
};

struct observation {
    const struct options *options;
    struct subjects subjects;
    struct outcome *outcomes; /* one a subject */
    size_t done;
    unsigned by_outcome[FETCH_TEMPORARY + 1];
};

__attribute__((format(printf, 1, 2))) static int fail(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    tool_complain(format, ap);
    va_end(ap);
    return 1;
}

/* --- observing --- */

static const char *domain_of(void *ctx, size_t i)
{
    return ((struct observation *)ctx)->subjects.all[i].name;
}

static void on_done(void *ctx, size_t i, const struct fetch_result *r)
{
    struct observation *o = ctx;
    struct subject *s = &o->subjects.all[i];
    struct judgement j;
    decide(s, r, o->options->now, o->options->days, &j);
    if (j.decision == DECIDED_ADDED || j.decision == DECIDED_CHANGED)
        subject_set_policy(s, &j.policy);
    s->listed = (s->listed && j.decision != DECIDED_DROPPED) || j.decision == DECIDED_ADDED;
    o->outcomes[i] = (struct outcome){ j.decision, j.quiet ? NULL : tool_copy(span_of(j.words)) };
    o->by_outcome[r->outcome]++;
    progress_show("observing, domains", ++o->done, o->subjects.count);
}

/* --- the report --- */

static void report_entry(FILE *f, const struct subject *s, const struct outcome *o)
{
    static const char *const words[] = { [DECIDED_KEPT] = "kept",
                                         [DECIDED_CHANGED] = "changed",
                                         [DECIDED_ADDED] = "added",
                                         [DECIDED_DROPPED] = "dropped",
                                         [DECIDED_NOT_LISTED] = "not added" };
    if (o->words != NULL)
        fprintf(f, "%-9s %s: %s\n", words[o->decision], s->name, o->words);
}

static bool write_report(const struct observation *o)
{
    const char *path = o->options->report;
    FILE *f = path != NULL ? fopen(path, "w") : stdout;
    unsigned by_decision[DECIDED_NOT_LISTED + 1] = { 0 };
    if (f == NULL)
        return fail("%s: %s", path, strerror(errno)), false;
    for (size_t i = 0; i < o->subjects.count; i++) {
        report_entry(f, &o->subjects.all[i], &o->outcomes[i]);
        by_decision[o->outcomes[i].decision]++;
    }
    fprintf(f, "# %zu domains: %u valid, %u without MTA-STS, %u broken, %u not to be reached\n", o->subjects.count,
            o->by_outcome[FETCH_VALID], o->by_outcome[FETCH_GONE], o->by_outcome[FETCH_BROKEN], o->by_outcome[FETCH_TEMPORARY]);
    fprintf(f, "# %u added, %u changed, %u dropped, %u kept\n", by_decision[DECIDED_ADDED], by_decision[DECIDED_CHANGED],
            by_decision[DECIDED_DROPPED], by_decision[DECIDED_KEPT]);
    bool good = fflush(f) == 0 && !ferror(f);
    if (path != NULL)
        good = fclose(f) == 0 && good;
    return good || (fail("the report cannot be written: %s", strerror(errno)), false);
}

/* --- all in turn --- */

static bool open_list(const char *path, struct policy_json *list)
{
    struct policy_report report = { .file = path };
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return fail("%s: %s", path, strerror(errno)), false;
    enum rc rc = policy_json_open(list, f, &report, NULL);
    policy_report_print(&report);
    fclose(f);
    return rc == RC_OK;
}

static bool collect(const struct options *o, struct policy_json *list, struct subjects *s)
{
    int64_t observed = 0;
    if (!subjects_add_list(s, list) || (o->candidates != NULL && !subjects_add_candidates(s, o->candidates)))
        return false;
    subjects_sort(s);
    if (!state_read(o->state, s, &observed))
        return false;
    if (o->follow != NULL && !subjects_mark_followed(s, o->follow))
        return false;
    if (o->except != NULL && !subjects_mark_excepted(s, o->except))
        return false;
    if (o->now < observed || o->now <= list->timestamp)
        return fail("the clock stands before the %s; nothing is observed",
                    o->now < observed ? "last observation" : "list's timestamp"),
               false;
    return true;
}

static int observe(const struct options *options, struct observation *o, struct policy_json *list)
{
    if (!collect(options, list, &o->subjects))
        return 1;
    const size_t count = o->subjects.count;
    o->outcomes = tool_alloc(count, sizeof *o->outcomes);
    const struct fetch_work work = { .ctx = o, .count = count, .domain = domain_of, .done = on_done };
    progress_start(isatty(STDERR_FILENO) == 1);
    bool good = fetch_all(&options->fetch, &work);
    progress_end();
    if (!good || !write_report(o))
        return 1;
    if (count > 0 && o->by_outcome[FETCH_TEMPORARY] == count)
        return fail("no domain could be observed, so there is no new list; see to the network and the resolver");
    const char *author = options->author != NULL ? options->author : list->author;
    if (!publish(options->out, &o->subjects, list, author, options->now, options->now + (int64_t)options->valid_days * DAY_S))
        return 1;
    return state_write(options->state, &o->subjects, options->now) ? 0 : 1;
}

/* --- options --- */

static bool number(const char *text, unsigned low, unsigned high, unsigned *out)
{
    uint32_t n;
    if (!span_to_u32(span_of(text), &n) || n < low || n > high)
        return fail("%s: not a number from %u to %u", text, low, high), false;
    *out = n;
    return true;
}

static bool take_option(struct options *o, int option, const char *value)
{
    switch (option) {
    case 'o':
        o->out = value;
        return true;
    case 's':
        o->state = value;
        return true;
    case 'c':
        o->candidates = value;
        return true;
    case 'f':
        o->follow = value;
        return true;
    case 'e':
        o->except = value;
        return true;
    case 'a':
        o->author = value;
        return true;
    case 'R':
        o->report = value;
        return true;
    case 'r':
        o->fetch.resolver = value;
        return true;
    case 'C':
        o->fetch.cacert = value;
        return true;
    case 'L':
        o->fetch.local = true;
        return true;
    case 'd':
        return number(value, 0, 3650, &o->days);
    case 'v':
        return number(value, 1, 3650, &o->valid_days);
    case 'p':
        return number(value, 1, 65535, &o->fetch.port);
    case 'P':
        return number(value, 1, FETCH_PARALLEL_MAX, &o->fetch.parallel);
    case 'A':
        return number(value, 1, FETCH_PARALLEL_MAX, &o->fetch.per_address);
    case 't':
        return number(value, 1, 3600, &o->fetch.timeout_s);
    case 'n':
        return rfc3339_parse(span_of(value), &o->now) == RC_OK || (fail("%s: not an RFC 3339 time", value), false);
    default:
        return false;
    }
}

static bool read_options(int argc, char **argv, struct options *o)
{
    static const struct option known[] = {
        { "state", required_argument, NULL, 's' },
        { "candidates", required_argument, NULL, 'c' },
        { "follow", required_argument, NULL, 'f' },
        { "except", required_argument, NULL, 'e' },
        { "author", required_argument, NULL, 'a' },
        { "report", required_argument, NULL, 'R' },
        { "resolver", required_argument, NULL, 'r' },
        { "cacert", required_argument, NULL, 'C' },
        { "local-addresses", no_argument, NULL, 'L' },
        { "days", required_argument, NULL, 'd' },
        { "valid", required_argument, NULL, 'v' },
        { "connect-port", required_argument, NULL, 'p' },
        { "parallel", required_argument, NULL, 'P' },
        { "per-address", required_argument, NULL, 'A' },
        { "timeout", required_argument, NULL, 't' },
        { "now", required_argument, NULL, 'n' },
        { 0 },
    };
    int option;
    while ((option = getopt_long(argc, argv, "o:", known, NULL)) != -1) {
        if (!take_option(o, option, optarg))
            return false;
    }
    o->list = argv[optind];
    return o->out != NULL && o->state != NULL && optind + 1 == argc;
}

int main(int argc, char **argv)
{
    struct options options = { .days = 14,
                               .valid_days = 14,
                               .now = (int64_t)time(NULL),
                               .fetch = { .port = 443, .parallel = 32, .per_address = 2, .timeout_s = 60 } };
    if (argc == 2 && (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0)) {
        fputs(usage, stdout);
        return 0;
    }
    if (!read_options(argc, argv, &options)) {
        fputs(usage, stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN); /* a server that hangs up is an error of that server */
    struct policy_json list;
    struct observation o = { .options = &options };
    if (!open_list(options.list, &list))
        return 1;
    int result = observe(&options, &o, &list);
    for (size_t i = 0; o.outcomes != NULL && i < o.subjects.count; i++)
        free(o.outcomes[i].words);
    free(o.outcomes);
    subjects_free(&o.subjects);
    policy_json_close(&list);
    return result;
}
