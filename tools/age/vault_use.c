/* One version of a vault's key, wrapping a file key or unwrapping it. */
#include "vault_private.h"

#include <string.h>

/* RSA-OAEP with SHA-256; secret keys: RFC 3394. */
static enum kv_status mechanism(const struct kv_keyring *keyring, const struct kv_version *version,
                                unsigned operation, struct kv_mech_use *ret, struct kv_error *err)
{
    CK_RSA_PKCS_OAEP_PARAMS oaep = { CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0 };
    CK_MECHANISM choice = { CKM_AES_KEY_WRAP, NULL, 0 };
    struct kv_mech_key key = kv_version_mech_key(version);
    struct kv_mech_offer offer = kv_keyring_offer(keyring);
    if (version->kind == KV_RSA)
        choice = (CK_MECHANISM){ CKM_RSA_PKCS_OAEP, &oaep, sizeof(oaep) };
    enum kv_status status = kv_mech_select(&choice, &key, operation, &offer, ret);
    if (status != KV_OK)
        return kv_fail(err, status, "%s cannot be used with '%s'", kv_mech_type_name(choice.mechanism),
                       version->kid);
    return KV_OK;
}

enum kv_status kv_age_vault_seal(const struct kv_age_vault *vault, const struct kv_version *version,
                                 struct kv_view plain, struct kv_bytes *ret, struct kv_error *err)
{
    KV_CLEANUP(kv_mech_use_free) struct kv_mech_use mech = { 0 };
    size_t i = 0;
    KV_TRY(kv_age_vault_index(vault, version->vault, &i, err));
    struct kv_keyring *keyring = kv_core_keyring(vault->core, i);
    struct kv_task task = kv_core_task(vault->core, i, vault->caller);
    KV_TRY(mechanism(keyring, version, KV_OP_WRAP, &mech, err));
    struct kv_key_use use = {
        .keyring = keyring, .version = version, .mech = &mech, .task = &task, .trial = vault->trial
    };
    return kv_key_encrypt(&use, KV_OP_WRAP, plain, ret, err);
}

/* --- why not, and what to do --- */
enum remedy { ENABLE, RECOVER, DOCTOR, LATER };
static const struct {
    enum kv_status status;
    enum remedy remedy;
} remedies[] = {
    { KV_DISABLED, ENABLE }, { KV_NOT_FOUND, RECOVER },  { KV_DENIED, DOCTOR },    { KV_CREDENTIAL, DOCTOR },
    { KV_BLOCKED, DOCTOR },  { KV_UNREACHABLE, DOCTOR }, { KV_TIMED_OUT, DOCTOR }, { KV_TLS, DOCTOR },
    { KV_THROTTLED, LATER }, { KV_SERVER, LATER },
};

static char *remedy_text(enum remedy remedy, const struct kv_version *version)
{
    switch (remedy) {
    case ENABLE:
        return kv_text_format("; enable it: az keyvault key set-attributes --enabled true --id '%s'",
                              version->kid);
    case RECOVER:
        return kv_text_format("; if it was deleted: " KV_KEY_RECOVER, kv_word(version->vault).text,
                              kv_word(version->name).text);
    case DOCTOR:
        return kv_text_format("; to find out more: kvp11 doctor %s --key %s", kv_word(version->vault).text,
                              kv_word(version->name).text);
    case LATER:
        return kv_text_copy("; try again later");
    }
    return NULL;
}

/* Key, version, cause, and the command to run. */
enum kv_status kv_age_vault_needed(const struct kv_version *version, enum kv_status status,
                                   struct kv_error *err)
{
    KV_AUTO_TEXT char *remedy = NULL;
    if (!err)
        return status;
    for (size_t i = 0; i < sizeof(remedies) / sizeof(remedies[0]) && !remedy; i++) {
        if (remedies[i].status == status && !strstr(err->text, "kvp11 ")) /* it may stand there already */
            remedy = remedy_text(remedies[i].remedy, version);
    }
    struct kv_error why = *err;
    status = kv_fail(err, status, "version '%s' of vault '%s' is needed: %s%s", version->kid, version->vault,
                     why.text[0] ? why.text : kv_status_text(status), remedy ? remedy : "");
    err->http = why.http;
    memcpy(err->code, why.code, sizeof(err->code));
    memcpy(err->request_id, why.request_id, sizeof(err->request_id));
    return status;
}

enum kv_status kv_age_vault_unseal(const struct kv_age_vault *vault, const struct kv_version *version,
                                   struct kv_view body, unsigned char ret_file_key[KV_AGE_FILE_KEY],
                                   struct kv_error *err)
{
    KV_CLEANUP(kv_mech_use_free) struct kv_mech_use mech = { 0 };
    KV_AUTO_BYTES struct kv_bytes plain = { 0 };
    size_t i = 0;
    KV_TRY(kv_age_vault_index(vault, version->vault, &i, err));
    struct kv_keyring *keyring = kv_core_keyring(vault->core, i);
    struct kv_task task = kv_core_task(vault->core, i, vault->caller);
    KV_TRY(mechanism(keyring, version, KV_OP_UNWRAP, &mech, err));
    struct kv_key_use use = { .keyring = keyring,
                              .version = version,
                              .mech = &mech,
                              .task = &task,
                              .exact = true,
                              .trial = vault->trial };
    enum kv_status status = kv_key_decrypt(&use, KV_OP_UNWRAP, body, &plain, err);
    if (status == KV_OK && plain.len != KV_AGE_FILE_KEY)
        status = kv_fail(err, KV_BAD_WRAPPED_KEY, "what it unwraps is not the key of an age file");
    if (status != KV_OK)
        return kv_age_vault_needed(version, status, err);
    memcpy(ret_file_key, plain.data, KV_AGE_FILE_KEY);
    return KV_OK;
}
