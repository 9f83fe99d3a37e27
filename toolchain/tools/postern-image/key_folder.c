#include "toolchain/tools/postern-image/key_folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "hal/base/strbuf.h"
#include "hal/random.h"
#include "toolchain/tools/common/image_writer.h"
#include "toolchain/tools/postern-image/commands.h"

#define KEYRING_NAME "keyring.img"

static const struct first_keys {
    unsigned count, threshold;
} first_keys[KEYRING_ROLES] = { [KEYRING_ROOT] = { 3, 2 }, [KEYRING_LIST] = { 1, 1 }, [KEYRING_FIRMWARE] = { 1, 1 } };

const char *key_folder_default(void)
{
    static char path[KEY_PATH_MAX];
    const char *named = getenv("POSTERN_KEYS");
    if (named != NULL && named[0] != '\0')
        return named;
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
    struct span own = span_bytes(path, len > 0 ? (size_t)len : 0);
    size_t tool = span_find_last(own, '/'), folder = tool == SIZE_MAX ? SIZE_MAX : span_find_last(span_sub(own, 0, tool), '/');
    if (folder == SIZE_MAX || folder + sizeof "/keys" > sizeof path)
        return "build/keys";
    memcpy(path + folder, "/keys", sizeof "/keys");
    return path;
}

enum rc key_folder_path(const char *dir, const char *name, char path[KEY_PATH_MAX])
{
    struct strbuf text = strbuf_on(path, KEY_PATH_MAX);
    strbuf_printf(&text, "%s/%s", dir, name);
    return text.overflow ? fail("%s: too long a path", dir) : RC_OK;
}

static enum rc key_path(const char *dir, enum keyring_role role, unsigned number, char path[KEY_PATH_MAX])
{
    char name[32];
    struct strbuf text = STRBUF(name);
    strbuf_printf(&text, "%s-%u.key", keyring_role_name(role), number);
    return key_folder_path(dir, name, path);
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* --- Making --- */

static enum rc get_key(const char *path, bool may_make, struct signing_key *key)
{
    if (exists(path)) {
        enum rc rc = signing_key_read(path, key);
        return rc == RC_OK && !key->has_private ? fail("%s: only the public half of a key", path) : rc;
    }
    if (!may_make)
        return fail("%s is missing, but the keyring is there: is this the whole folder?", path);
    enum rc rc = signing_key_make(path, key);
    if (rc == RC_OK)
        printf("made %s\n", path);
    return rc;
}

static enum rc get_keys(const char *dir, bool may_make, struct keyring_source *s)
{
    enum rc rc = RC_OK;
    for (unsigned role = 0; role < KEYRING_ROLES; role++) {
        s->threshold[role] = first_keys[role].threshold;
        for (unsigned n = 1; rc == RC_OK && n <= first_keys[role].count; n++) {
            char path[KEY_PATH_MAX];
            struct signing_key key = { .has_private = false };
            rc = key_path(dir, (enum keyring_role)role, n, path);
            if (rc == RC_OK)
                rc = get_key(path, may_make, &key);
            s->key[s->count].role = (enum keyring_role)role;
            memcpy(s->key[s->count++].public_xy, key.public_xy, sizeof key.public_xy);
            signing_key_wipe(&key);
        }
    }
    return rc;
}

static enum rc make_keyring(const char *dir, const struct keyring_source *s, const char *path)
{
    struct byte_buffer keys = { NULL, 0, 0 }, image = { NULL, 0, 0 };
    enum rc rc = keyring_write(s, &keys) == RC_OK ? RC_OK : fail("%s: these keys make no keyring: is one there twice?", dir);
    struct image_source_section section = { IMAGE_KEYS, byte_buffer_span(&keys) };
    struct image_source source = { .kind = IMAGE_KEYRING, .board = "any", .version = s->version, .sections = &section, .count = 1 };
    source.created = (int64_t)time(NULL);
    if (rc == RC_OK && image_write(&source, &image) != RC_OK)
        rc = fail("the keyring does not read back");
    if (rc == RC_OK)
        rc = key_folder_sign(dir, KEYRING_ROOT, &image);
    if (rc == RC_OK)
        rc = file_write(path, byte_buffer_span(&image));
    if (rc == RC_OK)
        printf("made %s\n", path);
    byte_buffer_free(&keys);
    byte_buffer_free(&image);
    return rc;
}

static enum rc make_folder(const char *dir)
{
    if (mkdir(dir, 0700) == 0 || errno == EEXIST)
        return RC_OK;
    return fail("%s: %s", dir, strerror(errno));
}

enum rc key_folder_make(const char *dir)
{
    char path[KEY_PATH_MAX];
    struct keyring_source s = { .version = 1 };
    enum rc rc = make_folder(dir);
    if (rc == RC_OK && random_init() != RC_OK)
        rc = fail("no random numbers on this machine");
    if (rc == RC_OK)
        rc = key_folder_path(dir, KEYRING_NAME, path);
    if (rc != RC_OK)
        return rc;
    bool had_keyring = exists(path);
    rc = get_keys(dir, !had_keyring, &s);
    return rc == RC_OK && !had_keyring ? make_keyring(dir, &s, path) : rc;
}

/* --- Signing --- */

enum rc key_sign(const struct signing_key *key, const char *where, struct byte_buffer *image)
{
    enum rc rc = key->has_private ? image_sign(image->p, image->len, key->private_key) : RC_INVALID;
    if (!key->has_private)
        return fail("%s: only the public half of a key", where);
    if (rc == RC_BUSY)
        return fail("%s: this key has signed the image already", where);
    return rc == RC_OK ? RC_OK : fail("%s: %s", where, rc == RC_FULL ? "no room for one more signature" : "cannot sign with it");
}

enum rc key_folder_sign(const char *dir, enum keyring_role role, struct byte_buffer *image)
{
    char path[KEY_PATH_MAX];
    unsigned number = 1;
    for (;; number++) {
        struct signing_key key;
        enum rc rc = key_path(dir, role, number, path);
        if (rc == RC_OK && !exists(path))
            break;
        if (rc == RC_OK)
            rc = signing_key_read(path, &key);
        if (rc != RC_OK)
            return rc;
        rc = key_sign(&key, path, image);
        signing_key_wipe(&key);
        if (rc != RC_OK)
            return rc;
    }
    return number > 1 ? RC_OK : fail("%s is missing: 'postern-image keys' makes keys, --keys names another folder", path);
}
