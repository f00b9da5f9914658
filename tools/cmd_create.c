/* kvp11 create: a new key, an operator's work. */
#include "common.h"

#include <string.h>

const struct kv_option kv_cmd_create_options[] = {
    { "--type", "TYPE", "RSA (default), RSA-HSM, EC, EC-HSM or oct-HSM" },
    { "--size", "BITS", "RSA: 2048, 3072 (default) or 4096; oct-HSM: 128, 192 or 256 (default)" },
    { "--curve", "CURVE", "EC: P-256 (default), P-384, P-521 or P-256K" },
    { NULL, NULL, NULL },
};

/* RSA keys for backups live long: 3072 bits rather than the service's 2048. */
static const struct {
    const char *name;
    int bits; /* default; 0: no size */
    const char *curve;
} types[] = {
    { "RSA", 3072, NULL },    { "RSA-HSM", 3072, NULL }, { "EC", 0, "P-256" },
    { "EC-HSM", 0, "P-256" }, { "oct-HSM", 256, NULL },
};

static enum kv_status describe(const struct kv_tool *tool, struct kv_vault_create *ret, struct kv_error *err)
{
    const char *type = kv_common_option(tool, "--type"), *size = kv_common_option(tool, "--size");
    const char *curve = kv_common_option(tool, "--curve");
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (!kv_text_equal_case(types[i].name, type ? type : curve ? "EC" : "RSA"))
            continue;
        *ret =
            (struct kv_vault_create){ .name = tool->words[0], .kty = types[i].name, .bits = types[i].bits };
        ret->curve = curve ? curve : types[i].curve;
        if (curve && !types[i].curve)
            return kv_fail(err, KV_ARGUMENTS, "type '%s' has no curve: give --size", types[i].name);
        if (size && !types[i].bits)
            return kv_fail(err, KV_ARGUMENTS, "type '%s' has no size: give --curve", types[i].name);
        if (ret->curve && !kv_curve_find(ret->curve))
            return kv_fail(err, KV_ARGUMENTS, "unknown curve '%s': there is P-256, P-384, P-521 and P-256K",
                           curve);
        return size ? kv_common_number("size", size, &ret->bits, err) : KV_OK;
    }
    return kv_fail(err, KV_ARGUMENTS, "unknown type '%s': there is RSA, RSA-HSM, EC, EC-HSM and oct-HSM",
                   type);
}

enum kv_status kv_cmd_create(struct kv_tool *tool, struct kv_error *err)
{
    size_t vault = 0;
    struct kv_vault_create create = { 0 };
    KV_TRY(describe(tool, &create, err));
    KV_TRY(kv_common_open_map(tool, err));
    KV_TRY(kv_common_vault(tool, &vault, err));
    KV_CLEANUP(kv_versions_free_cleanup) struct kv_versions *versions = kv_versions_open(tool, false, err);
    if (!versions)
        return KV_NO_MEMORY;
    struct kv_task task = kv_common_task(tool, vault);
    KV_AUTO_VERSION struct kv_version *version = NULL;
    KV_TRY(kv_keyring_create(kv_core_keyring(tool->core, vault), &create, &task, &version, err));
    kv_versions_add(versions, NULL, version);
    return kv_versions_print(versions, err);
}
