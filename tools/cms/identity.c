#include "identity.h"

#include <string.h>
#include "base/file.h"
#include "private_key.h"
#include "recipient.h"
#include "token/token.h"

enum { KEY_MAX = 64 * 1024 };

static void private_cleanup(struct kv_cms_private **key)
{
    kv_cms_private_free(*key);
}

static enum kv_status by_file(const char *path, struct kv_view passphrase, struct kv_cms_envelope *envelope,
                              struct kv_bytes *ret, struct kv_error *err)
{
    const struct kv_file_rule rule = { .secret = true, .largest = KEY_MAX, .status = KV_DENIED };
    KV_AUTO_BYTES struct kv_bytes file = { 0 };
    KV_CLEANUP(private_cleanup) struct kv_cms_private *key = NULL;
    KV_TRY(kv_file_read(path, &rule, &file, err));
    enum kv_status status = KV_OK;
    if (!kv_cms_private_is(KV_VIEW(file)))
        status = kv_fail(err, KV_ARGUMENTS,
                         "there is no private key in PEM in it; those of age and SSH open age files");
    if (status == KV_OK)
        status = kv_cms_private_read(KV_VIEW(file), passphrase, &key, err);
    if (status == KV_OK)
        status = kv_cms_private_open(key, envelope, ret, err);
    return status == KV_OK ? KV_OK : kv_fail_in(err, status, "'%s'", path);
}

/* ---- in a token ---- */

static enum kv_status decrypt(struct kv_token *token, const struct kv_cms_recipient *recipient,
                              struct kv_bytes *ret, struct kv_error *err)
{
    const struct kv_cms_transport *transport = NULL;
    KV_TRY(kv_cms_transport_read(recipient->algorithm, &transport, err));
    if (transport->hash != CKM_SHA256)
        return kv_fail(err, KV_UNSUPPORTED,
                       "the key of the content is wrapped by %s, and a token is only asked for RSA-OAEP with "
                       "SHA-256 here: 'openssl cms -decrypt' with the token's engine or provider opens it",
                       transport->name);
    return kv_token_decrypt(token, "", recipient->key, ret, err);
}

/* Who the envelope names is the certificate's key: the PIN is asked for only then. */
static enum kv_status by_token(const char *uri, struct kv_cms_envelope *envelope, struct kv_bytes *ret,
                               struct kv_error *err)
{
    KV_AUTO_TOKEN struct kv_token *token = NULL;
    KV_TRY(kv_token_open(uri, &token, err));
    const struct kv_certificate *certificate = kv_token_certificate(token);
    const struct kv_view id = { certificate->id, KV_ID_SIZE };
    (void)!kv_cms_recipient_is(envelope, certificate, NULL);
    for (size_t i = 0; i < envelope->recipient_count; i++)
        if (envelope->recipients[i].kind == KV_BER_SEQUENCE &&
            kv_view_equal(envelope->recipients[i].key_id, id))
            return decrypt(token, &envelope->recipients[i], ret, err);
    return kv_fail(err, KV_NOT_FOUND,
                   "'%.*s': none of the envelope's %zu recipients is the certificate '%s': give the one that "
                   "is with -i",
                   (int)strcspn(uri, "?"), uri, envelope->recipient_count, certificate->name);
}

enum kv_status kv_cms_identity_open(const char *given, struct kv_view passphrase,
                                    struct kv_cms_envelope *envelope, struct kv_bytes *ret,
                                    struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes key = { 0 };
    const struct kv_cms_cipher *cipher = envelope->content.cipher;
    KV_TRY(kv_token_is(given) ? by_token(given, envelope, &key, err)
                              : by_file(given, passphrase, envelope, &key, err));
    if (key.len != cipher->key_len)
        return kv_fail(err, KV_BAD_DATA, "the key of the content has %zu bytes, and %s takes %zu", key.len,
                       cipher->name, cipher->key_len);
    *ret = kv_bytes_take(&key);
    return KV_OK;
}
