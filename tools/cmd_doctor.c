/* kvp11 doctor: what is wrong between this host and its vaults, why, and what mends it. Changes nothing. */
#include "doctor/doctor.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { KEYS_MAX = 20 }; /* that are looked at when none is named */

const struct kv_option kv_cmd_doctor_options[] = {
    { "--key", "NAME", "look at this key alone" },
    { NULL, NULL, NULL },
};

static const struct kv_column columns[] = {
    { "VAULT", "vault" },   { "CHECK", "check" }, { "KEY", "key" },
    { "RESULT", "result" }, { NULL, "status" },   { "WHAT", "what" },
};

struct row {
    const char *check, *key, *result;
    enum kv_status status;
};

static void add(struct kv_doctor *doctor, const struct row *row, const char *text)
{
    kv_table_text(doctor->table, doctor->config ? doctor->config->name : NULL);
    kv_table_text(doctor->table, row->check);
    kv_table_text(doctor->table, row->key);
    kv_table_text(doctor->table, row->result);
    kv_table_text(doctor->table, kv_status_name(row->status));
    kv_table_text(doctor->table, text);
}

static void add_format(struct kv_doctor *doctor, const struct row *row, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));
static void add_format(struct kv_doctor *doctor, const struct row *row, const char *format, va_list arguments)
{
    char text[2048];
    vsnprintf(text, sizeof(text), format, arguments);
    add(doctor, row, text);
}

void kv_doctor_ok(struct kv_doctor *doctor, const char *check, const char *key, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add_format(doctor, &(struct row){ check, key, "ok", KV_OK }, format, arguments);
    va_end(arguments);
}

void kv_doctor_skip(struct kv_doctor *doctor, const char *check, const char *key, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add_format(doctor, &(struct row){ check, key, "-", KV_OK }, format, arguments);
    va_end(arguments);
}

void kv_doctor_warn(struct kv_doctor *doctor, const char *check, const char *key, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add_format(doctor, &(struct row){ check, key, "warning", KV_ATTENTION }, format, arguments);
    va_end(arguments);
    doctor->warned++;
}

void kv_doctor_fail(struct kv_doctor *doctor, const char *check, const char *key, const struct kv_error *why,
                    const char *remedy)
{
    char text[2048];
    const char *cause = why->text[0] ? why->text : kv_status_text(why->status);
    snprintf(text, sizeof(text), "%s%s%s", cause, remedy ? "; " : "", remedy ? remedy : "");
    add(doctor, &(struct row){ check, key, "FAILED", why->status }, text);
    if (!doctor->failed++)
        doctor->worst = why->status;
}

/* Role, or permission of an access policy; on a Managed HSM roles alone, granted within it. */
static void grant(const struct kv_doctor *doctor, const char *key, const char *action, char *ret, size_t size)
{
    const char *host = doctor->config->host, *who = doctor->identity[0] ? doctor->identity : "APPLICATION-ID";
    int name = (int)strcspn(host, ".");
    if (doctor->config->managed_hsm)
        snprintf(ret, size,
                 "az keyvault role assignment create --hsm-name %.*s --role 'Managed HSM Crypto User' "
                 "--assignee %s --scope /keys%s%s",
                 name, host, who, key ? "/" : "", key ? key : "");
    else
        snprintf(ret, size,
                 "az role assignment create --role 'Key Vault Crypto User' --assignee %s --scope \"$(az "
                 "keyvault show --name %.*s --query id --output tsv)\", or with access policies: az keyvault "
                 "set-policy --name %.*s --spn %s --key-permissions %s",
                 who, name, host, name, host, who, action);
}

void kv_doctor_refused(struct kv_doctor *doctor, const char *check, const char *key, const char *action,
                       const struct kv_error *why)
{
    char remedy[768];
    grant(doctor, key, action, remedy, sizeof(remedy));
    kv_doctor_fail(doctor, check, key, why, why->status == KV_DENIED ? remedy : NULL);
}

struct kv_task kv_doctor_task(const struct kv_doctor *doctor)
{
    return kv_common_task(doctor->tool, doctor->vault);
}

/* --- this host --- */

static void check_map(struct kv_doctor *doctor)
{
    const char *path = kv_core_config(doctor->tool->core)->map;
    struct kv_map *map = kv_core_map(doctor->tool->core);
    struct kv_error why = { 0 };
    struct stat file = { 0 };
    if (!strcmp(path, "none")) {
        kv_doctor_warn(doctor, "version map", NULL,
                       "`map = none`: nothing is remembered from one process to the next; name a file");
        return;
    }
    if (kv_map_health(map, &why) != KV_OK) {
        kv_doctor_fail(doctor, "version map", NULL, &why, NULL);
        return;
    }
    long long size = stat(path, &file) ? 0 : (long long)file.st_size;
    if (!kv_map_writable(map))
        kv_doctor_warn(doctor, "version map", NULL,
                       "'%s', %lld KiB, cannot be written by this user: new versions and wraps are not "
                       "remembered; give it to the user whose programs load the module",
                       path, (size + 1023) / 1024);
    else
        kv_doctor_ok(doctor, "version map", NULL, "'%s', %lld KiB, of this release", path,
                     (size + 1023) / 1024);
}

static bool check_host(struct kv_doctor *doctor)
{
    struct kv_error why = { 0 };
    if (kv_common_open(doctor->tool, &why) != KV_OK) {
        kv_doctor_fail(doctor, "configuration", NULL, &why, NULL);
        return false;
    }
    const char *path = kv_core_config(doctor->tool->core)->path;
    kv_doctor_ok(doctor, "configuration", NULL, "%s%s%s", path ? "'" : "",
                 path ? path : "the environment alone", path ? "', which nobody else can write" : "");
    check_map(doctor);
    return true;
}

/* --- a vault --- */

static bool names_keys(const struct kv_vault_config *config)
{
    for (size_t i = 0; i < config->keys.count; i++) {
        if (strpbrk(config->keys.items[i], "*?"))
            return false;
    }
    return config->keys.count > 0;
}

static bool shown(const struct kv_vault_config *config, const char *name)
{
    bool any = !config->keys.count;
    for (size_t i = 0; i < config->keys.count; i++)
        any = any || kv_text_match(config->keys.items[i], name);
    return any;
}

struct names {
    char names[KEYS_MAX][KV_NAME_SIZE];
    size_t count;
    bool more; /* than are looked at */
};

static void add_name(struct names *names, const char *name)
{
    if (names->count == KEYS_MAX)
        names->more = true;
    else
        snprintf(names->names[names->count++], KV_NAME_SIZE, "%s", name);
}

/* Of as many pages as fill the room. */
static enum kv_status list_keys(struct kv_doctor *doctor, struct names *ret, struct kv_error *err)
{
    KV_AUTO_FREE char *next = NULL;
    struct kv_vault *vault = kv_core_vault(doctor->tool->core, doctor->vault);
    do {
        struct kv_task task = kv_doctor_task(doctor);
        KV_CLEANUP(kv_vault_page_free) struct kv_vault_page page = { 0 };
        struct kv_vault_list list = { NULL, next };
        KV_TRY(kv_vault_list_page(vault, &list, &task, &page, err));
        for (size_t i = 0; i < page.count; i++) {
            if (shown(doctor->config, page.items[i].name))
                add_name(ret, page.items[i].name);
        }
        free(next);
        next = kv_take(page.next);
    } while (next && ret->count < KEYS_MAX);
    ret->more = ret->more || next;
    return KV_OK;
}

/* Where keys are named, nothing needs a listing; one that broke off is worth nothing. */
static void take_named(const struct kv_vault_config *config, struct names *ret)
{
    *ret = (struct names){ .count = 0 };
    for (size_t i = 0; names_keys(config) && i < config->keys.count; i++)
        add_name(ret, config->keys.items[i]);
}

static void check_list(struct kv_doctor *doctor, struct names *ret)
{
    struct kv_error why = { 0 };
    const struct kv_vault_config *config = doctor->config;
    enum kv_status status = list_keys(doctor, ret, &why);
    if (status == KV_OK)
        kv_doctor_ok(doctor, "list", NULL, "%zu key%s%s", ret->count, ret->count == 1 ? "" : "s",
                     ret->more ? " looked at, and there are more: name others with --key" : " shown");
    else if (status == KV_DENIED && names_keys(config))
        kv_doctor_skip(doctor, "list", NULL, "this identity may not, and need not: `keys` names them");
    else
        kv_doctor_refused(doctor, "list", NULL, "list", &why);
    if (status != KV_OK)
        take_named(config, ret);
}

static void check_quota(struct kv_doctor *doctor)
{
    KV_AUTO_TEXT char *limit =
        kv_config_value(kv_core_config(doctor->tool->core), doctor->config, "rate_limit");
    kv_doctor_ok(
        doctor, "quota", NULL, "%s%s%s",
        doctor->config->managed_hsm
            ? "a Managed HSM does not throttle operations with keys"
            : "the service counts in 10 s: 4000 operations with software keys, 2000 with HSM keys, where RSA "
              "3072 counts as 4 and RSA 4096 as 8 of them; 20 new software keys, 10 new HSM keys",
        limit ? "; `rate_limit` = " : "", limit ? limit : "");
}

static void check_vault(struct kv_doctor *doctor)
{
    struct names names = { .count = 0 };
    const char *key = kv_common_option(doctor->tool, "--key");
    if (!kv_doctor_way(doctor))
        return;
    check_list(doctor, &names);
    check_quota(doctor);
    if (key)
        kv_doctor_key(doctor, key);
    for (size_t i = 0; !key && i < names.count; i++)
        kv_doctor_key(doctor, names.names[i]);
    if (!key && !names.count)
        kv_doctor_skip(doctor, "keys", NULL, "none is known here; name one with --key");
}

static enum kv_status judge(const struct kv_doctor *doctor, struct kv_error *err)
{
    if (doctor->failed)
        return kv_fail(err, doctor->worst, "%zu check%s failed, %zu %s for attention", doctor->failed,
                       doctor->failed == 1 ? "" : "s", doctor->warned, doctor->warned == 1 ? "asks" : "ask");
    if (doctor->warned)
        return kv_fail(err, KV_ATTENTION, "nothing failed, %zu check%s for attention", doctor->warned,
                       doctor->warned == 1 ? " asks" : "s ask");
    return KV_OK;
}

static enum kv_status check_all(struct kv_doctor *doctor, struct kv_error *err)
{
    size_t first = 0, end = 0;
    if (!check_host(doctor))
        return KV_OK;
    KV_TRY(kv_common_vaults(doctor->tool, &first, &end, err));
    for (doctor->vault = first; doctor->vault < end; doctor->vault++) {
        doctor->config = &kv_core_config(doctor->tool->core)->vaults[doctor->vault];
        doctor->identity[0] = 0;
        check_vault(doctor);
    }
    return KV_OK;
}

enum kv_status kv_cmd_doctor(struct kv_tool *tool, struct kv_error *err)
{
    KV_AUTO_TABLE struct kv_table *table = kv_table_open(columns, sizeof(columns) / sizeof(columns[0]));
    struct kv_doctor doctor = { .tool = tool, .table = table };
    signal(SIGPIPE, SIG_IGN); /* a peer that hangs up in the handshake */
    KV_TRY(kv_common_vault_word(tool, err));
    KV_TRY(check_all(&doctor, err));
    KV_TRY(kv_common_print(tool, table, err));
    tool->findings = true;
    return judge(&doctor, err);
}
