#include "algorithm.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "ber.h"
#include "base/encode.h"

/* 1.2.840.113549.1.…, 1.2.840.113549.1.9.16.1.…, 2.16.840.1.101.3.4.… */
#define PKCS(...)                                                                                            \
    {                                                                                                        \
        0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, __VA_ARGS__                                                      \
    }
#define SMIME_TYPE(...) PKCS(0x01, 0x09, 0x10, 0x01, __VA_ARGS__)
#define NIST(...)                                                                                            \
    {                                                                                                        \
        0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, __VA_ARGS__                                                \
    }

const struct kv_cms_oid kv_cms_data = { PKCS(0x01, 0x07, 0x01), 9 };
const struct kv_cms_oid kv_cms_enveloped = { PKCS(0x01, 0x07, 0x03), 9 };
const struct kv_cms_oid kv_cms_auth_enveloped = { SMIME_TYPE(0x17), 11 };

static const struct kv_cms_oid rsa_encryption = { PKCS(0x01, 0x01, 0x01), 9 };
static const struct kv_cms_oid rsa_oaep = { PKCS(0x01, 0x01, 0x07), 9 };
static const struct kv_cms_oid mgf1 = { PKCS(0x01, 0x01, 0x08), 9 };
static const struct kv_cms_oid label_specified = { PKCS(0x01, 0x01, 0x09), 9 };
static const struct kv_cms_oid sha1 = { { 0x2b, 0x0e, 0x03, 0x02, 0x1a }, 5 };
static const struct kv_cms_oid sha256 = { NIST(0x02, 0x01), 9 };

enum { AES_BLOCK = 16, DES_BLOCK = 8 };

/* clang-format off */
static const struct kv_cms_cipher ciphers[] = {
    /* oid, name, evp, key, block, authenticated */
    { { NIST(0x01, 0x06), 9 }, "AES-128-GCM", "AES-128-GCM", 16, AES_BLOCK, true },
    { { NIST(0x01, 0x1a), 9 }, "AES-192-GCM", "AES-192-GCM", 24, AES_BLOCK, true },
    { { NIST(0x01, 0x02), 9 }, "AES-128-CBC", "AES-128-CBC", 16, AES_BLOCK, false },
    { { NIST(0x01, 0x16), 9 }, "AES-192-CBC", "AES-192-CBC", 24, AES_BLOCK, false },
    { { NIST(0x01, 0x2a), 9 }, "AES-256-CBC", "AES-256-CBC", 32, AES_BLOCK, false },
    /* What `openssl cms -encrypt` takes when nobody names a cipher. */
    { { PKCS(0x03, 0x07), 8 }, "DES-EDE3-CBC", "DES-EDE3-CBC", 24, DES_BLOCK, false },
};
/* clang-format on */
const struct kv_cms_cipher kv_cms_aes256_gcm = {
    { NIST(0x01, 0x2e), 9 }, "AES-256-GCM", "AES-256-GCM", 32, AES_BLOCK, true
};

static const struct kv_cms_transport oaep_sha1 = { "RSA-OAEP with SHA-1", CKM_SHA_1 };
static const struct kv_cms_transport oaep_sha256 = { "RSA-OAEP with SHA-256", CKM_SHA256 };
static const struct kv_cms_transport pkcs1 = { "RSA PKCS#1 v1.5", 0 };

struct kv_view kv_cms_oid_view(const struct kv_cms_oid *oid)
{
    return (struct kv_view){ oid->bytes, oid->len };
}

bool kv_cms_oid_is(const struct kv_cms_oid *oid, struct kv_view contents)
{
    return kv_view_equal(kv_cms_oid_view(oid), contents);
}

void kv_cms_oid_text(struct kv_view contents, char *ret, size_t size)
{
    size_t len = 0;
    uint64_t number = 0;
    bool first = true;
    *ret = '\0';
    for (size_t i = 0; i < contents.len && len < size; i++) {
        if (number >> 57)
            break; /* longer than any that is in use */
        number = number << 7 | (contents.data[i] & 0x7f);
        if (contents.data[i] & 0x80)
            continue;
        uint64_t top = number < 40 ? 0 : number < 80 ? 1 : 2;
        int more = first ? snprintf(ret, size, "%" PRIu64 ".%" PRIu64, top, number - 40 * top)
                         : snprintf(ret + len, size - len, ".%" PRIu64, number);
        len += (size_t)more;
        first = false;
        number = 0;
    }
}

/* The identifier and, behind it, what is left. */
static enum kv_status read_oid(struct kv_view *algorithm, struct kv_view *ret, struct kv_error *err)
{
    return kv_der_read(algorithm, KV_BER_OID, ret) == KV_OK
               ? KV_OK
               : kv_fail(err, KV_BAD_DATA, "an algorithm in the envelope has no identifier");
}

static enum kv_status unsupported(const char *what, struct kv_view oid, struct kv_error *err)
{
    char text[128];
    kv_cms_oid_text(oid, text, sizeof(text));
    return kv_fail(err, KV_UNSUPPORTED, "%s %s is not known here", what, text);
}

/* --- content --- */
static const struct kv_cms_cipher *find_cipher(struct kv_view oid)
{
    if (kv_cms_oid_is(&kv_cms_aes256_gcm.oid, oid))
        return &kv_cms_aes256_gcm;
    for (size_t i = 0; i < sizeof(ciphers) / sizeof(ciphers[0]); i++)
        if (kv_cms_oid_is(&ciphers[i].oid, oid))
            return &ciphers[i];
    return NULL;
}

/* GCMParameters, RFC 5084 §3.2: a nonce, and the bytes of the tag, 12 when it does not say. */
static bool read_gcm(struct kv_view parameters, struct kv_view *ret_nonce, size_t *ret_tag)
{
    enum { TAG_MIN = 12, NONCE_MIN = 8 };
    struct kv_view contents, tag;
    if (kv_der_read(&parameters, KV_BER_SEQUENCE, &contents) != KV_OK || parameters.len ||
        kv_der_read(&contents, KV_BER_OCTETS, ret_nonce) != KV_OK || ret_nonce->len < NONCE_MIN)
        return false;
    *ret_tag = TAG_MIN;
    if (!contents.len)
        return true;
    if (kv_der_read(&contents, KV_BER_INTEGER, &tag) != KV_OK || contents.len || tag.len != 1)
        return false;
    *ret_tag = tag.data[0];
    return *ret_tag >= TAG_MIN && *ret_tag <= KV_CMS_TAG_MAX;
}

static bool read_cbc(struct kv_view parameters, const struct kv_cms_cipher *cipher, struct kv_view *ret_nonce)
{
    return kv_der_read(&parameters, KV_BER_OCTETS, ret_nonce) == KV_OK && !parameters.len &&
           ret_nonce->len == cipher->block;
}

enum kv_status kv_cms_content_read(struct kv_view algorithm, struct kv_cms_content *ret, struct kv_error *err)
{
    struct kv_view oid, nonce;
    struct kv_cms_content content = { 0 };
    KV_TRY(read_oid(&algorithm, &oid, err));
    content.cipher = find_cipher(oid);
    if (!content.cipher)
        return unsupported("content encryption algorithm", oid, err);
    bool good = content.cipher->authenticated ? read_gcm(algorithm, &nonce, &content.tag_len)
                                              : read_cbc(algorithm, content.cipher, &nonce);
    if (!good || nonce.len > sizeof(content.nonce))
        return kv_fail(err, KV_BAD_DATA, "the parameters of %s in the envelope are not what they must be",
                       content.cipher->name);
    memcpy(content.nonce, nonce.data, nonce.len);
    content.nonce_len = nonce.len;
    *ret = content;
    return KV_OK;
}

/* --- key transport --- */

/* [number] EXPLICIT AlgorithmIdentifier: the contents of that; an empty view: it is not there. */
static bool explicit_algorithm(struct kv_view *parameters, unsigned number, struct kv_view *ret)
{
    unsigned char tag = (unsigned char)(KV_BER_CONTEXT | KV_BER_CONSTRUCTED | number);
    struct kv_view outer;
    *ret = (struct kv_view){ 0 };
    if (!parameters->len || parameters->data[0] != tag)
        return true;
    return kv_der_read(parameters, tag, &outer) == KV_OK &&
           kv_der_read(&outer, KV_BER_SEQUENCE, ret) == KV_OK && !outer.len && ret->len;
}

/* A hash without parameters, or with NULL. */
static bool read_hash(struct kv_view algorithm, struct kv_view *ret_oid)
{
    struct kv_view nothing;
    if (kv_der_read(&algorithm, KV_BER_OID, ret_oid) != KV_OK)
        return false;
    return !algorithm.len ||
           (kv_der_read(&algorithm, KV_BER_NULL, &nothing) == KV_OK && !nothing.len && !algorithm.len);
}

static bool read_mgf(struct kv_view algorithm, struct kv_view *ret_hash)
{
    struct kv_view oid, inner;
    return kv_der_read(&algorithm, KV_BER_OID, &oid) == KV_OK && kv_cms_oid_is(&mgf1, oid) &&
           kv_der_read(&algorithm, KV_BER_SEQUENCE, &inner) == KV_OK && !algorithm.len &&
           read_hash(inner, ret_hash);
}

static bool is_no_label(struct kv_view algorithm)
{
    struct kv_view oid, label;
    return kv_der_read(&algorithm, KV_BER_OID, &oid) == KV_OK && kv_cms_oid_is(&label_specified, oid) &&
           kv_der_read(&algorithm, KV_BER_OCTETS, &label) == KV_OK && !label.len && !algorithm.len;
}

/* RSAES-OAEP-params, RFC 4055 §4.1: absent members mean SHA-1, MGF1 with SHA-1, no label. The whole must be there. */
static enum kv_status read_oaep(struct kv_view parameters, const struct kv_cms_transport **ret,
                                struct kv_error *err)
{
    struct kv_view contents, hash, mask, label;
    struct kv_view hash_oid = kv_cms_oid_view(&sha1), mask_oid = hash_oid;
    if (kv_der_read(&parameters, KV_BER_SEQUENCE, &contents) != KV_OK || parameters.len ||
        !explicit_algorithm(&contents, 0, &hash) || !explicit_algorithm(&contents, 1, &mask) ||
        !explicit_algorithm(&contents, 2, &label) || contents.len ||
        (hash.len && !read_hash(hash, &hash_oid)))
        return kv_fail(
            err, KV_BAD_DATA,
            "the parameters of RSA-OAEP in the envelope are missing or malformed: it is not opened "
            "as anything else");
    if ((mask.len && !read_mgf(mask, &mask_oid)) || !kv_view_equal(hash_oid, mask_oid))
        return kv_fail(err, KV_UNSUPPORTED,
                       "RSA-OAEP with another hash in its mask generation is not offered by Key Vault");
    if (label.len && !is_no_label(label))
        return kv_fail(err, KV_UNSUPPORTED, "RSA-OAEP with a label is not offered by Key Vault");
    *ret = kv_cms_oid_is(&sha1, hash_oid)     ? &oaep_sha1
           : kv_cms_oid_is(&sha256, hash_oid) ? &oaep_sha256
                                              : NULL;
    return *ret ? KV_OK : unsupported("RSA-OAEP with hash", hash_oid, err);
}

enum kv_status kv_cms_transport_read(struct kv_view algorithm, const struct kv_cms_transport **ret,
                                     struct kv_error *err)
{
    struct kv_view oid, nothing;
    KV_TRY(read_oid(&algorithm, &oid, err));
    if (kv_cms_oid_is(&rsa_oaep, oid))
        return read_oaep(algorithm, ret, err);
    if (!kv_cms_oid_is(&rsa_encryption, oid))
        return unsupported("key transport algorithm", oid, err);
    if (algorithm.len && (kv_der_read(&algorithm, KV_BER_NULL, &nothing) != KV_OK || algorithm.len))
        return kv_fail(err, KV_BAD_DATA, "the parameters of %s in the envelope are not what they must be",
                       pkcs1.name);
    *ret = &pkcs1;
    return KV_OK;
}

/* --- writing --- */
static enum kv_status add_algorithm(const struct kv_cms_oid *oid, struct kv_view parameters,
                                    struct kv_buffer *ret)
{
    KV_AUTO_BUFFER struct kv_buffer contents = { 0 };
    KV_TRY(kv_der_add(KV_BER_OID, kv_cms_oid_view(oid), &contents));
    KV_TRY(kv_buffer_add(&contents, parameters));
    return kv_der_add(KV_BER_SEQUENCE, KV_VIEW(contents.bytes), ret);
}

enum kv_status kv_cms_transport_write(struct kv_bytes *ret)
{
    enum { HASH = KV_BER_CONTEXT | KV_BER_CONSTRUCTED, MASK };
    KV_AUTO_BUFFER struct kv_buffer hash = { 0 }, mask = { 0 }, members = { 0 }, parameters = { 0 },
                                    all = { 0 };
    KV_TRY(add_algorithm(&sha256, (struct kv_view){ 0 }, &hash));
    KV_TRY(add_algorithm(&mgf1, KV_VIEW(hash.bytes), &mask));
    KV_TRY(kv_der_add(HASH, KV_VIEW(hash.bytes), &members));
    KV_TRY(kv_der_add(MASK, KV_VIEW(mask.bytes), &members));
    KV_TRY(kv_der_add(KV_BER_SEQUENCE, KV_VIEW(members.bytes), &parameters));
    KV_TRY(add_algorithm(&rsa_oaep, KV_VIEW(parameters.bytes), &all));
    return kv_bytes_copy(KV_VIEW(all.bytes), ret);
}

enum kv_status kv_cms_content_write(struct kv_view nonce, struct kv_bytes *ret)
{
    static const unsigned char tag_len[] = { KV_CMS_TAG_MAX };
    KV_AUTO_BUFFER struct kv_buffer members = { 0 }, parameters = { 0 }, all = { 0 };
    KV_TRY(kv_der_add(KV_BER_OCTETS, nonce, &members));
    KV_TRY(kv_der_add(KV_BER_INTEGER, (struct kv_view){ tag_len, 1 }, &members));
    KV_TRY(kv_der_add(KV_BER_SEQUENCE, KV_VIEW(members.bytes), &parameters));
    KV_TRY(add_algorithm(&kv_cms_aes256_gcm.oid, KV_VIEW(parameters.bytes), &all));
    return kv_bytes_copy(KV_VIEW(all.bytes), ret);
}
