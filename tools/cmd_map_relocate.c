/* kvp11 map relocate: the same key is to be found elsewhere, and that is shown, not believed. */
#include "common.h"

#include <stdio.h>
#include <string.h>
#include "base/encode.h"
#include "base/file.h"
#include "keys/backup_map.h"
#include "which.h"

const struct kv_option kv_cmd_map_relocate_options[] = {
    { "--public-key", "FILE", "the public key from there (PEM or DER), where its vault is not configured" },
    { NULL, NULL, NULL },
};

static const struct kv_column columns[] = {
    { "VERSION", "version" },
    { "PLACE", "location" },
    { "RESULT", "result" },
};

enum { FILE_MAX = 65536 };

/* --- the key that is there --- */

static enum kv_status decode_pem(const char *text, struct kv_bytes *ret)
{
    static const char begin[] = "-----BEGIN PUBLIC KEY-----", end[] = "-----END PUBLIC KEY-----";
    const char *from = strstr(text, begin), *to = from ? strstr(from, end) : NULL;
    KV_AUTO_BUFFER struct kv_buffer base64 = { .limit = FILE_MAX };
    if (!to)
        return KV_BAD_DATA;
    for (const char *at = from + strlen(begin); at < to; at++)
        if (!strchr(" \t\r\n", *at))
            KV_TRY(kv_buffer_add(&base64, (struct kv_view){ (const unsigned char *)at, 1 }));
    return base64.bytes.len ? kv_decode_base64((const char *)base64.bytes.data, ret) : KV_BAD_DATA;
}

static enum kv_status key_from_file(const char *path, struct kv_bytes *ret, struct kv_error *err)
{
    static const struct kv_file_rule rule = { .largest = FILE_MAX, .status = KV_ARGUMENTS };
    KV_AUTO_BYTES struct kv_bytes file = { 0 }, der = { 0 };
    struct kv_public *key = NULL;
    KV_TRY(kv_file_read(path, &rule, &file, err));
    bool pem =
        file.len && strlen((const char *)file.data) == file.len && !decode_pem((const char *)file.data, &der);
    if (kv_public_from_spki(pem ? KV_VIEW(der) : KV_VIEW(file), &key, NULL))
        return kv_fail(err, KV_BAD_DATA, "'%s' is no public key (SubjectPublicKeyInfo in PEM or DER)", path);
    enum kv_status status = kv_bytes_copy(kv_public_spki(key), ret);
    kv_public_free(key);
    return status ? kv_fail(err, status, "out of memory") : KV_OK;
}

struct place {
    size_t vault;
    char name[KV_NAME_SIZE], version[KV_VERSION_SIZE];
};

/* The configured vault that a kid lies in. */
static bool find_place(const struct kv_config *config, const char *kid, struct place *ret)
{
    for (size_t i = 0; i < config->vault_count; i++) {
        KV_AUTO_TEXT char *pattern = kv_text_format("%s/keys/*/*", config->vaults[i].url);
        if (!pattern || !kv_text_match(pattern, kid))
            continue;
        const char *name = kid + strlen(config->vaults[i].url) + strlen("/keys/");
        size_t len = strcspn(name, "/");
        *ret = (struct place){ .vault = i };
        if (len >= sizeof(ret->name) || !kv_text_fit(ret->version, sizeof(ret->version), name + len + 1))
            return false;
        memcpy(ret->name, name, len);
        return true;
    }
    return false;
}

static enum kv_status key_from_vault(struct kv_tool *tool, const char *kid, struct kv_bytes *ret,
                                     struct kv_error *err)
{
    KV_AUTO_VERSION struct kv_version *there = NULL;
    struct place place = { 0 };
    if (!find_place(kv_core_config(tool->core), kid, &place))
        return kv_fail(
            err, KV_CONFIG,
            "'%s' lies in no vault that is configured: give it a section, or the key that is there "
            "with --public-key",
            kid);
    struct kv_task task = kv_common_task(tool, place.vault);
    KV_TRY(kv_keyring_version(kv_core_keyring(tool->core, place.vault), place.name, place.version, &task,
                              &there, err));
    return kv_bytes_copy(KV_VIEW(there->spki), ret) ? kv_fail(err, KV_NO_MEMORY, "out of memory") : KV_OK;
}

/* --- both --- */

static enum kv_status accept(struct kv_tool *tool, const struct kv_version *version, const char *kid,
                             struct kv_error *err)
{
    const struct kv_clock *clock = kv_core_clock(tool->core);
    const char *file = kv_common_option(tool, "--public-key");
    KV_AUTO_BYTES struct kv_bytes spki = { 0 };
    struct kv_map_location location = { .accepted = clock->unix_seconds(clock) };
    location.first_seen = location.seen = location.accepted;
    if (version->kind == KV_OCT)
        return kv_fail(err, KV_KEY_TYPE,
                       "version '%s/%s@%s' has no public key by which it could be known elsewhere",
                       version->vault, version->name, version->version);
    if (strncmp(kid, "https://", strlen("https://")) != 0 || !strstr(kid, "/keys/") ||
        !kv_text_fit(location.kid, sizeof(location.kid), kid))
        return kv_fail(err, KV_ARGUMENTS, "'%s' is no kid: https://HOST/keys/NAME/VERSION", kid);
    KV_TRY(file ? key_from_file(file, &spki, err) : key_from_vault(tool, kid, &spki, err));
    if (!kv_view_equal(KV_VIEW(spki), KV_VIEW(version->spki)))
        return kv_fail(
            err, KV_CONFLICT,
            "'%s' is another key than version '%s/%s@%s': it was not accepted, and opens none of what "
            "that version wrapped",
            kid, version->vault, version->name, version->version);
    memcpy(location.spki_sha256, version->spki_sha256, sizeof(location.spki_sha256));
    return kv_map_locate(kv_core_map(tool->core), &location, err);
}

enum kv_status kv_cmd_map_relocate(struct kv_tool *tool, struct kv_error *err)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    KV_TRY(kv_common_open_map(tool, err));
    KV_TRY(kv_which_versions(tool, tool->words[0], &list, err));
    const struct kv_version *version = list.items[0];
    KV_TRY(accept(tool, version, tool->words[1], err));
    KV_AUTO_TABLE struct kv_table *table = kv_table_open(columns, sizeof(columns) / sizeof(columns[0]));
    kv_table_take(table, kv_text_format("%s/%s@%s", version->vault, version->name, version->version));
    kv_table_text(table, tool->words[1]);
    kv_table_text(table, "the same key");
    return kv_common_print(tool, table, err);
}
