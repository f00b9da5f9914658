#include "seal_for.h"

#include <string.h>
#include "age/vault.h"
#include "base/file.h"

enum { FILE_MAX = 1 << 20 };

static CK_RSA_PKCS_OAEP_PARAMS oaep = { CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0 };

static enum kv_status select_oaep(const struct kv_mech_key *key, const struct kv_mech_offer *offer,
                                  const char *whose, struct kv_mech_use *ret, struct kv_error *err)
{
    CK_MECHANISM mechanism = { CKM_RSA_PKCS_OAEP, &oaep, sizeof(oaep) };
    enum kv_status status = kv_mech_select(&mechanism, key, KV_OP_WRAP, offer, ret);
    return status == KV_OK
               ? KV_OK
               : kv_fail(err, status, "'%s' is no RSA key: an envelope cannot be sealed for it", whose);
}

/* --- a vault's key --- */
static enum kv_status for_version(struct kv_tool *tool, const struct kv_version *version,
                                  struct kv_cms_seal *seal, struct kv_error *err)
{
    struct kv_keyring *keyring = kv_core_keyring_named(tool->core, version->vault);
    struct kv_cms_sealed_key *sealed = &seal->recipients[seal->count];
    size_t vault = 0;
    while (vault < kv_core_vault_count(tool->core) && kv_core_keyring(tool->core, vault) != keyring)
        vault++;
    if (!keyring)
        return kv_fail(err, KV_CONFIG, "no vault '%s' is configured", version->vault);
    KV_CLEANUP(kv_mech_use_free) struct kv_mech_use mech = { 0 };
    struct kv_mech_key key = kv_version_mech_key(version);
    struct kv_mech_offer offer = kv_keyring_offer(keyring);
    KV_TRY(select_oaep(&key, &offer, version->label, &mech, err));
    struct kv_task task = kv_common_task(tool, vault);
    struct kv_key_use use = { .keyring = keyring, .version = version, .mech = &mech, .task = &task };
    KV_TRY(kv_key_encrypt(&use, KV_OP_WRAP, KV_VIEW(seal->key), &sealed->key, err));
    memcpy(sealed->key_id, version->id, KV_ID_SIZE);
    sealed->key_id_len = KV_ID_SIZE;
    seal->count++;
    return KV_OK;
}

static enum kv_status for_name(struct kv_tool *tool, const char *text, struct kv_cms_seal *seal,
                               struct kv_error *err)
{
    KV_AUTO_VAULT_TEXT struct kv_vault_text wanted = { 0 };
    KV_AUTO_VERSION struct kv_version *version = NULL;
    KV_TRY(kv_vault_text_read_name(text, &wanted, err));
    if (tool->vault && !*wanted.vault && !kv_text_fit(wanted.vault, sizeof(wanted.vault), tool->vault))
        return kv_fail(err, KV_ARGUMENTS, "no vault '%s' is configured", tool->vault);
    struct kv_age_vault vault = { .core = tool->core, .caller = tool->caller };
    KV_TRY(kv_age_vault_named(&vault, &wanted, &version, err));
    return for_version(tool, version, seal, err);
}

/* --- a certificate --- */

/* Is the identifier that is computed from the key the one that stands in the certificate (RFC 5280 §4.2.1.2), by which others will look for it? */
static bool states_its_id(const struct kv_certificate *certificate)
{
    unsigned char extension[] = { 0x06, 0x03, 0x55, 0x1d, 0x0e, 0x04, 0x16, 0x04, 0x14 };
    unsigned char whole[sizeof(extension) + KV_ID_SIZE];
    memcpy(whole, extension, sizeof(extension));
    memcpy(whole + sizeof(extension), certificate->id, KV_ID_SIZE);
    return memmem(certificate->der.data, certificate->der.len, whole, sizeof(whole));
}

static enum kv_status name_certificate(const struct kv_certificate *certificate,
                                       struct kv_cms_sealed_key *sealed)
{
    if (states_its_id(certificate)) {
        memcpy(sealed->key_id, certificate->id, KV_ID_SIZE);
        sealed->key_id_len = KV_ID_SIZE;
        return KV_OK;
    }
    KV_TRY(kv_bytes_copy(certificate->facts.issuer, &sealed->issuer));
    return kv_bytes_copy(certificate->facts.serial, &sealed->serial);
}

static enum kv_status for_certificate(const char *path, const struct kv_certificate *certificate,
                                      struct kv_cms_seal *seal, struct kv_error *err)
{
    struct kv_cms_sealed_key *sealed = &seal->recipients[seal->count];
    struct kv_mech_offer offer = { 0 };
    struct kv_public *public = NULL;
    KV_CLEANUP(kv_mech_use_free) struct kv_mech_use mech = { 0 };
    KV_TRY(kv_public_from_spki(certificate->facts.spki, &public, err));
    struct kv_mech_key key = { .kind = kv_public_kind(public), .bits = kv_public_bits(public) };
    enum kv_status status = select_oaep(&key, &offer, path, &mech, err);
    if (status == KV_OK) {
        seal->count++; /* what is half made is freed with the rest */
        status = kv_public_encrypt(public, mech.row, KV_VIEW(seal->key), &sealed->key);
        if (status == KV_OK)
            status = name_certificate(certificate, sealed);
        if (status != KV_OK)
            (void)!kv_fail(err, status, "an envelope cannot be sealed for '%s'", path);
    }
    kv_public_free(public);
    return status;
}

static enum kv_status for_file(const char *path, struct kv_cms_seal *seal, struct kv_error *err)
{
    struct kv_file_rule rule = { .largest = FILE_MAX, .status = KV_ARGUMENTS };
    KV_AUTO_BYTES struct kv_bytes file = { 0 }, der = { 0 };
    KV_AUTO_CERTIFICATE struct kv_certificate *certificate = NULL;
    KV_TRY(kv_file_read(path, &rule, &file, err));
    struct kv_view rest = KV_VIEW(file);
    KV_TRY(kv_x509_next(&rest, &der, err));
    if (!der.len)
        return kv_fail(err, KV_BAD_DATA, "'%s' has no certificate in it", path);
    KV_TRY(kv_certificate_new(KV_VIEW(der), &certificate, err));
    return for_certificate(path, certificate, seal, err);
}

bool kv_cms_seal_is_file(const char *text)
{
    return *text == '/' || strchr(text, '.');
}

enum kv_status kv_cms_seal_for(struct kv_tool *tool, const char *text, struct kv_cms_seal *seal,
                               struct kv_error *err)
{
    if (seal->count == KV_CMS_SEAL_RECIPIENTS)
        return kv_fail(err, KV_ARGUMENTS, "more than %d recipients", KV_CMS_SEAL_RECIPIENTS);
    return kv_cms_seal_is_file(text) ? for_file(text, seal, err) : for_name(tool, text, seal, err);
}
