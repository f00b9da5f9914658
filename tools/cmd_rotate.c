/* kvp11 rotate: the next version of a key, and the proof that it does what the old one does. The old version is never touched. */
#include "common.h"

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

static enum kv_status prove(struct kv_tool *tool, size_t vault, const struct kv_version *version,
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

/* The new version exists, and names already mean it: say how to go on with the old one, and how to take the new one away. */
static enum kv_status unproved(const struct kv_version *old, const struct kv_version *new,
                               enum kv_status status, struct kv_error *err)
{
    KV_AUTO_TEXT char *uri = kv_version_uri(old);
    kv_common_note("new version '%s/%s@%s' exists but is not proved; the old one is as it was: %s",
                   new->vault, new->name, new->version, uri ? uri : old->kid);
    kv_common_note(
        "to make the old one current again, disable the new one: az keyvault key set-attributes --id '%s' "
        "--enabled false",
        new->kid);
    return kv_fail_in(err, status, "new version '%s/%s@%s' failed its proof", new->vault, new->name,
                      new->version);
}

enum kv_status kv_cmd_rotate(struct kv_tool *tool, struct kv_error *err)
{
    size_t vault = 0;
    KV_TRY(kv_common_open_map(tool, err));
    KV_TRY(kv_common_vault(tool, &vault, err));
    if (!kv_map_writable(kv_core_map(tool->core)))
        kv_common_note(
            "warning: the version map cannot be written: this host will not remember the new version");
    KV_CLEANUP(kv_versions_free_cleanup) struct kv_versions *versions = kv_versions_open(tool, true, err);
    if (!versions)
        return KV_NO_MEMORY;
    struct kv_task task = kv_common_task(tool, vault);
    KV_AUTO_VERSION struct kv_version *old = NULL, *new = NULL;
    struct kv_keyring *keyring = kv_core_keyring(tool->core, vault);
    KV_TRY(kv_keyring_rotate(keyring, tool->words[0], &task, &old, &new, err));
    enum kv_status status = prove(tool, vault, new, err);
    if (status != KV_OK)
        return unproved(old, new, status, err);
    kv_versions_add(versions, "old", old);
    kv_versions_add(versions, "new", new);
    return kv_versions_print(versions, err);
}
