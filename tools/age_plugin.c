/* age-plugin-kvp11: what age, rage and their like start for recipients "age1kvp111…" and identities "AGE-PLUGIN-KVP11-1…". */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "age/plugin.h"
#include "age/spare.h"
#include "age/vault.h"
#include "base/ossl.h"

static const char usage[] =
    "usage: age-plugin-kvp11 --age-plugin=recipient-v1 | --age-plugin=identity-v1\n\n"
    "Started by age: put it where PATH leads to, and then\n"
    "  age -r \"$(kvp11 recipient NAME)\" FILE   encrypts to a key of a vault, without asking the vault\n"
    "  age -d -j kvp11 FILE                    decrypts in the vault\n"
    "The vaults are those of kvp11's configuration: see kvp11.conf(5), or KVP11_CONFIG.\n";

static enum kv_status make_recipient(void *state, const char *text, struct kv_age_recipient *ret,
                                     struct kv_error *err)
{
    if (!kv_vault_text_is(text))
        return kv_fail(err, KV_BAD_DATA, "recipient '%.40s' is not one of kvp11", text);
    return kv_age_vault_recipient(state, text, ret, err);
}

static const struct {
    const char *name;
    enum kv_status (*run)(struct kv_age_plugin *plugin, struct kv_error *err);
} machines[] = {
    { "recipient-v1", kv_age_plugin_recipient },
    { "identity-v1", kv_age_plugin_identity },
};

static enum kv_status converse(const char *machine, struct kv_error *err)
{
    struct kv_age_vault vault;
    struct kv_age_plugin plugin = {
        .in = stdin,
        .out = stdout,
        .recipient = make_recipient,
        .state = &vault,
        .room = kv_age_spare_recipient(), /* so that `kvp11 rewrap` works in place on what age has written */
    };
    for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
        if (strcmp(machines[i].name, machine) != 0)
            continue;
        kv_age_vault_open(NULL, "age-plugin-kvp11", &vault);
        enum kv_status status = kv_age_vault_identity(&vault, &plugin.identity, err);
        if (status == KV_OK)
            status = machines[i].run(&plugin, err);
        kv_age_identity_free(&plugin.identity);
        kv_core_close(vault.core);
        return status;
    }
    return kv_fail(err, KV_ARGUMENTS, "state machine '%s' is not known: this age is newer than the plugin",
                   machine);
}

static enum kv_status run(char *const *arguments, struct kv_error *err)
{
    static const char option[] = "--age-plugin=";
    if (arguments[0] && !arguments[1] && !strncmp(arguments[0], option, strlen(option)))
        return converse(arguments[0] + strlen(option), err);
    if (arguments[0] && !strcmp(arguments[0], "--version")) {
        printf("age-plugin-kvp11 %s\n", KVP11_RELEASE);
        return KV_OK;
    }
    if (arguments[0] && (!strcmp(arguments[0], "--help") || !strcmp(arguments[0], "-h"))) {
        fputs(usage, stdout);
        return KV_OK;
    }
    fputs(usage, stderr);
    return kv_fail(err, KV_ARGUMENTS, "it is started by age, not by hand");
}

int main(int argc, char **argv)
{
    static char incoming[4096]; /* file keys pass through here */
    struct kv_error err = { 0 };
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdin, incoming, _IOFBF, sizeof(incoming));
    struct kv_ossl_guard guard = kv_ossl_enter();
    enum kv_status status = argc ? run(argv + 1, &err) : KV_ARGUMENTS;
    kv_wipe(incoming, sizeof(incoming));
    if (status != KV_OK)
        fprintf(stderr, "age-plugin-kvp11: %s\n", err.text[0] ? err.text : kv_status_text(status));
    kv_ossl_leave(&guard);
    return kv_status_exit(status);
}
