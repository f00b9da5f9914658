#include "vault_stanza.h"

#include <ctype.h>
#include <string.h>
#include "base/encode.h"
#include "keys/keyring.h"

/* What RSA keys of the service (2048 to 4096 bits) make of a file key, and RFC 3394 of 16 bytes. */
static const struct {
    const char *type;
    enum kv_kind kind;
    size_t body_min, body_max;
} types[] = {
    { "kvp11-rsa-oaep-256", KV_RSA, 2048 / 8, 4096 / 8 },
    { "kvp11-aes-kw", KV_OCT, KV_AGE_FILE_KEY + 8, KV_AGE_FILE_KEY + 8 },
};
enum { TYPES = sizeof(types) / sizeof(types[0]) };

static size_t type_find(const struct kv_age_stanza *stanza)
{
    size_t i = 0;
    while (i < TYPES && (!stanza->arg_count || strcmp(stanza->args[0], types[i].type) != 0))
        i++;
    return i;
}

bool kv_vault_stanza_is(const struct kv_age_stanza *stanza)
{
    return type_find(stanza) < TYPES;
}

/* The whole name of a version: one that names none would be a promise for whichever comes. */
static bool is_kid(const char *text)
{
    struct kv_kid parts;
    return strlen(text) < KV_KID_SIZE && kv_kid_parse(text, &parts, NULL) == KV_OK && parts.version[0];
}

enum kv_status kv_vault_stanza_read(const struct kv_age_stanza *stanza, struct kv_vault_stanza *ret,
                                    struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes digest = { 0 };
    size_t type = type_find(stanza);
    if (type == TYPES)
        return kv_fail(err, KV_BAD_DATA, "the stanza is not one of kvp11");
    if (stanza->arg_count < 2 || stanza->arg_count > 3)
        return kv_fail(err, KV_BAD_DATA, "a stanza '%s' has two or three arguments; this one has %zu",
                       types[type].type, stanza->arg_count);
    if (kv_decode_base64_raw(stanza->args[1], &digest) != KV_OK || digest.len != KV_VAULT_DIGEST)
        return kv_fail(err, KV_BAD_DATA, "'%.80s' in a stanza '%s' is not the SHA-256 of a key",
                       stanza->args[1], types[type].type);
    if (stanza->arg_count == 3 && !is_kid(stanza->args[2]))
        return kv_fail(err, KV_BAD_DATA, "'%.200s' in a stanza '%s' is not the kid of a version",
                       stanza->args[2], types[type].type);
    if (stanza->body.len < types[type].body_min || stanza->body.len > types[type].body_max)
        return kv_fail(err, KV_BAD_DATA, "a stanza '%s' does not hold %zu bytes", types[type].type,
                       stanza->body.len);
    struct kv_vault_stanza read = { .kind = types[type].kind };
    memcpy(read.digest, digest.data, sizeof(read.digest));
    if (stanza->arg_count == 3 && !kv_text_fit(read.kid, sizeof(read.kid), stanza->args[2]))
        return kv_fail(err, KV_INTERNAL, "a kid does not fit");
    *ret = read;
    return KV_OK;
}

enum kv_status kv_vault_stanza_make(const struct kv_vault_stanza *from, struct kv_view body,
                                    struct kv_age_stanza *ret, struct kv_error *err)
{
    KV_AUTO_TEXT char *digest = kv_encode_base64_raw((struct kv_view){ from->digest, KV_VAULT_DIGEST });
    if (!digest)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < TYPES; i++) {
        const char *args[] = { types[i].type, digest, from->kid };
        if (types[i].kind == from->kind)
            return kv_age_stanza_make(args, from->kid[0] ? 3 : 2, body, ret, err);
    }
    return kv_fail(err, KV_KEY_TYPE, "no stanza is made by a key of this type");
}

/* As its CKA_ID is made, of which this is the long form. */
static enum kv_status digest_secret(const char *name, const char *version, unsigned char *ret)
{
    char text[KV_NAME_SIZE + KV_VERSION_SIZE + 1];
    KV_AUTO_BYTES struct kv_bytes digest = { 0 };
    KV_AUTO_TEXT char *plain = kv_text_format("%s/%s", name, version);
    if (!plain || !kv_text_fit(text, sizeof(text), plain))
        return KV_NO_MEMORY;
    for (char *c = text; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    KV_TRY(kv_digest_once("SHA2-256", kv_view_text(text), &digest));
    memcpy(ret, digest.data, KV_VAULT_DIGEST);
    return KV_OK;
}

enum kv_status kv_vault_stanza_of(const struct kv_version *version, struct kv_vault_stanza *ret,
                                  struct kv_error *err)
{
    struct kv_vault_stanza made = { .kind = version->kind };
    if (version->kind == KV_EC)
        return kv_fail(
            err, KV_KEY_TYPE,
            "'%s/%s' is an EC key, which signs and opens nothing: name an RSA key, or an AES key of a "
            "Managed HSM",
            version->vault, version->name);
    if (version->kind == KV_RSA)
        memcpy(made.digest, version->spki_sha256, sizeof(made.digest));
    else if (digest_secret(version->name, version->version, made.digest) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (!kv_text_fit(made.kid, sizeof(made.kid), version->kid))
        return kv_fail(err, KV_INTERNAL, "a kid does not fit");
    *ret = made;
    return KV_OK;
}

bool kv_vault_stanza_fits(const struct kv_vault_stanza *stanza, const struct kv_version *version)
{
    struct kv_vault_stanza own;
    return version->kind == stanza->kind && kv_vault_stanza_of(version, &own, NULL) == KV_OK &&
           !memcmp(own.digest, stanza->digest, KV_VAULT_DIGEST);
}
