/* Which version has which certificate. Key Vault's own comes first, then the folder's, then one made here. What the vault said is kept in the map and in
 * this process; a certificate of a version never changes, that it has none is believed for refresh_seconds. */
#include "keyring_private.h"

#include <search.h>
#include <stdio.h>
#include <string.h>
#include "certificate_folder.h"
#include "certificate_self.h"

static const char from_vault[] = "vault", made_here[] = "self";

enum { DENIALS_MAX = 4 /* in a row: then the rest of a search is not asked for */ };

/* What this process knows of one version. */
struct kv_certified {
    char key[KV_KEYRING_KEY];
    bool loaded; /* the map has been looked at */
    struct kv_certificate *vault, *self;
    int64_t asked; /* when the vault said that there is none; 0: it did not */
};

/* One search. */
struct batch {
    struct kv_keyring *keyring;
    const struct kv_task *task;
    bool ask;    /* requests are allowed */
    bool closed; /* this identity may not get certificates */
    size_t denials, answers;
};

/* A copy of an entry, with references of its own. */
struct known {
    bool loaded;
    struct kv_certificate *vault, *self;
    int64_t asked;
};

static void known_free(struct known *known)
{
    kv_certificate_free(known->vault);
    kv_certificate_free(known->self);
}

#define AUTO_KNOWN KV_CLEANUP(known_free)

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct kv_certified *)a)->key, ((const struct kv_certified *)b)->key);
}

/* The lock is held. NULL when memory is short. */
static struct kv_certified *entry_of(struct kv_keyring *keyring, const struct kv_version *version)
{
    KV_AUTO_FREE struct kv_certified *fresh = calloc(1, sizeof(*fresh));

    if (!fresh)
        return NULL;
    kv_keyring_name_version(fresh->key, version->name, version->version);
    struct kv_certified **node = tsearch(fresh, &keyring->certified, compare);
    if (!node)
        return NULL;
    struct kv_certified *entry = *node;
    if (entry == fresh)
        fresh = NULL; /* the tree has it now */
    return entry;
}

void kv_keyring_certified_free(struct kv_keyring *keyring)
{
    while (keyring->certified) {
        struct kv_certified *entry = *(struct kv_certified **)keyring->certified;

        tdelete(entry, &keyring->certified, compare);
        kv_certificate_free(entry->vault);
        kv_certificate_free(entry->self);
        free(entry);
    }
}

/* Adds what was learnt; one that is there stays, so that objects keep pointing at the same. */
static enum kv_status note(struct kv_keyring *keyring, const struct kv_version *version,
                           const struct known *news)
{
    pthread_mutex_lock(&keyring->lock);
    struct kv_certified *entry = entry_of(keyring, version);

    if (entry) {
        entry->loaded = entry->loaded || news->loaded;
        entry->vault = entry->vault ? entry->vault : kv_certificate_ref(news->vault);
        entry->self = entry->self ? entry->self : kv_certificate_ref(news->self);
        entry->asked = news->asked > entry->asked ? news->asked : entry->asked;
    }
    pthread_mutex_unlock(&keyring->lock);
    return entry ? KV_OK : KV_NO_MEMORY;
}

static enum kv_status look_here(struct kv_keyring *keyring, const struct kv_version *version,
                                struct known *ret)
{
    pthread_mutex_lock(&keyring->lock);
    struct kv_certified *entry = entry_of(keyring, version);

    if (entry) {
        ret->loaded = entry->loaded;
        ret->vault = kv_certificate_ref(entry->vault);
        ret->self = kv_certificate_ref(entry->self);
        ret->asked = entry->asked;
    }
    pthread_mutex_unlock(&keyring->lock);
    return entry ? KV_OK : KV_NO_MEMORY;
}

/* --- the map --- */

static struct kv_map_certificate row_for(const struct kv_version *version, const char *source)
{
    return (struct kv_map_certificate){
        .vault = version->vault, .name = version->name, .version = version->version, .source = source
    };
}

/* A row that is not of this key, or none any more, counts as never asked. */
static struct kv_certificate *read_row(struct kv_keyring *keyring, const struct kv_version *version,
                                       const char *source, int64_t *ret_asked)
{
    struct kv_map_certificate row = row_for(version, source);
    struct kv_certificate *certificate = NULL;

    if (kv_map_certificate(keyring->parts.map, &row, NULL) != KV_OK)
        return NULL;
    KV_AUTO_BYTES struct kv_bytes der = row.der;
    if (!der.len)
        *ret_asked = row.at;
    else if (kv_certificate_new(KV_VIEW(der), &certificate, NULL) != KV_OK ||
             !kv_certificate_is_of(certificate, version))
        kv_certificate_free(kv_take(certificate));
    return certificate;
}

static enum kv_status look_in_map(struct kv_keyring *keyring, const struct kv_version *version)
{
    AUTO_KNOWN struct known news = { .loaded = true };
    int64_t never = 0;

    news.vault = read_row(keyring, version, from_vault, &news.asked);
    news.self = read_row(keyring, version, made_here, &never);
    return note(keyring, version, &news);
}

/* der NULL: there is none. */
static void write_row(struct kv_keyring *keyring, const struct kv_version *version, const char *source,
                      const struct kv_bytes *der)
{
    struct kv_map_certificate row = row_for(version, source);

    row.at = kv_keyring_now(keyring);
    if (der)
        row.der = *der;
    enum kv_status status = kv_map_certify(keyring->parts.map, &row, NULL);
    if (status != KV_OK)
        kv_log_once(keyring->parts.log, KV_LOG_INFO, "map-certify",
                    "vault '%s': what was learnt of certificates is kept in memory only: %s",
                    keyring->parts.config->name, kv_status_text(status));
}

static enum kv_status look(struct kv_keyring *keyring, const struct kv_version *version, struct known *ret)
{
    KV_TRY(look_here(keyring, version, ret));
    if (ret->loaded)
        return KV_OK;
    KV_TRY(look_in_map(keyring, version));
    known_free(ret);
    return look_here(keyring, version, ret);
}

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
    AUTO_KNOWN struct known news = { .loaded = true };
    struct kv_error why = { 0 };
    const struct kv_task task = kv_keyring_refresh_task(keyring, batch->task, true);
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
    write_row(keyring, version, from_vault, news.vault ? &news.vault->der : NULL);
    return note(keyring, version, &news);
}

/* --- one made here --- */

static enum kv_status make_self(struct batch *batch, const struct kv_version *version)
{
    struct kv_keyring *keyring = batch->keyring;
    KV_AUTO_BYTES struct kv_bytes der = { 0 };
    AUTO_KNOWN struct known news = { .loaded = true };
    struct kv_error why = { 0 };
    const struct kv_task task = kv_keyring_refresh_task(keyring, batch->task, true);
    bool lasts = kv_map_lasts(keyring->parts.map);
    enum kv_status status = KV_KEY_OPERATION;
    int64_t never = 0;

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
        write_row(keyring, version, made_here, &der);
        news.self = read_row(keyring, version, made_here, &never);
    }
    if (!news.self)
        KV_TRY(kv_certificate_new(KV_VIEW(der), &news.self, NULL));
    return note(keyring, version, &news);
}

/* --- one version --- */

/* Lets one thread at a time do it for this version; the others wait for what came of it. */
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
        batch->ask = batch->ask && !kv_keyring_is_vault_wide(status);
        return;
    }
    status = work(batch, version);
    kv_keyring_leave(batch->keyring, key, status, NULL);
}

static enum kv_status vault_certificate(struct batch *batch, const struct kv_version *version,
                                        struct known *known, bool *ret_none)
{
    KV_TRY(look(batch->keyring, version, known));
    bool due = !known->vault && !is_recent(batch->keyring, known->asked);

    if (due && batch->ask && !batch->closed && kv_merge_is_there(version)) {
        /* Another process may have asked since. */
        KV_TRY(look_in_map(batch->keyring, version));
        known_free(known);
        *known = (struct known){ 0 };
        KV_TRY(look_here(batch->keyring, version, known));
        if (!known->vault && !is_recent(batch->keyring, known->asked))
            singly(batch, version, "/c", ask_vault);
        known_free(known);
        *known = (struct known){ 0 };
        KV_TRY(look_here(batch->keyring, version, known));
    }
    *ret_none = known->asked || batch->closed;
    return KV_OK;
}

/* In a map that does not last it is the container, which costs nothing but a millisecond. */
static enum kv_status self_certificate(struct batch *batch, const struct kv_version *version,
                                       struct known *known)
{
    known_free(known);
    *known = (struct known){ 0 };
    KV_TRY(look(batch->keyring, version, known));
    if (known->self || (!batch->ask && kv_map_lasts(batch->keyring->parts.map)))
        return KV_OK;
    singly(batch, version, "/s", make_self);
    known_free(known);
    *known = (struct known){ 0 };
    return look_here(batch->keyring, version, known);
}

static enum kv_status certificate_of(struct batch *batch, const struct kv_version *version,
                                     struct kv_certificate **ret)
{
    struct kv_keyring *keyring = batch->keyring;
    bool in_vault = is_in_vault(keyring, version), none = !in_vault;
    AUTO_KNOWN struct known known = { 0 };

    if (version->kind == KV_OCT)
        return KV_OK;
    if (in_vault)
        KV_TRY(vault_certificate(batch, version, &known, &none));
    if (known.vault)
        *ret = kv_certificate_ref(known.vault);
    else if (keyring->folder)
        *ret = kv_folder_find(keyring->folder, version->spki_sha256);
    /* While it is not known whether the vault has one, none is made in its place. */
    if (*ret || !none || !keyring->parts.config->self_signed)
        return KV_OK;
    KV_TRY(self_certificate(batch, version, &known));
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
        kv_folder_refresh(keyring->folder);
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
    kv_folder_refresh(keyring->folder);
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
