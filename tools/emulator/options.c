#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "options.h"
#include "util.h"

enum type { TEXT, NUMBER, FLAG, LIST };

struct option {
    const char *name, *value, *help;
    enum type type;
    size_t offset;
    int min, max;
};

#define AT(member) offsetof(struct em_options, member)

static const struct option table[] = {
    { "--listen", "ADDR", "address of all ports (127.0.0.1)", TEXT, AT(listen) },
    { "--port", "N", "port of the vaults and of the token endpoint; 0: any free one", NUMBER, AT(port), 0,
      65535 },
    { "--control-port", "N", "port of the control API; 0: any free one", NUMBER, AT(control_port), 0, 65535 },
    { "--imds-port", "N", "port of the instance metadata service; 0: any free one", NUMBER, AT(imds_port), 0,
      65535 },
    { "--state", "DIR", "keep everything here; without it all is lost at exit", TEXT, AT(state) },
    { "--tls-dir", "DIR", "where ca.pem, server.pem and server.key are written", TEXT, AT(tls_dir) },
    { "--ready-file", "FILE", "written when all ports listen; without it: one line on standard output", TEXT,
      AT(ready_file) },
    { "--vault", "NAME[:standard|premium]", "a Key Vault; may be repeated (prod and dr)", LIST, AT(vaults) },
    { "--hsm", "NAME", "a Managed HSM; may be repeated (hsm)", LIST, AT(hsms) },
    { "--tenant", "GUID", "the directory's tenant", TEXT, AT(tenant) },
    { "--identity", "ID:SECRET:PERMS", "adds or replaces an identity; may be repeated", LIST,
      AT(identities) },
    { "--imds-identity", "ID", "whose tokens the metadata service hands out (workload)", TEXT,
      AT(imds_identity) },
    { "--platform-secret", "TEXT", "what App Service's likes want in their header (platform-secret)", TEXT,
      AT(platform_secret) },
    { "--arc-folder", "DIR", "where Azure Arc's look-alike writes its keys; without it there is none", TEXT,
      AT(arc_folder) },
    { "--delete-latency", "S", "seconds until a deleted key can be seen as such", NUMBER, AT(delete_latency),
      0, INT_MAX },
    { "--purge-latency", "S", "seconds until a purged name is free again", NUMBER, AT(purge_latency), 0,
      INT_MAX },
    { "--recover-latency", "S", "seconds until a recovered key can be seen", NUMBER, AT(recover_latency), 0,
      INT_MAX },
    { "--page-size", "N", "items of a page of a list (25)", NUMBER, AT(page_size), 1, 25 },
    { "--page-holes", NULL, "an empty page with a nextLink before each page", FLAG, AT(page_holes) },
    { "--disabled-public-ops", "allow|deny", "encrypt, wrap and verify on a disabled version (deny)", TEXT,
      AT(public_ops) },
    { "--readonly", NULL, "refuse all changes, as during a fail-over", FLAG, AT(readonly) },
    { "--quota", "N", "throttle each vault at N transactions in 10 seconds, weighted; 0: not at all (0)",
      NUMBER, AT(quota), 0, INT_MAX },
    { "--quiet", NULL, "no messages", FLAG, AT(quiet) },
    { "--version", NULL, "print the version and exit", FLAG, AT(version) },
    { "--help", NULL, "print this and exit", FLAG, AT(help) },
};

static const struct em_options defaults = {
    .listen = "127.0.0.1",
    .tenant = "11111111-2222-3333-4444-555555555555",
    .imds_identity = "workload",
    .platform_secret = "platform-secret",
    .public_ops = "deny",
    .page_size = 25,
};

static const struct option *find(const char *name, size_t length)
{
    for (size_t i = 0; i < EM_COUNT(table); i++) {
        if (strlen(table[i].name) == length && strncmp(table[i].name, name, length) == 0)
            return &table[i];
    }
    return NULL;
}

static bool set_number(const struct option *option, const char *value, int *ret)
{
    char *end;
    long number = strtol(value, &end, 10);
    if (end == value || *end || number < option->min || number > option->max)
        return false;
    *ret = (int)number;
    return true;
}

static bool set_list(const char *value, struct em_list *list)
{
    if (list->count == EM_LIST_MAX)
        return false;
    list->item[list->count++] = value;
    return true;
}

static bool set(const struct option *option, const char *value, struct em_options *options)
{
    char *member = (char *)options + option->offset;
    switch (option->type) {
    case TEXT:
        *(const char **)(void *)member = value;
        return *value != '\0';
    case NUMBER:
        return set_number(option, value, (int *)(void *)member);
    case FLAG:
        *(bool *)(void *)member = true;
        return true;
    case LIST:
        return set_list(value, (struct em_list *)(void *)member);
    }
    return false;
}

static bool check(const struct em_options *options, char ret_why[256])
{
    if (strcmp(options->public_ops, "allow") == 0 || strcmp(options->public_ops, "deny") == 0)
        return true;
    snprintf(ret_why, 256, "--disabled-public-ops is 'allow' or 'deny', not '%s'", options->public_ops);
    return false;
}

bool em_options_parse(int argc, char **argv, struct em_options *ret, char ret_why[256])
{
    struct em_options options = defaults;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        size_t length = strcspn(word, "=");
        const struct option *option = find(word, length);
        if (!option) {
            snprintf(ret_why, 256, "unknown option '%s'; --help lists them", word);
            return false;
        }
        const char *value = word[length] ? word + length + 1 : NULL;
        if (option->type != FLAG && !value)
            value = i + 1 < argc ? argv[++i] : "";
        if (option->type == FLAG ? value != NULL : !set(option, value, &options)) {
            snprintf(ret_why, 256, "%s: '%s' is not allowed; expected %s", option->name, value,
                     option->value ? option->value : "no value");
            return false;
        }
        if (option->type == FLAG)
            set(option, "", &options);
    }
    if (!check(&options, ret_why))
        return false;
    *ret = options;
    return true;
}

void em_options_help(void)
{
    puts("Usage: kvp11-emulator [option]...\nA local Key Vault, Managed HSM, token endpoint and metadata "
         "service.\n");
    for (size_t i = 0; i < EM_COUNT(table); i++) {
        char left[64];
        snprintf(left, sizeof(left), "%s%s%s", table[i].name, table[i].value ? " " : "",
                 table[i].value ? table[i].value : "");
        printf("  %-34s %s\n", left, table[i].help);
    }
}
