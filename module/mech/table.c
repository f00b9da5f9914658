#include "mech/mech.h"

#include <openssl/rsa.h>
#include "mech_private.h"

#define SIGN   (KV_OP_SIGN | KV_OP_VERIFY)
#define CRYPT  (KV_OP_ENCRYPT | KV_OP_DECRYPT)
#define WRAP   (KV_OP_WRAP | KV_OP_UNWRAP)
#define AEAD   (CRYPT | WRAP | KV_OP_MESSAGE)
#define PKCS1  RSA_PKCS1_PADDING
#define PSS    RSA_PKCS1_PSS_PADDING
#define OAEP   RSA_PKCS1_OAEP_PADDING
#define ROW(t) t, #t

/* Rows only. The order is the order of C_GetMechanismList; among the rows of one type the first that fits is taken. SHA-1 signatures and
 * CKM_RSA_X_509 are left out for good: the service has neither, and clients fall back to them when something else is refused. */
/* clang-format off */
const struct kv_mech kv_mech_table[] = {
    /* type, name                        kind    operations         alg             digest      evp                 curve    padding  bits  input           service */
    { ROW(CKM_RSA_PKCS),                 KV_RSA, SIGN,              "RS256",        CKM_SHA256, "SHA2-256",         NULL,    PKCS1,   0,    KV_DIGESTINFO,  KV_ANY },
    { ROW(CKM_RSA_PKCS),                 KV_RSA, SIGN,              "RS384",        CKM_SHA384, "SHA2-384",         NULL,    PKCS1,   0,    KV_DIGESTINFO,  KV_ANY },
    { ROW(CKM_RSA_PKCS),                 KV_RSA, SIGN,              "RS512",        CKM_SHA512, "SHA2-512",         NULL,    PKCS1,   0,    KV_DIGESTINFO,  KV_ANY },
    /* Bytes that are no DigestInfo, as TLS 1.0 and older protocols have them. The service reserves it (contract §7.3): only when asked for. */
    { ROW(CKM_RSA_PKCS),                 KV_RSA, SIGN,              "RSNULL",       0,          NULL,               NULL,    PKCS1,   0,    KV_PLAIN,       KV_ANY },
    { ROW(CKM_RSA_PKCS),                 KV_RSA, CRYPT | WRAP,      "RSA1_5",       0,          NULL,               NULL,    PKCS1,   0,    KV_PLAIN,       KV_ANY },
    { ROW(CKM_SHA256_RSA_PKCS),          KV_RSA, SIGN,              "RS256",        CKM_SHA256, "SHA2-256",         NULL,    PKCS1,   0,    KV_MESSAGE,     KV_ANY },
    { ROW(CKM_SHA384_RSA_PKCS),          KV_RSA, SIGN,              "RS384",        CKM_SHA384, "SHA2-384",         NULL,    PKCS1,   0,    KV_MESSAGE,     KV_ANY },
    { ROW(CKM_SHA512_RSA_PKCS),          KV_RSA, SIGN,              "RS512",        CKM_SHA512, "SHA2-512",         NULL,    PKCS1,   0,    KV_MESSAGE,     KV_ANY },
    { ROW(CKM_RSA_PKCS_PSS),             KV_RSA, SIGN,              "PS256",        CKM_SHA256, "SHA2-256",         NULL,    PSS,     0,    KV_DIGEST,      KV_ANY },
    { ROW(CKM_RSA_PKCS_PSS),             KV_RSA, SIGN,              "PS384",        CKM_SHA384, "SHA2-384",         NULL,    PSS,     0,    KV_DIGEST,      KV_ANY },
    { ROW(CKM_RSA_PKCS_PSS),             KV_RSA, SIGN,              "PS512",        CKM_SHA512, "SHA2-512",         NULL,    PSS,     0,    KV_DIGEST,      KV_ANY },
    { ROW(CKM_SHA256_RSA_PKCS_PSS),      KV_RSA, SIGN,              "PS256",        CKM_SHA256, "SHA2-256",         NULL,    PSS,     0,    KV_MESSAGE,     KV_ANY },
    { ROW(CKM_SHA384_RSA_PKCS_PSS),      KV_RSA, SIGN,              "PS384",        CKM_SHA384, "SHA2-384",         NULL,    PSS,     0,    KV_MESSAGE,     KV_ANY },
    { ROW(CKM_SHA512_RSA_PKCS_PSS),      KV_RSA, SIGN,              "PS512",        CKM_SHA512, "SHA2-512",         NULL,    PSS,     0,    KV_MESSAGE,     KV_ANY },
    { ROW(CKM_RSA_PKCS_OAEP),            KV_RSA, CRYPT | WRAP,      "RSA-OAEP",     CKM_SHA_1,  "SHA1",             NULL,    OAEP,    0,    KV_PLAIN,       KV_ANY },
    { ROW(CKM_RSA_PKCS_OAEP),            KV_RSA, CRYPT | WRAP,      "RSA-OAEP-256", CKM_SHA256, "SHA2-256",         NULL,    OAEP,    0,    KV_PLAIN,       KV_ANY },
    { ROW(CKM_ECDSA),                    KV_EC,  SIGN,              "ES256",        0,          NULL,               "P-256", 0,       0,    KV_DIGEST,      KV_ANY },
    { ROW(CKM_ECDSA),                    KV_EC,  SIGN,              "ES384",        0,          NULL,               "P-384", 0,       0,    KV_DIGEST,      KV_ANY },
    { ROW(CKM_ECDSA),                    KV_EC,  SIGN,              "ES512",        0,          NULL,               "P-521", 0,       0,    KV_DIGEST,      KV_ANY },
    { ROW(CKM_ECDSA),                    KV_EC,  SIGN,              "ES256K",       0,          NULL,               "P-256K", 0,      0,    KV_DIGEST,      KV_ANY },
    { ROW(CKM_ECDSA_SHA256),             KV_EC,  SIGN,              "ES256",        CKM_SHA256, "SHA2-256",         "P-256", 0,       0,    KV_MESSAGE,     KV_ANY },
    { ROW(CKM_ECDSA_SHA256),             KV_EC,  SIGN,              "ES384",        CKM_SHA256, "SHA2-256",         "P-384", 0,       0,    KV_MESSAGE,     KV_ANY },
    { ROW(CKM_ECDSA_SHA256),             KV_EC,  SIGN,              "ES512",        CKM_SHA256, "SHA2-256",         "P-521", 0,       0,    KV_MESSAGE,     KV_ANY },
    { ROW(CKM_ECDSA_SHA256),             KV_EC,  SIGN,              "ES256K",       CKM_SHA256, "SHA2-256",         "P-256K", 0,      0,    KV_MESSAGE,     KV_ANY },
    { ROW(CKM_ECDSA_SHA384),             KV_EC,  SIGN,              "ES256",        CKM_SHA384, "SHA2-384",         "P-256", 0,       0,    KV_MESSAGE,     KV_ANY },
    { ROW(CKM_ECDSA_SHA384),             KV_EC,  SIGN,              "ES384",        CKM_SHA384, "SHA2-384",         "P-384", 0,       0,    KV_MESSAGE,     KV_ANY },
    { ROW(CKM_ECDSA_SHA384),             KV_EC,  SIGN,              "ES512",        CKM_SHA384, "SHA2-384",         "P-521", 0,       0,    KV_MESSAGE,     KV_ANY },
    { ROW(CKM_ECDSA_SHA384),             KV_EC,  SIGN,              "ES256K",       CKM_SHA384, "SHA2-384",         "P-256K", 0,      0,    KV_MESSAGE,     KV_ANY },
    { ROW(CKM_ECDSA_SHA512),             KV_EC,  SIGN,              "ES256",        CKM_SHA512, "SHA2-512",         "P-256", 0,       0,    KV_MESSAGE,     KV_ANY },
    { ROW(CKM_ECDSA_SHA512),             KV_EC,  SIGN,              "ES384",        CKM_SHA512, "SHA2-512",         "P-384", 0,       0,    KV_MESSAGE,     KV_ANY },
    { ROW(CKM_ECDSA_SHA512),             KV_EC,  SIGN,              "ES512",        CKM_SHA512, "SHA2-512",         "P-521", 0,       0,    KV_MESSAGE,     KV_ANY },
    { ROW(CKM_ECDSA_SHA512),             KV_EC,  SIGN,              "ES256K",       CKM_SHA512, "SHA2-512",         "P-256K", 0,      0,    KV_MESSAGE,     KV_ANY },
    { ROW(CKM_AES_KEY_WRAP),             KV_OCT, WRAP,              "A128KW",       0,          NULL,               NULL,    0,       128,  KV_PLAIN,       KV_MANAGED_HSM },
    { ROW(CKM_AES_KEY_WRAP),             KV_OCT, WRAP,              "A192KW",       0,          NULL,               NULL,    0,       192,  KV_PLAIN,       KV_MANAGED_HSM },
    { ROW(CKM_AES_KEY_WRAP),             KV_OCT, WRAP,              "A256KW",       0,          NULL,               NULL,    0,       256,  KV_PLAIN,       KV_MANAGED_HSM },
    /* A vault does not tell the size of every key: then it goes by the name that fits all of them (contract §7.2, 7.6). */
    { ROW(CKM_AES_KEY_WRAP),             KV_OCT, WRAP,              "CKM_AES_KEY_WRAP", 0,      NULL,               NULL,    0,       0,    KV_PLAIN,       KV_MANAGED_HSM },
    { ROW(CKM_AES_KEY_WRAP),             KV_OCT, CRYPT | WRAP,      NULL,           0,          "AES-128-WRAP",     NULL,    0,       128,  KV_PLAIN,       KV_SESSION },
    { ROW(CKM_AES_KEY_WRAP),             KV_OCT, CRYPT | WRAP,      NULL,           0,          "AES-192-WRAP",     NULL,    0,       192,  KV_PLAIN,       KV_SESSION },
    { ROW(CKM_AES_KEY_WRAP),             KV_OCT, CRYPT | WRAP,      NULL,           0,          "AES-256-WRAP",     NULL,    0,       256,  KV_PLAIN,       KV_SESSION },
    { ROW(CKM_AES_KEY_WRAP_PAD),         KV_OCT, WRAP,              "CKM_AES_KEY_WRAP_PAD", 0,  NULL,               NULL,    0,       0,    KV_PLAIN,       KV_MANAGED_HSM },
    { ROW(CKM_AES_KEY_WRAP_PAD),         KV_OCT, CRYPT | WRAP,      NULL,           0,          "AES-128-WRAP-PAD", NULL,    0,       128,  KV_PLAIN,       KV_SESSION },
    { ROW(CKM_AES_KEY_WRAP_PAD),         KV_OCT, CRYPT | WRAP,      NULL,           0,          "AES-192-WRAP-PAD", NULL,    0,       192,  KV_PLAIN,       KV_SESSION },
    { ROW(CKM_AES_KEY_WRAP_PAD),         KV_OCT, CRYPT | WRAP,      NULL,           0,          "AES-256-WRAP-PAD", NULL,    0,       256,  KV_PLAIN,       KV_SESSION },
    { ROW(CKM_AES_KEY_WRAP_KWP),         KV_OCT, WRAP,              "CKM_AES_KEY_WRAP_PAD", 0,  NULL,               NULL,    0,       0,    KV_PLAIN,       KV_MANAGED_HSM },
    { ROW(CKM_AES_KEY_WRAP_KWP),         KV_OCT, CRYPT | WRAP,      NULL,           0,          "AES-128-WRAP-PAD", NULL,    0,       128,  KV_PLAIN,       KV_SESSION },
    { ROW(CKM_AES_KEY_WRAP_KWP),         KV_OCT, CRYPT | WRAP,      NULL,           0,          "AES-192-WRAP-PAD", NULL,    0,       192,  KV_PLAIN,       KV_SESSION },
    { ROW(CKM_AES_KEY_WRAP_KWP),         KV_OCT, CRYPT | WRAP,      NULL,           0,          "AES-256-WRAP-PAD", NULL,    0,       256,  KV_PLAIN,       KV_SESSION },
    { ROW(CKM_AES_GCM),                  KV_OCT, AEAD,              "A128GCM",      0,          NULL,               NULL,    0,       128,  KV_PLAIN,       KV_MANAGED_HSM },
    { ROW(CKM_AES_GCM),                  KV_OCT, AEAD,              "A192GCM",      0,          NULL,               NULL,    0,       192,  KV_PLAIN,       KV_MANAGED_HSM },
    { ROW(CKM_AES_GCM),                  KV_OCT, AEAD,              "A256GCM",      0,          NULL,               NULL,    0,       256,  KV_PLAIN,       KV_MANAGED_HSM },
    { ROW(CKM_AES_GCM),                  KV_OCT, AEAD,              NULL,           0,          "AES-128-GCM",      NULL,    0,       128,  KV_PLAIN,       KV_SESSION },
    { ROW(CKM_AES_GCM),                  KV_OCT, AEAD,              NULL,           0,          "AES-192-GCM",      NULL,    0,       192,  KV_PLAIN,       KV_SESSION },
    { ROW(CKM_AES_GCM),                  KV_OCT, AEAD,              NULL,           0,          "AES-256-GCM",      NULL,    0,       256,  KV_PLAIN,       KV_SESSION },
    { ROW(CKM_AES_CBC),                  KV_OCT, CRYPT | WRAP,      "A128CBC",      0,          NULL,               NULL,    0,       128,  KV_PLAIN,       KV_MANAGED_HSM },
    { ROW(CKM_AES_CBC),                  KV_OCT, CRYPT | WRAP,      "A192CBC",      0,          NULL,               NULL,    0,       192,  KV_PLAIN,       KV_MANAGED_HSM },
    { ROW(CKM_AES_CBC),                  KV_OCT, CRYPT | WRAP,      "A256CBC",      0,          NULL,               NULL,    0,       256,  KV_PLAIN,       KV_MANAGED_HSM },
    { ROW(CKM_AES_CBC),                  KV_OCT, CRYPT | WRAP,      NULL,           0,          "AES-128-CBC",      NULL,    0,       128,  KV_PLAIN,       KV_SESSION },
    { ROW(CKM_AES_CBC),                  KV_OCT, CRYPT | WRAP,      NULL,           0,          "AES-192-CBC",      NULL,    0,       192,  KV_PLAIN,       KV_SESSION },
    { ROW(CKM_AES_CBC),                  KV_OCT, CRYPT | WRAP,      NULL,           0,          "AES-256-CBC",      NULL,    0,       256,  KV_PLAIN,       KV_SESSION },
    { ROW(CKM_AES_CBC_PAD),              KV_OCT, CRYPT | WRAP,      "A128CBCPAD",   0,          NULL,               NULL,    0,       128,  KV_PLAIN,       KV_MANAGED_HSM },
    { ROW(CKM_AES_CBC_PAD),              KV_OCT, CRYPT | WRAP,      "A192CBCPAD",   0,          NULL,               NULL,    0,       192,  KV_PLAIN,       KV_MANAGED_HSM },
    { ROW(CKM_AES_CBC_PAD),              KV_OCT, CRYPT | WRAP,      "A256CBCPAD",   0,          NULL,               NULL,    0,       256,  KV_PLAIN,       KV_MANAGED_HSM },
    { ROW(CKM_AES_CBC_PAD),              KV_OCT, CRYPT | WRAP,      NULL,           0,          "AES-128-CBC",      NULL,    0,       128,  KV_PLAIN,       KV_SESSION },
    { ROW(CKM_AES_CBC_PAD),              KV_OCT, CRYPT | WRAP,      NULL,           0,          "AES-192-CBC",      NULL,    0,       192,  KV_PLAIN,       KV_SESSION },
    { ROW(CKM_AES_CBC_PAD),              KV_OCT, CRYPT | WRAP,      NULL,           0,          "AES-256-CBC",      NULL,    0,       256,  KV_PLAIN,       KV_SESSION },
    { ROW(CKM_AES_CTR),                  KV_OCT, CRYPT,             NULL,           0,          "AES-128-CTR",      NULL,    0,       128,  KV_PLAIN,       KV_SESSION },
    { ROW(CKM_AES_CTR),                  KV_OCT, CRYPT,             NULL,           0,          "AES-192-CTR",      NULL,    0,       192,  KV_PLAIN,       KV_SESSION },
    { ROW(CKM_AES_CTR),                  KV_OCT, CRYPT,             NULL,           0,          "AES-256-CTR",      NULL,    0,       256,  KV_PLAIN,       KV_SESSION },
    { ROW(CKM_SHA256_HMAC),              KV_OCT, SIGN,              "HS256",        CKM_SHA256, "SHA2-256",         NULL,    0,       0,    KV_MESSAGE,     KV_MANAGED_HSM },
    { ROW(CKM_SHA256_HMAC),              KV_OCT, SIGN,              NULL,           CKM_SHA256, "SHA2-256",         NULL,    0,       0,    KV_MESSAGE,     KV_SESSION },
    { ROW(CKM_SHA384_HMAC),              KV_OCT, SIGN,              "HS384",        CKM_SHA384, "SHA2-384",         NULL,    0,       0,    KV_MESSAGE,     KV_MANAGED_HSM },
    { ROW(CKM_SHA384_HMAC),              KV_OCT, SIGN,              NULL,           CKM_SHA384, "SHA2-384",         NULL,    0,       0,    KV_MESSAGE,     KV_SESSION },
    { ROW(CKM_SHA512_HMAC),              KV_OCT, SIGN,              "HS512",        CKM_SHA512, "SHA2-512",         NULL,    0,       0,    KV_MESSAGE,     KV_MANAGED_HSM },
    { ROW(CKM_SHA512_HMAC),              KV_OCT, SIGN,              NULL,           CKM_SHA512, "SHA2-512",         NULL,    0,       0,    KV_MESSAGE,     KV_SESSION },
    { ROW(CKM_SHA256_HMAC_GENERAL),      KV_OCT, SIGN,              NULL,           CKM_SHA256, "SHA2-256",         NULL,    0,       0,    KV_MESSAGE,     KV_SESSION },
    { ROW(CKM_SHA384_HMAC_GENERAL),      KV_OCT, SIGN,              NULL,           CKM_SHA384, "SHA2-384",         NULL,    0,       0,    KV_MESSAGE,     KV_SESSION },
    { ROW(CKM_SHA512_HMAC_GENERAL),      KV_OCT, SIGN,              NULL,           CKM_SHA512, "SHA2-512",         NULL,    0,       0,    KV_MESSAGE,     KV_SESSION },
    { ROW(CKM_AES_KEY_GEN),              KV_OCT, KV_OP_GENERATE,    NULL,           0,          NULL,               NULL,    0,       128,  KV_PLAIN,       KV_SESSION },
    { ROW(CKM_AES_KEY_GEN),              KV_OCT, KV_OP_GENERATE,    NULL,           0,          NULL,               NULL,    0,       192,  KV_PLAIN,       KV_SESSION },
    { ROW(CKM_AES_KEY_GEN),              KV_OCT, KV_OP_GENERATE,    NULL,           0,          NULL,               NULL,    0,       256,  KV_PLAIN,       KV_SESSION },
    { ROW(CKM_GENERIC_SECRET_KEY_GEN),   KV_OCT, KV_OP_GENERATE,    NULL,           0,          NULL,               NULL,    0,       0,    KV_PLAIN,       KV_SESSION },
    { ROW(CKM_HKDF_KEY_GEN),             KV_OCT, KV_OP_GENERATE,    NULL,           0,          NULL,               NULL,    0,       0,    KV_PLAIN,       KV_SESSION },
    { ROW(CKM_HKDF_DERIVE),              KV_OCT, KV_OP_DERIVE,      NULL,           CKM_SHA256, "SHA2-256",         NULL,    0,       0,    KV_PLAIN,       KV_SESSION },
    { ROW(CKM_HKDF_DERIVE),              KV_OCT, KV_OP_DERIVE,      NULL,           CKM_SHA384, "SHA2-384",         NULL,    0,       0,    KV_PLAIN,       KV_SESSION },
    { ROW(CKM_HKDF_DERIVE),              KV_OCT, KV_OP_DERIVE,      NULL,           CKM_SHA512, "SHA2-512",         NULL,    0,       0,    KV_PLAIN,       KV_SESSION },
    { ROW(CKM_RSA_PKCS_KEY_PAIR_GEN),    KV_RSA, KV_OP_PAIR,        NULL,           0,          NULL,               NULL,    0,       0,    KV_PLAIN,       KV_SESSION },
    { ROW(CKM_EC_KEY_PAIR_GEN),          KV_EC,  KV_OP_PAIR,        NULL,           0,          NULL,               "P-256", 0,       0,    KV_PLAIN,       KV_SESSION },
    { ROW(CKM_EC_KEY_PAIR_GEN),          KV_EC,  KV_OP_PAIR,        NULL,           0,          NULL,               "P-384", 0,       0,    KV_PLAIN,       KV_SESSION },
    { ROW(CKM_EC_KEY_PAIR_GEN),          KV_EC,  KV_OP_PAIR,        NULL,           0,          NULL,               "P-521", 0,       0,    KV_PLAIN,       KV_SESSION },
    { ROW(CKM_EC_KEY_PAIR_GEN),          KV_EC,  KV_OP_PAIR,        NULL,           0,          NULL,               "P-256K", 0,      0,    KV_PLAIN,       KV_SESSION },
    { ROW(CKM_SHA256),                   KV_OCT, KV_OP_DIGEST,      NULL,           0,          "SHA2-256",         NULL,    0,       0,    KV_MESSAGE,     KV_SESSION },
    { ROW(CKM_SHA384),                   KV_OCT, KV_OP_DIGEST,      NULL,           0,          "SHA2-384",         NULL,    0,       0,    KV_MESSAGE,     KV_SESSION },
    { ROW(CKM_SHA512),                   KV_OCT, KV_OP_DIGEST,      NULL,           0,          "SHA2-512",         NULL,    0,       0,    KV_MESSAGE,     KV_SESSION },
};
/* clang-format on */
const size_t kv_mech_count = sizeof kv_mech_table / sizeof *kv_mech_table;
