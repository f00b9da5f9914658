#include "../../module/auth/token_private.h"

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* ---- a clock and a credential of our own ---- */

static int64_t now_s, now_ms;

static int64_t fake_unix(const struct kv_clock *clock)
{
    return now_s;
}

static int64_t fake_steady(const struct kv_clock *clock)
{
    return now_ms;
}

static void fake_sleep(const struct kv_clock *clock, int64_t ms)
{
    now_ms += ms;
}

static double fake_jitter(const struct kv_clock *clock)
{
    return 0.5;
}

static const struct kv_clock fake = { fake_unix, fake_steady, fake_sleep, fake_jitter };

static struct {
    int64_t life, refresh_in;
    enum kv_status status;
    unsigned calls;
    int64_t left_ms;     /* that the last call was given */
    sem_t *entered, *go; /* NULL: at once */
    const char *code;    /* of the failure */
    char secret[32];     /* that the last call was given */
} kind;

static enum kv_status fake_acquire(const struct kv_credential_request *request, struct kv_access_token *ret,
                                   struct kv_error *err)
{
    const struct kv_clock *clock = request->task->deadline.clock;
    unsigned call = __atomic_add_fetch(&kind.calls, 1, __ATOMIC_SEQ_CST);
    kind.left_ms = kv_deadline_left(request->task->deadline);
    const char *secret = request->config->client_secret;
    if (secret)
        assert_null(request->config->client_secret_file);
    snprintf(kind.secret, sizeof kind.secret, "%s", secret ? secret : "");
    if (kind.entered && !request->config->client_id) {
        sem_post(kind.entered);
        sem_wait(kind.go);
    }
    if (kind.status != KV_OK) {
        enum kv_status status = kv_fail(err, kind.status, "no token from the fake");
        if (err && kind.code)
            kv_text_fit(err->code, sizeof err->code, kind.code);
        return status;
    }
    int64_t now = clock->unix_seconds(clock);
    *ret = (struct kv_access_token){ .bearer = kv_text_format("%s-%u", request->challenge->scope, call),
                                     .expires = now + kind.life,
                                     .refresh = kind.refresh_in ? now + kind.refresh_in : 0,
                                     .identity = "app" };
    return KV_OK;
}

static const struct kv_credential_kind fake_kind = { "fake", NULL, fake_acquire };
static struct kv_vault_config config = { .name = (char *)"prod", .credential = (char *)"fake" };
static const struct kv_challenge vault_scope = { "https://login", "t", "vault" };
static const struct kv_challenge hsm_scope = { "https://login", "t", "hsm" };
static const struct kv_challenge other_tenant = { "https://login", "u", "vault" };

static struct kv_token_cache *cache;

static struct kv_tokens *open_of(struct kv_vault_config *vault)
{
    struct kv_tokens *tokens = NULL;
    struct kv_tokens_parts parts = { vault, NULL, cache, &fake_kind };
    assert_int_equal(kv_tokens_open_kind(&parts, &tokens, NULL), KV_OK);
    return tokens;
}

static struct kv_tokens *open_with(const struct kv_clock *clock)
{
    kv_token_cache_free(cache);
    assert_int_equal(kv_token_cache_open(&(struct kv_token_cache_parts){ .clock = clock }, &cache, NULL),
                     KV_OK);
    return open_of(&config);
}

static int reset(void **state)
{
    memset(&kind, 0, sizeof kind);
    kind.life = 3600;
    now_s = 1000000;
    now_ms = 0;
    return 0;
}

static int end(void **state)
{
    kv_token_cache_free(cache);
    cache = NULL;
    return 0;
}

static void expect(struct kv_tokens *tokens, const struct kv_challenge *challenge, const char *bearer)
{
    struct kv_task task = { kv_deadline_in(&fake, 60000), "test" };
    KV_AUTO_TEXT char *got = NULL;
    char identity[64];
    struct kv_error err = { 0 };
    if (kv_tokens_bearer(tokens, challenge, &task, &got, identity, &err) != KV_OK)
        fail_msg("instead of '%s': %s", bearer, err.text);
    assert_string_equal(got, bearer);
    assert_string_equal(identity, "app");
}

/* ---- one thread ---- */

static void a_token_is_used_again(void **state)
{
    struct kv_tokens *tokens = open_with(&fake);
    expect(tokens, &vault_scope, "vault-1");
    now_s += 3299;
    expect(tokens, &vault_scope, "vault-1");
    now_s += 1; /* five minutes before its end */
    expect(tokens, &vault_scope, "vault-2");
    kv_tokens_free(tokens);
}

static void a_short_life_is_not_all_margin(void **state)
{
    struct kv_tokens *tokens = open_with(&fake);
    kind.life = 60;
    expect(tokens, &vault_scope, "vault-1");
    now_s += 29;
    expect(tokens, &vault_scope, "vault-1");
    now_s += 1;
    expect(tokens, &vault_scope, "vault-2");
    kind.life = 1;
    now_s += 31;
    expect(tokens, &vault_scope, "vault-3");
    kv_tokens_free(tokens);
}

static void another_challenge_takes_another_token(void **state)
{
    struct kv_tokens *tokens = open_with(&fake);
    expect(tokens, &vault_scope, "vault-1");
    expect(tokens, &hsm_scope, "hsm-2");
    expect(tokens, &other_tenant, "vault-3");
    expect(tokens, &other_tenant, "vault-3");
    kv_tokens_free(tokens);
}

static void long_lives_are_renewed_at_half(void **state)
{
    struct kv_tokens *tokens = open_with(&fake);
    kind.life = 86400;
    expect(tokens, &vault_scope, "vault-1");
    now_s += 43199;
    expect(tokens, &vault_scope, "vault-1");
    now_s += 1;
    expect(tokens, &vault_scope, "vault-2");
    kv_tokens_free(tokens);
}

static void refresh_in_is_honoured_and_its_failure_swallowed(void **state)
{
    struct kv_tokens *tokens = open_with(&fake);
    kind.refresh_in = 1800;
    expect(tokens, &vault_scope, "vault-1");
    now_s += 1800;
    kind.status = KV_UNREACHABLE;
    expect(tokens, &vault_scope, "vault-1");
    assert_int_equal(kind.calls, 2);
    assert_true(kind.left_ms <= 10000); /* not the caller's whole minute */
    now_s += 29;
    expect(tokens, &vault_scope, "vault-1");
    assert_int_equal(kind.calls, 2); /* one attempt per 30 s */
    now_s += 1;
    expect(tokens, &vault_scope, "vault-1");
    assert_int_equal(kind.calls, 3);
    kind.status = KV_OK;
    now_s += 30;
    expect(tokens, &vault_scope, "vault-4");
    kv_tokens_free(tokens);
}

static void a_failure_is_told_and_not_remembered(void **state)
{
    struct kv_tokens *tokens = open_with(&fake);
    struct kv_task task = { kv_deadline_in(&fake, 1000), "test" };
    struct kv_error err = { 0 };
    char *bearer = NULL, identity[64];
    kind.status = KV_CREDENTIAL;
    assert_int_equal(kv_tokens_bearer(tokens, &vault_scope, &task, &bearer, identity, &err), KV_CREDENTIAL);
    assert_null(bearer);
    assert_non_null(strstr(err.text, "no token from the fake"));
    kind.status = KV_OK;
    expect(tokens, &vault_scope, "vault-2");
    kv_tokens_free(tokens);
}

static void only_the_refused_token_is_dropped(void **state)
{
    struct kv_tokens *tokens = open_with(&fake);
    expect(tokens, &vault_scope, "vault-1");
    kv_tokens_drop(tokens, &vault_scope, "vault-0");
    expect(tokens, &vault_scope, "vault-1");
    kv_tokens_drop(tokens, &vault_scope, "vault-1");
    kv_tokens_drop(tokens, &vault_scope, "vault-1");
    expect(tokens, &vault_scope, "vault-2");
    kv_tokens_free(tokens);
    kv_tokens_free(NULL);
}

static void an_unknown_kind_is_a_configuration_error(void **state)
{
    struct kv_tokens *tokens = NULL;
    struct kv_error err = { 0 };
    assert_int_equal(kv_tokens_open(&config, NULL, cache, &tokens, &err), KV_CONFIG);
    assert_non_null(strstr(err.text, "'fake'"));
}

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

/* ---- many threads ---- */

enum { THREADS = 8 };

struct asker {
    struct kv_tokens *tokens;
    int64_t ms;
    enum kv_status status;
    char *bearer;
    pthread_t thread;
};

static void *ask(void *user)
{
    struct asker *asker = user;
    struct kv_task task = { kv_deadline_in(&kv_clock_system, asker->ms), "test" };
    char identity[64];
    asker->status = kv_tokens_bearer(asker->tokens, &vault_scope, &task, &asker->bearer, identity, NULL);
    return NULL;
}

static void run_askers(struct asker *askers, enum kv_status outcome)
{
    struct kv_tokens *tokens = open_with(&kv_clock_system);
    sem_t entered, go;
    sem_init(&entered, 0, 0);
    sem_init(&go, 0, 0);
    kind.entered = &entered;
    kind.go = &go;
    kind.status = outcome;
    for (size_t i = 0; i < THREADS; i++) {
        askers[i].tokens = tokens;
        askers[i].ms = askers[i].ms ? askers[i].ms : 60000;
        pthread_create(&askers[i].thread, NULL, ask, &askers[i]);
        if (!i)
            sem_wait(&entered); /* the first is fetching; the others find it so */
    }
    pthread_join(askers[1].thread, NULL); /* its time is short: it is done while the first still fetches */
    for (size_t i = 0; i < THREADS; i++)
        sem_post(&go);
    for (size_t i = 0; i < THREADS; i++) {
        if (i != 1)
            pthread_join(askers[i].thread, NULL);
    }
    kv_tokens_free(tokens);
    sem_destroy(&entered);
    sem_destroy(&go);
}

static void one_fetches_the_others_wait(void **state)
{
    struct asker askers[THREADS] = { [1].ms = 1 };
    run_askers(askers, KV_OK);
    assert_int_equal(kind.calls, 1);
    assert_int_equal(askers[1].status, KV_TIMED_OUT);
    for (size_t i = 0; i < THREADS; i++) {
        if (i != 1)
            assert_string_equal(askers[i].bearer, "vault-1");
        kv_text_free(askers[i].bearer);
    }
}

static void all_are_told_of_a_failure(void **state)
{
    struct asker askers[THREADS] = { [1].ms = 1 };
    run_askers(askers, KV_CREDENTIAL);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(askers[i].status, i == 1 ? KV_TIMED_OUT : KV_CREDENTIAL);
}

/* Eight threads of two vaults that share an identity wait for one fetch; a third vault, of another identity, does not wait for them. */
static void an_identity_waits_for_its_own_fetch_alone(void **state)
{
    struct kv_vault_config twin = { .name = (char *)"dr", .credential = (char *)"fake" };
    struct kv_vault_config other = { .name = (char *)"hsm",
                                     .credential = (char *)"fake",
                                     .client_id = (char *)"other" };
    struct asker askers[THREADS] = { 0 };
    sem_t entered, go;
    struct kv_tokens *first = open_with(&kv_clock_system), *second = open_of(&twin), *third = open_of(&other);
    sem_init(&entered, 0, 0);
    sem_init(&go, 0, 0);
    kind.entered = &entered;
    kind.go = &go;
    for (size_t i = 0; i < THREADS; i++) {
        askers[i] = (struct asker){ .tokens = i % 2 ? second : first, .ms = 60000 };
        pthread_create(&askers[i].thread, NULL, ask, &askers[i]);
        if (!i)
            sem_wait(&entered);
    }
    struct asker alone = { .tokens = third, .ms = 60000 };
    ask(&alone); /* while the first still fetches */
    assert_string_equal(alone.bearer, "vault-2");
    sem_post(&go);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(askers[i].thread, NULL);
        assert_string_equal(askers[i].bearer, "vault-1");
        kv_text_free(askers[i].bearer);
    }
    assert_int_equal(kind.calls, 2);
    kv_text_free(alone.bearer);
    kv_tokens_free(first);
    kv_tokens_free(second);
    kv_tokens_free(third);
    sem_destroy(&entered);
    sem_destroy(&go);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_token_is_used_again, reset, end),
        cmocka_unit_test_setup_teardown(a_short_life_is_not_all_margin, reset, end),
        cmocka_unit_test_setup_teardown(another_challenge_takes_another_token, reset, end),
        cmocka_unit_test_setup_teardown(long_lives_are_renewed_at_half, reset, end),
        cmocka_unit_test_setup_teardown(refresh_in_is_honoured_and_its_failure_swallowed, reset, end),
        cmocka_unit_test_setup_teardown(a_failure_is_told_and_not_remembered, reset, end),
        cmocka_unit_test_setup_teardown(only_the_refused_token_is_dropped, reset, end),
        cmocka_unit_test_setup_teardown(an_unknown_kind_is_a_configuration_error, reset, end),
        cmocka_unit_test_setup_teardown(equal_vaults_share_a_token, reset, end),
        cmocka_unit_test_setup_teardown(another_identity_takes_another_token, reset, end),
        cmocka_unit_test_setup_teardown(what_the_challenge_says_anyhow_is_the_same_place, reset, end),
        cmocka_unit_test_setup_teardown(strange_tenants_are_forgotten, reset, end),
        cmocka_unit_test_setup_teardown(a_pin_is_the_secret_until_the_logout, reset, end),
        cmocka_unit_test_setup_teardown(a_wrong_pin_changes_nothing, reset, end),
        cmocka_unit_test_setup_teardown(a_pin_is_proved_for_each_vault, reset, end),
        cmocka_unit_test_setup_teardown(one_fetches_the_others_wait, reset, end),
        cmocka_unit_test_setup_teardown(all_are_told_of_a_failure, reset, end),
        cmocka_unit_test_setup_teardown(an_identity_waits_for_its_own_fetch_alone, reset, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
