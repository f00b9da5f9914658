/* Rows of versions: what `keys`, `create`, `rotate` and `resolve` print. */
#include "common.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/encode.h"
#include "keys/coverage.h"

struct kv_versions {
    struct kv_tool *tool;
    struct kv_table *table;
    bool roles;
    struct kv_error
        failed; /* a version whose dependants could not be counted: nothing is printed, for 0 would be a lie */
};

/* In the order of the cells of kv_versions_add; tables without roles leave the first out. What scripts paste ends the line. */
/* clang-format off */
static const struct kv_column columns[] = {
    { "ROLE", "role" },
    { "VAULT", "vault" },
    { "LABEL", "label" },
    { NULL, "name" },
    { NULL, "current" },
    { "STATE", "state" },
    { "NEEDED BY", NULL },
    { "KEY", "key" },
    { "CREATED", "created" },
    { NULL, "not_before" },
    { "EXPIRES", "expires" },
    { NULL, "operations" },
    { NULL, "managed" },
    { NULL, "hsm_platform" },
    { NULL, "wraps" },
    { NULL, "backups" },
    { NULL, "first_wrap" },
    { NULL, "last_wrap" },
    { NULL, "last_unwrap" },
    { NULL, "seen" },
    { NULL, "kid" },
    { "VERSION", "version" },
    { "ID", "id" },
    { "URI", "uri" },
};
/* clang-format on */
enum { COLUMNS = sizeof(columns) / sizeof(columns[0]) };

static const struct {
    unsigned operation;
    const char *name;
} operation_names[] = {
    { KV_OP_ENCRYPT, "encrypt" }, { KV_OP_DECRYPT, "decrypt" }, { KV_OP_SIGN, "sign" },
    { KV_OP_VERIFY, "verify" },   { KV_OP_WRAP, "wrapKey" },    { KV_OP_UNWRAP, "unwrapKey" },
};

struct kv_versions *kv_versions_open(struct kv_tool *tool, bool roles, struct kv_error *err)
{
    KV_CLEANUP(kv_versions_free_cleanup) struct kv_versions *versions = calloc(1, sizeof(*versions));
    size_t skip = roles ? 0 : 1;
    if (versions) {
        versions->tool = tool;
        versions->roles = roles;
        versions->table = kv_table_open(columns + skip, COLUMNS - skip);
    }
    if (!versions || !versions->table) {
        (void)!kv_fail(err, KV_NO_MEMORY, "out of memory");
        return NULL;
    }
    return kv_take(versions);
}

void kv_versions_free(struct kv_versions *versions)
{
    if (!versions)
        return;
    kv_table_free(versions->table);
    free(versions);
}

static int64_t wraps_of(struct kv_versions *versions, const struct kv_version *version)
{
    int64_t wraps = 0;
    if (!versions->failed.status)
        (void)!kv_map_wraps_left(kv_core_map(versions->tool->core), version, &wraps, &versions->failed);
    return wraps;
}

static int64_t backups_of(struct kv_versions *versions, const struct kv_version *version)
{
    struct kv_map_dependants needed = { 0 };
    if (!versions->failed.status)
        (void)!kv_map_dependants(kv_core_map(versions->tool->core), kv_map_key_of(version), false, &needed,
                                 &versions->failed);
    return needed.backups;
}

static char *key_text(const struct kv_version *version)
{
    const char *hsm = version->hsm ? "-HSM" : "";
    switch (version->kind) {
    case KV_RSA:
        return kv_text_format("RSA%s %u", hsm, version->bits);
    case KV_EC:
        return kv_text_format("EC%s %s", hsm, version->curve);
    case KV_OCT:
        return version->bits ? kv_text_format("oct%s %u", hsm, version->bits) : kv_text_format("oct%s", hsm);
    }
    return NULL;
}

static char *needed_text(int64_t wraps, int64_t backups)
{
    char sets[48] = "";
    if (backups)
        snprintf(sets, sizeof(sets), "%s%" PRId64 " backup%s", wraps ? ", " : "", backups,
                 backups == 1 ? "" : "s");
    if (!wraps)
        return kv_text_copy(backups ? sets : "-");
    return kv_text_format("%" PRId64 " wrap%s%s", wraps, wraps == 1 ? "" : "s", sets);
}

static struct kv_json *operations_json(unsigned operations)
{
    struct kv_json *array = kv_json_array();
    for (size_t i = 0; i < sizeof(operation_names) / sizeof(operation_names[0]); i++) {
        if (operations & operation_names[i].operation)
            kv_json_append_text(array, operation_names[i].name);
    }
    return array;
}

void kv_versions_add(struct kv_versions *versions, const char *role, const struct kv_version *version)
{
    struct kv_table *table = versions->table;
    int64_t backups = backups_of(versions, version), wraps = wraps_of(versions, version);
    char id[2 * KV_ID_SIZE + 1];
    kv_encode_hex((struct kv_view){ version->id, KV_ID_SIZE }, id);
    if (versions->roles)
        kv_table_text(table, role);
    kv_table_text(table, version->vault);
    kv_table_text(table, version->label);
    kv_table_text(table, version->name);
    kv_table_bool(table, version->current);
    kv_table_text(table, kv_state_name(version->state));
    kv_table_take(table, needed_text(wraps, backups));
    kv_table_take(table, key_text(version));
    kv_table_time(table, version->created);
    kv_table_time(table, version->nbf);
    kv_table_time(table, version->exp);
    kv_table_json(table, operations_json(version->operations));
    kv_table_bool(table, version->managed);
    kv_table_text(table, version->hsm_platform);
    kv_table_int(table, wraps);
    kv_table_int(table, backups);
    kv_table_time(table, version->first_wrap);
    kv_table_time(table, version->last_wrap);
    kv_table_time(table, version->last_unwrap);
    kv_table_time(table, version->seen);
    kv_table_text(table, version->kid);
    kv_table_text(table, version->version);
    kv_table_text(table, id);
    kv_table_take(table, kv_version_uri(version));
}

enum kv_status kv_versions_print(struct kv_versions *versions, struct kv_error *err)
{
    if (versions->failed.status) {
        *err = versions->failed;
        return err->status;
    }
    return kv_common_print(versions->tool, versions->table, err);
}
