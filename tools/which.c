#include "which.h"

#include <string.h>
#include "base/encode.h"

static enum kv_status find(const struct kv_tool *tool, const char *word, struct kv_map_query query,
                           struct kv_version_list *ret, struct kv_error *err)
{
    KV_TRY(kv_map_find(kv_core_map(tool->core), &query, ret, err));
    return ret->count ? KV_OK
                      : kv_fail(err, KV_NOT_FOUND,
                                "no version '%s' is in the version map: see `kvp11 keys --all`", word);
}

/* A kid says where, too: of several places it means the one that is there. Where none is, its vault may have moved since. */
static void keep_place(struct kv_version_list *list, const char *kid)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        struct kv_version *version = list->items[i];
        if (!kv_text_equal_case(version->kid, kid))
            continue;
        list->items[i] = list->items[kept];
        list->items[kept++] = version;
    }
    for (size_t i = kept; kept && i < list->count; i++)
        kv_version_free(list->items[i]);
    list->count = kept ? kept : list->count;
}

enum kv_status kv_which_versions(const struct kv_tool *tool, const char *word, struct kv_version_list *ret,
                                 struct kv_error *err)
{
    static const char keys[] = "/keys/";
    KV_AUTO_BYTES struct kv_bytes hex = { 0 };
    KV_AUTO_TEXT char *text = kv_text_copy(word);
    struct kv_map_query query = { .vault = tool->vault };
    if (!text)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (kv_decode_hex(word, &hex) == KV_OK && hex.len == 32)
        query.spki_sha256 = KV_VIEW(hex);
    else if (hex.len == KV_ID_SIZE)
        query.id = KV_VIEW(hex);
    if (query.spki_sha256.len || query.id.len)
        return find(tool, word, query, ret, err);
    char *kid = strstr(text, keys), *name = kid ? kid + strlen(keys) : text;
    char *at = strpbrk(name, kid ? "@/" : "@"), *slash = kid ? NULL : strchr(name, '/');
    if (!at || !at[1] || (slash && (slash > at || slash == name)))
        return kv_fail(
            err, KV_ARGUMENTS,
            "'%s' names no version: give name@version, its kid, or its ID as `kvp11 keys` shows it", word);
    *at = '\0';
    if (slash) {
        *slash = '\0';
        query.vault = name;
        name = slash + 1;
    }
    query.name = name;
    query.version = at + 1;
    KV_TRY(find(tool, word, query, ret, err));
    if (kid)
        keep_place(ret, word);
    return KV_OK;
}
