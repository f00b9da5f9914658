/* kvp11 rotate: the next version of a key, and the proof that it does what the old one does. The old version is never touched. */
#include "prove.h"

#include <string.h>

/* The new version exists, and names already mean it: say how to go on with the old one, and how to take the new one away. */
static enum kv_status unproved(const struct kv_version *old, const struct kv_version *new,
                               enum kv_status status, struct kv_error *err)
{
    KV_AUTO_TEXT char *uri = kv_version_uri(old);
    kv_common_note("new version '%s/%s@%s' exists but is not proved; the old one is as it was: %s",
                   new->vault, new->name, new->version, uri ? uri : old->kid);
    kv_common_note(
        "to make the old one current again, disable the new one: az keyvault key set-attributes --id '%s' "
        "--enabled false",
        new->kid);
    return kv_fail_in(err, status, "new version '%s/%s@%s' failed its proof", new->vault, new->name,
                      new->version);
}

enum kv_status kv_cmd_rotate(struct kv_tool *tool, struct kv_error *err)
{
    size_t vault = 0;
    KV_TRY(kv_common_open_map(tool, err));
    KV_TRY(kv_common_vault(tool, &vault, err));
    if (!kv_map_writable(kv_core_map(tool->core)))
        kv_common_note(
            "warning: the version map cannot be written: this host will not remember the new version");
    KV_CLEANUP(kv_versions_free_cleanup) struct kv_versions *versions = kv_versions_open(tool, true, err);
    if (!versions)
        return KV_NO_MEMORY;
    struct kv_task task = kv_common_task(tool, vault);
    KV_AUTO_VERSION struct kv_version *old = NULL, *new = NULL;
    struct kv_keyring *keyring = kv_core_keyring(tool->core, vault);
    KV_TRY(kv_keyring_rotate(keyring, tool->words[0], &task, &old, &new, err));
    KV_CLEANUP(kv_tool_free) struct kv_tool prover = { 0 };
    enum kv_status status = kv_prove_open(tool, &prover, err);
    if (status == KV_OK)
        status = kv_prove(&prover, vault, new, err);
    if (status != KV_OK)
        return unproved(old, new, status, err);
    kv_versions_add(versions, "old", old);
    kv_versions_add(versions, "new", new);
    return kv_versions_print(versions, err);
}
