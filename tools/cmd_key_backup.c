/* kvp11 key-backup: Key Vault's own backup of a key with all its versions, and back into a vault. */
#include "key_backup/key_backup.h"

#include <string.h>
#include "base/encode.h"
#include "core/probe.h"
#include "prove.h"

const struct kv_option kv_cmd_key_backup_options[] = {
    { "--out", "FILE", "write this file, and FILE.json beside it" },
    { NULL, NULL, NULL },
};

static const struct kv_column columns[] = {
    { "FILE", "file" }, { "VAULT", "vault" }, { "KEY", "name" },    { "VERSIONS", "versions" },
    { NULL, "limit" },  { "SIZE", "size" },   { "TAKEN", "taken" }, { NULL, "subscription" },
};

/* --- away --- */

static enum kv_status check_room(const struct kv_key_backup *backup)
{
    int limit = kv_key_backup_limit(backup->managed_hsm);
    if (kv_key_backup_room(backup->count, backup->managed_hsm) != KV_LEVEL_OK)
        kv_common_note(
            "warning: key '%s/%s' has %zu versions, and none of them can be deleted: a vault %s %d; "
            "make a new key before that, and rewrap what depends on this one",
            backup->vault, backup->name, backup->count,
            backup->managed_hsm ? "takes no more than" : "backs up no key with more past versions than",
            limit);
    return KV_OK;
}

static void describe_vault(const struct kv_vault_config *config, struct kv_key_backup *backup)
{
    (void)kv_text_fit(backup->vault, sizeof(backup->vault), config->name);
    (void)kv_text_fit(backup->url, sizeof(backup->url), config->url);
    if (config->subscription)
        (void)kv_text_fit(backup->subscription, sizeof(backup->subscription), config->subscription);
    if (config->tenant)
        (void)kv_text_fit(backup->tenant, sizeof(backup->tenant), config->tenant);
    backup->managed_hsm = config->managed_hsm;
}

/* The list comes first: what is made meanwhile may be in the file without standing in its description, never the other way round. */
static enum kv_status fetch(struct kv_tool *tool, size_t vault, struct kv_key_backup *backup,
                            struct kv_error *err)
{
    const struct kv_clock *clock = kv_core_clock(tool->core);
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    KV_AUTO_TEXT char *blob = NULL;
    struct kv_task task = kv_common_long_task(tool, vault);
    (void)kv_text_fit(backup->name, sizeof(backup->name), tool->words[0]);
    describe_vault(&kv_core_config(tool->core)->vaults[vault], backup);
    KV_TRY(kv_keyring_listed(kv_core_keyring(tool->core, vault), backup->name, &task, &list, err));
    KV_TRY(kv_key_backup_take(&list, backup, err));
    if (!backup->count)
        return kv_fail(err, KV_NOT_FOUND,
                       "vault '%s' has no key '%s': if it was deleted, `" KV_KEY_RECOVER "` brings it back",
                       backup->vault, backup->name, kv_word(backup->vault).text, kv_word(backup->name).text);
    KV_TRY(check_room(backup));
    backup->taken = clock->unix_seconds(clock);
    task = kv_common_task(tool, vault);
    KV_TRY(kv_vault_backup_key(kv_core_vault(tool->core, vault), backup->name, &task, &blob, err));
    enum kv_status status = kv_decode_base64url(blob, &backup->blob);
    return status == KV_OK ? KV_OK : kv_fail(err, KV_PROTOCOL, "the vault's backup cannot be decoded");
}

/* "prod-kek-20260131T120000Z.keybackup" */
static char *default_path(const struct kv_key_backup *backup)
{
    char when[21], compact[21];
    size_t len = 0;
    kv_clock_text(backup->taken, when);
    for (const char *from = when; *from; from++)
        if (*from != '-' && *from != ':')
            compact[len++] = *from;
    compact[len] = '\0';
    return kv_text_format("%s-%s-%s.keybackup", backup->vault, backup->name, compact);
}

static enum kv_status print(struct kv_tool *tool, const struct kv_key_backup *backup, const char *path,
                            struct kv_error *err)
{
    KV_AUTO_TABLE struct kv_table *table = kv_table_open(columns, sizeof(columns) / sizeof(columns[0]));
    if (!table)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    kv_table_text(table, path);
    kv_table_text(table, backup->vault);
    kv_table_text(table, backup->name);
    kv_table_int(table, (int64_t)backup->count);
    kv_table_int(table, kv_key_backup_limit(backup->managed_hsm));
    kv_table_int(table, (int64_t)backup->blob.len);
    kv_table_time(table, backup->taken);
    kv_table_text(table, backup->subscription);
    return kv_common_print(tool, table, err);
}

enum kv_status kv_cmd_key_backup(struct kv_tool *tool, struct kv_error *err)
{
    const char *out = kv_common_option(tool, "--out");
    KV_AUTO_KEY_BACKUP struct kv_key_backup backup = { 0 };
    size_t vault = 0;
    if (out && !strcmp(out, "-"))
        return kv_fail(err, KV_ARGUMENTS,
                       "'--out -': two files are written, so the standard output will not do");
    KV_TRY(kv_common_open_map(tool, err));
    KV_TRY(kv_common_vault(tool, &vault, err));
    KV_TRY(fetch(tool, vault, &backup, err));
    KV_AUTO_TEXT char *path = out ? kv_text_copy(out) : default_path(&backup);
    if (!path)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(kv_key_backup_write(&backup, path, err));
    kv_key_backup_remember(tool, &backup, path);
    return print(tool, &backup, path, err);
}

/* --- and back --- */

struct restore {
    struct kv_tool *tool;
    size_t vault;
    const struct kv_key_backup *backup;
    char name[KV_NAME_SIZE];
    struct kv_versions *versions;
    struct kv_tool prover;
};

/* --vault; else the vault that the file is from; else the only one. */
static enum kv_status target(struct kv_tool *tool, const struct kv_key_backup *backup, size_t *ret,
                             struct kv_error *err)
{
    const struct kv_config *config = kv_core_config(tool->core);
    for (size_t i = 0; !tool->vault && backup->is_described && i < config->vault_count; i++) {
        if (!strcmp(config->vaults[i].name, backup->vault)) {
            *ret = i;
            return KV_OK;
        }
    }
    return kv_common_vault(tool, ret, err);
}

static enum kv_status send_blob(struct restore *restore, struct kv_error *err)
{
    struct kv_tool *tool = restore->tool;
    KV_CLEANUP(kv_vault_key_free) struct kv_vault_key key = { 0 };
    KV_AUTO_TEXT char *text = kv_encode_base64url(KV_VIEW(restore->backup->blob));
    struct kv_task task = kv_common_task(tool, restore->vault);
    const char *vault = kv_core_config(tool->core)->vaults[restore->vault].name;
    if (!text)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    enum kv_status status =
        kv_vault_restore_key(kv_core_vault(tool->core, restore->vault), text, &task, &key, err);
    if (status == KV_CONFLICT)
        return kv_fail_in(err, status,
                          "the name is taken in vault '%s'; if its key is deleted: " KV_KEY_RECOVER "; else "
                          "restore into another vault: kvp11 --vault OTHER key-backup restore FILE",
                          vault, kv_word(vault).text,
                          kv_word(restore->backup->is_described ? restore->backup->name : "NAME").text);
    /* After a lost reply it may be there all the same, and the proof tells. */
    if (status != KV_OK && !(err && err->maybe_done && restore->backup->is_described))
        return status;
    (void)kv_text_fit(restore->name, sizeof(restore->name),
                      status == KV_OK ? key.name : restore->backup->name);
    return KV_OK;
}

/* Is this the key that the file is said to hold? What came after the backup was taken is not. */
static enum kv_status compare(struct restore *restore, const struct kv_version *version, bool *ret_known,
                              struct kv_error *err)
{
    const struct kv_key_backup_version *told = kv_key_backup_find(restore->backup, version->version);
    *ret_known = told;
    if (told && memcmp(told->spki_sha256, version->spki_sha256, sizeof(told->spki_sha256)) != 0)
        return kv_fail(err, KV_WRONG_KEY,
                       "version '%s/%s@%s' has another public key than when the backup was taken",
                       version->vault, version->name, version->version);
    return KV_OK;
}

static enum kv_status look_at(struct restore *restore, const struct kv_version *version, size_t *known,
                              struct kv_error *err)
{
    const char *role = "failed";
    bool is_known = false;
    KV_TRY(compare(restore, version, &is_known, err));
    *known += is_known;
    enum kv_status status = kv_prove_role(&restore->prover, restore->vault, version, &role, err);
    kv_versions_add(restore->versions, role, version);
    return status;
}

static enum kv_status look_at_all(struct restore *restore, struct kv_error *err)
{
    struct kv_tool *tool = restore->tool;
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    struct kv_task task = kv_common_long_task(tool, restore->vault);
    size_t known = 0;
    KV_TRY(kv_keyring_listed(kv_core_keyring(tool->core, restore->vault), restore->name, &task, &list, err));
    for (size_t i = 0; i < list.count; i++)
        KV_TRY(look_at(restore, list.items[i], &known, err));
    if (!restore->backup->is_described)
        kv_common_note(
            "warning: '%s.json' is not there, so nothing says which public keys the key should have",
            tool->words[0]);
    else if (known < restore->backup->count)
        return kv_fail(err, KV_WRONG_KEY,
                       "%zu of the %zu versions that the backup holds are not in the vault",
                       restore->backup->count - known, restore->backup->count);
    return KV_OK;
}

enum kv_status kv_cmd_key_backup_restore(struct kv_tool *tool, struct kv_error *err)
{
    KV_AUTO_KEY_BACKUP struct kv_key_backup backup = { 0 };
    struct restore restore = { .tool = tool, .backup = &backup };
    KV_TRY(kv_key_backup_read(tool->words[0], &backup, err));
    if (backup.is_described && !backup.is_intact)
        return kv_fail(err, KV_BAD_DATA, "'%s' is not what '%s.json' describes: its SHA-256 is another",
                       tool->words[0], tool->words[0]);
    KV_TRY(kv_common_open_map(tool, err));
    KV_TRY(target(tool, &backup, &restore.vault, err));
    restore.versions = kv_versions_open(tool, true, err);
    if (!restore.versions)
        return KV_NO_MEMORY;
    enum kv_status status = kv_prove_open(tool, &restore.prover, err);
    if (status == KV_OK)
        status = send_blob(&restore, err);
    if (status == KV_OK) {
        status = look_at_all(&restore, err);
        if (status != KV_OK)
            status = kv_fail_in(err, status, "key '%s' is restored, but is not proved", restore.name);
    }
    if (status == KV_OK)
        status = kv_versions_print(restore.versions, err);
    kv_versions_free(restore.versions);
    kv_tool_free(&restore.prover);
    return status;
}
