/* What we offer and accept: TLS 1.2 with ECDHE and AEAD, and TLS 1.3; which of our certificates a client gets. */
#include <string.h>

#include <mbedtls/ssl_ciphersuites.h>

#include "hal/base/ipaddr.h"
#include "net/tls_internal.h"

/* ChaCha20 comes first where AES has no hardware: it is faster there and runs in constant time. */
#if defined(MBEDTLS_AESNI_C)
#define BY_SPEED(aes_128, aes_256, chacha) aes_128, chacha, aes_256
#else
#define BY_SPEED(aes_128, aes_256, chacha) chacha, aes_128, aes_256
#endif

static const int suites[] = {
    BY_SPEED(MBEDTLS_TLS1_3_AES_128_GCM_SHA256, MBEDTLS_TLS1_3_AES_256_GCM_SHA384, MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256),
    BY_SPEED(MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
             MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    BY_SPEED(MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
             MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
    0,
};

static const uint16_t groups[] = { MBEDTLS_SSL_IANA_TLS_GROUP_X25519, MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
                                   MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1, MBEDTLS_SSL_IANA_TLS_GROUP_SECP521R1,
                                   MBEDTLS_SSL_IANA_TLS_GROUP_NONE };

/* The client's hello is parsed, SNI included, and nothing chosen yet. An SNI that is no name counts as none. */
static int choose_credentials(mbedtls_ssl_context *ssl)
{
    struct tls_session *t = mbedtls_ssl_get_user_data_p(ssl);
    size_t len = 0;
    if (t->credentials != NULL)
        return 0; /* the second hello, after a HelloRetryRequest */
    const unsigned char *raw = mbedtls_ssl_get_hs_sni(ssl, &len);
    struct strbuf sni = STRBUF(t->params->facts->sni);
    if (raw == NULL || domain_canonical(span_bytes(raw, len), &sni) != RC_OK)
        strbuf_clear(&sni);
    t->credentials = t->params->select(t->params->select_ctx, sni.len > 0 ? sni.p : NULL);
    if (t->credentials == NULL)
        return MBEDTLS_ERR_SSL_BAD_CONFIG;
    tls_key_view_open(&t->key, t->credentials);
    return mbedtls_ssl_set_hs_own_cert(ssl, tls_credentials_chain(t->credentials), &t->key.pk);
}

static int set_client_name(struct tls_session *t)
{
    const char *name = t->params->server_name;
    struct ip_addr_any address;
    if (name == NULL || ip_parse(span_of(name), &address) == RC_OK)
        return mbedtls_ssl_set_hostname(&t->ssl, NULL); /* RFC 6066 section 3: no addresses */
    char text[DOMAIN_TEXT_MAX];
    struct strbuf canonical = STRBUF(text);
    if (domain_canonical(span_of(name), &canonical) != RC_OK)
        return MBEDTLS_ERR_SSL_BAD_INPUT_DATA;
    struct strbuf sni = STRBUF(t->params->facts->sni);
    strbuf_add(&sni, strbuf_span(&canonical));
    return mbedtls_ssl_set_hostname(&t->ssl, text);
}

int tls_configure(struct tls_session *t)
{
    mbedtls_ssl_config *conf = &t->conf;
    bool client = t->params->role == TLS_CLIENT;
    int error = mbedtls_ssl_config_defaults(conf, client ? MBEDTLS_SSL_IS_CLIENT : MBEDTLS_SSL_IS_SERVER,
                                            MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
    if (error != 0)
        return error;
    mbedtls_ssl_conf_rng(conf, tls_rng, NULL);
    mbedtls_ssl_conf_ciphersuites(conf, suites);
    mbedtls_ssl_conf_groups(conf, groups);
    mbedtls_ssl_conf_min_tls_version(conf, t->params->tls13_only ? MBEDTLS_SSL_VERSION_TLS1_3 : MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_max_tls_version(conf, MBEDTLS_SSL_VERSION_TLS1_3);
    mbedtls_ssl_conf_tls13_key_exchange_modes(conf, MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL);
    if (t->params->alpn[0] != NULL) {
        error = mbedtls_ssl_conf_alpn_protocols(conf, (const char **)t->params->alpn);
        if (error != 0)
            return error;
    }
    if (client)
        tls_verify_configure(t);
    else
        mbedtls_ssl_conf_cert_cb(conf, choose_credentials);
    mbedtls_ssl_set_user_data_p(&t->ssl, t);
    error = mbedtls_ssl_setup(&t->ssl, conf);
    return error != 0 || !client ? error : set_client_name(t);
}

/* mbedTLS's TLS1-3-AES-128-GCM-SHA256 is IANA's TLS_AES_128_GCM_SHA256. */
static void put_suite(struct strbuf *out, const char *name)
{
    strbuf_puts(out, "TLS");
    for (name = strchr(name, '-') + (strncmp(name, "TLS1-3", 6) == 0 ? 2 : 0); *name != '\0'; name++)
        strbuf_putc(out, *name == '-' ? '_' : *name);
}

void tls_handshake_facts(struct tls_session *t, struct tls_facts *facts)
{
    struct strbuf version = STRBUF(facts->version), name = STRBUF(facts->suite), alpn = STRBUF(facts->alpn);
    strbuf_puts(&version, mbedtls_ssl_get_version(&t->ssl));
    const mbedtls_ssl_ciphersuite_t *suite = mbedtls_ssl_ciphersuite_from_id(mbedtls_ssl_get_ciphersuite_id_from_ssl(&t->ssl));
    put_suite(&name, mbedtls_ssl_ciphersuite_get_name(suite));
    facts->key_bits = (uint16_t)mbedtls_ssl_ciphersuite_get_cipher_key_bitlen(suite);
    const char *protocol = mbedtls_ssl_get_alpn_protocol(&t->ssl);
    if (protocol != NULL)
        strbuf_puts(&alpn, protocol);
}
