#include "vault_private.h"

#include "base/encode.h"

#include <string.h>

/* Contract §5.1: `cer` is standard base64, with padding, unlike everything else. No certificate of a key comes near this size. */
enum { DER_MAX = 65536, TEXT_MAX = (DER_MAX + 2) / 3 * 4 };

#define bad(err, what) kv_fail(err, KV_PROTOCOL, "the reply's `%s` cannot be used", what)

/* Memory that is short says nothing of the certificate, which would be left out for it. */
static enum kv_status undecoded(enum kv_status status, const char *what, struct kv_error *err)
{
    return status == KV_NO_MEMORY ? kv_fail(err, status, "no memory for the reply's `%s`", what)
                                  : bad(err, what);
}

static enum kv_status read_der(const struct kv_json *bundle, struct kv_bytes *ret, struct kv_error *err)
{
    const char *text = kv_json_text(kv_json_get(bundle, "cer"));
    KV_AUTO_BYTES struct kv_bytes der = { 0 };
    if (!text || !*text || strnlen(text, TEXT_MAX + 1) > TEXT_MAX)
        return bad(err, "cer");
    enum kv_status status = kv_decode_base64(text, &der);
    if (status != KV_OK || der.len > DER_MAX)
        return undecoded(status, "cer", err);
    *ret = kv_bytes_take(&der);
    return KV_OK;
}

static enum kv_status read_thumbprint(const struct kv_json *bundle, unsigned char ret[20],
                                      struct kv_error *err)
{
    enum { SIZE = 20, TEXT = 27 };
    const char *text = kv_json_text(kv_json_get(bundle, "x5t"));
    KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
    if (!text || strnlen(text, TEXT + 1) > TEXT)
        return bad(err, "x5t");
    enum kv_status status = kv_decode_base64url(text, &bytes);
    if (status != KV_OK || bytes.len != SIZE)
        return undecoded(status, "x5t", err);
    memcpy(ret, bytes.data, SIZE);
    return KV_OK;
}

/* All three have one name and one version id (contract §12.1); a certificate without a secret is thinkable. */
static enum kv_status check_links(const struct kv_json *bundle, const char *name, const char *version,
                                  struct kv_error *err)
{
    static const struct {
        const char *member, *kind;
        bool needed;
    } links[] = { { "id", "certificates", true }, { "kid", "keys", true }, { "sid", "secrets", false } };
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
        const struct kv_json *json = kv_json_get(bundle, links[i].member);
        const char *text = kv_json_text(json);
        if (!json && !links[i].needed)
            continue;
        if (!text)
            return bad(err, links[i].member);
        KV_TRY(kv_kid_check_kind(text, links[i].kind, name, version, err));
    }
    return KV_OK;
}

enum kv_status kv_codec_read_certificate(const struct kv_json *bundle, const char *name, const char *version,
                                         struct kv_vault_certificate *ret, struct kv_error *err)
{
    struct kv_vault_certificate certificate = { 0 };
    KV_TRY(check_links(bundle, name, version, err));
    KV_TRY(read_thumbprint(bundle, certificate.x5t, err));
    KV_TRY(read_der(bundle, &certificate.der, err));
    *ret = certificate;
    return KV_OK;
}
