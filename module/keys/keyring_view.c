#include "keyring_private.h"

#include <search.h>
#include <string.h>

bool kv_keyring_is_name(const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-";
    size_t len = strlen(name);

    return len > 0 && len < KV_NAME_SIZE && strspn(name, allowed) == len;
}

bool kv_keyring_allows(const struct kv_keyring *keyring, const char *name)
{
    const struct kv_pair_list *keys = &keyring->parts.config->keys;

    for (size_t i = 0; i < keys->count; i++)
        if (kv_text_match(keys->items[i], name))
            return true;
    return keys->count == 0;
}

static int compare_interned(const void *a, const void *b)
{
    const struct kv_version *x = ((const struct kv_interned *)a)->version;
    const struct kv_version *y = ((const struct kv_interned *)b)->version;
    int order = strcmp(x->name, y->name);

    return order ? order : strcmp(x->version, y->version);
}

/* Everything but when it was last seen and used. */
static bool looks_the_same(const struct kv_version *a, const struct kv_version *b)
{
    return a->current == b->current && a->kind == b->kind && a->hsm == b->hsm && a->bits == b->bits &&
           a->operations == b->operations && a->state == b->state && a->enabled == b->enabled &&
           a->managed == b->managed && !strcmp(a->hsm_platform, b->hsm_platform) && a->nbf == b->nbf &&
           a->exp == b->exp && a->created == b->created && !strcmp(a->kid, b->kid) &&
           !strcmp(a->label, b->label) && !strcmp(a->curve, b->curve) &&
           !memcmp(a->id, b->id, sizeof(a->id)) && kv_view_equal(KV_VIEW(a->spki), KV_VIEW(b->spki));
}

/* The entry of this version, made when it is new; the lock is held. NULL when memory is short. */
static struct kv_interned *interned_of(struct kv_keyring *keyring, struct kv_version *version)
{
    KV_AUTO_FREE struct kv_interned *fresh = calloc(1, sizeof(*fresh));

    if (!fresh)
        return NULL;
    fresh->version = version;
    struct kv_interned **node = tsearch(fresh, &keyring->interned, compare_interned);
    if (!node)
        return NULL;
    struct kv_interned *entry = *node;
    if (entry == fresh) {
        fresh = NULL; /* the tree has it now */
        entry->version = kv_version_ref(version);
    }
    return entry;
}

static enum kv_status intern(struct kv_keyring *keyring, struct kv_version *version, struct kv_version **ret)
{
    pthread_mutex_lock(&keyring->lock);
    struct kv_interned *entry = interned_of(keyring, version);

    if (entry && !looks_the_same(entry->version, version)) {
        struct kv_version *old = entry->version;

        entry->version = kv_version_ref(version); /* the same name and version: its place in the tree stays */
        kv_version_free(old);
    }
    if (entry)
        *ret = kv_version_ref(entry->version);
    pthread_mutex_unlock(&keyring->lock);
    return entry ? KV_OK : KV_NO_MEMORY;
}

bool kv_keyring_note_unwrap(struct kv_keyring *keyring, const struct kv_version *version, int64_t now)
{
    enum { ONCE_IN = 3600 };

    pthread_mutex_lock(&keyring->lock);
    struct kv_interned wanted = { (struct kv_version *)version, 0 };
    struct kv_interned **node = tfind(&wanted, &keyring->interned, compare_interned);
    bool due = now - version->last_unwrap >= ONCE_IN && (!node || now - (*node)->unwrap_noted >= ONCE_IN);

    if (due && node)
        (*node)->unwrap_noted = now;
    pthread_mutex_unlock(&keyring->lock);
    return due;
}

unsigned kv_keyring_interned_size(struct kv_keyring *keyring, const struct kv_version *version)
{
    struct kv_interned wanted = { (struct kv_version *)version, 0 };

    pthread_mutex_lock(&keyring->lock);
    struct kv_interned **node = tfind(&wanted, &keyring->interned, compare_interned);
    unsigned bits = node ? (*node)->version->bits : 0;
    pthread_mutex_unlock(&keyring->lock);
    return bits;
}

/* Handed-out versions are immutable: the entry gets another one, and who holds the old one asks here. */
void kv_keyring_intern_size(struct kv_keyring *keyring, const struct kv_version *version, unsigned bits)
{
    struct kv_interned wanted = { (struct kv_version *)version, 0 };

    pthread_mutex_lock(&keyring->lock);
    struct kv_interned **node = tfind(&wanted, &keyring->interned, compare_interned);
    struct kv_version *copy = node && !(*node)->version->bits ? kv_version_copy((*node)->version) : NULL;

    if (copy) {
        copy->bits = bits;
        kv_version_free((*node)->version);
        (*node)->version = copy;
    }
    pthread_mutex_unlock(&keyring->lock);
}

void kv_keyring_interned_free(struct kv_keyring *keyring)
{
    while (keyring->interned) {
        struct kv_interned *entry = *(struct kv_interned **)keyring->interned;

        tdelete(entry, &keyring->interned, compare_interned);
        kv_version_free(entry->version);
        free(entry);
    }
}

/* Time passes without the vault saying anything; and what cannot be asked for cannot be vouched for. */
static enum kv_state state_now(const struct kv_version *row, bool unreachable, int64_t now)
{
    enum kv_state state = row->state;

    if (kv_version_is_there(row))
        state = kv_state_of(row->enabled, row->nbf, row->exp, now);
    return unreachable && state == KV_STATE_ENABLED ? KV_STATE_UNREACHABLE : state;
}

static unsigned operations_shown(const struct kv_keyring *keyring, const struct kv_version *row)
{
    if (row->current || keyring->parts.config->old_versions != KV_OLD_OPEN_ONLY)
        return row->operations;
    return row->operations & ~(unsigned)(KV_OP_SIGN | KV_OP_ENCRYPT | KV_OP_WRAP);
}

enum kv_status kv_keyring_hand_out(struct kv_keyring *keyring, const struct kv_version *row, bool unreachable,
                                   struct kv_version **ret)
{
    enum kv_state state = state_now(row, unreachable, kv_keyring_now(keyring));
    unsigned operations = operations_shown(keyring, row);
    bool as_is = state == row->state && operations == row->operations;
    KV_AUTO_VERSION struct kv_version *view = as_is ? kv_version_ref(row) : kv_version_copy(row);

    if (!view)
        return KV_NO_MEMORY;
    if (!as_is) {
        view->state = state;
        view->operations = operations;
    }
    return intern(keyring, view, ret);
}

enum kv_status kv_keyring_show(struct kv_keyring *keyring, const struct kv_version *row, bool unreachable,
                               struct kv_version_list *ret)
{
    KV_AUTO_VERSION struct kv_version *view = NULL;

    if (!kv_keyring_allows(keyring, row->name) ||
        (!row->current && keyring->parts.config->old_versions == KV_OLD_NONE))
        return KV_OK;
    KV_TRY(kv_keyring_hand_out(keyring, row, unreachable, &view));
    return kv_version_list_add(ret, view);
}
