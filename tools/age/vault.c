#include "vault_private.h"

#include <string.h>

KV_DEFINE_CLEANUP(struct kv_public, kv_public_free)

void kv_age_vault_open(const char *config_file, const char *caller, struct kv_age_vault *ret)
{
    KV_AUTO_CONFIG struct kv_config *config = NULL;
    struct kv_config_source source = { .path = config_file };
    *ret = (struct kv_age_vault){ .caller = caller };
    enum kv_status status = kv_config_load(&source, &config, &ret->why);
    if (status == KV_OK && !config->vault_count)
        status = kv_fail(&ret->why, KV_CONFIG,
                         "no vault is configured: write a section [NAME] with 'url = https://…' into '%s'",
                         config->path ? config->path : "/etc/kvp11/kvp11.conf");
    if (status == KV_OK)
        status = kv_core_open(kv_take(config), NULL, &ret->core, &ret->why);
    ret->why.status = status;
}

/* --- recipients --- */
struct recipient {
    const struct kv_age_vault *vault;
    struct kv_vault_text text;
};

static void recipient_free(void *state)
{
    struct recipient *recipient = state;
    if (recipient)
        kv_vault_text_free(&recipient->text);
    free(recipient);
}

/* As mech has it for every RSA key. */
static const struct kv_mech *oaep_row(void)
{
    for (size_t i = 0; i < kv_mech_count; i++) {
        if (kv_mech_table[i].alg && !strcmp(kv_mech_table[i].alg, "RSA-OAEP-256"))
            return &kv_mech_table[i];
    }
    return NULL;
}

/* A version that nobody here has seen: all there is of it is its public key. */
static enum kv_status wrap_alone(const struct kv_vault_stanza *stanza, const struct kv_public *key,
                                 struct kv_view file_key, struct kv_age_stanza *ret, struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes body = { 0 };
    enum kv_status status = kv_public_encrypt(key, oaep_row(), file_key, &body);
    if (status != KV_OK)
        return kv_fail(err, status, "the file key cannot be wrapped for this recipient");
    return kv_vault_stanza_make(stanza, KV_VIEW(body), ret, err);
}

static enum kv_status wrap_with(const struct kv_age_vault *vault, const struct kv_version *version,
                                struct kv_view file_key, struct kv_age_stanza *ret, struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes body = { 0 };
    struct kv_vault_stanza stanza = { 0 };
    KV_TRY(kv_vault_stanza_of(version, &stanza, err));
    KV_TRY(kv_age_vault_seal(vault, version, file_key, &body, err));
    return kv_vault_stanza_make(&stanza, KV_VIEW(body), ret, err);
}

/* By public key; where the map knows the version, the stanza says where it is, and the ledger that something depends on it. */
static enum kv_status wrap_pinned(const struct recipient *recipient, struct kv_view file_key,
                                  struct kv_age_stanza *ret, struct kv_error *err)
{
    KV_CLEANUP(kv_public_free_cleanup) struct kv_public *key = NULL;
    KV_CLEANUP(kv_version_list_free) struct kv_version_list known = { 0 };
    KV_AUTO_BYTES struct kv_bytes digest = { 0 };
    struct kv_vault_stanza stanza = { .kind = KV_RSA };
    KV_TRY(kv_public_from_spki(KV_VIEW(recipient->text.spki), &key, err));
    if (kv_public_kind(key) != KV_RSA)
        return kv_fail(err, KV_KEY_TYPE, "the public key in this recipient is not an RSA key");
    KV_TRY(kv_digest_once("SHA2-256", kv_public_spki(key), &digest));
    memcpy(stanza.digest, digest.data, KV_VAULT_DIGEST);
    KV_TRY(kv_age_vault_known(recipient->vault, &stanza, &known, err));
    return known.count ? wrap_with(recipient->vault, known.items[0], file_key, ret, err)
                       : wrap_alone(&stanza, key, file_key, ret, err);
}

static enum kv_status recipient_wrap(void *state, const unsigned char file_key[KV_AGE_FILE_KEY],
                                     struct kv_age_stanza **ret, size_t *ret_count, struct kv_error *err)
{
    const struct recipient *recipient = state;
    struct kv_view secret = { file_key, KV_AGE_FILE_KEY };
    KV_AUTO_FREE struct kv_age_stanza *stanza = calloc(1, sizeof(*stanza));
    KV_AUTO_VERSION struct kv_version *version = NULL;
    if (!stanza)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (recipient->text.spki.len) {
        KV_TRY(wrap_pinned(recipient, secret, stanza, err));
    } else {
        KV_TRY(kv_age_vault_named(recipient->vault, &recipient->text, &version, err));
        KV_TRY(wrap_with(recipient->vault, version, secret, stanza, err));
    }
    *ret = kv_take(stanza);
    *ret_count = 1;
    return KV_OK;
}

enum kv_status kv_age_vault_recipient(const struct kv_age_vault *vault, const char *text,
                                      struct kv_age_recipient *ret, struct kv_error *err)
{
    struct kv_vault_text read = { 0 };
    if (kv_vault_text_is(text))
        KV_TRY(kv_vault_text_read(text, &read, err));
    else
        KV_TRY(kv_vault_text_read_name(text, &read, err));
    struct recipient *recipient = calloc(1, sizeof(*recipient));
    if (!recipient) {
        kv_vault_text_free(&read);
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    }
    *recipient = (struct recipient){ vault, read };
    *ret = (struct kv_age_recipient){ recipient_wrap, recipient_free, recipient };
    return KV_OK;
}

/* --- the identity --- */
static enum kv_status open_list(const struct kv_age_vault *vault, const struct kv_version_list *list,
                                struct kv_view body, unsigned char ret_file_key[KV_AGE_FILE_KEY],
                                struct kv_error *err)
{
    enum kv_status first = KV_NOT_FOUND;
    /* The same key in several places: where one cannot be used, the next one can do the same. */
    for (size_t i = 0; i < list->count; i++) {
        struct kv_error why = { 0 };
        enum kv_status status = kv_age_vault_unseal(vault, list->items[i], body, ret_file_key, &why);
        if (status == KV_OK)
            return KV_OK;
        if (i == 0) {
            first = status;
            if (err)
                *err = why;
        }
    }
    return first;
}

static enum kv_status open_stanza(const struct kv_age_vault *vault, const struct kv_vault_stanza *stanza,
                                  struct kv_view body, unsigned char ret_file_key[KV_AGE_FILE_KEY],
                                  struct kv_error *err)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    KV_TRY(kv_age_vault_known(vault, stanza, &list, err));
    if (!list.count)
        KV_TRY(kv_age_vault_ask(vault, stanza, &list, err));
    return open_list(vault, &list, body, ret_file_key, err);
}

static bool is_known_to_open(const struct kv_age_vault *vault, const struct kv_vault_stanza *stanza)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    return kv_age_vault_known(vault, stanza, &list, NULL) == KV_OK && list.count &&
           kv_age_vault_opens(list.items[0]);
}

static enum kv_status identity_unwrap(void *state, const struct kv_age_stanza *stanzas, size_t count,
                                      unsigned char ret_file_key[KV_AGE_FILE_KEY], bool *ret_mine,
                                      struct kv_error *err)
{
    const struct kv_age_vault *vault = state;
    enum kv_status first = KV_OK;
    *ret_mine = false;
    for (int likely = 1; likely >= 0; likely--) {
        for (size_t i = 0; i < count; i++) {
            struct kv_vault_stanza stanza = { 0 };
            struct kv_error why = { 0 };
            if (!kv_vault_stanza_is(&stanzas[i]))
                continue;
            *ret_mine = true;
            KV_TRY(kv_vault_stanza_read(&stanzas[i], &stanza, err));
            if (is_known_to_open(vault, &stanza) != likely)
                continue;
            enum kv_status status = open_stanza(vault, &stanza, KV_VIEW(stanzas[i].body), ret_file_key, &why);
            if (status == KV_OK)
                return KV_OK;
            if (first == KV_OK && err)
                *err = why;
            first = first == KV_OK ? status : first;
        }
    }
    return first;
}

enum kv_status kv_age_vault_identity(const struct kv_age_vault *vault, struct kv_age_identity *ret,
                                     struct kv_error *err)
{
    *ret = (struct kv_age_identity){ identity_unwrap, NULL, (void *)(uintptr_t)vault };
    return KV_OK;
}
