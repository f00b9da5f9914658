#include "prove.h"

#include <string.h>

/* What a version can be proved by: the first row that its kind and operations allow. */
struct proof {
    enum kv_kind kind;
    unsigned forward, back;
    CK_MECHANISM_TYPE type;
    bool oaep, pss;
};

static const struct proof proofs[] = {
    { KV_RSA, KV_OP_WRAP, KV_OP_UNWRAP, CKM_RSA_PKCS_OAEP, .oaep = true },
    { KV_RSA, KV_OP_ENCRYPT, KV_OP_DECRYPT, CKM_RSA_PKCS_OAEP, .oaep = true },
    { KV_RSA, KV_OP_SIGN, KV_OP_VERIFY, CKM_RSA_PKCS_PSS, .pss = true },
    { KV_EC, KV_OP_SIGN, KV_OP_VERIFY, CKM_ECDSA, .oaep = false },
    { KV_OCT, KV_OP_WRAP, KV_OP_UNWRAP, CKM_AES_KEY_WRAP, .oaep = false },
};

static const struct proof *proof_find(const struct kv_version *version)
{
    for (size_t i = 0; i < sizeof(proofs) / sizeof(proofs[0]); i++) {
        unsigned both = proofs[i].forward | proofs[i].back;
        if (proofs[i].kind == version->kind && (version->operations & both) == both)
            return &proofs[i];
    }
    return NULL;
}

static enum kv_status prove_round_trip(const struct kv_key_use *use, const struct proof *proof,
                                       struct kv_error *err)
{
    unsigned char secret[32];
    KV_CLEANUP(kv_bytes_free) struct kv_bytes wrapped = { 0 }, opened = { 0 };
    struct kv_view plain = { secret, sizeof(secret) };
    if (kv_random_bytes(secret, sizeof(secret)) != KV_OK)
        return kv_fail(err, KV_INTERNAL, "no random bytes");
    KV_TRY(kv_key_encrypt(use, proof->forward, plain, &wrapped, err));
    KV_TRY(kv_key_decrypt(use, proof->back, KV_VIEW(wrapped), &opened, err));
    if (!kv_view_equal_ct(plain, KV_VIEW(opened)))
        return kv_fail(err, KV_BAD_WRAPPED_KEY, "the vault gave back other bytes than were wrapped");
    return KV_OK;
}

static enum kv_status prove_signature(const struct kv_key_use *use, struct kv_error *err)
{
    unsigned char digest[32];
    KV_CLEANUP(kv_bytes_free) struct kv_bytes signature = { 0 };
    if (kv_random_bytes(digest, sizeof(digest)) != KV_OK)
        return kv_fail(err, KV_INTERNAL, "no random bytes");
    KV_TRY(kv_key_sign(use, (struct kv_view){ digest, sizeof(digest) }, &signature, err));
    return kv_key_verify(use, (struct kv_view){ digest, sizeof(digest) }, KV_VIEW(signature), err);
}

enum kv_status kv_prove(struct kv_tool *tool, size_t vault, const struct kv_version *version,
                        struct kv_error *err)
{
    struct kv_keyring *keyring = kv_core_keyring(tool->core, vault);
    const struct proof *proof = proof_find(version);
    if (!proof)
        return kv_fail(err, KV_KEY_OPERATION,
                       "its key_ops allow neither wrap and unwrap, nor encrypt and decrypt, nor sign "
                       "and verify");
    CK_RSA_PKCS_OAEP_PARAMS oaep = { CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0 };
    CK_RSA_PKCS_PSS_PARAMS pss = { CKM_SHA256, CKG_MGF1_SHA256, 32 };
    CK_MECHANISM mechanism = { proof->type, NULL, 0 };
    if (proof->oaep)
        mechanism = (CK_MECHANISM){ proof->type, &oaep, sizeof(oaep) };
    if (proof->pss)
        mechanism = (CK_MECHANISM){ proof->type, &pss, sizeof(pss) };
    struct kv_mech_key key = kv_version_mech_key(version);
    struct kv_mech_offer offer = kv_keyring_offer(keyring);
    KV_CLEANUP(kv_mech_use_free) struct kv_mech_use mech = { 0 };
    enum kv_status status = kv_mech_select(&mechanism, &key, proof->forward, &offer, &mech);
    if (status != KV_OK)
        return kv_fail(err, status, "%s cannot be used with it", kv_mech_type_name(proof->type));
    struct kv_task task = kv_common_task(tool, vault);
    struct kv_key_use use = {
        .keyring = keyring, .version = version, .mech = &mech, .task = &task, .trial = true
    };
    return proof->forward == KV_OP_SIGN ? prove_signature(&use, err) : prove_round_trip(&use, proof, err);
}

enum kv_status kv_prove_open(const struct kv_tool *tool, struct kv_tool *ret, struct kv_error *err)
{
    ret->config_file = tool->config_file;
    ret->vault = tool->vault;
    ret->command = tool->command;
    memcpy(ret->caller, tool->caller, sizeof(ret->caller));
    return kv_common_open_as(ret, false, err);
}

enum kv_status kv_prove_role(struct kv_tool *prover, size_t vault, const struct kv_version *version,
                             const char **ret_role, struct kv_error *err)
{
    if (version->state != KV_STATE_ENABLED) {
        *ret_role = kv_state_name(version->state);
        return KV_OK;
    }
    enum kv_status status = kv_prove(prover, vault, version, err);
    if (status != KV_OK)
        return kv_fail_in(err, status, "version '%s/%s@%s' failed its proof", version->vault, version->name,
                          version->version);
    *ret_role = "proved";
    return KV_OK;
}
