/* Which version has which certificate. Key Vault's own comes first, then the folder's, then one made here. What the vault said is kept in the map and in
 * this process; a certificate of a version never changes, that it has none is believed for refresh_seconds. */
#include "keyring_private.h"

#include <stdio.h>
#include <string.h>
#include "certificate_folder.h"
#include "certificate_self.h"
#include "certified.h"

enum { DENIALS_MAX = 4 /* in a row: then the rest of a search is not asked for */ };

/* One search. */
struct batch {
    struct kv_keyring *keyring;
    const struct kv_task *task;
    bool ask;    /* requests are allowed */
    bool closed; /* this identity may not get certificates */
    size_t denials, answers;
    enum kv_status failed; /* of this process, not of the vault: what is missing by that is no answer */
};

/* --- the vault --- */

static bool is_in_vault(const struct kv_keyring *keyring, const struct kv_version *version)
{
    const struct kv_vault_config *config = keyring->parts.config;

    return config->certificates == KV_CERTIFICATES_VAULT && !config->managed_hsm && version->managed;
}

static bool is_recent(const struct kv_keyring *keyring, int64_t asked)
{
    const struct kv_map_visit visit = { asked, KV_NOT_FOUND };

    return kv_keyring_is_fresh(keyring, &visit);
}

static enum kv_status check(const struct kv_version *version, const struct kv_vault_certificate *sent,
                            struct kv_certificate **ret, struct kv_error *err)
{
    KV_AUTO_CERTIFICATE struct kv_certificate *certificate = NULL;
    KV_AUTO_BYTES struct kv_bytes thumbprint = { 0 };
    struct kv_view x5t = { sent->x5t, sizeof(sent->x5t) };

    KV_TRY(kv_certificate_new(KV_VIEW(sent->der), &certificate, err));
    KV_TRY(kv_digest_once("SHA1", KV_VIEW(sent->der), &thumbprint));
    if (!kv_view_equal(KV_VIEW(thumbprint), x5t))
        return kv_fail(err, KV_PROTOCOL, "the reply's `x5t` is not the thumbprint of its `cer`");
    if (!kv_certificate_is_of(certificate, version))
        return kv_fail(err, KV_WRONG_KEY, "the certificate is for another public key than that of '%s'",
                       version->kid);
    *ret = kv_take(certificate);
    return KV_OK;
}

static enum kv_status get(struct kv_keyring *keyring, const struct kv_version *version,
                          const struct kv_task *task, struct kv_certificate **ret, struct kv_error *err)
{
    KV_CLEANUP(kv_vault_certificate_free) struct kv_vault_certificate sent = { 0 };
    enum kv_status status =
        kv_vault_get_certificate(keyring->parts.vault, version->name, version->version, task, &sent, err);

    kv_keyring_learn(keyring);
    KV_TRY(status);
    return check(version, &sent, ret, err);
}

static void tell(struct kv_keyring *keyring, enum kv_status status, const struct kv_error *why)
{
    const char *vault = keyring->parts.config->name;
    KV_AUTO_TEXT char *key = kv_text_format("certificate/%s/%d", vault, status);

    if (key)
        kv_log_once(keyring->parts.log, status == KV_NOT_FOUND ? KV_LOG_INFO : KV_LOG_WARN, key,
                    "vault '%s': a certificate is left out, and so is every other for which this holds: %s",
                    vault, *why->text ? why->text : kv_status_text(status));
}

static void count(struct batch *batch, enum kv_status status)
{
    batch->denials += status == KV_DENIED;
    batch->answers += status != KV_DENIED;
    if (batch->answers || batch->denials < DENIALS_MAX)
        return;
    batch->closed = true;
    kv_keyring_visit(batch->keyring, "", "/certificates", KV_DENIED);
}

/* One GET, by one thread of those that want it. Only what would hold for the next version too ends the asking. */
static enum kv_status ask_vault(struct batch *batch, const struct kv_version *version)
{
    struct kv_keyring *keyring = batch->keyring;
    KV_AUTO_KNOWN struct kv_known news = { .loaded = true };
    struct kv_error why = { 0 };
    KV_AUTO_KNOWN struct kv_known known = { 0 };
    const struct kv_task task = kv_keyring_refresh_task(keyring, batch->task, true);
    KV_TRY(kv_certified_recall(keyring, version, &known));
    if (known.vault || is_recent(keyring, known.asked))
        return KV_OK;
    enum kv_status status = get(keyring, version, &task, &news.vault, &why);

    if (kv_keyring_is_vault_wide(status)) {
        batch->ask = false;
        tell(keyring, status, &why);
        return status;
    }
    count(batch, status);
    if (status != KV_OK) {
        tell(keyring, status, &why);
        news.asked = kv_keyring_now(keyring);
    }
    kv_certified_write(keyring, version, KV_FROM_VAULT, news.vault ? &news.vault->der : NULL);
    return kv_certified_note(keyring, version, &news);
}

/* --- one made here --- */

static enum kv_status make_self(struct batch *batch, const struct kv_version *version)
{
    struct kv_keyring *keyring = batch->keyring;
    KV_AUTO_BYTES struct kv_bytes der = { 0 };
    KV_AUTO_KNOWN struct kv_known news = { .loaded = true };
    struct kv_error why = { 0 };
    const struct kv_task task = kv_keyring_refresh_task(keyring, batch->task, true);
    bool lasts = kv_map_lasts(keyring->parts.map);
    enum kv_status status = KV_KEY_OPERATION;
    KV_AUTO_KNOWN struct kv_known known = { 0 };
    int64_t never = 0;

    KV_TRY(kv_certified_recall(keyring, version, &known));
    if (known.self)
        return KV_OK;
    if (lasts && kv_self_can_sign(keyring, version))
        status = kv_self_sign(keyring, version, &task, &der, &why);
    if (kv_keyring_is_vault_wide(status)) {
        batch->ask = false;
        tell(keyring, status, &why);
        return status;
    }
    if (status != KV_OK)
        KV_TRY(kv_self_contain(version, &der, NULL));
    /* What another process made in the meantime is the one that stays. */
    if (lasts) {
        kv_certified_write(keyring, version, KV_MADE_HERE, &der);
        news.self = kv_certified_read(keyring, version, KV_MADE_HERE, &never);
    }
    if (!news.self)
        KV_TRY(kv_certificate_new(KV_VIEW(der), &news.self, NULL));
    return kv_certified_note(keyring, version, &news);
}

/* --- one version --- */

static void note_failure(struct batch *batch, enum kv_status status)
{
    if (status == KV_NO_MEMORY || status == KV_INTERNAL)
        batch->failed = status;
}

/* Lets one thread at a time do it for this version; the others wait for what came of it. Who comes when another one has just ended takes what that one has found. */
static void singly(struct batch *batch, const struct kv_version *version, const char *part,
                   enum kv_status (*work)(struct batch *, const struct kv_version *))
{
    char name[KV_KEYRING_KEY], key[KV_KEYRING_KEY];
    const struct kv_keyring_ask ask = { .key = key };
    struct kv_error why = { 0 };
    bool go = false;

    kv_keyring_name_version(name, version->name, version->version);
    if (snprintf(key, sizeof(key), "%s%s", name, part) >= (int)sizeof(key))
        return;
    enum kv_status status = kv_keyring_enter(batch->keyring, &ask, batch->task, &go, &why);
    if (!go) {
        note_failure(batch, status);
        batch->ask = batch->ask && !kv_keyring_is_vault_wide(status);
        return;
    }
    status = work(batch, version);
    note_failure(batch, status);
    kv_keyring_leave(batch->keyring, key, status, NULL);
}

static enum kv_status vault_certificate(struct batch *batch, const struct kv_version *version,
                                        struct kv_known *known, bool *ret_none)
{
    KV_TRY(kv_certified_look(batch->keyring, version, known));
    bool due = !known->vault && !is_recent(batch->keyring, known->asked);

    if (due && batch->ask && !batch->closed && kv_version_is_there(version)) {
        /* Another process may have asked since. */
        KV_TRY(kv_certified_reload(batch->keyring, version));
        KV_TRY(kv_certified_recall(batch->keyring, version, known));
        if (!known->vault && !is_recent(batch->keyring, known->asked))
            singly(batch, version, "/c", ask_vault);
        KV_TRY(kv_certified_recall(batch->keyring, version, known));
    }
    *ret_none = known->asked || batch->closed;
    return KV_OK;
}

/* In a map that does not last it is the container, which costs nothing but a millisecond. */
static enum kv_status self_certificate(struct batch *batch, const struct kv_version *version,
                                       struct kv_known *known)
{
    KV_TRY(kv_certified_look(batch->keyring, version, known));
    if (known->self || (!batch->ask && kv_map_lasts(batch->keyring->parts.map)))
        return KV_OK;
    singly(batch, version, "/s", make_self);
    return kv_certified_recall(batch->keyring, version, known);
}

static enum kv_status certificate_of(struct batch *batch, const struct kv_version *version,
                                     struct kv_certificate **ret)
{
    struct kv_keyring *keyring = batch->keyring;
    bool in_vault = is_in_vault(keyring, version), none = !in_vault;
    KV_AUTO_KNOWN struct kv_known known = { 0 };

    if (version->kind == KV_OCT)
        return KV_OK;
    if (in_vault)
        KV_TRY(vault_certificate(batch, version, &known, &none));
    KV_TRY(batch->failed);
    if (known.vault)
        *ret = kv_certificate_ref(known.vault);
    else if (keyring->folder)
        *ret = kv_folder_find(keyring->folder, version->spki_sha256);
    /* While it is not known whether the vault has one, none is made in its place. */
    if (*ret || !none || !keyring->parts.config->self_signed)
        return KV_OK;
    KV_TRY(self_certificate(batch, version, &known));
    KV_TRY(batch->failed);
    *ret = kv_certificate_ref(known.self);
    return KV_OK;
}

/* --- all of a search --- */

bool kv_keyring_certifies(const struct kv_keyring *keyring)
{
    const struct kv_vault_config *config = keyring->parts.config;

    return (config->certificates == KV_CERTIFICATES_VAULT && !config->managed_hsm) || keyring->folder ||
           config->self_signed;
}

enum kv_status kv_keyring_certificates(struct kv_keyring *keyring, const struct kv_version_list *versions,
                                       bool ask, const struct kv_task *task, struct kv_certificate **ret)
{
    struct batch batch = { .keyring = keyring, .task = task, .ask = ask };

    if (!kv_keyring_certifies(keyring))
        return KV_OK;
    if (keyring->folder)
        KV_TRY(kv_folder_refresh(keyring->folder));
    if (ask && versions->count > DENIALS_MAX) {
        struct kv_map_visit denied = kv_keyring_visited(keyring, "", "/certificates");
        batch.closed = denied.status == KV_DENIED && kv_keyring_is_fresh(keyring, &denied);
    }
    for (size_t i = 0; i < versions->count; i++)
        KV_TRY(certificate_of(&batch, versions->items[i], &ret[i]));
    return KV_OK;
}

enum kv_status kv_keyring_authorities(struct kv_keyring *keyring, struct kv_certificate_list *ret)
{
    KV_CLEANUP(kv_certificate_list_free) struct kv_certificate_list all = { 0 };

    if (!keyring->folder)
        return KV_OK;
    KV_TRY(kv_folder_refresh(keyring->folder));
    KV_TRY(kv_folder_authorities(keyring->folder, &all));
    for (size_t i = 0; i < all.count; i++) {
        const struct kv_map_query query = { .vault = keyring->parts.config->name,
                                            .spki_sha256 = { all.items[i]->spki_sha256, 32 },
                                            .limit = 1 };
        KV_CLEANUP(kv_version_list_free) struct kv_version_list versions = { 0 };

        /* That of a key of this vault is shown with the key. */
        KV_TRY(kv_map_find(keyring->parts.map, &query, &versions, NULL));
        if (!versions.count)
            KV_TRY(kv_certificate_list_add(ret, all.items[i]));
    }
    return KV_OK;
}
