/* kvp11 keys: every version this host can name. */
#include "common.h"
#include "progress.h"

#include <stdlib.h>
#include <string.h>
#include "keys/backup_map.h"

const struct kv_option kv_cmd_keys_options[] = {
    { "--current", NULL, "only the current version of each key" },
    { "--all", NULL, "also versions that only the version map still knows" },
    { "--refresh", NULL, "ask the vault, however fresh the map is" },
    { NULL, NULL, NULL },
};

static bool wanted(const struct kv_tool *tool, const struct kv_version *version)
{
    if (kv_common_option(tool, "--current") && !version->current)
        return false;
    const char *name = tool->word_count ? tool->words[0] : NULL;
    return !name || kv_text_equal_case(version->name, name) || kv_text_equal_case(version->label, name);
}

static int compare_places(const void *left, const void *right)
{
    const struct kv_version *a = *(struct kv_version *const *)left, *b = *(struct kv_version *const *)right;
    int by_name = strcmp(a->name, b->name);
    return by_name ? by_name : strcmp(a->version, b->version);
}

/* What the vault does not show any more, or the settings hide. The map is read in pages: most of it is listed already. */
static enum kv_status add_remembered(struct kv_tool *tool, const char *vault, struct kv_version_list *ret,
                                     struct kv_error *err)
{
    enum { PAGE = 256 };
    size_t listed = ret->count;
    if (listed)
        qsort(ret->items, listed, sizeof(*ret->items), compare_places);
    for (int64_t after = 0;;) {
        KV_CLEANUP(kv_version_list_free) struct kv_version_list known = { 0 };
        KV_TRY(kv_map_version_page(kv_core_map(tool->core), after, PAGE, &known, err));
        if (!known.count)
            return KV_OK;
        after = known.items[known.count - 1]->row;
        for (size_t i = 0; i < known.count; i++) {
            bool is_here = !strcmp(known.items[i]->vault, vault);
            if (is_here && !(listed && bsearch(&known.items[i], ret->items, listed, sizeof(*ret->items),
                                               compare_places)))
                KV_TRY(kv_version_list_add(ret, known.items[i]));
        }
    }
}

static enum kv_status find(struct kv_tool *tool, size_t vault, struct kv_version_list *ret,
                           struct kv_error *err)
{
    struct kv_keyring *keyring = kv_core_keyring(tool->core, vault);
    const char *name = kv_keyring_config(keyring)->name, *word = tool->word_count ? tool->words[0] : NULL;
    /* Old versions of a key are found by a listing; a single version is not worth one. */
    bool single = word && (strchr(word, '@') || kv_common_option(tool, "--current"));
    struct kv_task task = single ? kv_common_task(tool, vault) : kv_common_long_task(tool, vault);
    struct kv_keyring_query query = { .label = single ? word : NULL,
                                      .force = kv_common_option(tool, "--refresh") != NULL };
    size_t left_out = 0;
    struct kv_error why = { 0 };
    struct kv_progress progress;
    kv_progress_watch(&progress, &task);
    enum kv_status status = kv_keyring_find(keyring, &query, &task, ret, &left_out, &why);
    kv_progress_end(&progress);
    if (status != KV_OK) {
        *err = why;
        return kv_fail_in(err, status, "vault '%s'", name);
    }
    if (why.status != KV_OK)
        kv_common_note("vault '%s': %s; what is shown is what the version map knows", name, why.text);
    if (left_out)
        kv_common_note(
            "vault '%s': %zu key%s left out because this identity may not read them or they could not be "
            "understood",
            name, left_out, left_out == 1 ? " was" : "s were");
    return kv_common_option(tool, "--all") ? add_remembered(tool, name, ret, err) : KV_OK;
}

/* By name, the current version first, then the newest. */
static int compare(const void *left, const void *right)
{
    const struct kv_version *a = *(struct kv_version *const *)left, *b = *(struct kv_version *const *)right;
    int by_name = strcmp(a->name, b->name);
    if (by_name)
        return by_name;
    if (a->current != b->current)
        return a->current ? -1 : 1;
    if (a->created != b->created)
        return a->created > b->created ? -1 : 1;
    return strcmp(a->version, b->version);
}

enum kv_status kv_cmd_keys(struct kv_tool *tool, struct kv_error *err)
{
    size_t first = 0, end = 0, shown = 0;
    if (kv_common_option(tool, "--all") && kv_common_option(tool, "--current"))
        return kv_fail(err, KV_ARGUMENTS, "--all and --current exclude each other");
    KV_TRY(kv_common_open_map(tool, err));
    KV_TRY(kv_common_vaults(tool, &first, &end, err));
    KV_CLEANUP(kv_versions_free_cleanup) struct kv_versions *versions = kv_versions_open(tool, false, err);
    if (!versions)
        return KV_NO_MEMORY;
    for (size_t vault = first; vault < end; vault++) {
        KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
        KV_TRY(find(tool, vault, &list, err));
        if (list.count)
            qsort(list.items, list.count, sizeof(*list.items), compare);
        for (size_t i = 0; i < list.count; i++) {
            if (!wanted(tool, list.items[i]))
                continue;
            kv_versions_add(versions, NULL, list.items[i]);
            shown++;
        }
    }
    if (!shown && tool->word_count)
        return kv_fail(err, KV_NOT_FOUND,
                       "no key or version '%s' is known: 'kvp11 keys --refresh' asks the vault",
                       tool->words[0]);
    return kv_versions_print(versions, err);
}
