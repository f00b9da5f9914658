#include "merge.h"

#include <stdio.h>
#include <string.h>

struct entry {
    struct kv_version *version; /* counted */
    bool changed, heard;
};

struct work {
    const struct kv_merge_input *input;
    struct entry *entries;
    size_t count;
};

static void work_free(struct work *work)
{
    for (size_t i = 0; i < work->count; i++)
        kv_version_free(work->entries[i].version);
    free(work->entries);
}

void kv_merge_result_free(struct kv_merge_result *result)
{
    if (!result)
        return;
    kv_version_list_free(&result->all);
    kv_version_list_free(&result->changed);
}

bool kv_merge_is_whole(const struct kv_vault_key *item)
{
    return item->has_public || item->kind == KV_OCT;
}

struct kv_version *kv_merge_find(const struct kv_version_list *list, const char *version)
{
    for (size_t i = 0; list && i < list->count; i++)
        if (kv_text_equal_case(list->items[i]->version, version))
            return list->items[i];
    return NULL;
}

struct kv_version *kv_merge_current(const struct kv_version_list *list)
{
    for (size_t i = 0; list && i < list->count; i++)
        if (list->items[i]->current)
            return list->items[i];
    return NULL;
}

static enum kv_status start(struct work *work)
{
    const struct kv_merge_input *input = work->input;
    size_t known = input->known ? input->known->count : 0;

    work->entries = calloc(known + input->count + 1, sizeof(*work->entries));
    if (!work->entries)
        return KV_NO_MEMORY;
    for (size_t i = 0; i < known; i++)
        work->entries[work->count++].version = kv_version_ref(input->known->items[i]);
    return KV_OK;
}

/* Versions are immutable and shared: the first change makes a copy. */
static enum kv_status edit(struct entry *entry, struct kv_version **ret)
{
    if (!entry->changed) {
        struct kv_version *copy = kv_version_copy(entry->version);

        if (!copy)
            return KV_NO_MEMORY;
        kv_version_free(entry->version);
        entry->version = copy;
        entry->changed = true;
    }
    *ret = entry->version;
    return KV_OK;
}

static struct entry *entry_of(struct work *work, const char *version)
{
    for (size_t i = 0; i < work->count; i++)
        if (kv_text_equal_case(work->entries[i].version->version, version))
            return &work->entries[i];
    return NULL;
}

static enum kv_status spki_of(const struct kv_vault_key *item, struct kv_bytes *ret, struct kv_error *err)
{
    struct kv_public *key = NULL;

    if (item->kind == KV_OCT)
        return KV_OK;
    if (item->kind == KV_RSA)
        KV_TRY(kv_public_from_rsa(KV_VIEW(item->n), KV_VIEW(item->e), &key, err));
    else
        KV_TRY(kv_public_from_ec(item->curve, KV_VIEW(item->x), KV_VIEW(item->y), &key, err));

    enum kv_status status = kv_bytes_copy(kv_public_spki(key), ret);
    kv_public_free(key);
    return status;
}

static enum kv_status check_item(const struct kv_merge_input *input, const struct kv_vault_key *item,
                                 struct kv_error *err)
{
    if (!kv_text_equal_case(item->name, input->name) || !*item->version)
        return kv_fail(err, KV_WRONG_KEY, "vault '%s' was asked for key '%s' and answered with '%s/%s'",
                       input->vault, input->name, item->name, item->version);
    if (input->heard == KV_HEARD_VERSION && !kv_text_equal_case(item->version, input->version))
        return kv_fail(err, KV_WRONG_KEY, "vault '%s' was asked for '%s@%s' and answered with version '%s'",
                       input->vault, input->name, input->version, item->version);
    return KV_OK;
}

static enum kv_status same_key(const struct kv_merge_input *input, const struct kv_version *known,
                               struct kv_view spki, struct kv_error *err)
{
    if (kv_view_equal(KV_VIEW(known->spki), spki))
        return KV_OK;
    return kv_fail(
        err, KV_WRONG_KEY,
        "vault '%s' shows another public key for version '%s@%s' than the version map has seen before: "
        "the answer is refused; compare `az keyvault key show --id %s` with `kvp11 map show`",
        input->vault, input->name, known->version, known->kid);
}

/* What every kind of answer tells. */
static void copy_attributes(struct kv_version *version, const struct kv_vault_key *item, int64_t now)
{
    version->enabled = item->enabled;
    version->nbf = item->nbf;
    version->exp = item->exp;
    version->created = item->created;
    version->managed = version->managed || item->managed;
    if (*item->hsm_platform)
        (void)kv_text_fit(version->hsm_platform, sizeof(version->hsm_platform), item->hsm_platform);
    version->updated = item->updated;
    if (*item->recovery_level)
        (void)kv_text_fit(version->recovery, sizeof(version->recovery), item->recovery_level);
    if (*item->recovery_level && kv_recovery_is_protected(item->recovery_level))
        version->protected_at = now;
    version->state = kv_state_of(item->enabled, item->nbf, item->exp, now);
    version->seen = now;
}

static enum kv_status refresh_entry(const struct kv_merge_input *input, struct entry *entry,
                                    const struct kv_vault_key *item, struct kv_error *err)
{
    struct kv_version *version;

    if (kv_merge_is_whole(item)) {
        KV_AUTO_BYTES struct kv_bytes spki = { 0 };

        KV_TRY(spki_of(item, &spki, err));
        KV_TRY(same_key(input, entry->version, KV_VIEW(spki), err));
    }
    KV_TRY(edit(entry, &version));
    copy_attributes(version, item, input->now);
    if (kv_merge_is_whole(item))
        version->operations = item->operations;
    if (item->kind == KV_OCT && item->bits > 0) /* what is not told is not forgotten */
        version->bits = (unsigned)item->bits;
    entry->heard = true;
    return KV_OK;
}

static enum kv_status new_entry(struct work *work, const struct kv_vault_key *item, struct kv_error *err)
{
    const struct kv_merge_input *input = work->input;
    KV_AUTO_VERSION struct kv_version *version = kv_version_new();

    if (!version)
        return KV_NO_MEMORY;
    if (!kv_text_fit(version->vault, sizeof(version->vault), input->vault) ||
        !kv_text_fit(version->name, sizeof(version->name), input->name) ||
        !kv_text_fit(version->version, sizeof(version->version), item->version) ||
        !kv_text_fit(version->curve, sizeof(version->curve), item->curve) ||
        snprintf(version->kid, sizeof(version->kid), "%s/keys/%s/%s", input->url, input->name,
                 item->version) >= (int)sizeof(version->kid))
        return kv_fail(err, KV_PROTOCOL, "vault '%s': the identifier of '%s@%s' is too long", input->vault,
                       input->name, item->version);
    KV_TRY(spki_of(item, &version->spki, err));
    version->kind = item->kind;
    version->hsm = item->hsm;
    version->bits = item->bits > 0 ? (unsigned)item->bits : 0;
    version->operations = item->operations;
    version->first_seen = input->now;
    copy_attributes(version, item, input->now);
    work->entries[work->count++] = (struct entry){ kv_take(version), true, true };
    return KV_OK;
}

static enum kv_status take_items(struct work *work, struct kv_error *err)
{
    const struct kv_merge_input *input = work->input;

    for (size_t i = 0; i < input->count; i++) {
        const struct kv_vault_key *item = &input->items[i];
        KV_TRY(check_item(input, item, err));
        struct entry *entry = entry_of(work, item->version);

        if (entry)
            KV_TRY(refresh_entry(input, entry, item, err));
        else if (kv_merge_is_whole(item))
            KV_TRY(new_entry(work, item, err));
    }
    return KV_OK;
}

/* A key is deleted and recovered as a whole: when the version that a GET answers was deleted, the others are back with it. */
static enum kv_status revive(struct work *work)
{
    const struct kv_merge_input *input = work->input;
    const struct kv_version *before = kv_merge_find(input->known, input->items[0].version);

    if (!before || before->state != KV_STATE_DELETED)
        return KV_OK;
    for (size_t i = 0; i < work->count; i++) {
        struct kv_version *version = work->entries[i].version;

        if (version->state != KV_STATE_DELETED)
            continue;
        KV_TRY(edit(&work->entries[i], &version));
        version->state = kv_state_of(version->enabled, version->nbf, version->exp, input->now);
    }
    return KV_OK;
}

/* It is the name that a certificate has or has not: what one version tells of itself holds for its siblings, also those that an older map remembers. */
static enum kv_status spread_managed(struct work *work)
{
    bool managed = false;

    for (size_t i = 0; i < work->count; i++)
        managed = managed || (work->entries[i].heard && work->entries[i].version->managed);
    for (size_t i = 0; managed && i < work->count; i++) {
        struct kv_version *version = work->entries[i].version;

        if (version->managed)
            continue;
        KV_TRY(edit(&work->entries[i], &version));
        version->managed = true;
    }
    return KV_OK;
}

/* Those the vault no longer speaks of. One that is known to be gone keeps the more exact word. */
static enum kv_status mark_gone(struct work *work, enum kv_state state, const char *only)
{
    for (size_t i = 0; i < work->count; i++) {
        struct entry *entry = &work->entries[i];
        struct kv_version *version;

        if (entry->heard || !kv_version_is_there(entry->version) ||
            (only && !kv_text_equal_case(only, entry->version->version)))
            continue;
        KV_TRY(edit(entry, &version));
        version->state = state;
        version->seen = work->input->now;
    }
    return KV_OK;
}

/* `created` has seconds only, so a tie is left with the one that was current before. */
static bool is_newer(const struct kv_version *a, const struct kv_version *b)
{
    return !b || a->created > b->created || (a->created == b->created && a->current && !b->current);
}

static const struct kv_version *choose_current(const struct work *work)
{
    const struct kv_merge_input *input = work->input;
    const struct kv_version *best = NULL, *former = kv_merge_current(input->known);

    /* Also when it is gone: what came in its place was promoted by nobody. */
    if (former && input->keeps_current)
        return former;
    if (input->status == KV_OK && input->heard == KV_HEARD_CURRENT) {
        for (size_t i = 0; i < work->count; i++)
            if (work->entries[i].heard)
                return work->entries[i].version;
    }
    for (size_t i = 0; i < work->count; i++) {
        const struct kv_version *version = work->entries[i].version;

        if (!kv_version_is_there(version) || !is_newer(version, best))
            continue;
        best = version;
    }
    /* One version alone says nothing of the others: it is current only when it is newer than the one that is known to be. */
    if (!best || (input->heard != KV_HEARD_ALL && !former))
        return former;
    return best;
}

static enum kv_status mark_current(struct work *work)
{
    const struct kv_version *current = choose_current(work);
    char chosen[KV_VERSION_SIZE] = "";

    if (!current)
        return KV_OK;
    (void)kv_text_fit(chosen, sizeof(chosen), current->version);
    for (size_t i = 0; i < work->count; i++) {
        struct kv_version *version = work->entries[i].version;
        bool is_current = kv_text_equal_case(version->version, chosen);

        if (version->current == is_current)
            continue;
        KV_TRY(edit(&work->entries[i], &version));
        version->current = is_current;
    }
    return KV_OK;
}

static int compare_entries(const void *a, const void *b)
{
    const struct kv_version *x = ((const struct entry *)a)->version, *y = ((const struct entry *)b)->version;

    if (x->created != y->created)
        return x->created > y->created ? -1 : 1;
    return strcmp(x->version, y->version);
}

static enum kv_status collect(struct work *work, struct kv_merge_result *ret, struct kv_error *err)
{
    qsort(work->entries, work->count, sizeof(*work->entries), compare_entries);
    for (size_t i = 0; i < work->count; i++) {
        struct entry *entry = &work->entries[i];

        enum kv_status status = entry->changed ? kv_version_identify(entry->version) : KV_OK;

        if (status == KV_NO_MEMORY || status == KV_INTERNAL)
            return status;
        if (status)
            return kv_fail(err, KV_PROTOCOL, "vault '%s': the public key of '%s@%s' cannot be used",
                           work->input->vault, work->input->name, entry->version->version);
        KV_TRY(kv_version_list_add(&ret->all, entry->version));
        if (entry->changed)
            KV_TRY(kv_version_list_add(&ret->changed, entry->version));
    }
    return KV_OK;
}

static enum kv_status apply(struct work *work, struct kv_error *err)
{
    const struct kv_merge_input *input = work->input;
    bool nothing = input->status == KV_OK && input->heard != KV_HEARD_VERSION && input->count == 0;

    if (input->status == KV_NOT_FOUND && input->heard == KV_HEARD_VERSION)
        return mark_gone(work, KV_STATE_MISSING, input->version);
    if (input->status == KV_NOT_FOUND || nothing) /* no version at all: the key itself is not there */
        return mark_gone(work, KV_STATE_DELETED, NULL);
    if (input->status != KV_OK)
        return KV_OK;
    KV_TRY(take_items(work, err));
    KV_TRY(spread_managed(work));
    if (input->heard == KV_HEARD_CURRENT)
        KV_TRY(revive(work));
    if (input->heard == KV_HEARD_ALL)
        KV_TRY(mark_gone(work, KV_STATE_MISSING, NULL));
    return mark_current(work);
}

enum kv_status kv_merge(const struct kv_merge_input *input, struct kv_merge_result *ret, struct kv_error *err)
{
    KV_CLEANUP(work_free) struct work work = { .input = input };
    KV_CLEANUP(kv_merge_result_free) struct kv_merge_result result = { 0 };

    KV_TRY(start(&work));
    KV_TRY(apply(&work, err));
    KV_TRY(collect(&work, &result, err));
    *ret = result;
    result = (struct kv_merge_result){ 0 };
    return KV_OK;
}
