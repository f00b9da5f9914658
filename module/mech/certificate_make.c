/* Making one for a key that has none. Everything in it follows from the key, so that it is made twice the same. */
#include "mech/certificate.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/encode.h"
#include "base/ossl.h"
#include "mech/local.h"

KV_DEFINE_CLEANUP(EVP_PKEY, EVP_PKEY_free)
KV_DEFINE_CLEANUP(EVP_MD_CTX, EVP_MD_CTX_free)

enum {
    TAG_BOOLEAN = 0x01,
    TAG_INTEGER = 0x02,
    TAG_BIT_STRING = 0x03,
    TAG_OCTET_STRING = 0x04,
    TAG_OID = 0x06,
    TAG_UTF8 = 0x0c,
    TAG_UTC_TIME = 0x17,
    TAG_GENERALIZED_TIME = 0x18,
    TAG_SEQUENCE = 0x30,
    TAG_SET = 0x31,
    TAG_VERSION = 0xa0,
    TAG_KEY_ID = 0x80,
    TAG_EXTENSIONS = 0xa3
};

static const char container_issuer[] = "kvp11 container: this signature proves nothing";
static const char container_alg[] = "EdDSA";

/* AlgorithmIdentifiers (RFC 4055 §5, RFC 5758 §3.2, RFC 8410 §3), whole. */
static const struct {
    const char *alg;
    unsigned char der[16];
    size_t len;
    bool raw; /* r‖s, which certificates want as a SEQUENCE */
} algorithms[] = {
    { "RS256", "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00", 15, false },
    { "ES256", "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02", 12, true },
    { "ES256K", "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02", 12, true },
    { "ES384", "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03", 12, true },
    { "ES512", "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x04", 12, true },
    { container_alg, "\x30\x05\x06\x03\x2b\x65\x70", 7, false },
};

static enum kv_status algorithm_of(const char *alg, struct kv_view *ret, bool *ret_raw)
{
    for (size_t i = 0; alg && i < sizeof algorithms / sizeof *algorithms; i++)
        if (!strcmp(algorithms[i].alg, alg)) {
            *ret = (struct kv_view){ algorithms[i].der, algorithms[i].len };
            *ret_raw = algorithms[i].raw;
            return KV_OK;
        }
    return KV_MECHANISM;
}

/* --- elements --- */

static enum kv_status put_name(struct kv_buffer *to, const char *text)
{
    static const unsigned char common_name[] = { 0x55, 0x04, 0x03 };
    KV_AUTO_BUFFER struct kv_buffer pair = { 0 }, one = { 0 }, set = { 0 };

    KV_TRY(kv_der_add(TAG_OID, (struct kv_view){ common_name, sizeof common_name }, &pair));
    KV_TRY(kv_der_add(TAG_UTF8, kv_view_text(text), &pair));
    KV_TRY(kv_der_add(TAG_SEQUENCE, KV_VIEW(pair.bytes), &one));
    KV_TRY(kv_der_add(TAG_SET, KV_VIEW(one.bytes), &set));
    return kv_der_add(TAG_SEQUENCE, KV_VIEW(set.bytes), to);
}

/* RFC 5280 §4.1.2.5: two digits for the year up to 2049; and §4.1.2.5's own word for "never". */
static enum kv_status put_validity(struct kv_buffer *to, int64_t created)
{
    static const char never[] = "99991231235959Z";
    KV_AUTO_BUFFER struct kv_buffer validity = { 0 };
    int64_t last_short = INT64_C(2524607999);
    char clock[21], digits[16];

    kv_clock_text(created > 0 ? created : 0, clock);
    snprintf(digits, sizeof digits, "%.4s%.2s%.2s%.2s%.2s%.2sZ", clock, clock + 5, clock + 8, clock + 11,
             clock + 14, clock + 17);
    bool is_short = created <= last_short;
    KV_TRY(kv_der_add(is_short ? TAG_UTC_TIME : TAG_GENERALIZED_TIME,
                      kv_view_text(digits + (is_short ? 2 : 0)), &validity));
    KV_TRY(kv_der_add(TAG_GENERALIZED_TIME, kv_view_text(never), &validity));
    return kv_der_add(TAG_SEQUENCE, KV_VIEW(validity.bytes), to);
}

static enum kv_status put_extension(struct kv_buffer *to, unsigned char which, bool critical,
                                    struct kv_view value)
{
    const unsigned char oid[] = { 0x55, 0x1d, which }, yes = 0xff;
    KV_AUTO_BUFFER struct kv_buffer extension = { 0 };

    KV_TRY(kv_der_add(TAG_OID, (struct kv_view){ oid, sizeof oid }, &extension));
    if (critical)
        KV_TRY(kv_der_add(TAG_BOOLEAN, (struct kv_view){ &yes, 1 }, &extension));
    KV_TRY(kv_der_add(TAG_OCTET_STRING, value, &extension));
    return kv_der_add(TAG_SEQUENCE, KV_VIEW(extension.bytes), to);
}

/* digitalSignature, keyEncipherment and dataEncipherment are the first, third and fourth bit (RFC 5280 §4.2.1.3). */
static enum kv_status put_key_usage(struct kv_buffer *to, unsigned operations)
{
    unsigned bits =
        (operations & KV_OP_SIGN ? 0x80u : 0) | (operations & (KV_OP_DECRYPT | KV_OP_UNWRAP) ? 0x30u : 0);
    const unsigned char string[] = { bits & 0x10 ? 4 : 7, (unsigned char)bits };
    KV_AUTO_BYTES struct kv_bytes usage = { 0 };

    if (!bits)
        return KV_OK;
    KV_TRY(kv_der_wrap(TAG_BIT_STRING, (struct kv_view){ string, sizeof string }, &usage));
    return put_extension(to, 0x0f, true, KV_VIEW(usage));
}

static enum kv_status put_extensions(struct kv_buffer *to, const struct kv_x509_draft *draft)
{
    static const unsigned char nothing[] = { TAG_SEQUENCE, 0 };
    KV_AUTO_BUFFER struct kv_buffer list = { 0 }, sequence = { 0 };
    KV_AUTO_BYTES struct kv_bytes id = { 0 };

    KV_TRY(kv_der_wrap(TAG_OCTET_STRING, draft->id, &id));
    KV_TRY(put_extension(&list, 0x0e, false, KV_VIEW(id)));
    KV_TRY(put_key_usage(&list, draft->operations));
    KV_TRY(put_extension(&list, 0x13, true, (struct kv_view){ nothing, sizeof nothing }));
    KV_TRY(kv_der_add(TAG_SEQUENCE, KV_VIEW(list.bytes), &sequence));
    return kv_der_add(TAG_EXTENSIONS, KV_VIEW(sequence.bytes), to);
}

/* From everything that tells one certificate of ours from another: two with one issuer and one number would confuse NSS. */
static enum kv_status put_serial(struct kv_buffer *to, const struct kv_x509_draft *draft)
{
    enum { SERIAL_LEN = 16 };
    KV_AUTO_BUFFER struct kv_buffer text = { 0 };
    KV_AUTO_BYTES struct kv_bytes digest = { 0 };

    KV_TRY(kv_buffer_add(&text, draft->spki));
    KV_TRY(kv_buffer_format(&text, "/%s/%lld/%u", draft->name, (long long)draft->created, draft->operations));
    KV_TRY(kv_digest_once("SHA2-256", KV_VIEW(text.bytes), &digest));
    digest.data[0] = (digest.data[0] & 0x3f) | 0x40; /* positive, and no shorter */
    return kv_der_add(TAG_INTEGER, (struct kv_view){ digest.data, SERIAL_LEN }, to);
}

/* --- the certificate --- */

static enum kv_status write_tbs(const struct kv_x509_draft *draft, const char *issuer,
                                struct kv_view algorithm, struct kv_bytes *ret)
{
    static const unsigned char version_3[] = { TAG_INTEGER, 1, 2 };
    KV_AUTO_BUFFER struct kv_buffer tbs = { 0 };

    KV_TRY(kv_der_add(TAG_VERSION, (struct kv_view){ version_3, sizeof version_3 }, &tbs));
    KV_TRY(put_serial(&tbs, draft));
    KV_TRY(kv_buffer_add(&tbs, algorithm));
    KV_TRY(put_name(&tbs, issuer));
    KV_TRY(put_validity(&tbs, draft->created));
    KV_TRY(put_name(&tbs, draft->name));
    KV_TRY(kv_buffer_add(&tbs, draft->spki));
    KV_TRY(put_extensions(&tbs, draft));
    return kv_der_wrap(TAG_SEQUENCE, KV_VIEW(tbs.bytes), ret);
}

static enum kv_status write_whole(struct kv_view tbs, struct kv_view algorithm, struct kv_view signature,
                                  struct kv_bytes *ret)
{
    static const unsigned char all_bits[] = { 0 };
    KV_AUTO_BUFFER struct kv_buffer whole = { 0 }, bits = { 0 };

    KV_TRY(kv_buffer_add(&bits, (struct kv_view){ all_bits, 1 }));
    KV_TRY(kv_buffer_add(&bits, signature));
    KV_TRY(kv_buffer_add(&whole, tbs));
    KV_TRY(kv_buffer_add(&whole, algorithm));
    KV_TRY(kv_der_add(TAG_BIT_STRING, KV_VIEW(bits.bytes), &whole));
    return kv_der_wrap(TAG_SEQUENCE, KV_VIEW(whole.bytes), ret);
}

enum kv_status kv_x509_draft(const struct kv_x509_draft *draft, struct kv_bytes *ret)
{
    struct kv_view algorithm;
    bool raw;

    KV_TRY(algorithm_of(draft->alg, &algorithm, &raw));
    return write_tbs(draft, draft->name, algorithm, ret);
}

enum kv_status kv_x509_seal(const struct kv_x509_draft *draft, struct kv_view tbs, struct kv_view signature,
                            struct kv_bytes *ret)
{
    KV_AUTO_BYTES struct kv_bytes sequence = { 0 };
    struct kv_view algorithm;
    bool raw;

    KV_TRY(algorithm_of(draft->alg, &algorithm, &raw));
    if (raw)
        KV_TRY(kv_ecdsa_to_der(signature, &sequence));
    return write_whole(tbs, algorithm, raw ? KV_VIEW(sequence) : signature, ret);
}

/* Ed25519 because it needs no random number: a container is the same on every host, in every process, with or without a version map. By its object
 * identifier, for the reason that public.c gives. */
static enum kv_status sign_container(struct kv_view spki, struct kv_view tbs, struct kv_bytes *ret)
{
    enum { SIGNATURE_LEN = 64 };
    KV_AUTO_BYTES struct kv_bytes seed = { 0 }, signature = { 0 };
    size_t len = SIGNATURE_LEN;

    KV_TRY(kv_digest_once("SHA2-256", spki, &seed));
    KV_TRY(kv_bytes_alloc(SIGNATURE_LEN, &signature));
    KV_CLEANUP(EVP_PKEY_free_cleanup)
    EVP_PKEY *key =
        EVP_PKEY_new_raw_private_key_ex(kv_ossl_context(), "1.3.101.112", NULL, seed.data, seed.len);
    KV_CLEANUP(EVP_MD_CTX_free_cleanup) EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (!key || !context ||
        EVP_DigestSignInit_ex(context, NULL, NULL, kv_ossl_context(), NULL, key, NULL) != 1 ||
        EVP_DigestSign(context, signature.data, &len, tbs.data, tbs.len) != 1 || len != SIGNATURE_LEN)
        return KV_INTERNAL;
    *ret = kv_bytes_take(&signature);
    return KV_OK;
}

enum kv_status kv_x509_container(const struct kv_x509_draft *draft, struct kv_bytes *ret,
                                 struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes tbs = { 0 }, signature = { 0 };
    struct kv_view algorithm = { NULL, 0 };
    bool raw;
    enum kv_status status = algorithm_of(container_alg, &algorithm, &raw);

    if (status == KV_OK)
        status = write_tbs(draft, container_issuer, algorithm, &tbs);
    if (status == KV_OK)
        status = sign_container(draft->spki, KV_VIEW(tbs), &signature);
    if (status == KV_OK)
        status = write_whole(KV_VIEW(tbs), algorithm, KV_VIEW(signature), ret);
    return status == KV_OK ? KV_OK
                           : kv_fail(err, status, "a certificate for '%s' cannot be made", draft->name);
}
