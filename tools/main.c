/* kvp11: the table of commands is dispatch and usage at once. */
#include "common.h"

#include <stdio.h>
#include <string.h>
#include "base/ossl.h"

static const struct kv_command commands[] = {
    { "config check", "", "show the settings in force, and what is wrong with them", 0, 0, NULL,
      kv_cmd_config_check },
    { "login check", "[VAULT] [--operator] [--fresh]", "show which credential gets a token, and for whom", 0,
      1, kv_cmd_login_check_options, kv_cmd_login_check },
    { "doctor", "[VAULT] [--key NAME]", "tell what is wrong between here and the vault, and what mends it", 0,
      1, kv_cmd_doctor_options, kv_cmd_doctor },
    { "keys", "[NAME] [--current | --all] [--refresh]", "list versions: label, state, dates, dependants, URI",
      0, 1, kv_cmd_keys_options, kv_cmd_keys },
    { "mechs", "", "list the mechanisms that a vault's keys offer", 0, 0, NULL, kv_cmd_mechs },
    { "create", "NAME [--type TYPE] [--size BITS | --curve CURVE]", "create a key", 1, 1,
      kv_cmd_create_options, kv_cmd_create, .changes = true },
    { "rotate", "NAME [--adopt VERSION] [--activate-after AGE]",
      "create the next version of a key and prove that it works", 1, 1, kv_cmd_rotate_options, kv_cmd_rotate,
      .changes = true },
    { "policy", "[NAME] [--set FILE | --rotate-after TIME --expire-after TIME ...] [--max-active DAYS ...]",
      "hold keys against rules, and show or set a key's rotation policy", 0, 1, kv_cmd_policy_options,
      kv_cmd_policy, .changes = true },
    { "recover", "[NAME]", "bring a deleted key back and prove that it works, or list what is deleted", 0, 1,
      NULL, kv_cmd_recover, .changes = true },
    { "key-backup check", "FILE [--max-age DAYS] [--offline]",
      "tell whether a backup of a key would bring back all that the vault has", 1, 1,
      kv_cmd_key_backup_check_options, kv_cmd_key_backup_check },
    { "key-backup restore", "FILE", "bring a key back from its backup, and prove that it is the same", 1, 1,
      NULL, kv_cmd_key_backup_restore, .changes = true },
    { "key-backup", "NAME [--out FILE]", "let the vault back a key up, with all its versions", 1, 1,
      kv_cmd_key_backup_options, kv_cmd_key_backup, .changes = true },
    { "resolve", "FILE [--offline]", "tell which version a wrapped blob needs", 1, 1, kv_cmd_resolve_options,
      kv_cmd_resolve },
    { "explain", "FILE|URI|KID|NAME [--offline]",
      "tell which version something needs, why it does not open, and what mends it", 1, 1,
      kv_cmd_explain_options, kv_cmd_explain },
    { "sync", "[--full] [--metrics FILE]",
      "ask the vaults for what changed, and tell it, and what is about to be lost", 0, 0, kv_cmd_sync_options,
      kv_cmd_sync },
    { "wrap", "-r RECIPIENT... [--break-glass RECIPIENT] [--out FILE]", "wrap a secret into a small file", 0,
      0, kv_cmd_wrap_options, kv_cmd_wrap },
    { "unwrap", "FILE [-i FILE] [--cache SECONDS]", "print the secret in such a file", 1, 1,
      kv_cmd_unwrap_options, kv_cmd_unwrap },
    { "run", "--env NAME=FILE... --file PATH=FILE... [--filter COMMAND] -- PROGRAM...",
      "run a program that gets secrets, or do not run it", 0, 0, kv_cmd_run_options, kv_cmd_run,
      .program = true },
    { "recipient", "NAME [--version VERSION | --floating] | pkcs11:URI", "print a key as a recipient for age",
      1, 1, kv_cmd_recipient_options, kv_cmd_recipient },
    { "identity", "", "print the identity that opens files for age", 0, 0, NULL, kv_cmd_identity },
    { "cms open", "[FILE] [--out FILE] [--certificate FILE] [--allow-unauthenticated]",
      "open an envelope made by 'openssl cms -encrypt'", 0, 1, kv_cmd_cms_open_options, kv_cmd_cms_open },
    { "cms seal", "-r KEY|CERT... [--break-glass CERT|none] [--out FILE] [FILE]",
      "seal a small file as 'openssl cms -decrypt' can open it", 0, 1, kv_cmd_cms_seal_options,
      kv_cmd_cms_seal },
    { "seal",
      "-r RECIPIENT... [-R FILE]... [--break-glass RECIPIENT|none] [--out FILE] [-a] [--register ID [--store "
      "STORE] [--retain-until DATE|AGE]] [-- PRODUCER...]",
      "seal a backup into an age file for keys of vaults and others", 0, 0, kv_cmd_seal_options, kv_cmd_seal,
      .program = true },
    { "open", "[-i FILE]... [--out FILE] [FILE]", "open an age file with the vaults, or with identities", 0,
      1, kv_cmd_open_options, kv_cmd_open },
    { "scan", "STORE... [--name NAME] [--retain-until DATE|AGE] [--prune-gone] [--dry-run]",
      "register the backups in folders by their headers, and tell what is wrong with them", 1, KV_TOOL_WORDS,
      kv_cmd_scan_options, kv_cmd_scan },
    { "retire-check", "VERSION [--limit NUMBER]", "tell what depends on a version", 1, 1,
      kv_cmd_retire_check_options, kv_cmd_retire_check },
    { "retire", "VERSION", "disable a version that nothing depends on", 1, 1, NULL, kv_cmd_retire,
      .changes = true },
    { "coverage", "[--store STORE] [--limit NUMBER]",
      "tell which backups open by vault, by break-glass, by nobody, and what a mass restore takes", 0, 0,
      kv_cmd_coverage_options, kv_cmd_coverage },
    { "drill", "[ID] [--sample NUMBER] [--store STORE] [--at FOLDER] [--quick] [-i FILE]...",
      "open backups as a restore would, and record what came of it", 0, 1, kv_cmd_drill_options,
      kv_cmd_drill },
    { "rewrap",
      "STORE... [--from VERSION | --older-than AGE] [-r RECIPIENT]... [--break-glass RECIPIENT] [-i FILE]... "
      "[--in-place | --sidecar | --copy DIR] [--dry-run] [--rate N/s]",
      "make age files openable by new versions, without touching what they hold", 1, KV_TOOL_WORDS,
      kv_cmd_rewrap_options, kv_cmd_rewrap },
    { "map show", "", "summarise the version map", 0, 0, NULL, kv_cmd_map_show },
    { "map verify", "", "check every row of the version map, and its journal", 0, 0, NULL,
      kv_cmd_map_verify },
    { "map export", "[--backup ID [--store STORE]] [--out FILE]",
      "write the version map, or what one backup needs of it, as lines of JSON", 0, 0,
      kv_cmd_map_export_options, kv_cmd_map_export },
    { "map import", "FILE...", "take in what exported maps know and this one does not", 1, KV_TOOL_WORDS,
      NULL, kv_cmd_map_import },
    { "map compare", "FILE...", "tell what exported maps lack, and what this one lacks", 1, KV_TOOL_WORDS,
      NULL, kv_cmd_map_compare },
    { "map relocate", "VERSION NEW-KID [--public-key FILE]", "accept another place of the same key", 2, 2,
      kv_cmd_map_relocate_options, kv_cmd_map_relocate },
    { "map rebuild", "[--scan STORE]... [--name NAME] [--retain-until DATE|AGE]",
      "learn every version of the vaults anew, and the backups of stores", 0, 0, kv_cmd_map_rebuild_options,
      kv_cmd_map_rebuild },
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static const struct kv_option global_options[] = {
    { "--config", "FILE", "read this configuration" },
    { "--vault", "NAME", "work on this vault (the name of its section)" },
    { "--json", NULL, "print JSON" },
    { "--help", NULL, "print this, or a command's usage" },
    { "--version", NULL, "print the release" },
    { NULL, NULL, NULL },
};

static void print_options(const struct kv_option *options)
{
    for (; options && options->name; options++)
        printf("  %-14s %-9s %s\n", options->name, options->value ? options->value : "", options->help);
}

static enum kv_status print_usage(void)
{
    printf("usage: kvp11 [--config FILE] [--vault NAME] [--json] COMMAND\n\n");
    for (size_t i = 0; i < COMMANDS; i++)
        printf("  %-13s %s\n", commands[i].name, commands[i].summary);
    printf("  %-13s %s\n\n", "help", "print a command's usage: kvp11 help COMMAND");
    print_options(global_options);
    return KV_OK;
}

static enum kv_status print_command(const struct kv_command *command)
{
    printf("usage: kvp11 %s%s%s\n\n%s\n", command->name, *command->arguments ? " " : "", command->arguments,
           command->summary);
    print_options(command->options);
    return KV_OK;
}

/* The command that the arguments begin with, and how many words its name takes. */
static const struct kv_command *command_find(char *const *arguments, int *ret_words)
{
    for (size_t i = 0; i < COMMANDS && arguments[0]; i++) {
        const char *name = commands[i].name, *second = strchr(name, ' ');
        size_t first_len = second ? (size_t)(second - name) : strlen(name);
        if (strlen(arguments[0]) != first_len || strncmp(arguments[0], name, first_len) != 0)
            continue;
        if (second && (!arguments[1] || strcmp(arguments[1], second + 1) != 0))
            continue;
        *ret_words = second ? 2 : 1;
        return &commands[i];
    }
    return NULL;
}

static enum kv_status help(char *const *arguments, struct kv_error *err)
{
    int words = 0;
    if (!arguments[0])
        return print_usage();
    const struct kv_command *command = command_find(arguments, &words);
    return command ? print_command(command)
                   : kv_fail(err, KV_ARGUMENTS, "no command '%s': see 'kvp11 --help'", arguments[0]);
}

static bool asks_for_help(char *const *arguments)
{
    for (; *arguments && strcmp(*arguments, "--") != 0; arguments++) {
        if (!strcmp(*arguments, "--help") || !strcmp(*arguments, "-h"))
            return true;
    }
    return false;
}

static enum kv_status run(struct kv_tool *tool, char *const *arguments, struct kv_error *err)
{
    if (arguments[0] && !strcmp(arguments[0], "--version")) {
        printf("kvp11 %s\n", KVP11_RELEASE);
        return KV_OK;
    }
    if (arguments[0] && (!strcmp(arguments[0], "--help") || !strcmp(arguments[0], "-h")))
        return print_usage();
    while (arguments[0] && arguments[0][0] == '-') {
        bool known = false;
        KV_TRY(kv_common_global(tool, &arguments, &known, err));
        if (!known)
            return kv_fail(err, KV_ARGUMENTS, "unknown option '%s': see 'kvp11 --help'", arguments[0]);
    }
    if (!arguments[0])
        return kv_fail(err, KV_ARGUMENTS, "no command: see 'kvp11 --help'");
    if (!strcmp(arguments[0], "help"))
        return help(arguments + 1, err);
    int words = 0;
    tool->command = command_find(arguments, &words);
    if (!tool->command)
        return kv_fail(err, KV_ARGUMENTS, "no command '%s%s%s': see 'kvp11 --help'", arguments[0],
                       arguments[1] ? " " : "", arguments[1] ? arguments[1] : "");
    if (asks_for_help(arguments + words))
        return print_command(tool->command);
    KV_TRY(kv_common_parse(tool, arguments + words, err));
    snprintf(tool->caller, sizeof(tool->caller), "kvp11 %s", tool->command->name);
    return tool->command->run(tool, err);
}

/* Where the way to a vault is the cause, and no command is named yet, the one that looks at it. */
static void tell_doctor(const struct kv_tool *tool, enum kv_status status, const struct kv_error *err)
{
    static const enum kv_status causes[] = { KV_UNREACHABLE, KV_TIMED_OUT, KV_TLS,
                                             KV_CREDENTIAL,  KV_DENIED,    KV_BLOCKED };
    for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]) && tool->core && !tool->findings; i++)
        if (causes[i] == status && !strstr(err->text, "kvp11 ") && tool->command->run != kv_cmd_doctor)
            kv_common_note("to find out more: kvp11 doctor%s%s", tool->vault ? " " : "",
                           tool->vault ? kv_word(tool->vault).text : "");
}

int main(int argc, char **argv)
{
    struct kv_ossl_guard guard = kv_ossl_enter();
    struct kv_tool tool = { 0 };
    struct kv_error err = { 0 };
    enum kv_status status = argc ? run(&tool, argv + 1, &err) : KV_ARGUMENTS;
    enum kv_status printed = status == KV_OK || tool.findings ? kv_spool_write(&tool.out, stdout) : KV_OK;
    if (printed != KV_OK && status == KV_OK)
        status = kv_common_unprinted(printed, &err);
    if (status == KV_OK && (fflush(stdout) || ferror(stdout)))
        status = kv_fail(&err, KV_IO, "cannot write to the standard output: %m");
    if (status == KV_OK)
        kv_common_tell_aside(&tool);
    if (status != KV_OK)
        kv_common_note("%s", err.text[0] ? err.text : kv_status_text(status));
    tell_doctor(&tool, status, &err);
    kv_tool_free(&tool);
    kv_ossl_leave(&guard);
    return kv_status_exit(status);
}
