#include "attr_expect.h"

#include <stdio.h>
#include <openssl/core_names.h>
#include <openssl/x509.h>
#include "attr_certificate.h"
#include "kvp11.h"
#include "reference.h"

static void bytes(struct result *ret, const void *data, size_t len)
{
    memcpy(ret->data, data, len);
    ret->len = len;
}

static void number(struct result *ret, CK_ULONG value)
{
    bytes(ret, &value, sizeof value);
}

#define VALUE(name) static void name(const struct subject *subject, struct result *ret)

VALUE(class)
{
    number(ret, subject->nature & ON_PRIVATE     ? CKO_PRIVATE_KEY
                : subject->nature & ON_PUBLIC    ? CKO_PUBLIC_KEY
                : subject->nature & ON_SECRET    ? CKO_SECRET_KEY
                : subject->nature & ON_PROFILE   ? CKO_PROFILE
                : subject->nature & ON_MECHANISM ? CKO_MECHANISM
                                                 : CKO_CERTIFICATE);
}

VALUE(key_type)
{
    number(ret, subject->nature & ON_RSA  ? CKK_RSA
                : subject->nature & ON_EC ? CKK_EC
                : subject->key->mac       ? CKK_GENERIC_SECRET
                                          : CKK_AES);
}

VALUE(label)
{
    bytes(ret, subject->label, strlen(subject->label));
}

/* RFC 5280 §4.2.1.2 method 1; without a public key SHA-256 over name and version. What a session's object has was given to it. */
VALUE(id)
{
    if (subject->nature & ON_SESSION) {
        bytes(ret, "\x0a\x0b", 2);
        return;
    }
    if (subject->nature & ON_SECRET) {
        char text[200];
        int len = snprintf(text, sizeof text, "%s/%s", subject->name, subject->version);
        *ret = reference_digest("SHA2-256", BYTES(text, (size_t)len));
        ret->len = 20;
        return;
    }
    X509_PUBKEY *info = NULL;
    const unsigned char *bits = NULL;
    int len = 0;
    assert_int_equal(X509_PUBKEY_set(&info, subject->key->pkey), 1);
    assert_int_equal(X509_PUBKEY_get0_param(NULL, &bits, &len, NULL, info), 1);
    *ret = reference_digest("SHA1", BYTES(bits, (size_t)len));
    X509_PUBKEY_free(info);
}

VALUE(start_date)
{
    bytes(ret, subject->start, strlen(subject->start));
}

VALUE(end_date)
{
    bytes(ret, subject->end, strlen(subject->end));
}

VALUE(zero)
{
    number(ret, 0);
}

VALUE(one)
{
    number(ret, 1);
}

VALUE(rsa_pkcs)
{
    number(ret, CKM_RSA_PKCS);
}

VALUE(sha1)
{
    number(ret, CKM_SHA_1);
}

/* Keys of a vault without HSM: platform 0; a Managed HSM's are of hardware and tell no platform. */
VALUE(platform)
{
    bytes(ret, "0", 1);
}

VALUE(hardware)
{
    CK_BBOOL truth = subject->key->slot == HSM;
    bytes(ret, &truth, sizeof truth);
}

VALUE(unknown)
{
    number(ret, CK_UNAVAILABLE_INFORMATION);
}

VALUE(nothing)
{
    ret->len = 0;
}

VALUE(mechanisms)
{
    static const CK_MECHANISM_TYPE signs[] = {
        CKM_RSA_PKCS,     CKM_SHA256_RSA_PKCS,     CKM_SHA384_RSA_PKCS,     CKM_SHA512_RSA_PKCS,
        CKM_RSA_PKCS_PSS, CKM_SHA256_RSA_PKCS_PSS, CKM_SHA384_RSA_PKCS_PSS, CKM_SHA512_RSA_PKCS_PSS,
        CKM_RSA_PKCS_OAEP
    };
    static const CK_MECHANISM_TYPE ec[] = { CKM_ECDSA, CKM_ECDSA_SHA256, CKM_ECDSA_SHA384, CKM_ECDSA_SHA512 };
    if (subject->nature & ON_RSA)
        bytes(ret, signs, sizeof signs);
    else
        bytes(ret, ec, sizeof ec);
}

/* --- key material, by OpenSSL --- */

static void big(const struct subject *subject, const char *param, struct result *ret)
{
    BIGNUM *value = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(subject->key->pkey, param, &value), 1);
    ret->len = (CK_ULONG)BN_bn2bin(value, ret->data); /* minimal: no zero in front */
    BN_free(value);
}

VALUE(modulus_bits)
{
    number(ret, subject->key->bits);
}

#define BIG(name, param)                                                                                     \
    VALUE(name)                                                                                              \
    {                                                                                                        \
        big(subject, param, ret);                                                                            \
    }
BIG(modulus, OSSL_PKEY_PARAM_RSA_N)
BIG(exponent, OSSL_PKEY_PARAM_RSA_E)
BIG(private_exponent, OSSL_PKEY_PARAM_RSA_D)
BIG(prime_1, OSSL_PKEY_PARAM_RSA_FACTOR1)
BIG(prime_2, OSSL_PKEY_PARAM_RSA_FACTOR2)
BIG(exponent_1, OSSL_PKEY_PARAM_RSA_EXPONENT1)
BIG(exponent_2, OSSL_PKEY_PARAM_RSA_EXPONENT2)
BIG(coefficient, OSSL_PKEY_PARAM_RSA_COEFFICIENT1)

/* As many bytes as the curve's field has. */
VALUE(scalar)
{
    BIGNUM *number = NULL;
    int width = (int)(subject->key->bits + 7) / 8;
    assert_int_equal(EVP_PKEY_get_bn_param(subject->key->pkey, OSSL_PKEY_PARAM_PRIV_KEY, &number), 1);
    assert_int_equal(BN_bn2binpad(number, ret->data, width), width);
    ret->len = (CK_ULONG)width;
    BN_clear_free(number);
}

VALUE(ec_params)
{
    static const struct {
        const char *curve, *der;
        size_t len;
    } rows[] = {
        { "P-256", "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", 10 },
        { "P-384", "\x06\x05\x2b\x81\x04\x00\x22", 7 },
        { "P-521", "\x06\x05\x2b\x81\x04\x00\x23", 7 },
        { "P-256K", "\x06\x05\x2b\x81\x04\x00\x0a", 7 },
    };
    for (size_t i = 0; i < 4; i++)
        if (!strcmp(rows[i].curve, subject->key->curve))
            bytes(ret, rows[i].der, rows[i].len);
}

/* A DER OCTET STRING around 04 ‖ x ‖ y. */
VALUE(ec_point)
{
    size_t width = (subject->key->bits + 7) / 8, len = 1 + 2 * width, at = 0;
    BIGNUM *x = NULL, *y = NULL;
    ret->data[at++] = 0x04;
    if (len >= 0x80)
        ret->data[at++] = 0x81;
    ret->data[at++] = (CK_BYTE)len;
    ret->data[at++] = 0x04;
    assert_int_equal(EVP_PKEY_get_bn_param(subject->key->pkey, OSSL_PKEY_PARAM_EC_PUB_X, &x), 1);
    assert_int_equal(EVP_PKEY_get_bn_param(subject->key->pkey, OSSL_PKEY_PARAM_EC_PUB_Y, &y), 1);
    assert_int_equal(BN_bn2binpad(x, ret->data + at, (int)width), (int)width);
    assert_int_equal(BN_bn2binpad(y, ret->data + at + width, (int)width), (int)width);
    ret->len = at + 2 * width;
    BN_free(x);
    BN_free(y);
}

VALUE(spki)
{
    unsigned char *to = ret->data;
    int len = i2d_PUBKEY(subject->key->pkey, &to);
    assert_true(len > 0);
    ret->len = (CK_ULONG)len;
}

VALUE(spki_sha256)
{
    struct result der = { .len = 0 };
    spki(subject, &der);
    *ret = reference_digest("SHA2-256", BYTES(der.data, der.len));
}

VALUE(secret)
{
    bytes(ret, subject->key->value.data, subject->key->value.len);
}

VALUE(value_len)
{
    number(ret, subject->key->bits / 8);
}

VALUE(kid)
{
    ret->len = (CK_ULONG)snprintf((char *)ret->data, sizeof ret->data, "%s/keys/%s/%s",
                                  world.vaults[subject->key->slot], subject->name, subject->version);
}

VALUE(version)
{
    bytes(ret, subject->version, strlen(subject->version));
}

VALUE(state)
{
    bytes(ret, "enabled", 7);
}

/* --- the tables of PKCS#11 §4.4 to §4.9, and ours --- */

#define TOKEN   (ON_CLASSES | ON_VAULT)
#define VAULT   (ON_STORED | ON_VAULT)
#define LIVING  (ON_SECRET | ON_SESSION)
#define HERE    (ON_CLASSES | ON_SESSION)
#define SHUT    (ON_PRIVATE | ON_VAULT)
#define LOOSE   (ON_PRIVATE | ON_SESSION) /* told: subjects_start asks for it */
#define OPENING (ON_PRIVATE | ON_SECRET)
#define CLOSING (ON_PUBLIC | ON_SECRET)

/* clang-format off */
static const struct expected rows[] = {
    { CKA_CLASS,               ON_CLASSES,            IS_VALUE,  class },
    { CKA_TOKEN,               TOKEN,                 IS_TRUE,   NULL },
    { CKA_TOKEN,               HERE,                  IS_FALSE,  NULL },
    { CKA_PRIVATE,             ON_CLASSES,            IS_FALSE,  NULL },
    { CKA_MODIFIABLE,          TOKEN,                 IS_FALSE,  NULL },
    { CKA_MODIFIABLE,            HERE,                  IS_TRUE,   NULL },
    { CKA_COPYABLE,            TOKEN,                 IS_FALSE,  NULL },
    { CKA_COPYABLE,              HERE,                  IS_TRUE,   NULL },
    { CKA_DESTROYABLE,         TOKEN,                 IS_FALSE,  NULL },
    { CKA_DESTROYABLE,           HERE,                  IS_TRUE,   NULL },
    { CKA_LABEL,               ON_STORED,             IS_VALUE,  label },
    { CKA_UNIQUE_ID,           ON_CLASSES,            IS_SOME,   NULL },

    { CKA_KEY_TYPE,            ON_KEYS,               IS_VALUE,  key_type },
    { CKA_ID,                  ON_STORED,             IS_VALUE,  id },
    { CKA_START_DATE,          ON_STORED,             IS_VALUE,  start_date },
    { CKA_END_DATE,            ON_STORED,             IS_VALUE,  end_date },
    { CKA_DERIVE,              ON_KEYS,               IS_FALSE,  NULL },
    { CKA_LOCAL,               ON_KEYS,               IS_FALSE,  NULL }, /* all of them came from outside */
    { CKA_KEY_GEN_MECHANISM,   ON_KEYS,               IS_VALUE,  unknown },
    { CKA_ALLOWED_MECHANISMS,  ON_PAIR | ON_VAULT,    IS_VALUE,  mechanisms },
    { CKA_ALLOWED_MECHANISMS,  ON_SECRET | ON_VAULT,  IS_SOME,   NULL },

    { CKA_SUBJECT,             ON_PAIR,               IS_VALUE,  nothing },
    { CKA_WRAP_TEMPLATE,       CLOSING | ON_SESSION,  IS_ABSENT, NULL }, /* where it was not given */
    { CKA_UNWRAP_TEMPLATE,     OPENING | ON_SESSION,  IS_ABSENT, NULL },
    { CKA_DERIVE_TEMPLATE,     LIVING,                IS_ABSENT, NULL },
    { CKA_CHECK_VALUE,         LIVING,                IS_ABSENT, NULL }, /* of a short secret it would tell too much */
    { CKA_ALLOWED_MECHANISMS,  HERE,                  IS_ABSENT, NULL },
    { CKA_PUBLIC_KEY_INFO,     ON_PAIR,               IS_VALUE,  spki },

    { CKA_ENCRYPT,             ON_PUBLIC | ON_RSA,    IS_TRUE,   NULL },
    { CKA_ENCRYPT,             ON_PUBLIC | ON_EC,     IS_FALSE,  NULL },
    { CKA_VERIFY,              ON_PUBLIC,             IS_TRUE,   NULL },
    { CKA_VERIFY_RECOVER,      ON_PUBLIC,             IS_FALSE,  NULL },
    { CKA_WRAP,                ON_PUBLIC | ON_RSA,    IS_TRUE,   NULL },
    { CKA_WRAP,                ON_PUBLIC | ON_EC,     IS_FALSE,  NULL },
    { CKA_TRUSTED,             ON_PUBLIC | ON_VAULT,  IS_TRUE,   NULL },

    { CKA_SENSITIVE,           OPENING | ON_VAULT,    IS_TRUE,   NULL },
    { CKA_EXTRACTABLE,         OPENING | ON_VAULT,    IS_FALSE,  NULL },
    { CKA_ALWAYS_SENSITIVE,    OPENING | ON_VAULT,    IS_TRUE,   NULL },
    { CKA_NEVER_EXTRACTABLE,   OPENING | ON_VAULT,    IS_TRUE,   NULL },
    { CKA_WRAP_WITH_TRUSTED,   OPENING,               IS_FALSE,  NULL },
    { CKA_DECRYPT,             ON_PRIVATE | ON_RSA,   IS_TRUE,   NULL },
    { CKA_DECRYPT,             ON_PRIVATE | ON_EC,    IS_FALSE,  NULL },
    { CKA_SIGN,                ON_PRIVATE,            IS_TRUE,   NULL },
    { CKA_SIGN_RECOVER,        ON_PRIVATE,            IS_FALSE,  NULL },
    { CKA_UNWRAP,              ON_PRIVATE | ON_RSA,   IS_TRUE,   NULL },
    { CKA_UNWRAP,              ON_PRIVATE | ON_EC,    IS_FALSE,  NULL },
    { CKA_ALWAYS_AUTHENTICATE, ON_PRIVATE,            IS_FALSE,  NULL },

    { CKA_MODULUS,             ON_PAIR | ON_RSA,      IS_VALUE,  modulus },
    { CKA_MODULUS_BITS,        ON_PAIR | ON_RSA,      IS_VALUE,  modulus_bits },
    { CKA_PUBLIC_EXPONENT,     ON_PAIR | ON_RSA,      IS_VALUE,  exponent },
    { CKA_PRIVATE_EXPONENT,    SHUT | ON_RSA,        IS_HIDDEN, NULL },
    { CKA_PRIME_1,             SHUT | ON_RSA,        IS_HIDDEN, NULL },
    { CKA_PRIME_2,             SHUT | ON_RSA,        IS_HIDDEN, NULL },
    { CKA_EXPONENT_1,          SHUT | ON_RSA,        IS_HIDDEN, NULL },
    { CKA_EXPONENT_2,          SHUT | ON_RSA,        IS_HIDDEN, NULL },
    { CKA_COEFFICIENT,         SHUT | ON_RSA,        IS_HIDDEN, NULL },
    { CKA_EC_PARAMS,           ON_PAIR | ON_EC,       IS_VALUE,  ec_params },
    { CKA_EC_POINT,            ON_PAIR | ON_EC,       IS_VALUE,  ec_point },
    { CKA_VALUE,               SHUT | ON_EC,         IS_HIDDEN, NULL },

    { CKA_ENCRYPT,             ON_SECRET | ON_VAULT,  IS_TRUE,   NULL },
    { CKA_DECRYPT,             ON_SECRET | ON_VAULT,  IS_TRUE,   NULL },
    { CKA_WRAP,                ON_SECRET | ON_VAULT,  IS_TRUE,   NULL },
    { CKA_UNWRAP,              ON_SECRET | ON_VAULT,  IS_TRUE,   NULL },
    { CKA_SIGN,                ON_SECRET | ON_VAULT,  IS_FALSE,  NULL },
    { CKA_VERIFY,              ON_SECRET | ON_VAULT,  IS_FALSE,  NULL },
    { CKA_TRUSTED,             ON_SECRET | ON_VAULT,  IS_TRUE,   NULL },
    { CKA_VALUE,               ON_SECRET | ON_VAULT,  IS_HIDDEN, NULL },
    { CKA_VALUE_LEN,           ON_SECRET | ON_VAULT,  IS_OPTION, value_len }, /* the service tells it since its version 7.7 */

    { CKA_TRUSTED,             ON_PUBLIC | ON_SESSION, IS_FALSE, NULL },
    { CKA_SENSITIVE,           LOOSE,                 IS_FALSE,  NULL },
    { CKA_EXTRACTABLE,         LOOSE,                 IS_TRUE,   NULL },
    { CKA_ALWAYS_SENSITIVE,    LOOSE,                 IS_FALSE,  NULL },
    { CKA_NEVER_EXTRACTABLE,   LOOSE,                 IS_FALSE,  NULL },
    { CKA_PRIVATE_EXPONENT,    LOOSE | ON_RSA,        IS_VALUE,  private_exponent },
    { CKA_PRIME_1,             LOOSE | ON_RSA,        IS_VALUE,  prime_1 },
    { CKA_PRIME_2,             LOOSE | ON_RSA,        IS_VALUE,  prime_2 },
    { CKA_EXPONENT_1,          LOOSE | ON_RSA,        IS_VALUE,  exponent_1 },
    { CKA_EXPONENT_2,          LOOSE | ON_RSA,        IS_VALUE,  exponent_2 },
    { CKA_COEFFICIENT,         LOOSE | ON_RSA,        IS_VALUE,  coefficient },
    { CKA_VALUE,               LOOSE | ON_EC,         IS_VALUE,  scalar },

    /* As subjects_start asks for it. */
    { CKA_ENCRYPT,             LIVING,                IS_TRUE,   NULL },
    { CKA_DECRYPT,             LIVING,                IS_TRUE,   NULL },
    { CKA_WRAP,                LIVING,                IS_TRUE,   NULL },
    { CKA_UNWRAP,              LIVING,                IS_TRUE,   NULL },
    { CKA_SIGN,                LIVING,                IS_FALSE,  NULL },
    { CKA_VERIFY,              LIVING,                IS_FALSE,  NULL },
    { CKA_TRUSTED,             LIVING,                IS_FALSE,  NULL },
    { CKA_SENSITIVE,           LIVING,                IS_FALSE,  NULL },
    { CKA_EXTRACTABLE,         LIVING,                IS_TRUE,   NULL },
    { CKA_ALWAYS_SENSITIVE,    LIVING,                IS_FALSE,  NULL },
    { CKA_NEVER_EXTRACTABLE,   LIVING,                IS_FALSE,  NULL },
    { CKA_VALUE,               LIVING,                IS_VALUE,  secret },
    { CKA_VALUE_LEN,           LIVING,                IS_VALUE,  value_len },

    { CKA_PROFILE_ID,          ON_PROFILE,            IS_VALUE,  one },      /* CKP_BASELINE_PROVIDER */
    { CKA_MECHANISM_TYPE,      ON_MECHANISM,          IS_VALUE,  rsa_pkcs }, /* the first of the list */

    { CKA_KVP11_HSM_PLATFORM,  ON_KEYS | ON_VAULT,    IS_OPTION, platform }, /* a Managed HSM tells none */
    { CKA_KVP11_HARDWARE,      ON_KEYS | ON_VAULT,    IS_VALUE,  hardware },

    { CKA_CERTIFICATE_TYPE,    ON_CERTIFICATE,        IS_VALUE,  zero }, /* CKC_X_509 */
    { CKA_CERTIFICATE_CATEGORY, ON_CERTIFICATE,       IS_VALUE,  one },  /* of the token's user */
    { CKA_TRUSTED,             ON_CERTIFICATE,        IS_FALSE,  NULL },
    { CKA_SUBJECT,             ON_CERTIFICATE,        IS_VALUE,  certificate_holder },
    { CKA_ISSUER,              ON_CERTIFICATE,        IS_VALUE,  certificate_issuer },
    { CKA_SERIAL_NUMBER,       ON_CERTIFICATE,        IS_VALUE,  certificate_serial },
    { CKA_VALUE,               ON_CERTIFICATE,        IS_SOME,   NULL }, /* from which the others are read */
    { CKA_CHECK_VALUE,         ON_CERTIFICATE,        IS_VALUE,  certificate_check },
    { CKA_PUBLIC_KEY_INFO,     ON_CERTIFICATE,        IS_VALUE,  spki },
    { CKA_URL,                 ON_CERTIFICATE,        IS_VALUE,  nothing },
    { CKA_HASH_OF_SUBJECT_PUBLIC_KEY, ON_CERTIFICATE, IS_VALUE,  nothing },
    { CKA_HASH_OF_ISSUER_PUBLIC_KEY, ON_CERTIFICATE,  IS_VALUE,  nothing },
    { CKA_NAME_HASH_ALGORITHM, ON_CERTIFICATE,        IS_VALUE,  sha1 },
    { CKA_JAVA_MIDP_SECURITY_DOMAIN, ON_CERTIFICATE,  IS_VALUE,  zero },

    { CKA_KVP11_KID,           VAULT,                 IS_VALUE,  kid },
    { CKA_KVP11_VERSION,       VAULT,                 IS_VALUE,  version },
    { CKA_KVP11_STATE,         VAULT,                 IS_VALUE,  state },
    { CKA_KVP11_CREATED,       VAULT,                 IS_SOME,   NULL },
    { CKA_KVP11_SPKI_SHA256,   ON_PAIR | ON_CERTIFICATE | ON_VAULT, IS_VALUE,  spki_sha256 },
};
/* clang-format on */

size_t expectations(const struct expected **ret)
{
    *ret = rows;
    return sizeof rows / sizeof *rows;
}

const struct expected *expectation(const struct subject *subject, CK_ATTRIBUTE_TYPE type)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unsigned limits = rows[i].on & ~(unsigned)ON_CLASSES;
        if (rows[i].type == type && rows[i].on & subject->nature & ON_CLASSES &&
            (limits & subject->nature) == limits)
            return &rows[i];
    }
    return NULL;
}

bool expected_value(const struct subject *subject, const struct expected *row, struct result *ret)
{
    CK_BBOOL truth = row->how == IS_TRUE;
    if (row->how == IS_TRUE || row->how == IS_FALSE)
        bytes(ret, &truth, sizeof truth);
    else if (row->value)
        row->value(subject, ret);
    return row->how == IS_TRUE || row->how == IS_FALSE || row->value;
}
