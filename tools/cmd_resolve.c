/* kvp11 resolve: which version does this wrapped blob need, and is it there? `explain` says more. */
#include "explain/explain.h"

#include <string.h>
#include "keys/backup_map.h"

const struct kv_option kv_cmd_resolve_options[] = {
    { "--offline", NULL, "answer from the version map alone, without asking the vault" },
    { NULL, NULL, NULL },
};

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

/* The vault's word on it, and a refusal where it does not open what it wrapped. */
static enum kv_status check(struct kv_tool *tool, bool ask, struct kv_version **version, struct kv_error *err)
{
    const struct kv_clock *clock = kv_core_clock(tool->core);
    struct kv_explain_asked asked = { 0 };
    struct kv_verdict_input input = { .version = *version, .now = clock->unix_seconds(clock) };
    if (ask)
        KV_TRY(kv_explain_ask(tool, version, &asked, &input, err));
    KV_AUTO_VERDICT struct kv_verdict verdict = kv_verdict_of(&input);
    if (verdict.status == KV_OK)
        return KV_OK;
    KV_AUTO_TEXT char *other = elsewhere(tool, *version);
    return kv_fail(err, verdict.status, "it needs version '%s/%s@%s', which %s: %s%s", (*version)->vault,
                   (*version)->name, (*version)->version, verdict.found ? verdict.found : "does not open it",
                   verdict.mend ? verdict.mend : "", other ? other : "");
}

enum kv_status kv_cmd_resolve(struct kv_tool *tool, struct kv_error *err)
{
    KV_AUTO_BUFFER struct kv_buffer blob = { 0 };
    KV_AUTO_VERSION struct kv_version *version = NULL;
    KV_TRY(kv_subject_read_blob(tool->words[0], &blob, err));
    KV_TRY(kv_common_open_map(tool, err));
    KV_CLEANUP(kv_versions_free_cleanup) struct kv_versions *versions = kv_versions_open(tool, false, err);
    if (!versions)
        return KV_NO_MEMORY;
    struct kv_error why = { 0 };
    enum kv_status status = kv_explain_blob(tool, KV_VIEW(blob.bytes), &version, &why);
    if (status == KV_NOT_FOUND)
        return kv_fail(err, status,
                       "%.600s; what names its versions itself, as files of age and envelopes do, is read "
                       "by: kvp11 explain %s",
                       why.text, kv_word(tool->words[0]).text);
    if (status != KV_OK && err)
        *err = why;
    KV_TRY(status);
    KV_TRY(check(tool, !kv_common_option(tool, "--offline"), &version, err));
    kv_versions_add(versions, NULL, version);
    return kv_versions_print(versions, err);
}
