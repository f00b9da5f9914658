#include "auth/credential.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static void list_chain(const struct kv_vault_config *config, char *ret, size_t size)
{
    const struct kv_credential_kind *kind;
    size_t len = 0;
    ret[0] = 0;
    for (size_t i = 0; (kind = kv_credential_chain_at(config, i)); i++)
        len += (size_t)snprintf(ret + len, size - len, "%s%s", i ? " " : "", kind->name);
}

/* What there is, in its order. */
static void list_kinds(bool developer, bool deployed, char *ret, size_t size)
{
    const struct kv_credential_kind *kind;
    size_t len = 0;
    ret[0] = 0;
    for (size_t i = 0; (kind = kv_credential_at(i)); i++)
        if (kind->developer ? developer : deployed)
            len += (size_t)snprintf(ret + len, size - len, "%s%s", len ? " " : "", kind->name);
}

static void the_kinds_to_try(void **state)
{
    char all[512], deployed[512], developer[512], wrapped[1200];
    list_kinds(true, true, all, sizeof all);
    list_kinds(false, true, deployed, sizeof deployed);
    list_kinds(true, false, developer, sizeof developer);
    snprintf(wrapped, sizeof wrapped, "managed-identity %s", all);
    const struct {
        const char *sentence, *credential, *words, *chain;
    } rows[] = {
        { "all, in their order", "default", NULL, all },
        { "one", "managed-identity", NULL, "managed-identity" },
        { "one, whatever the environment says of default", "managed-identity", "dev", "managed-identity" },
        { "several in the order that was written", "static-token managed-identity client-secret", NULL,
          "static-token managed-identity client-secret" },
        { "default among others", "managed-identity default", NULL, wrapped },
        { "prod", "default", "prod", deployed },
        { "capitals", "default", "PROD", deployed },
        { "dev", "default", "dev", developer },
        { "one by its name among Azure's", "default", "ManagedIdentityCredential", "managed-identity" },
        { "in small letters", "default", "managedidentitycredential", "managed-identity" },
        { "with our name it is no word", "default", "managed-identity", "" },
        { "a kind that we do not have", "default", "VisualStudioCodeCredential", "" },
        { "two at once are no word", "default", "prod;dev", "" },
        { "an unknown kind", "password", NULL, "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct kv_vault_config config = { .credential = (char *)rows[i].credential,
                                          .token_credentials = (char *)rows[i].words };
        char chain[1200];
        list_chain(&config, chain, sizeof chain);
        if (strcmp(chain, rows[i].chain) != 0)
            fail_msg("%s: '%s', not '%s'", rows[i].sentence, chain, rows[i].chain);
    }
}

static void what_gives_the_tokens(void **state)
{
    static const struct {
        const char *credential, *name; /* name NULL: an error of the configuration */
    } rows[] = {
        { "default", "default" },
        { "managed-identity", "managed-identity" },
        { "static-token managed-identity", "default" },
        { "managed-identity default", "default" },
        { "password", NULL },
        { "managed-identity password", NULL },
        { "managed", NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct kv_credential_kind *kind =
            kv_credential_of(&(struct kv_vault_config){ .credential = (char *)rows[i].credential });
        if (rows[i].name ? !kind || strcmp(kind->name, rows[i].name) != 0 : kind != NULL)
            fail_msg("%s: %s", rows[i].credential, kind ? kind->name : "nothing");
    }
}

static enum kv_status refused(const char *word, struct kv_error *err)
{
    struct kv_vault_config config = { .name = (char *)"prod",
                                      .credential = (char *)"default",
                                      .token_credentials = (char *)word };
    struct kv_credential_request request = { .config = &config };
    struct kv_access_token token;
    return kv_credential_of(&config)->acquire(&request, &token, err);
}

static void a_wrong_word_is_told_the_right_ones(void **state)
{
    struct kv_error err = { 0 };
    assert_int_equal(refused("production", &err), KV_CREDENTIAL);
    assert_non_null(strstr(err.text, "'production'"));
    assert_non_null(strstr(err.text, "AZURE_TOKEN_CREDENTIALS"));
    assert_non_null(strstr(err.text, "prod dev "));
    assert_non_null(strstr(err.text, " ManagedIdentityCredential"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kinds_to_try),
        cmocka_unit_test(what_gives_the_tokens),
        cmocka_unit_test(a_wrong_word_is_told_the_right_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
