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

static const struct kv_column columns[] = {
    { "RECIPIENT", "recipient" }, { NULL, "form" }, { NULL, "vault" }, { NULL, "name" },
    { NULL, "version" },          { NULL, "kid" },
};
static const struct kv_column identity[] = { { "IDENTITY", "identity" } };
enum { COLUMNS = sizeof(columns) / sizeof(columns[0]) };

struct row {
    char *line; /* taken over; NULL: memory was short */
    const char *form;
    const struct kv_version *version; /* NULL: of no vault */
    bool floating;
};

/* For people and scripts the line alone; JSON says what it stands for, in the first `width` columns. */
static enum kv_status print(struct kv_tool *tool, struct row row, size_t width, struct kv_error *err)
{
    KV_AUTO_TEXT char *line = row.line;
    const struct kv_version *version = row.version, *one = row.floating ? NULL : version;
    if (!line || (!tool->json && kv_spool_format(&tool->out, "%s\n", line) != KV_OK))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (!tool->json)
        return KV_OK;
    const char *cells[COLUMNS] = { line,
                                   row.form,
                                   version ? version->vault : NULL,
                                   version ? version->name : NULL,
                                   one ? one->version : NULL,
                                   one ? one->kid : NULL };
    KV_AUTO_TABLE struct kv_table *table = kv_table_open(width > 1 ? columns : identity, width);
    for (size_t i = 0; i < width; i++)
        kv_table_text(table, cells[i]);
    return kv_common_print(tool, table, err);
}

/* A certificate elsewhere, for a host that shall seal without its token. */
static enum kv_status print_token(struct kv_tool *tool, bool of_vault, struct kv_error *err)
{
    struct row row = { .form = "token" };
    if (of_vault || tool->vault)
        return kv_fail(err, KV_ARGUMENTS, "--vault, --version and --floating are for keys of vaults");
    KV_TRY(kv_token_recipient(tool->words[0], &row.line, err));
    return print(tool, row, COLUMNS, err);
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
    return print(
        tool, (struct row){ kv_vault_text_write(&text), floating ? "floating" : "pinned", found, floating },
        COLUMNS, err);
}

enum kv_status kv_cmd_identity(struct kv_tool *tool, struct kv_error *err)
{
    return print(tool, (struct row){ .line = kv_vault_text_identity() }, 1, err);
}
