/* Whose token it is: several vaults, several identities, and a PIN. */
#include "token_help.h"

/* ---- several vaults ---- */

static void equal_vaults_share_a_token(void **state)
{
    struct kv_vault_config other = { .name = (char *)"dr", .credential = (char *)"fake" };
    struct kv_tokens *prod = open_with(&fake), *dr = open_of(&other);
    expect(prod, &vault_scope, "vault-1");
    expect(dr, &vault_scope, "vault-1");
    expect(dr, &hsm_scope, "hsm-2"); /* another scope */
    kv_tokens_drop(dr, &vault_scope, "vault-1");
    expect(prod, &vault_scope, "vault-3"); /* refused for one is refused for all */
    kv_tokens_free(prod);
    expect(dr, &vault_scope, "vault-3");
    kv_tokens_free(dr);
}

/* Each line: the same vault but for one setting. */
static void another_identity_takes_another_token(void **state)
{
    const struct kv_vault_config others[] = {
        { .client_id = (char *)"other" },   { .client_secret_file = (char *)"/other" },
        { .token_file = (char *)"/other" }, { .imds_endpoint = (char *)"http://127.0.0.1" },
        { .tenant = (char *)"other" },      { .authority = (char *)"https://other" },
    };
    struct kv_tokens *prod = open_with(&fake);
    expect(prod, &vault_scope, "vault-1");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct kv_vault_config other = others[i];
        other.name = (char *)"dr";
        other.credential = (char *)"fake";
        struct kv_tokens *dr = open_of(&other);
        KV_AUTO_TEXT char *bearer = kv_text_format("vault-%zu", i + 2);
        expect(dr, &vault_scope, bearer);
        kv_tokens_free(dr);
    }
    expect(prod, &vault_scope, "vault-1");
    kv_tokens_free(prod);
}

static void what_the_challenge_says_anyhow_is_the_same_place(void **state)
{
    struct kv_vault_config told = { .name = (char *)"dr",
                                    .credential = (char *)"fake",
                                    .tenant = (char *)"t",
                                    .authority = (char *)"https://login" };
    struct kv_tokens *prod = open_with(&fake), *dr = open_of(&told);
    expect(prod, &vault_scope, "vault-1");
    expect(dr, &vault_scope, "vault-1");
    kv_tokens_free(prod);
    kv_tokens_free(dr);
}

/* A vault that names a new tenant each time does not fill the memory, and the token in use stays. */
static void strange_tenants_are_forgotten(void **state)
{
    struct kv_tokens *tokens = open_with(&fake);
    struct kv_challenge strange = vault_scope;
    for (unsigned i = 0; i < 200; i++) {
        snprintf(strange.tenant, sizeof strange.tenant, "t%u", i);
        KV_AUTO_TEXT char *bearer = kv_text_format("vault-%u", i + 1);
        expect(tokens, &strange, bearer);
    }
    expect(tokens, &strange, "vault-200");
    snprintf(strange.tenant, sizeof strange.tenant, "t0");
    expect(tokens, &strange, "vault-201");
    kv_tokens_free(tokens);
}

/* ---- a PIN ---- */

static struct kv_vault_config locked_config = { .name = (char *)"locked",
                                                .credential = (char *)"fake",
                                                .pin = KV_PIN_CLIENT_SECRET,
                                                .client_secret_file = (char *)"/nowhere" };

static enum kv_status log_in(struct kv_tokens *tokens, const char *pin, struct kv_error *err)
{
    struct kv_task task = { kv_deadline_in(&fake, 60000), "test" };
    return kv_tokens_login(tokens, &vault_scope, kv_view_text(pin), &task, err);
}

static void expect_locked(struct kv_tokens *tokens)
{
    struct kv_task task = { kv_deadline_in(&fake, 60000), "test" };
    struct kv_error err = { 0 };
    char *bearer = NULL, identity[64];
    assert_int_equal(kv_tokens_bearer(tokens, &vault_scope, &task, &bearer, identity, &err),
                     KV_NOT_LOGGED_IN);
    assert_non_null(strstr(err.text, "'locked'"));
}

static void a_pin_is_the_secret_until_the_logout(void **state)
{
    kv_tokens_free(open_with(&fake));
    struct kv_tokens *tokens = open_of(&locked_config);
    expect_locked(tokens);
    assert_int_equal(kind.calls, 0);
    assert_int_equal(log_in(tokens, "right", NULL), KV_OK);
    assert_string_equal(kind.secret, "right");
    assert_int_equal(kind.calls, 1);
    expect(tokens, &vault_scope, "vault-1");
    expect(tokens, &hsm_scope, "hsm-2");
    assert_string_equal(kind.secret, "right");
    assert_int_equal(kv_token_cache_count(cache), 2);
    kv_tokens_logout(tokens);
    assert_int_equal(kv_token_cache_count(cache), 0);
    expect_locked(tokens);
    assert_int_equal(log_in(tokens, "again", NULL), KV_OK); /* a login asks, whatever was known */
    assert_string_equal(kind.secret, "again");
    expect(tokens, &vault_scope, "vault-3");
    kv_tokens_free(tokens);
}

static void a_wrong_pin_changes_nothing(void **state)
{
    static const struct {
        enum kv_status fails;
        const char *code;
        enum kv_status told;
    } rows[] = {
        { KV_CREDENTIAL, "AADSTS7000215", KV_PIN_INCORRECT },
        { KV_CREDENTIAL, "AADSTS7000222", KV_PIN_EXPIRED },
        { KV_CREDENTIAL, "invalid_client", KV_PIN_INCORRECT },
        { KV_CREDENTIAL, KV_CREDENTIAL_WRONG_SECRET, KV_PIN_INCORRECT },
        { KV_CREDENTIAL, "AADSTS700016", KV_CREDENTIAL }, /* no such application: no word on the PIN */
        { KV_CREDENTIAL, "", KV_CREDENTIAL },
        { KV_UNREACHABLE, "", KV_UNREACHABLE },
        { KV_TIMED_OUT, "AADSTS7000215", KV_TIMED_OUT },
    };
    kv_tokens_free(open_with(&fake));
    struct kv_tokens *tokens = open_of(&locked_config);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct kv_error err = { 0 };
        kind.status = rows[i].fails;
        kind.code = rows[i].code;
        assert_int_equal(log_in(tokens, "wrong", &err), rows[i].told);
        assert_int_equal(err.status, rows[i].told);
        assert_null(strstr(err.text, "wrong"));
        expect_locked(tokens);
    }
    kind.status = KV_OK;
    assert_int_equal(log_in(tokens, "right", NULL), KV_OK);
    kind.status = KV_CREDENTIAL;
    kind.code = "AADSTS7000215";
    assert_int_equal(log_in(tokens, "wrong", NULL), KV_PIN_INCORRECT);
    expect(tokens, &vault_scope, "vault-9"); /* the one who is there stays */
    kv_tokens_free(tokens);
}

static void a_pin_is_proved_for_each_vault(void **state)
{
    struct kv_vault_config twin = locked_config;
    twin.name = (char *)"twin";
    kv_tokens_free(open_with(&fake));
    struct kv_tokens *tokens = open_of(&locked_config), *other = open_of(&twin);
    assert_int_equal(log_in(tokens, "right", NULL), KV_OK);
    assert_int_equal(log_in(other, "guess", NULL), KV_OK);
    assert_int_equal(kind.calls, 2);
    expect(other, &vault_scope, "vault-2");
    expect(tokens, &vault_scope, "vault-1");
    kv_tokens_logout(other);
    expect(tokens, &vault_scope, "vault-1");
    kv_tokens_free(tokens);
    kv_tokens_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(equal_vaults_share_a_token, reset, end),
        cmocka_unit_test_setup_teardown(another_identity_takes_another_token, reset, end),
        cmocka_unit_test_setup_teardown(what_the_challenge_says_anyhow_is_the_same_place, reset, end),
        cmocka_unit_test_setup_teardown(strange_tenants_are_forgotten, reset, end),
        cmocka_unit_test_setup_teardown(a_pin_is_the_secret_until_the_logout, reset, end),
        cmocka_unit_test_setup_teardown(a_wrong_pin_changes_nothing, reset, end),
        cmocka_unit_test_setup_teardown(a_pin_is_proved_for_each_vault, reset, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
