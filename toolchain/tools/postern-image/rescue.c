/* postern-image rescue: the queued mail of a dead box, from the contents of its data flash. */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "toolchain/tools/postern-image/commands.h"
#include "toolchain/tools/common/rescued_mail.h"

struct tally {
    unsigned whole, damaged, settled, unfinished;
};

/* A folder of one's own for other people's mail: made for the owner alone, or there and empty. */
static enum rc prepare_folder(const char *path)
{
    if (mkdir(path, 0700) == 0)
        return RC_OK;
    DIR *dir = errno == EEXIST ? opendir(path) : NULL;
    if (dir == NULL)
        return fail("%s: %s", path, strerror(errno));
    unsigned entries = 0;
    while (readdir(dir) != NULL)
        entries++;
    (void)closedir(dir);
    return entries == 2 ? RC_OK : fail("%s: there already, and not empty", path);
}

static void say_mail(const struct rescued_mail *m)
{
    printf("%08X  <%s>  %u of %u recipients wait  %zu bytes%s%s\n", (unsigned)m->id, m->no_envelope ? "?" : m->envelope.sender,
           m->waiting, m->recipient_count, m->body.len, m->held ? "  held" : "",
           m->kind == RESCUE_UNFINISHED ? "  unfinished"
           : rescued_mail_whole(m)      ? ""
                                        : "  damaged");
}

static enum rc take(const struct scan_record *records, size_t count, const char *folder, bool unfinished, struct tally *t)
{
    struct rescued_mail m;
    enum rc rc = RC_OK;
    rescued_mail_read(&m, records, count);
    if (m.kind == RESCUE_QUEUED || (m.kind == RESCUE_UNFINISHED && unfinished)) {
        rc = rescued_mail_write(&m, folder);
        say_mail(&m);
    }
    t->settled += m.kind == RESCUE_SETTLED;
    t->unfinished += m.kind == RESCUE_UNFINISHED;
    t->whole += m.kind == RESCUE_QUEUED && rescued_mail_whole(&m);
    t->damaged += m.kind == RESCUE_QUEUED && !rescued_mail_whole(&m);
    rescued_mail_free(&m);
    return rc;
}

static void say_result(const struct tally *t, const struct spool_scan *s, const char *folder, bool unfinished)
{
    printf("%s: %u queued mail%s, %u of them damaged\n", folder, t->whole + t->damaged, t->whole + t->damaged == 1 ? "" : "s",
           t->damaged);
    if (t->settled > 0)
        printf("%u more had been settled\n", t->settled);
    if (t->unfinished > 0)
        printf("%u more had never been accepted%s\n", t->unfinished, unfinished ? "" : "; --unfinished writes them, too");
    if (s->lost_bytes > 0)
        printf("%" PRIu64 " bytes of the log cannot be read: a mail may be missing\n", s->lost_bytes);
}

static int rescue(const char *image, const char *folder, bool unfinished)
{
    struct byte_buffer flash = { .len = 0 };
    struct spool_scan s;
    struct tally t = { .whole = 0 };
    if (file_read(image, &flash) != RC_OK)
        return 1;
    if (spool_scan(&s, byte_buffer_span(&flash)) != RC_OK) {
        (void)fail("%s: there is no spool in it: not the contents of a box's data flash, or no mail ever came", image);
        return 1;
    }
    enum rc rc = prepare_folder(folder);
    for (size_t from = 0, to; rc == RC_OK && from < s.count; from = to) {
        for (to = from + 1; to < s.count && s.records[to].h.id == s.records[from].h.id;)
            to++;
        rc = take(s.records + from, to - from, folder, unfinished, &t);
    }
    if (rc == RC_OK)
        say_result(&t, &s, folder, unfinished);
    int result = rc == RC_OK && t.damaged == 0 && s.lost_bytes == 0 ? 0 : 1;
    spool_scan_free(&s);
    byte_buffer_free(&flash);
    return result;
}

int command_rescue(int argc, char **argv)
{
    static const struct option options[] = {
        { "unfinished", no_argument, NULL, 'u' },
        { "out", required_argument, NULL, 'o' },
        { NULL, 0, NULL, 0 },
    };
    const char *folder = NULL;
    bool unfinished = false;
    int option;
    while ((option = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
        if (option == '?')
            return 2;
        if (option == 'o')
            folder = optarg;
        else
            unfinished = true;
    }
    if (folder == NULL || optind + 1 != argc)
        return bad_usage();
    return rescue(argv[optind], folder, unfinished);
}
