/* kvp11 rotate: the next version of a key, and the proof that it does what the old one does; with `adopt = manual`, from when on names mean it. The old version is
 * never touched. */
#include "prove.h"

#include <stdlib.h>
#include <string.h>

const struct kv_option kv_cmd_rotate_options[] = {
    { "--adopt", "VERSION", "make none: take this version, or the 'newest'" },
    { "--activate-after", "AGE", "with 'adopt = manual', not before it is so old: 90m, 24h, 7d" },
    { NULL, NULL, NULL },
};

struct rotation {
    struct kv_tool *tool;
    struct kv_keyring *keyring;
    size_t vault;
    const char *name, *adopt; /* adopt NULL: a new one is made */
    bool manual, again;
    int64_t age;                   /* seconds */
    const char *age_text;          /* NULL: at once */
    char cut_off[KV_VERSION_SIZE]; /* `again`: what an earlier run has made, and could not say */
    struct kv_version *old, *new;
};

static void rotation_free(struct rotation *rotation)
{
    kv_version_free(rotation->old);
    kv_version_free(rotation->new);
}

static enum kv_status read_age(const char *text, int64_t *ret, struct kv_error *err)
{
    static const struct {
        char unit;
        int seconds;
    } units[] = { { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
    char *end = NULL;
    long count = strtol(text, &end, 10);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (end == text || count <= 0 || count > 36500 || end[0] != units[i].unit || end[1])
            continue;
        *ret = (int64_t)count * units[i].seconds;
        return KV_OK;
    }
    return kv_fail(err, KV_ARGUMENTS, "'%s' is no age: say 90m, 24h or 7d", text);
}

static enum kv_status prepare(struct rotation *rotation, struct kv_error *err)
{
    struct kv_tool *tool = rotation->tool;
    rotation->name = tool->words[0];
    rotation->adopt = kv_common_option(tool, "--adopt");
    rotation->age_text = kv_common_option(tool, "--activate-after");
    if (rotation->age_text)
        KV_TRY(read_age(rotation->age_text, &rotation->age, err));
    KV_TRY(kv_common_open_map(tool, err));
    KV_TRY(kv_common_vault(tool, &rotation->vault, err));
    const struct kv_vault_config *config = &kv_core_config(tool->core)->vaults[rotation->vault];
    rotation->keyring = kv_core_keyring(tool->core, rotation->vault);
    rotation->manual = config->adopt == KV_ADOPT_MANUAL;
    if (rotation->age_text && !rotation->manual)
        return kv_fail(err, KV_CONFIG,
                       "vault '%s' has 'adopt = auto': a new version is current as soon as it is there; set "
                       "'adopt = manual' to have it wait",
                       config->name);
    bool writable = kv_map_writable(kv_core_map(tool->core));
    if (!writable && rotation->manual)
        return kv_fail(err, KV_READ_ONLY,
                       "the version map cannot be written, and it says which version is current");
    if (!writable)
        kv_common_note(
            "warning: the version map cannot be written: this host will not remember the new version");
    return KV_OK;
}

/* --- which version --- */

static bool is_there(const struct kv_version *version)
{
    return version->state != KV_STATE_DELETED && version->state != KV_STATE_PURGED &&
           version->state != KV_STATE_MISSING;
}

static enum kv_status choose(struct rotation *rotation, struct kv_error *err)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    struct kv_task task = kv_common_long_task(rotation->tool, rotation->vault);
    KV_TRY(kv_keyring_listed(rotation->keyring, rotation->name, &task, &list, err));
    bool newest = !strcmp(rotation->adopt, "newest");
    for (size_t i = 0; i < list.count; i++) { /* newest first */
        struct kv_version *version = list.items[i];
        bool wanted = newest ? is_there(version) : kv_text_equal_case(version->version, rotation->adopt);
        if (wanted && !rotation->new)
            rotation->new = kv_version_ref(version);
        if (version->current)
            rotation->old = kv_version_ref(version);
    }
    if (!rotation->new)
        return kv_fail(err, KV_NOT_FOUND,
                       "key '%s' has no version '%s': `kvp11 --vault %s keys %s` lists them", rotation->name,
                       rotation->adopt, kv_word(kv_keyring_config(rotation->keyring)->name).text,
                       kv_word(rotation->name).text);
    if (!rotation->manual && !rotation->new->current)
        return kv_fail(
            err, KV_CONFIG,
            "vault '%s' has 'adopt = auto': its newest version is current, and no other can be adopted; set "
            "'adopt = manual' for that",
            rotation->new->vault);
    return KV_OK;
}

static enum kv_status check_age(const struct rotation *rotation, struct kv_error *err)
{
    const struct kv_clock *clock = kv_core_clock(rotation->tool->core);
    int64_t due = rotation->new->created + rotation->age;
    char when[21];
    if (!rotation->age_text || clock->unix_seconds(clock) >= due)
        return KV_OK;
    kv_clock_text(due, when);
    return kv_fail(err, KV_THROTTLED, "version '%s/%s@%s' is to wait until '%s': try again then",
                   rotation->new->vault, rotation->name, rotation->new->version, when);
}

/* A run that was cut off after the vault had made a version: that one is taken, or every crash would leave one more. */
static enum kv_status go_on(struct rotation *rotation, struct kv_error *err)
{
    struct kv_task task = kv_common_task(rotation->tool, rotation->vault);
    KV_TRY(kv_keyring_rotation_left(rotation->keyring, rotation->name, &task, rotation->cut_off, err));
    rotation->again = *rotation->cut_off;
    if (!rotation->again)
        return KV_OK;
    kv_common_note(
        "an earlier 'kvp11 rotate' was cut off after the vault had made version '%s/%s@%s': it is taken, "
        "and no other is made",
        kv_keyring_config(rotation->keyring)->name, rotation->name, rotation->cut_off);
    rotation->adopt = rotation->cut_off;
    return choose(rotation, err);
}

static enum kv_status find_or_make(struct rotation *rotation, struct kv_error *err)
{
    if (rotation->adopt) {
        KV_TRY(choose(rotation, err));
        return check_age(rotation, err);
    }
    KV_TRY(go_on(rotation, err));
    if (rotation->again)
        return KV_OK;
    struct kv_task task = kv_common_task(rotation->tool, rotation->vault);
    return kv_keyring_rotate(rotation->keyring, rotation->name, &task, &rotation->old, &rotation->new, err);
}

/* --- is it good --- */

/* It exists, and with `adopt = auto` names already mean it: say how to go on with the old one, and how to take the new one away. */
static enum kv_status unproved(const struct rotation *rotation, enum kv_status status, struct kv_error *err)
{
    const struct kv_version *new = rotation->new, *old = rotation->old ? rotation->old : new;
    KV_AUTO_TEXT char *uri = kv_version_uri(old);
    kv_common_note("new version '%s/%s@%s' exists but is not proved; the old one is as it was: %s",
                   new->vault, new->name, new->version, uri ? uri : old->kid);
    if (rotation->manual)
        kv_common_note("it is not promoted, so names still mean '%s'; to prove it again, and promote it "
                       "then: kvp11 --vault %s rotate %s --adopt %s",
                       old->version, kv_word(new->vault).text, kv_word(new->name).text, new->version);
    else
        kv_common_note("to make the old one current again, disable the new one: az keyvault key "
                       "set-attributes --id '%s' "
                       "--enabled false",
                       new->kid);
    return kv_fail_in(err, status, "new version '%s/%s@%s' failed its proof", new->vault, new->name,
                      new->version);
}

static enum kv_status prove(const struct rotation *rotation, struct kv_error *err)
{
    KV_CLEANUP(kv_tool_free) struct kv_tool prover = { 0 };
    KV_TRY(kv_prove_open(rotation->tool, &prover, err));
    return kv_prove(&prover, rotation->vault, rotation->new, err);
}

/* --- from when on --- */

static enum kv_status again(const struct rotation *rotation, struct kv_version **version,
                            struct kv_error *err)
{
    struct kv_task task = kv_common_task(rotation->tool, rotation->vault);
    struct kv_version *now = NULL;
    if (!*version)
        return KV_OK;
    KV_TRY(kv_keyring_version(rotation->keyring, rotation->name, (*version)->version, &task, &now, err));
    kv_version_free(*version);
    *version = now;
    return KV_OK;
}

/* It is good, and nothing uses it: whoever reads this has to find it again. */
static enum kv_status unpromoted(const struct rotation *rotation, enum kv_status status, struct kv_error *err)
{
    const struct kv_version *new = rotation->new;
    const struct kv_error why = *err;
    return kv_fail(err, status,
                   "new version '%s' is there and proved, but not promoted%s%s%s: %.400s; when that is "
                   "mended: kvp11 --vault %s rotate %s --adopt %s",
                   new->kid, rotation->old ? ", so that names still mean '" : "",
                   rotation->old ? rotation->old->version : "", rotation->old ? "'" : "", why.text,
                   kv_word(new->vault).text, kv_word(new->name).text, new->version);
}

static enum kv_status promote(struct rotation *rotation, struct kv_error *err)
{
    if (!rotation->manual)
        return KV_OK;
    if (rotation->age_text && (!rotation->adopt || rotation->again)) {
        kv_common_note("version '%s' waits, and names still mean the old one; promote it with: kvp11 --vault "
                       "%s rotate %s --adopt %s --activate-after %s",
                       rotation->new->version, kv_word(rotation->new->vault).text,
                       kv_word(rotation->name).text, rotation->new->version, rotation->age_text);
        return KV_OK;
    }
    enum kv_status status = kv_keyring_promote(rotation->keyring, rotation->new, err);
    if (status != KV_OK)
        return unpromoted(rotation, status, err);
    KV_TRY(again(rotation, &rotation->new, err));
    return again(rotation, &rotation->old, err);
}

enum kv_status kv_cmd_rotate(struct kv_tool *tool, struct kv_error *err)
{
    KV_CLEANUP(rotation_free) struct rotation rotation = { .tool = tool };
    KV_TRY(prepare(&rotation, err));
    KV_CLEANUP(kv_versions_free_cleanup) struct kv_versions *versions = kv_versions_open(tool, true, err);
    if (!versions)
        return KV_NO_MEMORY;
    KV_TRY(find_or_make(&rotation, err));
    enum kv_status status = prove(&rotation, err);
    if (status == KV_OK)
        KV_TRY(promote(&rotation, err));
    enum kv_status over = kv_keyring_rotated(rotation.keyring, rotation.name, status == KV_OK ? err : NULL);
    if (status != KV_OK)
        return unproved(&rotation, status, err);
    if (over != KV_OK)
        return kv_fail_in(
            err, over,
            "new version '%s' is there and proved; that its rotation is over could not be written down, so "
            "that for a day another 'kvp11 rotate' takes this one and makes none",
            rotation.new->kid);
    if (rotation.old && strcmp(rotation.old->version, rotation.new->version) != 0)
        kv_versions_add(versions, "old", rotation.old);
    kv_versions_add(versions, "new", rotation.new);
    return kv_versions_print(versions, err);
}
