/* kvp11 resolve: which version does this wrapped blob need, and is it there? */
#include "common.h"

#include <stdio.h>
#include <string.h>
#include "keys/backup_map.h"

const struct kv_option kv_cmd_resolve_options[] = {
    { "--offline", NULL, "answer from the version map alone, without asking the vault" },
    { NULL, NULL, NULL },
};

/* A wrapped key is some hundred bytes; a CMS file or a backup is not what is asked for here. */
enum { BLOB_MAX = 1 << 20 };

static enum kv_status blob_read(const char *path, struct kv_buffer *ret, struct kv_error *err)
{
    FILE *stream = strcmp(path, "-") ? fopen(path, "rbe") : stdin;
    if (!stream)
        return kv_fail(err, KV_ARGUMENTS, "cannot read '%s': %m", path);
    unsigned char part[4096];
    size_t len;
    enum kv_status status = KV_OK;
    while (status == KV_OK && (len = fread(part, 1, sizeof(part), stream)))
        status = kv_buffer_add(ret, (struct kv_view){ part, len });
    bool broken = ferror(stream);
    if (stream != stdin)
        fclose(stream);
    if (status != KV_OK)
        return kv_fail(err, KV_DATA_LENGTH,
                       "'%s' is longer than %d bytes: give the wrapped key, not the backup", path, BLOB_MAX);
    if (broken)
        return kv_fail(err, KV_IO, "cannot read '%s'", path);
    return ret->bytes.len ? KV_OK : kv_fail(err, KV_BAD_DATA, "'%s' is empty", path);
}

/* The vault's word on a version that the map knows. */
static enum kv_status ask(struct kv_tool *tool, size_t vault, struct kv_version **version,
                          struct kv_error *err)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    struct kv_keyring_query query = { .label = (*version)->label, .force = true };
    KV_AUTO_TEXT char *pinned = kv_text_format("%s@%s", (*version)->name, (*version)->version);
    struct kv_task task = kv_common_task(tool, vault);
    size_t left_out = 0;
    if (!(*version)->current)
        query.label = pinned;
    enum kv_status status =
        kv_keyring_find(kv_core_keyring(tool->core, vault), &query, &task, &list, &left_out, err);
    if (status != KV_OK)
        return kv_fail_in(err, status, "it needs version '%s/%s@%s'", (*version)->vault, (*version)->name,
                          (*version)->version);
    for (size_t i = 0; i < list.count; i++) {
        if (strcmp(list.items[i]->version, (*version)->version) != 0)
            continue;
        struct kv_version *now = kv_version_ref(list.items[i]);
        kv_version_free(*version);
        *version = now;
    }
    return KV_OK;
}

/* "; the same key is at '…'", where it is known to be elsewhere, too. */
static char *elsewhere(struct kv_tool *tool, const struct kv_version *version)
{
    KV_AUTO_FREE struct kv_map_location *places = NULL;
    size_t count = 0;
    if (version->kind == KV_OCT ||
        kv_map_locations(kv_core_map(tool->core), kv_map_key_of(version), &places, &count, NULL) != KV_OK)
        return kv_text_copy("");
    for (size_t i = 0; i < count; i++)
        if (!kv_text_equal_case(places[i].kid, version->kid))
            return kv_text_format("; the same key is at '%s'", places[i].kid);
    return kv_text_copy("");
}

/* Expired and not-yet-valid versions still open old data. */
static enum kv_status available(struct kv_tool *tool, const struct kv_version *version, struct kv_error *err)
{
    const char *remedy = NULL;
    switch (version->state) {
    case KV_STATE_ENABLED:
    case KV_STATE_NOT_YET_VALID:
    case KV_STATE_EXPIRED:
        return KV_OK;
    case KV_STATE_DISABLED:
        remedy = "enable it: az keyvault key set-attributes --enabled true --id";
        break;
    case KV_STATE_DELETED:
        remedy = "recover the key: az keyvault key recover; it was";
        break;
    case KV_STATE_PURGED:
    case KV_STATE_MISSING:
        remedy = "restore the key from its backup: az keyvault key restore; it was";
        break;
    case KV_STATE_UNREACHABLE:
        return kv_fail(err, KV_UNREACHABLE,
                       "it needs version '%s/%s@%s', and its vault cannot be reached now", version->vault,
                       version->name, version->version);
    }
    KV_AUTO_TEXT char *other = elsewhere(tool, version);
    return kv_fail(err, KV_DISABLED, "it needs version '%s/%s@%s', which is %s: %s '%s'%s", version->vault,
                   version->name, version->version, kv_state_name(version->state), remedy, version->kid,
                   other ? other : "");
}

static enum kv_status resolve(struct kv_tool *tool, struct kv_view blob, size_t *ret_vault,
                              struct kv_version **ret, struct kv_error *err)
{
    size_t first = 0, end = 0;
    KV_TRY(kv_common_vaults(tool, &first, &end, err));
    for (size_t vault = first; vault < end; vault++) {
        struct kv_task task = kv_common_task(tool, vault);
        KV_TRY(kv_key_resolve(kv_core_keyring(tool->core, vault), blob, &task, ret, err));
        *ret_vault = vault;
        if (*ret)
            return KV_OK;
    }
    return kv_fail(
        err, KV_NOT_FOUND,
        "no entry of the version map names these bytes: they were wrapped on another host, or before the "
        "map, or changed since");
}

enum kv_status kv_cmd_resolve(struct kv_tool *tool, struct kv_error *err)
{
    KV_AUTO_BUFFER struct kv_buffer blob = { .limit = BLOB_MAX };
    KV_AUTO_VERSION struct kv_version *version = NULL;
    size_t vault = 0;
    KV_TRY(blob_read(tool->words[0], &blob, err));
    KV_TRY(kv_common_open_map(tool, err));
    KV_CLEANUP(kv_versions_free_cleanup) struct kv_versions *versions = kv_versions_open(tool, false, err);
    if (!versions)
        return KV_NO_MEMORY;
    KV_TRY(resolve(tool, KV_VIEW(blob.bytes), &vault, &version, err));
    if (!kv_common_option(tool, "--offline"))
        KV_TRY(ask(tool, vault, &version, err));
    KV_TRY(available(tool, version, err));
    kv_versions_add(versions, NULL, version);
    return kv_versions_print(versions, err);
}
