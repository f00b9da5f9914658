/* Key Vault's own backups of keys, in the version map. */
#include "key_backup.h"

#include <string.h>
#include "keys/watch.h"
#include "mech/local.h"

static enum kv_status remember(struct kv_map *map, const struct kv_key_backup *backup, const char *path,
                               struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes digest = { 0 };
    KV_AUTO_BUFFER struct kv_buffer versions = { 0 };
    KV_AUTO_FREE char *whole = realpath(path, NULL);
    struct kv_map_key_backup known = { .taken = backup->taken, .path = whole };
    (void)kv_text_fit(known.vault, sizeof(known.vault), backup->vault);
    (void)kv_text_fit(known.name, sizeof(known.name), backup->name);
    KV_TRY(kv_digest_once("SHA2-256", KV_VIEW(backup->blob), &digest));
    memcpy(known.sha256, digest.data, sizeof(known.sha256));
    for (size_t i = 0; i < backup->count; i++)
        KV_TRY(kv_buffer_format(&versions, "\n%s", backup->versions[i].version));
    KV_TRY(kv_buffer_format(&versions, "\n"));
    known.versions = (char *)versions.bytes.data;
    if (!known.path)
        return kv_fail(err, KV_IO, "'%s' is not there any more: %m", path);
    return kv_map_key_backed_up(map, &known, err);
}

void kv_key_backup_remember(const struct kv_tool *tool, const struct kv_key_backup *backup, const char *path)
{
    struct kv_error why = { 0 };
    enum kv_status status = remember(kv_core_map(tool->core), backup, path, &why);
    if (status != KV_OK)
        kv_common_note("warning: `kvp11 sync` will not tell when this backup falls behind: %s",
                       *why.text ? why.text : kv_status_text(status));
}
