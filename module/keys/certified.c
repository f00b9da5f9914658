#include "certified.h"

#include <search.h>
#include <string.h>

/* What this process knows of one version. */
struct kv_certified {
    char key[KV_KEYRING_KEY];
    bool loaded; /* the map has been looked at */
    struct kv_certificate *vault, *self;
    int64_t asked; /* when the vault said that there is none; 0: it did not */
};

void kv_known_free(struct kv_known *known)
{
    kv_certificate_free(known->vault);
    kv_certificate_free(known->self);
}

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
enum kv_status kv_certified_note(struct kv_keyring *keyring, const struct kv_version *version,
                                 const struct kv_known *news)
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

enum kv_status kv_certified_recall(struct kv_keyring *keyring, const struct kv_version *version,
                                   struct kv_known *ret)
{
    struct kv_known known = { 0 };

    pthread_mutex_lock(&keyring->lock);
    struct kv_certified *entry = entry_of(keyring, version);
    if (entry)
        known = (struct kv_known){ entry->loaded, kv_certificate_ref(entry->vault),
                                   kv_certificate_ref(entry->self), entry->asked };
    pthread_mutex_unlock(&keyring->lock);
    kv_known_free(ret);
    *ret = known;
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
struct kv_certificate *kv_certified_read(struct kv_keyring *keyring, const struct kv_version *version,
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

enum kv_status kv_certified_reload(struct kv_keyring *keyring, const struct kv_version *version)
{
    KV_AUTO_KNOWN struct kv_known news = { .loaded = true };
    int64_t never = 0;

    news.vault = kv_certified_read(keyring, version, KV_FROM_VAULT, &news.asked);
    news.self = kv_certified_read(keyring, version, KV_MADE_HERE, &never);
    return kv_certified_note(keyring, version, &news);
}

/* der NULL: there is none. */
void kv_certified_write(struct kv_keyring *keyring, const struct kv_version *version, const char *source,
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

enum kv_status kv_certified_look(struct kv_keyring *keyring, const struct kv_version *version,
                                 struct kv_known *ret)
{
    KV_TRY(kv_certified_recall(keyring, version, ret));
    if (ret->loaded)
        return KV_OK;
    KV_TRY(kv_certified_reload(keyring, version));
    return kv_certified_recall(keyring, version, ret);
}
