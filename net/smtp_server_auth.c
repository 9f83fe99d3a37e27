/* AUTH PLAIN and LOGIN (RFC 4954, RFC 4616), over TLS only and never on the port of an MX. Credentials live in the session's
 * line and data buffers and are wiped before the reply goes out. */
#include "net/smtp_server_private.h"

#include <string.h>

#include "hal/base/base64.h"
#include "hal/base/secret.h"

#define LOGIN_PART_MAX 256

static void wipe_credentials(struct smtp_server *s)
{
    secret_wipe(s->data, sizeof s->data);
    secret_wipe(s->line, sizeof s->line);
}

bool smtp_server_offers_auth(const struct smtp_server *s)
{
    return s->params->ops->auth != NULL && s->tls && s->params->service != SMTP_SERVICE_MX;
}

/* Decodes one base64 answer into memory; "=" stands for an empty one. */
static bool decode(struct span text, void *out, size_t cap, size_t *len)
{
    *len = 0;
    if (span_is(text, "="))
        return true;
    return base64_decode(text, out, cap, len) == RC_OK;
}

/* The client's answer to a challenge. *given is false when the exchange is over with a reply already sent. */
static enum rc challenge(struct smtp_server *s, const char *text, struct span *line, bool *given)
{
    *given = false;
    enum rc rc = smtp_server_reply(s, 334, "", text);
    if (rc == RC_OK)
        rc = smtp_server_line(s, line);
    if (rc != RC_OK || line->p == NULL)
        return rc;
    if (span_is(*line, "*"))
        return smtp_server_refuse(s, 501, "5.7.0", PACKED("authentication given up"));
    *given = true;
    return RC_OK;
}

static enum rc judge(struct smtp_server *s, struct span user, struct span password)
{
    smtp_answer(&s->answer, 454, "4.7.0", "temporary authentication failure");
    s->params->ops->auth(s->params->ctx, s, user, password, &s->answer);
    wipe_credentials(s);
    s->authenticated = s->answer.code == 235;
    if (s->answer.code >= 400)
        s->errors++;
    return smtp_server_say(s, &s->answer);
}

static enum rc bad_encoding(struct smtp_server *s)
{
    wipe_credentials(s);
    return smtp_server_refuse(s, 501, "5.5.2", PACKED("malformed credentials"));
}

/* authzid NUL authcid NUL password; acting for somebody else is not offered. */
static enum rc plain(struct smtp_server *s, struct span initial)
{
    struct span line = initial;
    if (initial.len == 0) {
        bool given;
        enum rc rc = challenge(s, "", &line, &given);
        if (rc != RC_OK || !given)
            return rc;
    }
    size_t len;
    if (!decode(line, s->data, sizeof s->data, &len))
        return bad_encoding(s);
    struct span all = span_bytes(s->data, len);
    size_t first = span_find(all, 0, '\0');
    size_t second = first == SIZE_MAX ? SIZE_MAX : span_find(all, first + 1, '\0');
    if (second == SIZE_MAX)
        return bad_encoding(s);
    struct span authzid = span_sub(all, 0, first);
    struct span user = span_sub(all, first + 1, second - first - 1);
    struct span password = span_from(all, second + 1);
    if (user.len == 0 || span_find(password, 0, '\0') != SIZE_MAX)
        return bad_encoding(s);
    if (authzid.len > 0 && !span_eq(authzid, user)) {
        wipe_credentials(s);
        return smtp_server_refuse(s, 535, "5.7.8", PACKED("acting for another user is not offered"));
    }
    return judge(s, user, password);
}

static enum rc login(struct smtp_server *s, struct span initial)
{
    struct span line = initial;
    bool given = true;
    enum rc rc = initial.len > 0 ? RC_OK : challenge(s, "VXNlcm5hbWU6", &line, &given);
    if (rc != RC_OK || !given)
        return rc;
    size_t user_len, password_len;
    if (!decode(line, s->data, LOGIN_PART_MAX, &user_len) || user_len == 0)
        return bad_encoding(s);
    rc = challenge(s, "UGFzc3dvcmQ6", &line, &given);
    if (rc != RC_OK || !given) {
        wipe_credentials(s);
        return rc;
    }
    if (!decode(line, s->data + LOGIN_PART_MAX, LOGIN_PART_MAX, &password_len))
        return bad_encoding(s);
    return judge(s, span_bytes(s->data, user_len), span_bytes(s->data + LOGIN_PART_MAX, password_len));
}

enum rc smtp_server_auth(struct smtp_server *s, struct span args)
{
    if (s->params->ops->auth == NULL || s->params->service == SMTP_SERVICE_MX)
        return smtp_server_refuse(s, 502, "5.5.1", PACKED("AUTH is not offered"));
    if (!s->tls)
        return smtp_server_refuse(s, 538, "5.7.11", PACKED("AUTH needs TLS"));
    if (s->helo[0] == '\0' || s->authenticated || s->mail_open)
        return smtp_server_refuse(s, 503, "5.5.1", PACKED("AUTH is not possible now"));
    size_t end = span_find(args, 0, ' ');
    struct span mechanism = span_sub(args, 0, end);
    struct span initial = end == SIZE_MAX ? span_sub(args, 0, 0) : span_trim(span_from(args, end));
    if (span_is_nocase(mechanism, "PLAIN"))
        return plain(s, initial);
    if (span_is_nocase(mechanism, "LOGIN"))
        return login(s, initial);
    return smtp_server_refuse(s, 504, "5.5.4", PACKED("mechanism not offered"));
}
