/* compile: from a policy.json to a list. */
#include <errno.h>
#include <getopt.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hal/base/datetime.h"
#include "toolchain/tools/postern-list/commands.h"
#include "toolchain/tools/postern-list/list_file.h"
#include "toolchain/tools/common/progress.h"
#include "toolchain/tools/postern-list/signature.h"

struct options {
    const char *in, *out, *previous, *signature, *keyring;
    bool progress, lenient;
};

static uint64_t in_bytes; /* 0: not known */

static void tick_reading(uint64_t bytes)
{
    progress_show("reading, bytes", bytes, in_bytes);
}

/* --- the order of time --- */

struct moment {
    char text[32];
};

static struct moment moment_of(int64_t unix_s)
{
    struct moment m = { "" };
    struct strbuf b = STRBUF(m.text);
    rfc3339_format(&b, unix_s);
    return m;
}

static bool follows(const struct options *o, const struct policy_json *p, const char *before_path, const struct list_info *before)
{
    if (p->timestamp >= before->timestamp)
        return true;
    fail("%s: timestamp: %s goes back behind %s of %s", o->in, moment_of(p->timestamp).text, moment_of(before->timestamp).text,
         before_path);
    return false;
}

/* What stands where the output goes is written over only if it is a list that this one follows. */
static bool follows_output(const struct options *o, const struct policy_json *p)
{
    struct stat st;
    struct loaded l = { .file = { NULL, 0, 0 } };
    if (stat(o->out, &st) != 0) {
        if (errno != ENOENT)
            fail("%s: %s", o->out, strerror(errno));
        return errno == ENOENT;
    }
    if (!S_ISREG(st.st_mode)) {
        fail("%s: not a regular file", o->out);
        return false;
    }
    if (st.st_size == 0)
        return true;
    if (file_read(o->out, &l.file) != RC_OK)
        return false;
    l.bytes = byte_buffer_span(&l.file);
    l.reader = reader_on_span(&l.bytes);
    bool good = span_starts(l.bytes, "PLST");
    if (!good)
        fail("%s: is there and is not a compiled list; it is kept as it is", o->out);
    else if (list_open(&l.list, &l.reader) == RC_OK)
        good = follows(o, p, o->out, &l.list.info);
    byte_buffer_free(&l.file);
    return good;
}

/* --- compiling --- */

struct counted { /* passes of the writer over the entries */
    struct policy_json *policies;
    unsigned pass;
    size_t given;
};

static enum rc counted_rewind(void *ctx)
{
    struct counted *c = ctx;
    c->pass++;
    c->given = 0;
    return policy_json_rewind(c->policies);
}

static enum rc counted_next(void *ctx, struct list_source_domain *out)
{
    struct counted *c = ctx;
    char what[48];
    if (++c->given % 1024 == 0) {
        snprintf(what, sizeof what, "compiling, pass %u, domains", c->pass);
        progress_show(what, c->given, c->policies->count);
    }
    return policy_json_next(c->policies, out);
}

static int write_list(const struct options *o, struct policy_json *policies, const struct list *previous)
{
    struct counted c = { .policies = policies };
    struct list_input input = policies_as_input(policies);
    input.before = previous;
    input.ctx = &c;
    input.rewind = counted_rewind;
    input.next = counted_next;
    struct byte_buffer image = { NULL, 0, 0 };
    enum rc rc = list_write_sorted(&input, &image);
    progress_end();
    if (rc != RC_OK && previous != NULL)
        fail("%s: is damaged, or the list of %s does not read back as it was written (%s)", o->previous, o->in, rc_name(rc));
    else if (rc != RC_OK)
        fail("%s: the list does not read back as it was written (%s)", o->in, rc_name(rc));
    else
        rc = file_write(o->out, byte_buffer_span(&image));
    if (rc == RC_OK)
        printf("%s: %zu domains, %zu bytes\n", o->out, policies->count, image.len);
    byte_buffer_free(&image);
    return rc == RC_OK ? 0 : 1;
}

static int compile_file(const struct options *o, FILE *file)
{
    struct stat st;
    struct policy_json policies;
    in_bytes = fstat(fileno(file), &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
    progress_start(o->progress);
    enum rc rc = read_policies(file, o->in, o->lenient, tick_reading, &policies);
    progress_end();
    if (rc != RC_OK)
        return 1;
    struct loaded previous = { .file = { NULL, 0, 0 } };
    bool good = o->previous == NULL || (load(&previous, o->previous) && follows(o, &policies, o->previous, &previous.list.info));
    int result = good && follows_output(o, &policies) ? write_list(o, &policies, o->previous ? &previous.list : NULL) : 1;
    byte_buffer_free(&previous.file);
    policy_json_close(&policies);
    return result;
}

static bool read_options(int argc, char **argv, struct options *o)
{
    static const struct option known[] = {
        { "previous", required_argument, NULL, 'p' }, { "signature", required_argument, NULL, 's' },
        { "keyring", required_argument, NULL, 'k' },  { "progress", no_argument, NULL, 'P' },
        { "lenient", no_argument, NULL, 'l' },        { 0 },
    };
    int option;
    while ((option = getopt_long(argc, argv, "o:", known, NULL)) != -1) {
        switch (option) {
        case 'o':
            o->out = optarg;
            break;
        case 'p':
            o->previous = optarg;
            break;
        case 's':
            o->signature = optarg;
            break;
        case 'k':
            o->keyring = optarg;
            break;
        case 'P':
            o->progress = true;
            break;
        case 'l':
            o->lenient = true;
            break;
        default:
            return false;
        }
    }
    o->in = argv[optind];
    return o->out != NULL && optind + 1 == argc && (o->signature == NULL) == (o->keyring == NULL);
}

int command_compile(int argc, char **argv)
{
    struct options o = { .progress = isatty(STDERR_FILENO) == 1 };
    if (!read_options(argc, argv, &o))
        return bad_usage();
    FILE *in = open_input(o.in), *checked = in;
    if (in == NULL)
        return 1;
    if (o.signature != NULL)
        checked = signed_copy(in, o.in, o.signature, o.keyring);
    int result = checked != NULL ? compile_file(&o, checked) : 1;
    if (checked != NULL && checked != in)
        fclose(checked);
    if (in != stdin)
        fclose(in);
    return result;
}
