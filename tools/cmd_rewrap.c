/* kvp11 rewrap: new recipients in the headers of age files. */
#include "common.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "rewrap/rewrap.h"

const struct kv_option kv_cmd_rewrap_options[] = {
    { "--from", "VERSION", "only what this version opens: VERSION, NAME@VERSION or a kid" },
    { "--older-than", "AGE", "only what versions open that were made longer ago: 90d, 18m, 1y" },
    { "-r", "RECIPIENT", "for this key instead of the current version of the same one; may repeat",
      .repeats = true },
    { "--to", "active", "the current version of the same key: as without -r" },
    { "--break-glass", "RECIPIENT", "age1…, for files that nothing but a vault opens", .repeats = true },
    { "-i", "FILE", "identities to try before the vaults; may repeat", .repeats = true },
    { "--in-place", NULL, "write the new header over the old one (this is what happens by itself)" },
    { "--sidecar", NULL, "write it beside the file, which is not touched" },
    { "--copy", "DIR", "write a new file into this folder" },
    { "--dry-run", NULL, "only tell what would be done" },
    { "--resume", NULL, "go on where a run was cut off: as without it, every run does" },
    { "--rate", "N/s", "at most so many files a second" },
    { NULL, NULL, NULL },
};
_Static_assert(sizeof kv_cmd_rewrap_options / sizeof *kv_cmd_rewrap_options <= KV_TOOL_OPTIONS + 1,
               "KV_TOOL_OPTIONS");

/* In the order of the cells of print_summary. */
static const struct kv_column summary_columns[] = {
    { "REWRAPPED", "rewrapped" }, { "REPAIRED", "repaired" }, { "RIGHT", "right" },
    { "OTHER", "other" },         { "FAILED", "failed" },     { NULL, "interrupted" },
    { NULL, "dry_run" },          { NULL, "files" },          { NULL, "failures" },
};
static const struct kv_column file_columns[] = {
    { "FILE", NULL }, { "FROM", NULL }, { "TO", NULL }, { "HOW", NULL }
};

struct run {
    struct kv_rewrap rewrap;
    struct kv_progress progress;
    int64_t counts[KV_REWRAP_RESULTS], repaired, failed, unreachable;
    enum kv_status worst;
    struct kv_table *listed; /* what a dry run would do */
    struct kv_json *files, *failures;
};

/* ---- signals ---- */

static volatile sig_atomic_t stopped;

/* The first one is a wish, the second one an order. */
static void stop(int number)
{
    if (stopped) {
        signal(number, SIG_DFL);
        raise(number);
    }
    stopped = 1;
}

bool kv_rewrap_stopped(void)
{
    return stopped;
}

static void watch(void)
{
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction before, ours = { .sa_handler = stop };
        if (!sigaction(signals[i], NULL, &before) && before.sa_handler == SIG_DFL)
            sigaction(signals[i], &ours, NULL);
    }
}

/* ---- what went wrong ---- */

/* What nobody can mend by waiting first. */
static int badness(enum kv_status status)
{
    static const int exits[] = { 75, 69, 64, 74, 73, 78, 77, 66, 65, 70 };
    int rank = 0, code = kv_status_exit(status);
    while (rank < (int)(sizeof exits / sizeof *exits) && exits[rank] != code)
        rank++;
    return rank;
}

/* Nothing is gained by asking ten thousand times more. */
static bool is_of_vault(enum kv_status status)
{
    static const enum kv_status of_vault[] = { KV_UNREACHABLE, KV_TIMED_OUT, KV_TLS,
                                               KV_THROTTLED,   KV_SERVER,    KV_CREDENTIAL };
    for (size_t i = 0; i < sizeof of_vault / sizeof *of_vault; i++)
        if (status == of_vault[i])
            return true;
    return false;
}

/* A file's name may be anything, and JSON has only UTF-8. */
static void put_path(struct kv_json *object, const char *path)
{
    KV_AUTO_TEXT char *text = kv_text_copy(path);
    if (text)
        kv_text_utf8(text);
    kv_json_put_text(object, "file", text);
}

static void failed(void *state, const char *path, enum kv_status status, const struct kv_error *err)
{
    struct run *run = state;
    const char *why = err->text[0] ? err->text : kv_status_text(status);
    struct kv_json *failure = kv_json_object();
    if (run->worst == KV_OK || badness(status) > badness(run->worst))
        run->worst = status;
    run->failed++;
    kv_progress_hide(&run->progress);
    kv_common_note("%s: %s", path, why);
    put_path(failure, path);
    kv_json_put_text(failure, "status", kv_status_name(status));
    kv_json_put_int(failure, "exit", kv_status_exit(status));
    kv_json_put_text(failure, "cause", why);
    kv_json_append(run->failures, failure);
}

/* ---- each file ---- */

static void list(struct run *run, const char *path)
{
    struct kv_rewrap_note *note = &run->rewrap.note;
    struct kv_json *file = kv_json_object();
    put_path(file, path);
    kv_json_put_text(file, "from", note->from);
    kv_json_put_text(file, "to", note->to);
    kv_json_put_text(file, "how", note->how);
    kv_json_append(run->files, file);
    kv_table_text(run->listed, path);
    kv_table_text(run->listed, note->from);
    kv_table_text(run->listed, note->to);
    kv_table_text(run->listed, note->how);
    kv_text_free(note->from);
    kv_text_free(note->to);
    kv_text_free(note->how);
    *note = (struct kv_rewrap_note){ 0 };
}

static enum kv_status visit(void *state, const char *path, const char *relative)
{
    enum { VAULT_FAILURES = 3 };
    struct run *run = state;
    struct kv_error err = { 0 };
    enum kv_rewrap_result result = KV_REWRAP_OTHER;
    if (kv_rewrap_stopped())
        return KV_CANCELLED;
    enum kv_status status = kv_rewrap_one(&run->rewrap, path, relative, &result, &err);
    run->repaired += run->rewrap.repaired;
    run->counts[result] += status == KV_OK;
    if (status == KV_OK && result == KV_REWRAP_DONE)
        list(run, path);
    if (status != KV_OK && status != KV_CANCELLED)
        failed(run, path, status, &err);
    if (status == KV_CANCELLED || status == KV_NO_MEMORY)
        return status;
    run->unreachable = is_of_vault(status)                           ? run->unreachable + 1
                       : status == KV_OK && result != KV_REWRAP_DONE ? run->unreachable
                                                                     : 0;
    kv_progress_add(&run->progress, 1);
    return run->unreachable == VAULT_FAILURES ? status : (enum kv_status)KV_OK;
}

/* ---- the command line ---- */

static enum kv_status read_way(struct kv_rewrap *rewrap, struct kv_error *err)
{
    const struct kv_tool *tool = rewrap->tool;
    bool in_place = kv_common_option(tool, "--in-place"), sidecar = kv_common_option(tool, "--sidecar");
    const char *to = kv_common_option(tool, "--to");
    rewrap->copy_to = kv_common_option(tool, "--copy");
    if (in_place + sidecar + (rewrap->copy_to != NULL) > 1)
        return kv_fail(err, KV_ARGUMENTS, "--in-place, --sidecar and --copy: one of them");
    if (to && (strcmp(to, "active") != 0 || kv_common_option(tool, "-r")))
        return kv_fail(err, KV_ARGUMENTS,
                       "--to is 'active', the current version of the same key; another key is named with -r");
    rewrap->way = sidecar ? KV_REWRAP_SIDECAR : rewrap->copy_to ? KV_REWRAP_COPY : KV_REWRAP_IN_PLACE;
    rewrap->dry_run = kv_common_option(tool, "--dry-run");
    return KV_OK;
}

static enum kv_status read_rate(struct kv_rewrap *rewrap, struct kv_error *err)
{
    const char *text = kv_common_option(rewrap->tool, "--rate");
    size_t len = text ? strlen(text) : 0;
    KV_AUTO_TEXT char *number =
        kv_text_copy_n(text ? text : "", len > 2 && !strcmp(text + len - 2, "/s") ? len - 2 : len);
    if (!text)
        return KV_OK;
    if (!number || kv_common_number("--rate", number, &rewrap->rate, NULL) != KV_OK || rewrap->rate > 1000)
        return kv_fail(err, KV_ARGUMENTS, "--rate '%s' is no rate from 1/s to 1000/s", text);
    return KV_OK;
}

static enum kv_status read_break_glass(struct kv_parties *parties, struct kv_error *err)
{
    const char *text;
    for (size_t at = 0; (text = kv_common_each(parties->tool, "--break-glass", &at));) {
        parties->without_vault = false;
        KV_TRY(kv_parties_recipient(parties, text, err));
        if (!parties->without_vault)
            return kv_fail(err, KV_ARGUMENTS,
                           "--break-glass '%.40s' is a key of a vault: it shall open the files when no vault "
                           "can",
                           text);
    }
    return KV_OK;
}

static enum kv_status begin(struct run *run, struct kv_tool *tool, struct kv_error *err)
{
    struct kv_rewrap *rewrap = &run->rewrap;
    struct kv_map *map = NULL;
    const char *path;
    rewrap->tool = tool;
    rewrap->parties = kv_parties_begin(tool);
    if (!rewrap->parties)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(read_way(rewrap, err));
    KV_TRY(read_rate(rewrap, err));
    KV_TRY(read_break_glass(rewrap->parties, err));
    KV_TRY(kv_parties_map(rewrap->parties, &map, err));
    for (size_t at = 0; (path = kv_common_each(tool, "-i", &at));)
        KV_TRY(kv_parties_identities(rewrap->parties, path, err));
    KV_TRY(kv_parties_vaults(rewrap->parties, err));
    KV_TRY(kv_rewrap_pick_begin(&rewrap->pick, rewrap->parties, err));
    run->listed = kv_table_open(file_columns, sizeof file_columns / sizeof *file_columns);
    run->files = kv_json_array();
    run->failures = kv_json_array();
    return run->listed ? KV_OK : kv_fail(err, KV_NO_MEMORY, "out of memory");
}

static void run_free(struct run *run)
{
    kv_rewrap_pick_free(&run->rewrap.pick);
    kv_rewrap_map_free(run->rewrap.map);
    kv_parties_free(run->rewrap.parties);
    kv_table_free(run->listed);
    kv_json_free(run->files);
    kv_json_free(run->failures);
}

/* ---- the stores ---- */

static enum kv_status count_one(void *state, const char *path, const char *relative)
{
    ++*(uint64_t *)state;
    return kv_rewrap_stopped() ? KV_CANCELLED : KV_OK;
}

static void not_counted(void *state, const char *path, enum kv_status status, const struct kv_error *err)
{
}

/* For the bar alone. A list on the standard input is not known before its end. */
static uint64_t count_files(const struct kv_tool *tool, const struct kv_rewrap_visit *real)
{
    uint64_t count = 0;
    struct kv_rewrap_visit visit = *real;
    visit.file = count_one;
    visit.failed = not_counted;
    visit.state = &count;
    for (size_t i = 0; i < tool->word_count && isatty(STDERR_FILENO); i++)
        if (!strcmp(tool->words[i], "-") || kv_rewrap_walk(&visit, tool->words[i]) != KV_OK)
            return 0;
    return count;
}

static enum kv_status walk(struct run *run)
{
    const struct kv_tool *tool = run->rewrap.tool;
    struct kv_rewrap_visit visits = { .file = visit, .failed = failed, .state = run };
    struct stat info;
    enum kv_status status = KV_OK;
    if (run->rewrap.copy_to && stat(run->rewrap.copy_to, &info) == 0) {
        visits.skip_device = info.st_dev;
        visits.skip_inode = info.st_ino;
    }
    kv_progress_begin_count(&run->progress, count_files(tool, &visits), "files");
    for (size_t i = 0; i < tool->word_count && status == KV_OK; i++)
        status = strcmp(tool->words[i], "-") != 0 ? kv_rewrap_walk(&visits, tool->words[i])
                                                  : kv_rewrap_walk_lines(&visits, STDIN_FILENO);
    kv_progress_end(&run->progress);
    return status;
}

/* ---- the end ---- */

static enum kv_status print_summary(struct run *run, bool interrupted, struct kv_error *err)
{
    struct kv_tool *tool = run->rewrap.tool;
    KV_AUTO_TABLE struct kv_table *table =
        kv_table_open(summary_columns, sizeof summary_columns / sizeof *summary_columns);
    if (!table)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (run->rewrap.dry_run && !tool->json && run->counts[KV_REWRAP_DONE]) {
        KV_TRY(kv_common_print(tool, run->listed, err));
        KV_TRY(kv_spool_format(&tool->out, "\n"));
    }
    kv_table_int(table, run->counts[KV_REWRAP_DONE]);
    kv_table_int(table, run->repaired);
    kv_table_int(table, run->counts[KV_REWRAP_RIGHT]);
    kv_table_int(table, run->counts[KV_REWRAP_OTHER]);
    kv_table_int(table, run->failed);
    kv_table_bool(table, interrupted);
    kv_table_bool(table, run->rewrap.dry_run);
    kv_table_json(table, kv_take(run->files));
    kv_table_json(table, kv_take(run->failures));
    return kv_common_print(tool, table, err);
}

/* The summary is printed whatever came of it. */
static enum kv_status conclude(struct run *run, enum kv_status walked, struct kv_error *err)
{
    bool interrupted = walked == KV_CANCELLED || (walked == KV_OK && kv_rewrap_stopped());
    KV_TRY(print_summary(run, interrupted, err));
    run->rewrap.tool->findings = true;
    if (interrupted && run->worst == KV_OK)
        return kv_fail(err, KV_CANCELLED, "interrupted: run it again to go on");
    if (walked == KV_NO_MEMORY)
        return kv_fail(err, walked, "out of memory: run it again to go on");
    if (walked != KV_OK && !interrupted)
        return kv_fail(err, walked, "stopped, since the vault does not serve: run it again to go on");
    if (run->worst == KV_OK)
        return KV_OK;
    return kv_fail(err, run->worst, "%" PRId64 " failed, each with its cause above", run->failed);
}

enum kv_status kv_cmd_rewrap(struct kv_tool *tool, struct kv_error *err)
{
    KV_CLEANUP(run_free) struct run run = { 0 };
    KV_TRY(begin(&run, tool, err));
    watch();
    return conclude(&run, walk(&run), err);
}
