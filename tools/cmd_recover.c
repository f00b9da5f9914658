/* kvp11 recover: a key back out of soft delete, and the proof that its versions work again; without a name, what there is to recover. */
#include "prove.h"

#include <string.h>
#include "core/probe.h"

static const struct kv_column columns[] = {
    { "VAULT", "vault" },         { "KEY", "name" },  { "DELETED", "deleted" }, { "PURGED", "purged" },
    { "DAYS LEFT", "days_left" }, { "NEXT", "next" },
};

/* --- the list --- */

static void add_deleted(struct kv_tool *tool, struct kv_table *table, const char *vault,
                        const struct kv_vault_deleted_item *item)
{
    const struct kv_clock *clock = kv_core_clock(tool->core);
    int64_t left = item->dates.purge - clock->unix_seconds(clock);
    kv_table_text(table, vault);
    kv_table_text(table, item->name);
    kv_table_time(table, item->dates.deleted);
    kv_table_time(table, item->dates.purge);
    if (item->dates.purge)
        kv_table_int(table, left > 0 ? left / 86400 : 0);
    else
        kv_table_text(table, NULL);
    kv_table_take(table, kv_text_format(KV_KEY_RECOVER, kv_word(vault).text, kv_word(item->name).text));
}

static enum kv_status list_vault(struct kv_tool *tool, size_t vault, struct kv_table *table,
                                 struct kv_error *err)
{
    const char *name = kv_core_config(tool->core)->vaults[vault].name;
    struct kv_keyring *keyring = kv_core_keyring(tool->core, vault);
    KV_AUTO_TEXT char *next = NULL;
    do {
        KV_CLEANUP(kv_vault_deleted_page_free) struct kv_vault_deleted_page page = { 0 };
        struct kv_task task = kv_common_task(tool, vault);
        KV_TRY(kv_vault_list_deleted(kv_core_vault(tool->core, vault), next, &task, &page, err));
        if (page.broken)
            kv_common_note("vault '%s': %zu deleted keys could not be understood, and are left out", name,
                           page.broken);
        for (size_t i = 0; i < page.count; i++)
            if (kv_keyring_check_name(keyring, page.items[i].name, NULL) == KV_OK)
                add_deleted(tool, table, name, &page.items[i]);
        kv_text_free(next);
        next = kv_take(page.next);
    } while (next);
    return KV_OK;
}

static enum kv_status list(struct kv_tool *tool, struct kv_error *err)
{
    size_t first = 0, end = 0;
    KV_AUTO_TABLE struct kv_table *table = kv_table_open(columns, sizeof(columns) / sizeof(columns[0]));
    if (!table)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(kv_common_vaults(tool, &first, &end, err));
    for (size_t vault = first; vault < end; vault++)
        KV_TRY(list_vault(tool, vault, table, err));
    return kv_common_print(tool, table, err);
}

/* --- one key --- */

/* Every version is looked at, whatever the first ones say: what can be had at all is what matters now. */
static enum kv_status prove_all(struct kv_tool *tool, size_t vault, const struct kv_version_list *list,
                                struct kv_versions *versions, struct kv_error *err)
{
    KV_CLEANUP(kv_tool_free) struct kv_tool prover = { 0 };
    enum kv_status failed = KV_OK;
    KV_TRY(kv_prove_open(tool, &prover, err));
    for (size_t i = 0; i < list->count; i++) {
        struct kv_error why = { 0 };
        const char *role = "failed";
        enum kv_status status = kv_prove_role(&prover, vault, list->items[i], &role, &why);
        if (status != KV_OK)
            kv_common_note("%s", why.text);
        if (failed == KV_OK && status != KV_OK) {
            failed = status;
            *err = why;
        }
        kv_versions_add(versions, role, list->items[i]);
    }
    return failed;
}

enum kv_status kv_cmd_recover(struct kv_tool *tool, struct kv_error *err)
{
    enum { PATIENCE_MS = 10 * 60 * 1000 };
    size_t vault = 0;
    KV_TRY(kv_common_open_map(tool, err));
    if (!tool->word_count)
        return list(tool, err);
    KV_TRY(kv_common_vault(tool, &vault, err));
    KV_CLEANUP(kv_versions_free_cleanup) struct kv_versions *versions = kv_versions_open(tool, true, err);
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    if (!versions)
        return KV_NO_MEMORY;
    struct kv_task task = kv_common_task(tool, vault);
    task.deadline = kv_deadline_in(kv_core_clock(tool->core), PATIENCE_MS);
    KV_TRY(kv_keyring_recover(kv_core_keyring(tool->core, vault), tool->words[0], &task, &list, err));
    enum kv_status status = prove_all(tool, vault, &list, versions, err);
    if (status == KV_OK)
        return kv_versions_print(versions, err);
    struct kv_error why = *err;
    tool->findings = true;
    KV_TRY(kv_versions_print(versions, err));
    *err = why;
    return kv_fail_in(err, status, "key '%s' is recovered, but not all of it works", tool->words[0]);
}
