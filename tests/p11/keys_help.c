#include "keys_help.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include "base/encode.h"
#include "../common/rsa_keys.h"

const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
const CK_OBJECT_CLASS secret_class = CKO_SECRET_KEY, public_class = CKO_PUBLIC_KEY,
                      private_class = CKO_PRIVATE_KEY;
const CK_KEY_TYPE aes = CKK_AES, generic = CKK_GENERIC_SECRET, hkdf = CKK_HKDF, rsa = CKK_RSA, ec = CKK_EC;

const struct curve curves[4] = {
    { "P-256", "prime256v1", { 0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 }, 10 },
    { "P-384", "secp384r1", { 0x06, 5, 0x2b, 0x81, 0x04, 0x00, 0x22 }, 7 },
    { "P-521", "secp521r1", { 0x06, 5, 0x2b, 0x81, 0x04, 0x00, 0x23 }, 7 },
    { "P-256K", "secp256k1", { 0x06, 5, 0x2b, 0x81, 0x04, 0x00, 0x0a }, 7 },
};

EVP_PKEY *make_pkey(const struct curve *curve)
{
    EVP_PKEY *pkey = curve ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", curve->group) : rsa_key(NULL, 2048, 0);
    assert_non_null(pkey);
    return pkey;
}

CK_ULONG number_of(EVP_PKEY *pkey, const char *name, CK_BYTE *ret, size_t room)
{
    BIGNUM *number = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(pkey, name, &number), 1);
    assert_true((size_t)BN_num_bytes(number) <= room);
    int len = BN_bn2bin(number, ret);
    BN_clear_free(number);
    return (CK_ULONG)len;
}

CK_ULONG point_of(EVP_PKEY *pkey, CK_BYTE *ret, size_t room)
{
    size_t len = 0;
    assert_int_equal(EVP_PKEY_get_octet_string_param(pkey, OSSL_PKEY_PARAM_PUB_KEY, ret, room, &len), 1);
    assert_int_equal(ret[0], 4);
    return len;
}

/* --- templates --- */

void grow(struct growing *template, CK_ATTRIBUTE_TYPE type, const void *value, size_t len)
{
    assert_true(template->count < COUNT(template->items) && len <= sizeof template->bytes - template->used);
    CK_BYTE *place = template->bytes + template->used;
    if (len)
        memcpy(place, value, len);
    template->items[template->count++] = (CK_ATTRIBUTE){ type, place, len };
    template->used += len;
}

void grow_bool(struct growing *template, CK_ATTRIBUTE_TYPE type, CK_BBOOL value)
{
    grow(template, type, &value, sizeof value);
}

static void grow_number(struct growing *template, CK_ATTRIBUTE_TYPE type, EVP_PKEY *pkey, const char *name)
{
    CK_BYTE bytes[1024];
    grow(template, type, bytes, number_of(pkey, name, bytes, sizeof bytes));
}

void grow_public(struct growing *template, EVP_PKEY *pkey, const struct curve *curve)
{
    grow(template, CKA_CLASS, &public_class, sizeof public_class);
    grow(template, CKA_KEY_TYPE, curve ? &ec : &rsa, sizeof rsa);
    if (!curve) {
        grow_number(template, CKA_MODULUS, pkey, OSSL_PKEY_PARAM_RSA_N);
        grow_number(template, CKA_PUBLIC_EXPONENT, pkey, OSSL_PKEY_PARAM_RSA_E);
        return;
    }
    CK_BYTE point[160];
    CK_ULONG len = point_of(pkey, point, sizeof point);
    KV_AUTO_BYTES struct kv_bytes der = { 0 };
    assert_int_equal(kv_der_wrap(0x04, (struct kv_view){ point, len }, &der), KV_OK);
    grow(template, CKA_EC_PARAMS, curve->params, curve->params_len);
    grow(template, CKA_EC_POINT, der.data, der.len);
}

void grow_private(struct growing *template, EVP_PKEY *pkey, const struct curve *curve)
{
    static const struct {
        CK_ATTRIBUTE_TYPE type;
        const char *name;
    } parts[] = {
        { CKA_MODULUS, OSSL_PKEY_PARAM_RSA_N },
        { CKA_PUBLIC_EXPONENT, OSSL_PKEY_PARAM_RSA_E },
        { CKA_PRIVATE_EXPONENT, OSSL_PKEY_PARAM_RSA_D },
        { CKA_PRIME_1, OSSL_PKEY_PARAM_RSA_FACTOR1 },
        { CKA_PRIME_2, OSSL_PKEY_PARAM_RSA_FACTOR2 },
        { CKA_EXPONENT_1, OSSL_PKEY_PARAM_RSA_EXPONENT1 },
        { CKA_EXPONENT_2, OSSL_PKEY_PARAM_RSA_EXPONENT2 },
        { CKA_COEFFICIENT, OSSL_PKEY_PARAM_RSA_COEFFICIENT1 },
    };
    grow(template, CKA_CLASS, &private_class, sizeof private_class);
    grow(template, CKA_KEY_TYPE, curve ? &ec : &rsa, sizeof rsa);
    for (size_t i = 0; !curve && i < COUNT(parts); i++)
        grow_number(template, parts[i].type, pkey, parts[i].name);
    if (curve) {
        grow(template, CKA_EC_PARAMS, curve->params, curve->params_len);
        grow_number(template, CKA_VALUE, pkey, OSSL_PKEY_PARAM_PRIV_KEY);
    }
}

CK_OBJECT_HANDLE create(CK_SESSION_HANDLE session, struct growing *template)
{
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    ok(world.p11->C_CreateObject(session, template->items, template->count, &object));
    return object;
}

CK_OBJECT_HANDLE create_public(CK_SESSION_HANDLE session, EVP_PKEY *pkey, const struct curve *curve)
{
    struct growing template = { .count = 0 };
    grow_public(&template, pkey, curve);
    return create(session, &template);
}

CK_OBJECT_HANDLE create_private(CK_SESSION_HANDLE session, EVP_PKEY *pkey, const struct curve *curve,
                                bool open)
{
    struct growing template = { .count = 0 };
    grow_private(&template, pkey, curve);
    grow_bool(&template, CKA_SENSITIVE, !open);
    grow_bool(&template, CKA_EXTRACTABLE, open);
    return create(session, &template);
}

/* --- OpenSSL's verdict --- */

EVP_PKEY *pkey_of(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object)
{
    CK_BYTE der[2048];
    const unsigned char *at = der;
    size_t len = attribute(session, object, CKA_PUBLIC_KEY_INFO, der, sizeof der);
    EVP_PKEY *pkey = d2i_PUBKEY(NULL, &at, (long)len);
    assert_non_null(pkey);
    assert_ptr_equal(at, der + len);
    return pkey;
}

static void set_padding(EVP_PKEY_CTX *context, int padding)
{
    if (padding)
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(context, padding), 1);
    if (padding == RSA_PKCS1_PSS_PADDING)
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST), 1);
}

static size_t width_of(EVP_PKEY *pkey)
{
    return ((size_t)EVP_PKEY_get_bits(pkey) + 7) / 8;
}

struct result openssl_sign(EVP_PKEY *pkey, int padding, const char *digest, struct kv_view message)
{
    struct result made = { .len = 0 };
    EVP_PKEY_CTX *inner = NULL;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t len = sizeof made.data;
    assert_int_equal(EVP_DigestSignInit_ex(context, &inner, digest, NULL, NULL, pkey, NULL), 1);
    set_padding(inner, padding);
    assert_int_equal(EVP_DigestSign(context, made.data, &len, message.data, message.len), 1);
    EVP_MD_CTX_free(context);
    made.len = len;
    if (padding)
        return made;
    KV_AUTO_BYTES struct kv_bytes raw = { 0 };
    assert_int_equal(kv_ecdsa_from_der((struct kv_view){ made.data, len }, width_of(pkey), &raw), KV_OK);
    memcpy(made.data, raw.data, raw.len);
    made.len = raw.len;
    return made;
}

bool openssl_verifies(EVP_PKEY *pkey, int padding, const char *digest, struct kv_view message,
                      const struct result *signature)
{
    KV_AUTO_BYTES struct kv_bytes der = { 0 };
    struct kv_view bytes = { signature->data, signature->len };
    EVP_PKEY_CTX *inner = NULL;
    if (!padding) {
        assert_int_equal(signature->len, 2 * width_of(pkey));
        assert_int_equal(kv_ecdsa_to_der(bytes, &der), KV_OK);
        bytes = KV_VIEW(der);
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestVerifyInit_ex(context, &inner, digest, NULL, NULL, pkey, NULL), 1);
    set_padding(inner, padding);
    int good = EVP_DigestVerify(context, bytes.data, bytes.len, message.data, message.len);
    EVP_MD_CTX_free(context);
    return good == 1;
}
