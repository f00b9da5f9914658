/* kvp11 run: a tool gets secrets, and nobody else does; when one of them cannot be had, the tool is not started. */
#include "common.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include "process/child.h"
#include "report.h"
#include "secret/secret.h"

const struct kv_option kv_cmd_run_options[] = {
    { "--env", "NAME=FILE", "the secret in FILE as an environment variable; may repeat", .repeats = true },
    { "--file", "PATH=FILE",
      "the secret in FILE as a file in memory: at PATH, or, for a NAME, where that variable says; may repeat",
      .repeats = true },
    { "--filter", "COMMAND", "what every secret goes through first, from standard input to standard output" },
    { "-i", "FILE", "identities to try before the vaults; may repeat", .repeats = true },
    { "--cache", "SECONDS",
      "keep the secrets in the kernel's keyring for so long, and take them from there" },
    { NULL, NULL, NULL },
};

enum { GIFTS = KV_TOOL_REPEATS };

/* One secret, and how the tool gets it. */
struct gift {
    const char *option; /* "--env", "--file" */
    char *to;           /* name or path */
    const char *from;   /* file */
    struct kv_bytes secret;
};

struct run {
    struct kv_tool *tool;
    struct kv_parties *parties;
    struct gift gifts[GIFTS];
    size_t count;
    const char *paths[GIFTS]; /* that exist: borrowed from gifts */
    struct kv_run_files files;
    struct kv_run_signals held; /* when there are to be files */
};

static void run_free(struct run **run)
{
    for (size_t i = 0; *run && i < (*run)->count; i++) {
        free((*run)->gifts[i].to);
        kv_bytes_free(&(*run)->gifts[i].secret);
    }
    if (*run) {
        kv_parties_free((*run)->parties);
        kv_run_remove(&(*run)->files);
    }
    free(*run);
}

/* --- what is wanted --- */
static bool is_variable(const char *name)
{
    static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_",
                      digits[] = "0123456789";
    if (!*name || !strchr(first, *name))
        return false;
    for (; *name; name++) {
        if (!strchr(first, *name) && !strchr(digits, *name))
            return false;
    }
    return true;
}

static enum kv_status add_gift(struct run *run, const char *option, const char *text, struct kv_error *err)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || !equals[1])
        return kv_fail(err, KV_ARGUMENTS, "%s '%s' is not of the form %s", option, text,
                       !strcmp(option, "--env") ? "NAME=FILE" : "PATH=FILE");
    if (run->count == GIFTS)
        return kv_fail(err, KV_ARGUMENTS, "too many secrets");
    struct gift gift = { option, kv_text_copy_n(text, (size_t)(equals - text)), equals + 1, { 0 } };
    if (!gift.to)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    run->gifts[run->count++] = gift;
    if (!is_variable(gift.to) && (!strcmp(option, "--env") || gift.to[0] != '/'))
        return kv_fail(err, KV_ARGUMENTS, "%s '%s': '%s' is not the name of an environment variable%s",
                       option, text, gift.to, strcmp(option, "--env") != 0 ? ", nor an absolute path" : "");
    return KV_OK;
}

static enum kv_status read_options(struct run *run, struct kv_error *err)
{
    const char *const options[] = { "--env", "--file" };
    const char *text;
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        for (size_t at = 0; (text = kv_common_each(run->tool, options[i], &at));)
            KV_TRY(add_gift(run, options[i], text, err));
    }
    if (!run->count)
        return kv_fail(err, KV_ARGUMENTS, "no secret is named: --env NAME=FILE or --file PATH=FILE");
    if (!run->tool->program || !run->tool->program[0])
        return kv_fail(err, KV_ARGUMENTS, "no program is named: kvp11 run --env NAME=FILE -- PROGRAM …");
    return KV_OK;
}

/* --- having it --- */
static enum kv_status unwrap_all(struct run *run, struct kv_error *err)
{
    const char *filter = kv_common_option(run->tool, "--filter");
    int cache = 0;
    KV_TRY(kv_secret_cache_seconds(run->tool, &cache, err));
    KV_TRY(kv_secret_identities(run->parties, err));
    for (size_t i = 0; i < run->count; i++) {
        struct gift *gift = &run->gifts[i];
        KV_TRY(kv_secret_open(run->parties, gift->from, cache, &gift->secret, err));
        if (filter)
            KV_TRY(kv_run_filter(filter, &gift->secret, err));
        enum kv_status status = strcmp(gift->option, "--env") != 0
                                    ? (enum kv_status)KV_OK
                                    : kv_secret_check_line(KV_VIEW(gift->secret), err);
        if (status != KV_OK)
            return kv_fail_in(err, status, "'%s', for variable '%s'", gift->from, gift->to);
    }
    return KV_OK;
}

/* --- giving it --- */
static enum kv_status give(struct run *run, struct gift *gift, struct kv_error *err)
{
    KV_AUTO_TEXT char *value = NULL;
    if (gift->to[0] == '/') {
        KV_TRY(kv_run_file(gift->to, KV_VIEW(gift->secret), err));
        run->paths[run->files.count++] = gift->to;
        return KV_OK;
    }
    if (!strcmp(gift->option, "--file"))
        KV_TRY(kv_run_memory(KV_VIEW(gift->secret), &value, err));
    else
        value = kv_text_copy_n((const char *)gift->secret.data, gift->secret.len);
    if (!value || setenv(gift->to, value, 1))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    return KV_OK;
}

/* As the tool ended, so does this. */
static void end_like(int how)
{
    if (WIFSIGNALED(how)) {
        signal(WTERMSIG(how), SIG_DFL);
        raise(WTERMSIG(how));
    }
    _exit(WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how));
}

static enum kv_status give_all(struct run *run, struct kv_error *err)
{
    bool holds = false;
    for (size_t i = 0; i < run->count && !holds; i++)
        holds = run->gifts[i].to[0] == '/';
    if (holds)
        kv_run_hold(&run->held);
    for (size_t i = 0; i < run->count; i++)
        KV_TRY(give(run, &run->gifts[i], err));
    return KV_OK;
}

/* Before it is started, for afterwards there may be nobody to tell it. */
static enum kv_status tell(struct run *run, struct kv_error *err)
{
    KV_AUTO_FREE struct kv_report_row *rows = calloc(run->count, sizeof(*rows));
    if (!rows)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < run->count; i++)
        rows[i] = (struct kv_report_row){ .from = run->gifts[i].from, .to = run->gifts[i].to };
    KV_TRY(kv_report(run->tool, &(struct kv_report){ KV_REPORT_PLACES, rows, run->count, NULL }, err));
    kv_common_tell_aside(run->tool);
    return KV_OK;
}

static enum kv_status start(struct run *run, struct kv_error *err)
{
    char *const *argv = run->tool->program;
    int how = 0;
    KV_TRY(tell(run, err));
    kv_parties_free(kv_take(run->parties)); /* what it remembers is written now */
    if (!run->files.count) {
        int code = kv_run_become(argv, err);
        kv_common_note("%s", err->text);
        _exit(code);
    }
    enum kv_status status = kv_run_wait(argv, &run->held, &run->files, &how, err);
    run->files.count = 0;
    KV_TRY(status);
    end_like(how);
    return KV_OK;
}

enum kv_status kv_cmd_run(struct kv_tool *tool, struct kv_error *err)
{
    KV_CLEANUP(run_free) struct run *run = calloc(1, sizeof(*run));
    if (!run || !(run->parties = kv_parties_begin(tool)))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    signal(SIGCHLD, SIG_DFL); /* who started this may have ignored it, and then nobody could be waited for */
    run->tool = tool;
    run->files.paths = run->paths;
    KV_TRY(read_options(run, err));
    KV_TRY(unwrap_all(run, err));
    KV_TRY(give_all(run, err));
    return start(run, err);
}
