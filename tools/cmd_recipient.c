/* kvp11 recipient, kvp11 identity: the two texts that age and its like take. Each is the only line on stdout. */
#include "common.h"

#include "age/vault.h"
#include "token/party.h"
#include "token/token.h"

const struct kv_option kv_cmd_recipient_options[] = {
    { "--floating", NULL, "the key by its name: its current version whenever something is encrypted" },
    { "--version", "VERSION", "this version, instead of the current one" },
    { NULL, NULL, NULL },
};

static enum kv_status text_of(const struct kv_version *version, bool floating, struct kv_vault_text *ret,
                              struct kv_error *err)
{
    struct kv_vault_text text = { 0 };
    if (version->kind == KV_EC)
        return kv_fail(
            err, KV_KEY_TYPE,
            "'%s/%s' is an EC key, which signs and cannot be encrypted to: name an RSA key, or an AES key "
            "of a Managed HSM",
            version->vault, version->name);
    if (version->kind == KV_RSA && !floating) {
        if (kv_bytes_copy(KV_VIEW(version->spki), &text.spki) != KV_OK)
            return kv_fail(err, KV_NO_MEMORY, "out of memory");
    } else if (!kv_text_fit(text.vault, sizeof(text.vault), version->vault) ||
               !kv_text_fit(text.name, sizeof(text.name), version->name) ||
               !kv_text_fit(text.version, sizeof(text.version), floating ? "" : version->version)) {
        return kv_fail(err, KV_INTERNAL, "a name does not fit");
    }
    *ret = text;
    return KV_OK;
}

static enum kv_status print_line(struct kv_tool *tool, char *text, struct kv_error *err)
{
    KV_AUTO_TEXT char *line = text;
    if (!line || kv_spool_format(&tool->out, "%s\n", line) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    return KV_OK;
}

static const struct kv_column columns[] = {
    { "RECIPIENT", "recipient" }, { NULL, "form" }, { NULL, "vault" }, { NULL, "name" },
    { NULL, "version" },          { NULL, "kid" },
};

/* For people and scripts the line alone; JSON says what it stands for. */
static enum kv_status print_recipient(struct kv_tool *tool, const struct kv_version *version, bool floating,
                                      const struct kv_vault_text *text, struct kv_error *err)
{
    char *line = kv_vault_text_write(text);
    if (!line || !tool->json)
        return print_line(tool, line, err);
    KV_AUTO_TABLE struct kv_table *table = kv_table_open(columns, sizeof(columns) / sizeof(columns[0]));
    if (!table) {
        kv_text_free(line);
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    }
    kv_table_take(table, line);
    kv_table_text(table, floating ? "floating" : "pinned");
    kv_table_text(table, version->vault);
    kv_table_text(table, version->name);
    kv_table_text(table, floating ? "" : version->version);
    kv_table_text(table, floating ? "" : version->kid);
    return kv_common_print(tool, table, err);
}

/* A certificate elsewhere, for a host that shall seal without its token. */
static enum kv_status print_token(struct kv_tool *tool, bool of_vault, struct kv_error *err)
{
    char *line = NULL;
    if (of_vault || tool->vault)
        return kv_fail(err, KV_ARGUMENTS, "--vault, --version and --floating are for keys of vaults");
    KV_TRY(kv_token_recipient(tool->words[0], &line, err));
    if (!tool->json)
        return print_line(tool, line, err);
    KV_AUTO_TABLE struct kv_table *table = kv_table_open(columns, sizeof(columns) / sizeof(columns[0]));
    if (!table) {
        kv_text_free(line);
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    }
    kv_table_take(table, line);
    kv_table_text(table, "token");
    for (int i = 0; i < 4; i++)
        kv_table_text(table, NULL);
    return kv_common_print(tool, table, err);
}

enum kv_status kv_cmd_recipient(struct kv_tool *tool, struct kv_error *err)
{
    const char *version = kv_common_option(tool, "--version");
    bool floating = kv_common_option(tool, "--floating");
    KV_AUTO_VAULT_TEXT struct kv_vault_text wanted = { 0 }, text = { 0 };
    KV_AUTO_VERSION struct kv_version *found = NULL;
    if (version && floating)
        return kv_fail(err, KV_ARGUMENTS, "--version and --floating exclude each other");
    if (kv_token_is(tool->words[0]))
        return print_token(tool, version || floating, err);
    KV_AUTO_TEXT char *name =
        kv_text_format("%s%s%s%s%s", tool->vault ? tool->vault : "", tool->vault ? "/" : "", tool->words[0],
                       version ? "@" : "", version ? version : "");
    if (!name)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(kv_vault_text_read_name(name, &wanted, err));
    KV_TRY(kv_common_open(tool, err));
    struct kv_age_vault vault = { .core = tool->core, .caller = tool->caller };
    KV_TRY(kv_age_vault_named(&vault, &wanted, &found, err));
    KV_TRY(text_of(found, floating, &text, err));
    return print_recipient(tool, found, floating, &text, err);
}

enum kv_status kv_cmd_identity(struct kv_tool *tool, struct kv_error *err)
{
    static const struct kv_column identity[] = { { "IDENTITY", "identity" } };
    if (!tool->json)
        return print_line(tool, kv_vault_text_identity(), err);
    KV_AUTO_TABLE struct kv_table *table = kv_table_open(identity, 1);
    kv_table_take(table, kv_vault_text_identity());
    return kv_common_print(tool, table, err);
}
