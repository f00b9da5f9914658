/* A rotation that is cut off between the vault, which has made the version, and the map, which does not know yet, would make a second one when it is run again. So what is begun
 * is written down before it is sent, and what was made by it is found by that. */
#include "keyring_change.h"

enum {
    FRESH = 24 * 3600, /* seconds: who runs it again later wants another version */
    LONGEST =
        600 /* seconds from the beginning to the version, as the vault's clock may have it; as many before */
};

enum kv_status kv_change_begin(const struct kv_change *change, struct kv_error *err)
{
    struct kv_keyring *keyring = change->keyring;
    struct kv_map_rotation rotation = { .at = change->started };

    if (change->what || !kv_map_writable(keyring->parts.map))
        return KV_OK;
    for (size_t i = 0; i < change->before.count; i++)
        if (change->before.items[i]->row > rotation.after)
            rotation.after = change->before.items[i]->row;
    return kv_map_rotating(keyring->parts.map, keyring->parts.config->name, change->name, &rotation, err);
}

enum kv_status kv_keyring_rotated(struct kv_keyring *keyring, const char *name, struct kv_error *err)
{
    const struct kv_map_rotation over = { 0 };

    if (!kv_map_writable(keyring->parts.map))
        return KV_OK;
    return kv_map_rotating(keyring->parts.map, keyring->parts.config->name, name, &over, err);
}

/* The newest that came when it was under way. */
static const struct kv_version *made_by(const struct kv_map_rotation *rotation,
                                        const struct kv_version_list *rows)
{
    for (size_t i = 0; i < rows->count; i++) { /* newest first */
        const struct kv_version *row = rows->items[i];

        if (row->row > rotation->after && kv_version_is_there(row) &&
            row->created >= rotation->at - LONGEST && row->created <= rotation->at + LONGEST)
            return row;
    }
    return NULL;
}

enum kv_status kv_keyring_rotation_left(struct kv_keyring *keyring, const char *name,
                                        const struct kv_task *task, char ret_version[KV_VERSION_SIZE],
                                        struct kv_error *err)
{
    KV_AUTO_ROWS struct kv_rows rows = { 0 };
    struct kv_map_rotation rotation = { 0 };

    KV_TRY(kv_keyring_check_name(keyring, name, err));
    KV_TRY(kv_map_rotation(keyring->parts.map, keyring->parts.config->name, name, &rotation, err));
    if (!rotation.at || kv_keyring_now(keyring) - rotation.at > FRESH)
        return KV_OK;
    KV_TRY(kv_keyring_ask_current(keyring, name, task, err));
    enum kv_status status = kv_keyring_ask_versions(keyring, name, task, err);
    if (kv_keyring_is_vault_wide(status))
        return status;
    KV_TRY(kv_keyring_rows(keyring, name, &rows, err));
    const struct kv_version *made = made_by(&rotation, &rows.list);
    /* With `adopt = auto` one that is not current any more is of no use. */
    if (made && (made->current || keyring->parts.config->adopt == KV_ADOPT_MANUAL))
        (void)kv_text_fit(ret_version, KV_VERSION_SIZE, made->version);
    return KV_OK;
}
