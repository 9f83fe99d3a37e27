#include "toolchain/tools/postern-list/signature.h"

#include <errno.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hal/base/datetime.h"
#include "hal/base/pem.h"
#include "toolchain/tools/common/external_sort.h"
#include "toolchain/tools/postern-list/commands.h"

#define GPGV "gpgv"
#define WORDS_MAX 400
#define CANNOT_RUN 127 /* what posix_spawnp's child ends with when there is no such program */

/* --- copies that nobody else can change --- */

static FILE *private_copy(struct span bytes)
{
    FILE *f = temporary_file();
    if (f != NULL && fwrite(bytes.p, 1, bytes.len, f) == bytes.len && fflush(f) == 0)
        return f;
    if (f != NULL) {
        fail("temporary file: %s", strerror(errno));
        fclose(f);
    }
    return NULL;
}

static FILE *copy_input(FILE *in, const char *name)
{
    char block[65536];
    size_t got;
    FILE *f = temporary_file();
    while (f != NULL && (got = fread(block, 1, sizeof block, in)) > 0) {
        if (fwrite(block, 1, got, f) != got)
            break;
    }
    if (f == NULL)
        return NULL;
    if (!ferror(in) && feof(in) && fflush(f) == 0)
        return f;
    fail("%s: %s", ferror(in) ? name : "temporary file", strerror(errno));
    fclose(f);
    return NULL;
}

/* ASCII armor (RFC 4880 section 6): headers, an empty line, base64, a checksum line that begins with '='. */
static bool dearmor(struct span text, struct byte_buffer *out)
{
    struct span label, body, line;
    bool more = true;
    if (pem_block(&text, &label, &body) != RC_OK || !span_is(label, "PGP PUBLIC KEY BLOCK"))
        return false;
    struct span rest = body;
    while (span_split(&rest, &more, '\n', &line) && span_trim(line).len > 0 && line.p[0] != '\r')
        ;
    for (size_t at = 0; (at = span_find(rest, at, '\n')) != SIZE_MAX; at++) {
        if (at + 1 < rest.len && rest.p[at + 1] == '=')
            rest.len = at;
    }
    size_t len = 0, cap = PEM_DECODED_MAX(rest.len);
    out->p = tool_alloc(cap, 1);
    out->cap = cap;
    if (pem_decode(rest, out->p, cap, &len) != RC_OK)
        return false;
    out->len = len;
    return true;
}

static FILE *copy_keyring(const char *path)
{
    struct byte_buffer bytes = { NULL, 0, 0 }, plain = { NULL, 0, 0 };
    FILE *f = NULL;
    if (file_read(path, &bytes) != RC_OK)
        return NULL;
    struct span text = byte_buffer_span(&bytes);
    bool armored = span_starts(span_trim(text), "-----BEGIN ");
    if (armored && !dearmor(text, &plain))
        fail("%s: not a public key in ASCII armor", path);
    else
        f = private_copy(armored ? byte_buffer_span(&plain) : text);
    byte_buffer_free(&bytes);
    byte_buffer_free(&plain);
    return f;
}

/* --- running gpgv --- */

/* All that gpgv says. Its exit code, or -1: said on stderr. */
static int run_gpgv(int data, int keyring, const char *signature_path, struct byte_buffer *said)
{
    char keys[32], sig[4096];
    struct strbuf k = STRBUF(keys), s = STRBUF(sig);
    strbuf_printf(&k, "/dev/fd/%d", keyring);
    strbuf_printf(&s, "%s%s", signature_path[0] == '-' ? "./" : "", signature_path);
    const char *const args[] = { GPGV, "--status-fd", "1", "--keyring", keys, sig, "-", NULL };
    int ends[2];
    if (s.overflow || setenv("LC_ALL", "C", 1) != 0 || pipe(ends) != 0)
        return fail("%s: %s", GPGV, strerror(errno)), -1;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, data, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    extern char **environ;
    pid_t child;
    int error = posix_spawnp(&child, GPGV, &actions, NULL, (char *const *)args, environ), status = -1;
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    char block[4096];
    ssize_t got;
    while (error == 0 && ((got = read(ends[0], block, sizeof block)) > 0 || (got < 0 && errno == EINTR)))
        byte_buffer_add(said, block, got > 0 ? (size_t)got : 0);
    close(ends[0]);
    if (error == 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) != CANNOT_RUN)
        return WEXITSTATUS(status);
    fail("%s cannot be run (%s): it checks OpenPGP signatures and is in Debian's package gpgv", GPGV,
         error != 0 ? strerror(error) : "it did not end by itself");
    return -1;
}

/* --- what it says --- */

struct verdict {
    bool good, bad;
    char signer[WORDS_MAX];
    char key[64];
    int64_t made;
    char why[WORDS_MAX]; /* why a signature does not count */
};

/* "GOODSIG 842AEA40C5BCD6E1 Some One <a@b.example>": true, and what follows the keyword. */
static bool status_is(struct span line, const char *keyword, struct span *rest)
{
    size_t len = strlen(keyword);
    if (!span_starts(line, keyword) || (line.len > len && line.p[len] != ' '))
        return false;
    *rest = span_trim(span_from(line, len));
    return true;
}

static void keep(char *out, size_t cap, const char *words, struct span detail)
{
    struct strbuf b = strbuf_on(out, cap);
    strbuf_puts(&b, words);
    strbuf_add_printable(&b, detail, cap - strlen(words) - 8);
}

static void read_valid(struct verdict *v, struct span rest)
{
    struct span fingerprint, date, time;
    bool more = true;
    uint64_t seconds;
    if (!span_split(&rest, &more, ' ', &fingerprint) || !span_split(&rest, &more, ' ', &date) ||
        !span_split(&rest, &more, ' ', &time))
        return;
    keep(v->key, sizeof v->key, "", fingerprint);
    if (span_to_u64(time, &seconds))
        v->made = (int64_t)seconds;
}

static void read_status(struct verdict *v, struct span line)
{
    static const struct {
        const char *keyword, *words;
    } faults[] = {
        { "BADSIG", "the file is not the one that was signed: bad signature by key " },
        { "NO_PUBKEY", "the key that signed is not in the keyring: " },
        { "EXPSIG", "the signature has expired: key " },
        { "EXPKEYSIG", "the key that signed has expired: key " },
        { "REVKEYSIG", "the key that signed was revoked: key " },
    };
    struct span rest;
    if (status_is(line, "GOODSIG", &rest)) {
        v->good = true;
        size_t blank = span_find(rest, 0, ' ');
        keep(v->signer, sizeof v->signer, "", blank == SIZE_MAX ? rest : span_from(rest, blank + 1));
    } else if (status_is(line, "VALIDSIG", &rest)) {
        read_valid(v, rest);
    }
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        if (!status_is(line, faults[i].keyword, &rest))
            continue;
        v->bad = v->bad || i == 0;
        if (v->why[0] == '\0' || i == 0)
            keep(v->why, sizeof v->why, faults[i].words, rest);
    }
}

static void read_verdict(struct span said, struct verdict *v)
{
    static const struct span prefix = { "[GNUPG:] ", 9 };
    struct span line;
    bool more = true;
    char last[WORDS_MAX] = "it says nothing";
    while (span_split(&said, &more, '\n', &line)) {
        if (span_eq(span_sub(line, 0, prefix.len), prefix))
            read_status(v, span_from(line, prefix.len));
        else if (span_trim(line).len > 0)
            keep(last, sizeof last, "", span_trim(line));
    }
    if (v->why[0] == '\0')
        keep(v->why, sizeof v->why, "no signature that " GPGV " can read: ", span_of(last));
}

static bool judge(int data, int keyring, const char *in_name, const char *signature_path)
{
    struct byte_buffer said = { NULL, 0, 0 };
    struct verdict v = { .good = false };
    int code = run_gpgv(data, keyring, signature_path, &said);
    read_verdict(byte_buffer_span(&said), &v);
    byte_buffer_free(&said);
    if (code < 0)
        return false;
    if (code != 0 || !v.good || v.bad) {
        fail("%s: %s: %s", in_name, signature_path, v.why);
        return false;
    }
    char time[40];
    struct strbuf b = STRBUF(time);
    rfc3339_format(&b, v.made);
    fprintf(stderr, "%s: signed by %s, key %s, at %s\n", in_name, v.signer, v.key, time);
    return true;
}

FILE *signed_copy(FILE *in, const char *in_name, const char *signature_path, const char *keyring_path)
{
    FILE *keyring = copy_keyring(keyring_path), *data = keyring != NULL ? copy_input(in, in_name) : NULL;
    bool good = data != NULL;
    if (good && access(signature_path, R_OK) != 0) {
        fail("%s: %s", signature_path, strerror(errno));
        good = false;
    }
    /* gpgv reads the copy from the descriptor's place, which all that share the open file have in common. */
    good = good && fseek(data, 0, SEEK_SET) == 0 && judge(fileno(data), fileno(keyring), in_name, signature_path);
    if (keyring != NULL)
        fclose(keyring);
    if (good && fseek(data, 0, SEEK_SET) == 0)
        return data;
    if (data != NULL)
        fclose(data);
    return NULL;
}
