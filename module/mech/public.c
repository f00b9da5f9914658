#include "mech/local.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>
#include "base/encode.h"
#include "base/ossl.h"
#include "mech_private.h"
#include "public_private.h"

/* Wider than what the service makes (2048–4096), so that an old map and a certificate's key can be read; what may be *used* mech_select decides. */
enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 8192, RSA_EXPONENT_MAX = 8 };
enum { TAG_INTEGER = 2, TAG_BIT_STRING = 3, TAG_NULL = 5, TAG_OID = 6, TAG_SEQUENCE = 0x30, POINT_PLAIN = 4 };

static const unsigned char oid_rsa[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01 };
static const unsigned char oid_ec[] = { 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01 };

KV_DEFINE_CLEANUP(struct kv_public, kv_public_free)
KV_DEFINE_CLEANUP(EVP_PKEY, EVP_PKEY_free)
KV_DEFINE_CLEANUP(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
KV_DEFINE_CLEANUP(OSSL_PARAM_BLD, OSSL_PARAM_BLD_free)
KV_DEFINE_CLEANUP(OSSL_PARAM, OSSL_PARAM_free)
KV_DEFINE_CLEANUP(BIGNUM, BN_free)

/* --- what stands in a SubjectPublicKeyInfo (RFC 5280 §4.1.2.7, RFC 3279 §2.3.1, RFC 5480 §2.1) --- */

static unsigned count_bits(struct kv_view number)
{
    unsigned bits = (unsigned)number.len * 8;
    for (unsigned char top = number.len ? number.data[0] : 0; bits && !(top & 0x80); top <<= 1)
        bits--;
    return bits;
}

static enum kv_status read_number(struct kv_view *rest, struct kv_view *ret)
{
    KV_TRY(kv_der_read(rest, TAG_INTEGER, ret));
    if (ret->len == 0 || (ret->data[0] & 0x80))
        return KV_BAD_DATA;
    if (ret->data[0] == 0)
        *ret = (struct kv_view){ ret->data + 1, ret->len - 1 };
    return KV_OK;
}

static enum kv_status read_rsa(struct kv_public *key, struct kv_view params, struct kv_error *err)
{
    struct kv_view rest = key->key_bits, numbers, null;
    if (kv_der_read(&params, TAG_NULL, &null) != KV_OK || params.len ||
        kv_der_read(&rest, TAG_SEQUENCE, &numbers) != KV_OK || rest.len ||
        read_number(&numbers, &key->modulus) != KV_OK || read_number(&numbers, &key->exponent) != KV_OK ||
        numbers.len)
        return kv_fail(err, KV_BAD_DATA, "not an RSA public key");

    key->kind = KV_RSA;
    key->bits = count_bits(key->modulus);
    if (key->bits < RSA_BITS_MIN || key->bits > RSA_BITS_MAX)
        return kv_fail(err, KV_KEY_SIZE, "an RSA key of %u bits is not offered: %d to %d are", key->bits,
                       RSA_BITS_MIN, RSA_BITS_MAX);
    struct kv_view e = key->exponent;
    if (e.len == 0 || e.len > RSA_EXPONENT_MAX || !(e.data[e.len - 1] & 1) || (e.len == 1 && e.data[0] < 3))
        return kv_fail(err, KV_BAD_DATA, "the RSA key's public exponent is even, 1 or longer than %d bytes",
                       RSA_EXPONENT_MAX);
    return KV_OK;
}

static enum kv_status read_ec(struct kv_public *key, struct kv_view params, struct kv_error *err)
{
    key->kind = KV_EC;
    key->curve = kv_curve_by_params(params);
    if (!key->curve)
        return kv_fail(err, KV_KEY_SIZE, "the EC key's curve is not one of P-256, P-384, P-521, P-256K");
    key->bits = key->curve->bits;
    if (key->key_bits.len != 1 + 2 * (size_t)key->curve->width || key->key_bits.data[0] != POINT_PLAIN)
        return kv_fail(err, KV_BAD_DATA, "the EC key's point is not an uncompressed point of %s",
                       key->curve->name);
    return KV_OK;
}

static enum kv_status read_spki(struct kv_public *key, struct kv_error *err)
{
    struct kv_view rest = KV_VIEW(key->spki), info, algorithm, oid, bits;
    if (kv_der_read(&rest, TAG_SEQUENCE, &info) != KV_OK || rest.len ||
        kv_der_read(&info, TAG_SEQUENCE, &algorithm) != KV_OK ||
        kv_der_read(&algorithm, TAG_OID, &oid) != KV_OK ||
        kv_der_read(&info, TAG_BIT_STRING, &bits) != KV_OK || info.len || bits.len < 2 || bits.data[0])
        return kv_fail(err, KV_BAD_DATA, "not a SubjectPublicKeyInfo");

    key->key_bits = (struct kv_view){ bits.data + 1, bits.len - 1 };
    if (kv_view_equal(oid, (struct kv_view){ oid_rsa, sizeof oid_rsa }))
        return read_rsa(key, algorithm, err);
    if (kv_view_equal(oid, (struct kv_view){ oid_ec, sizeof oid_ec }))
        return read_ec(key, algorithm, err);
    return kv_fail(err, KV_KEY_TYPE, "the public key is neither RSA nor EC");
}

/* --- making --- */

/* The DER and OpenSSL's key become one object. Both must say the same: what OpenSSL would write is what was given, so that one key has one
 * SPKI SHA-256 wherever it was seen. */
static enum kv_status join(struct kv_view der, EVP_PKEY *pkey, struct kv_public **ret, struct kv_error *err)
{
    KV_CLEANUP(kv_public_free_cleanup) struct kv_public *key = calloc(1, sizeof *key);
    if (!key)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    key->references = 1;
    if (kv_bytes_copy(der, &key->spki) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(read_spki(key, err));
    if (EVP_PKEY_up_ref(pkey) != 1)
        return kv_fail(err, KV_INTERNAL, "OpenSSL cannot share a public key");
    key->pkey = pkey;
    *ret = kv_take(key);
    return KV_OK;
}

static enum kv_status encode(const EVP_PKEY *pkey, struct kv_bytes *ret)
{
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(pkey, &der);
    if (len <= 0)
        return KV_INTERNAL; /* it had all it needs but memory */
    enum kv_status status = kv_bytes_copy((struct kv_view){ der, (size_t)len }, ret);
    OPENSSL_free(der);
    return status;
}

/* By the key types' object identifiers, not by their names: a name that OpenSSL knows of old is looked up among the host's ENGINEs first, and an
 * engine that made itself the default for RSA (libp11's is asked to, by the openssl program) would get our keys. */
static const char *const key_types[] = { [KV_RSA] = "1.2.840.113549.1.1.1", [KV_EC] = "1.2.840.10045.2.1" };

/* Reading a point puts it on the curve or fails. */
static enum kv_status from_params(enum kv_kind kind, OSSL_PARAM_BLD *build, struct kv_public **ret,
                                  struct kv_error *err)
{
    KV_CLEANUP(OSSL_PARAM_free_cleanup) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    KV_CLEANUP(EVP_PKEY_CTX_free_cleanup)
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(kv_ossl_context(), key_types[kind], NULL);
    EVP_PKEY *made = NULL;
    if (!params || !context || EVP_PKEY_fromdata_init(context) != 1)
        return kv_fail(err, KV_INTERNAL, "OpenSSL cannot make a public key");
    kv_public_ask();
    int done = EVP_PKEY_fromdata(context, &made, EVP_PKEY_PUBLIC_KEY, params);
    KV_CLEANUP(EVP_PKEY_free_cleanup) EVP_PKEY *pkey = made;
    if (kv_public_no_memory() && done != 1)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (done != 1)
        return kv_fail(err, KV_BAD_DATA, "not a valid %s public key", kind == KV_RSA ? "RSA" : "EC");

    KV_AUTO_BYTES struct kv_bytes der = { 0 };
    KV_TRY(encode(pkey, &der));
    return join(KV_VIEW(der), pkey, ret, err);
}

enum kv_status kv_public_from_spki(struct kv_view der, struct kv_public **ret, struct kv_error *err)
{
    KV_CLEANUP(kv_public_free_cleanup) struct kv_public *made = NULL;
    KV_CLEANUP(kv_public_free_cleanup) struct kv_public *read = calloc(1, sizeof *read);
    if (!read)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    read->references = 1;
    KV_TRY(kv_bytes_copy(der, &read->spki));
    KV_TRY(read_spki(read, err));
    if (read->kind == KV_RSA) {
        KV_TRY(kv_public_from_rsa(read->modulus, read->exponent, &made, err));
    } else {
        size_t width = read->curve->width;
        const unsigned char *point = read->key_bits.data + 1;
        KV_TRY(kv_public_from_ec(read->curve->name, (struct kv_view){ point, width },
                                 (struct kv_view){ point + width, width }, &made, err));
    }
    if (!kv_view_equal(KV_VIEW(made->spki), der))
        return kv_fail(err, KV_BAD_DATA, "the public key is not in its canonical DER form");
    *ret = kv_take(made);
    return KV_OK;
}

enum kv_status kv_public_from_rsa(struct kv_view n, struct kv_view e, struct kv_public **ret,
                                  struct kv_error *err)
{
    if (n.len > RSA_BITS_MAX / 8 + 1 || e.len > RSA_EXPONENT_MAX)
        return kv_fail(err, KV_KEY_SIZE,
                       "an RSA key with %zu bytes of modulus and %zu of exponent is not offered", n.len,
                       e.len);
    KV_CLEANUP(BN_free_cleanup) BIGNUM *modulus = BN_bin2bn(n.data, (int)n.len, NULL);
    KV_CLEANUP(BN_free_cleanup) BIGNUM *exponent = BN_bin2bn(e.data, (int)e.len, NULL);
    KV_CLEANUP(OSSL_PARAM_BLD_free_cleanup) OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    if (!modulus || !exponent || !build || !OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus) ||
        !OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (BN_num_bits(modulus) < RSA_BITS_MIN || BN_num_bits(modulus) > RSA_BITS_MAX)
        return kv_fail(err, KV_KEY_SIZE, "an RSA key of %d bits is not offered: %d to %d are",
                       BN_num_bits(modulus), RSA_BITS_MIN, RSA_BITS_MAX);
    return from_params(KV_RSA, build, ret, err);
}

enum kv_status kv_public_from_ec(const char *name, struct kv_view x, struct kv_view y, struct kv_public **ret,
                                 struct kv_error *err)
{
    const struct kv_curve *curve = kv_curve_find(name);
    if (!curve)
        return kv_fail(err, KV_KEY_SIZE, "curve '%s' is not one of P-256, P-384, P-521, P-256K",
                       name ? name : "");
    if (x.len != curve->width || y.len != curve->width)
        return kv_fail(err, KV_BAD_DATA, "a point of %s has co-ordinates of %u bytes, not %zu and %zu", name,
                       curve->width, x.len, y.len);

    static const unsigned char plain = POINT_PLAIN;
    KV_AUTO_BUFFER struct kv_buffer point = { 0 };
    KV_CLEANUP(OSSL_PARAM_BLD_free_cleanup) OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    if (kv_buffer_add(&point, (struct kv_view){ &plain, 1 }) || kv_buffer_add(&point, x) ||
        kv_buffer_add(&point, y) || !build ||
        !OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, curve->group, 0) ||
        !OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point.bytes.data, point.bytes.len))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    return from_params(KV_EC, build, ret, err);
}

struct kv_public *kv_public_ref(struct kv_public *key)
{
    if (key)
        __atomic_add_fetch(&key->references, 1, __ATOMIC_RELAXED);
    return key;
}

void kv_public_free(struct kv_public *key)
{
    if (!key || __atomic_sub_fetch(&key->references, 1, __ATOMIC_ACQ_REL))
        return;
    kv_verifier_free(key->verifier);
    EVP_PKEY_free(key->pkey);
    kv_bytes_free(&key->spki);
    free(key);
}

/* --- reading --- */

enum kv_kind kv_public_kind(const struct kv_public *key)
{
    return key->kind;
}

unsigned kv_public_bits(const struct kv_public *key)
{
    return key->bits;
}

const struct kv_curve *kv_public_curve(const struct kv_public *key)
{
    return key->curve;
}

struct kv_view kv_public_spki(const struct kv_public *key)
{
    return KV_VIEW(key->spki);
}

struct kv_view kv_public_bits_string(const struct kv_public *key)
{
    return key->key_bits;
}

struct kv_view kv_public_modulus(const struct kv_public *key)
{
    return key->modulus;
}

struct kv_view kv_public_exponent(const struct kv_public *key)
{
    return key->exponent;
}

struct kv_view kv_public_point(const struct kv_public *key)
{
    return key->kind == KV_EC ? key->key_bits : (struct kv_view){ 0 };
}

size_t kv_public_signature_size(const struct kv_public *key)
{
    return key->kind == KV_EC ? 2 * (size_t)key->curve->width : key->modulus.len;
}
