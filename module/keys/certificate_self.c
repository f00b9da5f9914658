#include "certificate_self.h"

#include "keys/key_ops.h"

static struct kv_x509_draft draft_of(const struct kv_version *version)
{
    return (struct kv_x509_draft){ .name = version->name,
                                   .spki = KV_VIEW(version->spki),
                                   .id = { version->id, sizeof version->id },
                                   .operations = version->operations,
                                   .created = version->created };
}

bool kv_self_can_sign(const struct kv_keyring *keyring, const struct kv_version *version)
{
    return version->operations & KV_OP_SIGN && kv_version_is_there(version) &&
           kv_version_usable(version, KV_OP_SIGN, kv_keyring_now(keyring), NULL) == KV_OK;
}

/* The algorithm whose digest is as strong as the key's curve; SHA-256 for RSA. */
static CK_MECHANISM_TYPE mechanism_of(const struct kv_version *version)
{
    const struct kv_curve *curve = version->kind == KV_EC ? kv_curve_find(version->curve) : NULL;

    if (!curve)
        return CKM_SHA256_RSA_PKCS;
    return curve->digest == 32 ? CKM_ECDSA_SHA256 : curve->digest == 48 ? CKM_ECDSA_SHA384 : CKM_ECDSA_SHA512;
}

static enum kv_status sign(const struct kv_key_use *use, struct kv_view tbs, struct kv_bytes *ret,
                           struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes digest = { 0 }, signature = { 0 };

    KV_TRY(kv_digest_once(use->mech->row->evp, tbs, &digest));
    KV_TRY(kv_key_sign(use, KV_VIEW(digest), &signature, err));
    /* It is kept for ever, so it had better be right. */
    KV_TRY(kv_key_verify(use, KV_VIEW(digest), KV_VIEW(signature), err));
    *ret = kv_bytes_take(&signature);
    return KV_OK;
}

enum kv_status kv_self_sign(struct kv_keyring *keyring, const struct kv_version *version,
                            const struct kv_task *task, struct kv_bytes *ret, struct kv_error *err)
{
    const CK_MECHANISM mechanism = { mechanism_of(version), NULL, 0 };
    const struct kv_mech_key key = kv_version_mech_key(version);
    const struct kv_mech_offer offer = kv_keyring_offer(keyring);
    KV_CLEANUP(kv_mech_use_free) struct kv_mech_use mech = { 0 };
    KV_AUTO_BYTES struct kv_bytes tbs = { 0 }, signature = { 0 };
    struct kv_x509_draft draft = draft_of(version);

    KV_TRY(kv_mech_select(&mechanism, &key, KV_OP_SIGN, &offer, &mech));
    draft.alg = mech.row->alg;
    KV_TRY(kv_x509_draft(&draft, &tbs));
    const struct kv_key_use use = { keyring, version, &mech, task, false };
    KV_TRY(sign(&use, KV_VIEW(tbs), &signature, err));
    return kv_x509_seal(&draft, KV_VIEW(tbs), KV_VIEW(signature), ret);
}

enum kv_status kv_self_contain(const struct kv_version *version, struct kv_bytes *ret, struct kv_error *err)
{
    const struct kv_x509_draft draft = draft_of(version);

    return kv_x509_container(&draft, ret, err);
}
