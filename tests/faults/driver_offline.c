/* What needs no vault: what is made here is opened by "decrypt" and "unwrap". */
#include "driver.h"

static unsigned char kept[512]; /* a signature of `secret` */
static CK_ULONG kept_len;

/* Signs, for "verify". */
struct answer run_keep(const char *label)
{
    (void)label;
    return (struct answer){ sign(session, kept, &kept_len), false };
}

struct answer run_encrypt(const char *label)
{
    CK_MECHANISM mechanism = app_oaep();
    (void)label;
    memset(sealed, 0, sizeof sealed);
    sealed_len = sizeof sealed;
    CK_RV rv = p11->C_EncryptInit(session, &mechanism, public_key);
    if (rv == CKR_OK)
        rv = p11->C_Encrypt(session, secret, sizeof secret, sealed, &sealed_len);
    return (struct answer){ rv, false };
}

struct answer run_wrap(const char *label)
{
    CK_MECHANISM mechanism = app_oaep();
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &class, sizeof class },
                                { CKA_KEY_TYPE, &type, sizeof type },
                                { CKA_EXTRACTABLE, &yes, sizeof yes },
                                { CKA_VALUE, secret, sizeof secret } };
    CK_OBJECT_HANDLE key;
    (void)label;
    memset(sealed, 0, sizeof sealed);
    sealed_len = sizeof sealed;
    CK_RV rv = p11->C_CreateObject(session, template, 4, &key);
    if (rv != CKR_OK)
        return (struct answer){ rv, false };
    rv = p11->C_WrapKey(session, &mechanism, public_key, key, sealed, &sealed_len);
    app_must("C_DestroyObject", p11->C_DestroyObject(session, key));
    return (struct answer){ rv, false };
}

/* "wrong": a signature that was tampered with verifies, or is refused for another reason. */
struct answer run_verify(const char *label)
{
    (void)label;
    CK_RV rv = verify(session, kept, kept_len);
    if (rv != CKR_OK)
        return (struct answer){ rv, false };
    kept[kept_len / 2] ^= 1;
    bool noticed = verify(session, kept, kept_len) == CKR_SIGNATURE_INVALID;
    kept[kept_len / 2] ^= 1;
    return (struct answer){ rv, !noticed };
}
