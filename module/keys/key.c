#include "keys/key.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/encode.h"

static const char *const state_names[] = {
    [KV_STATE_ENABLED] = "enabled",
    [KV_STATE_DISABLED] = "disabled",
    [KV_STATE_NOT_YET_VALID] = "not-yet-valid",
    [KV_STATE_EXPIRED] = "expired",
    [KV_STATE_DELETED] = "deleted",
    [KV_STATE_PURGED] = "purged",
    [KV_STATE_MISSING] = "missing",
    [KV_STATE_UNREACHABLE] = "unreachable",
};
enum { STATE_COUNT = sizeof state_names / sizeof *state_names };

const char *kv_state_name(enum kv_state state)
{
    return (size_t)state < STATE_COUNT ? state_names[state] : "unknown";
}

bool kv_state_from_name(const char *name, enum kv_state *ret)
{
    for (size_t i = 0; i < STATE_COUNT; i++)
        if (!strcmp(name, state_names[i])) {
            *ret = (enum kv_state)i;
            return true;
        }
    return false;
}

bool kv_version_is_there(const struct kv_version *version)
{
    return version->state != KV_STATE_DELETED && version->state != KV_STATE_PURGED &&
           version->state != KV_STATE_MISSING;
}

bool kv_recovery_is_protected(const char *recovery)
{
    return !strstr(recovery, "Purgeable");
}

enum kv_state kv_state_of(bool enabled, int64_t nbf, int64_t exp, int64_t now)
{
    if (!enabled)
        return KV_STATE_DISABLED;
    if (nbf && now < nbf)
        return KV_STATE_NOT_YET_VALID;
    if (exp && now >= exp)
        return KV_STATE_EXPIRED;
    return KV_STATE_ENABLED;
}

struct kv_version *kv_version_new(void)
{
    struct kv_version *version = calloc(1, sizeof *version);

    if (version)
        version->references = 1;
    return version;
}

struct kv_version *kv_version_copy(const struct kv_version *version)
{
    struct kv_version *copy = malloc(sizeof *copy);

    if (!copy)
        return NULL;
    *copy = *version;
    copy->references = 1;
    copy->spki = (struct kv_bytes){ 0 };
    struct kv_public *key = __atomic_load_n(&version->key, __ATOMIC_ACQUIRE);
    copy->key = key ? kv_public_ref(key) : NULL;
    if (version->spki.data && kv_bytes_copy(KV_VIEW(version->spki), &copy->spki)) {
        kv_version_free(copy);
        return NULL;
    }
    return copy;
}

struct kv_version *kv_version_ref(const struct kv_version *version)
{
    struct kv_version *same = (struct kv_version *)version; /* the count is not part of what it says */

    if (same)
        __atomic_add_fetch(&same->references, 1, __ATOMIC_RELAXED);
    return same;
}

void kv_version_free(struct kv_version *version)
{
    if (!version || __atomic_sub_fetch(&version->references, 1, __ATOMIC_ACQ_REL))
        return;
    kv_public_free(version->key);
    kv_bytes_free(&version->spki);
    free(version);
}

void kv_version_relabel(struct kv_version *version)
{
    snprintf(version->label, sizeof version->label, version->current ? "%s" : "%s@%s", version->name,
             version->version);
}

/* RFC 5280 §4.2.1.2 method 1: SHA-1 over the contents of the BIT STRING. */
static enum kv_status identify_public(struct kv_version *version)
{
    KV_AUTO_BYTES struct kv_bytes ski = { 0 }, spki = { 0 };
    const struct kv_public *key;

    KV_TRY(kv_version_public(version, &key, NULL));
    KV_TRY(kv_digest_once("SHA1", kv_public_bits_string(key), &ski));
    KV_TRY(kv_digest_once("SHA2-256", KV_VIEW(version->spki), &spki));
    memcpy(version->id, ski.data, sizeof version->id);
    memcpy(version->spki_sha256, spki.data, sizeof version->spki_sha256);
    return KV_OK;
}

/* Without a public key the name and the version are the identity: a restored vault keeps both. */
static enum kv_status identify_secret(struct kv_version *version)
{
    KV_AUTO_BYTES struct kv_bytes digest = { 0 };
    char text[KV_NAME_SIZE + KV_VERSION_SIZE];

    snprintf(text, sizeof text, "%s/%s", version->name, version->version);
    for (char *c = text; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    KV_TRY(kv_digest_once("SHA2-256", kv_view_text(text), &digest));
    memcpy(version->id, digest.data, sizeof version->id);
    memset(version->spki_sha256, 0, sizeof version->spki_sha256);
    return KV_OK;
}

enum kv_status kv_version_identify(struct kv_version *version)
{
    KV_TRY(version->kind == KV_OCT ? identify_secret(version) : identify_public(version));
    kv_version_relabel(version);
    return KV_OK;
}

enum kv_status kv_version_public(const struct kv_version *version, const struct kv_public **ret,
                                 struct kv_error *err)
{
    struct kv_version *same = (struct kv_version *)version; /* parsing changes nothing that can be seen */
    struct kv_public *key = __atomic_load_n(&same->key, __ATOMIC_ACQUIRE), *none = NULL;

    if (version->kind == KV_OCT)
        return kv_fail(err, KV_KEY_TYPE, "version '%s/%s@%s' is a symmetric key: it has no public key",
                       version->vault, version->name, version->version);
    if (!key) {
        KV_TRY(kv_public_from_spki(KV_VIEW(version->spki), &key, err));
        if (!__atomic_compare_exchange_n(&same->key, &none, key, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
            kv_public_free(key);
            key = none; /* another thread was first */
        }
    }
    *ret = key;
    return KV_OK;
}

struct kv_mech_key kv_version_mech_key(const struct kv_version *version)
{
    return (struct kv_mech_key){ .kind = version->kind,
                                 .bits = version->bits,
                                 .curve = version->curve[0] ? version->curve : NULL };
}

static enum kv_status check_dates(const struct kv_version *version, int64_t now, struct kv_error *err)
{
    char when[21];

    if (version->nbf && now < version->nbf) {
        kv_clock_text(version->nbf, when);
        return kv_fail(
            err, KV_NOT_VALID,
            "version '%s/%s@%s' is not valid before %s: wait, or move the date with `az keyvault key "
            "set-attributes --id %s --not-before DATE`",
            version->vault, version->name, version->version, when, version->kid);
    }
    if (version->exp && now >= version->exp) {
        kv_clock_text(version->exp, when);
        return kv_fail(err, KV_NOT_VALID,
                       "version '%s/%s@%s' expired at %s and only opens old data: rotate with `kvp11 --vault "
                       "%s rotate %s`, or "
                       "move the date with `az keyvault key set-attributes --id %s --expires DATE`",
                       version->vault, version->name, version->version, when, kv_word(version->vault).text,
                       kv_word(version->name).text, version->kid);
    }
    return KV_OK;
}

enum kv_status kv_version_usable(const struct kv_version *version, unsigned operation, int64_t now,
                                 struct kv_error *err)
{
    char seen[21];

    if (operation & KV_OP_VERIFY)
        return KV_OK;
    if (!version->enabled) {
        kv_clock_text(version->seen, seen);
        return kv_fail(
            err, KV_DISABLED,
            "version '%s/%s@%s' is disabled (so the vault said at %s): enable it with `az keyvault key "
            "set-attributes --id %s --enabled true`",
            version->vault, version->name, version->version, seen, version->kid);
    }
    if (operation & (KV_OP_DECRYPT | KV_OP_UNWRAP))
        return KV_OK;
    return check_dates(version, now, err);
}

void kv_version_list_free(struct kv_version_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        kv_version_free(list->items[i]);
    free(list->items);
    *list = (struct kv_version_list){ 0 };
}

/* Room grows when the count reaches a power of two, so that a list needs no member for it. */
enum kv_status kv_version_list_add(struct kv_version_list *list, struct kv_version *version)
{
    if ((list->count & (list->count - 1)) == 0) {
        size_t room = list->count ? list->count * 2 : 1;
        struct kv_version **items = reallocarray(list->items, room, sizeof *items);
        if (!items)
            return KV_NO_MEMORY;
        list->items = items;
    }
    list->items[list->count++] = kv_version_ref(version);
    return KV_OK;
}

static char *uri(const struct kv_version *version, const char *attribute, const char *value)
{
    KV_AUTO_FREE char *token = kv_encode_percent(version->vault);

    if (!token || !value)
        return NULL;
    return kv_text_format("pkcs11:token=%s;%s=%s;type=%s", token, attribute, value,
                          version->kind == KV_OCT ? "secret-key" : "private");
}

char *kv_version_uri(const struct kv_version *version)
{
    char id[KV_ID_SIZE * 3 + 1];

    for (size_t i = 0; i < KV_ID_SIZE; i++)
        snprintf(id + 3 * i, 4, "%%%02X", version->id[i]);
    return uri(version, "id", id);
}

char *kv_version_current_uri(const struct kv_version *version)
{
    KV_AUTO_FREE char *name = kv_encode_percent(version->name);

    return uri(version, "object", name);
}
