/* kvp11 login check: which credential gets a token for a vault, for whom, and why the others do not. */
#include "common.h"

#include <string.h>
#include "core/login.h"

const struct kv_option kv_cmd_login_check_options[] = {
    { "--operator", NULL, "the credential of [NAME.operator], of the commands that change something" },
    { "--fresh", NULL, "ask for a new token, whatever the keyring has" },
    { NULL, NULL, NULL },
};

static const struct kv_column columns[] = {
    { "VAULT", "vault" },
    { "AS", "as" },
    { "CREDENTIAL", "credential" },
    { "RESULT", "result" },
    { "IDENTITY", "identity" },
    { "TENANT", "tenant" },
    { "ROLES", "roles" },
    { "EXPIRES", "expires" },
    { "FROM", "from" },
    { "WHY", "why" },
    { NULL, "application" },
    { NULL, "object" },
    { NULL, "user" },
    { NULL, "directory_roles" },
    { NULL, "authority" },
    { NULL, "scope" },
    { NULL, "status" },
};

static const char *const outcomes[] = {
    [KV_LOGIN_USED] = "used",
    [KV_LOGIN_NOT_SET_UP] = "not set up",
    [KV_LOGIN_FAILED] = "failed",
    [KV_LOGIN_NOT_TRIED] = "not tried",
};

struct line {
    const struct kv_vault_config *vault;
    const struct kv_login_report *report;
    const char *credential, *result, *why, *from;
    enum kv_status status;
    bool token; /* what the report says of the token belongs here */
};

static const char *first(const char *a, const char *b, const char *c)
{
    return *a ? a : *b ? b : c;
}

static void add(struct kv_table *table, const struct line *line)
{
    const struct kv_login_report *report = line->report;
    const struct kv_login_claims none = { .user = "" }, *claims = line->token ? &report->claims : &none;
    kv_table_text(table, line->vault->name);
    kv_table_text(table, line->vault->as_operator ? "operator" : "workload");
    kv_table_text(table, line->credential);
    kv_table_text(table, line->result);
    kv_table_text(table, first(claims->user, claims->application, claims->object));
    kv_table_text(table, line->token ? first(claims->tenant, report->tenant, "") : "");
    kv_table_text(table, line->token ? first(claims->roles, "not in the token", "") : "");
    kv_table_time(table, line->token ? report->expires : 0);
    kv_table_text(table, line->from);
    kv_table_text(table, line->why);
    kv_table_text(table, claims->application);
    kv_table_text(table, claims->object);
    kv_table_text(table, claims->user);
    kv_table_text(table, claims->directory_roles);
    kv_table_text(table, report->authority);
    kv_table_text(table, report->scope);
    kv_table_text(table, kv_status_name(line->status));
}

static void add_tries(struct kv_table *table, struct line line)
{
    for (size_t i = 0; i < line.report->count; i++) {
        const struct kv_login_try *one = &line.report->tries[i];
        line.credential = one->kind;
        line.result = outcomes[one->outcome];
        line.token = one->outcome == KV_LOGIN_USED;
        line.from = line.token ? "identity provider" : NULL;
        line.status = one->why.status;
        line.why = one->outcome == KV_LOGIN_NOT_TRIED ? "one before it decides" : one->why.text;
        add(table, &line);
    }
}

static enum kv_status check(struct kv_tool *tool, size_t vault, struct kv_table *table, struct kv_error *err)
{
    struct kv_login_report report;
    struct kv_task task = kv_common_task(tool, vault);
    struct kv_core_check wish = { vault, kv_common_option(tool, "--fresh") != NULL, &task };
    struct line line = {
        &kv_core_config(tool->core)->vaults[vault], &report, NULL, NULL, NULL, NULL, KV_OK, false
    };
    enum kv_status status = kv_core_login_check(tool->core, &wish, &report, err);
    add_tries(table, line);
    if (report.count)
        return status;
    line.credential = report.cached ? report.kind : line.vault->credential;
    line.result = report.cached ? "used" : "failed";
    line.token = report.cached;
    line.from = report.cached ? "keyring" : NULL;
    line.why = report.cached ? NULL : err->text;
    line.status = status;
    add(table, &line);
    return status;
}

static enum kv_status check_operator(const struct kv_tool *tool, size_t vault, struct kv_error *err)
{
    const struct kv_vault_config *config = &kv_core_config(tool->core)->vaults[vault];
    if (!kv_common_option(tool, "--operator") || config->as_operator)
        return KV_OK;
    return kv_fail(err, KV_CONFIG,
                   "vault '%s' has no section [%s.operator], so its own credential makes changes: leave out "
                   "--operator, or write that section",
                   config->name, config->name);
}

enum kv_status kv_cmd_login_check(struct kv_tool *tool, struct kv_error *err)
{
    size_t first_vault = 0, end = 0;
    enum kv_status worst = KV_OK;
    KV_TRY(kv_common_vault_word(tool, err));
    KV_TRY(kv_common_open_as(tool, kv_common_option(tool, "--operator") != NULL, err));
    KV_TRY(kv_common_vaults(tool, &first_vault, &end, err));
    KV_AUTO_TABLE struct kv_table *table = kv_table_open(columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t vault = first_vault; vault < end; vault++)
        KV_TRY(check_operator(tool, vault, err));
    for (size_t vault = first_vault; vault < end; vault++) {
        struct kv_error why = { 0 };
        enum kv_status status = check(tool, vault, table, &why);
        if (status != KV_OK && worst != KV_OK)
            kv_common_note("%s", why.text);
        if (status == KV_OK || worst != KV_OK)
            continue;
        worst = status;
        *err = why;
    }
    KV_TRY(kv_common_print(tool, table, worst == KV_OK ? err : NULL));
    tool->findings = true;
    return worst;
}
