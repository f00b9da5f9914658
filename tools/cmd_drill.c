/* kvp11 drill: backups opened as a restore would open them, and what came of it, in the map. */
#include "drill/drill.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include "base/file.h"
#include "finding.h"
#include "keys/coverage.h"

const struct kv_option kv_cmd_drill_options[] = {
    { "--sample", "NUMBER",
      "so many backups of each version and store, those drilled longest ago; without it, 1" },
    { "--store", "STORE", "only backups of this store" },
    { "--at", "FOLDER", "where that store is to be found here, if its name is not its folder" },
    { "--quick", NULL, "be content with the beginning of each file" },
    { "-i", "FILE",
      "break-glass identities, or the private key of a certificate: open with these alone, without any "
      "vault; "
      "may repeat",
      .repeats = true },
    { "--passphrase-file", "FILE", "where the passphrase of a private key in PEM is" },
    { NULL, NULL, NULL },
};

static const struct kv_column columns[] = {
    { "LEVEL", "level" },   { "BACKUP", "backup" }, { "STORE", "store" }, { "BY", "by" },
    { "RESULT", "result" }, { NULL, "object" },     { NULL, "found" },    { NULL, "bytes" },
};

#define UNRECORDED                                                                                           \
    "what came of %zu of these drills is not in the version map, and they count as never made: %s; mend "    \
    "that, and drill again"

struct drills {
    struct kv_tool *tool;
    struct kv_findings findings;
    struct kv_drill drill;
    const char *store, *at;
    int64_t now;
    struct kv_bytes passphrase; /* of private keys in PEM */
    size_t told, unrecorded;
    struct kv_error why; /* of the first that could not be recorded */
};

/* --- what came of it --- */

/* What cannot be found out today says nothing of the backup; what is wrong with it, or with the way to its key, does. */
static enum kv_level level_of(enum kv_status status)
{
    switch ((int)status) {
    case KV_OK:
        return KV_LEVEL_OK;
    case KV_UNREACHABLE:
    case KV_TIMED_OUT:
    case KV_TLS:
    case KV_THROTTLED:
    case KV_SERVER:
    case KV_INPUT:
    case KV_UNSUPPORTED:
        return KV_LEVEL_UNKNOWN;
    default:
        return KV_LEVEL_CRITICAL;
    }
}

struct outcome {
    enum kv_status status;
    const char *how;
    struct kv_error why;
    char by[KV_LABEL_SIZE + sizeof(((struct kv_version *)0)->vault) + 1];
};

static void tell(struct drills *drills, const struct kv_map_backup *backup, const struct outcome *outcome)
{
    struct kv_table *table = drills->findings.table;
    drills->told++;
    kv_finding_level(&drills->findings, level_of(outcome->status));
    kv_table_text(table, backup->id);
    kv_table_text(table, backup->store);
    kv_table_text(table, outcome->by);
    kv_table_take(table, outcome->status == KV_OK ? kv_text_format("opened: %s", outcome->how)
                                                  : kv_text_copy(outcome->why.text));
    kv_table_text(table, backup->object);
    kv_table_text(table, outcome->status == KV_OK ? outcome->how : kv_status_text(outcome->status));
    kv_table_int(table, backup->size);
}

/* Short, and without what only this host knows. */
static enum kv_status record(struct drills *drills, const struct kv_map_backup *backup,
                             const struct kv_version *version, const struct outcome *outcome,
                             struct kv_error *err)
{
    struct kv_map *map = kv_core_map(drills->tool->core);
    char result[sizeof(backup->drill_result)];
    KV_AUTO_TEXT char *text =
        outcome->status == KV_OK
            ? kv_text_format("ok: %s%s", outcome->how, drills->drill.break_glass ? ", break-glass" : "")
            : kv_text_format("failed: %s", kv_status_text(outcome->status));
    if (!text)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (!kv_text_fit(result, sizeof(result), text))
        (void)kv_text_fit(result, sizeof(result), outcome->status == KV_OK ? "ok" : "failed");
    if (level_of(outcome->status) == KV_LEVEL_UNKNOWN)
        return KV_OK;
    KV_TRY(kv_map_backup_drilled(map, backup->id, backup->store, drills->now, result, err));
    return version && outcome->status == KV_OK ? kv_map_drilled(map, version, drills->now, err) : KV_OK;
}

/* --- one backup --- */

/* Of a key in several places, one: they are the same. */
static enum kv_status find_version(struct drills *drills, struct kv_view key, struct kv_version **ret,
                                   struct kv_error *err)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    struct kv_map_query query = { .vault = drills->tool->vault };
    if (key.len == KV_ID_SIZE)
        query.id = key;
    else
        query.spki_sha256 = key;
    if (!key.len)
        return KV_OK;
    KV_TRY(kv_map_find(kv_core_map(drills->tool->core), &query, &list, err));
    for (size_t i = 0; i < list.count && !*ret; i++)
        if (kv_core_keyring_named(drills->tool->core, list.items[i]->vault))
            *ret = kv_version_ref(list.items[i]);
    return KV_OK;
}

static char *path_of(const struct drills *drills, const struct kv_map_backup *backup)
{
    const char *folder = drills->at ? drills->at : backup->store;
    if (backup->object[0] == '/')
        return kv_text_copy(backup->object);
    return kv_text_format("%s/%s", folder, backup->object);
}

static enum kv_status drill_one(struct drills *drills, const struct kv_map_backup *backup, struct kv_view key,
                                struct kv_error *err)
{
    KV_AUTO_VERSION struct kv_version *version = NULL;
    KV_AUTO_TEXT char *path = path_of(drills, backup);
    struct outcome outcome = { .how = "" };
    if (!path)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(find_version(drills, key, &version, err));
    if (drills->tool->vault && key.len && !version)
        return KV_OK;
    KV_AUTO_TEXT char *by = version
                                ? kv_text_format("%s/%s@%s", version->vault, version->name, version->version)
                                : kv_text_copy(drills->drill.break_glass ? "break-glass" : "");
    (void)kv_text_fit(outcome.by, sizeof(outcome.by), by ? by : "");
    if (!backup->object[0] || (!drills->at && backup->store[0] != '/' && backup->object[0] != '/'))
        outcome.status = kv_fail(&outcome.why, KV_INPUT, "it is not known where its file is: %s",
                                 backup->object[0] ? "say with --at where the store is to be found"
                                                   : "register it with `kvp11 scan`");
    else
        outcome.status = kv_drill_open(&drills->drill, path, key, &outcome.how, &outcome.why);
    if (outcome.status == KV_NO_MEMORY)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    tell(drills, backup, &outcome);
    struct kv_error why = { 0 };
    if (record(drills, backup, version, &outcome, &why) != KV_OK && !drills->unrecorded++)
        drills->why = why;
    return KV_OK;
}

/* --- which backups --- */

static enum kv_status drill_named(struct drills *drills, const char *id, struct kv_error *err)
{
    KV_CLEANUP(kv_map_backup_list_free) struct kv_map_backup_list list = { 0 };
    const struct kv_map_backup_query query = { .id = id, .store = drills->store };
    KV_TRY(kv_map_backup_page(kv_core_map(drills->tool->core), &query, &list, err));
    if (!list.count)
        return kv_fail(err, KV_NOT_FOUND, "no backup '%s' is in the version map%s%s", id,
                       drills->store ? ", in store " : "", drills->store ? drills->store : "");
    if (list.count > 1)
        return kv_fail(err, KV_ARGUMENTS,
                       "backup '%s' is in several stores, such as '%s' and '%s': say --store", id,
                       list.items[0].store, list.items[1].store);
    return drill_one(drills, &list.items[0], (struct kv_view){ NULL, 0 }, err);
}

static enum kv_status drill_row(struct drills *drills, const struct kv_map_sample *sample,
                                struct kv_error *err)
{
    KV_CLEANUP(kv_map_backup_list_free) struct kv_map_backup_list list = { 0 };
    const struct kv_map_backup_query query = { .after = sample->row - 1, .limit = 1 };
    KV_TRY(kv_map_backup_page(kv_core_map(drills->tool->core), &query, &list, err));
    if (!list.count || list.items[0].row != sample->row)
        return KV_OK; /* gone meanwhile */
    return drill_one(drills, &list.items[0], (struct kv_view){ sample->key, sample->key_len }, err);
}

static enum kv_status drill_sample(struct drills *drills, struct kv_error *err)
{
    KV_AUTO_FREE struct kv_map_sample *sample = NULL;
    const char *text = kv_common_option(drills->tool, "--sample");
    size_t size = 0;
    int count = 1;
    if (text)
        KV_TRY(kv_common_number("--sample", text, &count, err));
    KV_TRY(kv_map_sample(kv_core_map(drills->tool->core), drills->store, drills->drill.break_glass, count,
                         &sample, &size, err));
    if (!size)
        return kv_fail(
            err, KV_NOT_FOUND,
            "the version map knows no backup that could be drilled: register some with `kvp11 scan` "
            "or `kvp11 seal --register`");
    for (size_t i = 0; i < size; i++)
        KV_TRY(drill_row(drills, &sample[i], err));
    return KV_OK;
}

/* The private key of a certificate, for envelopes; any other file has identities of age. */
static enum kv_status add_identity(struct drills *drills, const char *path, struct kv_error *err)
{
    enum { FILE_MAX = 1 << 20 };
    const struct kv_file_rule rule = { .secret = true, .largest = FILE_MAX, .status = KV_DENIED };
    struct kv_drill *drill = &drills->drill;
    KV_AUTO_BYTES struct kv_bytes file = { 0 };
    if (kv_file_read(path, &rule, &file, NULL) != KV_OK || !kv_cms_private_is(KV_VIEW(file)))
        return kv_parties_identities(drill->parties, path, err);
    if (drill->key_count == KV_DRILL_KEYS_MAX)
        return kv_fail(err, KV_ARGUMENTS, "at most %d private keys can be tried", KV_DRILL_KEYS_MAX);
    enum kv_status status =
        kv_cms_private_read(KV_VIEW(file), KV_VIEW(drills->passphrase), &drill->keys[drill->key_count], err);
    drill->key_count += status == KV_OK;
    return status == KV_OK ? KV_OK : kv_fail_in(err, status, "'%s'", path);
}

static void drills_free(struct drills *drills)
{
    for (size_t i = 0; i < drills->drill.key_count; i++)
        kv_cms_private_free(drills->drill.keys[i]);
    kv_bytes_free(&drills->passphrase);
}

/* With -i these alone: what the vault could open proves nothing of the break-glass key. */
static enum kv_status gather(struct drills *drills, struct kv_error *err)
{
    const char *path = kv_common_option(drills->tool, "--passphrase-file");
    KV_TRY(kv_cms_passphrase(path, &drills->passphrase, err));
    for (size_t at = 0; (path = kv_common_each(drills->tool, "-i", &at));) {
        drills->drill.break_glass = true;
        KV_TRY(add_identity(drills, path, err));
    }
    if (drills->drill.break_glass && drills->drill.parties->opened)
        return kv_fail(
            err, KV_ARGUMENTS,
            "-i names the vaults, too: give the break-glass key alone, so that the drill proves that "
            "it is enough");
    return drills->drill.break_glass ? KV_OK : kv_parties_vaults(drills->drill.parties, err);
}

/* What was opened was opened, whether it can be remembered or not, and whatever stopped the others: it is printed. What is about to be lost counts more than what was not written down. */
static enum kv_status conclude(struct drills *drills, enum kv_status status, struct kv_error *err)
{
    struct kv_error why = { 0 };
    if (status != KV_OK && !drills->told)
        return status;
    enum kv_status found = kv_findings_end(drills->tool, &drills->findings, status == KV_OK ? err : &why);
    drills->tool->findings = true;
    if (drills->unrecorded && (status != KV_OK || found != KV_OK))
        kv_common_note(UNRECORDED, drills->unrecorded, drills->why.text);
    if (status != KV_OK || found != KV_OK)
        return status != KV_OK ? status : found;
    return drills->unrecorded
               ? kv_fail(err, drills->why.status, UNRECORDED, drills->unrecorded, drills->why.text)
               : KV_OK;
}

enum kv_status kv_cmd_drill(struct kv_tool *tool, struct kv_error *err)
{
    KV_AUTO_PARTIES struct kv_parties *parties = kv_parties_begin(tool);
    KV_AUTO_TABLE struct kv_table *table = kv_table_open(columns, sizeof(columns) / sizeof(columns[0]));
    KV_CLEANUP(drills_free)
    struct drills drills = { .tool = tool,
                             .findings = { .table = table },
                             .drill = { .tool = tool, .parties = parties },
                             .store = kv_common_option(tool, "--store"),
                             .at = kv_common_option(tool, "--at") };
    if (!parties)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (drills.at && !drills.store)
        return kv_fail(err, KV_ARGUMENTS, "--at says where a store is: name it with --store");
    KV_TRY(kv_common_open_map(tool, err));
    const struct kv_clock *clock = kv_core_clock(tool->core);
    drills.now = clock->unix_seconds(clock);
    drills.drill.quick = kv_common_option(tool, "--quick");
    KV_TRY(gather(&drills, err));
    kv_progress_begin(&drills.drill.progress, 0);
    enum kv_status status =
        tool->word_count ? drill_named(&drills, tool->words[0], err) : drill_sample(&drills, err);
    kv_progress_end(&drills.drill.progress);
    return conclude(&drills, status, err);
}
