#include "attr_get.h"

#define GET(name)  kv_attr_get_##name, NULL
#define BOTH(name) kv_attr_get_##name, kv_attr_put_##name
#define NONE       NULL, NULL

#define BOOL  KV_FORM_BOOL
#define ULONG KV_FORM_ULONG
#define BYTES KV_FORM_BYTES
#define DATE  KV_FORM_DATE
#define ARRAY KV_FORM_ARRAY

#define OPENING (KV_ON_PRIVATE | KV_ON_SECRET)
#define CLOSING (KV_ON_PUBLIC | KV_ON_SECRET)
#define LIVING  (KV_ON_SECRET | KV_ON_SESSION)
#define VAULT   (KV_ON_KEYS | KV_ON_VAULT)
#define KNOWN   (VAULT | KV_ON_CERTIFICATE)
#define X509    KV_ON_CERTIFICATE
#define HERE    KV_ON_SESSION
#define RSA_OUT (KV_ON_PUBLIC | KV_ON_RSA)
#define RSA_IN  (KV_ON_PRIVATE | KV_ON_RSA)
#define EC_OUT  (KV_ON_PUBLIC | KV_ON_EC)
#define EC_IN   (KV_ON_PRIVATE | KV_ON_EC)

#define NEW    KV_SET_NEW
#define ALWAYS KV_SET_ALWAYS
#define MAKING (KV_SET_GENERATE | KV_SET_UNWRAP)
#define CREATE KV_SET_CREATE
#define MUST   (KV_SET_CREATE | KV_SET_NEEDED)

/* clang-format off */
const struct kv_attr_rule kv_attr_rules[] = {
    { CKA_CLASS,              ULONG, KV_ON_ALL,     NEW | KV_SET_NEEDED,   0, BOTH(class), false },
    { CKA_TOKEN,              BOOL,  KV_ON_ALL,     NEW | KV_SET_COPY,     KV_IS_TOKEN, NONE, false },
    { CKA_PRIVATE,            BOOL,  KV_ON_ALL,     NEW | KV_SET_COPY,     KV_IS_PRIVATE, NONE, false },
    { CKA_MODIFIABLE,         BOOL,  KV_ON_ALL,     NEW | KV_SET_COPY,     KV_IS_MODIFIABLE, NONE, false },
    { CKA_COPYABLE,           BOOL,  KV_ON_ALL,     ALWAYS | KV_SET_LOWER, KV_IS_COPYABLE, NONE, false },
    { CKA_DESTROYABLE,        BOOL,  KV_ON_ALL,     ALWAYS,                KV_IS_DESTROYABLE, NONE, false },
    { CKA_LABEL,              BYTES, KV_ON_STORED,  ALWAYS,                0, BOTH(label), false },
    { CKA_UNIQUE_ID,          BYTES, KV_ON_ALL,     0,                     0, GET(unique_id), false },
    { CKA_KEY_TYPE,           ULONG, KV_ON_KEYS,     NEW | KV_SET_NEEDED,   0, BOTH(key_type), false },
    { CKA_ID,                 BYTES, KV_ON_STORED,  ALWAYS,                0, BOTH(id), false },
    { CKA_START_DATE,         DATE,  KV_ON_STORED,  ALWAYS,                0, BOTH(start_date), false },
    { CKA_END_DATE,           DATE,  KV_ON_STORED,  ALWAYS,                0, BOTH(end_date), false },
    { CKA_LOCAL,              BOOL,  KV_ON_KEYS,     0,                     KV_IS_LOCAL, NONE, false },
    { CKA_KEY_GEN_MECHANISM,  ULONG, KV_ON_KEYS,     0,                     0, GET(generated_by), false },
    { CKA_ALLOWED_MECHANISMS, BYTES, KV_ON_KEYS,    NEW,                   0, BOTH(mechanisms), false },
    { CKA_DERIVE,             BOOL,  LIVING,        ALWAYS,                KV_CAN_DERIVE, NONE, false },
    { CKA_DERIVE,             BOOL,  KV_ON_SECRET | KV_ON_VAULT, 0,        KV_NEVER, NONE, false },
    { CKA_DERIVE,             BOOL,  KV_ON_PAIR,    KV_SET_VAULT_MAKE,     KV_NEVER, NONE, false },
    { CKA_SUBJECT,            BYTES, KV_ON_PAIR,    ALWAYS,                0, BOTH(subject), false },
    { CKA_SUBJECT,            BYTES, X509,          0,                     0, GET(subject), false },
    { CKA_WRAP_TEMPLATE,      ARRAY, CLOSING | HERE, NEW,                  0, BOTH(wrap_template), false },
    { CKA_UNWRAP_TEMPLATE,    ARRAY, OPENING | HERE, NEW,                  0, BOTH(unwrap_template), false },
    { CKA_DERIVE_TEMPLATE,    ARRAY, LIVING,        NEW,                   0, BOTH(derive_template), false },

    { CKA_SENSITIVE,          BOOL,  OPENING,       ALWAYS | KV_SET_RAISE, KV_IS_SENSITIVE, NONE, false },
    { CKA_EXTRACTABLE,        BOOL,  OPENING,       ALWAYS | KV_SET_LOWER, KV_IS_EXTRACTABLE, NONE, false },
    { CKA_ALWAYS_SENSITIVE,   BOOL,  OPENING,       0,                     KV_IS_ALWAYS_SENSITIVE, NONE, false },
    { CKA_NEVER_EXTRACTABLE,  BOOL,  OPENING,       0,                     KV_IS_NEVER_EXTRACTABLE, NONE, false },
    { CKA_WRAP_WITH_TRUSTED,  BOOL,  OPENING,       ALWAYS | KV_SET_RAISE, KV_IS_WRAP_WITH_TRUSTED, NONE, false },
    { CKA_DECRYPT,            BOOL,  OPENING,       ALWAYS,                KV_CAN_DECRYPT, NONE, false },
    { CKA_UNWRAP,             BOOL,  OPENING,       ALWAYS,                KV_CAN_UNWRAP, NONE, false },
    { CKA_SIGN,               BOOL,  OPENING,       ALWAYS,                KV_CAN_SIGN, NONE, false },
    { CKA_SIGN_RECOVER,       BOOL,  KV_ON_PRIVATE, 0,                     KV_NEVER, NONE, false },
    { CKA_ALWAYS_AUTHENTICATE, BOOL, KV_ON_PRIVATE, 0,                     KV_NEVER, NONE, false },

    { CKA_TRUSTED,            BOOL,  CLOSING | X509, 0,                    KV_IS_TRUSTED, NONE, false },
    { CKA_ENCRYPT,            BOOL,  CLOSING,       ALWAYS,                KV_CAN_ENCRYPT, NONE, false },
    { CKA_WRAP,               BOOL,  CLOSING,       ALWAYS,                KV_CAN_WRAP, NONE, false },
    { CKA_VERIFY,             BOOL,  CLOSING,       ALWAYS,                KV_CAN_VERIFY, NONE, false },
    { CKA_VERIFY_RECOVER,     BOOL,  KV_ON_PUBLIC,  0,                     KV_NEVER, NONE, false },

    /* The public half stands on the private key, too: no client needs a second search then, and some know no other way. */
    { CKA_MODULUS,            BYTES, KV_ON_PAIR | KV_ON_RSA, MUST,         0, BOTH(modulus), false },
    { CKA_MODULUS_BITS,       ULONG, RSA_OUT,       KV_SET_GENERATE,       0, BOTH(modulus_bits), false },
    { CKA_MODULUS_BITS,       ULONG, RSA_IN,        0,                     0, GET(modulus_bits), false },
    { CKA_PUBLIC_EXPONENT,    BYTES, RSA_OUT,       MUST | KV_SET_GENERATE, 0, BOTH(exponent), false },
    { CKA_PUBLIC_EXPONENT,    BYTES, RSA_IN,        MUST,                  0, BOTH(exponent), false },
    { CKA_EC_PARAMS,          BYTES, EC_OUT,        MUST | KV_SET_GENERATE, 0, BOTH(ec_params), false },
    { CKA_EC_PARAMS,          BYTES, EC_IN,         MUST,                  0, BOTH(ec_params), false },
    { CKA_EC_POINT,           BYTES, EC_OUT,        MUST,                  0, BOTH(ec_point), false },
    { CKA_EC_POINT,           BYTES, EC_IN,         CREATE,                0, BOTH(ec_point), false },
    { CKA_PUBLIC_KEY_INFO,    BYTES, KV_ON_PAIR,    CREATE,                0, BOTH(public_key), false },
    { CKA_PUBLIC_KEY_INFO,    BYTES, X509,          0,                     0, GET(public_key), false },

    { CKA_PRIVATE_EXPONENT,   BYTES, RSA_IN,        MUST,                  0, BOTH(private_exponent), true },
    { CKA_PRIME_1,            BYTES, RSA_IN,        CREATE,                0, BOTH(prime_1), true },
    { CKA_PRIME_2,            BYTES, RSA_IN,        CREATE,                0, BOTH(prime_2), true },
    { CKA_EXPONENT_1,         BYTES, RSA_IN,        CREATE,                0, BOTH(exponent_1), true },
    { CKA_EXPONENT_2,         BYTES, RSA_IN,        CREATE,                0, BOTH(exponent_2), true },
    { CKA_COEFFICIENT,        BYTES, RSA_IN,        CREATE,                0, BOTH(coefficient), true },
    { CKA_VALUE,              BYTES, EC_IN,         MUST,                  0, BOTH(scalar), true },
    { CKA_VALUE,              BYTES, LIVING,        MUST,                  0, BOTH(value), true },
    /* Not offered, and then ignored in templates: PKCS#11 §4.10. Of a short secret it would tell too much. */
    { CKA_CHECK_VALUE,        BYTES, LIVING,        ALWAYS,                0, BOTH(check_value), false },
    { CKA_VALUE,              BYTES, KV_ON_SECRET | KV_ON_VAULT, 0,        0, NONE, true },
    { CKA_VALUE_LEN,          ULONG, KV_ON_SECRET,  MAKING,                0, BOTH(value_len), false },

    { CKA_PROFILE_ID,         ULONG, KV_ON_PROFILE, 0,                     0, GET(fixed), false },
    { CKA_MECHANISM_TYPE,     ULONG, KV_ON_MECHANISM, 0,                   0, GET(fixed), false },

    { CKA_KVP11_KID,          BYTES, KNOWN,         0,                     0, GET(kid), false },
    { CKA_KVP11_VERSION,      BYTES, KNOWN,         0,                     0, GET(version), false },
    { CKA_KVP11_STATE,        BYTES, KNOWN,         0,                     0, GET(state), false },
    { CKA_KVP11_CREATED,      BYTES, KNOWN,         0,                     0, GET(created), false },
    { CKA_KVP11_SPKI_SHA256,  BYTES, KNOWN,         0,                     0, GET(spki_sha256), false },
    { CKA_KVP11_HSM_PLATFORM, BYTES, VAULT,         0,                     0, GET(hsm_platform), false },
    { CKA_KVP11_HARDWARE,     BYTES, VAULT,         0,                     0, GET(hardware), false },

    { CKA_CERTIFICATE_TYPE,   ULONG, X509,          0,                     0, GET(certificate_type), false },
    { CKA_CERTIFICATE_CATEGORY, ULONG, X509,        0,                     0, GET(category), false },
    { CKA_VALUE,              BYTES, X509,          0,                     0, GET(der), false },
    { CKA_ISSUER,             BYTES, X509,          0,                     0, GET(issuer), false },
    { CKA_SERIAL_NUMBER,      BYTES, X509,          0,                     0, GET(serial), false },
    { CKA_CHECK_VALUE,        BYTES, X509,          0,                     0, GET(thumbprint), false },
    { CKA_URL,                BYTES, X509,          0,                     0, GET(nothing), false },
    { CKA_HASH_OF_SUBJECT_PUBLIC_KEY, BYTES, X509,  0,                     0, GET(nothing), false },
    { CKA_HASH_OF_ISSUER_PUBLIC_KEY, BYTES, X509,   0,                     0, GET(nothing), false },
    { CKA_NAME_HASH_ALGORITHM, ULONG, X509,         0,                     0, GET(name_hash), false },
    { CKA_JAVA_MIDP_SECURITY_DOMAIN, ULONG, X509,   0,                     0, GET(zero), false },
};
/* clang-format on */

const size_t kv_attr_rule_count = sizeof kv_attr_rules / sizeof *kv_attr_rules;

static unsigned nature_of(const struct kv_object *object)
{
    static const struct {
        CK_OBJECT_CLASS type;
        unsigned nature;
    } classes[] = { { CKO_PRIVATE_KEY, KV_ON_PRIVATE }, { CKO_PUBLIC_KEY, KV_ON_PUBLIC },
                    { CKO_SECRET_KEY, KV_ON_SECRET },   { CKO_CERTIFICATE, KV_ON_CERTIFICATE },
                    { CKO_PROFILE, KV_ON_PROFILE },     { CKO_MECHANISM, KV_ON_MECHANISM } };
    unsigned nature = object->version ? KV_ON_VAULT : KV_ON_SESSION;
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        nature |= object->type == classes[i].type ? classes[i].nature : 0;
    nature |= object->key_type == CKK_RSA ? KV_ON_RSA : 0;
    nature |= object->key_type == CKK_EC ? KV_ON_EC : 0;
    return nature;
}

bool kv_attr_exists(unsigned classes, CK_ATTRIBUTE_TYPE type)
{
    for (size_t i = 0; i < kv_attr_rule_count; i++)
        if (kv_attr_rules[i].type == type && kv_attr_rules[i].on & classes)
            return true;
    return false;
}

const struct kv_attr_rule *kv_attr_rule(const struct kv_object *object, CK_ATTRIBUTE_TYPE type)
{
    unsigned nature = nature_of(object);
    for (size_t i = 0; i < kv_attr_rule_count; i++) {
        const struct kv_attr_rule *rule = &kv_attr_rules[i];
        unsigned limits = rule->on & ~(unsigned)KV_ON_ALL;
        if (rule->type == type && rule->on & nature & KV_ON_ALL && (limits & nature) == limits)
            return rule;
    }
    return NULL;
}
